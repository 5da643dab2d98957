/**
 * The releases that the bench installs, and what becomes of each: images of the appliance that work
 * or fail on purpose, as rows of one table. Always holds: releases differ in what their row says
 * and in nothing else. Imports core and the makers of images.
 */
import type { ApplianceVariant } from '../appliance/variants.ts';
import type { StorageVariant } from '../make-image.ts';

/** What the bench's appliances are. */
export const PRODUCT = 'tandem-bench';
/** Hardware revision of the bench's appliances. */
export const HARDWARE = 'virtual';

/** A release: both images, and what its bundle says. */
export interface PairRelease {
  readonly version: string;
  readonly counter: number;
  /** Default `good`. */
  readonly system?: ApplianceVariant;
  /** Default `good`. */
  readonly storage?: StorageVariant;
  /** Versions that the bundle updates from. */
  readonly from: string;
  /** Versions of the system under which the storage software of this release runs. */
  readonly storageRunsWith: string;
}

/** What the factory installs. */
export const FIRST: PairRelease = {
  version: '1.0.0',
  counter: 1,
  from: '>=0.9.0 <1.0.0',
  storageRunsWith: '>=1.0.0',
};

/** The release that updates it; its storage software runs under the first one too. */
export const SECOND: PairRelease = {
  version: '2.0.0',
  counter: 2,
  from: '>=1.0.0 <2.0.0',
  storageRunsWith: '>=1.0.0',
};

/** The second release with a system that fails; its storage software needs the new system. */
export function failing(system: ApplianceVariant): PairRelease {
  return { ...SECOND, system, storageRunsWith: '>=2.0.0' };
}
