/**
 * The words of the house as types: nodes, slots, digests, versions, images, the release file. One
 * word, one thing (docs/ARCHITECTURE.md, "Words"). Branded types are made only by the parse
 * functions here. Pure; imports only core.
 */
import { UpdateError } from './errors.ts';

declare const brand: unique symbol;
/** A type that only its own parse function can make. */
export type Brand<T, N extends string> = T & { readonly [brand]: N };

/** One appliance of the pair. */
export type NodeId = 'A' | 'B';
/** Both nodes, in the order in which they are shown. */
export const NODES: readonly NodeId[] = ['A', 'B'];
/** Whether a value from outside names a node. */
export const isNode = (value: unknown): value is NodeId => value === 'A' || value === 'B';
/** The other appliance of the pair. */
export const peerOf = (node: NodeId): NodeId => (node === 'A' ? 'B' : 'A');

/**
 * One of the two places that hold an image of a class. Never "active": active and standby are said
 * of nodes.
 */
export type Slot = 'A' | 'B';
/** The other place of the same class. */
export const otherSlot = (slot: Slot): Slot => (slot === 'A' ? 'B' : 'A');

/**
 * `system` boots the appliance, `storage` holds the storage software; the two classes switch
 * independently.
 */
export type SlotClass = 'system' | 'storage';
/** Every class, in the order in which they are shown. */
export const SLOT_CLASSES: readonly SlotClass[] = ['system', 'storage'];

/** 64 lower-case hexadecimal digits. */
export type Sha256 = Brand<string, 'Sha256'>;
/** A digest from its text; throws `internal.bug` for anything else. */
export function parseSha256(text: string): Sha256 {
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new UpdateError('internal.bug', `not a SHA-256 in hexadecimal: ${text.slice(0, 80)}`);
  }
  return text as Sha256;
}

/**
 * What an image says about itself, read from `/etc/tandem-release` (JSON) inside the image. The
 * version that a node reports comes from here and from nowhere else. `counter` is the ordering
 * authority; `version` (semver) is for people and for path rules.
 */
export interface Release {
  readonly product: string;
  readonly class: SlotClass;
  readonly version: string;
  readonly counter: number;
  /**
   * Storage images: the on-disk format level that the software writes. Absent for system images.
   */
  readonly formatLevel?: number;
}

/** Where an image says what it is. */
export const RELEASE_FILE = '/etc/tandem-release';
/** The release file at most, in bytes. */
export const RELEASE_BYTES_MAX = 4096;

/**
 * Release from the bytes of the release file; throws `bundle.invalid_manifest` when it is not one.
 */
export function parseRelease(text: string): Release {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UpdateError('bundle.invalid_manifest', `${RELEASE_FILE} is not JSON`, { cause });
  }
  const r = value as Partial<Release> | null;
  const good =
    typeof r === 'object' &&
    r !== null &&
    typeof r.product === 'string' &&
    (r.class === 'system' || r.class === 'storage') &&
    typeof r.version === 'string' &&
    Number.isSafeInteger(r.counter) &&
    (r.formatLevel === undefined || Number.isSafeInteger(r.formatLevel));
  if (!good) {
    throw new UpdateError('bundle.invalid_manifest', `${RELEASE_FILE} lacks a field`);
  }
  return r as Release;
}

/**
 * Bytes done of bytes to do, with what a person wants to know; rate and ETA are absent until they
 * mean something.
 */
export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly rateBps?: number;
  readonly etaS?: number;
}

/**
 * Version words and ordering numbers of the two components that run on a node; `null` where it is
 * not known.
 */
export interface Installed {
  readonly system: Release | null;
  readonly storage: Release | null;
}

/**
 * Written beside a slot only after the whole slot was read back; cleared before its first write.
 */
export interface SlotSeal {
  readonly imageId: Sha256;
  readonly rawBytes: number;
  readonly rawSha256: Sha256;
  readonly release: Release;
  /** Version range of the other class that it runs with, as its manifest says. */
  readonly runsWith: string;
  /**
   * System slots: number of the trial whose commit made this slot the default, 0 for what the
   * factory installed, null for what was never committed. It decides which slot boots when the boot
   * state is lost. Storage seals: null, or 0 from the factory.
   */
  readonly committed: number | null;
}
