/**
 * A pair of simulated appliances with a link and a replicated store, driven by virtual time in one
 * thread: the real pure machine, effects executed one by one, invariants I1-I8 checked after every
 * step. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import { NODES, peerOf } from '../../src/core/model.ts';
import { compareWriter, END_PHASES, type RolloutRecord } from '../../src/core/records.ts';
import { effectKey, onTrial, type Effect, type NodeState } from '../../src/core/state.ts';
import type { StoreStatus } from '../../src/core/store.ts';
import { Appliance, PowerCut } from './appliance.ts';
import { BUNDLE, disk, firstRecord, fresh, type PairOptions, type Replica } from './fixture.ts';

export const TICK_MS = 100;
/** Health checks of a trial take some steps, so that its phases can be met. */
const HEALTH_TICKS = 3;

export class Pair {
  readonly nodes: Record<NodeId, Appliance>;
  readonly replicas: Record<NodeId, Replica>;
  readonly options: PairOptions;
  ms = 0;
  linkUp = true;
  acknowledged = 0;
  /** Virtual milliseconds in which nobody served, longest run. */
  longestGapMs = 0;
  private gapMs = 0;
  cuts = 0;
  fences = 0;
  /** Nodes that stay off. */
  readonly dead = new Set<NodeId>();

  constructor(options: PairOptions = {}) {
    this.options = options;
    const faults = options.faults ?? {};
    this.nodes = {
      A: new Appliance('A', disk('A'), faults),
      B: new Appliance('B', disk('B'), faults),
    };
    this.replicas = { A: fresh(), B: fresh() };
    for (const node of NODES) {
      this.nodes[node].takeover = options.takeover ?? 'manual';
      this.nodes[node].powerOn(0);
    }
  }

  /** The rollout record as the daemon makes it from a validated bundle. */
  start(kind: RolloutRecord['kind'] = 'update'): void {
    const holder = this.serving();
    if (holder === null) throw new Error('nobody serves');
    const record = firstRecord(kind, this.ms, holder, this.options);
    const active = this.nodes[holder];
    if (kind === 'update' && !active.disk.depot.includes(BUNDLE)) active.disk.depot.push(BUNDLE);
    this.send(holder, { type: 'depot', depot: [...active.disk.depot], freeBytes: null });
    this.send(holder, { type: 'start', record });
  }

  serving(): NodeId | null {
    return NODES.find((node) => this.nodes[node].state?.world.serving != null) ?? null;
  }

  send(node: NodeId, event: Parameters<Appliance['send']>[0]): void {
    try {
      this.nodes[node].send(event, this.ms);
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      this.cuts++;
    }
    this.check();
  }

  /** One step of virtual time: boots, messages, store, effects, writes of a client. */
  tick(): void {
    this.ms += TICK_MS;
    for (const node of NODES) {
      if (this.nodes[node].state === null && !this.dead.has(node)) this.reboot(node);
    }
    for (const node of NODES) this.deliver(node);
    for (const node of NODES) this.runEffects(node);
    this.replicate();
    this.gapMs = this.serving() === null ? this.gapMs + TICK_MS : 0;
    this.longestGapMs = Math.max(this.longestGapMs, this.gapMs);
  }

  private reboot(node: NodeId): void {
    this.replicas[node].role = 'secondary';
    this.replicas[node].alone = false;
    this.nodes[node].powerOn(this.ms);
    this.send(peerOf(node), { type: 'link', up: false });
  }

  private deliver(to: NodeId): void {
    const from = this.nodes[peerOf(to)];
    const receiver = this.nodes[to];
    const up = this.linkUp && from.state !== null;
    this.send(to, { type: 'tick' });
    if (receiver.state === null) return;
    if (receiver.state.world.linkUp !== up) this.send(to, { type: 'link', up });
    if (!up) return;
    const report = from.report();
    if (report !== null) this.send(to, { type: 'report', report: structuredClone(report) });
    const record = from.state?.rollout ?? null;
    const mine = this.nodes[to].state?.rollout ?? null;
    if (record !== null && (mine === null || compareWriter(record.writer, mine.writer) > 0)) {
      this.send(to, { type: 'rollout', record: structuredClone(record) });
    }
  }

  private runEffects(node: NodeId): void {
    const appliance = this.nodes[node];
    const done = new Set<string>();
    for (let guard = 0; guard < 50; guard++) {
      const effect = appliance.effects().find((one) => !done.has(effectKey(one)));
      if (effect === undefined) return;
      done.add(effectKey(effect));
      try {
        this.execute(node, effect);
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error;
        this.cuts++;
        return;
      }
    }
    throw new Error(`node ${node}: effects never end`);
  }

