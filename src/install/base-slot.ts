/**
 * The slot that a delta is applied against: named and hashed as a whole before the first write of
 * an install, read in pieces while its chunks are made, and hashed again when one of them did not
 * come out. Always holds: it is opened for reading only, it is never the slot that is written, and
 * nothing of it counts before the digest of what was made from it. Imports core, bundle, the
 * protocol and the block file.
 */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { DICTIONARY_HEAD_BYTES, UNIT_BYTES, type Segment } from '../bundle/delta.ts';
import type { ChunkRecord } from '../bundle/index-codec.ts';
import { UpdateError } from '../core/errors.ts';
import type { ManifestBase, ManifestImage } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';
import { allocateSlab, BlockFile } from '../drivers/block-file.ts';
import type { InstallTarget } from './protocol.ts';

/** Where the base of a delta is, for the threads that read it. */
export interface BaseJob {
  readonly device: string;
  /** Size of the base image; nothing behind it is used. */
  readonly rawBytes: number;
  /** Digest of these bytes, as the delta was made from them. */
  readonly rawSha256: Sha256;
}

const SHORT = 12;
const HASH_BYTES = 1024 * 1024;

/**
 * The base that `target` offers for `image`; null when the image needs none. Throws
 * `bundle.wrong_base` unless it is the slot of the very image that the delta was made from, and
 * `boot.conflict` when it is the slot that would be written.
 */
export async function checkBase(
  image: ManifestImage,
  target: InstallTarget,
): Promise<BaseJob | null> {
  const { base } = image;
  if (base === undefined) return null;
  const offered = target.base ?? null;
  const needs = `image ${image.name} is a delta of ${image.class} ${base.version}`;
  if (offered === null || offered.imageId !== base.imageId) {
    const found = offered === null ? 'no sealed image' : `image ${offered.imageId.slice(0, SHORT)}`;
    throw new UpdateError(
      'bundle.wrong_base',
      `${needs} (image ${base.imageId.slice(0, SHORT)}), the slot that runs holds ${found}`,
      { detail: { image: image.name, found: offered?.imageId ?? 'none', expected: base.imageId } },
    );
  }
  if (await sameFile(offered.device, target.device)) {
    throw new UpdateError('boot.conflict', `${needs}, but ${target.device} is to be written`);
  }
  if (offered.sizeBytes < base.rawBytes) {
    throw new UpdateError(
      'slot.io',
      `${needs} with ${base.rawBytes} bytes, ${offered.device} has ${offered.sizeBytes}`,
    );
  }
  return { device: offered.device, rawBytes: base.rawBytes, rawSha256: base.rawSha256 };
}

/** One file or device under two names counts as one. Throws `slot.io`. */
async function sameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((path) => known(path)));
  if (a === undefined || b === undefined) return true;
  if (a.isBlockDevice() && b.isBlockDevice()) return a.rdev === b.rdev;
  return a.dev === b.dev && a.ino === b.ino;
}

async function known(path: string): Promise<Awaited<ReturnType<typeof stat>>> {
  try {
    return await stat(path);
  } catch (cause) {
    throw new UpdateError('slot.io', `there is no slot ${path}`, { cause, detail: { path } });
  }
}

/** One thread's dictionaries, made in memory that is used again and again. */
export class Dictionaries implements Disposable {
  readonly #slot: BlockFile;
  readonly #base: BaseJob;
  readonly #slab: Uint8Array;

  /** `records` are those of the image; the longest dictionary of them decides on the memory. */
  constructor(base: BaseJob, records: readonly ChunkRecord[]) {
    const units = records.reduce((most, { segments }) => Math.max(most, sum(segments ?? [])), 0);
    // A block in front keeps the segments aligned, for direct I/O, behind the zero bytes.
    this.#slab = allocateSlab((units + 1) * UNIT_BYTES);
    this.#base = base;
    const sizeBytes = Math.ceil(base.rawBytes / UNIT_BYTES) * UNIT_BYTES;
    this.#slot = BlockFile.open(base.device, sizeBytes, { claim: false, readOnly: true });
  }

