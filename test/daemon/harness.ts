/**
 * Two daemons without processes, on virtual time: backend, requests, listeners, events and history
 * as they are, over drivers in memory and one wire. A node never reboots here; the test can hold
 * the installer at any place. Only tests import it.
 */
import { join } from 'node:path';
import type { Config } from '../../src/config.ts';
import { noFencer } from '../../src/drivers/fence-none.ts';
import type { UpdateError } from '../../src/core/errors.ts';
import { NODES, type NodeId, type Slot } from '../../src/core/model.ts';
import { DEFAULT_SETTINGS, withSetting } from '../../src/core/settings.ts';
import { Backend, type BackendParts } from '../../src/daemon/backend.ts';
import { History } from '../../src/daemon/history.ts';
import { Listeners } from '../../src/daemon/listeners.ts';
import type { PowerNote, PowerNotes } from '../../src/daemon/power-note.ts';
import type { PrepareUpdater } from '../../src/daemon/prepare-updater.ts';
import { DriverRequests } from '../../src/daemon/requests.ts';
import type { BookContent, ScheduleBook } from '../../src/daemon/schedule-book.ts';
import type { ScheduleDesk } from '../../src/daemon/schedule-desk.ts';
import { openSchedules, type SchedulesParts } from '../../src/daemon/schedules.ts';
import { Support } from '../../src/daemon/support.ts';
import { EventLog, type LineLog } from '../../src/updater/events.ts';
import { Executor } from '../../src/updater/execute.ts';
import { Runner } from '../../src/updater/runner.ts';
import {
  BUNDLE,
  BUNDLE_BYTES,
  manifestOf,
  nodeState,
  POLICY,
  release,
  sealOf,
  type StateChange,
} from '../core/states.ts';
import { settingsView } from '../memory/backend.ts';
import { makeBootDisk, MemoryBootChooser } from '../memory/boot-chooser.ts';
import { makeDepotDisk, memoryDepot } from '../memory/depot.ts';
import { MemoryHooks, type MemoryHook } from '../memory/hooks.ts';
import { MemoryHost } from '../memory/host.ts';
import { memoryInstaller, type MemoryBundle } from '../memory/installer.ts';
import { makeJournalDisk, MemoryJournal } from '../memory/journal.ts';
import { MemoryWire } from '../memory/link.ts';
import { MemoryPrepareDisk } from '../memory/prepare-disk.ts';
import { MemoryServiceNetwork } from '../memory/service-address.ts';
import { MemoryPairing } from '../memory/pairing.ts';
import { makeSlotsDisk, memorySlots } from '../memory/slots.ts';
import { MemoryStorageSoftware } from '../memory/storage-software.ts';
import { MemoryStorePair } from '../memory/store.ts';
import { MemoryStoreCare } from '../memory/store-care.ts';
import { STORE_UNKNOWN } from '../../src/core/store.ts';
import { VirtualClock } from '../updater/virtual-clock.ts';

export const CALLER = { name: 'root' };
/** Where the good bundle lies on each node. */
export const GOOD = '/good.bin';

/** The note of a restart in memory. */
export function memoryNotes(note: PowerNote | null): PowerNotes & { note: PowerNote | null } {
  const kept = {
    note,
    read: () => kept.note,
    write: (next: PowerNote | null) => Promise.resolve(void (kept.note = next)),
  };
  return kept;
}

/** Support archives of a node that is made of this folder alone. */
function supportAt(dir: string, node: NodeId): Support {
  const place = { stateDir: dir, runDir: dir, rootDir: dir, trustRoot: `${dir}/root.json` };
  const config = { node, ...place, boot: { dir }, slots: { dir } } as unknown as Config;
  const entry = join(import.meta.dirname, '../../src/main.ts');
  return new Support({ config, program: '0.1.0', entry, nowMs: () => Date.UTC(2026, 0, 1) });
}

/** Lines in memory. */
export function memoryLines(lines: string[] = []): LineLog & { readonly lines: string[] } {
  return { lines, append: (line) => void lines.push(line), read: () => Promise.resolve(lines) };
}

/** Settings that take everything, in memory. */
export function memorySettings(node: NodeId): BackendParts['settings'] {
  let settings = DEFAULT_SETTINGS;
  return {
    view: () => settingsView({ node, settings }),
    set: (key, word) => {
      settings = withSetting(settings, key, word) ?? settings;
      return Promise.resolve({ changed: true });
    },
  };
}

interface World {
  readonly clock: VirtualClock;
  readonly wire: MemoryWire;
  readonly store: MemoryStorePair;
  readonly care: MemoryStoreCare;
  readonly network: MemoryServiceNetwork;
  readonly bulk: Map<string, MemoryBundle>;
}

