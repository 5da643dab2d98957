/**
 * One node of the updater's bench: the real runner, executor, journal and boot chooser on a disk
 * that can lose its power at every write and sync; slots, depot, installer and storage software in
 * memory, whose durable changes count as operations of the same disk. Always holds: what is left of
 * an earlier life of the node changes nothing any more; a rule of the write order that is broken is
 * noted in `problems`. Only tests import it.
 */
import { chooseSlot } from '../../scripts/supervisor/policy.ts';
import type { BootInfo, BootState, CommitMarks } from '../../src/core/boot.ts';
import type { UpdateError } from '../../src/core/errors.ts';
import type { NodeId, Slot } from '../../src/core/model.ts';
import type { NodeState } from '../../src/core/state.ts';
import { FileBootChooser, firstContent } from '../../src/drivers/boot-file.ts';
import {
  BOOT_COUNTER_BYTES,
  BOOT_STATE_BYTES,
  decodeState,
  encodeCounter,
  NO_COUNTER,
  readCounter,
  writeCounter,
} from '../../src/drivers/boot-loader.ts';
import { mendLostBoot } from '../../src/daemon/lost-boot.ts';
import { FileJournal } from '../../src/drivers/journal-file.ts';
import { readCopies } from '../../src/drivers/two-copy.ts';
import type { JournalContent } from '../../src/ports.ts';
import { EventLog } from '../../src/updater/events.ts';
import { Executor } from '../../src/updater/execute.ts';
import { Runner } from '../../src/updater/runner.ts';
import { BUNDLE, BUNDLE_BYTES, manifestOf, sealOf } from '../core/states.ts';
import { makeDepotDisk } from '../memory/depot.ts';
import { FakeDisk, KEPT, LOST, PowerCut, type Choose } from '../memory/disk.ts';
import { makeSlotsDisk } from '../memory/slots.ts';
import { foundState, Life, type BenchWorld, type Faults } from './bench-life.ts';

/** Size of each file of the journal: small, so that it is compacted now and then. */
const JOURNAL_BYTES = 24 * 1024;
/** How long a node is off between two boots. */
const OFF_MS = 1000;

/** Ends the node's life before its n-th durable operation from where it is armed. */
export interface Cut {
  readonly op: number;
  /** `power` loses what was not synced, `kill` ends the daemon alone. */
  readonly kind: 'power' | 'kill';
  /** Seed of what a power cut leaves of unsynced sectors; absent = nothing. */
  readonly seed?: number;
}

/** How a life of the node ended. */
export type End = Cut['kind'] | 'reboot';

export class BenchNode {
  readonly id: NodeId;
  readonly world: BenchWorld;
  readonly faults: Faults;
  readonly disk: FakeDisk;
  readonly slots = makeSlotsDisk({ system: 1000, storage: 1000 });
  readonly depot = makeDepotDisk(1024 ** 3);
  /** Rules that were broken. */
  readonly problems: string[] = [];
  /** What the node wrote outside journal and boot chooser, in order. */
  readonly order: string[] = [];
  readonly log: string[] = [];
  /** System slots whose content was committed, as the boot chooser was told. */
  readonly proven = new Set<Slot>(['A']);
  /** Boots so far, and starts of the daemon. */
  boots = 0;
  runs = 0;
  boot: BootInfo | null = null;
  life: Life | null = null;
  /** What happens to the node after its next end that is no reboot, while it is off. */
  whileOff: (() => Promise<void>) | null = null;
  #bootAtMs = 0;
  #end: End | null = 'power';

  constructor(id: NodeId, world: BenchWorld, faults: Faults, seed: number) {
    this.id = id;
    this.world = world;
    this.faults = faults;
    this.disk = new FakeDisk({ seed });
    for (const cls of ['system', 'storage'] as const) {
      const seal = sealOf(cls, 1);
      this.slots.seals.set(`memory:${cls}-A`, seal);
      this.slots.content.set(`memory:${cls}-A`, seal.imageId);
    }
    const holds = { bundle: BUNDLE, manifest: manifestOf(2, faults.storageRunsWith) };
    this.depot.files.set(`memory:${BUNDLE}.bin`, { bytes: BUNDLE_BYTES, holds });
  }

  /** A new appliance: journal blank, boot chooser laid out. */
  async layOut(): Promise<void> {
    const { state, counter } = this.bootFiles();
    await state.write(0, firstContent('A', false));
    await counter.write(0, encodeCounter(NO_COUNTER));
    await state.sync();
    await counter.sync();
  }

  get state(): NodeState | null {
    return this.life?.runner.state ?? null;
  }

  get runner(): Runner {
    if (this.life === null) throw new Error(`node ${this.id} is off`);
    return this.life.runner;
  }

  get off(): boolean {
    return this.life === null;
  }

  /** What the boot chooser holds, as a program would read it now. */
  bootState(): BootState {
    const found = decodeState(readCopies(this.disk.bytes('boot.state')));
    if (found === null) throw new Error(`node ${this.id} has lost its boot chooser`);
    return found;
  }

  /** True when the slot holds a whole, sealed image. */
  whole(cls: 'system' | 'storage', slot: Slot): boolean {
    const path = `memory:${cls}-${slot}`;
    const seal = this.slots.seals.get(path);
    return seal !== undefined && this.slots.content.get(path) === seal.imageId;
  }

