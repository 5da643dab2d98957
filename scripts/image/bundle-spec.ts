/**
 * What the bundle of a release says in demos, on benches and in tests: both images in the version
 * of the release. Always holds: side by side with any release from 1.0.0 on. Imports bundle.
 */
import type { BundleSpec } from '../../src/bundle/builder.ts';

/** What differs between such bundles. */
export interface ReleaseWords {
  readonly product: string;
  readonly hardware: string;
  readonly version: string;
  readonly counter: number;
  /** Versions that the bundle updates from. */
  readonly from: string;
  /** Versions of the system under which the storage software of this release runs. */
  readonly storageRunsWith: string;
  readonly notes?: string;
  /** Highest format that the storage software writes; default 1. */
  readonly formatLevel?: number;
  /** Highest pair protocol of the program; default 1. */
  readonly reach?: number;
}

/** The specification of a release's bundle. */
export function bundleSpec(words: ReleaseWords): BundleSpec {
  const { product, hardware, version, counter, from, notes } = words;
  const { storageRunsWith: runsWith, formatLevel = 1, reach = 1 } = words;
  return {
    product,
    hardware: [hardware],
    version,
    releaseCounter: counter,
    from,
    blocked: [],
    minUpdater: '0.1.0',
    pair: { protocol: [1, reach], sideBySide: '>=1.0.0' },
    ...(notes === undefined ? {} : { notes }),
    images: [
      { name: 'system', class: 'system', version, counter, runsWith: '>=1.0.0' },
      { name: 'storage', class: 'storage', version, counter, runsWith, formatLevel },
    ],
  };
}
