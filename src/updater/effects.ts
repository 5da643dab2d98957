/**
 * Keeps the running effects level with what the state asks for: each is started once, aborted when
 * it is not wanted any more, tried again with growing pauses when it fails, and ensured again when
 * it ended well but is still wanted. Effects of one group (service, slots) never overlap. Imports
 * only core.
 */
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { Reason } from '../core/records.ts';
import { effectKey, type Effect, type Event } from '../core/state.ts';

/** Pauses between tries of a failing effect: 0.5 s, doubled up to 10 s. */
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 10_000;
/** An effect that ended well but is still asked for is ensured again after this pause. */
const ENSURE_MS = 10_000;

/** Longest message of a reason: it is part of records and of every report to the peer. */
export const MESSAGE_CHARS_MAX = 1000;

/** Waits some milliseconds, or until the signal aborts; never rejects. */
export type Pause = (ms: number, signal: AbortSignal) => Promise<void>;

/** Does the work of an effect; what it found out it tells as events. */
export type Execute = (
  effect: Effect,
  dispatch: (event: Event) => Promise<boolean>,
  signal: AbortSignal,
) => Promise<void>;

interface Entry {
  readonly effect: Effect;
  readonly abort: AbortController;
  done: Promise<void>;
}

const GROUP: Readonly<Record<Effect['do'], string>> = {
  'run-storage': 'storage',
  serve: 'service',
  release: 'service',
  'go-alone': 'service',
  fence: 'fence',
  'raise-format': 'format',
  fetch: 'fetch',
  offer: 'offer',
  install: 'slots',
  arm: 'slots',
  commit: 'slots',
  revert: 'slots',
  'close-other-slot': 'slots',
  reboot: 'slots',
  'check-health': 'health',
  'watch-service': 'watch',
};

/** Runs what the state asks for, and nothing else. */
export class EffectRunner implements AsyncDisposable {
  readonly #entries = new Map<string, Entry>();
  readonly #groups = new Map<string, Promise<void>>();
  readonly #execute: Execute;
  readonly #dispatch: (event: Event) => Promise<boolean>;
  readonly #log: (line: string) => void;
  readonly #pause: Pause;
  #stopped = false;

  constructor(
    execute: Execute,
    dispatch: (event: Event) => Promise<boolean>,
    log: (line: string) => void,
    wait: Pause = pause,
  ) {
    this.#execute = execute;
    this.#dispatch = dispatch;
    this.#log = log;
    this.#pause = wait;
  }

  /** Starts what is new and aborts what is not wanted any more. */
  reconcile(wanted: readonly Effect[]): void {
    if (this.#stopped) return;
    const keys = new Set(wanted.map(effectKey));
    for (const [key, entry] of this.#entries) {
      if (keys.has(key)) continue;
      entry.abort.abort();
      this.#entries.delete(key);
    }
    for (const effect of wanted) this.#start(effect);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    for (const entry of this.#entries.values()) entry.abort.abort();
    await Promise.allSettled(this.#groups.values());
  }

  #start(effect: Effect): void {
    const key = effectKey(effect);
    if (this.#entries.has(key)) return;
    const entry: Entry = { effect, abort: new AbortController(), done: Promise.resolve() };
    this.#entries.set(key, entry);
    const group = GROUP[effect.do];
    const before = this.#groups.get(group) ?? Promise.resolve();
    entry.done = before.then(() => this.#run(entry));
    this.#groups.set(group, entry.done);
  }

  async #run({ effect, abort: { signal } }: Entry): Promise<void> {
    let troubled = false;
    let retryMs = RETRY_FIRST_MS;
    while (!signal.aborted) {
      const error = await this.#once(effect, signal);
      if (error === null) {
        if (troubled) await this.#tell(effect, null);
        troubled = false;
        retryMs = RETRY_FIRST_MS;
        // Its success may have been undone since: the state alone says whether it is wanted.
        await this.#pause(ENSURE_MS, signal);
      } else if (!signal.aborted) {
        troubled = true;
        this.#log(`${effect.do} failed: ${error.code}: ${error.message}${whereOf(error)}`);
        const message = error.message.slice(0, MESSAGE_CHARS_MAX);
        await this.#tell(effect, { code: error.code, message });
        await this.#pause(retryMs, signal);
        retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
      }
    }
    if (troubled) await this.#tell(effect, null);
  }

  async #once(effect: Effect, signal: AbortSignal): Promise<UpdateError | null> {
    try {
      await this.#execute(effect, this.#dispatch, signal);
      return null;
    } catch (cause) {
      return asUpdateError(cause);
    }
  }

  async #tell(effect: Effect, reason: Reason | null): Promise<void> {
    await this.#dispatch({ type: 'trouble', effect: effect.do, reason });
  }
}

/** Where an unexpected error came from, for the log alone. */
function whereOf(error: UpdateError): string {
  const stack = error.cause instanceof Error ? error.cause.stack : undefined;
  return error.code === 'internal.bug' && stack !== undefined ? `\n${stack}` : '';
}

/** Waits, or returns at once when aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const stop = (): void => resolve();
  signal.addEventListener('abort', stop, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  });
}