  /** After a step of time: notices the end of a life, and begins the next one when it is due. */
  async look(cut: Cut | null): Promise<End | null> {
    if (this.life !== null) {
      if (this.life.rebooting) return this.#fall('reboot', KEPT);
      return this.disk.off ? this.#cut(cut) : null;
    }
    if (this.world.clock.nowMs < this.#bootAtMs) return null;
    try {
      if (this.#end !== 'reboot') {
        const care = this.whileOff;
        this.whileOff = null;
        await care?.();
      }
      await this.#powerOn();
      return null;
    } catch (error) {
      if (!(error instanceof PowerCut) && !this.disk.off) throw error;
      return this.#cut(cut);
    }
  }

  #cut(cut: Cut | null): End {
    const kind = cut?.kind ?? 'power';
    return this.#fall(kind, kind === 'kill' ? KEPT : (cut?.seed ?? LOST));
  }

  /** Ends this life; `choice` decides what becomes of unsynced sectors. */
  #fall(end: End, choice: number | Choose): End {
    const { clock, wire, store, network } = this.world;
    this.life?.end();
    this.life = null;
    this.#end = end;
    this.#bootAtMs = clock.nowMs + OFF_MS;
    clock.schedule(OFF_MS, () => undefined);
    this.disk.powerOff();
    this.disk.powerOn(choice);
    wire.crash(this.id);
    store.setRunning(this.id, false);
    network.address(this.id).powerCut();
    return end;
  }

  bootFiles() {
    return {
      state: this.disk.file('boot.state', BOOT_STATE_BYTES),
      counter: this.disk.file('boot.counter', BOOT_COUNTER_BYTES),
    };
  }

  journal(): FileJournal {
    return new FileJournal([
      this.disk.file('journal.0', JOURNAL_BYTES),
      this.disk.file('journal.1', JOURNAL_BYTES),
    ]);
  }

  /** Both copies of the boot state rot while the node is off. */
  async loseBootState(): Promise<void> {
    const { state } = this.bootFiles();
    await state.write(0, new Uint8Array(BOOT_STATE_BYTES).fill(0xa5));
    await state.sync();
  }

  /** As after a repair of a damaged journal: its last records are lost. */
  async loseRecords(count: number): Promise<void> {
    const { records } = await this.journal().read();
    for (const name of ['journal.0', 'journal.1']) {
      const file = this.disk.file(name, JOURNAL_BYTES);
      await file.write(0, new Uint8Array(JOURNAL_BYTES));
      await file.sync();
    }
    const journal = this.journal();
    const kept = records.slice(0, Math.max(0, records.length - count));
    for (const { seq: _seq, ...record } of kept) await journal.append(record);
  }

  /** The boot loader, then the daemon. */
  async #powerOn(): Promise<void> {
    if (this.#end !== 'kill' || this.boot === null) this.boot = await this.#choose();
    const journal = this.journal();
    const content = await this.#read(journal);
    if (content === null) return;
    this.runs++;
    const chooser = new FileBootChooser(this.bootFiles());
    const life = new Life(this, this.boot, { journal, chooser });
    await mendLostBoot({
      host: life.ports.host,
      slots: life.ports.slots,
      lastTrialId: content.node?.lastTrialId ?? 0,
      recreate: (remains) => chooser.recreate(remains),
      events: new EventLog(this.id, () => 0, { append: () => undefined, read: async () => [] }),
      log: (line) => void this.log.push(line),
    });
    const initial = await foundState(life, content);
    const executor = new Executor(life.ports, life.options, () => life.runner.state);
    life.begin(
      new Runner(
        initial,
        { journal, link: life.link, host: life.ports.host, pause: this.world.clock.pause },
        (effect, dispatch, signal) => executor.run(effect, dispatch, signal),
        life.events,
      ),
    );
    this.life = life;
  }

  #marks(): CommitMarks {
    const of = (slot: Slot) => this.slots.seals.get(`memory:system-${slot}`)?.committed ?? null;
    return { A: of('A'), B: of('B') };
  }

  async #read(journal: FileJournal): Promise<JournalContent | null> {
    try {
      return await journal.read();
    } catch (error) {
      if (!this.disk.off) this.problems.push(`journal: ${(error as UpdateError).message}`);
      throw error;
    }
  }

  /** A version that does not come up uses up its attempts one after the other. */
  async #choose(): Promise<BootInfo> {
    for (let tries = 0; tries < 6; tries++) {
      const files = this.bootFiles();
      const content = {
        state: decodeState(readCopies(await files.state.read(0, BOOT_STATE_BYTES))),
        counter: await readCounter(files.counter),
      };
      const lost = content.state === null;
      const choice = await chooseSlot(content, async () => this.#marks(), {
        save: (used) => writeCounter(files.counter, used),
        load: async () => true,
        log: (text) => void this.log.push(text),
      });
      // A power cut is no fault of the counter, after which the boot loader would go on.
      if (this.disk.off) throw new PowerCut('in the boot loader');
      if (choice === null) throw new Error(`node ${this.id} has no slot to boot`);
      if (lost && !this.proven.has(choice.slot)) {
        this.problems.push(`slot ${choice.slot} booted, which was never committed`);
      }
      this.boots++;
      const { slot, reason, attempt } = choice;
      if (!this.whole('system', slot))
        this.problems.push(`slot ${slot} booted, which is not whole`);
      const version = this.slots.seals.get(`memory:system-${slot}`)?.release.counter;
      if (version !== undefined && version === this.faults.crash) continue;
      return { bootId: `${this.id}${this.boots}`, slot, reason, attempt };
    }
    throw new Error(`node ${this.id} does not boot`);
  }
}
