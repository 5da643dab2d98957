/**
 * What a simulated node keeps in files: the journal and the boot chooser, as bytes on a disk that
 * loses and tears what was not synced (test/memory/disk.ts). Formats and rules are the real ones
 * (core/journal.ts, core/boot-change.ts, drivers/two-copy.ts); only the waiting of the drivers is
 * left out, because the simulation is one thread that never waits. Always holds: the order of
 * writes and syncs is that of drivers/journal-file.ts and drivers/boot-file.ts. Only tests import
 * it.
 */
import type { BootFields } from '../../src/core/boot-change.ts';
import { selectBoot, type BootCounter, type BootSelection } from '../../src/core/boot.ts';
import type { BootState } from '../../src/core/boot.ts';
import type { JournalCursor, WriteStep } from '../../src/core/journal.ts';
import { planAppend, planSettle, replayJournal } from '../../src/core/journal.ts';
import type { NodeRecord, RolloutRecord } from '../../src/core/records.ts';
import { BOOT_SCHEMA, firstContent } from '../../src/drivers/boot-file.ts';
import {
  BOOT_COUNTER_BYTES,
  BOOT_STATE_BYTES,
  decodeJson,
  decodeState,
  encodeCounter,
  encodeJson,
  NO_COUNTER,
} from '../../src/drivers/boot-loader.ts';
import { decodeValue, encodeValue, readCopies } from '../../src/drivers/two-copy.ts';
import type { DirectFile, FakeDisk } from '../memory/disk.ts';

/** Small, so that the journal is compacted again and again. */
const JOURNAL_BYTES = 20 * 1024;

/** The last records of a journal; null = none of this kind. */
export interface Found {
  readonly node: NodeRecord | null;
  readonly rollout: RolloutRecord | null;
  /** A torn tail was dropped. */
  readonly torn: boolean;
}

/** The journal of one life of a node. */
export class SimJournal {
  readonly #files: readonly [DirectFile, DirectFile];
  #cursor: JournalCursor | null = null;

  constructor(disk: FakeDisk) {
    this.#files = [disk.file('journal.0', JOURNAL_BYTES), disk.file('journal.1', JOURNAL_BYTES)];
  }

  /** Reads it and makes what was read durable; throws when it is damaged, which no cut may do. */
  read(): Found {
    const bytes = [this.#bytes(0), this.#bytes(1)] as const;
    const replay = replayJournal(bytes);
    if (replay.damage !== null || replay.newerSchema !== null) {
      throw new Error(`the journal is damaged: ${JSON.stringify(replay.damage)}`);
    }
    const steps = planSettle(bytes, replay);
    for (const { file, offset, bytes: part } of steps) this.#files[file].writeNow(offset, part);
    if (steps[0] !== undefined) this.#files[steps[0].file].syncNow();
    this.#cursor = replay.cursor;
    const last = (kind: string): unknown =>
      replay.cursor.last.find((entry) => entry.kind === kind)?.record ?? null;
    return {
      node: last('node') as NodeRecord | null,
      rollout: last('rollout') as RolloutRecord | null,
      torn: replay.torn,
    };
  }

  /** One record, durable when it returns; `read` came before. */
  append(kind: 'node' | 'rollout', record: object): void {
    if (this.#cursor === null) throw new Error('a journal is read before it is written');
    const plan = planAppend(this.#cursor, kind, record);
    for (const step of plan.steps) this.#write(step);
    this.#cursor = plan.cursor;
  }

  #write({ file, offset, bytes }: WriteStep): void {
    this.#files[file].writeNow(offset, bytes);
    this.#files[file].syncNow();
  }

  #bytes(file: 0 | 1): Uint8Array {
    return this.#files[file].readNow(0, JOURNAL_BYTES);
  }
}

/** The two files of the boot chooser, for one life of a node. */
export class SimBoot {
  readonly #state: DirectFile;
  readonly #counter: DirectFile;

  constructor(disk: FakeDisk) {
    this.#state = disk.file('boot.state', BOOT_STATE_BYTES);
    this.#counter = disk.file('boot.counter', BOOT_COUNTER_BYTES);
  }

  /** A new appliance with its system in slot A. */
  layOut(): void {
    this.#state.writeNow(0, firstContent('A', false));
    this.#state.syncNow();
    this.save(NO_COUNTER);
  }

  state(): BootState {
    const found = decodeState(readCopies(this.#state.readNow(0, BOOT_STATE_BYTES)));
    if (found === null) throw new Error('both copies of the boot state are lost');
    return found;
  }

  /** One durable write of the copy that does not count, or none when nothing changes. */
  change(change: (state: BootFields) => BootFields | null): void {
    const copies = readCopies(this.#state.readNow(0, BOOT_STATE_BYTES));
    const found = decodeState(copies);
    if (found === null || copies.value === null) throw new Error('the boot state is lost');
    const { seq, ...fields } = found;
    const next = change(fields);
    if (next === null) return;
    const value = encodeValue(seq + 1, encodeJson({ schema: BOOT_SCHEMA, ...next }));
    this.#state.writeNow(copies.next, value);
    this.#state.syncNow();
  }

  /** What the boot loader chooses now. */
  select(): BootSelection {
    return selectBoot(this.state(), this.counter());
  }

  counter(): BootCounter {
    const value = decodeValue(this.#counter.readNow(0, BOOT_COUNTER_BYTES));
    if (value === null) throw new Error('a sector is never torn, but the counter is damaged');
    return decodeJson(value.bytes) as unknown as BootCounter;
  }

  save(counter: BootCounter): void {
    this.#counter.writeNow(0, encodeCounter(counter));
    this.#counter.syncNow();
  }
}
