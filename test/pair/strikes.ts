/**
 * Strikes at exact steps of a rollout of a real pair: daemons that die or stand still at a
 * failpoint, pulled cables, clocks that jump; several in one rollout, one after the other. Always
 * holds: the gap of a strike is measured from it to the next one, or to the time when the pair is
 * available again; a strike whose step does not come is told as missed. Imports core, the bench and
 * the writer of the gap benchmark.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { GapWriter } from '../../scripts/measure/gap-writer.ts';
import type { PairWires } from '../../scripts/measure/wire.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import { PHASES, type Phase } from '../../src/core/records.ts';
import { setClock } from './clock.ts';
import { strike as strikeNow } from './faults.ts';
import type { Bench, Command } from './harness.ts';

/** Phases of an update in their order. */
export const UPDATE_PHASES: readonly Phase[] = [
  ...PHASES.slice(PHASES.indexOf('STAGE'), PHASES.indexOf('REFORM') + 1),
  'DONE',
];

/** Kinds of strikes; `both` kills the daemon that comes to the step, then at once the other one. */
export const STRIKES = ['kill', 'both', 'stall', 'cut', 'clock'] as const;
/** A word of the table above. */
export type StrikeKind = (typeof STRIKES)[number];

/** One strike. */
export interface Strike {
  readonly kind: StrikeKind;
  /** The node that is struck; null = whichever comes to the step first. */
  readonly node: NodeId | null;
  /** Step of a daemon, for instance `before:write-rollout`; of no meaning for cables and clocks. */
  readonly step: string;
  /** Phase of the step; null = any. */
  readonly phase: string | null;
}

/** What came of a strike. */
export interface Struck extends Strike {
  readonly hit: boolean;
  /** Longest time without an acknowledged write until the next strike, or the end. */
  gapMs: number;
}

const POLL_MS = 10;
/** The link gives up, the watchdog does not yet. */
const STALL_MS = 2500;
const CUT_MS = 3000;
/** As far as a clock can be off: a battery that is empty, and a typing error. */
const JUMPS_MS = [-Date.now(), 3_650 * 86_400_000, 0] as const;

/** Place of a phase in an update; -1 = on the way back, or at an end. */
export const placeOf = (phase: string | null): number =>
  UPDATE_PHASES.findIndex((one) => one === phase);

/** A strike in few words. */
export function nameOf({ kind, node, step, phase }: Strike): string {
  const where = kind === 'cut' || kind === 'clock' ? '' : ` ${step}`;
  return `${kind}${node === null ? '' : ` ${node}`}${where}${phase === null ? '' : ` @${phase}`}`;
}

/** Strikes during rollouts of one pair. */
export class Striker {
  readonly #bench: Bench;
  readonly #writer: GapWriter;
  readonly #wires: PairWires;
  #jumps = 0;

  constructor(bench: Bench, writer: GapWriter, wires: PairWires) {
    this.#bench = bench;
    this.#writer = writer;
    this.#wires = wires;
  }

  /** Strikes while the command runs, in this order; `from` is the number of events before it. */
  async during(command: Command, strikes: readonly Strike[], from: number): Promise<Struck[]> {
    const found: Struck[] = [];
    const over = { yes: false };
    const end = command.done.then(() => void (over.yes = true));
    this.#writer.takeGap();
    for (const one of strikes) {
      const hit = await this.#deliver(one, from, over, () => {
        const last = found.findLast((struck) => struck.hit);
        if (last !== undefined) last.gapMs = Math.max(last.gapMs, this.#writer.takeGap());
      });
      found.push({ ...one, hit, gapMs: 0 });
    }
    await end;
    return found;
  }

  /** The pair is available again: the gap of the last strike ends here. */
  settle(found: Struck[]): void {
    const last = found.findLast((one) => one.hit);
    if (last !== undefined) last.gapMs = Math.max(last.gapMs, this.#writer.takeGap());
  }

  async #deliver(one: Strike, from: number, over: { yes: boolean }, onHit: () => void) {
    if (one.kind === 'cut' || one.kind === 'clock') {
      const { watch } = this.#bench;
      const seen = (): boolean =>
        watch.events.slice(from).some(({ phase, state }) => {
          return state === 'phase' && phase === one.phase;
        });
      if (!(await this.#until(seen, one, from, over))) return false;
      onHit();
      if (one.kind === 'clock') await this.#jump();
      else await this.#cut();
      return true;
    }
    return this.#strike(one, from, over, onHit);
  }

  async #cut(): Promise<void> {
    this.#wires.pull();
    await sleep(CUT_MS);
    this.#wires.plug();
  }

  /** One clock goes back and the other one forward, then in turn. */
  async #jump(): Promise<void> {
    for (const node of NODES) {
      await setClock(this.#bench.pair.nodes[node], JUMPS_MS[this.#jumps % JUMPS_MS.length]!);
      this.#jumps += 1;
    }
  }

  async #strike(strike: Strike, from: number, over: { yes: boolean }, onHit: () => void) {
    const { kind, node, step, phase } = strike;
    const action = kind === 'stall' ? `stall:${String(STALL_MS)}` : 'kill';
    const nodes = node === null ? NODES : [node];
    const line = `${step}${phase === null ? '' : `@${phase}`}=${action}`;
    for (const one of nodes) await this.#bench.arm(one, line);
    const spent = (): NodeId | undefined => nodes.find((one) => !this.#bench.armed(one));
    const hit = await this.#until(() => spent() !== undefined, strike, from, over);
    if (hit) onHit();
    const first = spent();
    for (const one of nodes) await this.#bench.arm(one, null);
    if (hit && kind === 'both') {
      await strikeNow(this.#bench, 'kill-daemon', first === 'A' ? 'B' : 'A');
    }
    return hit;
  }

  /** False once the command is over, or the rollout has gone past the strike's phase. */
  async #until(test: () => boolean, one: Strike, from: number, over: { readonly yes: boolean }) {
    while (!over.yes && !this.#bench.signal.aborted) {
      if (test()) return true;
      if (this.#isPast(one, from)) return false;
      await sleep(POLL_MS);
    }
    return test();
  }

  /** A record that is followed soon by the next one may never be written on the other node. */
  #isPast({ phase }: Strike, from: number): boolean {
    if (phase === null) return false;
    const place = placeOf(phase);
    return this.#bench.watch.events.slice(from).some((event) => {
      return event.state === 'phase' && event.phase !== null && placeOf(event.phase) > place + 1;
    });
  }
}

/** The rows as a table: what was struck, whether it was hit, the gap, how the rollout ended. */
export function tableOf(rows: readonly (Struck & { readonly end: string })[]): string[] {
  const lines = rows.map((row) => {
    const gap = row.hit ? `${row.gapMs.toFixed(0)} ms` : 'missed';
    return [nameOf(row), gap, row.end] as const;
  });
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, gap, end]) => `${name.padEnd(width)}  ${gap.padStart(8)}  ${end}`);
}
