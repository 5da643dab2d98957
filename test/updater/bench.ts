/**
 * A pair of bench nodes on virtual time: starts an update, cuts power or kills the daemon where the
 * test says, and runs on until everything is at rest. The same seed gives the same run. Only tests
 * import it.
 */
import { NODES, otherSlot, type NodeId } from '../../src/core/model.ts';
import { END_PHASES, type RolloutRecord } from '../../src/core/records.ts';
import { peerOf } from '../../src/core/model.ts';
import { onTrial } from '../../src/core/state.ts';
import { rolloutRecord } from '../core/states.ts';
import { MemoryWire } from '../memory/link.ts';
import { MemoryServiceNetwork } from '../memory/service-address.ts';
import { MemoryStorePair } from '../memory/store.ts';
import type { BenchWorld, Faults } from './bench-life.ts';
import { BenchNode, type Cut } from './bench-node.ts';
import { VirtualClock } from './virtual-clock.ts';

/** How the update begins. */
export interface BenchOptions {
  readonly faults?: Faults;
  readonly record?: Partial<RolloutRecord>;
  readonly seed?: number;
}

/** Virtual time after which a run that is not at rest counts as stuck. */
const REST_MS = 1_200_000;
/** Rest means: so many looks in a row found nothing to do. */
const CALM = 8;

export class Bench {
  readonly world: BenchWorld;
  readonly nodes: Readonly<Record<NodeId, BenchNode>>;
  readonly options: BenchOptions;
  /** Cuts that happened. */
  cuts = 0;
  /** Operations that the node's disk had done at the last of them. */
  cutAtOps = 0;
  #queue: Cut[] = [];
  #armed: { readonly node: BenchNode; readonly cut: Cut; readonly atOps: number } | null = null;
  #writes = 0;

  constructor(options: BenchOptions = {}) {
    this.options = options;
    const clock = new VirtualClock();
    this.world = {
      clock,
      wire: new MemoryWire({
        schedule: (delayMs, action) => void clock.schedule(delayMs, action),
        now: () => clock.nowMs,
        noticeMs: 50,
        seed: options.seed ?? 1,
      }),
      store: new MemoryStorePair({ auto: true }),
      network: new MemoryServiceNetwork(),
      bulk: new Map(),
    };
    const faults = options.faults ?? {};
    const seed = options.seed ?? 1;
    this.nodes = {
      A: new BenchNode('A', this.world, faults, seed),
      B: new BenchNode('B', this.world, faults, seed + 1),
    };
    for (const node of NODES) this.world.store.setRunning(node, false);
  }

  /** Both nodes up and highly available. */
  async open(): Promise<void> {
    for (const node of NODES) await this.nodes[node].layOut();
    await this.rest();
  }

  /** Hands the first record of the rollout to the node that serves; false when it died over it. */
  async start(change: Partial<RolloutRecord> = {}): Promise<boolean> {
    const holder = this.world.network.server();
    if (holder === null) throw new Error('nobody serves');
    const record = rolloutRecord({ ...this.options.record, ...change });
    const taken = await this.nodes[holder].runner.dispatch({ type: 'start', record });
    if (!taken && !this.nodes[holder].disk.off) throw new Error('the update was refused');
    return taken;
  }

  /** The lives of this node end at these operations, counted from now, then from each end on. */
  arm(node: NodeId, cuts: readonly Cut[]): void {
    this.#queue = [...cuts];
    this.#armNext(this.nodes[node]);
  }

