/**
 * Frames as the maker writes them: one for each chunk, with nothing behind it, whatever its length.
 * May import tap, node: and the room under test.
 */
import { createHash } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { frameDecoder } from '../../src/bundle/frame-decoder.ts';
import { writeImage } from '../../src/bundle/image-writer.ts';
import { openFileSource } from '../../src/bundle/source.ts';

const CHUNK = 64 * 1024;
const LEVEL = 3;
/** The engine's own size of a piece of output. */
const PIECE = 16 * 1024;
const EMPTY_FRAME_BYTES = 9;

/** A chunk of digits of chance and zeros, the same each time: the digits compress to half. */
function chunkOf(seed: number, digits: number): Buffer {
  const parts = Array.from({ length: Math.ceil(digits / 64) }, (_, i) =>
    createHash('sha256').update(`${seed} ${i}`).digest('hex'),
  );
  const chunk = Buffer.alloc(CHUNK);
  chunk.write(parts.join('').slice(0, digits), 'latin1');
  return chunk;
}

/** As it was once made: with the engine's own pieces of output. */
function carelessly(raw: Buffer): number {
  const params = { [constants.ZSTD_c_compressionLevel]: LEVEL };
  return zstdCompressSync(raw, { pledgedSrcSize: raw.length, params }).length;
}

t.test('frames that fill a piece of output to the last byte', async (t) => {
  const seeds = Array.from({ length: 16 }, (_, seed) => seed);
  const near = seeds.flatMap((seed) =>
    Array.from({ length: 20 }, (_, i) => chunkOf(seed, 2 * PIECE - 800 + 16 * i)),
  );
  const full = near.filter((raw) => carelessly(raw) === PIECE + EMPTY_FRAME_BYTES);
  t.ok(full.length > 0, 'the engine does append a frame, or this test says nothing');
  const path = join(t.testdir(), 'raw');
  const raw = Buffer.concat(near);
  await writeFile(path, raw);
  await using source = await openFileSource(path);
  await using out = await open(`${path}.out`, 'w');
  const options = { chunkBytes: CHUNK, level: LEVEL, onBytes: () => undefined, signal: undefined };
  const { records } = await writeImage('system', source, out, 0, options);
  const made = await readFile(`${path}.out`);
  const decoder = frameDecoder();
  t.equal(records.length, near.length);
  t.ok(records.some(({ compressedBytes }) => compressedBytes === PIECE));
  for (const { offset, compressedBytes, rawOffset, rawBytes, chunk } of records) {
    const into = Buffer.alloc(rawBytes + 1);
    decoder.decode(made.subarray(offset, offset + compressedBytes), into, rawBytes);
    const same = into.subarray(0, rawBytes).equals(raw.subarray(rawOffset, rawOffset + rawBytes));
    if (!same) t.fail(`chunk ${chunk}`);
  }
});
