/**
 * One chunk on its way from the bundle to a slot, docs/bundle.md B6: the three checks that the
 * installer, the copy to the depot and `bundle verify` all call. Always holds: bytes reach the
 * decompressor only after their digest was compared with the signed index, and what comes out can
 * never be longer than the index says (decompression bombs). All synchronous, to run in a worker.
 * Imports core.
 */
import { hash } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import { frameDecoder, type FrameDecoder } from './frame-decoder.ts';
import { openStoredFrame } from './frames.ts';
import { KIND, type ChunkRecord } from './index-codec.ts';

const decimal = (record: ChunkRecord): string => `image ${record.image}, chunk ${record.chunk}`;

/** Compares the compressed bytes of a chunk with the index. Throws `bundle.damaged` (B6.1). */
export function checkCompressed(record: ChunkRecord, bytes: Uint8Array): void {
  compare(record, 'compressed', bytes, record.compressedBytes, record.compressedSha256);
}

/**
 * Compares the raw bytes of a chunk with the index (B6.2). Throws `bundle.damaged`; for a delta,
 * whose own bytes were checked before, `bundle.wrong_base`.
 */
export function checkRaw(record: ChunkRecord, bytes: Uint8Array): void {
  compare(record, 'raw', bytes, record.rawBytes, record.rawSha256);
}

function compare(
  record: ChunkRecord,
  what: 'compressed' | 'raw',
  bytes: Uint8Array,
  expectedBytes: number,
  expected: string,
): void {
  const { image, chunk } = record;
  if (bytes.length !== expectedBytes) {
    throw new UpdateError(
      'bundle.damaged',
      `${decimal(record)}: ${bytes.length} ${what} bytes, expected ${expectedBytes}`,
      { detail: { image, chunk, foundBytes: bytes.length, expectedBytes } },
    );
  }
  const found = hash('sha256', bytes, 'hex');
  if (found === expected) return;
  throw new UpdateError(
    what === 'raw' ? rawFault(record) : 'bundle.damaged',
    `${decimal(record)}: the ${what} bytes have SHA-256 ${found}, expected ${expected}`,
    { detail: { image, chunk, found, expected } },
  );
}

/** A frame that is as signed and gives other raw bytes: of a delta that tells of its base. */
function rawFault({ kind }: ChunkRecord): 'bundle.damaged' | 'bundle.wrong_base' {
  return kind === KIND.delta ? 'bundle.wrong_base' : 'bundle.damaged';
}

/**
 * Writes the raw bytes of a chunk, whose compressed bytes were checked before, into `into`: exactly
 * `record.rawBytes` of them, and room for one more must be there. `dictionary` is that of B6.7, for
 * a delta only. Throws `bundle.damaged` when the frame holds anything else (B6.3), for a delta
 * `bundle.wrong_base`; `into` is garbage then. Does not hash: see `checkRaw`, without which a delta
 * is worth nothing, because a wrong base mostly gives wrong bytes and no error.
 */
export function inflateInto(
  decoder: FrameDecoder,
  record: ChunkRecord,
  bytes: Uint8Array,
  into: Uint8Array,
  dictionary?: Uint8Array,
): void {
  const { kind, rawBytes } = record;
  if (into.length <= rawBytes || (kind === KIND.delta && dictionary === undefined)) {
    throw new UpdateError('internal.bug', `${decimal(record)}: a delta without base, or no room`);
  }
  if (kind === KIND.zeros) into.fill(0, 0, rawBytes);
  else if (kind === KIND.stored) openStoredFrame(bytes, rawBytes, into);
  else decompress(decoder, record, bytes, into, kind === KIND.delta ? dictionary : undefined);
}

let shared: FrameDecoder | undefined;

/** The same, in a buffer that the caller owns alone. */
export function inflateChunk(
  record: ChunkRecord,
  bytes: Uint8Array,
  dictionary?: Uint8Array,
): Uint8Array {
  shared ??= frameDecoder();
  const into = Buffer.allocUnsafeSlow(record.rawBytes + 1);
  inflateInto(shared, record, bytes, into, dictionary);
  return into.subarray(0, record.rawBytes);
}

function decompress(
  decoder: FrameDecoder,
  record: ChunkRecord,
  bytes: Uint8Array,
  into: Uint8Array,
  dictionary: Uint8Array | undefined,
): void {
  try {
    decoder.decode(bytes, into, record.rawBytes, dictionary);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const what = `the frame cannot be decompressed to ${record.rawBytes} bytes (${why})`;
    throw new UpdateError(rawFault(record), `${decimal(record)}: ${what}`, {
      cause,
      detail: { image: record.image, chunk: record.chunk },
    });
  }
}
