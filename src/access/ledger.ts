/**
 * What access has to remember over a restart of the daemon besides the users: failed logins, and
 * how long recovery codes are still valid. Always holds: time is counted while the daemon runs, by
 * the monotonic clock, so a clock at 1970 or one that jumps changes nothing; a start costs an open
 * code a minute, so restarts do not stretch it, and begins a wait anew in full; a file that cannot
 * be trusted counts as empty, which opens nothing: it closes every recovery code. Names that are no
 * user's are never kept, since a password may have been typed as a name. Imports core and its own
 * folder.
 */
import {
  afterFailure,
  afterRestart,
  forgotten,
  waitMs,
  type Failures,
} from '../core/access-lockout.ts';
import { asUpdateError } from '../core/errors.ts';
import { readPrivate, writePrivate } from './private-file.ts';

/** How often the rest of a validity is written down; also what a start costs it. */
export const SAVE_MS = 60_000;
/** Most names and codes that are taken from the file. */
const ENTRIES_MAX = 256;
const SCHEMA = 1;

/** The ledger of one node. */
export class Ledger implements AsyncDisposable {
  readonly #path: string;
  readonly #nowMs: () => number;
  readonly #log: (line: string) => void;
  readonly #failures = new Map<string, Failures>();
  #unknown: Failures | null = null;
  /** When a code ends, monotonic, by its digest. */
  readonly #endsMs = new Map<string, number>();
  #savedMs: number;

  private constructor(path: string, nowMs: () => number, log: (line: string) => void) {
    this.#path = path;
    this.#nowMs = nowMs;
    this.#log = log;
    this.#savedMs = nowMs();
  }

  /** Reads what was kept; `nowMs` is monotonic. Throws nothing: what is wrong goes to `log`. */
  static async open(
    path: string,
    nowMs: () => number,
    log: (line: string) => void,
  ): Promise<Ledger> {
    const ledger = new Ledger(path, nowMs, log);
    const content = await readPrivate(path);
    if ('problem' in content) log(`${path} ${content.problem}: no recovery code is valid`);
    if ('value' in content) ledger.#take(content.value);
    // What a start costs a code is durable before anything else happens.
    if (ledger.#endsMs.size > 0) await ledger.#keep();
    return ledger;
  }

  /** Milliseconds for which no login is accepted; a null name stands for all unknown ones. */
  waitMs(name: string | null): number {
    return waitMs(this.#of(name), this.#nowMs());
  }

  /** Failed logins that count. */
  count(name: string | null): number {
    const found = this.#of(name);
    return found === null || forgotten(found, this.#nowMs()) ? 0 : found.count;
  }

  /** One more failed login; returns the wait that it costs. A full disk forgives nothing. */
  async fail(name: string | null): Promise<number> {
    const next = afterFailure(this.#of(name), this.#nowMs());
    if (name === null) this.#unknown = next;
    else this.#failures.set(name, next);
    await this.#keep();
    return waitMs(next, this.#nowMs());
  }

  /** Forgets the failures: after a good login, or because an administrator says so. */
  async reset(name: string | null): Promise<void> {
    const known = name === null ? this.#unknown !== null : this.#failures.delete(name);
    if (name === null) this.#unknown = null;
    if (known) await this.#keep();
  }

  /** Lets a code be valid from now on; throws `state.io`. */
  async open(digest: string, validMs: number): Promise<void> {
    this.#endsMs.set(digest, this.#nowMs() + validMs);
    try {
      await this.#save();
    } catch (error) {
      this.#endsMs.delete(digest);
      throw error;
    }
  }

  /** Milliseconds for which a code is still valid; 0 when it is not. */
  leftMs(digest: string | undefined): number {
    const endsMs = digest === undefined ? undefined : this.#endsMs.get(digest);
    return endsMs === undefined ? 0 : Math.max(0, endsMs - this.#nowMs());
  }

  /** Closes a code. */
  async close(digest: string | undefined): Promise<void> {
    if (digest !== undefined && this.#endsMs.delete(digest)) await this.#keep();
  }

  /** Writes the validity down from time to time; called about once a second. */
  async tick(): Promise<void> {
    if (this.#endsMs.size > 0 && this.#nowMs() - this.#savedMs >= SAVE_MS) await this.#keep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#endsMs.size > 0) await this.#keep();
  }

  #of(name: string | null): Failures | null {
    return name === null ? this.#unknown : (this.#failures.get(name) ?? null);
  }

  /** A ledger that cannot be written still counts in memory; a login is not refused for it. */
  async #keep(): Promise<void> {
    try {
      await this.#save();
    } catch (error) {
      this.#log(asUpdateError(error).message);
    }
  }

  async #save(): Promise<void> {
    const now = this.#nowMs();
    this.#savedMs = now;
    for (const [digest, endsMs] of this.#endsMs) if (endsMs <= now) this.#endsMs.delete(digest);
    for (const [name, one] of this.#failures) if (forgotten(one, now)) this.#failures.delete(name);
    const failures = [...this.#failures].map(([name, { count }]) => [name, count]);
    const codes = [...this.#endsMs].map(([digest, endsMs]) => [digest, endsMs - now]);
    await writePrivate(this.#path, {
      schema: SCHEMA,
      failures: Object.fromEntries(failures) as object,
      unknown: this.#unknown?.count ?? 0,
      codes: Object.fromEntries(codes) as object,
    });
  }

  #take({ failures, unknown, codes }: Readonly<Record<string, unknown>>): void {
    const now = this.#nowMs();
    for (const [name, count] of numbersOf(failures)) {
      const kept = afterRestart(count, now);
      if (kept !== null) this.#failures.set(name, kept);
    }
    this.#unknown = afterRestart(typeof unknown === 'number' ? unknown : 0, now);
    for (const [digest, left] of numbersOf(codes)) {
      if (left > SAVE_MS) this.#endsMs.set(digest, now + left - SAVE_MS);
    }
  }
}

function numbersOf(value: unknown): readonly (readonly [string, number])[] {
  if (typeof value !== 'object' || value === null) return [];
  const entries = Object.entries(value).slice(0, ENTRIES_MAX) as [string, unknown][];
  return entries.flatMap(([key, number]) =>
    typeof number === 'number' && Number.isFinite(number) ? [[key, number] as const] : [],
  );
}
