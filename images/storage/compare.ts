/**
 * Compares this copy with the peer's while both go on: digests of buckets first, then the records
 * behind those that differ. Always holds: nothing is written on either side; a record that was
 * written while it was compared is compared again, and is a difference only when neither side
 * changed it between question and answer; rate and memory are bounded. Imports core, buckets,
 * objects and the questions.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { bucketCount, Buckets, heldItems, type BucketDigest } from './buckets.ts';
import { ITEMS_MAX } from './limits.ts';
import { DAMAGED, type Objects } from './objects.ts';
import type { HeldItem, Question } from './wire.ts';

/** How often a record that keeps changing is compared. */
const ROUNDS = 8;
/** The pause before the next round; it grows with each. */
const ROUND_MS = 20;
/** Records of one question about single keys. */
const KEYS_PER_ASK = 64;
/** Debts of time below this are not worth a timer. */
const PACE_MS = 5;

/** A record that differs: what each copy holds. */
export interface Difference {
  readonly key: string;
  readonly mine: HeldItem;
  readonly theirs: HeldItem;
}

/** What a comparison needs and whom it tells. */
export interface CompareOptions {
  readonly objects: Objects;
  readonly ask: <T extends object | null>(question: Question) => Promise<T>;
  /** Read what the disks hold; otherwise what the indexes say. */
  readonly content: boolean;
  readonly rateBps: number;
  /** A write of this key is on its way. */
  readonly isOpen: (key: string) => boolean;
  readonly onDifference: (difference: Difference) => void;
  readonly onProgress: (done: CompareCounts) => void;
  /** Throws when the comparison has to end. */
  readonly check: () => void;
}

/** How far a comparison is. */
export interface CompareCounts {
  records: number;
  bytes: number;
  /** Records that were compared a second time, because the first time they differed. */
  again: number;
  /** Records that never stood still. */
  unsettled: number;
}

/** One comparison, from its beginning to its end. */
export class Comparison {
  readonly #options: CompareOptions;
  readonly counts: CompareCounts = { records: 0, bytes: 0, again: 0, unsettled: 0 };
  readonly #startMs = performance.now();

  constructor(options: CompareOptions) {
    this.#options = options;
  }

  async run(): Promise<CompareCounts> {
    const { objects, ask, content, onProgress, check } = this.#options;
    const buckets = bucketCount(objects.size);
    await ask({ do: 'open', buckets, content });
    const mine = await Buckets.of(objects, buckets, content);
    for (let bucket = 0; bucket < buckets; bucket += 1) {
      check();
      const [a, b] = await Promise.all([
        mine.digest(bucket),
        ask<BucketDigest>({ do: 'bucket', bucket }),
      ]);
      this.counts.records += a.records;
      this.counts.bytes += a.bytes;
      const equal = a.digest === b.digest && !a.damaged && !b.damaged;
      if (!equal) await this.#look(mine, bucket);
      onProgress(this.counts);
      await this.#pace();
    }
    await ask({ do: 'close' });
    return this.counts;
  }

  /** The records behind two digests that differ. */
  async #look(buckets: Buckets, bucket: number): Promise<void> {
    const mine = new Map((await buckets.read(bucket)).map((item) => [item[0], item]));
    const theirs = new Map<string, HeldItem>();
    for (let from = 0, more = true; more; from += ITEMS_MAX) {
      const part = await this.#options.ask<{ items: HeldItem[]; more: boolean }>({
        do: 'items',
        bucket,
        from,
      });
      for (const item of part.items) theirs.set(item[0], item);
      ({ more } = part);
    }
    const keys = [...new Set([...mine.keys(), ...theirs.keys()])];
    const differing = keys.flatMap((key): Difference[] => {
      const pair = { key, mine: mine.get(key) ?? none(key), theirs: theirs.get(key) ?? none(key) };
      return differs(pair) ? [pair] : [];
    });
    if (this.#options.content) await this.#settle(differing.map(({ key }) => key));
    else for (const difference of differing) this.#options.onDifference(difference);
  }

  /** Compares single records until each has stood still between question and answer. */
  async #settle(keys: readonly string[]): Promise<void> {
    this.counts.again += keys.length;
    let open = keys;
    for (let round = 0; open.length > 0; round += 1) {
      if (round === ROUNDS) {
        this.counts.unsettled += open.length;
        return;
      }
      if (round > 0) await sleep(ROUND_MS * round);
      const moved: string[] = [];
      for (let at = 0; at < open.length; at += KEYS_PER_ASK) {
        this.#options.check();
        moved.push(...(await this.#askKeys(open.slice(at, at + KEYS_PER_ASK))));
      }
      open = moved;
    }
  }

  /** Tells of those that differ; returns those that changed meanwhile. */
  async #askKeys(keys: readonly string[]): Promise<string[]> {
    const { objects, ask, isOpen, onDifference } = this.#options;
    const before = keys.map((key) => ({ key, open: isOpen(key), entry: objects.entry(key) }));
    const { items } = await ask<{ items: HeldItem[] }>({ do: 'keys', keys });
    const theirs = new Map(items.map((item) => [item[0], item]));
    const mine = await heldItems(objects, keys, true);
    return before.flatMap(({ key, open, entry }, index) => {
      if (open || isOpen(key) || objects.entry(key) !== entry) return [key];
      const pair = { key, mine: mine[index]!, theirs: theirs.get(key) ?? none(key) };
      if (differs(pair)) onDifference(pair);
      return [];
    });
  }

  /** Waits until the bytes that were read are not more than the rate allows. */
  async #pace(): Promise<void> {
    const dueMs = (this.counts.bytes * 1000) / this.#options.rateBps;
    const waitMs = dueMs - (performance.now() - this.#startMs);
    if (waitMs > PACE_MS) await sleep(waitMs);
  }
}

const none = (key: string): HeldItem => [key, null, 0];

const differs = ({ mine, theirs }: Difference): boolean =>
  mine[1] !== theirs[1] || mine[1] === DAMAGED;
