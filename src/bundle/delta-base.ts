/**
 * The images of an earlier release, as the maker of a delta bundle needs them: taken out of its
 * full bundle into files without a name, with the search over them. Always holds: every byte was
 * compared with the index of that bundle, so a delta is never made against a damaged base; who
 * signed it does not matter here, because nodes compare the base with what they have installed.
 * Imports core.
 */
import { UpdateError } from '../core/errors.ts';
import type { Manifest, ManifestBase, ManifestImage } from '../core/manifest.ts';
import type { SlotClass } from '../core/model.ts';
import { checkCompressed, checkRaw, inflateChunk } from './chunk.ts';
import { readDictionary, type Segment } from './delta.ts';
import { BaseSearch } from './delta-search.ts';
import { inspectBundle, inspectImages, type OpenImage } from './reader.ts';
import { writeAll } from './replace-file.ts';
import { fileSource, openFileSource, type ByteSource, type FileSource } from './source.ts';
import { invalidInput } from './spec.ts';
import { openSpool } from './spool.ts';

/** A full bundle whose images deltas can be made against. */
export interface BaseBundle extends AsyncDisposable {
  readonly path: string;
  readonly manifest: Manifest;
  readonly images: readonly OpenImage[];
  readonly source: FileSource;
}

/** What a delta chunk is made with. */
export interface Dictionary {
  readonly segments: readonly Segment[];
  readonly bytes: Uint8Array;
  /** Share of the chunk that the base has, 0 to 1. */
  readonly matched: number;
}

/** One image of the base, ready to be searched. */
export interface BaseImage extends AsyncDisposable {
  readonly base: ManifestBase;
  /** The dictionary for the chunk at byte `at` of the new image; null when nothing is alike. */
  dictionaryFor(chunk: Uint8Array, at: number): Promise<Dictionary | null>;
}

/**
 * Opens the bundle of an earlier release. Throws `bundle.*` for a damaged one, and
 * `bundle.invalid_input` for a delta bundle, which is not complete in itself.
 */
export async function openBase(path: string, signal?: AbortSignal): Promise<BaseBundle> {
  await using opened = new AsyncDisposableStack();
  const source = opened.use(await openFileSource(path));
  const { manifest, layout } = await inspectBundle(source, signal);
  if (manifest.images.some((image) => image.base !== undefined)) {
    throw invalidInput(`a delta bundle as base, ${path}; expected the full bundle of that release`);
  }
  const images = await inspectImages(source, layout, signal);
  const kept = opened.move();
  return { path, manifest, images, source, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** The image of a class, if the base has one. */
export function baseImageOf({ images }: BaseBundle, cls: SlotClass): OpenImage | undefined {
  return images.find(({ image }) => image.class === cls);
}

/** What happens while a base image is taken out. */
export interface TakeOptions {
  readonly onBytes: (rawBytes: number) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * Takes an image out of the bundle into a file beside `outPath`. Throws `bundle.damaged`, `file.*`,
 * the reason of the signal.
 */
export async function takeBase(
  bundle: BaseBundle,
  { image, records, dataOffset }: OpenImage,
  outPath: string,
  options: TakeOptions,
): Promise<BaseImage> {
  await using opened = new AsyncDisposableStack();
  const spool = opened.use(await openSpool(outPath, `base-${image.class}`));
  const search = new BaseSearch(spool.handle.fd, image.rawBytes);
  for (const record of records) {
    const at = dataOffset + record.offset;
    const packed = await bundle.source.readAt(at, record.compressedBytes, options.signal);
    checkCompressed(record, packed);
    const raw = inflateChunk(record, packed);
    checkRaw(record, raw);
    search.add(raw);
    await writeAll(spool.handle, raw, record.rawOffset);
    options.onBytes(raw.length);
  }
  const source = await fileSource(spool.handle);
  const kept = opened.move();
  return {
    base: baseOf(image),
    dictionaryFor: (chunk, at) => dictionaryFor(source, search, chunk, at),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function baseOf({ version, counter, rawBytes, rawSha256, imageId }: ManifestImage): ManifestBase {
  return { version, counter, rawBytes, rawSha256, imageId };
}

async function dictionaryFor(
  source: ByteSource,
  search: BaseSearch,
  chunk: Uint8Array,
  at: number,
): Promise<Dictionary | null> {
  const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const { segments, matchedBytes } = search.find(view, at);
  if (segments.length === 0) return null;
  const bytes = await readDictionary(segments, source.sizeBytes, (offset, length) =>
    source.readAt(offset, length),
  );
  return { segments, bytes, matched: matchedBytes / chunk.length };
}

/** Chunks of a base that stay unpacked; the segments of a delta chunk mostly lie in two. */
const UNPACKED_MAX = 8;

/**
 * The raw bytes of the image that `image` is a delta of, unpacked as they are asked for; null when
 * it is no delta. Every chunk is checked. Throws `bundle.wrong_base` when the bundle has another
 * image of that class, or none.
 */
export function readBase(bundle: BaseBundle, image: ManifestImage): ByteSource | null {
  const { base } = image;
  if (base === undefined) return null;
  const opened = baseImageOf(bundle, image.class);
  if (opened?.image.imageId !== base.imageId) {
    const found =
      opened === undefined ? `no ${image.class}` : `${image.class} ${opened.image.version}`;
    throw new UpdateError(
      'bundle.wrong_base',
      `image ${image.name} is a delta of ${base.version}, ${bundle.path} has ${found}`,
      { detail: { found: opened?.image.imageId ?? 'none', expected: base.imageId } },
    );
  }
  return unpacking(bundle, opened);
}

function unpacking(bundle: BaseBundle, { image, records, dataOffset }: OpenImage): ByteSource {
  const kept = new Map<number, Uint8Array>();
  const chunk = async (number: number, signal: AbortSignal | undefined): Promise<Uint8Array> => {
    const known = kept.get(number);
    if (known !== undefined) return known;
    const record = records[number]!;
    const at = dataOffset + record.offset;
    const packed = await bundle.source.readAt(at, record.compressedBytes, signal);
    checkCompressed(record, packed);
    const raw = inflateChunk(record, packed);
    checkRaw(record, raw);
    const [first] = kept.keys();
    if (kept.size >= UNPACKED_MAX && first !== undefined) kept.delete(first);
    kept.set(number, raw);
    return raw;
  };
  return {
    sizeBytes: image.rawBytes,
    async readAt(offset, length, signal) {
      const bytes = Buffer.allocUnsafeSlow(length);
      for (let done = 0; done < length;) {
        const at = offset + done;
        const raw = await chunk(Math.floor(at / image.chunkBytes), signal);
        const from = at % image.chunkBytes;
        const piece = raw.subarray(from, from + length - done);
        bytes.set(piece, done);
        done += piece.length;
      }
      return bytes;
    },
  };
}
