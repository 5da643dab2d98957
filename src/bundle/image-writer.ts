/**
 * From a raw image file to the frames of its member and the records of its index, docs/bundle.md
 * B7.4. Always holds: the input is read once, in order, so digests and frames are of the same bytes
 * whatever happens to the file meanwhile; each frame was read back as a node reads it; at most a
 * few chunks are in memory; the result depends on the bytes, the chunk size and the level only,
 * never on timing. Imports core.
 */
import { createHash, hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { UpdateError } from '../core/errors.ts';
import type { ManifestBase } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';
import type { Segment } from './delta.ts';
import type { BaseImage, Dictionary } from './delta-base.ts';
import { frameDecoder, type FrameDecoder } from './frame-decoder.ts';
import { storedFrame, zeroDigests, zeroFrame } from './frames.ts';
import { KIND, type ChunkKind, type ChunkRecord } from './index-codec.ts';
import { CHUNKS_MAX, MEMBER_BYTES_MAX } from './limits.ts';
import { writeAll } from './replace-file.ts';
import { fileError, openFileSource, type ByteSource, type FileSource } from './source.ts';

const compress = promisify(zstdCompress);
/** The one that nodes install with. */
let decoder: FrameDecoder | null = null;
/** A chunk of which the base has more than this share is not tried without the base. */
const ALIKE = 0.5;

/** One image to compress. */
export interface ImageInput {
  readonly name: string;
  readonly path: string;
}

/** What became of an image. */
export interface WrittenImage {
  readonly rawBytes: number;
  readonly rawSha256: Sha256;
  readonly compressedBytes: number;
  readonly records: readonly ChunkRecord[];
  /** What chunks of kind 3 are made against; absent where there are none. */
  readonly base?: ManifestBase;
}

/** How an image is cut into chunks and compressed. */
export interface WriteOptions {
  readonly chunkBytes: number;
  /** zstd level, 1 to 22. */
  readonly level: number;
  readonly onBytes: (rawBytes: number) => void;
  readonly signal: AbortSignal | undefined;
  /** Image of an earlier release: chunks that have something in common with it become deltas. */
  readonly base?: BaseImage;
}

/** Opens an image; throws `bundle.invalid_input` when it is no file, empty or too large. */
export async function openImage(input: ImageInput, chunkBytes: number): Promise<FileSource> {
  let source: FileSource;
  try {
    source = await openFileSource(input.path);
  } catch (cause) {
    const why = fileError(cause, input.path);
    const code = why.code === 'bundle.not_a_file' ? 'bundle.invalid_input' : why.code;
    throw new UpdateError(code, `image ${input.name}: ${why.message}`, { cause });
  }
  const maxBytes = CHUNKS_MAX * chunkBytes;
  if (source.sizeBytes >= 1 && source.sizeBytes <= maxBytes) return source;
  await source[Symbol.asyncDispose]();
  throw new UpdateError(
    'bundle.invalid_input',
    `image ${input.name}: ${input.path} has ${source.sizeBytes} bytes, expected 1 to ${maxBytes}`,
    { detail: { path: input.path, foundBytes: source.sizeBytes, maxBytes } },
  );
}

interface Frame {
  readonly kind: ChunkKind;
  readonly bytes: Uint8Array;
  readonly rawBytes: number;
  readonly compressedSha256: Sha256;
  readonly rawSha256: Sha256;
  readonly segments?: readonly Segment[];
}

/**
 * Compresses all of `source` into `out` from position `offset` on. Throws `bundle.invalid_input`
 * when the file changes its size meanwhile or the result is too large for a member.
 */
export async function writeImage(
  name: string,
  source: ByteSource,
  out: FileHandle,
  offset: number,
  options: WriteOptions,
): Promise<WrittenImage> {
  const whole = createHash('sha256');
  const records: ChunkRecord[] = [];
  let compressedBytes = 0;
  const finish = async (pending: Promise<Frame>): Promise<void> => {
    const { bytes, ...frame } = await pending;
    await writeAll(out, bytes, offset + compressedBytes);
    const chunk = records.length;
    records.push({
      image: name,
      chunk,
      kind: frame.kind,
      offset: compressedBytes,
      compressedBytes: bytes.length,
      rawOffset: chunk * options.chunkBytes,
      rawBytes: frame.rawBytes,
      compressedSha256: frame.compressedSha256,
      rawSha256: frame.rawSha256,
      ...(frame.segments !== undefined && { segments: frame.segments }),
    });
    compressedBytes += bytes.length;
    if (compressedBytes > MEMBER_BYTES_MAX) throw tooLarge(name);
    options.onBytes(frame.rawBytes);
  };
  const queue: Promise<Frame>[] = [];
  const lanes = availableParallelism();
  try {
    for (let at = 0; at < source.sizeBytes; at += options.chunkBytes) {
      const length = Math.min(options.chunkBytes, source.sizeBytes - at);
      const raw = await readInput(name, source, at, length, options.signal);
      whole.update(raw);
      // The search goes through the image in order; only the compressing runs beside it.
      const dictionary = (await options.base?.dictionaryFor(raw, at)) ?? null;
      queue.push(frameOf(raw, options.level, dictionary));
      if (queue.length > lanes) await finish(queue.shift()!);
    }
    while (queue.length > 0) await finish(queue.shift()!);
  } finally {
    // After a failure the other lanes still end before their files are closed.
    await Promise.allSettled(queue);
  }
  const rawSha256 = whole.digest('hex') as Sha256;
  const base = records.some((record) => record.kind === KIND.delta)
    ? options.base?.base
    : undefined;
  const image = { rawBytes: source.sizeBytes, rawSha256, compressedBytes, records };
  return base === undefined ? image : { ...image, base };
}

async function readInput(
  name: string,
  source: ByteSource,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  try {
    return await source.readAt(offset, length, signal);
  } catch (cause) {
    if (!(cause instanceof UpdateError)) throw cause;
    throw new UpdateError(
      'bundle.invalid_input',
      `image ${name} became shorter while it was read`,
      {
        cause,
      },
    );
  }
}

/**
 * Zeros are found first, then zstd, with what the base offers where there is one, and what zstd
 * does not make smaller is stored (B6.6).
 */
async function frameOf(
  raw: Uint8Array,
  level: number,
  dictionary: Dictionary | null,
): Promise<Frame> {
  const rawBytes = raw.length;
  const rawSha256 = hash('sha256', raw, 'hex') as Sha256;
  const zeros = zeroDigests(rawBytes);
  if (rawSha256 === zeros.raw) {
    const bytes = zeroFrame(rawBytes);
    return { kind: KIND.zeros, bytes, rawBytes, rawSha256, compressedSha256: zeros.compressed };
  }
  const delta = dictionary === null ? null : await packed(raw, level, dictionary.bytes);
  const alone = delta !== null && dictionary!.matched > ALIKE ? null : await packed(raw, level);
  const best = delta !== null && (alone === null || delta.length < alone.length) ? delta : alone!;
  const smaller = best.length < rawBytes;
  const bytes = smaller ? best : storedFrame(raw);
  const kind = !smaller ? KIND.stored : best === delta ? KIND.delta : KIND.zstd;
  const compressedSha256 = hash('sha256', bytes, 'hex') as Sha256;
  const frame = { kind, bytes, rawBytes, rawSha256, compressedSha256 };
  return kind === KIND.delta ? { ...frame, segments: dictionary!.segments } : frame;
}

/**
 * Longest frame of so many bytes (zstd.h, ZSTD_COMPRESSBOUND), and one more: when a frame fills its
 * buffer to the last byte, the engine asks the compressor for more and gets a second, empty frame.
 */
function roomFor(rawBytes: number): number {
  const small = 128 * 1024;
  return rawBytes + (rawBytes >> 8) + (rawBytes < small ? (small - rawBytes) >> 11 : 0) + 1;
}

/** One frame. Throws `internal.bug` for what a node would refuse, before anybody signs it. */
async function packed(raw: Uint8Array, level: number, dictionary?: Uint8Array): Promise<Buffer> {
  const frame = await compress(raw, {
    chunkSize: roomFor(raw.length),
    pledgedSrcSize: raw.length,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_contentSizeFlag]: 1,
      [constants.ZSTD_c_checksumFlag]: 0,
    },
    ...(dictionary !== undefined && { dictionary }),
  });
  decoder ??= frameDecoder();
  const back = Buffer.allocUnsafeSlow(raw.length + 1);
  try {
    decoder.decode(frame, back, raw.length, dictionary);
  } catch (cause) {
    throw new UpdateError('internal.bug', 'a frame was made that nobody can read', { cause });
  }
  if (back.subarray(0, raw.length).equals(raw)) return frame;
  throw new UpdateError('internal.bug', 'a frame was made that gives other bytes');
}

function tooLarge(name: string): UpdateError {
  return new UpdateError(
    'bundle.invalid_input',
    `image ${name} is larger than ${MEMBER_BYTES_MAX} bytes when it is compressed`,
    { detail: { image: name, maxBytes: MEMBER_BYTES_MAX } },
  );
}
