/**
 * Makes update.bin, docs/bundle.md B7. Always holds: the same input gives the same bytes with the
 * same zstd; what a reader would refuse is not made; the output appears whole, synced and checked,
 * or not at all. Images are compressed once into a file beside the output, because manifest and
 * index come first and say what came out. Imports core.
 */
import { hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UpdateError } from '../core/errors.ts';
import { MANIFEST_FORMAT, type Manifest, type ManifestImage } from '../core/manifest.ts';
import type { ManifestUpdater } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';
import { compareVersions, parseVersion, satisfies } from '../core/version.ts';
import { openImage, writeImage, type WrittenImage } from './image-writer.ts';
import { baseImageOf, openBase, takeBase, type BaseBundle } from './delta-base.ts';
import { encodeIndex, imageIdOf } from './index-codec.ts';
import type { SigningKey } from './keys.ts';
import { layoutOf, type Layout } from './layout.ts';
import { CHUNK_BYTES_DEFAULT, END_BYTES, MANIFEST_BYTES_MAX, UPDATER_BYTES_MAX } from './limits.ts';
import { DELTA_FEATURE, manifestText, orderDisagreement, ROOT_FEATURE } from './manifest.ts';
import { UPDATER_FEATURE } from './manifest.ts';
import { progressMeter, type OnProgress } from './progress.ts';
import { inspectBundle, inspectImages, type OpenImage } from './reader.ts';
import { replaceFile, writeAll } from './replace-file.ts';
import { manifestRoot } from './rotation.ts';
import { bundleId, encodeSignatures, signManifest } from './signature.ts';
import { fileSource, type FileSource } from './source.ts';
import { checkSpec, invalidInput, type BundleSpec, type CheckedSpec } from './spec.ts';
import { openSpool } from './spool.ts';
import { memberHeader, paddedBytes } from './ustar.ts';

export type { BundleSpec } from './spec.ts';
export { signBundle } from './sign.ts';

/** zstd level of bundles when nothing else is asked for. */
export const LEVEL_DEFAULT = 9;
/** The same for delta bundles: lower levels miss most of what a dictionary offers. */
export const DELTA_LEVEL_DEFAULT = 19;
/** First version of Tandem that applies deltas. */
const DELTA_UPDATER = '0.2.0';
const COPY_BYTES = 1024 * 1024;

/** Earlier releases, whose order of versions and counters the new one must continue. */
export type EarlierRelease = Pick<Manifest, 'product' | 'version' | 'releaseCounter' | 'images'>;

/** How a bundle is made; nothing here changes what it means. */
export interface MakeOptions {
  readonly onProgress?: OnProgress;
  /** zstd level, 1 to 22. */
  readonly level?: number;
  /** Full bundle of an earlier release: images become deltas of its images of the same class. */
  readonly base?: string;
  readonly signal?: AbortSignal;
  readonly after?: readonly EarlierRelease[];
  /** Signs at once; without keys the bundle has an empty list of signatures. */
  readonly keys?: readonly SigningKey[];
  /** `roots.json`: new trust roots for the nodes; the signatures are then judged by the newest. */
  readonly roots?: Uint8Array;
  /** A newer updater for the nodes: a whole program in one file, and its version. */
  readonly updater?: { readonly version: string; readonly bytes: Uint8Array };
}

/** What was made, for the one who signs or ships it. */
export interface MadeBundle {
  readonly bundle: Sha256;
  readonly sizeBytes: number;
  readonly manifest: Manifest;
  /** Exact bytes of manifest.json, for a signer elsewhere. */
  readonly manifestBytes: Uint8Array;
}

/**
 * Makes a bundle at `outPath` from the raw images at `images[name]`; a file that is already there
 * is replaced at the end. Throws `bundle.invalid_input` for a spec or an image that cannot become a
 * bundle, `file.*` and `space.depot` for the files, the signal's reason when it is aborted.
 */
