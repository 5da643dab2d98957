/**
 * Opens a bundle, docs/bundle.md B8: signature, then manifest, then index, then every byte between
 * the members. Always holds: the manifest is not parsed before its signatures were judged, every
 * position after it comes from signed sizes, every allocation has a limit, and only this file makes
 * a `VerifiedManifest`. A bundle that is open has no byte that no check covers but the chunks,
 * which their records cover. Works on a `ByteSource`, so on a file and on a bundle that arrives
 * over the network alike. Imports core.
 */
import { hash } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import type { Manifest, ManifestImage, VerifiedManifest } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';
import { decodeIndex, type ChunkRecord } from './index-codec.ts';
import type { KeyId } from './keys.ts';
import { layoutOf, memberAt, MANIFEST_NAME, SIGNATURE_NAME } from './layout.ts';
import type { Layout, Member } from './layout.ts';
import { BLOCK_BYTES, END_BYTES, MANIFEST_BYTES_MAX, SIGNATURE_BYTES } from './limits.ts';
import { parseManifest } from './manifest.ts';
import { bundleId, decodeSignatures, verifySignatures, type SignatureList } from './signature.ts';
import type { ByteSource } from './source.ts';
import type { TrustRoot } from './trust.ts';
import { checkHeader, looksLikeFirst, wrongType, type Place } from './ustar.ts';

/** An image of an open bundle. */
export interface OpenImage {
  readonly image: ManifestImage;
  /** One per chunk, in the order of the raw image. */
  readonly records: readonly ChunkRecord[];
  /** Position of the image's member data in the bundle; records count from there. */
  readonly dataOffset: number;
}

/** A bundle whose signature, manifest, index and frame of members were all checked. */
export interface OpenBundle {
  /** SHA-256 of the manifest bytes: the identity of the bundle. */
  readonly bundle: Sha256;
  readonly sizeBytes: number;
  /** Everything before the first byte of the first image. */
  readonly headBytes: number;
  readonly manifest: VerifiedManifest;
  readonly images: readonly OpenImage[];
  /** Trusted keys that signed. */
  readonly signers: readonly KeyId[];
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
  const { manifestBytes, signatures } = await readSigned(source, signal);
  const signers = verifySignatures(manifestBytes, signatures, root);
  const manifest = parseManifest(manifestBytes) as VerifiedManifest;
  const layout = layoutOf(manifestBytes.length, manifest);
  const images = await readFrame(source, layout, signal);
  return {
    bundle: bundleId(manifestBytes),
    sizeBytes: layout.sizeBytes,
    headBytes: layout.headBytes,
    manifest,
    images,
    signers,
  };
}

/**
 * What an unverified bundle says about itself: the first two members only, no signature judged, no
 * image looked at. Throws `bundle.*`.
 */
export async function inspectBundle(
  source: ByteSource,
  signal?: AbortSignal,
): Promise<UntrustedBundle> {
  const { manifestBytes, signatures } = await readSigned(source, signal);
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
    layout,
  };
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

/** Manifest bytes and signature list, as they are in the file; the bytes are not interpreted. */
async function readSigned(
  source: ByteSource,
  signal: AbortSignal | undefined,
): Promise<{ readonly manifestBytes: Uint8Array; readonly signatures: SignatureList }> {
  await checkStart(source, signal);
  const sizeBytes = await readHeader(source, 0, MANIFEST_NAME, 'first', signal);
  if (sizeBytes < 1 || sizeBytes > MANIFEST_BYTES_MAX) {
    throw sizeFault('bundle.damaged', MANIFEST_NAME, sizeBytes, `1 to ${MANIFEST_BYTES_MAX}`);
  }
  const member = memberAt(0, MANIFEST_NAME, sizeBytes);
  const manifestBytes = await readMember(source, member, signal);
  const at = member.endOffset;
  const listBytes = await readHeader(source, at, SIGNATURE_NAME, 'second', signal);
  if (listBytes !== SIGNATURE_BYTES) {
    throw sizeFault('bundle.unknown_format', SIGNATURE_NAME, listBytes, `${SIGNATURE_BYTES}`);
  }
  const list = await readMember(source, memberAt(at, SIGNATURE_NAME, listBytes), signal);
  return { manifestBytes, signatures: decodeSignatures(list) };
}

