/**
 * The words for one object of the store: what the index knows of it, a change of it, and a change
 * that is on disk. Pure types; imports the log's.
 */
import type { Place } from './segments.ts';

/** What the index knows of a key. */
export interface Entry {
  readonly version: number;
  /** SHA-256 of the value; null = deleted. */
  readonly hash: string | null;
  readonly valueBytes: number;
  readonly place: Place;
}

/** A change that is to be appended. */
export interface Change {
  readonly key: string;
  /** Null = delete. */
  readonly value: Buffer | null;
  readonly hash: string | null;
  readonly version: number;
  readonly run: string;
  /** A change that sync brings: it does not move the position. */
  readonly copy: boolean;
}

/** A change on disk that is not visible yet. */
export interface Placed {
  readonly key: string;
  readonly entry: Entry;
}
