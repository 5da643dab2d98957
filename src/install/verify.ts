/**
 * Checks a whole bundle without writing anything: signature, manifest, index, the bytes between the
 * members, and the digest of every chunk as it lies in the file. Always holds: when it returns,
 * every byte of the file was compared with what is signed; nothing was decompressed, because
 * nothing needed to be. Imports core, bundle and the files of this room.
 */
import { checkCompressed } from '../bundle/chunk.ts';
import type { ChunkRecord } from '../bundle/index-codec.ts';
import { openBundle, type OpenBundle } from '../bundle/reader.ts';
import { openFileSource, type ByteSource, type FileSource } from '../bundle/source.ts';
import { loadTrustRoot } from '../bundle/trust.ts';
import { Meter, type OnProgress } from './meter.ts';
import type { VerifyResult } from './protocol.ts';
import { readBundleLater } from './read-bundle.ts';

/** Waiting and telling, the same for all long work of this room. */
export interface WorkOptions {
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
}

/** A chunk of a bundle and its position in the file. */
export interface PlacedChunk {
  readonly record: ChunkRecord;
  readonly at: number;
}

/** All chunks of a bundle in the order of the file. */
export function chunksOf(bundle: OpenBundle): readonly PlacedChunk[] {
  return bundle.images.flatMap(({ records, dataOffset }) =>
    records.map((record) => ({ record, at: dataOffset + record.offset })),
  );
}

/** Verifies the bundle file at `path`. Throws `bundle.*`, `trust.*`, `file.*`, the abort reason. */
export async function verifyFile(
  path: string,
  trustRoot: string,
  options: WorkOptions,
): Promise<VerifyResult> {
  const root = await loadTrustRoot(trustRoot);
  await using source = await openFileSource(path);
  const bundle = await openBundle(source, root, options.signal);
  await verifyChunks(source, bundle, options);
  return resultOf(bundle);
}

/**
 * Compares every chunk of an open bundle file with its record; two buffers serve for all of them,
 * since the next one arrives while one is hashed. Throws `bundle.damaged`.
 */
export async function verifyChunks(
  { handle }: FileSource,
  bundle: OpenBundle,
  options: WorkOptions,
): Promise<void> {
  const meter = new Meter(bundle.sizeBytes, options.onProgress);
  const chunks = chunksOf(bundle);
  const largest = chunks.reduce((most, { record }) => Math.max(most, record.compressedBytes), 0);
  const buffers = [Buffer.allocUnsafeSlow(largest), Buffer.allocUnsafeSlow(largest)] as const;
  const bytesOf = (i: number): Buffer =>
    buffers[i % 2 === 0 ? 0 : 1].subarray(0, chunks[i]?.record.compressedBytes);
  const comes = async (i: number): Promise<void> => {
    const chunk = chunks[i];
    if (chunk !== undefined) await readBundleLater(handle.fd, bytesOf(i), chunk.at);
  };
  let doneBytes = bundle.headBytes;
  let next = comes(0);
  try {
    for (const [i, { record }] of chunks.entries()) {
      await next;
      options.signal.throwIfAborted();
      next = comes(i + 1);
      checkCompressed(record, bytesOf(i));
      doneBytes += record.compressedBytes;
      meter.at(doneBytes);
    }
  } finally {
    // The file may be closed after this, and its number be that of another one.
    await next.catch(() => undefined);
  }
  meter.at(bundle.sizeBytes);
  meter.tell();
}

/** What is said of a verified bundle. */
export function resultOf(bundle: OpenBundle): VerifyResult {
  return { bundle: bundle.bundle, bytes: bundle.sizeBytes, manifest: bundle.manifest };
}

/**
 * The chunks with their bytes, in order, with at most `depth` reads under way: while one chunk is
 * looked at the next ones arrive. The bytes are not checked.
 */
export async function* readAhead(
  source: ByteSource,
  chunks: Iterable<PlacedChunk> | AsyncIterable<PlacedChunk>,
  depth: number,
  signal: AbortSignal,
): AsyncGenerator<{ readonly chunk: PlacedChunk; readonly bytes: Uint8Array }> {
  const queue: { readonly chunk: PlacedChunk; readonly read: Promise<Uint8Array> }[] = [];
  for await (const chunk of chunks) {
    const read = source.readAt(chunk.at, chunk.record.compressedBytes, signal);
    // Whoever stops early leaves reads behind that nobody waits for.
    read.catch(() => undefined);
    queue.push({ chunk, read });
    const first = queue.length >= depth ? queue.shift() : undefined;
    if (first) yield { chunk: first.chunk, bytes: await first.read };
  }
  for (const { chunk, read } of queue) yield { chunk, bytes: await read };
}
