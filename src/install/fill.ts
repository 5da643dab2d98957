/**
 * Fills the reserved file of the depot from any source of bytes: a file, or the peer. Always holds:
 * each chunk is compared with the signed index in memory and the very bytes that passed are
 * written; what an earlier run left is hashed again before it counts; the bytes between the chunks
 * are written last and then checked in the file itself, so a source that changes under our hands
 * yields an error and never a wrong entry; the file is durable before it is admitted. Imports core,
 * bundle, the depot's port and the files of this room.
 */
import { hash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { checkCompressed } from '../bundle/chunk.ts';
import { openBundle, type OpenBundle } from '../bundle/reader.ts';
import { fileError, openFileSource, type ByteSource } from '../bundle/source.ts';
import type { TrustRoot } from '../bundle/trust.ts';
import { UpdateError } from '../core/errors.ts';
import type { Sha256 } from '../core/model.ts';
import { openDepot } from '../drivers/depot-dir.ts';
import { isNoRoom } from '../drivers/preallocate.ts';
import type { Depot } from '../ports.ts';
import { Meter } from './meter.ts';
import { chunksOf, readAhead, verifyChunks, type PlacedChunk, type WorkOptions } from './verify.ts';

/** After that many bytes what was written is brought to the disk. */
const SYNC_BYTES = 32 * 1024 * 1024;
const COPY_BYTES = 1024 * 1024;

/** Where a bundle goes, and whom this node trusts. */
export interface FillTarget {
  readonly depot: Depot;
  readonly root: TrustRoot;
}

/** The depot in a directory, with the reader that it needs to know its entries by. */
export async function depotFor(dir: string, root: TrustRoot): Promise<Depot> {
  return await openDepot(dir, async (path) => {
    await using source = await openFileSource(path);
    return await openBundle(source, root);
  });
}

/** True when the depot has that bundle and every byte of it is still right. */
export async function inDepot(
  { depot, root }: FillTarget,
  bundle: Sha256,
  options: WorkOptions,
): Promise<OpenBundle | null> {
  const entries = await depot.list();
  const entry = entries.find((each) => each.bundle === bundle);
  if (entry === undefined) return null;
  try {
    await using source = await openFileSource(entry.path);
    const opened = await openBundle(source, root, options.signal);
    await verifyChunks(source, opened, options);
    return opened;
  } catch (error) {
    options.signal.throwIfAborted();
    if (!(error instanceof UpdateError) || !error.code.startsWith('bundle.')) throw error;
    // Rotten on the disk: it is no entry any more, and comes anew.
    await depot.retain(entries.map((each) => each.bundle).filter((each) => each !== bundle));
    return null;
  }
}

/**
 * Brings an open bundle into the depot: reserves, fills what is missing with `depth` reads under
 * way, admits. Throws `space.depot` before the first byte, `bundle.*`, and what the source throws;
 * the partial file then stays for the next time.
 */
export async function fillDepot(
  source: ByteSource,
  bundle: OpenBundle,
  target: FillTarget,
  options: WorkOptions & { readonly depth: number },
): Promise<void> {
  const path = await target.depot.reserve(bundle.bundle, bundle.sizeBytes);
  try {
    await using file = await open(path, 'r+');
    await fillChunks(source, bundle, file, options);
    await fillGaps(source, bundle, file, options.signal);
    await file.datasync();
  } catch (cause) {
    if (isNoRoom(cause)) throw new UpdateError('space.depot', `no room for ${path}`, { cause });
    if (cause instanceof UpdateError || options.signal.aborted) throw cause;
    throw fileError(cause, path);
  }
  // Opens the file once more, and refuses it when the head that was copied is not that bundle's.
  await target.depot.admit(bundle.bundle);
}

async function fillChunks(
  source: ByteSource,
  bundle: OpenBundle,
  file: FileHandle,
  options: WorkOptions & { readonly depth: number },
): Promise<void> {
  const meter = new Meter(bundle.sizeBytes, options.onProgress);
  let doneBytes = 0;
  const done = (bytes: number): void => {
    doneBytes += bytes;
    meter.at(doneBytes);
  };
  const put = async (bytes: Uint8Array, at: number): Promise<void> => {
    await writeAll(file, bytes, at);
    done(bytes.length);
  };
  let unsyncedBytes = 0;
  // One chunk is written while the next one is hashed.
  let writing = Promise.resolve();
  let syncing = Promise.resolve();
  const missing = missingChunks(file, chunksOf(bundle), done);
  for await (const { chunk, bytes } of readAhead(source, missing, options.depth, options.signal)) {
    options.signal.throwIfAborted();
    checkCompressed(chunk.record, bytes);
    await writing;
    writing = put(bytes, chunk.at);
    writing.catch(() => undefined);
    unsyncedBytes += bytes.length;
    if (unsyncedBytes < SYNC_BYTES) continue;
    unsyncedBytes = 0;
    await writing;
    await syncing;
    syncing = file.datasync();
    syncing.catch(() => undefined);
  }
  await writing;
  await syncing;
  meter.at(bundle.sizeBytes);
  meter.tell();
}

/** The chunks that the file does not hold yet; those that it holds are hashed. */
async function* missingChunks(
  file: FileHandle,
  chunks: readonly PlacedChunk[],
  found: (bytes: number) => void,
): AsyncGenerator<PlacedChunk> {
  for (const chunk of chunks) {
    const { compressedBytes } = chunk.record;
    if (await holds(file, chunk)) found(compressedBytes);
    else yield chunk;
  }
}

async function holds(file: FileHandle, { record, at }: PlacedChunk): Promise<boolean> {
  // Every chunk begins with the magic number of a frame; fresh space is zeros.
  const start = Buffer.alloc(Math.min(4, record.compressedBytes));
  await file.read(start, 0, start.length, at);
  if (start.every((byte) => byte === 0)) return false;
  const bytes = Buffer.allocUnsafeSlow(record.compressedBytes);
  const { bytesRead } = await file.read(bytes, 0, bytes.length, at);
  return bytesRead === bytes.length && hash('sha256', bytes, 'hex') === record.compressedSha256;
}

/** Copies everything that is not a chunk: head, headers, padding, end. */
async function fillGaps(
  source: ByteSource,
  bundle: OpenBundle,
  file: FileHandle,
  signal: AbortSignal,
): Promise<void> {
  let from = 0;
  const last = { at: bundle.sizeBytes, bytes: 0 };
  const data = bundle.images.map(({ image, dataOffset }) => ({
    at: dataOffset,
    bytes: image.compressedBytes,
  }));
  for (const { at, bytes } of [...data, last]) {
    for (; from < at; from += COPY_BYTES) {
      const length = Math.min(COPY_BYTES, at - from);
      await writeAll(file, await source.readAt(from, length, signal), from);
    }
    from = at + bytes;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}