export async function makeBundle(
  spec: BundleSpec,
  images: Readonly<Record<string, string>>,
  outPath: string,
  options: MakeOptions = {},
): Promise<MadeBundle> {
  const byDefault = options.base === undefined ? LEVEL_DEFAULT : DELTA_LEVEL_DEFAULT;
  const level = options.level ?? byDefault;
  if (!(Number.isInteger(level) && level >= 1 && level <= 22)) {
    throw invalidInput(`level ${level}, expected 1 to 22`);
  }
  const checked = checkSpec(spec);
  for (const earlier of options.after ?? []) checkOrder(checked, earlier);
  const paths = pathsOf(checked, images, outPath);
  const chunkBytes = checked.chunkBytes ?? CHUNK_BYTES_DEFAULT;
  await using inputs = new AsyncDisposableStack();
  const sources: FileSource[] = [];
  for (const [name, path] of paths) {
    sources.push(inputs.use(await openImage({ name, path }, chunkBytes)));
  }
  const base = await baseFor(checked, outPath, options, inputs);
  const total =
    sources.reduce((sum, source) => sum + source.sizeBytes, 0) +
    base.images.reduce((sum, one) => sum + (one?.image.rawBytes ?? 0), 0);
  const onBytes = progressMeter(total, options.onProgress);
  const work = { chunkBytes, level, onBytes, signal: options.signal };
  return await replaceFile(outPath, async (out) => {
    await using spool = await openSpool(outPath);
    const written: WrittenImage[] = [];
    let at = 0;
    for (const [i, source] of sources.entries()) {
      const name = checked.images[i]!.name;
      const old = base.images[i];
      await using taken =
        old === undefined ? null : await takeBase(base.bundle!, old, outPath, work);
      const more = { ...work, ...(taken !== null && { base: taken }) };
      const image = await writeImage(name, source, spool.handle, at, more);
      written.push(image);
      at += image.compressedBytes;
    }
    const made = describe(checked, chunkBytes, written, options);
    await assemble(out, made, spool.handle, options);
    await readBack(out, made.bundle);
    const { bundle, manifest, manifestBytes } = made;
    return { bundle, manifest, manifestBytes, sizeBytes: made.layout.sizeBytes };
  });
}

interface Bases {
  readonly bundle?: BaseBundle;
  /** For each image of the spec; none where the base has no image of that class. */
  readonly images: readonly (OpenImage | undefined)[];
}

/** The base that was asked for, checked against what the new release says of itself (B7.9). */
async function baseFor(
  spec: CheckedSpec,
  outPath: string,
  { base: path, signal }: MakeOptions,
  inputs: AsyncDisposableStack,
): Promise<Bases> {
  if (path === undefined) return { images: [] };
  if (resolve(path) === resolve(outPath)) throw invalidInput('a base that would be replaced');
  const bundle = inputs.use(await openBase(path, signal));
  checkOrder(spec, bundle.manifest);
  const images = spec.images.map((image) => baseImageOf(bundle, image.class));
  for (const [i, image] of spec.images.entries()) {
    const old = images[i]?.image;
    if (old === undefined) continue;
    const words = `${path} with ${old.class} ${old.version}`;
    if (old.counter > image.counter) throw invalidInput(`a base that is later, ${words}`);
    if (old.class === 'system' && !satisfies(old.version, spec.from)) {
      throw invalidInput(`a base from which the bundle does not update (${spec.from}), ${words}`);
    }
  }
  return { bundle, images };
}

/** B4.6: the counter is the ordering authority, so versions must not say anything else. */
function checkOrder(spec: CheckedSpec, earlier: EarlierRelease): void {
  if (earlier.product !== spec.product) {
    throw invalidInput(
      `the earlier release is of product ${earlier.product}, this one is of ${spec.product}`,
    );
  }
  const faults = [
    orderDisagreement(
      { version: spec.version, counter: spec.releaseCounter },
      { version: earlier.version, counter: earlier.releaseCounter },
    ),
    ...spec.images.map((image) => {
      const before = earlier.images.find((one) => one.class === image.class);
      return before === undefined ? undefined : orderDisagreement(image, before);
    }),
  ];
  const why = faults.find((fault) => fault !== undefined);
  if (why !== undefined) throw invalidInput(`versions and counters disagree: ${why}`);
}

function pathsOf(
  spec: CheckedSpec,
  images: Readonly<Record<string, string>>,
  outPath: string,
): readonly (readonly [name: string, path: string])[] {
  const names = spec.images.map((image) => image.name);
  const extra = Object.keys(images).find((name) => !names.includes(name));
  if (extra !== undefined) {
    throw invalidInput(`a file for image ${extra}, which the spec does not name`);
  }
  return names.map((name) => {
    const path = Object.hasOwn(images, name) ? images[name] : undefined;
    if (path === undefined) throw invalidInput(`no file for image ${name}`);
    if (resolve(path) === resolve(outPath)) {
      throw invalidInput(`the file of image ${name} would be replaced by the bundle`);
    }
    return [name, path] as const;
  });
}

interface Description {
  readonly bundle: Sha256;
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  readonly indexes: readonly Buffer[];
  readonly roots: Uint8Array | undefined;
  readonly updater: Uint8Array | undefined;
  readonly layout: Layout;
}

