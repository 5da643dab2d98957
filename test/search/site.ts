/**
 * One node of the searched pair, as one value: what is durable, what runs, what the machine knows,
 * and which effects are under way. Always holds: equal nodes are one object with one number; a
 * number of a boot, a time and a sequence number of a report are reduced to what the machine can
 * compare (this boot or an earlier one, over or not, newer), so that states are finite
 * (`reduce.ts`). Only tests import it.
 */
import type { BootCounter, BootState } from '../../src/core/boot.ts';
import type { NodeId, Sha256, Slot } from '../../src/core/model.ts';
import type { NodeRecord, RolloutRecord } from '../../src/core/records.ts';
import type { NodeReport, Seals } from '../../src/core/report.ts';
import type { Effect, Event, NodeState, World } from '../../src/core/state.ts';
import type { StoreStatus } from '../../src/core/store.ts';
import { STORE_UNKNOWN } from '../../src/core/store.ts';
import type { Core } from './core.ts';
import { Interner } from './intern.ts';
import { atRest, NOW, plain, readPart } from './reduce.ts';
import { ended as copyEnded, statusOf, type Replica } from './replica.ts';
import { bootName, oldBoot, oldRun, runName, worldAt } from './start.ts';

/** An effect under way, and how far its work has come. */
export interface Op {
  readonly effect: Effect;
  /** Number of the next piece of work; `rests` = ended well, `failed` = to be tried again. */
  readonly stage: number | 'rests' | 'failed';
  /** The machine does not want it any more; what has begun goes on. */
  readonly aborted: boolean;
}

/** Effects of one group never overlap (src/updater/effects.ts). */
export type Group = 'service' | 'slots' | 'storage' | 'fetch' | 'fence';
export type Ops = Readonly<Record<Group, Op | null>>;

const GROUP: Partial<Readonly<Record<Effect['do'], Group>>> = {
  'run-storage': 'storage',
  serve: 'service',
  release: 'service',
  'go-alone': 'service',
  fetch: 'fetch',
  install: 'slots',
  arm: 'slots',
  commit: 'slots',
  revert: 'slots',
  'close-other-slot': 'slots',
  reboot: 'slots',
  fence: 'fence',
};
const GROUPS: readonly Group[] = ['service', 'slots', 'storage', 'fetch', 'fence'];
const NO_OPS: Ops = { service: null, slots: null, storage: null, fetch: null, fence: null };

/** The parts of a node. */
export interface Parts {
  readonly node: NodeId;
  /** The machine has decisions to take before the next event. */
  readonly busy: boolean;
  readonly record: NodeRecord;
  readonly rollout: RolloutRecord | null;
  /** What the daemon observed; null while the node is off. */
  readonly world: World | null;
  readonly boot: BootState;
  readonly counter: BootCounter;
  readonly seals: Seals;
  readonly depot: readonly Sha256[];
  /** The storage slot whose software runs. */
  readonly storage: Slot | null;
  /** Clients are served here. */
  readonly serves: boolean;
  readonly copy: Replica;
  readonly ops: Ops;
  /** Trial that was found healthy, remembered by the search alone. */
  readonly healthy: number;
}

export interface Site extends Parts {
  readonly id: number;
}

/** What is over: the boot of a node, or only the run of its daemon. */
export type Over = 'boot' | 'run';

/** Parts that are objects, but for the world, whose fields are told apart one by one. */
const VALUES = ['record', 'rollout', 'boot', 'counter', 'seals', 'depot', 'copy', 'ops'] as const;

