/**
 * The port Journal in memory: a list of records that outlives a power cut, each append one durable
 * write. Crash tests of the real format run FileJournal on a FakeDisk instead (disk.ts). Imports
 * core and ports.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { PAYLOAD_BYTES_MAX } from '../../src/core/frame.ts';
import { RECORD_SCHEMA } from '../../src/core/records.ts';
import type { Journal, JournalContent, JournalRecord } from '../../src/ports.ts';

/** What a journal holds through a power cut. */
export interface JournalDisk {
  /** JSON of each record, as it would lie on a disk. */
  readonly lines: string[];
  /** Index of a record that is damaged, or null. */
  damagedAt: number | null;
}

/** An empty journal. */
export function makeJournalDisk(): JournalDisk {
  return { lines: [], damagedAt: null };
}

/** The journal on `disk`; `durable` is called before each write and may throw a power cut. */
export class MemoryJournal implements Journal {
  readonly #disk: JournalDisk;
  readonly #durable: (label: string) => void;

  constructor(disk: JournalDisk, durable: (label: string) => void = () => undefined) {
    this.#disk = disk;
    this.#durable = durable;
  }

  async read(): Promise<JournalContent> {
    await Promise.resolve();
    const records = this.#records();
    return {
      node: records.findLast((entry) => entry.kind === 'node')?.record ?? null,
      rollout: records.findLast((entry) => entry.kind === 'rollout')?.record ?? null,
      records: records.map((entry, index) => ({ ...entry, seq: index + 1 })).slice(-1000),
      torn: false,
    };
  }

  async append(record: JournalRecord): Promise<void> {
    const line = JSON.stringify(record);
    await Promise.resolve();
    this.#records();
    if (Buffer.byteLength(line) > PAYLOAD_BYTES_MAX) {
      throw new UpdateError('internal.bug', `A record has ${Buffer.byteLength(line)} bytes`);
    }
    this.#durable(`journal: ${record.kind}`);
    this.#disk.lines.push(line);
  }

  async repair(): Promise<{ readonly kept: number; readonly droppedBytes: number }> {
    await Promise.resolve();
    const { lines, damagedAt } = this.#disk;
    const dropped = damagedAt === null ? [] : lines.splice(damagedAt);
    this.#disk.damagedAt = null;
    return { kept: lines.length, droppedBytes: dropped.join('').length };
  }

  #records(): readonly JournalRecord[] {
    const { lines, damagedAt } = this.#disk;
    const records = lines.map((line) => JSON.parse(line) as JournalRecord);
    const newer = records.find((entry) => entry.record.schema > RECORD_SCHEMA);
    if (newer !== undefined) {
      throw new UpdateError('state.newer_schema', `a record of schema ${newer.record.schema}`);
    }
    if (damagedAt !== null) {
      throw new UpdateError('journal.corrupt', `record ${damagedAt + 1} is damaged`);
    }
    return records;
  }
}
