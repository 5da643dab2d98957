/**
 * Opens a bundle, docs/bundle.md B8: signature, then manifest, then index, then every byte between
 * the members. Always holds: the manifest is not parsed before its signatures were judged, every
 * position after it comes from signed sizes, every allocation has a limit, and only this file makes
 * a `VerifiedManifest`. A bundle that is open has no byte that no check covers but the chunks,
 * which their records cover. Works on a `ByteSource`, so on a file and on a bundle that arrives
 * over the network alike. Imports core.
 */
import { UpdateError } from '../core/errors.ts';
import type { Manifest, ManifestImage, VerifiedManifest } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';
import { judgeSigned, readSigned, type Judged, type Signed } from './head.ts';
import { decodeIndex, type ChunkRecord } from './index-codec.ts';
import type { KeyId } from './keys.ts';
import { layoutOf, ROOTS_NAME, UPDATER_NAME, type Layout } from './layout.ts';
import { END_BYTES } from './limits.ts';
import { parseManifest } from './manifest.ts';
import { checkDigest, checkZeros, expectHeader, readMember } from './members.ts';
import { readPadding, truncated } from './members.ts';
import type { RootLink } from './rotation.ts';
import { bundleId, type SignatureList } from './signature.ts';
import type { ByteSource } from './source.ts';
import type { TrustRoot } from './trust.ts';

/** An image of an open bundle. */
export interface OpenImage {
  readonly image: ManifestImage;
  /** One per chunk, in the order of the raw image. */
  readonly records: readonly ChunkRecord[];
  /** Position of the image's member data in the bundle; records count from there. */
  readonly dataOffset: number;
}

/** New trust roots that a bundle brings, judged from the root of this node. */
export interface Rotation {
  /** Version of the newest one. */
  readonly version: number;
  /** Exact bytes of its root.json. */
  readonly root: Uint8Array;
  /** Exact bytes of roots.json: who keeps these can judge again. */
  readonly roots: Uint8Array;
}

/** A bundle whose signature, manifest, index and frame of members were all checked. */
export interface OpenBundle {
  /** SHA-256 of the manifest bytes: the identity of the bundle. */
  readonly bundle: Sha256;
  readonly sizeBytes: number;
  /** Everything before the first byte of the first image. */
  readonly headBytes: number;
  /** Where the updater is that the bundle brings; null = it brings none. */
  readonly updater: NonNullable<Layout['updater']> | null;
  readonly manifest: VerifiedManifest;
  readonly images: readonly OpenImage[];
  /** Trusted keys that signed. */
  readonly signers: readonly KeyId[];
  /** The root that it was judged with: the caller's, or the newest that the bundle brings. */
  readonly root: TrustRoot;
  /** What it brings that is newer than the caller's root. */
  readonly rotation: Rotation | null;
}

/** What a bundle says about itself before anybody checked who signed it. Never to be installed. */
export interface UntrustedBundle {
  readonly trusted: false;
  readonly bundle: Sha256;
  readonly sizeBytes: number;
  /** Size that the manifest gives the bundle. */
  readonly expectedBytes: number;
  readonly manifest: Manifest;
  readonly manifestBytes: Uint8Array;
  readonly signatures: SignatureList;
  /** New trust roots that it brings; empty when none. */
  readonly roots: readonly RootLink[];
  readonly layout: Layout;
}

/**
 * Opens and checks a bundle (B8). Reads the head, the headers, the padding and the end, never a
 * chunk. Throws `bundle.*` or `trust.*` with what was found and what was expected, and the reason
 * of the signal when it is aborted.
 */
export async function openBundle(
  source: ByteSource,
  root: TrustRoot,
  signal?: AbortSignal,
): Promise<OpenBundle> {
  const signed = await readSigned(source, signal);
  const { manifestBytes } = signed;
  const judged = judgeSigned(signed, root, source.sizeBytes);
  const manifest = parseManifest(manifestBytes) as VerifiedManifest;
  const layout = layoutOf(manifestBytes.length, manifest);
  const rotation = rotationOf(manifest, signed, judged);
  const images = await readFrame(source, layout, signal);
  return {
    bundle: bundleId(manifestBytes),
    sizeBytes: layout.sizeBytes,
    headBytes: layout.headBytes,
    updater: layout.updater ?? null,
    manifest,
    images,
    signers: judged.signers,
    root: judged.followed.root,
    rotation,
  };
}

