/**
 * One appliance of the simulated pair: what is durable (records in a real journal and the boot
 * chooser on a disk that tears, seals, depot) apart from what a power cut takes away, and the real
 * pure machine on top. Every durable write counts; power can be cut before it, or inside it, and
 * then the disk decides what is left. Only tests import it.
 */
import type { BootFields } from '../../src/core/boot-change.ts';
import { armTrial, changeOtherOk, commitTrial, revertTrial } from '../../src/core/boot-change.ts';
import type { BootCounter, BootInfo, BootState } from '../../src/core/boot.ts';
import { effectsOf, settle, step } from '../../src/core/machine.ts';
import type { NodeId, Release, Sha256, Slot, SlotSeal } from '../../src/core/model.ts';
import type { NodeRecord, Reason, RolloutRecord } from '../../src/core/records.ts';
import type { NodeReport, Seals } from '../../src/core/report.ts';
import { startWorld } from '../../src/core/start.ts';
import type { Effect, Event, NodeState } from '../../src/core/state.ts';
import { reportOf } from '../../src/updater/report.ts';
import { FakeDisk, LOST, PowerCut, type Choose } from '../memory/disk.ts';
import { SimBoot, SimJournal } from './journal.ts';

/** Thrown where power is cut; nothing may catch it but the simulation. */
export { PowerCut };

/** What is durable, as a program would find it now. */
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
  /** Version of the system whose health check fails. */
  readonly unhealthy?: string;
  /** Version of the storage software whose health check fails. */
  readonly storageUnhealthy?: string;
  /** The only node on which the two above fail; both when not given. */
  readonly unhealthyOn?: NodeId;
  /** Version of the system that is healthy on trial, but ill as soon as it serves. */
  readonly illServing?: string;
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

const sameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

export class Appliance {
  readonly id: NodeId;
  readonly disk: Disk;
  readonly faults: Faults;
  readonly bytes: FakeDisk;
  #state: NodeState | null = null;
  #journal: SimJournal;
  #boot: SimBoot;
  #inFlight: object | null = null;
  /** The boot that goes on, also while only the daemon is down; null without power. */
  info: BootInfo | null = null;
  /** Grows when a life of the daemon ends: what belongs to an older one comes to nothing. */
  life = 0;
  boots = 0;
  runs = 0;
  /** Durable writes since the start of the simulation. */
  writes = 0;
  /** The write at which power is cut. */
  cutAt = Number.POSITIVE_INFINITY;
  /** 0: before that write; n: in the n-th operation of it on the disk. */
  cutOp = 0;
  /** What a cut inside a write leaves of it. */
  cutLeaves: number | Choose = LOST;
  /** Told of a cut inside a write, before the disk decides what is left of it. */
  onCut: (bytes: FakeDisk) => void = () => undefined;
  /** Records that were read torn, and dropped as they must be. */
  torn = 0;
  seq = 0;
  unknownEvents: string[] = [];
  /** Rules that were broken. */
  readonly problems: string[] = [];
  /** The last trial that the health checks found good. */
  healthyTrial = 0;
  /** Told when a life ends: `power` and everything is gone, `kill` and only the daemon is. */
  onEnd: (how: 'power' | 'kill') => void = () => undefined;
  /** Told of every change of the state. */
  onStep: (before: NodeState, after: NodeState) => void = () => undefined;

  constructor(id: NodeId, disk: Disk, faults: Faults, seed = 1) {
    this.id = id;
    this.disk = disk;
    this.faults = faults;
    this.bytes = new FakeDisk({ seed, traced: false });
    this.#journal = new SimJournal(this.bytes);
    this.#boot = new SimBoot(this.bytes);
    this.#boot.layOut();
  }

  /** The state of the daemon; null while it does not run. Set to null, it is a power cut. */
  get state(): NodeState | null {
    return this.#state;
  }

