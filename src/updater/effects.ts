/**
 * Keeps the running effects level with what the state asks for: each is started once, aborted when
 * it is not wanted any more, and tried again with growing pauses when it fails. Effects of one
 * group (service, slots) never overlap. Imports only core.
 */
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { effectKey, type Effect, type Event } from '../core/state.ts';

/** Pauses between tries of a failing effect: 0.5 s, doubled up to 10 s. */
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 10_000;

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
  fetch: 'fetch',
  offer: 'offer',
  install: 'slots',
  arm: 'slots',
  commit: 'slots',
  revert: 'slots',
  'close-other-slot': 'slots',
  reboot: 'slots',
  'check-health': 'health',
};

/** Runs what the state asks for, and nothing else. */
export class EffectRunner implements AsyncDisposable {
  readonly #entries = new Map<string, Entry>();
  readonly #groups = new Map<string, Promise<void>>();
  readonly #execute: Execute;
  readonly #dispatch: (event: Event) => Promise<boolean>;
  readonly #log: (line: string) => void;
  #stopped = false;

  constructor(
    execute: Execute,
    dispatch: (event: Event) => Promise<boolean> | void,
    log: (line: string) => void,
  ) {
    this.#execute = execute;
    this.#dispatch = async (event) => (await dispatch(event)) ?? true;
    this.#log = log;
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

  async #run(entry: Entry): Promise<void> {
    const { effect, abort } = entry;
    let troubled = false;
    for (let pauseMs = RETRY_FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_MAX_MS)) {
      if (abort.signal.aborted) break;
      try {
        await this.#execute(effect, this.#dispatch, abort.signal);
        break;
      } catch (cause) {
        if (abort.signal.aborted) break;
        const error = asUpdateError(cause);
        troubled = true;
        this.#log(`${effect.do} failed: ${error.code}: ${error.message}${whereOf(error)}`);
        const reason = { code: error.code, message: error.message };
        await this.#dispatch({ type: 'trouble', effect: effect.do, reason });
      }
      await pause(pauseMs, abort.signal);
    }
    if (troubled) await this.#dispatch({ type: 'trouble', effect: effect.do, reason: null });
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
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