/** Manifest and indexes from what the images became. */
function describe(
  spec: CheckedSpec,
  chunkBytes: number,
  written: readonly WrittenImage[],
  { roots, updater: brings }: MakeOptions,
): Description {
  const indexes = written.map((image) => encodeIndex(chunkBytes, image.records));
  const images = spec.images.map((decided, i): ManifestImage => {
    const { rawBytes, rawSha256, compressedBytes, records, base } = written[i]!;
    const index = indexes[i]!;
    return {
      ...decided,
      rawBytes,
      chunkBytes,
      chunks: records.length,
      compressedBytes,
      indexBytes: index.length,
      indexSha256: hash('sha256', index, 'hex') as Sha256,
      rawSha256,
      imageId: imageIdOf({ rawBytes, chunkBytes }, records),
      ...(base !== undefined && { base }),
    };
  });
  const { chunkBytes: _chunkBytes, ...decided } = spec;
  const root = roots && manifestRoot(roots);
  const updater = brings && manifestUpdater(brings);
  const requires = [
    ...(root === undefined ? [] : [ROOT_FEATURE]),
    ...(updater === undefined ? [] : [UPDATER_FEATURE]),
  ];
  const head = { ...decided, format: MANIFEST_FORMAT, requires };
  const brought = {
    ...(root !== undefined && { root }),
    ...(updater !== undefined && { updater }),
  };
  const plain: Manifest = { ...head, ...brought, images };
  const manifest = images.some((image) => image.base !== undefined) ? asDelta(plain) : plain;
  const manifestBytes = Buffer.from(manifestText(manifest));
  if (manifestBytes.length > MANIFEST_BYTES_MAX) {
    throw invalidInput(
      `a manifest of ${manifestBytes.length} bytes, expected at most ${MANIFEST_BYTES_MAX}`,
    );
  }
  const layout = layoutOf(manifestBytes.length, manifest);
  const bundle = bundleId(manifestBytes);
  return { bundle, manifest, manifestBytes, indexes, roots, updater: brings?.bytes, layout };
}

function manifestUpdater({ version, bytes }: NonNullable<MakeOptions['updater']>): ManifestUpdater {
  parseVersion(version);
  if (bytes.length < 1 || bytes.length > UPDATER_BYTES_MAX) {
    throw invalidInput(`an updater of ${bytes.length} bytes, expected 1 to ${UPDATER_BYTES_MAX}`);
  }
  const sha256 = hash('sha256', bytes, 'hex') as Sha256;
  return { version, sizeBytes: bytes.length, sha256 };
}

/** A program that cannot apply deltas must not come as far as to try (B7.9). */
function asDelta(manifest: Manifest): Manifest {
  const old = compareVersions(manifest.minUpdater, DELTA_UPDATER) < 0;
  const minUpdater = old ? DELTA_UPDATER : manifest.minUpdater;
  return { ...manifest, minUpdater, requires: [DELTA_FEATURE, ...manifest.requires] };
}

/** Writes every member in its place (B2.1). */
async function assemble(
  out: FileHandle,
  { bundle, layout, manifestBytes, indexes, roots, updater }: Description,
  spool: FileHandle,
  options: MakeOptions,
): Promise<void> {
  const signatures = (options.keys ?? []).map((key) => signManifest(manifestBytes, key));
  const list = encodeSignatures({ manifest: bundle, signatures });
  const brought = [layout.roots, layout.updater].filter((one) => one !== undefined);
  const head = [layout.manifest, layout.signature, ...brought, ...layout.indexes];
  const more = [roots, updater].filter((one) => one !== undefined);
  const contents = [manifestBytes, list, ...more, ...indexes];
  for (const [i, member] of head.entries()) {
    const bytes = Buffer.alloc(member.endOffset - member.headerOffset);
    bytes.set(memberHeader(member.name, member.sizeBytes));
    bytes.set(contents[i]!, member.dataOffset - member.headerOffset);
    await writeAll(out, bytes, member.headerOffset);
  }
  let from = 0;
  for (const { name, sizeBytes, headerOffset, dataOffset } of layout.images) {
    await writeAll(out, memberHeader(name, sizeBytes), headerOffset);
    await copyRange(spool, from, out, dataOffset, sizeBytes, options.signal);
    const padding = Buffer.alloc(paddedBytes(sizeBytes) - sizeBytes);
    await writeAll(out, padding, dataOffset + sizeBytes);
    from += sizeBytes;
  }
  await writeAll(out, Buffer.alloc(END_BYTES), layout.endOffset);
}

async function copyRange(
  from: FileHandle,
  fromOffset: number,
  to: FileHandle,
  toOffset: number,
  lengthBytes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const source = await fileSource(from);
  for (let done = 0; done < lengthBytes; done += COPY_BYTES) {
    const length = Math.min(COPY_BYTES, lengthBytes - done);
    const bytes = await source.readAt(fromOffset + done, length, signal);
    await writeAll(to, bytes, toOffset + done);
  }
}

/** What was written must pass the reader's own checks before it takes its place. */
async function readBack(out: FileHandle, bundle: Sha256): Promise<void> {
  const source = await fileSource(out);
  const found = await inspectBundle(source);
  await inspectImages(source, found.layout);
  if (found.bundle !== bundle) {
    throw new UpdateError('internal.bug', `made bundle ${bundle}, read back ${found.bundle}`);
  }
}
