/**
 * One chunk: compared before it is decompressed, never longer than the index says; the frames that
 * are made without zstd are real zstd frames.
 */
import { hash } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import t from 'tap';
import { checkCompressed, checkRaw, inflateChunk } from '../../src/bundle/chunk.ts';
import {
  openStoredFrame,
  storedFrame,
  storedFrameBytes,
  zeroDigests,
  zeroFrame,
  zeroFrameBytes,
} from '../../src/bundle/frames.ts';
import { KIND, type ChunkKind, type ChunkRecord } from '../../src/bundle/index-codec.ts';
import type { Sha256 } from '../../src/core/model.ts';
import { sha256 } from './craft.ts';
import { codes, failure, outcome } from './kit.ts';

const RAW = Buffer.alloc(100_000, 'some raw bytes ');

function recordOf(kind: ChunkKind, frame: Uint8Array, raw: Uint8Array): ChunkRecord {
  return {
    image: 'system',
    chunk: 7,
    kind,
    offset: 0,
    compressedBytes: frame.length,
    rawOffset: 0,
    rawBytes: raw.length,
    compressedSha256: sha256(frame) as Sha256,
    rawSha256: sha256(raw) as Sha256,
  };
}

await t.test('each kind gives the raw bytes, in a buffer of its own', async (t) => {
  const zeros = Buffer.alloc(70_000);
  const frames: [ChunkKind, Uint8Array, Buffer][] = [
    [KIND.zeros, zeroFrame(zeros.length), zeros],
    [KIND.zstd, zstdCompressSync(RAW), RAW],
    [KIND.stored, storedFrame(RAW), RAW],
  ];
  for (const [kind, frame, raw] of frames) {
    const record = recordOf(kind, frame, raw);
    checkCompressed(record, frame);
    const found = inflateChunk(record, frame);
    checkRaw(record, found);
    t.ok(raw.equals(found), `kind ${kind}`);
    t.equal(found.length, raw.length);
  }
});

await t.test('a damaged chunk is named, with what was found', async (t) => {
  const frame = zstdCompressSync(RAW);
  const record = recordOf(KIND.zstd, frame, RAW);
  const bent = Buffer.from(frame);
  bent[20] = (bent[20] ?? 0) ^ 4;
  const error = await failure(() => checkCompressed(record, bent));
  t.equal(error?.code, 'bundle.damaged');
  t.match(error?.message, /image system, chunk 7.*found|image system, chunk 7.*expected/s);
  t.match(error?.detail, {
    image: 'system',
    chunk: 7,
    found: sha256(bent),
    expected: sha256(frame),
  });
  t.equal(await outcome(() => checkCompressed(record, frame.subarray(1))), 'bundle.damaged');
  t.equal(await outcome(() => checkRaw(record, RAW.subarray(1))), 'bundle.damaged');
  t.equal(await outcome(() => checkRaw(record, Buffer.alloc(RAW.length))), 'bundle.damaged');
});

const small = { ...recordOf(KIND.zstd, RAW, RAW), rawBytes: 65_536 };
const inflate =
  (frame: Uint8Array, record: ChunkRecord = small) =>
  () =>
    inflateChunk(record, frame);
const half = zstdCompressSync(Buffer.alloc(32_768));
const full = zstdCompressSync(Buffer.alloc(65_536, 1));
await codes('frames that are not what the index says', [
  ['as it says', 'ok', inflate(full)],
  ['a bomb of 1 GiB', 'bundle.damaged', inflate(bomb())],
  ['one byte too many', 'bundle.damaged', inflate(zstdCompressSync(Buffer.alloc(65_537)))],
  ['one byte too few', 'bundle.damaged', inflate(zstdCompressSync(Buffer.alloc(65_535)))],
  ['a second frame', 'bundle.damaged', inflate(Buffer.concat([full, half]))],
  ['a window of 128 MiB', 'bundle.damaged', inflate(wideWindow())],
  ['no frame', 'bundle.damaged', inflate(Buffer.alloc(100))],
  ['an empty frame', 'bundle.damaged', inflate(Buffer.alloc(0))],
  ['half a frame', 'bundle.damaged', inflate(full.subarray(0, -4))],
]);

await t.test('a bomb is stopped by the cap, not after it', async (t) => {
  const error = await failure(inflate(bomb()));
  t.match(error?.cause, { code: 'ERR_BUFFER_TOO_LARGE' });
  const wide = await failure(inflate(wideWindow()));
  t.match(wide?.cause, { code: 'ZSTD_error_frameParameter_windowTooLarge' });
});

/** 8,192 blocks of 128 KiB zeros: 32 KiB that want to become 1 GiB. */
function bomb(): Buffer {
  const blocks = Array.from({ length: 8192 }, (_, i) => {
    const block = Buffer.alloc(4);
    block.writeUIntLE((i === 8191 ? 1 : 0) | 2 | (131_072 << 3), 0, 3);
    return block;
  });
  return Buffer.concat([Buffer.from('28b52ffd0058', 'hex'), ...blocks]);
}

/** A good frame of 65,536 ones that asks for a window of 2^27 bytes. */
function wideWindow(): Buffer {
  const block = Buffer.alloc(4, 1);
  block.writeUIntLE(1 | 2 | (65_536 << 3), 0, 3);
  return Buffer.concat([Buffer.from('28b52ffd0088', 'hex'), block]);
}

await t.test('frames that are made without zstd are zstd frames', async (t) => {
  for (const length of [1, 2, 100, 65_536, 131_071, 131_072, 131_073, 1_048_576, 4_194_304]) {
    const raw = Buffer.alloc(length, hash('sha512', `${length}`, 'buffer'));
    const stored = storedFrame(raw);
    t.equal(stored.length, storedFrameBytes(length));
    t.ok(zstdDecompressSync(stored).equals(raw), `stored ${length}`);
    const found = Buffer.alloc(length);
    openStoredFrame(stored, length, found);
    t.ok(raw.equals(found));
    const zeros = zeroFrame(length);
    t.equal(zeros.length, zeroFrameBytes(length));
    t.ok(zstdDecompressSync(zeros).equals(Buffer.alloc(length)), `zeros ${length}`);
    t.equal(zeroDigests(length).raw, sha256(Buffer.alloc(length)));
    t.equal(zeroDigests(length).compressed, sha256(zeros));
  }
});

const open = (bytes: Uint8Array, length: number) => () =>
  openStoredFrame(bytes, length, Buffer.alloc(length));

await t.test('a stored frame with another head is refused', async (t) => {
  const frame = storedFrame(RAW);
  for (const at of [0, 3, 4, 5, 8, 9, 10, 11]) {
    const bent = Buffer.from(frame);
    bent[at] = (bent[at] ?? 0) ^ 1;
    t.equal(await outcome(open(bent, RAW.length)), 'bundle.damaged', `byte ${at}`);
  }
  t.equal(await outcome(open(frame, RAW.length - 1)), 'bundle.damaged');
});

await t.test('any frame: the right length or a refusal', (t) => {
  const check = fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(3), (bytes, cut) => {
    const frame = Buffer.concat([full.subarray(0, cut * 8), bytes]);
    for (const kind of [KIND.zstd, KIND.stored] as const) {
      try {
        if (inflateChunk({ ...small, kind }, frame).length !== small.rawBytes) return false;
      } catch (error) {
        if ((error as { code?: string }).code !== 'bundle.damaged') return false;
      }
    }
    return true;
  });
  fc.assert(check, { numRuns: 300 });
  t.pass('300 frames');
  t.end();
});
