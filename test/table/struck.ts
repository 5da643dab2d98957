/**
 * One fault at one moment of an update of the simulated pair. Moments are: power that goes away
 * before a durable write, an event that changed something durable, the end of a tick. A dry run
 * finds them all; each run of the simulation is the same up to its moment. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import { NODES } from '../../src/core/model.ts';
import { compareWriter, END_PHASES, type Phase } from '../../src/core/records.ts';
import type { Faults } from '../sim/appliance.ts';
import type { PairOptions } from '../sim/fixture.ts';
import { Pair } from '../sim/pair.ts';

/** Where in an update something strikes. */
export interface Moment {
  readonly at: 'write' | 'event' | 'tick';
  /** The node whose write or event it is; of a tick the one that drives. */
  readonly node: NodeId;
  /** Which one of its kind, counted from the start of the update. */
  readonly count: number;
  /** The phase that is in force: of the two durable records the newer one's. */
  readonly phase: Phase;
  /** The node that drives: it serves, or did so last. */
  readonly driver: NodeId;
}

/** Name of a moment, for messages and to find it again. */
export const nameOf = ({ at, node, count }: Moment): string =>
  at === 'tick' ? `tick ${count}` : `${at} ${count} of ${node}`;

/** How long a node is away when it restarts. */
const BOOT_TICKS = 3;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A pair in an update, with moments that can be watched. */
export class Struck {
  readonly pair: Pair;
  /** What is wrong with the images; may change while the pair runs. */
  readonly faults: Mutable<Faults> = {};
  /** Called at the end of each tick and after each event that changed something durable. */
  onMoment: (moment: Moment) => void = () => undefined;
  private readonly held = new Set<NodeId>();
  private readonly boots: Record<NodeId, number> = { A: BOOT_TICKS, B: BOOT_TICKS };
  private readonly counts: Record<string, number> = {};
  private readonly began: Record<NodeId, number>;
  private driver: NodeId;

  constructor(options: PairOptions) {
    Object.assign(this.faults, options.faults);
    this.pair = new Pair({ ...options, faults: this.faults });
    this.pair.run(60);
    this.driver = this.pair.serving() ?? 'A';
    const { A, B } = this.pair.nodes;
    this.began = { A: A.writes, B: B.writes };
    const send = this.pair.send.bind(this.pair);
    this.pair.send = (node, event) => {
      const before = this.pair.nodes[node].writes;
      send(node, event);
      if (this.pair.nodes[node].writes !== before) this.moment('event', node);
    };
  }

  /** Begins the update. */
  start(): void {
    this.pair.start();
  }

  /** A start takes some ticks, so that the peer writes meanwhile and a sync has something to do. */
  tick(): void {
    for (const node of NODES) {
      const off = this.pair.nodes[node].state === null;
      if (!off || this.held.has(node)) this.boots[node] = BOOT_TICKS;
      else this.boots[node]--;
      if (off && this.boots[node] > 0) this.pair.dead.add(node);
      else this.pair.dead.delete(node);
    }
    this.pair.tick();
    this.moment('tick', this.driverNow());
  }

  /** Of the two durable rollout records the newer one's phase. */
  phase(): Phase {
    const found = NODES.map((node) => this.pair.nodes[node].disk.rollout)
      .filter((one) => one !== null)
      .toSorted((a, b) => compareWriter(b.writer, a.writer));
    return found[0]?.phase ?? 'VALIDATE';
  }

  /** The update has come to an end. */
  ended(): boolean {
    return END_PHASES.has(this.phase());
  }

  /** The update came to this phase, as its log tells. */
  saw(phase: Phase): boolean {
    const { nodes } = this.pair.nodes.A.disk.rollout ?? {};
    const log = nodes === undefined ? [] : [...nodes.A.log, ...nodes.B.log];
    return log.some((entry) => entry.phase === phase);
  }

  driverNow(): NodeId {
    this.driver = this.pair.serving() ?? this.driver;
    return this.driver;
  }

  /** Durable writes of a node since the update began. */
  writes(node: NodeId): number {
    return this.pair.nodes[node].writes - this.began[node];
  }

  /** Power of this node goes away before this durable write of it. */
  cutBefore(node: NodeId, write: number): void {
    this.pair.nodes[node].cutAt = this.began[node] + write;
  }

  /** Power goes away, and stays away until it is given back. */
  off(node: NodeId): void {
    this.held.add(node);
    this.pair.dead.add(node);
    this.pair.nodes[node].state = null;
  }

  /** Power is back; true when no node is without it. */
  on(...nodes: readonly NodeId[]): boolean {
    for (const node of nodes) this.held.delete(node);
    return this.held.size === 0;
  }

  private moment(at: 'event' | 'tick', node: NodeId): void {
    const name = at === 'tick' ? at : `${at} ${node}`;
    const count = (this.counts[name] = (this.counts[name] ?? 0) + 1);
    const driver = this.driverNow();
    this.onMoment({ at, node, count, phase: this.phase(), driver });
  }
}

/** Every moment of an undisturbed update. */
export function momentsOf(options: PairOptions): readonly Moment[] {
  const found: Moment[] = [];
  const struck = new Struck(options);
  const { pair } = struck;
  const seen = { A: 0, B: 0 };
  struck.onMoment = (moment) => {
    for (const node of NODES) {
      for (; seen[node] < struck.writes(node);) {
        found.push({ ...moment, at: 'write', node, count: ++seen[node] });
      }
    }
    found.push(moment);
  };
  struck.start();
  for (let calm = 0; calm < 3; calm = pair.quiet() ? calm + 1 : 0) struck.tick();
  return found;
}