export interface DaemonOptions {
  /** What a restart of the boot before left behind. */
  readonly note?: PowerNote;
  /** State directory of its support archives; none can be made without. */
  readonly supportDir?: string;
  readonly state?: StateChange;
  readonly hooks?: readonly MemoryHook[];
  readonly burnInH?: number;
  /** What an earlier daemon of the node has prepared. */
  readonly prepareDisk?: MemoryPrepareDisk;
  /** When updates may happen and what people may say; a desk that looks runs with it. */
  readonly automation?: Partial<SchedulesParts['automation']>;
  /** Hours for which a hook may say later, and what an earlier daemon had scheduled. */
  readonly laterH?: number;
  readonly book?: MemoryScheduleBook;
  /** How it takes updaters of bundles; it takes none without. */
  readonly updater?: PrepareUpdater;
}

/** A host whose clock is the test's. */
class ClockHost extends MemoryHost {
  readonly #clock: VirtualClock;

  constructor(id: NodeId, clock: VirtualClock) {
    super({ bootId: `${id}1`, slot: 'A', reason: 'default', attempt: 0 });
    this.#clock = clock;
  }

  override nowMs(): number {
    return Date.UTC(2026, 0, 1) + this.#clock.nowMs;
  }

  override monotonicMs(): number {
    return this.#clock.nowMs;
  }
}

/** Scheduled updates, kept in memory over daemons of one node. */
export class MemoryScheduleBook implements ScheduleBook {
  content: BookContent = { schedules: [], seenMs: 0 };

  write(content: BookContent): Promise<void> {
    this.content = structuredClone(content);
    return Promise.resolve();
  }
}

const AUTOMATION = { zone: 'UTC', windows: [], catchUpH: 24, deferrals: 3, choicesMin: [60, 240] };

/** One daemon. */
export class Daemon {
  /** The file that stops updates, while it is there. */
  inhibited: string | null = null;
  readonly schedules: ScheduleDesk;
  readonly book: MemoryScheduleBook;
  readonly files = new Map<string, MemoryBundle>();
  readonly depot = makeDepotDisk(1024 ** 3);
  readonly log: string[] = [];
  readonly fatal: UpdateError[] = [];
  readonly runner: Runner;
  readonly backend: Backend;
  readonly events: EventLog;
  readonly audit = memoryLines();
  readonly host: MemoryHost;
  readonly pairing = new MemoryPairing();
  readonly notes: PowerNotes & { note: PowerNote | null };
  /** Bytes that the disk of the depot says are free. */
  freeBytes: number | null = 1024 ** 3;
  readonly history: History;
  readonly requests: DriverRequests;
  readonly journal = makeJournalDisk();
  readonly prepareDisk: MemoryPrepareDisk;
  /** Places at which the installer waits until the test lets it go on. */
  readonly holds = new Map<string, Promise<void>>();

