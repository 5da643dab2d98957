/**
 * Random stories of two copies: writes, cuts, crashes at any moment, handovers, takeovers and going
 * alone as the rules of the pair allow them (R1-R6), over the real rules and real files, joined by
 * a wire in memory. Always checked: whoever serves has every acknowledged write, and once all is
 * well both copies are equal. Imports tap, fast-check and the storage software's modules.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import type { ConnectionListener, PeerConnection } from '../../images/storage/link.ts';
import { Objects } from '../../images/storage/objects.ts';
import { hashOf } from '../../images/storage/record.ts';
import { Replica } from '../../images/storage/replica.ts';
import { StateFile } from '../../images/storage/state.ts';
import type { Frame, Hello, Message } from '../../images/storage/wire.ts';

const GONE = new UpdateError('pair.peer_unreachable', 'cut');

/** One end of a connection in memory: in order, each frame some milliseconds under way. */
class End implements PeerConnection {
  closed = false;
  other: End | null = null;
  listener: ConnectionListener | null = null;
  readonly #delayMs: number;
  readonly #inbox: Frame[] = [];

  constructor(delayMs: number) {
    this.#delayMs = delayMs;
  }

  send(head: Hello | Message, body: Buffer | null = null): void {
    if (!this.closed) this.other?.receive({ head: structuredClone(head), body });
  }
  receive(frame: Frame): void {
    this.#inbox.push(frame);
    const deliver = (): void => {
      const next = this.#inbox.shift();
      if (!this.closed && next) this.listener?.frame(next);
    };
    if (this.#delayMs === 0) setImmediate(deliver);
    else setTimeout(deliver, this.#delayMs);
  }
  async drained(): Promise<void> {
    await sleep(0);
  }
  setReading(): void {}
  close(reason: UpdateError): void {
    if (this.closed) return;
    this.closed = true;
    this.listener?.closed(reason);
    this.other?.close(reason);
  }
}

interface Node {
  readonly objects: Objects;
  readonly state: StateFile;
  readonly replica: Replica;
  /** Rejects when the node has crashed: nothing that it still owes will come. */
  readonly gone: PromiseWithResolvers<never>;
}

/** The pair with a daemon that knows the rules. */
class Story {
  readonly #dir: string;
  readonly #delayMs: number;
  readonly nodes: Record<NodeId, Node | null> = { A: null, B: null };
  #ends: readonly [End, End] | null = null;
  linked = false;
  // What the daemons would have in their records.
  epoch = 0;
  holder: NodeId = 'A';
  mayTakeOver = true;
  /** Volatile: the active's word since this node's start that it may take over. */
  readonly admitted: Record<NodeId, boolean> = { A: false, B: false };
  #count = 0;
  /** Per key: the acknowledged value, and values since then whose outcome is open. */
  readonly #acknowledged = new Map<string, string | null>();
  readonly #open = new Map<string, Set<string | null>>();
  readonly #writes: Promise<void>[] = [];

  constructor(dir: string, delayMs: number) {
    this.#dir = dir;
    this.#delayMs = delayMs;
  }

  async start(id: NodeId): Promise<void> {
    if (this.nodes[id]) return;
    const dir = join(this.#dir, id);
    const objects = await Objects.open({
      dir: join(dir, 'log'),
      formatLevel: () => 1,
      segmentBytes: 2000,
    });
    const state = await StateFile.open(dir, { node: id, pair: 'pair' }, async () => true);
    const gone = Promise.withResolvers<never>();
    gone.promise.catch(() => undefined);
    const replica = new Replica({ objects, state, formatMax: 1 });
    this.nodes[id] = { objects, state, replica, gone };
    this.#join();
  }

  async crash(id: NodeId): Promise<void> {
    const node = this.nodes[id];
    this.nodes[id] = null;
    this.admitted[id] = false;
    this.#ends?.[0].close(GONE);
    this.#ends = null;
    node?.gone.reject(GONE);
    await node?.objects[Symbol.asyncDispose]();
    await node?.state[Symbol.asyncDispose]();
  }

  setLink(up: boolean): void {
    this.linked = up;
    if (!up) this.#ends?.[0].close(GONE);
    this.#join();
  }

  /** The holder serves as far as it may (R1), and asks to go alone only when the peer cannot. */
  async serve(): Promise<void> {
    const replica = this.nodes[this.holder]?.replica;
    if (!replica) return;
    if (replica.role !== 'primary') {
      if (this.epoch === 0) this.epoch = 1;
      await replica.promote(this.epoch);
      this.check(this.holder);
    }
    if (replica.status().frozen && !this.mayTakeOver) await replica.goAlone(this.epoch);
    if (replica.status().peer !== 'current') return;
    this.mayTakeOver = true;
    this.admitted[peerOf(this.holder)] = true;
  }

  /** R4, R5: the peer is dead or has promised to stay down. */
  async peerDown(): Promise<void> {
    await this.crash(peerOf(this.holder));
    this.mayTakeOver = false;
    await this.serve();
  }

  /** R2. */
  async handOver(): Promise<void> {
    const [from, to] = [this.nodes[this.holder], this.nodes[peerOf(this.holder)]];
    if (!from || !to || from.replica.status().peer !== 'current' || !this.mayTakeOver) return;
    await from.replica.demote();
    if (to.replica.status().local !== 'current') return;
    this.holder = peerOf(this.holder);
    this.epoch += 1;
    await this.serve();
  }

  /** R3: the holder is fenced first. */
  async takeOver(): Promise<void> {
    const peer = this.nodes[peerOf(this.holder)];
    if (!peer || !this.mayTakeOver || !this.admitted[peerOf(this.holder)]) return;
    if (peer.state.now.stale) return;
    await this.crash(this.holder);
    this.holder = peerOf(this.holder);
    this.epoch += 1;
    this.mayTakeOver = false;
    await this.serve();
  }

  write(key: string, remove: boolean): void {
    const node = this.nodes[this.holder];
    if (node?.replica.role !== 'primary') return;
    this.#count += 1;
    const value = remove ? null : `${this.holder}${this.#count}`;
    this.#open.set(key, (this.#open.get(key) ?? new Set()).add(value));
    this.#writes.push(this.#write(node, this.holder, key, value));
  }

  async #write(node: Node, holder: NodeId, key: string, value: string | null): Promise<void> {
    try {
      const bytes = value === null ? null : Buffer.from(value);
      await Promise.race([node.gone.promise, node.replica.write(key, bytes)]);
    } catch {
      return;
    }
    if (this.nodes[holder] !== node) return;
    this.#acknowledged.set(key, value);
    // Older open ones cannot come any more; writes that were sent after it may.
    const open = this.#open.get(key);
    for (const one of open ?? []) {
      open?.delete(one);
      if (one === value) return;
    }
  }

  /** The serving copy has what was acknowledged, or what was still under way after it. */
  check(id: NodeId): void {
    const node = this.nodes[id];
    if (!node) return;
    for (const [key, value] of this.#acknowledged) {
      const entry = node.objects.entry(key);
      const good = [value, ...(this.#open.get(key) ?? [])];
      const hashes = good.map((text) => (text === null ? null : hashOf(Buffer.from(text))));
      if (!hashes.includes(entry?.hash ?? null)) {
        throw new Error(`${id} lost ${key} = ${value}`);
      }
    }
  }

  /** All faults stop: both run, joined, and become level. */
  async level(): Promise<void> {
    await this.start('A');
    await this.start('B');
    this.setLink(true);
    for (let n = 0; n < 5000; n += 1) {
      await this.serve();
      const status = this.nodes[this.holder]?.replica.status();
      if (status?.splitBrain) throw new Error('split brain');
      if (status?.peer === 'current') return;
      await sleep(1);
    }
    throw new Error('they never become level');
  }

  /** The end of the story. */
  async settle(): Promise<void> {
    await this.level();
    await Promise.all(this.#writes);
    this.check('A');
    this.check('B');
    const [a, b] = [this.nodes.A!.objects, this.nodes.B!.objects];
    const keys = a.keys('', '', 1000).keys;
    if (JSON.stringify(keys) !== JSON.stringify(b.keys('', '', 1000).keys)) {
      throw new Error('the copies differ in their keys');
    }
    for (const key of keys) {
      if (a.entry(key)?.hash !== b.entry(key)?.hash) throw new Error(`the copies differ in ${key}`);
    }
    await this.crash('A');
    await this.crash('B');
  }

  #join(): void {
    const [a, b] = [this.nodes.A, this.nodes.B];
    if (!a || !b || !this.linked || this.#ends?.[0].closed === false) return;
    const ends = [new End(this.#delayMs), new End(this.#delayMs)] as const;
    [ends[0].other, ends[1].other] = [ends[1], ends[0]];
    this.#ends = ends;
    ends[0].listener = a.replica.attach(ends[0]);
    ends[1].listener = b.replica.attach(ends[1]);
  }
}

type Step = readonly [name: string, n: number];

async function play(story: Story, [name, n]: Step): Promise<void> {
  const id = n % 2 === 0 ? 'A' : 'B';
  if (name === 'write') for (let k = n; k > 0; k -= 3) story.write(`key-${k % 5}`, k % 4 === 0);
  else if (name === 'wait') await sleep(n / 2);
  else if (name === 'level') await story.level();
  else if (name === 'start') await story.start(id);
  else if (name === 'crash') await story.crash(id);
  else if (name === 'cut') story.setLink(false);
  else if (name === 'join') story.setLink(true);
  else if (name === 'alone') await story.peerDown();
  else if (name === 'hand over') await story.handOver();
  else if (name === 'take over') await story.takeOver();
  else await story.serve();
  story.check(story.holder);
}

const NAMES = ['start', 'crash', 'cut', 'join', 'alone', 'hand over', 'take over', 'serve'];
const step = fc.tuple(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant('write') },
    { weight: 4, arbitrary: fc.constantFrom('wait', 'level') },
    { weight: 8, arbitrary: fc.constantFrom(...NAMES, 'take over') },
  ),
  fc.nat(12),
);
const story = fc.record({
  delayMs: fc.constantFrom(0, 0, 4),
  steps: fc.array(step, { minLength: 8, maxLength: 30 }),
});

t.test('whatever happens, what was acknowledged stays', async (t) => {
  const root = t.testdir();
  let stories = 0;
  const numRuns = Number(process.env['STORIES'] ?? 40);
  const told = await fc.check(
    fc.asyncProperty(story, async ({ delayMs, steps }) => {
      stories += 1;
      const one = new Story(join(root, String(stories)), delayMs);
      await one.level();
      for (const next of steps) await play(one, next);
      await one.settle();
    }),
    { numRuns, maxSkipsPerRun: 0, endOnFailure: process.env['STORIES'] === undefined },
  );
  const report = `${fc.defaultReportMessage(told)} ${String(told.errorInstance)}`;
  t.equal(told.failed, false, told.failed ? report : `${numRuns} stories`);
});
