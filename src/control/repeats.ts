/**
 * Idempotency keys: a change that is asked for again with the key of the first time is answered as
 * the first time, and nothing is done twice. Always holds: a change with a key begins only after
 * the key is in the book; a refused change leaves no key behind; a request that the end of the
 * daemon interrupted is done again only where that is known to be safe. Imports core and Node.
 */
import { createHash } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import { usage } from './protocol.ts';

/** What a key stands for. */
export interface KeyEntry {
  /** Who asked. */
  readonly scope: string;
  readonly key: string;
  /** Digest of the request. */
  readonly print: string;
  /** Id of the job that the change becomes, told before it begins; null when it becomes none. */
  readonly job: string | null;
  /** Null until the change was accepted. */
  readonly answer: unknown;
}

/** Where keys are kept. */
export interface KeyBook {
  find(scope: string, key: string): KeyEntry | null;
  /** Durable when it resolves, as far as this book keeps anything. Throws `state.io`. */
  put(entry: KeyEntry): Promise<void>;
  /** Forgets it; never rejects. */
  drop(scope: string, key: string): Promise<void>;
}

/** How a book names an entry. */
export const nameOf = ({ scope, key }: Pick<KeyEntry, 'scope' | 'key'>): string =>
  `${scope} ${key}`;

/** Most keys that are kept; the oldest ones go first. */
export const KEYS_MAX = 256;

/** A book that ends with its process. */
export function memoryBook(max: number = KEYS_MAX): KeyBook {
  const kept = new Map<string, KeyEntry>();
  return {
    find: (scope, key) => kept.get(nameOf({ scope, key })) ?? null,
    put: (entry) => {
      const name = nameOf(entry);
      kept.delete(name);
      kept.set(name, entry);
      const [oldest] = kept.keys();
      if (kept.size > max && oldest !== undefined) kept.delete(oldest);
      return Promise.resolve();
    },
    drop: (scope, key) => {
      kept.delete(nameOf({ scope, key }));
      return Promise.resolve();
    },
  };
}

/** A change with a key. */
export interface Keyed {
  readonly scope: string;
  readonly key: string;
  readonly print: string;
  readonly book: KeyBook;
  /** Kind of the job that it becomes; null when it becomes none. */
  readonly kind: string | null;
}

/** What the change is done with. */
export interface Work {
  /** A new id for a job of this kind. */
  readonly newJob: (kind: string) => string;
  /** The job as it is now, or null when nobody knows it. */
  readonly jobOf: (id: string) => unknown;
  /** Does the change; a job that it becomes gets this id. */
  readonly run: (job: string | null) => Promise<unknown>;
}

/** The answer, and whether it is one that was given before. */
export interface Repeated {
  readonly answer: unknown;
  readonly replayed: boolean;
}

/** Jobs that may be begun again when nobody knows them: not begun, or no harm if done twice. */
const AGAIN: ReadonlySet<string | null> = new Set([
  'stage',
  'update',
  'rollback',
  'commit',
  'verify',
  'resync',
  'resolve',
  'support',
]);
/** A job of these kinds that was accepted is forgotten with its daemon until its first record. */
const LOST: ReadonlySet<string | null> = new Set(['update']);

/** The changes with keys of one door after the other. */
export class Repeats {
  readonly #working = new Map<string, { readonly print: string; readonly end: Promise<unknown> }>();

  /**
   * Does the change, or answers as the first time. Throws `request.key_reused` for the key of
   * another request, `request.interrupted` when it is not known what became of the first time, and
   * what the change throws.
   */
  async once(asked: Keyed, work: Work): Promise<Repeated> {
    const { scope, key, print, book } = asked;
    const name = nameOf(asked);
    const working = this.#working.get(name);
    if (working !== undefined) {
      sameRequest(working.print, asked);
      return { answer: await working.end, replayed: true };
    }
    const entry = book.find(scope, key);
    if (entry !== null) {
      sameRequest(entry.print, asked);
      const answer = await this.#known(entry, asked, work);
      if (answer !== null) return { answer, replayed: true };
    }
    const end = this.#run(asked, work);
    this.#working.set(name, { print, end });
    try {
      return { answer: await end, replayed: false };
    } finally {
      this.#working.delete(name);
    }
  }

  /** What the first time came to; null when it may be done again. */
  async #known(entry: KeyEntry, { kind, book }: Keyed, work: Work): Promise<unknown> {
    const job = entry.job === null ? null : work.jobOf(entry.job);
    if (job !== null) {
      if (entry.answer === null) await book.put({ ...entry, answer: job });
      return job;
    }
    if (entry.answer !== null) return LOST.has(kind) ? null : entry.answer;
    if (AGAIN.has(kind)) return null;
    const message = `the daemon ended while it worked on the request with the key ${entry.key}`;
    throw new UpdateError('request.interrupted', message);
  }

  async #run({ scope, key, print, book, kind }: Keyed, work: Work): Promise<unknown> {
    const wished = kind === null ? null : work.newJob(kind);
    const entry: KeyEntry = { scope, key, print, job: wished, answer: null };
    await book.put(entry);
    let answer: unknown;
    try {
      answer = await work.run(wished);
    } catch (error) {
      await book.drop(scope, key);
      throw error;
    }
    const { id } = (answer ?? {}) as { readonly id?: unknown };
    const job = kind !== null && typeof id === 'string' ? id : wished;
    await book.put({ ...entry, job, answer });
    return answer;
  }
}

function sameRequest(print: string, { key, print: asked }: Keyed): void {
  if (print === asked) return;
  throw new UpdateError('request.key_reused', `the key ${key} stands for another request already`);
}

/** The key of a request's header, or undefined without one; throws `usage.invalid`. */
export function keyOfHeader(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const text = typeof header === 'string' ? header : header.join(',');
  const key = /^(?:"([\w.-]{1,64})"|([\w.-]{1,64}))$/.exec(text);
  if (key !== null) return key[1] ?? key[2];
  const accepted = '1 to 64 letters, digits, dots, underscores and hyphens';
  throw usage(`Idempotency-Key is ${JSON.stringify(text.slice(0, 80))}; accepted: ${accepted}`);
}

/** The same for requests that ask for the same, whatever the order of their fields is. */
export function printOf(method: string, path: string, body: unknown, salt = ''): string {
  return createHash('sha256')
    .update(`${salt}\n${method} ${path}\n${JSON.stringify(ordered(body))}`)
    .digest('hex');
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, inner]) => [name, ordered(inner)]));
}
