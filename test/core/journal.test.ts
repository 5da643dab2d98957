/**
 * The journal as bytes: frames, replay, compaction and repair, against random histories and every
 * damaged byte. May import tap, fast-check and core.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { crc32c } from '../../src/core/crc32c.ts';
import {
  encodeFrame,
  frameBytes,
  isNewerFrame,
  PAYLOAD_BYTES_MAX,
  readFrame,
  readHeader,
  SECTOR_BYTES,
} from '../../src/core/frame.ts';
import {
  JOURNAL_FILE_BYTES_MIN,
  planAppend,
  planSettle,
  replayJournal,
  type JournalBytes,
  type JournalCursor,
  type WriteStep,
} from '../../src/core/journal.ts';
import { planRepair } from '../../src/core/journal-repair.ts';

const textOf = (text: string): Uint8Array => new TextEncoder().encode(text);

t.test('CRC-32C: the vectors of RFC 3720, B.4', async (t) => {
  t.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  t.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  t.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  t.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c);
  t.equal(crc32c(textOf('123456789')), 0xe3069283);
});

t.test('a frame is whole sectors and reads back as written', async (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 3 * SECTOR_BYTES }),
      fc.nat(),
      fc.maxSafeNat(),
      (payload, generation, seq) => {
        const bytes = encodeFrame('record', generation, seq, payload);
        const frame = readFrame(bytes, 0);
        return (
          bytes.length === frameBytes(payload.length) &&
          bytes.length % SECTOR_BYTES === 0 &&
          frame?.generation === generation &&
          frame.seq === seq &&
          Buffer.compare(frame.payload, payload) === 0
        );
      },
    ),
    { seed: 1, numRuns: 300 },
  );
  t.equal(frameBytes(480), 512);
  t.equal(frameBytes(481), 1024);
  t.throws(() => encodeFrame('record', 1, 1, new Uint8Array(PAYLOAD_BYTES_MAX + 1)), {
    code: 'internal.bug',
  });
});

t.test('every damaged bit of a frame is found', async (t) => {
  const payload = textOf('{"kind":"node"}');
  const good = encodeFrame('record', 3, 9, payload);
  let found = 0;
  const bits = (32 + payload.length) * 8;
  for (let bit = 0; bit < bits; bit += 1) {
    const bad = good.slice();
    bad[bit >> 3]! ^= 1 << (bit & 7);
    if (readFrame(bad, 0) === null && !isNewerFrame(bad, 0)) found += 1;
  }
  t.equal(found, bits);
  t.equal(readHeader(good, 8), null, 'a frame starts where it starts');
});

/** Two files of this size in memory, with what a writer does to them. */
class Files {
  readonly bytes: [Uint8Array, Uint8Array];

  constructor(sizeBytes: number) {
    this.bytes = [new Uint8Array(sizeBytes), new Uint8Array(sizeBytes)];
  }

  write(steps: readonly WriteStep[]): void {
    for (const step of steps) this.bytes[step.file].set(step.bytes, step.offset);
  }

  append(cursor: JournalCursor, kind: string, record: object): JournalCursor {
    const plan = planAppend(cursor, kind, record);
    this.write(plan.steps);
    return plan.cursor;
  }

  replay() {
    return replayJournal(this.bytes);
  }

  clone(): Files {
    const copy = new Files(0);
    copy.bytes[0] = this.bytes[0].slice();
    copy.bytes[1] = this.bytes[1].slice();
    return copy;
  }
}

const record = (n: number, padding = 0) => ({ schema: 1, n, text: 'x'.repeat(padding) });

/** A journal of records 1 to `count`, kinds taken in turn. */
function filled(count: number, sizeBytes: number, padding = 0): Files {
  const files = new Files(sizeBytes);
  let { cursor } = files.replay();
  for (let n = 1; n <= count; n += 1) {
    cursor = files.append(cursor, n % 3 === 0 ? 'rollout' : 'node', record(n, padding));
  }
  return files;
}

t.test(
  'any history reads back: last of each kind, order, cursor as the writer has it',
  async (t) => {
    const kinds = fc.constantFrom('node', 'rollout', 'later');
    const history = fc.array(fc.tuple(kinds, fc.nat({ max: 1500 })), {
      maxLength: 60,
      size: 'max',
    });
    let compactions = 0;
    fc.assert(
      fc.property(history, (entries) => {
        const files = new Files(16 * 1024);
        let { cursor } = files.replay();
        const last = new Map<string, number>();
        for (const [index, [kind, padding]] of entries.entries()) {
          cursor = files.append(cursor, kind, record(index + 1, padding));
          last.set(kind, index + 1);
        }
        const replay = files.replay();
        compactions += Math.max(0, cursor.generation - 1);
        t.same(replay.cursor, cursor);
        t.match(replay, { damage: null, torn: false, newerSchema: null });
        t.same(new Map(replay.cursor.last.map((entry) => [entry.kind, entry.seq])), last);
        const seqs = replay.entries.map((entry) => entry.seq);
        t.same(
          seqs,
          [...new Set(seqs)].toSorted((a, b) => a - b),
        );
        t.equal(seqs.at(-1), entries.length === 0 ? undefined : entries.length);
        for (const entry of replay.entries) t.match(entry.record, { n: entry.seq });
        return true;
      }),
      { seed: 2, numRuns: 60 },
    );
    t.ok(compactions > 50, `${compactions} compactions`);
  },
);