/** A file that is too short for one header is a piece of a bundle, or something else. */
async function checkStart(source: ByteSource, signal: AbortSignal | undefined): Promise<void> {
  if (source.sizeBytes >= BLOCK_BYTES) return;
  const start = await source.readAt(0, source.sizeBytes, signal);
  if (!looksLikeFirst(start, MANIFEST_NAME)) throw wrongType(start, MANIFEST_NAME);
  throw truncated(source.sizeBytes, BLOCK_BYTES);
}

/** Everything after the signed head: size of the file, indexes, headers, padding, end (B8.6-8). */
async function readFrame(
  source: ByteSource,
  layout: Layout,
  signal: AbortSignal | undefined,
): Promise<readonly OpenImage[]> {
  checkSize(source.sizeBytes, layout.sizeBytes);
  const images: OpenImage[] = [];
  for (const [i, index] of layout.indexes.entries()) {
    const member = layout.images[i];
    const image = index.image;
    if (member === undefined || image === undefined) continue;
    await expectHeader(source, index, signal);
    const bytes = await readMember(source, index, signal);
    const found = hash('sha256', bytes, 'hex');
    if (found !== image.indexSha256) {
      throw new UpdateError(
        'bundle.damaged',
        `${index.name} has SHA-256 ${found}, expected ${image.indexSha256}`,
        { detail: { member: index.name, found, expected: image.indexSha256 } },
      );
    }
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

async function readHeader(
  source: ByteSource,
  offset: number,
  name: string,
  place: Place,
  signal: AbortSignal | undefined,
): Promise<number> {
  return checkHeader(await read(source, offset, BLOCK_BYTES, signal), name, place);
}

/** A header of which the signed manifest says name and size. */
async function expectHeader(
  source: ByteSource,
  member: Member,
  signal: AbortSignal | undefined,
): Promise<void> {
  const sizeBytes = await readHeader(source, member.headerOffset, member.name, 'later', signal);
  if (sizeBytes !== member.sizeBytes) {
    throw sizeFault('bundle.damaged', member.name, sizeBytes, `${member.sizeBytes}`);
  }
}

/** Data of a member; its padding is checked too. */
async function readMember(
  source: ByteSource,
  member: Member,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const length = member.endOffset - member.dataOffset;
  const bytes = await read(source, member.dataOffset, length, signal);
  checkZeros(bytes.subarray(member.sizeBytes), `the padding after ${member.name}`);
  return bytes.subarray(0, member.sizeBytes);
}

async function readPadding(
  source: ByteSource,
  member: Member,
  signal: AbortSignal | undefined,
): Promise<void> {
  const from = member.dataOffset + member.sizeBytes;
  if (from === member.endOffset) return;
  const bytes = await read(source, from, member.endOffset - from, signal);
  checkZeros(bytes, `the padding after ${member.name}`);
}

/** Bytes that the source must have; asked before the source is. */
async function read(
  source: ByteSource,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (offset + length > source.sizeBytes) throw truncated(source.sizeBytes, offset + length);
  return await source.readAt(offset, length, signal);
}

function checkZeros(bytes: Uint8Array, where: string): void {
  if (bytes.every((byte) => byte === 0)) return;
  throw new UpdateError('bundle.damaged', `${where} is not all zeros`, {
    detail: { where, expected: 'zeros' },
  });
}

function truncated(foundBytes: number, expectedBytes: number): UpdateError {
  const atLeast = foundBytes === 0 ? 'the file is empty' : `the file has ${foundBytes} bytes`;
  return new UpdateError('bundle.truncated', `${atLeast}, expected ${expectedBytes} or more`, {
    detail: { foundBytes, expectedBytes },
  });
}

function sizeFault(
  code: 'bundle.damaged' | 'bundle.unknown_format',
  member: string,
  foundBytes: number,
  expected: string,
): UpdateError {
  return new UpdateError(code, `${member} has ${foundBytes} bytes, expected ${expected}`, {
    detail: { member, foundBytes, expected },
  });
}
