/**
 * Prepared updates under faults by chance: stages that fail, daemons that end and start, links that
 * break, changes of the active, words of people, in any order. Afterwards, with all of it mended,
 * both nodes are prepared and know the same. SEED= repeats one run, RUNS= makes more of them. May
 * import tap, core and the bench.
 */
import t from 'tap';
import { NODES, type NodeId } from '../../src/core/model.ts';
import { isNewer, type PrepareAct } from '../../src/core/prepare-order.ts';
import { readPreparation } from '../../src/core/prepare-shape.ts';
import { PREPARE_STAGES, type PrepareOrder } from '../../src/core/prepare.ts';
import { prepareOrder, WORD } from '../core/prepare-cases.ts';
import { DeskBench } from './prepare-bench.ts';

const STEPS = 40;
const seeds =
  process.env['SEED'] === undefined
    ? Array.from({ length: Number(process.env['RUNS'] ?? 25) }, (_, index) => index + 1)
    : [Number(process.env['SEED'])];

/** Numbers that look like chance, the same for the same seed (mulberry32). */
function chance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** One run of the bench under chance, with what must never be. */
class Story {
  readonly bench = new DeskBench();
  readonly did: string[] = [];
  readonly #next: (below: number) => number;
  #epoch = 1;
  #holder: NodeId = 'A';
  #seen: Record<NodeId, { order: PrepareOrder | null; seq: number }> = {
    A: { order: null, seq: 0 },
    B: { order: null, seq: 0 },
  };

  constructor(seed: number) {
    this.#next = chance(seed);
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#next(list.length)]!;
  }

  async step(): Promise<void> {
    const { bench } = this;
    const node = this.#pick(NODES);
    const stage = this.#pick(PREPARE_STAGES);
    const what = this.#pick([
      'fault',
      'fault',
      'free',
      'down',
      'up',
      'link',
      'active',
      'word',
      'gone',
    ]);
    this.did.push(`${what} ${node} ${stage}`);
    const { work } = bench.nodes[node];
    const isUp = bench.nodes[node].desk !== null;
    if (what === 'fault') {
      work.faults.set(stage, [this.#pick(['throws', 'bug', 'hangs'] as const)]);
    } else if (what === 'free') work.free();
    else if (what === 'gone') work.gone = stage;
    else if (what === 'down' && isUp) await bench.down(node);
    else if (what === 'up' && !isUp) bench.up(node);
    else if (what === 'link') bench.linked = !bench.linked;
    else if (what === 'active') {
      this.#epoch += 1;
      this.#holder = node;
    } else if (what === 'word' && isUp) await this.#say(node);
    bench.serve(this.#holder, this.#epoch);
    await bench.pass(this.#pick([0, 1, 60, 300]));
    this.#judge();
  }

  async #say(node: NodeId): Promise<void> {
    const acts: readonly PrepareAct[] = [
      { do: 'retry', word: WORD },
      { do: 'ignore', node: this.#pick(NODES), word: WORD },
      { do: 'heed', node: this.#pick(NODES), word: WORD },
      { do: 'authorize', word: WORD },
      { do: 'configure', word: WORD, options: { order: 'standby-first' } },
    ];
    const words = this.bench.nodes[node].desk!.ask(this.#pick(acts));
    await words.catch(() => undefined);
  }

  /** What a node has once known it never forgets, and what it keeps is whole. */
  #judge(): void {
    for (const id of NODES) {
      const found = this.bench.of(id);
      if (found === null) continue;
      if (readPreparation(JSON.parse(JSON.stringify(found))) === null) throw new Error('not whole');
      const { order, seq } = this.#seen[id];
      if (order !== null && isNewer(order, found.order)) throw new Error(`${id} forgets the order`);
      if (found.nodes[id].seq < seq) throw new Error(`${id} forgets what it has done`);
      this.#seen[id] = { order: found.order, seq: found.nodes[id].seq };
    }
  }

  /** Everything is mended, and time passes. */
  async mend(): Promise<void> {
    const { bench } = this;
    bench.linked = true;
    bench.serve(this.#holder, this.#epoch + 1);
    for (const id of NODES) {
      bench.nodes[id].work.faults.clear();
      if (bench.nodes[id].desk === null) bench.up(id);
      bench.nodes[id].work.free();
    }
    await bench.pass(60);
    for (const node of NODES) {
      await bench.nodes[this.#holder].desk!.ask({ do: 'heed', node, word: WORD });
      bench.nodes[node].work.free();
    }
    for (let count = 0; count < 8; count += 1) await bench.pass(900);
    this.#judge();
  }
}

t.test(
  `${seeds.length} stories: whatever happens, in the end both nodes are prepared`,
  async (t) => {
    for (const seed of seeds) {
      const story = new Story(seed);
      await using bench = story.bench;
      const order = prepareOrder({ plan: null, writer: { epoch: 0, seq: 0 } });
      await bench.nodes.A.desk!.ask({ do: 'begin', order });
      for (let step = 0; step < STEPS; step += 1) await story.step();
      await story.mend();
      const [a, b] = [bench.of('A'), bench.of('B')];
      const same = JSON.stringify(a) === JSON.stringify(b);
      t.ok(bench.ready() && same, `seed ${seed}`);
      if (!bench.ready() || !same) {
        t.comment(story.did.join(', '));
        t.comment(JSON.stringify(bench.states()));
        t.comment(JSON.stringify(a?.order));
        t.comment(JSON.stringify(b?.order));
      }
    }
  },
);
