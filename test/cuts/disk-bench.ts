/**
 * A small disk of an appliance made by hand in memory, and a log of what is written to it: GPT, FAT
 * with the try counter, boot state, slots with seals. The data partition holds the node's journal
 * without a file system, so that every cut of a story is read and judged in well under a
 * millisecond. Always holds: writes reach the log in the order of the calls, and are durable only
 * after `flush`. Imports the checker, core and drivers.
 */
import { crc32 } from 'node:zlib';
import { layoutOf, MIB, partitionOf, slotPartitionName } from '../../scripts/appliance/layout.ts';
import type { PartitionName } from '../../scripts/appliance/layout.ts';
import type { DataFacts, StoreFacts } from '../../scripts/cuts/data.ts';
import { readDisk, type DiskFacts, type KnownImage } from '../../scripts/cuts/facts.ts';
import { judge, NO_FLOOR, raise, type Acknowledged } from '../../scripts/cuts/judge.ts';
import type { ProblemCode } from '../../scripts/cuts/judge.ts';
import { changes, cutAt, keyOf, type TimelineEntry } from '../../scripts/cuts/timeline.ts';
import type { CutPoint, Fate } from '../../scripts/cuts/timeline.ts';
import { bytesView, OverlayView, sha256, touches, type DiskView } from '../../scripts/cuts/view.ts';
import type { Choice } from '../../scripts/supervisor/policy.ts';
import { firstBootState } from '../../src/core/boot-change.ts';
import { planAppend, replayJournal, type JournalCursor } from '../../src/core/journal.ts';
import { parseSha256, type Slot, type SlotClass, type SlotSeal } from '../../src/core/model.ts';
import type { NodeRecord, RolloutRecord } from '../../src/core/records.ts';
import { encodeGrubCounter, newGrubStates } from '../../src/drivers/boot-grub-env.ts';
import { GrubBootChooser } from '../../src/drivers/boot-grub.ts';
import type { DiskFile } from '../../src/drivers/disk-file.ts';
import { encodeSealBlock, SEAL_BLOCK_BYTES } from '../../src/drivers/seal-block.ts';

const SECTOR = 512;
const SIZES = { systemBytes: MIB, storageBytes: MIB, dataBytes: MIB, storeBytes: MIB };
export const LAYOUT = layoutOf(SIZES);
/** Images are compared in pieces of this size. */
const CHUNK_BYTES = 32 * 1024;
/** Each of the journal's two files on the data partition. */
const JOURNAL_BYTES = 16 * 1024;
/** Of the FAT's partition: head, two tables, root directory, the counter's cluster. */
export const FAT = {
  tables: SECTOR,
  tableBytes: 34 * SECTOR,
  root: 69 * SECTOR,
  data: 101 * SECTOR,
};

/** Images of the stories; long enough for two pieces. */
export const IMAGES: readonly KnownImage[] = (['system', 'storage'] as const).flatMap((cls) =>
  ['1.0.0', '2.0.0'].map((version) => {
    const bytes = contentOf(cls, version);
    const chunks = [0, CHUNK_BYTES].map((at) => sha256(bytes.subarray(at, at + CHUNK_BYTES)));
    return {
      class: cls,
      version,
      sizeBytes: bytes.length,
      sha256: sha256(bytes),
      chunkBytes: CHUNK_BYTES,
      chunks,
    };
  }),
);

/** Bytes of an image. */
export function contentOf(cls: SlotClass, version: string): Buffer {
  return Buffer.alloc(CHUNK_BYTES + 16 * SECTOR, `${cls} ${version} `);
}

/** The seal of an image. */
export function sealOf(cls: SlotClass, version: string, committed: number | null): SlotSeal {
  const image = IMAGES.find((one) => one.class === cls && one.version === version);
  const digest = parseSha256(image?.sha256 ?? '');
  const release = { product: 'p', class: cls, version, counter: version === '1.0.0' ? 1 : 2 };
  const rawBytes = image?.sizeBytes ?? 0;
  return { imageId: digest, rawBytes, rawSha256: digest, release, runsWith: '*', committed };
}

