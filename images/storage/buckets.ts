/**
 * The keys of a copy in buckets, so that two copies can be compared by few digests. Both sides sort
 * a key into the same bucket by its checksum, so no list of keys has to travel while the copies are
 * equal. Always holds: memory is one reference for each key; the event loop is left alone for at
 * most `SLICE` keys at a time; nothing is changed. Imports objects and the limits.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { setImmediate as turn } from 'node:timers/promises';
import { BUCKET_RECORDS, ITEMS_MAX } from './limits.ts';
import { DAMAGED, type Objects } from './objects.ts';
import type { HeldItem } from './wire.ts';

/** Keys that are looked at before other work may go on. */
const SLICE = 5000;
/** Most buckets; above 16 million records they grow instead. */
export const BUCKETS_MAX = 1 << 16;

/** What stands behind one bucket. */
export interface BucketDigest {
  readonly digest: string;
  readonly records: number;
  /** Bytes of the values. */
  readonly bytes: number;
  /** One of its records cannot be read: equal digests prove nothing then. */
  readonly damaged: boolean;
}

/** How many buckets so many records are sorted into. */
export function bucketCount(records: number): number {
  let count = 1;
  while (count * BUCKET_RECORDS < records && count < BUCKETS_MAX) count *= 2;
  return count;
}

/** A picture of the keys at one moment; what they hold is looked up when it is asked for. */
export class Buckets {
  readonly #objects: Objects;
  readonly #content: boolean;
  readonly #keys: string[][];
  /** The bucket that was read last, for the questions about it. */
  #last: { readonly bucket: number; readonly items: readonly HeldItem[] } | null = null;

  private constructor(objects: Objects, count: number, content: boolean) {
    this.#objects = objects;
    this.#content = content;
    this.#keys = Array.from({ length: count }, () => []);
  }

  /** Sorts the keys; `content`: read the disk later, instead of believing the index. */
  static async of(objects: Objects, count: number, content: boolean): Promise<Buckets> {
    const buckets = new Buckets(objects, count, content);
    let seen = 0;
    for (const key of objects.liveKeys()) {
      buckets.#keys[crc32(key) % count]!.push(key);
      seen += 1;
      if (seen % SLICE === 0) await turn();
    }
    return buckets;
  }

  get count(): number {
    return this.#keys.length;
  }

  /** What is held of the keys of one bucket, sorted by key. */
  async read(bucket: number): Promise<readonly HeldItem[]> {
    if (this.#last?.bucket === bucket) return this.#last.items;
    const keys = (this.#keys[bucket] ?? []).toSorted();
    const items = await heldItems(this.#objects, keys, this.#content);
    const found = items.filter(([, hash]) => hash !== null);
    this.#last = { bucket, items: found };
    return found;
  }

  async digest(bucket: number): Promise<BucketDigest> {
    this.#last = null;
    const items = await this.read(bucket);
    const sum = createHash('sha256');
    let bytes = 0;
    for (const [key, hash, valueBytes] of items) {
      sum.update(`${key}\n${hash ?? ''}\n`);
      bytes += valueBytes;
    }
    const damaged = items.some(([, hash]) => hash === DAMAGED);
    return { digest: sum.digest('hex'), records: items.length, bytes, damaged };
  }

  /** A part of what the digest was made of. */
  async items(
    bucket: number,
    from: number,
  ): Promise<{ items: readonly HeldItem[]; more: boolean }> {
    const items = await this.read(bucket);
    return { items: items.slice(from, from + ITEMS_MAX), more: from + ITEMS_MAX < items.length };
  }
}

/** What this copy holds of some keys; null where there is nothing. */
export async function heldItems(
  objects: Objects,
  keys: readonly string[],
  content: boolean,
): Promise<readonly HeldItem[]> {
  const items: HeldItem[] = [];
  for (const key of keys) {
    const known = objects.has(key) ? objects.entry(key) : null;
    const hash = content ? await objects.held(key) : (known?.hash ?? null);
    items.push([key, hash, hash === null ? 0 : (known?.valueBytes ?? 0)]);
  }
  return items;
}