  /** The dictionary of these segments (B6.7); valid until the next call. Throws `slot.io`. */
  of(segments: readonly Segment[]): Uint8Array {
    let end = UNIT_BYTES;
    for (const { startUnit, units } of segments) {
      const offset = startUnit * UNIT_BYTES;
      this.#slot.read(this.#slab.subarray(end), offset, units * UNIT_BYTES);
      end += Math.min(units * UNIT_BYTES, this.#base.rawBytes - offset);
    }
    return this.#slab.subarray(UNIT_BYTES - DICTIONARY_HEAD_BYTES, end);
  }

  [Symbol.dispose](): void {
    this.#slot[Symbol.dispose]();
  }
}

const sum = (segments: readonly Segment[]): number =>
  segments.reduce((total, { units }) => total + units, 0);

/**
 * Why a chunk did not come out of its base although the frame is as signed: `slot.base_damaged`
 * when the base is not the image any more that its seal names, else `bundle.invalid_manifest`,
 * because the bundle contradicts itself. Reads the whole base. Throws `slot.io`, and the reason of
 * the signal.
 */
export async function explainBase(
  failure: UpdateError,
  base: ManifestBase,
  job: BaseJob,
  signal: AbortSignal,
): Promise<UpdateError> {
  const found = await digestOf(job, { signal });
  if (found !== base.rawSha256) return damaged(base, job, found, failure);
  const message = `${failure.message}, although ${job.device} holds ${base.version} unchanged`;
  const detail = { ...failure.detail, device: job.device, found };
  return new UpdateError('bundle.invalid_manifest', message, { cause: failure, detail });
}

function damaged(
  { version }: ManifestBase,
  { device }: BaseJob,
  found: string,
  failure?: UpdateError,
): UpdateError {
  const message = `${device} does not hold ${version} any more as it was installed`;
  const detail = { ...failure?.detail, device, found };
  if (failure === undefined) return new UpdateError('slot.base_damaged', message, { detail });
  const more = { cause: failure, detail };
  return new UpdateError('slot.base_damaged', `${message}; ${failure.message}`, more);
}

/**
 * Hashes the base as a whole: before the first write of an install, since a delta that stops in the
 * middle leaves a node without its other slot. Segments have no digests of their own, and the whole
 * is read anyway, faster than chunks are made of it. Throws `slot.base_damaged`, `slot.io`, and the
 * reason of the signal.
 */
export async function proveBase(
  base: ManifestBase,
  job: BaseJob,
  options: DigestOptions,
): Promise<void> {
  const found = await digestOf(job, options);
  if (found !== base.rawSha256) throw damaged(base, job, found);
}

/** How a base is read as a whole. */
export interface DigestOptions {
  readonly signal: AbortSignal;
  /** Called with the bytes that are done. */
  readonly onBytes?: (bytes: number) => void;
}

/** One piece is hashed while the next one is on its way. */
async function digestOf(
  { device, rawBytes }: BaseJob,
  { signal, onBytes }: DigestOptions,
): Promise<string> {
  const sizeBytes = Math.ceil(rawBytes / UNIT_BYTES) * UNIT_BYTES;
  using slot = BlockFile.open(device, sizeBytes, { claim: false, readOnly: true });
  const digest = createHash('sha256');
  const lengthAt = (at: number): number => Math.min(HASH_BYTES, rawBytes - at);
  let [slab, spare] = [allocateSlab(HASH_BYTES), allocateSlab(HASH_BYTES)];
  await slot.readLater(slab, 0, lengthAt(0));
  for (let at = 0; at < rawBytes; at += HASH_BYTES) {
    const next = at + HASH_BYTES;
    const coming = next < rawBytes ? slot.readLater(spare, next, lengthAt(next)) : null;
    digest.update(slab.subarray(0, lengthAt(at)));
    // Before anything is thrown: the disk may still write into the slab.
    await coming;
    signal.throwIfAborted();
    onBytes?.(Math.min(next, rawBytes));
    [slab, spare] = [spare, slab];
  }
  return digest.digest('hex');
}
