/**
 * Fuzz targets of what a node keeps for itself: the journal and the progress record of an install,
 * after bad disks and torn writes, and as a program of another version would have left them.
 * Always holds: what is read was written, and where nothing is damaged the next record can be
 * written. Imports core, the drivers' bytes and the install room.
 */
import { encodeFrame, SECTOR_BYTES } from '../../src/core/frame.ts';
import { planAppend, planSettle, replayJournal } from '../../src/core/journal.ts';
import type { JournalBytes, Replay, WriteStep } from '../../src/core/journal.ts';
import { encodeValue, newCopies, readCopies } from '../../src/drivers/two-copy.ts';
import { hintsOf, type SlotHint } from '../../src/install/hint.ts';
import { nodeRecord, rolloutRecord } from '../core/states.ts';
import { ending, promise, type Subject, type Target } from './engine.ts';
import { bentJson, mutated } from './mutate.ts';
import type { Random } from './random.ts';

const FILE_BYTES = 64 * SECTOR_BYTES;

/** The journal of a node that has worked for a while, and every payload that it ever wrote. */
interface Past {
  readonly files: JournalBytes;
  readonly payloads: ReadonlySet<string>;
}

function apply(files: JournalBytes, steps: readonly WriteStep[]): JournalBytes {
  const copies = [Buffer.from(files[0]), Buffer.from(files[1])] as const;
  for (const { file, offset, bytes } of steps) copies[file].set(bytes, offset);
  return copies;
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

function pasts(): Past[] {
  const list: Past[] = [];
  const payloads = new Set<string>();
  let files: JournalBytes = [Buffer.alloc(FILE_BYTES), Buffer.alloc(FILE_BYTES)];
  for (let turn = 0; turn < 60; turn += 1) {
    const { cursor } = replayJournal(files);
    const lastTrialId = turn;
    const [kind, record]: readonly [string, object] =
      turn % 3 === 2 ? ['rollout', rolloutRecord()] : ['node', nodeRecord('A', { lastTrialId })];
    const plan = planAppend(cursor, kind, record);
    for (const { payload } of plan.cursor.last) payloads.add(textOf(payload));
    files = apply(files, plan.steps);
    list.push({ files, payloads });
  }
  return list;
}

const journal: Target = {
  name: 'journal',
  reads: 'the two files of the journal',
  limits: { steps: { base: 60_000, perByte: 30 }, buffers: { base: 300_000, perByte: 10 } },
  open: () => {
    const all = pasts();
    return Promise.resolve({ make: (random) => journalTrial(random, random.pick(all)) });
  },
};

/** Sectors of zeros, of the past, torn; whole frames that no node of this kind wrote. */
function bentFile(random: Random, bytes: Uint8Array, other: Uint8Array): Buffer {
  const bent = Buffer.from(bytes);
  const sector = SECTOR_BYTES * random.below(bent.length / SECTOR_BYTES);
  switch (random.below(7)) {
    case 0:
      return mutated(random, bent);
    case 1:
      return bent.fill(random.pick([0, 0xff]), sector, sector + SECTOR_BYTES);
    case 2:
      return bent.fill(
        other.subarray(sector, sector + SECTOR_BYTES),
        sector,
        sector + SECTOR_BYTES,
      );
    case 3:
      return Buffer.from(other);
    case 4:
      return bent.subarray(0, random.oneIn(2) ? sector : random.below(bent.length));
    case 5: {
      const at = random.below(bent.length);
      bent[at] = (bent[at] ?? 0) ^ (1 << random.below(8));
      return bent;
    }
    default: {
      const payload = bentJson(random, { kind: 'node', record: nodeRecord('A') }).subarray(0, 4000);
      const kind = random.pick(['record', 'snapshot', 'head'] as const);
      const frame = encodeFrame(kind, random.below(70), random.below(70), payload);
      bent.set(frame.subarray(0, Math.max(0, bent.length - sector)), sector);
      return bent;
    }
  }
}

function journalTrial(random: Random, { files, payloads }: Past): ReturnType<Subject['make']> {
  const which = random.below(3);
  const bent: JournalBytes = [
    which === 1 ? files[0] : bentFile(random, files[0], files[1]),
    which === 0 ? files[1] : bentFile(random, files[1], files[0]),
  ];
  const texts = bent.map(textOf);
  return {
    sizeBytes: bent[0].length + bent[1].length,
    judge: () => {
      const replay = replayJournal(bent);
      checkReplay(texts, replay);
      if (replay.newerSchema !== null) return 'newer';
      if (replay.damage !== null) return 'damage';
      writeOn(bent, replay);
      const own = replay.entries.every(({ payload }) => payloads.has(textOf(payload)));
      return `${replay.torn ? 'torn' : 'whole'}${own ? '' : ', with a foreign frame'}`;
    },
  };
}

function checkReplay(texts: readonly string[], { cursor, entries }: Replay): void {
  let seq = 0;
  for (const entry of entries) {
    promise(entry.seq > seq, 'records that are not in order');
    seq = entry.seq;
    const text = textOf(entry.payload);
    promise(
      texts.some((one) => one.includes(text)),
      'a record that is in no file',
    );
  }
  promise(cursor.offset <= FILE_BYTES * 2, 'a place outside of the files');
}

/** A journal that is not damaged takes the next record, and gives it back. */
function writeOn(files: JournalBytes, replay: Replay): void {
  const settled = apply(files, planSettle(files, replay));
  const record = nodeRecord('B', { lastTrialId: 4711 });
  const plan = planAppend(replay.cursor, 'node', record);
  const again = replayJournal(apply(settled, plan.steps));
  const found = again.cursor.last.find(({ kind }) => kind === 'node');
  promise(again.damage === null, `damage after a record was written: ${again.damage?.found ?? ''}`);
  promise(JSON.stringify(found?.record) === JSON.stringify(record), 'the record is not there');
}

const HINT: SlotHint = {
  class: 'system',
  slot: 'B',
  imageId: 'ab'.repeat(32) as SlotHint['imageId'],
  doneBytes: 1_048_576,
  format: false,
  complete: true,
};
const HINTS = { schema: 1, slots: [HINT, { ...HINT, class: 'storage', complete: false }] };

const progress: Target = {
  name: 'progress',
  reads: 'the progress record of an install',
  limits: { steps: { base: 40_000, perByte: 20 }, buffers: { base: 60_000, perByte: 10 } },
  open: () => Promise.resolve({ make: progressTrial }),
};

function progressTrial(random: Random): ReturnType<Subject['make']> {
  const value = random.oneIn(4) ? Buffer.from(JSON.stringify(HINTS)) : bentJson(random, HINTS);
  const whole = newCopies(value.subarray(0, 4000));
  if (random.oneIn(3)) whole.set(encodeValue(3, Buffer.from(JSON.stringify(HINTS))));
  const bytes = random.oneIn(2) ? mutated(random, whole) : whole;
  return {
    sizeBytes: bytes.length,
    judge: () =>
      ending(() => {
        const { value: found } = readCopies(bytes);
        if (found === null) return;
        promise(found.bytes.length <= 4096, 'a value that is too long');
        for (const hint of hintsOf(jsonOf(found.bytes))) checkHint(hint);
      }),
  };
}

/** What is no JSON is an error of the disk for whoever opens the file. */
function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes));
  } catch {
    return null;
  }
}

function checkHint({ class: cls, slot, imageId, doneBytes, format, complete }: SlotHint): void {
  promise(cls === 'system' || cls === 'storage', 'a class');
  promise(slot === 'A' || slot === 'B', 'a slot');
  promise(typeof imageId === 'string' && doneBytes >= 0, 'an image, a size');
  promise(typeof format === 'boolean' && typeof complete === 'boolean', 'a word for yes or no');
}

/** All of them. */
export const STATE_TARGETS: readonly Target[] = [journal, progress];