  #armNext(node: BenchNode): void {
    const cut = this.#queue.shift();
    const atOps = node.disk.ops + (cut?.op ?? Infinity);
    this.#armed = cut === undefined ? null : { node, cut, atOps };
    node.disk.cutAt(cut?.op ?? Infinity);
  }

  /** One step of virtual time, and what follows from it. */
  async step(): Promise<void> {
    await this.world.clock.step();
    this.#write();
    for (const id of NODES) await this.#look(this.nodes[id]);
  }

  async #look(node: BenchNode): Promise<void> {
    const armed = this.#armed?.node === node ? this.#armed : null;
    const end = await node.look(armed?.cut ?? null);
    if (end === null || armed === null) return;
    if (end === 'reboot') {
      // A clean reboot takes no cut back: the rest of the count goes on.
      node.disk.cutAt(armed.atOps - node.disk.ops);
      return;
    }
    this.cuts++;
    this.cutAtOps = node.disk.ops;
    this.#armNext(node);
  }

  /** A client writes one key after the other through whoever serves. */
  #write(): void {
    const holder = this.world.network.server();
    if (holder === null || this.nodes[holder].disk.off) return;
    try {
      this.world.store.put(holder, `key${this.#writes % 8}`, String(this.#writes++));
    } catch {
      // Read-only for the moment: the client tries the next one.
    }
  }

  /** Lets this much virtual time pass. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.world.clock.nowMs + ms;
    while (this.world.clock.nowMs < untilMs) await this.step();
  }

  /** Runs until it is so; throws when it never is. */
  async until(what: () => boolean): Promise<void> {
    const untilMs = this.world.clock.nowMs + REST_MS;
    while (!what()) {
      if (this.world.clock.nowMs > untilMs) throw new Error(`it never was so:\n${this.describe()}`);
      await this.step();
    }
  }

  /** Runs until nothing moves any more; throws with the state when that never happens. */
  async rest(): Promise<void> {
    const untilMs = this.world.clock.nowMs + REST_MS;
    for (let calm = 0; calm < CALM;) {
      await this.step();
      calm = this.quiet() ? calm + 1 : 0;
      if (this.world.clock.nowMs > untilMs) throw new Error(`not at rest:\n${this.describe()}`);
    }
  }

  quiet(): boolean {
    const states = NODES.map((id) => this.nodes[id].state);
    const holder = this.world.network.server();
    if (holder === null || states.some((s) => s === null)) return false;
    const ended = states.every((s) => s?.rollout == null || END_PHASES.has(s.rollout.phase));
    const seqs = states.map((s) => s?.rollout?.writer.seq);
    const active = this.nodes[holder].state;
    const standby = this.nodes[peerOf(holder)].state;
    return (
      ended &&
      seqs[0] === seqs[1] &&
      standby?.world.admitted === true &&
      active?.record.role.peerMayTakeOver === true &&
      states.every((s) => s !== null && !onTrial(s) && s.world.bootState.trial === null)
    );
  }

  /** Everything that is wrong once the pair is at rest. */
  async problems(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const id of NODES) {
      const node = this.nodes[id];
      // A cut that the run did not come to must not strike those who look.
      node.disk.cutAt(Infinity);
      const { state } = node;
      found.push(...node.problems);
      const boot = node.bootState();
      if (boot.trial !== null) found.push(`${id}: a trial is left armed`);
      if (node.boot?.slot !== boot.default) found.push(`${id}: another slot than the default runs`);
      if (!node.whole('system', boot.default)) found.push(`${id}: the default slot is not whole`);
      const { default: slot, trialId, tries } = boot;
      const mark = node.slots.seals.get(`memory:system-${slot}`)?.committed ?? null;
      const old = node.slots.seals.get(`memory:system-${otherSlot(slot)}`)?.committed ?? -1;
      if (mark === null || mark <= old) found.push(`${id}: the seals tell of another commit`);
      if (tries > 0 && mark !== trialId) found.push(`${id}: the newest commit is in no seal`);
      const update = state?.record.update.state ?? 'none';
      const resting = ['idle', 'installed', 'committed', 'reverted', 'failed'];
      if (!resting.includes(update)) found.push(`${id}: the update rests in ${update}`);
      const content = await node.journal().read();
      const same = JSON.stringify(content.node) === JSON.stringify(state?.record);
      if (!same) found.push(`${id}: the journal does not hold the state of the node`);
      if (this.world.store.lost(id).length > 0) found.push(`${id}: acknowledged writes are lost`);
    }
    if (this.world.network.mostHolders > 1) found.push('two nodes served at once');
    return found;
  }

  /** Phase and versions in a word, e.g. `DONE 2/2 1/1`: system/storage of A, then of B. */
  end(): string {
    const { state } = this.nodes.A;
    const words = NODES.map((id) => {
      const world = this.nodes[id].state?.world;
      return `${world?.system?.counter}/${world?.storage?.release.counter}`;
    });
    return `${state?.rollout?.phase ?? 'NONE'} ${words.join(' ')}`;
  }

  describe(): string {
    return NODES.map((id) => {
      const node = this.nodes[id];
      const s = node.state;
      if (s === null) return `${id} off`;
      const { role, update } = s.record;
      const troubles = Object.entries(s.world.troubles).map(([k, v]) => `${k}: ${v.message}`);
      return [
        `${id} ${s.rollout?.phase} ${update.state} boot=${JSON.stringify(s.world.boot)}`,
        `chooser=${JSON.stringify(s.world.bootState)}`,
        `epoch=${role.epoch}${role.holder} pmto=${role.peerMayTakeOver}`,
        `sd=${s.record.standDown !== null} adm=${s.world.admitted} serving=${s.world.serving}`,
        `store=${s.world.store.role}/${s.world.store.peer} ${troubles.join()}`,
        `problems=${node.problems.join('; ')} log=${node.log.slice(-5).join(' | ')}`,
      ].join('\n  ');
    }).join('\n');
  }
}
