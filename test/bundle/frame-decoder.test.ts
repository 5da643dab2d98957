/**
 * Both decoders give the same: raw bytes, refusals, and no byte beyond the room that they were
 * given; one decoder serves many frames, with and without dictionaries, and after failures. May
 * import tap, node: and the bundle room.
 */
import { hash } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { documentedDecoder, frameDecoder } from '../../src/bundle/frame-decoder.ts';
import type { FrameDecoder } from '../../src/bundle/frame-decoder.ts';

const RAW = Buffer.concat([
  Buffer.alloc(30_000, 'some raw bytes '),
  hash('sha512', 'noise', 'buffer'),
]);
const BASE = Buffer.concat([Buffer.alloc(8), RAW.subarray(2000), Buffer.from('and more')]);
const FRAME = zstdCompressSync(RAW);
const DELTA = zstdCompressSync(RAW, { dictionary: BASE });
/** A window of 2^27 bytes, asked for by a frame that does not say how much it holds. */
const WIDE = Buffer.concat([Buffer.from('28b52ffd0088', 'hex'), blocksOf(1, 65_536)]);
/** 2^30 zeros in 32 KiB. */
const BOMB = Buffer.concat([Buffer.from('28b52ffd0058', 'hex'), blocksOf(8192, 131_072)]);

function blocksOf(count: number, sizeBytes: number): Buffer {
  const blocks = Array.from({ length: count }, (_, i) => {
    const block = Buffer.alloc(4);
    block.writeUIntLE((i === count - 1 ? 1 : 0) | 2 | (sizeBytes << 3), 0, 3);
    return block;
  });
  return Buffer.concat(blocks);
}

/** What a frame ends with: `ok`, or the code of the failure; `into` gets what came out. */
function ending(
  decoder: FrameDecoder,
  into: Buffer,
  [frame, rawBytes, dictionary]: readonly [Uint8Array, number, Uint8Array?],
): string {
  try {
    decoder.decode(frame, into, rawBytes, dictionary);
    return 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const ROWS: readonly (readonly [string, RegExp, Uint8Array, number, Uint8Array?])[] = [
  ['a frame', /^ok$/, FRAME, RAW.length],
  ['with a dictionary', /^ok$/, DELTA, RAW.length, BASE],
  ['without the one that it needs', /^ZSTD_error/, DELTA, RAW.length],
  ['again without one', /^ok$/, FRAME, RAW.length],
  ['one byte more than asked for', /TOO_LARGE/, FRAME, RAW.length - 1],
  ['one byte less', /TOO_SHORT|^Z/, FRAME, RAW.length + 1],
  ['a bomb', /TOO_LARGE/, BOMB, 65_536],
  ['a window of 128 MiB', /windowTooLarge/, WIDE, 65_536],
  ['cut', /TOO_SHORT|^Z/, FRAME.subarray(0, -9), RAW.length],
  ['nothing', /TOO_SHORT|^Z/, Buffer.alloc(0), RAW.length],
  ['something behind it', /TRAILING_JUNK/, Buffer.concat([FRAME, Buffer.from('x')]), RAW.length],
  ['a second frame', /TRAILING_JUNK|TOO_LARGE/, Buffer.concat([FRAME, FRAME]), RAW.length],
  ['no frame', /^ZSTD_error/, Buffer.alloc(100, 'x'), RAW.length],
];

t.test('this engine is known: one decompressor for all frames', (t) => {
  t.not(frameDecoder().constructor.name, 'Object');
  t.equal(documentedDecoder().constructor.name, 'Object');
  t.end();
});

for (const [name, decoder] of [
  ['reused', frameDecoder()],
  ['documented', documentedDecoder()],
] as const) {
  t.test(`${name}: every frame, each after each`, (t) => {
    const into = Buffer.alloc(70_000);
    for (const [first, , ...args] of ROWS) {
      for (const [row, expected, ...then] of ROWS) {
        ending(decoder, into, args);
        into.fill(0xee);
        const found = ending(decoder, into, then);
        if (!expected.test(found)) t.fail(`${row} after ${first}: ${found}`);
        const rawBytes = then[1];
        if (found === 'ok' && !into.subarray(0, rawBytes).equals(RAW)) t.fail(`${row}: bytes`);
        const beyond = into.subarray(rawBytes + 1);
        if (!beyond.every((byte) => byte === 0xee)) t.fail(`${row}: bytes beyond the room`);
      }
    }
    t.pass(`${ROWS.length ** 2} pairs`);
    t.end();
  });
}
