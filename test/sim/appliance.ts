/**
 * One appliance of the simulated pair: what is durable (records, boot chooser, slots, depot) apart
 * from what a power cut takes away, and the real pure machine on top. Every durable write counts,
 * and power can be cut before any of them. Only tests import it.
 */
import {
  selectBoot,
  type BootCounter,
  type BootInfo,
  type BootState,
} from '../../src/core/boot.ts';
import { effectsOf, settle, step } from '../../src/core/machine.ts';
import type { NodeId, Release, Sha256, Slot, SlotSeal } from '../../src/core/model.ts';
import { otherSlot } from '../../src/core/model.ts';
import type { Job, NodeRecord, Reason, RolloutRecord } from '../../src/core/records.ts';
import { positionOf, type NodeReport, type Seals } from '../../src/core/report.ts';
import { admits, wantsDown } from '../../src/core/role.ts';
import type { Effect, Event, NodeState } from '../../src/core/state.ts';
import { STORE_UNKNOWN } from '../../src/core/store.ts';

/** Thrown where power is cut; nothing may catch it but the simulation. */
export class PowerCut extends Error {}

export interface Disk {
  record: NodeRecord;
  rollout: RolloutRecord | null;
  boot: BootState;
  counter: BootCounter;
  seals: { system: Record<Slot, SlotSeal | null>; storage: Record<Slot, SlotSeal | null> };
  depot: Sha256[];
}

/** What a version does when it runs: the faults of an image are properties of its version word. */
export interface Faults {
  /** Version that never comes up. */
  readonly crash?: string;
  /** `version` or `version@node` whose health check fails. */
  readonly unhealthy?: string;
  readonly storageUnhealthy?: string;
  readonly unhealthyOn?: NodeId;
  /** Node whose installation fails. */
  readonly installFails?: NodeId;
}

export function release(cls: 'system' | 'storage', counter: number): Release {
  return { product: 'sim', class: cls, version: `${counter}.0.0`, counter };
}

/** A seal as the factory writes it for version 1, and the installation for others. */
export function seal(cls: 'system' | 'storage', counter: number, runsWith: string): SlotSeal {
  const digest = `${counter}`.padStart(64, cls === 'system' ? 'a' : 'b') as Sha256;
  return {
    imageId: digest,
    rawBytes: 1,
    rawSha256: digest,
    release: release(cls, counter),
    runsWith,
    committed: counter === 1 ? 0 : null,
  };
}

export class Appliance {
  readonly id: NodeId;
  readonly disk: Disk;
  readonly faults: Faults;
  state: NodeState | null = null;
  boots = 0;
  checks = 0;
  /** Durable writes since the start of the simulation, and before which one power is cut. */
  writes = 0;
  cutAt = Number.POSITIVE_INFINITY;
  /** Reports sent; the newest one waits here for the peer. */
  seq = 0;
  unknownEvents: string[] = [];
  takeover: 'manual' | 'fence' = 'manual';

  constructor(id: NodeId, disk: Disk, faults: Faults) {
    this.id = id;
    this.disk = disk;
    this.faults = faults;
  }

  write(change: () => void): void {
    this.writes++;
    if (this.writes >= this.cutAt) {
      this.cutAt = Number.POSITIVE_INFINITY;
      this.state = null;
      throw new PowerCut(`node ${this.id} before write ${this.writes}`);
    }
    change();
  }

  /** The boot loader and the start of the daemon; a version that crashes uses up its attempts. */
  powerOn(ms: number): void {
    for (let tries = 0; tries < 5; tries++) {
      const chosen = selectBoot(this.disk.boot, this.disk.counter);
      if (chosen.save !== null) this.disk.counter = chosen.save;
      this.boots++;
      const version = this.disk.seals.system[chosen.slot]?.release.version;
      if (version === undefined) throw new Error(`node ${this.id} boots an invalid slot`);
      if (version === this.faults.crash) continue;
      this.start({ bootId: `${this.id}${this.boots}`, ...chosen }, ms);
      return;
    }
    throw new Error(`node ${this.id} does not boot`);
  }

  private start(boot: BootInfo, ms: number): void {
    const { disk } = this;
    this.state = {
      record: disk.record,
      rollout: disk.rollout,
      world: {
        clock: { ms, at: String(ms) },
        run: boot.bootId,
        program: 'sim',
        boot: { bootId: boot.bootId, slot: boot.slot, reason: boot.reason, attempt: boot.attempt },
        bootState: disk.boot,
        system: disk.seals.system[boot.slot]?.release ?? null,
        seals: structuredClone(disk.seals),
        depot: [...disk.depot],
        freeBytes: null,
        storage: null,
        store: STORE_UNKNOWN,
        serving: null,
        draining: false,
        linkUp: false,
        peer: null,
        linkLostMs: null,
        takeover: this.takeover,
        peerTakeover: 'manual',
        peerKnows: 'manual',
        formatRaisedFor: null,
        headStartMs: 2000,
        switching: false,
        peerHeardMs: ms,
        admitted: false,
        activity: null,
        troubles: {},
        bulkPort: 1,
        staging: null,
        phaseSinceMs: ms,
        driverHeardMs: ms,
      },
    };
  }