  set state(next: NodeState | null) {
    if (next !== null) this.#state = next;
    else if (this.#state !== null) this.fall();
  }

  /** Power is gone; `leaves` decides what became of sectors that were not synced. */
  fall(leaves: number | Choose = LOST): void {
    this.info = null;
    this.#end('power', leaves);
  }

  /** The daemon is killed and what it has started ends; the system goes on. */
  kill(): void {
    this.#end('kill', (sector) => sector.versions.length - 1);
  }

  #end(how: 'power' | 'kill', leaves: number | Choose): void {
    this.#state = null;
    this.life++;
    this.bytes.powerOff();
    this.bytes.powerOn(leaves);
    this.onEnd(how);
  }

  /** One durable change: power may be cut before it, or in the middle of it. */
  write(change: () => void): void {
    this.#durable(change);
  }

  #durable(change: () => void): void {
    this.writes++;
    const struck = this.writes >= this.cutAt;
    if (struck) {
      this.cutAt = Number.POSITIVE_INFINITY;
      if (this.cutOp === 0) {
        this.fall();
        throw new PowerCut(`node ${this.id} before write ${this.writes}`);
      }
      this.bytes.cutAt(this.cutOp);
    }
    try {
      change();
    } catch (error) {
      if (error instanceof PowerCut) {
        this.onCut(this.bytes);
        this.fall(this.cutLeaves);
      }
      throw error;
    }
    if (struck) this.bytes.cutAt(Infinity);
  }

  /** A durable change that is no file here: a seal, a bundle in the depot. */
  mark(label: string, change: () => void): void {
    this.write(() => {
      this.bytes.durable(label);
      change();
    });
  }

  /**
   * The boot loader and the start of the daemon; false when it does not come up this time. A
   * version that crashes uses up its attempts.
   */
  powerOn(ms: number, luck: () => boolean = () => true): boolean {
    for (let tries = 0; this.info === null; tries++) {
      if (tries > 10) throw new Error(`node ${this.id} does not boot`);
      this.#boot = new SimBoot(this.bytes);
      const { save, ...chosen } = this.#boot.select();
      if (save !== null) this.#durable(() => this.#boot.save(save));
      this.disk.counter = this.#boot.counter();
      this.boots++;
      const version = this.disk.seals.system[chosen.slot]?.release.version;
      if (version === undefined) throw new Error(`node ${this.id} boots an invalid slot`);
      if (version === this.faults.crash) continue;
      if (!luck()) return false;
      this.info = { bootId: `${this.id}${this.boots}`, ...chosen };
    }
    this.#start(this.info, ms);
    return true;
  }

  /** What the journal holds is what was durable last, or what was on its way: nothing else. */
  #recover(): void {
    this.#journal = new SimJournal(this.bytes);
    this.#boot = new SimBoot(this.bytes);
    const found = this.#journal.read();
    if (found.torn) this.torn++;
    const { disk } = this;
    const fresh = found.node === null && found.rollout === null;
    const good = (one: object | null, held: object | null): boolean =>
      sameJson(one, held) || (this.#inFlight !== null && sameJson(one, this.#inFlight));
    if (found.node !== null || !fresh) {
      const node = found.node === null || good(found.node, disk.record);
      if (!node || !good(found.rollout, disk.rollout)) {
        this.problems.push('the journal does not hold the records that were durable');
      }
    }
    this.#inFlight = null;
    disk.record = found.node ?? disk.record;
    disk.rollout = found.rollout;
    disk.boot = this.#boot.state();
  }

  /** What a node that is off will find when it starts. */
  findable(): NodeRecord {
    return new SimJournal(this.bytes).read().node ?? this.disk.record;
  }

  #start(boot: BootInfo, ms: number): void {
    this.#recover();
    const { disk } = this;
    this.runs++;
    this.seq = 0;
    this.#state = {
      record: disk.record,
      rollout: disk.rollout,
      world: startWorld({
        clock: { ms, at: String(ms) },
        run: `${boot.bootId}.${this.runs}`,
        program: 'sim',
        boot: { bootId: boot.bootId, slot: boot.slot, reason: boot.reason, attempt: boot.attempt },
        bootState: disk.boot,
        system: disk.seals.system[boot.slot]?.release ?? null,
        seals: this.seals(),
        depot: [...disk.depot],
        headStartMs: 2000,
      }),
    };
  }

  /**
   * One event, then every decision that follows from it; each durable change is written at once.
   * False when the event has no meaning now.
   */
  send(event: Event, ms: number): boolean {
    if (this.#state === null) return false;
    const next = step(this.#state, event, { ms, at: String(ms) });
    if (next === undefined) {
      this.unknownEvents.push(event.type);
      return false;
    }
    this.#take(next);
    for (let guard = 0; ; guard++) {
      const then: NodeState = this.#state;
      const decided = settle(then);
      if (decided === undefined) return true;
      if (guard > 100) {
        const changes = `${diff(then.record, decided.record)} ${diff(then.world, decided.world)}`;
        throw new Error(`node ${this.id} never settles: ${changes}`);
      }
      this.#take(decided);
    }
  }

  #take(next: NodeState): void {
    const before = this.#state;
    if (before === null) return;
    const { disk } = this;
    if (next.record !== before.record) {
      this.#append('node', next.record, () => (disk.record = next.record));
    }
    const { rollout } = next;
    if (rollout !== before.rollout && rollout !== null) {
      this.#append('rollout', rollout, () => (disk.rollout = rollout));
    }
    this.#state = next;
    this.onStep(before, next);
  }

  #append(kind: 'node' | 'rollout', record: object, done: () => void): void {
    this.write(() => {
      this.#inFlight = record;
      this.#journal.append(kind, record);
      this.#inFlight = null;
      done();
    });
  }

  effects(): readonly Effect[] {
    return this.#state === null ? [] : effectsOf(this.#state);
  }

  report(): NodeReport | null {
    return this.#state === null ? null : reportOf(this.#state, ++this.seq);
  }

  /** The write in the boot chooser is durable, or throws `boot.conflict`. */
  #chooser(change: (state: BootFields) => BootFields | null): void {
    const before = this.disk.boot.seq;
    const needed = change(this.disk.boot) !== null;
    if (needed) this.write(() => this.#boot.change(change));
    this.disk.boot = this.#boot.state();
    if (needed !== this.disk.boot.seq > before) this.problems.push('the boot chooser lost count');
  }

  arm(trial: { readonly id: number; readonly slot: Slot; readonly tries: number }): void {
    if (this.disk.seals.system[trial.slot] === null) this.problems.push('armed without a seal');
    this.#chooser((state) => armTrial(state, trial));
  }

  revert(id: number): void {
    this.#chooser((state) => revertTrial(state, id));
  }

  setOtherOk(ok: boolean): void {
    this.#chooser((state) => changeOtherOk(state, ok));
  }

  /** The write in the boot chooser, then the one in the seal; what is done already is not again. */
  commit({ id, slot }: { readonly id: number; readonly slot: Slot }): void {
    const { boot, seals, record } = this.disk;
    if (boot.trial !== null && (record.update.state !== 'committing' || this.healthyTrial !== id)) {
      this.problems.push('I4 a commit without a healthy trial');
    }
    this.#chooser((state) => commitTrial(state, id));
    const found = seals.system[slot];
    if (found === null || found.committed === id) return;
    this.mark('seal', () => (seals.system[slot] = { ...found, committed: id }));
  }

  seals(): Seals {
    const { system, storage } = this.disk.seals;
    return { system: { ...system }, storage: { ...storage } };
  }

  /**
   * The verdict of the health checks of what runs now; undefined while they wait for the storage
   * software.
   */
  health(): { storage: Reason | null; system: Reason | null } | undefined {
    const { faults } = this;
    const storage = this.#state?.world.storage?.release.version;
    const system = this.#state?.world.system?.version;
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
}

/** The fields in which two plain objects differ, as text for a failing test. */
function diff(a: object, b: object): string {
  const other = new Map(Object.entries(b));
  return Object.entries(a)
    .filter(([key, value]) => !sameJson(value, other.get(key)))
    .map(([key, value]) => `${key}: ${JSON.stringify(value)} -> ${JSON.stringify(other.get(key))}`)
    .join('; ');
}