/** Makes nodes, each only once. */
export class Sites {
  readonly core: Core;
  readonly values = new Interner();
  readonly list: Site[] = [];
  readonly #byKey = new Map<string, Site>();
  readonly #aged = new Map<number, object>();
  readonly #agedSites: Record<`${NodeId}${Over}`, (Site | undefined)[]> = {
    Aboot: [],
    Arun: [],
    Bboot: [],
    Brun: [],
  };
  readonly #off: (Site | undefined)[] = [];
  readonly #status = new WeakMap<Replica, StoreStatus>();
  readonly #withCopy = new Map<number, Site>();
  readonly #copyIds = new Map<Replica, number>();
  readonly #changes = new Map<string, Map<number, readonly [Replica, Replica] | null>>();

  constructor(core: Core) {
    this.core = core;
  }

  /** The one object for these parts. */
  make(full: Parts): Site {
    const parts = plain(full);
    const { node, busy, serves, storage, healthy } = parts;
    let key = `${node}${busy ? 1 : 0}${serves ? 1 : 0}${storage ?? '-'}${healthy}`;
    const ids = VALUES.map((name) => this.values.id(parts[name]));
    for (const id of ids) key += `,${id}`;
    const world = parts.world === null ? null : this.#ids(parts.world);
    if (world !== null) key += world.join(' ');
    let site = this.#byKey.get(key);
    if (site === undefined) {
      const canon = Object.fromEntries(
        VALUES.map((name, i) => [name, this.values.at(ids[i] ?? 0)]),
      );
      site = { ...parts, ...canon, world: this.#world(parts.world, world), id: this.list.length };
      this.list.push(site);
      this.#byKey.set(key, site);
    }
    return site;
  }

  /** What was observed, as numbers of its objects and as plain values. */
  #ids(world: World): readonly unknown[] {
    return Object.values(world).map((value: unknown) =>
      typeof value === 'object' ? this.values.id(value) : value,
    );
  }

  #world(world: World | null, ids: readonly unknown[] | null): World | null {
    if (world === null || ids === null) return null;
    const canon = Object.entries(world).map(([field, value]: [string, unknown], i) => {
      const plainly = typeof value !== 'object' || field === 'clock';
      return [field, plainly ? value : this.values.at(ids[i] as number)];
    });
    return Object.fromEntries(canon) as World;
  }

  /** What the machine works on. */
  state(site: Site): NodeState {
    const { record, rollout, world } = site;
    if (world === null) throw new Error(`node ${site.node} is off`);
    return { record, rollout, world };
  }

  /** The node after the machine has a new state: it decides on, or it rests and acts. */
  settled(site: Parts, s: NodeState): Site {
    const busy = this.core.machine.settle(s) !== undefined;
    const next = { ...site, ...s, busy };
    if (busy) return this.make(next);
    const ops = this.#reconcile(site.ops, s);
    return this.make({ ...next, ops, world: atRest(s.world) });
  }

  /** The node after an event; the same node when the event has no meaning. */
  event(site: Parts, event: Event, ms = 0): Site {
    const { record, rollout, world } = site;
    if (world === null) throw new Error(`node ${site.node} is off`);
    const s = { record, rollout, world };
    const next = this.core.machine.step(s, event, { ...NOW, ms });
    return this.settled(site, next ?? s);
  }

  /** The node after a piece of an effect's work was done. */
  worked(site: Parts): Site {
    if (site.busy || site.world === null) return this.make(site);
    const { record, rollout, world } = site;
    const ops = this.#reconcile(site.ops, { record, rollout, world });
    return this.make({ ...site, ops });
  }

  /** Effects are begun, given up and forgotten as in src/updater/effects.ts. */
  #reconcile(ops: Ops, s: NodeState): Ops {
    const key = (effect: Effect): number => this.values.id(effect);
    const wanted = this.core.machine.effectsOf(s).filter((one) => GROUP[one.do] !== undefined);
    const next: Record<Group, Op | null> = { ...ops };
    for (const group of GROUPS) {
      const mine = wanted.filter((one) => GROUP[one.do] === group);
      const op = next[group];
      const kept = op !== null && mine.some((one) => key(one) === key(op.effect));
      if (op !== null && (kept || typeof op.stage === 'number')) {
        if (!kept && !op.aborted) next[group] = { ...op, aborted: true };
        continue;
      }
      const [first] = mine;
      next[group] = first === undefined ? null : { effect: first, stage: 0, aborted: false };
    }
    return next;
  }

  /** The node with its copy of the store in another state. */
  withCopy(site: Site, copy: Replica): Site {
    const canon = this.values.of(copy);
    if (canon === site.copy) return site;
    const key = site.id * 4096 + this.#copyId(canon);
    let next = this.#withCopy.get(key);
    if (next === undefined) {
      next = this.make({ ...site, copy: canon });
      this.#withCopy.set(key, next);
    }
    return next;
  }

  /** A change of one or both copies, made once for equal ones. */
  copies(
    name: string,
    x: Replica,
    y: Replica,
    change: (x: Replica, y: Replica) => readonly [Replica, Replica] | null,
  ): readonly [Replica, Replica] | null {
    let known = this.#changes.get(name);
    if (known === undefined) this.#changes.set(name, (known = new Map()));
    const key = this.#copyId(x) * 4096 + this.#copyId(y);
    let next = known.get(key);
    if (next === undefined) {
      const changed = change(x, y);
      next = changed === null ? null : [this.values.of(changed[0]), this.values.of(changed[1])];
      known.set(key, next);
    }
    return next;
  }

  #copyId(copy: Replica): number {
    let id = this.#copyIds.get(copy);
    if (id === undefined) {
      id = this.#copyIds.size;
      this.#copyIds.set(copy, id);
    }
    return id;
  }

  /** What the storage software says now. */
  status(site: Site): StoreStatus {
    if (site.storage === null) return this.values.of(STORE_UNKNOWN);
    let status = this.#status.get(site.copy);
    if (status === undefined) {
      status = this.values.of(statusOf(site.copy));
      this.#status.set(site.copy, status);
    }
    return status;
  }

  /** Power is gone: what is durable stays, and this boot is an earlier one from now on. */
  off(site: Site): Site {
    const known = this.#off[site.id];
    if (known !== undefined) return known;
    const next = this.aged(this.make({ ...ended(site), busy: false, world: null }), site.node);
    this.#off[site.id] = next;
    return next;
  }

  /** The daemon ended, with all that it ran, and has started again in the same boot. */
  restarted(site: Site): Site {
    const { world } = site;
    if (world === null) return site;
    const old = this.aged(this.make({ ...ended(site), world: null }), site.node, 'run');
    const { record, rollout } = old;
    return this.settled(old, { record, rollout, world: worldAt(old, world.boot, world.takeover) });
  }

  /** The same value after the boot of `node`, or the run of its daemon, is over. */
  age<T extends object | null>(value: T, node: NodeId, over: Over = 'boot'): T {
    if (value === null) return value;
    const id = this.values.id(value) * 4 + (node === 'A' ? 0 : 1) + (over === 'boot' ? 0 : 2);
    let old = this.#aged.get(id) as T | undefined;
    if (old === undefined) {
      const text = JSON.stringify(this.values.of(value));
      let aged = text.replaceAll(`"${runName(node)}"`, `"${oldRun(node)}"`);
      if (over === 'boot') aged = aged.replaceAll(`"${bootName(node)}"`, `"${oldBoot(node)}"`);
      old = this.values.of(JSON.parse(aged) as T);
      this.#aged.set(id, old as object);
    }
    return old;
  }

  /** A node after the boot of `node`, itself or its peer, or the run of its daemon is over. */
  aged(site: Site, node: NodeId, over: Over = 'boot'): Site {
    const cache = this.#agedSites[`${node}${over}`];
    const known = cache[site.id];
    if (known !== undefined) return known;
    const { world } = site;
    const peer = this.age(world?.peer ?? null, node, over);
    const next = this.make({
      ...site,
      record: this.age(site.record, node, over),
      rollout: this.age(site.rollout, node, over),
      world: world === null ? null : { ...world, peer },
    });
    cache[site.id] = next;
    return next;
  }

  /** The report of a node at rest; newer than any that was sent before. */
  report(site: Site): NodeReport {
    return this.values.of(readPart(this.core.report.reportOf(this.state(site), 0)));
  }

  /** The rollout record goes with a report when the peer's last word was an older one. */
  rolloutFor(site: Site): RolloutRecord | null {
    const theirs = site.world?.linkUp === true ? site.world.peer : null;
    const { rollout } = site;
    if (rollout === null || theirs === null || theirs === undefined) return null;
    const position = theirs.rollout;
    const newer =
      position === null || this.core.records.compareWriter(rollout.writer, position) > 0;
    return newer ? rollout : null;
  }

  /** The node after a report arrived. */
  hears(site: Site, report: NodeReport): Site {
    const { seq } = report;
    const fresh = { ...report, seq: seq + 1 };
    const s = this.state(site);
    const next = this.core.machine.step(s, { type: 'report', report: fresh }, NOW);
    if (next === undefined) return site;
    const world = next.world.peer === fresh ? { ...next.world, peer: report } : next.world;
    return this.settled(site, { ...next, world });
  }
}

/** The parts of a node whose daemon has ended, with all that it ran. */
const ended = (site: Parts): Parts => ({
  ...site,
  storage: null,
  serves: false,
  copy: copyEnded(site.copy),
  ops: NO_OPS,
});
