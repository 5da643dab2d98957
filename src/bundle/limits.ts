/**
 * The limits and fixed numbers of the format, docs/bundle.md B1.4: each reader stops at them, and
 * the builder refuses to make what a reader would refuse. Imports nothing.
 */

/** Block of the archive: headers and padding come in this size. */
export const BLOCK_BYTES = 512;
/** Two zero blocks end the archive. */
export const END_BYTES = 2 * BLOCK_BYTES;
/** `manifest.json` at most. */
export const MANIFEST_BYTES_MAX = 1024 * 1024;
/** `manifest.sig` exactly: signing never moves anything (B3.6). */
export const SIGNATURE_BYTES = 16 * 1024;
/** Signatures in one bundle at most. */
export const SIGNATURES_MAX = 16;
/** Chunks of one image at most; with the record size this bounds an index to 5.5 MiB. */
export const CHUNKS_MAX = 65_536;
/** Smallest chunk size of an image, in raw bytes. */
export const CHUNK_BYTES_MIN = 64 * 1024;
/** Largest chunk size of an image, in raw bytes. */
export const CHUNK_BYTES_MAX = 4 * 1024 * 1024;
/** Chunk size of bundles that this program makes. */
export const CHUNK_BYTES_DEFAULT = 1024 * 1024;
/** Largest size that the 11 octal digits of a header can say. */
export const MEMBER_BYTES_MAX = 2 ** 33 - 1;
/** Trust root file at most. */
export const ROOT_BYTES_MAX = 64 * 1024;
/** Keys in a trust root at most. */
export const ROOT_KEYS_MAX = 64;
/** `roots.json`, the new trust roots that a bundle brings, at most. */
export const ROOTS_BYTES_MAX = 1024 * 1024;
/** `updater.mjs`, the updater that a bundle brings, at most. */
export const UPDATER_BYTES_MAX = 16 * 1024 * 1024;
/** New trust roots in one `roots.json` at most. */
export const ROOTS_MAX = 16;
/** Signatures of one new trust root at most: of the old and of the new keys. */
export const ROOT_SIGNATURES_MAX = 64;
/** Key files and attached signature files at most. */
export const KEY_FILE_BYTES_MAX = 16 * 1024;