  private execute(node: NodeId, effect: Effect): void {
    const appliance = this.nodes[node];
    const replica = this.replicas[node];
    const { disk: d } = appliance;
    switch (effect.do) {
      case 'run-storage': {
        const found = d.seals.storage[effect.slot];
        if (found === null) throw new Error(`node ${node} runs an invalid storage slot`);
        const running = { slot: effect.slot, release: found.release };
        this.send(node, { type: 'storage', running });
        return this.storeEvent(node);
      }
      case 'serve':
        Object.assign(replica, { role: 'primary', epoch: effect.epoch, alone: false });
        this.storeEvent(node);
        return this.send(node, { type: 'serving', epoch: effect.epoch });
      case 'release':
        this.send(node, { type: 'serving', epoch: null });
        Object.assign(replica, { role: 'secondary', alone: false });
        return this.storeEvent(node);
      case 'go-alone':
        replica.alone = true;
        return this.storeEvent(node);
      case 'fetch':
        if (!d.depot.includes(effect.bundle)) appliance.write(() => d.depot.push(effect.bundle));
        return this.send(node, { type: 'depot', depot: [...d.depot], freeBytes: null });
      case 'fence':
        if (this.options.fence === 'failed') return;
        this.fences++;
        this.nodes[peerOf(node)].state = null;
        return this.send(node, { type: 'peer-off', word: 'fence' });
      case 'raise-format':
        return this.send(node, { type: 'format-raised', rollout: effect.rollout });
      case 'offer':
        return;
      case 'watch-service': {
        const bad = appliance.health();
        const reason = bad?.storage ?? bad?.system ?? null;
        const told = appliance.state?.world.troubles[effect.do]?.message;
        if (reason?.message === told) return;
        return this.send(node, { type: 'trouble', effect: effect.do, reason });
      }
      case 'install': {
        const reason = appliance.install(effect.job);
        this.send(node, { type: 'seals', seals: appliance.seals() });
        this.send(node, { type: 'boot-state', state: d.boot });
        const event =
          reason === null
            ? ({ type: 'installed', job: effect.job } as const)
            : ({ type: 'install-failed', job: effect.job, reason } as const);
        return this.send(node, event);
      }
      case 'arm': {
        const { id, slot, tries } = effect.trial;
        appliance.write(() => {
          d.boot = appliance.bump({ trial: slot, trialId: id, tries, otherOk: false });
        });
        return this.send(node, { type: 'boot-state', state: d.boot });
      }
      case 'commit':
        appliance.commit(effect.trial);
        this.send(node, { type: 'seals', seals: appliance.seals() });
        return this.send(node, { type: 'boot-state', state: d.boot });
      case 'revert':
        appliance.write(() => (d.boot = appliance.bump({ trial: null, tries: 0 })));
        return this.send(node, { type: 'boot-state', state: d.boot });
      case 'close-other-slot':
        appliance.write(() => (d.boot = appliance.bump({ otherOk: false })));
        return this.send(node, { type: 'boot-state', state: d.boot });
      case 'reboot':
        appliance.state = null;
        return;
      case 'check-health': {
        const verdict = appliance.health();
        if (verdict === undefined || ++appliance.checks < HEALTH_TICKS) return;
        appliance.checks = 0;
        const trialId = effect.trial.id;
        const proven = appliance.state?.record.storage.trial?.proven ?? true;
        if (verdict.storage === null && !proven) {
          this.send(node, { type: 'storage-proven', trialId });
        }
        const reason = verdict.storage ?? verdict.system;
        return this.send(node, { type: 'health', trialId, reason });
      }
    }
  }

  private storeEvent(node: NodeId): void {
    const { state } = this.nodes[node];
    if (state === null || state.world.storage === null) return;
    const status = this.storeStatus(node);
    if (JSON.stringify(status) === JSON.stringify(state.world.store)) return;
    this.send(node, { type: 'store', status });
  }

  private storeConnected(): boolean {
    return this.linkUp && NODES.every((node) => this.nodes[node].state?.world.storage != null);
  }

  private storeStatus(node: NodeId): StoreStatus {
    const mine = this.replicas[node];
    const theirs = this.replicas[peerOf(node)];
    const connected = this.storeConnected();
    const primary = mine.role === 'primary';
    return {
      role: mine.role,
      epoch: mine.epoch,
      connected,
      local: mine.stale ? 'stale' : 'current',
      peer: primary && connected ? (theirs.stale ? 'stale' : 'current') : 'unknown',
      frozen: primary && !connected && !mine.alone,
      splitBrain: false,
      sync: null,
      lastSync: null,
      generation: { current: 'g', base: null, history: [] },
      protocol: [1, 1],
    };
  }

