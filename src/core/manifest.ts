/**
 * The manifest of a bundle as a type: what the signed `manifest.json` says (docs/bundle.md, clause
 * numbers there). Parsing and verifying are the work of `src/bundle`; only it can make a
 * `VerifiedManifest`. Pure; imports only core.
 */
import type { Brand, Sha256, SlotClass } from './model.ts';

/** Manifest format that this program reads and writes. */
export const MANIFEST_FORMAT = 1;

/** The image of an earlier release that a delta image is made against. */
export interface ManifestBase {
  readonly version: string;
  readonly counter: number;
  readonly rawBytes: number;
  readonly rawSha256: Sha256;
  /** What the seal of the slot must say that the base is read from. */
  readonly imageId: Sha256;
}

/** One image of a bundle, as the manifest describes it. */
export interface ManifestImage {
  /** File-name-safe name, unique in the bundle: `[a-z0-9-]{1,32}`. */
  readonly name: string;
  readonly class: SlotClass;
  readonly version: string;
  readonly counter: number;
  /** Size of the raw image in bytes. */
  readonly rawBytes: number;
  readonly chunkBytes: number;
  readonly chunks: number;
  /** Size of the compressed image member in bytes. */
  readonly compressedBytes: number;
  readonly indexBytes: number;
  readonly indexSha256: Sha256;
  readonly rawSha256: Sha256;
  /**
   * SHA-256 over size and raw chunk digests: the same in the full and in the delta bundle of a
   * release.
   */
  readonly imageId: Sha256;
  /**
   * Version ranges of the *other* class that this image runs with. Storage: under which systems;
   * system: with which storage.
   */
  readonly runsWith: string;
  /** Storage images: the on-disk format level. */
  readonly formatLevel?: number;
  /** Delta images: what they are made against. Absent = the image is complete in itself. */
  readonly base?: ManifestBase;
}

/** New trust roots that a bundle brings. */
export interface ManifestRoot {
  /** Version of the newest one, which the bundle itself is signed with. */
  readonly version: number;
  /** Size and digest of `roots.json`. */
  readonly sizeBytes: number;
  readonly sha256: Sha256;
}

/** A newer updater that a bundle brings: the program that reads bundles and writes slots. */
export interface ManifestUpdater {
  /** Version of Tandem that it is. */
  readonly version: string;
  /** Size and digest of `updater.mjs`. */
  readonly sizeBytes: number;
  readonly sha256: Sha256;
}

/** What `manifest.json` says (docs/bundle.md B4.3). */
export interface Manifest {
  readonly format: number;
  readonly product: string;
  readonly hardware: readonly string[];
  readonly version: string;
  /** Growing integer, the ordering authority. */
  readonly releaseCounter: number;
  /** Version range that the bundle updates from, e.g. `>=1.0.0 <3.0.0 || 4.1.2`. */
  readonly from: string;
  /** Installed versions that may not update directly. */
  readonly blocked: readonly string[];
  /** Lowest version of Tandem on the node that may install this bundle. */
  readonly minUpdater: string;
  readonly pair: {
    /** Lowest and highest pair protocol that the system in this bundle speaks. */
    readonly protocol: readonly [min: number, max: number];
    /** Versions of the system that may run as the peer of this one. */
    readonly sideBySide: string;
  };
  /**
   * Features of the format that a reader must know; an unknown entry is refused before the first
   * write.
   */
  readonly requires: readonly string[];
  /** Absent = the bundle brings no new trust root. */
  readonly root?: ManifestRoot;
  /** Absent = the bundle brings no updater. */
  readonly updater?: ManifestUpdater;
  readonly images: readonly ManifestImage[];
  readonly health?: { readonly soakS?: number };
  readonly notes?: string;
  readonly created?: string;
}

/**
 * A manifest whose signature, schema and inner consistency were checked; made only by `src/bundle`.
 */
export type VerifiedManifest = Brand<Manifest, 'VerifiedManifest'>;
