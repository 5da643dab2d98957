/**
 * The store as seen by the daemon: a client of the storage software's unix socket (the API is in
 * images/storage/README.md). Always holds: the status is what the storage software said last on a
 * connection that still stands, while it gives signs of life, and `unknown` in all its parts
 * otherwise, at the latest 2.5 s after the last sign; when `promote`, `demote` or `goAlone`
 * returns, `status()` already shows it. Imports core, ports, json-lines and pulse.
 */
import { UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import { STORE_UNKNOWN } from '../core/store.ts';
import type { SavedRecords, SplitView, StorageView, VerifyReport } from '../core/store.ts';
import type { Store, StoreCare, StoreStatus } from '../ports.ts';
import { openSocketCalls, type SocketCalls } from './json-lines.ts';
import { Pulse } from './pulse.ts';

/** Longest wait for a comparison of two split copies, and for the end of a split. */
const COMPARE_MS = 60_000;
const RESOLVE_MS = 30 * 60_000;
/** Longest wait for an answer; `demote` itself waits at most 2 s for writes under way. */
const CALL_MS = 5000;
/** How often a sign of life is asked for, and after how many in vain nothing is known any more. */
const BEAT_MS = 500;
const QUIET_BEATS = 5;

/** Where the storage software listens. */
export interface StoreProcessOptions {
  /** Path of its unix socket. */
  readonly socket: string;
}

/** The store with the end of its connection. */
export interface StoreProcess extends Store, StoreCare, AsyncDisposable {}

/**
 * Connects to the storage software and stays connected through its restarts; it need not run yet.
 * Calls reject with `store.unreachable` when it does not answer within 5 s, `store.fenced` for an
 * epoch below the highest one that it has seen, `store.stale` when its copy is known to lag.
 */
export function openStoreProcess(options: StoreProcessOptions): StoreProcess {
  return new SocketStore(options);
}

class SocketStore implements StoreProcess {
  readonly #calls: SocketCalls;
  readonly #listeners: ((status: StoreStatus) => void)[] = [];
  readonly #pulse: Pulse;
  #status = STORE_UNKNOWN;
  /** What it said last on this connection; it counts only while there are signs of life. */
  #said = STORE_UNKNOWN;
  #quiet = false;

  constructor(options: StoreProcessOptions) {
    this.#calls = openSocketCalls({
      path: options.socket,
      onUp: () => void this.#call({ op: 'watch' }).catch(() => this.#hear(STORE_UNKNOWN)),
      onDown: () => this.#hear(STORE_UNKNOWN),
      onNews: (news) => {
        const { status } = news as { status?: StoreStatus };
        if (status) this.#hear(status);
      },
    });
    this.#pulse = new Pulse({
      calls: this.#calls,
      beatMs: BEAT_MS,
      onBeat: (quietBeats) => this.#setQuiet(quietBeats >= QUIET_BEATS),
    });
  }

  status(): StoreStatus {
    return this.#status;
  }

  onStatus(listener: (status: StoreStatus) => void): void {
    this.#listeners.push(listener);
  }

  async promote(epoch: number): Promise<void> {
    await this.#call({ op: 'promote', epoch });
  }

  async demote(): Promise<void> {
    await this.#call({ op: 'demote' });
  }

  async goAlone(epoch: number): Promise<void> {
    await this.#call({ op: 'goAlone', epoch });
  }

  async finalizeFormat(): Promise<number> {
    const answer = (await this.#call({ op: 'finalizeFormat' })) as { level?: unknown } | null;
    if (typeof answer?.level === 'number') return answer.level;
    throw new UpdateError('internal.bug', 'the storage software gave no format level');
  }

  async view(): Promise<StorageView> {
    const verify = (await this.#call({ op: 'verifyReport' })) as VerifyReport | null;
    if (!this.#status.splitBrain) return { verify, split: null };
    const split = (await this.#call({ op: 'split' }, COMPARE_MS)) as SplitView;
    return { verify, split };
  }

  async verify(): Promise<VerifyReport> {
    return (await this.#call({ op: 'verify' })) as VerifyReport;
  }

  async cancelVerify(): Promise<void> {
    await this.#call({ op: 'cancelVerify' });
  }

  async resync(): Promise<void> {
    await this.#call({ op: 'resync' });
  }

  async resolve(
    keep: NodeId,
    { by, reason }: { readonly by: string; readonly reason: string },
  ): Promise<SavedRecords> {
    const request = { op: 'resolve', keep, by, reason };
    return (await this.#call(request, RESOLVE_MS)) as SavedRecords;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pulse[Symbol.dispose]();
    await this.#calls[Symbol.asyncDispose]();
  }

  async #call(request: object, limitMs = CALL_MS): Promise<unknown> {
    const answer = await this.#calls.call(request, AbortSignal.timeout(limitMs));
    // Statuses come before the answer on the same connection: what was said last is true now.
    this.#pulse.heard();
    return answer;
  }

  #hear(status: StoreStatus): void {
    this.#said = status;
    if (!this.#quiet) this.#tell(status);
  }

  #setQuiet(quiet: boolean): void {
    this.#quiet = quiet;
    this.#tell(quiet ? STORE_UNKNOWN : this.#said);
  }

  #tell(status: StoreStatus): void {
    if (status === this.#status) return;
    this.#status = status;
    for (const listener of this.#listeners) listener(status);
  }
}