  /**
   * One event, then every decision that follows from it; each durable change is written at once.
   */
  send(event: Event, ms: number): void {
    if (this.state === null) return;
    const next = step(this.state, event, { ms, at: String(ms) });
    if (next === undefined) {
      this.unknownEvents.push(event.type);
      return;
    }
    this.take(next);
    for (let guard = 0; ; guard++) {
      if (guard > 100) {
        const then = this.state;
        const now = settle(then);
        const changes = `${diff(then.record, now?.record)} ${diff(then.world, now?.world)}`;
        throw new Error(`node ${this.id} never settles: ${changes}`);
      }
      const decided = settle(this.state);
      if (decided === undefined) return;
      this.take(decided);
    }
  }

  private take(next: NodeState): void {
    const before = this.state;
    if (before === null) return;
    if (next.record !== before.record) this.write(() => (this.disk.record = next.record));
    if (next.rollout !== before.rollout) this.write(() => (this.disk.rollout = next.rollout));
    this.state = next;
  }

  effects(): readonly Effect[] {
    return this.state === null ? [] : effectsOf(this.state);
  }

  report(): NodeReport | null {
    const { state } = this;
    if (state === null) return null;
    const { world } = state;
    return {
      schema: 1,
      protocol: [1, 1],
      pair: state.record.pair,
      node: this.id,
      bootId: world.boot.bootId,
      run: world.run,
      seq: ++this.seq,
      program: world.program,
      boot: world.boot,
      record: state.record,
      serving: world.serving !== null,
      admitted: world.admitted,
      admits: admits(state),
      wantsDown: wantsDown(state),
      takeover: world.takeover,
      knowsTakeover: world.peerTakeover,
      rollout: positionOf(state.rollout),
      system: world.system,
      storage: world.storage?.release ?? null,
      seals: world.seals,
      depot: world.depot,
      store: world.store,
      activity: null,
      troubles: world.troubles,
      bulkPort: world.bulkPort,
      staging: world.staging,
      freeBytes: null,
    };
  }

  /** The installer: invalidate, write, read back, seal; each a durable write of its own. */
  install(job: Job): Reason | null {
    if (this.faults.installFails === this.id) {
      return { code: 'slot.io', message: `node ${this.id} cannot write its slot` };
    }
    if (job.mode === 'return') {
      const good = job.targets.every(
        (target) => this.disk.seals[target.class][target.slot] !== null,
      );
      return good ? null : { code: 'rollback.unavailable', message: 'no image' };
    }
    for (const target of job.targets) {
      if (this.disk.boot.otherOk) {
        this.write(() => (this.disk.boot = this.bump({ otherOk: false })));
      }
      this.write(() => (this.disk.seals[target.class][target.slot] = null));
      this.write(() => undefined);
      const { counter } = target.release;
      this.write(() => {
        this.disk.seals[target.class][target.slot] = seal(target.class, counter, '>=1.0.0');
      });
    }
    return null;
  }

  /** The write in the boot chooser, then the one in the seal; what is done already is not again. */
  commit({ id, slot }: { readonly id: number; readonly slot: Slot }): void {
    const { boot, seals } = this.disk;
    if (boot.trial !== null) {
      this.write(() => {
        this.disk.boot = this.bump({ default: slot, trial: null, otherOk: true });
      });
    }
    const found = seals.system[slot];
    if (found === null || found.committed === id) return;
    this.write(() => (seals.system[slot] = { ...found, committed: id }));
  }

  bump(change: Partial<BootState>): BootState {
    return { ...this.disk.boot, ...change, seq: this.disk.boot.seq + 1 };
  }

  seals(): Seals {
    return structuredClone(this.disk.seals);
  }

  /**
   * The verdict of the health checks of what runs now; undefined while storage does not run yet.
   */
  health(): { storage: Reason | null; system: Reason | null } | undefined {
    const { state, faults } = this;
    const storage = state?.world.storage?.release.version;
    const system = state?.world.system?.version;
    if (storage === undefined || system === undefined) return undefined;
    const here = faults.unhealthyOn === undefined || faults.unhealthyOn === this.id;
    const bad = (version: string, fault: string | undefined): boolean => here && version === fault;
    return {
      storage: bad(storage, faults.storageUnhealthy)
        ? { code: 'health.storage', message: `storage ${storage} is not healthy` }
        : null,
      system: bad(system, faults.unhealthy)
        ? { code: 'health.check', message: `system ${system} is not healthy` }
        : null,
    };
  }

  /** The slot that a trial of the boot chooser would boot next. */
  otherSystem(): Slot {
    return otherSlot(this.disk.boot.default);
  }
}

/** The fields in which two plain objects differ, as text for a failing test. */
function diff(a: object, b: object | undefined): string {
  const other = new Map(Object.entries(b ?? {}));
  return Object.entries(a)
    .filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(other.get(key)))
    .map(([key, value]) => `${key}: ${JSON.stringify(value)} -> ${JSON.stringify(other.get(key))}`)
    .join('; ');
}
