/**
 * Where everything in a bundle is, docs/bundle.md B2.1 and B2.4: the members in their one order,
 * with positions that follow from the sizes in the signed manifest and from nothing else. Reader
 * and builder share it. Imports core types.
 */
import type { Manifest, ManifestImage } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';
import { BLOCK_BYTES, END_BYTES, SIGNATURE_BYTES } from './limits.ts';
import { paddedBytes } from './ustar.ts';

/** Name of the first member. */
export const MANIFEST_NAME = 'manifest.json';
/** Name of the second member. */
export const SIGNATURE_NAME = 'manifest.sig';
/** Name of the third member of a bundle that brings new trust roots. */
export const ROOTS_NAME = 'roots.json';

/** Name of the member with the updater, behind new trust roots where there are any. */
export const UPDATER_NAME = 'updater.mjs';

/** A member of the archive. */
export interface Member {
  readonly name: string;
  readonly sizeBytes: number;
  /** Position of its header; its data follow 512 bytes later. */
  readonly headerOffset: number;
  readonly dataOffset: number;
  /** Position after its padding. */
  readonly endOffset: number;
  /** The image that it belongs to; undefined for those before the indexes. */
  readonly image?: ManifestImage;
}

/** Every member of a bundle, and where the file ends. */
export interface Layout {
  readonly manifest: Member;
  readonly signature: Member;
  /** Undefined where the bundle brings no new trust roots. */
  readonly roots: (Member & { readonly sha256: Sha256 }) | undefined;
  /** Undefined where the bundle brings no updater. */
  readonly updater: (Member & { readonly sha256: Sha256 }) | undefined;
  readonly indexes: readonly Member[];
  readonly images: readonly Member[];
  /** Everything before the first byte of the first image. */
  readonly headBytes: number;
  /** Where the two zero blocks begin. */
  readonly endOffset: number;
  /** Size of the whole file. */
  readonly sizeBytes: number;
}

/** The member at `headerOffset`. */
export function memberAt(headerOffset: number, name: string, sizeBytes: number): Member {
  const dataOffset = headerOffset + BLOCK_BYTES;
  const endOffset = dataOffset + paddedBytes(sizeBytes);
  return { name, sizeBytes, headerOffset, dataOffset, endOffset };
}

/** Layout of a bundle with a manifest of `manifestBytes` bytes. */
export function layoutOf(
  manifestBytes: number,
  manifest: Pick<Manifest, 'images' | 'root' | 'updater'>,
): Layout {
  const first = memberAt(0, MANIFEST_NAME, manifestBytes);
  const signature = memberAt(first.endOffset, SIGNATURE_NAME, SIGNATURE_BYTES);
  const { root, updater: brings } = manifest;
  const roots = root && {
    ...memberAt(signature.endOffset, ROOTS_NAME, root.sizeBytes),
    sha256: root.sha256,
  };
  const updater = brings && {
    ...memberAt((roots ?? signature).endOffset, UPDATER_NAME, brings.sizeBytes),
    sha256: brings.sha256,
  };
  let at = (updater ?? roots ?? signature).endOffset;
  const place = (name: string, sizeBytes: number, image: ManifestImage): Member => {
    const member = { ...memberAt(at, name, sizeBytes), image };
    at = member.endOffset;
    return member;
  };
  const indexes = manifest.images.map((image) =>
    place(`index/${image.name}.idx`, image.indexBytes, image),
  );
  const headBytes = at + BLOCK_BYTES;
  const images = manifest.images.map((image) =>
    place(`image/${image.name}.zst`, image.compressedBytes, image),
  );
  return {
    manifest: first,
    signature,
    roots,
    updater,
    indexes,
    images,
    headBytes,
    endOffset: at,
    sizeBytes: at + END_BYTES,
  };
}
