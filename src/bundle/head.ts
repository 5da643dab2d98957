/**
 * The beginning of a bundle, up to the judgement of who signed it, docs/bundle.md B8.1 to B8.4:
 * manifest, signatures and new trust roots as bytes. Always holds: the manifest is not parsed here,
 * new trust roots are judged before they count for it, and nothing is allocated beyond its limit.
 * Imports core.
 */
import { UpdateError } from '../core/errors.ts';
import type { KeyId } from './keys.ts';
import { memberAt, MANIFEST_NAME, ROOTS_NAME, SIGNATURE_NAME } from './layout.ts';
import { BLOCK_BYTES, MANIFEST_BYTES_MAX, ROOTS_BYTES_MAX, SIGNATURE_BYTES } from './limits.ts';
import { readHeader, readMember, sizeFault, truncated } from './members.ts';
import { decodeRoots, followRoots, type Followed, type RootLink } from './rotation.ts';
import { decodeSignatures, verifySignatures, type SignatureList } from './signature.ts';
import type { ByteSource } from './source.ts';
import type { TrustRoot } from './trust.ts';
import { checkHeader, looksLikeFirst, namedIn, wrongType } from './ustar.ts';

/** What stands before the images and before any judgement. */
export interface Signed {
  /** Not interpreted. */
  readonly manifestBytes: Uint8Array;
  readonly signatures: SignatureList;
  /** New trust roots with the exact bytes of their member; null when another member follows. */
  readonly roots: { readonly bytes: Uint8Array; readonly links: readonly RootLink[] } | null;
  /** Position behind the signatures, and the header there; null when the file ends before. */
  readonly nextOffset: number;
  readonly next: Uint8Array | null;
}

/** Reads it; no signature is judged. Throws `bundle.*`. */
export async function readSigned(
  source: ByteSource,
  signal: AbortSignal | undefined,
): Promise<Signed> {
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
  const list = memberAt(at, SIGNATURE_NAME, listBytes);
  const signatures = decodeSignatures(await readMember(source, list, signal));
  const nextOffset = list.endOffset;
  const isThere = nextOffset + BLOCK_BYTES <= source.sizeBytes;
  const next = isThere ? await source.readAt(nextOffset, BLOCK_BYTES, signal) : null;
  const roots = await readRoots(source, nextOffset, next, signal);
  return { manifestBytes, signatures, roots, nextOffset, next };
}

/** A file that is too short for one header is a piece of a bundle, or something else. */
async function checkStart(source: ByteSource, signal: AbortSignal | undefined): Promise<void> {
  if (source.sizeBytes >= BLOCK_BYTES) return;
  const start = await source.readAt(0, source.sizeBytes, signal);
  if (!looksLikeFirst(start, MANIFEST_NAME)) throw wrongType(start, MANIFEST_NAME);
  throw truncated(source.sizeBytes, BLOCK_BYTES);
}

async function readRoots(
  source: ByteSource,
  at: number,
  header: Uint8Array | null,
  signal: AbortSignal | undefined,
): Promise<Signed['roots']> {
  if (header === null || !namedIn(header, ROOTS_NAME)) return null;
  const sizeBytes = checkHeader(header, ROOTS_NAME, 'later');
  if (sizeBytes < 1 || sizeBytes > ROOTS_BYTES_MAX) {
    throw sizeFault('bundle.damaged', ROOTS_NAME, sizeBytes, `1 to ${ROOTS_BYTES_MAX}`);
  }
  const bytes = await readMember(source, memberAt(at, ROOTS_NAME, sizeBytes), signal);
  return { bytes, links: decodeRoots(bytes) };
}

/** Who signed, and the root that says so. */
export interface Judged {
  readonly signers: readonly KeyId[];
  readonly followed: Followed;
}

/**
 * Judges new trust roots, then the manifest with the newest root (B3.13). Throws `trust.rotation`,
 * `trust.untrusted`, and `bundle.*` where damage explains a missing signature.
 */
export function judgeSigned(signed: Signed, root: TrustRoot, sizeBytes: number): Judged {
  const { manifestBytes, signatures, roots, nextOffset, next } = signed;
  // The header of a third member is in every bundle; without it nobody knows whose roots count.
  if (next === null) throw truncated(sizeBytes, nextOffset + BLOCK_BYTES);
  const followed = followRoots(root, roots?.links ?? []);
  try {
    return { signers: verifySignatures(manifestBytes, signatures, followed.root), followed };
  } catch (error) {
    const untrusted = error instanceof UpdateError && error.code === 'trust.untrusted';
    if (untrusted && roots === null) checkIndexHeader(next);
    throw error;
  }
}

/** New trust roots may have stood where the header of an index is damaged. */
function checkIndexHeader(header: Uint8Array): void {
  const text = Buffer.from(header.subarray(0, 100)).toString('latin1');
  const known = /^(?:index\/[a-z0-9-]{1,32}\.idx|updater\.mjs)(?=\0)/.exec(text)?.[0];
  const name = known ?? ROOTS_NAME;
  checkHeader(header, name, 'later');
}