  /** A client writes once per tick; a resync takes as many ticks as the options say. */
  private replicate(): void {
    for (const node of NODES) {
      const mine = this.replicas[node];
      const theirs = this.replicas[peerOf(node)];
      if (mine.role !== 'primary' || this.nodes[node].state === null) continue;
      if (this.storeConnected()) {
        mine.alone = false;
        if (theirs.stale && ++theirs.synced >= (this.options.syncTicks ?? 1)) {
          Object.assign(theirs, { stale: false, writes: mine.writes });
        }
        mine.writes++;
        if (!theirs.stale) theirs.writes++;
        this.acknowledged++;
      } else if (mine.alone) {
        mine.writes++;
        this.acknowledged++;
        Object.assign(theirs, { stale: true, synced: 0 });
      } else theirs.synced = 0;
    }
    for (const node of NODES) this.storeEvent(node);
  }

  /** True when nothing moves any more: an end phase, both admitted, both current. */
  quiet(): boolean {
    const rollouts = NODES.map((node) => this.nodes[node].state?.rollout ?? null);
    const ended = rollouts.every((one) => one === null || END_PHASES.has(one.phase));
    const same = JSON.stringify(rollouts[0]) === JSON.stringify(rollouts[1]);
    return ended && same && this.highlyAvailable();
  }

  highlyAvailable(): boolean {
    const holder = this.serving();
    if (holder === null) return false;
    const standby = this.nodes[peerOf(holder)].state;
    const active = this.nodes[holder].state;
    if (standby === null || active === null) return false;
    return (
      standby.world.admitted &&
      active.record.role.peerMayTakeOver &&
      standby.record.standDown === null &&
      NODES.every((node) => !this.replicas[node].stale)
    );
  }

  /** Runs until quiet; throws with the state when it does not come to rest in `seconds`. */
  run(seconds = 600): void {
    const until = this.ms + seconds * 1000;
    for (let calm = 0; calm < 10;) {
      this.tick();
      calm = this.quiet() ? calm + 1 : 0;
      if (this.ms > until) throw new Error(`not quiet: ${this.describe()}`);
    }
  }

  describe(): string {
    return NODES.map((node) => {
      const s = this.nodes[node].state;
      if (s === null) return `${node} off`;
      const { record, world } = s;
      const { role } = record;
      const { store } = world;
      const effects = this.nodes[node].effects().map((e) => e.do);
      return [
        `${node} ${s.rollout?.phase} update=${record.update.state} boot=${world.boot.slot}`,
        `epoch=${role.epoch}${role.holder} pmto=${role.peerMayTakeOver}`,
        `sd=${record.standDown !== null} adm=${world.admitted}`,
        `serving=${world.serving} drain=${world.draining}`,
        `effects=${effects.join()} store=${store.role}/${store.local}/${store.peer}`,
      ].join(' ');
    }).join('\n');
  }

  check(): void {
    const live = NODES.map((node) => this.nodes[node].state).filter((s) => s !== null);
    const servers = live.filter((s) => s.world.serving !== null);
    const fail = (what: string): never => {
      throw new Error(`${what} at ${this.ms} ms\n${this.describe()}`);
    };
    if (servers.length > 1) fail('I1 two nodes serve');
    for (const s of servers) this.checkServer(s, fail);
    const [a, b] = [this.nodes.A.disk, this.nodes.B.disk];
    const both = [a, b].map((d) => d.record.role);
    if (both[0]?.epoch === both[1]?.epoch && both[0]?.holder !== both[1]?.holder) {
      fail('I5 one epoch, two holders');
    }
    if (a.record.standDown !== null && b.record.standDown !== null) fail('I6 both stood down');
    if (a.boot.trial !== null && b.boot.trial !== null) fail('I3 two trials at once');
  }

  private checkServer(s: NodeState, fail: (what: string) => never): void {
    const { node } = s.record;
    if (this.replicas[node].writes < this.acknowledged) fail('I2 an acknowledged write is lost');
    if (onTrial(s)) fail('I8 an uncommitted trial serves');
    const storage = s.world.storage?.release.version;
    const system = s.world.system?.version;
    const range = this.options.storageRunsWith ?? '>=1.0.0';
    if (storage === '2.0.0' && system === '1.0.0' && range === '>=2.0.0') {
      fail('I7 storage and system do not run together');
    }
  }
}