t.test('the history before a compaction is told as long as it is there', async (t) => {
  const files = filled(40, 8 * 1024, 300);
  const replay = files.replay();
  t.ok(replay.cursor.generation > 1);
  const seqs = replay.entries.map((entry) => entry.seq);
  t.same(
    seqs,
    Array.from({ length: seqs.length }, (_, i) => 41 - seqs.length + i),
    'no gap',
  );
  t.ok(seqs.length > 15, `${seqs.length} records of two generations`);
});

t.test('a file that cannot hold the snapshots is a fault of the program', async (t) => {
  const files = new Files(JOURNAL_FILE_BYTES_MIN);
  t.throws(() => planAppend(files.replay().cursor, 'node', record(1, 5000)), {
    code: 'internal.bug',
  });
  t.match(new Files(SECTOR_BYTES).replay().damage, { found: /too short/ });
});

t.test('newer schema, newer format, unknown records', async (t) => {
  const newer = filled(3, 8192);
  newer.append(newer.replay().cursor, 'node', { schema: 2 });
  t.equal(newer.replay().newerSchema, 2);
  const format = filled(3, 8192);
  format.bytes[1][3] = 0x32;
  t.equal(format.replay().newerSchema, null, 'a flipped bit is not the future');
  t.match(format.replay().damage, { offset: 0 });
  new DataView(format.bytes[1].buffer).setUint32(28, crc32c(format.bytes[1].subarray(0, 28)), true);
  t.equal(format.replay().newerSchema, 2);
  const odd = filled(3, 8192);
  odd.append(odd.replay().cursor, 'node', { schema: 'one' });
  t.match(odd.replay().damage, { found: /no record/ });
});

t.test(
  'every damaged byte of a journal: the truth or an alarm, never an older state',
  async (t) => {
    // Compacted once: the first file counts, the second one holds what was before.
    for (const [count, sizeBytes] of [
      [6, 8192],
      [9, 4096],
    ] as const) {
      const files = filled(count, sizeBytes, 60);
      const good = files.replay();
      let alarms = 0;
      let dropped = 0;
      for (const file of [0, 1] as const) {
        for (let offset = 0; offset < sizeBytes; offset += 1) {
          const bad = files.clone();
          bad.bytes[file][offset]! ^= 1 << (offset % 8);
          const replay = bad.replay();
          const seq = replay.cursor.seq;
          if (replay.damage !== null) alarms += 1;
          else if (seq === count - 1) dropped += 1;
          else if (seq !== count) t.fail(`record ${seq} at ${file}:${offset}`);
          if (replay.damage === null && seq < count) {
            // Only the very last frame cannot be told from a torn one.
            const { tail, cursor } = good;
            const inTail = offset >= tail!.offset && offset < tail!.offset + tail!.lengthBytes;
            if (!inTail || file !== cursor.generation % 2) t.fail(`silent at ${file}:${offset}`);
          }
          checkRepair(t, bad, `${file}:${offset}`);
        }
      }
      t.ok(alarms > 300 && dropped > 50, `${alarms} alarms, ${dropped} dropped tails`);
    }
  },
);

/** After a repair the journal is readable, keeps the good records and can be written. */
function checkRepair(t: import('tap').Test, files: Files, where: string): void {
  const before = files.replay();
  if (before.damage === null) return;
  const plan = planRepair(files.bytes, files.bytes[0].length);
  files.write(plan.steps);
  const after = files.replay();
  if (after.damage !== null) t.fail(`still damaged ${where}`);
  const seqs = after.cursor.last.map((entry) => entry.seq);
  if (seqs.length !== 2) t.fail(`a kind is lost ${where}`, { seqs });
  for (const entry of after.entries) {
    if ((entry.record as unknown as { n: number }).n !== entry.seq) t.fail(`mixed up ${where}`);
  }
  const cursor = files.append(after.cursor, 'node', record(after.cursor.seq + 1));
  if (cursor.seq <= before.cursor.seq) t.fail(`a sequence number again ${where}`);
  if (files.replay().cursor.seq !== cursor.seq) t.fail(`not writable ${where}`);
}

t.test('repair keeps what is before the damage and says how much', async (t) => {
  const files = filled(8, 8192, 60);
  const at = 5 * SECTOR_BYTES;
  files.bytes[1][at + 40]! ^= 1;
  t.match(files.replay().damage, { file: 1, offset: at, found: /later ones behind it/ });
  const plan = planRepair(files.bytes, 8192);
  t.match(plan, { kept: 4, droppedBytes: 4 * SECTOR_BYTES, target: 0 });
  t.same([plan.cursor.seq, plan.cursor.generation], [8, 2]);
  files.write(plan.steps);
  t.same(
    files.replay().entries.map((entry) => entry.seq),
    [1, 2, 3, 4],
  );
});

t.test('any bytes at all: the reader never throws and a repair always ends well', async (t) => {
  const changes = fc.array(
    fc.tuple(fc.constantFrom(0, 1), fc.nat({ max: 8191 }), fc.uint8Array({ maxLength: 600 })),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(fc.nat({ max: 40 }), changes, (count, patches) => {
      const files = filled(count, 8192, 200);
      for (const [file, offset, bytes] of patches) {
        files.bytes[file === 0 ? 0 : 1].set(bytes.subarray(0, 8192 - offset), offset);
      }
      const bytes: JournalBytes = files.bytes;
      const replay = replayJournal(bytes);
      planSettle(bytes, replay);
      if (replay.damage !== null) files.write(planRepair(bytes, 8192).steps);
      const after = files.replay();
      return after.damage === null && after.cursor.seq >= replay.cursor.seq;
    }),
    { seed: 3, numRuns: 300 },
  );
  t.pass();
});