/**
 * The updater that an open bundle brings, once more from its source and checked again; null when it
 * brings none. Throws `bundle.*`.
 */
export async function readUpdater(
  source: ByteSource,
  { updater }: OpenBundle,
  signal?: AbortSignal,
): Promise<Uint8Array | null> {
  if (updater === null) return null;
  const bytes = await readMember(source, updater, signal);
  checkDigest(UPDATER_NAME, bytes, updater.sha256);
  return bytes;
}

/**
 * What an unverified bundle says about itself: what stands before the indexes only, no signature
 * judged, no image looked at. Throws `bundle.*`.
 */
export async function inspectBundle(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<UntrustedBundle> {
  const { manifestBytes, signatures, roots } = await readSigned(source, signal);
  const manifest = parseManifest(manifestBytes);
  const layout = layoutOf(manifestBytes.length, manifest);
  return {
    trusted: false,
    bundle: bundleId(manifestBytes),
    sizeBytes: source.sizeBytes,
    expectedBytes: layout.sizeBytes,
    manifest,
    manifestBytes,
    signatures,
    roots: roots?.links ?? [],
    layout,
  };
}

/** B3.14: what was judged must be what the signed manifest says; then it may be kept. */
function rotationOf({ root }: Manifest, { roots }: Signed, { followed }: Judged): Rotation | null {
  if (root === undefined || roots === null) return null;
  checkDigest(ROOTS_NAME, roots.bytes, root.sha256);
  const version = roots.links.at(-1)?.version ?? 0;
  if (root.version !== version) {
    const found = `names trust root ${root.version}, ${ROOTS_NAME} ends with ${version}`;
    throw new UpdateError('bundle.invalid_manifest', `the manifest ${found}`, {
      detail: { found: version, expected: root.version },
    });
  }
  return followed.bytes === null ? null : { version, root: followed.bytes, roots: roots.bytes };
}

/**
 * The chunk records of a bundle that nobody has verified, with the same checks of its structure as
 * `openBundle`: a signer wants to know that what is about to be signed is whole. Throws `bundle.*`.
 */
export async function inspectImages(
  source: ByteSource,
  layout: Layout,
  signal?: AbortSignal,
): Promise<readonly OpenImage[]> {
  return await readFrame(source, layout, signal);
}

/** Everything after the signed head: size of the file, indexes, headers, padding, end (B8.6-8). */
async function readFrame(
  source: ByteSource,
  layout: Layout,
  signal: AbortSignal | undefined,
): Promise<readonly OpenImage[]> {
  checkSize(source.sizeBytes, layout.sizeBytes);
  if (layout.roots !== undefined) {
    await expectHeader(source, layout.roots, signal);
    checkDigest(ROOTS_NAME, await readMember(source, layout.roots, signal), layout.roots.sha256);
  }
  if (layout.updater !== undefined) {
    await expectHeader(source, layout.updater, signal);
    const bytes = await readMember(source, layout.updater, signal);
    checkDigest(UPDATER_NAME, bytes, layout.updater.sha256);
  }
  const images: OpenImage[] = [];
  for (const [i, index] of layout.indexes.entries()) {
    const member = layout.images[i];
    const image = index.image;
    if (member === undefined || image === undefined) continue;
    await expectHeader(source, index, signal);
    const bytes = await readMember(source, index, signal);
    checkDigest(index.name, bytes, image.indexSha256);
    images.push({ image, records: decodeIndex(bytes, image), dataOffset: member.dataOffset });
  }
  for (const member of layout.images) {
    await expectHeader(source, member, signal);
    await readPadding(source, member, signal);
  }
  const end = await source.readAt(layout.endOffset, END_BYTES, signal);
  checkZeros(end, 'the end of the archive');
  return images;
}

/** B8.6: one signed size for the whole file, so nothing can follow it and nothing be missing. */
function checkSize(foundBytes: number, expectedBytes: number): void {
  if (foundBytes < expectedBytes) throw truncated(foundBytes, expectedBytes);
  if (foundBytes === expectedBytes) return;
  throw new UpdateError(
    'bundle.trailing_data',
    `the file has ${foundBytes} bytes, expected ${expectedBytes}: ` +
      `${foundBytes - expectedBytes} bytes follow the end of the bundle`,
    { detail: { foundBytes, expectedBytes } },
  );
}