function gpt(bytes: Buffer): void {
  const entries = Buffer.alloc(128 * 128);
  for (const { number, name, startBytes, sizeBytes } of LAYOUT.partitions) {
    const entry = entries.subarray((number - 1) * 128);
    entry.fill(1, 0, 32);
    entry.writeBigUInt64LE(BigInt(startBytes / SECTOR), 32);
    entry.writeBigUInt64LE(BigInt((startBytes + sizeBytes) / SECTOR - 1), 40);
    entry.write(name, 56, 'utf16le');
  }
  entries.copy(bytes, 2 * SECTOR);
  const header = Buffer.alloc(92);
  header.write('EFI PART');
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(2n, 72);
  header.writeUInt32LE(128, 80);
  header.writeUInt32LE(128, 84);
  header.writeUInt32LE(crc32(entries), 88);
  header.writeUInt32LE(crc32(header), 16);
  header.copy(bytes, SECTOR);
}

/** A FAT of 16 bits with clusters of a sector, as scripts/appliance makes it. */
function fat(bytes: Buffer): void {
  bytes.writeUInt16LE(SECTOR, 11);
  bytes[13] = 1;
  bytes.writeUInt16LE(1, 14);
  bytes[16] = 2;
  bytes.writeUInt16LE(512, 17);
  bytes.writeUInt16LE(8192, 19);
  bytes.writeUInt16LE(34, 22);
  bytes.writeUInt16LE(0xffff, FAT.tables + 4);
  const entry = bytes.subarray(FAT.root + 32);
  bytes.write('TANDEM     ', FAT.root, 'latin1');
  bytes[FAT.root + 11] = 8;
  entry.write('TRIES   ENV', 'latin1');
  entry.writeUInt16LE(2, 26);
  entry.writeUInt32LE(SECTOR, 28);
  bytes.set(encodeGrubCounter({ trialId: 0, used: 0 }), FAT.data);
}

/** A new appliance with release 1.0.0 in slot A of both classes. */
function factoryDisk(): Buffer {
  const bytes = Buffer.alloc(LAYOUT.totalBytes);
  gpt(bytes);
  const at = (name: PartitionName): Buffer => {
    const { startBytes, sizeBytes } = partitionOf(LAYOUT, name);
    return bytes.subarray(startBytes, startBytes + sizeBytes);
  };
  fat(at('tandem-boot'));
  at('tandem-state').set(newGrubStates(firstBootState('A', false)));
  for (const cls of ['system', 'storage'] as const) {
    const slot = at(slotPartitionName(cls, 'A'));
    slot.set(contentOf(cls, '1.0.0'));
    slot.set(encodeSealBlock(cls, 'A', sealOf(cls, '1.0.0', 0)), MIB - SEAL_BLOCK_BYTES);
  }
  return bytes;
}

/** Reads the journal without a file system. */
function dataOf(disk: DiskView, store: StoreFacts): DataFacts {
  const { startBytes } = partitionOf(LAYOUT, 'tandem-data');
  const file = (index: number): Buffer =>
    disk.read(startBytes + index * JOURNAL_BYTES, JOURNAL_BYTES);
  const { cursor, torn, damage } = replayJournal([file(0), file(1)]);
  const last = (kind: string): object | null =>
    cursor.last.find((entry) => entry.kind === kind)?.record ?? null;
  const node = last('node') as NodeRecord | null;
  const rollout = last('rollout') as RolloutRecord | null;
  const problem = damage?.found ?? null;
  return { problem: null, journal: { seq: cursor.seq, torn, node, rollout, problem }, store };
}

const NO_STORE: StoreFacts = { epoch: 0, objects: new Map(), problem: null };

/** What every cut of a story comes to. */
export interface Outcome {
  /** Different disks. */
  readonly cuts: number;
  /** What was wrong with any of them. */
  readonly problems: ReadonlySet<ProblemCode>;
  /** What the disks boot, in words. */
  readonly boots: ReadonlySet<string>;
}

