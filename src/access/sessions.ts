/**
 * Who is logged in, and which of them holds the right to change the pair. Always holds: a token is
 * 256 random bits, only its digest is kept and only in memory, and all are compared in constant
 * time; a session ends with idleness, and only a person's key prevents that; the right to change
 * ends with its session. Time is monotonic. Imports core.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Role } from '../core/access.ts';
import { UpdateError } from '../core/errors.ts';

/** Most sessions at once; one more ends the one that is idle for longest. */
export const SESSIONS_MAX = 32;
/** Ended sessions whose end can still be told. */
const ENDED_MAX = 64;
/** Longest time that an idle session may look on: an update may be held for days. */
const WATCH_MS_MAX = 24 * 3_600_000;
const TOKEN_BYTES = 32;
/** A token as it is sent. */
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

/** One login. */
export interface Session {
  readonly user: string;
  readonly role: Role;
  /** Terminal or address, as its client said. */
  readonly where: string | null;
  /** Idle for too long while an update runs: it may look on. */
  readonly watching: boolean;
  /** Aborted when it ends. */
  readonly ended: AbortSignal;
}

interface Kept extends Session {
  readonly digest: Buffer;
  readonly over: AbortController;
  lastMs: number;
  watching: boolean;
}

/** Who holds the right to change the pair. */
export interface Holder {
  readonly session: Session;
  readonly sinceMs: number;
}

/** What sessions need to know of the world. */
export interface SessionParts {
  readonly nowMs: () => number;
  /** How long a session may be without a key, now. */
  readonly idleMs: () => number;
  /** Whether an update runs, during which a console stays open to look on. */
  readonly updating: () => boolean;
  /** Told of each session that ends by itself, with a sentence, and whether it held the right. */
  readonly onEnd: (session: Session, why: string, held: boolean) => void;
}

/** The logins of one daemon. */
export class Sessions {
  readonly #parts: SessionParts;
  readonly #open = new Set<Kept>();
  /** Digests in hex of sessions that ended, and why: for the sentence alone. */
  readonly #ended = new Map<string, string>();
  #holder: Holder | null = null;
  #watchedMs = -Infinity;

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /** A new session and its token, which is nowhere else. */
  begin(user: string, role: Role, where: string | null): { session: Session; token: string } {
    if (this.#open.size >= SESSIONS_MAX) {
      const [longest] = [...this.#open].toSorted((a, b) => a.lastMs - b.lastMs);
      this.#finish(longest!, 'too many sessions: the one that was idle for longest ended');
    }
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const over = new AbortController();
    const kept: Kept = {
      user,
      role,
      where,
      watching: false,
      ended: over.signal,
      digest: digestOf(token),
      over,
      lastMs: this.#parts.nowMs(),
    };
    this.#open.add(kept);
    return { session: kept, token };
  }

  /** The session of a token; throws `access.login_required`, with why when it has ended. */
  find(token: string | null): Session {
    this.sweep();
    if (token === null) throw required('there is no token in the request');
    if (!TOKEN.test(token)) throw required('the token is malformed');
    const digest = digestOf(token);
    let found: Kept | null = null;
    // All of them are compared, so that the time does not tell where one was found.
    for (const one of this.#open) if (timingSafeEqual(one.digest, digest)) found = one;
    if (found !== null) return found;
    throw required(this.#ended.get(digest.toString('hex')) ?? 'the session is not known');
  }

  /** A person pressed a key. Throws `access.idle` for a session that may only look on. */
  touch(session: Session): void {
    if (session.watching) throw new UpdateError('access.idle', 'the session was idle for too long');
    (session as Kept).lastMs = this.#parts.nowMs();
  }

  /** Milliseconds that it has left without a key. */
  leftMs(session: Session): number {
    const { lastMs } = session as Kept;
    return Math.max(0, lastMs + this.#parts.idleMs() - this.#parts.nowMs());
  }

  /** Ends a session because its person said so; whether it held the right to change. */
  end(session: Session, why: string): boolean {
    return this.#remove(session as Kept, why);
  }

  /** Ends the sessions of a user, but for one, and tells of each. */
  endUser(user: string, why: string, but: Session | null = null): void {
    for (const one of this.#open) if (one.user === user && one !== but) this.#finish(one, why);
  }

  /** Sessions of a user. */
  count(user: string): number {
    return [...this.#open].filter((one) => one.user === user).length;
  }

  /** Who holds the right to change the pair. */
  get holder(): Holder | null {
    return this.#holder;
  }

  /** Gives the right to a session, or to nobody. */
  hold(session: Session | null): void {
    this.#holder = session === null ? null : { session, sinceMs: this.#parts.nowMs() };
  }

  /** Ends what is idle; called about once a second, and before a token is judged. */
  sweep(): void {
    const now = this.#parts.nowMs();
    const idleMs = this.#parts.idleMs();
    const updating = this.#parts.updating();
    // Who looks on sees the outcome, too: for as long as an idle person would.
    if (updating) this.#watchedMs = now;
    for (const one of this.#open) {
      if (now - one.lastMs < idleMs) continue;
      const why = `no key for ${Math.round(idleMs / 1000)} s`;
      if (!one.watching && updating) {
        one.watching = true;
        this.#parts.onEnd(one, `${why}: it may look on while the update runs`, this.#drop(one));
      } else if (!one.watching || now - this.#watchedMs >= idleMs) {
        this.#finish(one, `the session ended: ${why}`);
      } else if (now - one.lastMs >= WATCH_MS_MAX) this.#finish(one, `the session ended: ${why}`);
    }
  }

  #finish(session: Kept, why: string): void {
    this.#parts.onEnd(session, why, this.#remove(session, why));
  }

  /** Takes the right from a session; whether it had it. */
  #drop(session: Kept): boolean {
    if (this.#holder?.session !== session) return false;
    this.#holder = null;
    return true;
  }

  /** Whether it held the right. */
  #remove(session: Kept, why: string): boolean {
    if (!this.#open.delete(session)) return false;
    const held = this.#drop(session);
    this.#ended.set(session.digest.toString('hex'), why);
    const [first] = this.#ended.keys();
    if (this.#ended.size > ENDED_MAX) this.#ended.delete(first!);
    session.over.abort();
    return held;
  }
}

function required(message: string): UpdateError {
  return new UpdateError('access.login_required', message);
}

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest();