  constructor(id: NodeId, world: World, options: DaemonOptions) {
    const { clock, store } = world;
    this.prepareDisk = options.prepareDisk ?? new MemoryPrepareDisk();
    const host = new ClockHost(id, clock);
    this.host = host;
    this.notes = memoryNotes(options.note ?? null);
    const slots = makeSlotsDisk({ system: 1000, storage: 1000 });
    for (const cls of ['system', 'storage'] as const) {
      slots.seals.set(`memory:${cls}-A`, sealOf(cls, 1));
      slots.content.set(`memory:${cls}-A`, sealOf(cls, 1).imageId);
    }
    this.files.set(GOOD, { bundle: BUNDLE, bytes: BUNDLE_BYTES, manifest: manifestOf() });
    const link = world.wire.open(id);
    this.events = new EventLog(id, () => host.nowMs(), memoryLines());
    this.history = new History(memoryLines());
    const image = (slot: Slot) => {
      const seal = slots.seals.get(`memory:storage-${slot}`);
      return seal === undefined ? null : { release: seal.release };
    };
    const ports = {
      host,
      boot: new MemoryBootChooser(makeBootDisk('A')),
      slots: memorySlots(slots),
      store: store.store(id),
      depot: memoryDepot(this.depot),
      installer: memoryInstaller({
        files: this.files,
        depot: this.depot,
        slots,
        bulk: world.bulk,
        pause: async (place) => this.holds.get(place),
      }),
      storage: new MemoryStorageSoftware({ A: image('A'), B: image('B') }, (up) =>
        store.setRunning(id, up),
      ),
      service: world.network.address(id),
      hooks: new MemoryHooks(options.hooks ?? []),
      inhibitor: { inhibited: () => Promise.resolve(this.inhibited) },
      fencer: noFencer(),
      pause: clock.pause,
    };
    const automation = { ...AUTOMATION, ...options.automation };
    const gate = { ...automation, inhibitor: ports.inhibitor, laterH: options.laterH ?? 24 };
    const where = { stateDir: '/state', depotDir: '/state/depot', trustRoot: '/root.json' };
    const executor = new Executor(
      ports,
      {
        ...where,
        bulk: { host: 'pair', port: id === 'A' ? 1 : 2, keysDir: '/keys' },
        peerHost: 'pair',
        health: { graceMs: 1000, stableMs: 1000, roundMs: 500, checkMs: 60_000 },
        kept: () => this.backend.kept(),
        automation: gate,
      },
      () => this.runner.state,
    );
    const listeners = new Listeners({
      events: this.events,
      history: this.history,
      link,
      host,
      log: (line) => this.log.push(line),
      onFatal: (error) => this.fatal.push(error),
      onState: (state) => this.backend.look(state),
    });
    const found = nodeState(id, { peer: null, ...options.state });
    const fresh = { storage: null, store: STORE_UNKNOWN, serving: null, admitted: false } as const;
    this.runner = new Runner(
      { ...found, world: { ...found.world, ...fresh, system: release('system', 1) } },
      { journal: new MemoryJournal(this.journal), link, host, pause: clock.pause },
      (effect, dispatch, signal) => executor.run(effect, dispatch, signal),
      listeners,
    );
    this.requests = new DriverRequests(this.runner, link, clock.pause);
    listeners.connect(this.runner, this.requests, ports.store, ports.storage, options.burnInH ?? 0);
    const slotBytes = { system: 1000, storage: 1000 };
    this.backend = new Backend({
      settings: memorySettings(id),
      ...ports,
      care: world.care.of(id),
      ...where,
      runner: this.runner,
      executor,
      events: this.events,
      history: this.history,
      requests: this.requests,
      identity: { product: 'appliance', hardware: 'bench', program: '0.1.0', slotBytes },
      policy: POLICY,
      automation: gate,
      audit: this.audit,
      notes: this.notes,
      support: supportAt(options.supportDir ?? '/none', id),
      link,
      freeBytes: () => Promise.resolve(this.freeBytes),
      reformingSinceMs: () => listeners.reformingSinceMs,
      syncMovedMs: () => listeners.syncMovedMs,
      lastHeard: () => listeners.lastHeard,
      linkTroubles: () => listeners.linkTroubles(),
      pairing: this.pairing,
      prepare: {
        disk: this.prepareDisk,
        updater: options.updater ?? null,
        log: (line) => this.log.push(line),
      },
    });
    this.book = options.book ?? new MemoryScheduleBook();
    this.schedules = openSchedules(
      {
        ...ports,
        automation,
        book: this.book,
        runner: this.runner,
        requests: this.requests,
        events: this.events,
        log: (line) => this.log.push(line),
      },
      this.backend,
    );
    this.backend.schedules = this.schedules;
    this.backend.resume();
    this.runner.start();
    if (options.automation !== undefined) this.schedules.start();
  }

  /** Holds the installer at a place; the function that is returned lets it go on. */
  hold(place: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.holds.set(place, promise);
    return () => {
      this.holds.delete(place);
      resolve();
    };
  }

  /** What was told so far, as `state: message`. */
  told(): readonly string[] {
    return this.events.since(0).map((event) => `${event.node} ${event.state}: ${event.msg}`);
  }
}

/** The pair; A serves once it is open. */
export class DaemonPair {
  readonly clock = new VirtualClock();
  readonly wire: MemoryWire;
  readonly network = new MemoryServiceNetwork();
  readonly store = new MemoryStorePair({ auto: true });
  readonly care = new MemoryStoreCare(this.store);
  readonly a: Daemon;
  readonly b: Daemon;

  constructor(options: Partial<Record<NodeId, DaemonOptions>> = {}) {
    const { clock, network } = this;
    this.wire = new MemoryWire({
      schedule: (delayMs, action) => void clock.schedule(delayMs, action),
      now: () => clock.nowMs,
      noticeMs: 50,
    });
    const { store, care } = this;
    for (const node of NODES) store.setRunning(node, false);
    const bulk = new Map<string, MemoryBundle>();
    const world = { clock, wire: this.wire, store, care, network, bulk };
    this.a = new Daemon('A', world, options.A ?? {});
    this.b = new Daemon('B', world, options.B ?? {});
  }

  /** Until the pair is highly available. */
  async open(): Promise<void> {
    for (let count = 0; !this.b.backend.status().ha.ok; count++) {
      if (count > 500) throw new Error(JSON.stringify(this.a.backend.status().reform));
      await this.clock.step();
    }
    await this.clock.advance(400);
  }

  /** Lets time pass until it is so; throws when it never is. */
  async until(what: () => boolean): Promise<void> {
    for (let count = 0; !what(); count++) {
      if (count > 3000) throw new Error('it never was so');
      await this.clock.step();
    }
  }

  /** Ends both daemons. */
  async close(): Promise<void> {
    const ends = [this.a, this.b].map(async (one) => {
      await one.schedules[Symbol.asyncDispose]();
      await one.backend[Symbol.asyncDispose]();
      await one.runner[Symbol.asyncDispose]();
    });
    await this.clock.until(Promise.all(ends));
  }
}