/** The disk under test. */
export class DiskBench {
  readonly entries: TimelineEntry[] = [];
  /** False = flushes are forgotten, as by a driver that has none. */
  flushes = true;
  /** False = the driver of the boot state has none. */
  stateFlushes = true;
  readonly #start = factoryDisk();
  readonly #now = Buffer.from(this.#start);
  /** Data of all writes, one after the other; a story has room in it. */
  readonly #log = Buffer.alloc(2 * MIB);
  #logBytes = 0;
  /** The disk with the entries that are durable at the newest point, and digests of it. */
  #durable = { bytes: Buffer.from(this.#start), entries: 0, digests: new Map<string, string>() };
  #cursor: JournalCursor = {
    generation: 0,
    offset: 0,
    seq: 0,
    sizesBytes: [JOURNAL_BYTES, JOURNAL_BYTES],
    last: [],
  };

  /** Logs a write at an offset of a partition. */
  write(name: PartitionName, offset: number, bytes: Uint8Array): void {
    const offsetBytes = partitionOf(LAYOUT, name).startBytes + offset;
    const dataOffset = this.#logBytes;
    this.#log.set(bytes, dataOffset);
    this.#logBytes += bytes.length;
    this.#now.set(bytes, offsetBytes);
    const head = { kind: 'write', isForced: false, boot: 0 } as const;
    const place = { offsetBytes, sizeBytes: bytes.length, dataOffset, endBytes: this.#logBytes };
    this.entries.push({ ...head, ...place });
  }

  /** What a write wrote. */
  written({ dataOffset, sizeBytes }: TimelineEntry): Uint8Array {
    return this.#log.subarray(dataOffset, dataOffset + sizeBytes);
  }

  /** Logs a flush. */
  flush(): void {
    if (!this.flushes) return;
    const none = { offsetBytes: 0, sizeBytes: 0, dataOffset: this.#logBytes };
    const head = { kind: 'flush', isForced: false, boot: 0 } as const;
    this.entries.push({ ...head, ...none, endBytes: this.#logBytes });
  }

  /** The real driver of the boot state, on this disk. */
  chooser(): GrubBootChooser {
    const bytesOf = (name: PartitionName): Buffer =>
      this.#now.subarray(partitionOf(LAYOUT, name).startBytes);
    const state: DiskFile = {
      name: 'state',
      sizeBytes: MIB,
      read: async (at, size) => Promise.resolve(bytesOf('tandem-state').slice(at, at + size)),
      write: async (at, bytes) => Promise.resolve(this.write('tandem-state', at, bytes)),
      sync: async () => Promise.resolve(this.stateFlushes ? this.flush() : undefined),
      [Symbol.asyncDispose]: async () => Promise.resolve(),
    };
    return new GrubBootChooser(state, {
      name: 'counter',
      read: async () => Promise.resolve(bytesOf('tandem-boot').slice(FAT.data, FAT.data + SECTOR)),
      make: async (bytes) => {
        this.write('tandem-boot', FAT.data, bytes);
        this.flush();
        return Promise.resolve();
      },
    });
  }

  /** The boot loader counts an attempt. */
  count(trialId: number, used: number): void {
    this.write('tandem-boot', FAT.data, encodeGrubCounter({ trialId, used }));
  }

  /** Appends a record to the journal, as the driver does. */
  record(record: NodeRecord): void {
    const plan = planAppend(this.#cursor, 'node', record);
    for (const step of plan.steps) {
      this.write('tandem-data', step.file * JOURNAL_BYTES + step.offset, step.bytes);
      this.flush();
    }
    this.#cursor = plan.cursor;
  }

  /** Writes a seal; null takes it away. */
  seal(cls: SlotClass, slot: Slot, seal: SlotSeal | null): void {
    const block = encodeSealBlock(cls, slot, seal);
    this.write(slotPartitionName(cls, slot), MIB - SEAL_BLOCK_BYTES, block);
    this.flush();
  }

  /** Writes an image in pieces and syncs it. */
  install(cls: SlotClass, slot: Slot, version: string): void {
    const bytes = contentOf(cls, version);
    const step = 8 * 1024;
    for (let at = 0; at < bytes.length; at += step) {
      this.write(slotPartitionName(cls, slot), at, bytes.subarray(at, at + step));
    }
    this.flush();
  }

  /** The whole disk of a point, good until the next call. */
  disk(point: CutPoint): DiskView {
    const { durable, parts } = cutAt(this.entries, point);
    const log = bytesView(this.#log);
    const pieces = parts.map(({ entry, from, to }) => {
      const { offsetBytes, dataOffset } = this.entries[entry]!;
      const source = { view: log, offsetBytes: dataOffset + from };
      return { offsetBytes: offsetBytes + from, sizeBytes: to - from, source };
    });
    return new OverlayView(this.#base(durable), pieces);
  }

  #base(durable: number): DiskView {
    if (durable < this.#durable.entries) {
      this.#durable = { bytes: Buffer.from(this.#start), entries: 0, digests: new Map() };
    }
    const { bytes, digests } = this.#durable;
    for (const entry of this.entries.slice(this.#durable.entries, durable)) {
      if (entry.kind !== 'write') continue;
      const { offsetBytes, sizeBytes, dataOffset } = entry;
      this.#log.copy(bytes, offsetBytes, dataOffset, dataOffset + sizeBytes);
      for (const key of digests.keys()) {
        const [at = 0, size = 0] = key.split(' ').map(Number);
        if (touches(entry, at, size)) digests.delete(key);
      }
    }
    this.#durable.entries = durable;
    const view = bytesView(bytes);
    const digest = (at: number, size: number): string => {
      const found = digests.get(`${at} ${size}`) ?? view.digest(at, size);
      digests.set(`${at} ${size}`, found);
      return found;
    };
    return { ...view, digest };
  }

  /** What the disk of a point holds. */
  facts(point: CutPoint, store: StoreFacts = NO_STORE): DiskFacts {
    const disk = this.disk(point);
    return { ...readDisk(disk, IMAGES), data: dataOf(disk, store) };
  }

  /**
   * Judges every cut: after each entry and inside each short one, with some fates; up to the one
   * with which all of `wanted` were found, if there are any.
   */
  async everyCut(wanted: readonly ProblemCode[] = [], judgement = judge): Promise<Outcome> {
    const acknowledged: Acknowledged = new Map();
    const problems = new Set<ProblemCode>();
    const boots = new Set<string>();
    const seen = new Set<string>();
    let floor = NO_FLOOR;
    for (let count = 0; count <= this.entries.length; count += 1) {
      // A flush makes something durable; what is between two of them does not.
      if (this.entries[count - 1]?.kind !== 'write') {
        floor = raise(floor, this.facts({ count, torn: 0, fate: 'drop' }));
      }
      for (const point of pointsAt(count, this.entries[count])) {
        const key = keyOf(cutAt(this.entries, point));
        if (seen.has(key)) continue;
        seen.add(key);
        const verdict = await judgement(this.facts(point), floor, acknowledged);
        for (const { code } of verdict.problems) problems.add(code);
        if (wanted.length > 0 && wanted.every((code) => problems.has(code))) {
          return { cuts: seen.size, problems, boots };
        }
        boots.add(`${wordsOf(verdict.boots)} ${verdict.version ?? 'junk'}`);
      }
    }
    return { cuts: seen.size, problems, boots };
  }
}

/** A choice in words: slot, reason, attempt. */
export function wordsOf(choice: Choice | null): string {
  return choice === null ? 'reset' : `${choice.slot} ${choice.reason} ${choice.attempt}`;
}

function* pointsAt(count: number, next: TimelineEntry | undefined): Generator<CutPoint> {
  const fates: readonly Fate[] = ['keep', 'drop', { seed: 1 }, { mask: 1 }, { mask: 2 }];
  for (const fate of fates) yield { count, torn: 0, fate };
  const sectors = next !== undefined && changes(next) ? next.sizeBytes / SECTOR : 0;
  for (let torn = 1; torn < Math.min(sectors, 9); torn += 1) yield { count, torn, fate: 'keep' };
}
