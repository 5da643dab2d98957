/**
 * One chunk on its way from the bundle to a slot, docs/bundle.md B6: the three checks that the
 * installer, the copy to the depot and `bundle verify` all call. Always holds: bytes reach the
 * decompressor only after their digest was compared with the signed index, and what comes out can
 * never be longer than the index says (decompression bombs). All synchronous, to run in a worker.
 * Imports core.
 */
import { hash } from 'node:crypto';
import { constants, zstdDecompressSync, type ZstdOptions } from 'node:zlib';
import { UpdateError } from '../core/errors.ts';
import { openStoredFrame } from './frames.ts';
import { KIND, type ChunkRecord } from './index-codec.ts';

/** Largest window that a frame may ask the decompressor to keep, as a power of two (B6.3). */
const WINDOW_LOG_MAX = 23;

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
 * Raw bytes of a chunk whose compressed bytes were checked before; exactly `record.rawBytes` of
 * them, in a buffer that the caller owns alone. `dictionary` is that of B6.7, for a delta only.
 * Throws `bundle.damaged` when the frame holds anything else (B6.3), for a delta
 * `bundle.wrong_base`. Does not hash: see `checkRaw`, without which a delta is worth nothing,
 * because a wrong base mostly gives wrong bytes and no error.
 */
export function inflateChunk(
  record: ChunkRecord,
  bytes: Uint8Array,
  dictionary?: Uint8Array,
): Uint8Array {
  const raw = inflate(record, bytes, dictionary);
  if (raw.length === record.rawBytes) return raw;
  throw new UpdateError(
    rawFault(record),
    `${decimal(record)}: the frame holds ${raw.length} raw bytes, expected ${record.rawBytes}`,
    { detail: { image: record.image, chunk: record.chunk, foundBytes: raw.length } },
  );
}

function inflate(
  record: ChunkRecord,
  bytes: Uint8Array,
  dictionary: Uint8Array | undefined,
): Uint8Array {
  switch (record.kind) {
    case KIND.zeros:
      return new Uint8Array(record.rawBytes);
    case KIND.stored:
      return openStoredFrame(bytes, record.rawBytes);
    case KIND.zstd:
      return decompress(record, bytes, {});
    case KIND.delta:
      if (dictionary === undefined) {
        throw new UpdateError('internal.bug', `${decimal(record)}: a delta without its base`);
      }
      return decompress(record, bytes, { dictionary });
  }
}

function decompress(record: ChunkRecord, bytes: Uint8Array, more: ZstdOptions): Uint8Array {
  try {
    return zstdDecompressSync(bytes, {
      chunkSize: Math.max(64, record.rawBytes),
      maxOutputLength: record.rawBytes,
      params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
      ...more,
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const what = `the frame cannot be decompressed to ${record.rawBytes} bytes (${why})`;
    throw new UpdateError(rawFault(record), `${decimal(record)}: ${what}`, {
      cause,
      detail: { image: record.image, chunk: record.chunk },
    });
  }
}
