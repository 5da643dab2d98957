/**
 * One console at work: it keeps the state, asks the daemon for news every second, tells it of keys
 * that a person presses, and carries out what the model asks for. Always holds: the daemon may go
 * away and come back at any time; an answer reaches the model with the number of its ask, and not
 * at all once the person who asked has logged out or a login was accepted after it; nothing goes on
 * after it was disposed of. Imports core, the control client and the model.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlClient } from '../src/control/client.ts';
import { asUpdateError, type UpdateError } from '../src/core/errors.ts';
import type { TandemEvent } from '../src/core/status.ts';
import { isAccessCode } from './access.ts';
import { carryOut, type Answered, type OpenShell, type Seat } from './carry-out.ts';
import type { Key } from './keys.ts';
import { step, type Input } from './model.ts';
import type { Ask } from './plans.ts';
import { firstState, type Answer, type Numbered, type State } from './state.ts';

/** How often the status is asked for. */
const POLL_MS = 1000;
/** Kept events come one by one and are taken in heaps. */
const HEAP_MS = 50;
/** Keys are told to the daemon at most this often. */
const ACTIVITY_MS = 10_000;
/** Who is logged in, and the settings, are asked for again every so many polls. */
const PERSON_POLLS = 5;
const SETTINGS_POLLS = 30;

/** Why the state is another one: a key, the answer to an ask, or news of the pair. */
export type Cause = 'key' | 'answer' | 'news';

/** What a session needs. */
export interface SessionOptions {
  readonly client: ControlClient;
  readonly readonly: boolean;
  /** Folders in which bundles are looked for. */
  readonly bundleRoots: readonly string[];
  /** Where the person sits, for the daemon's list of sessions. */
  readonly seat?: Seat;
  /** Lends the terminal to a service shell; absent where it cannot be lent. */
  readonly openShell?: OpenShell;
  /** Called after each change. */
  readonly onChange: (cause: Cause) => void;
  /** The person leaves. */
  readonly onLeave: () => void;
  /** The person wants the screen drawn anew. */
  readonly onRedraw: () => void;
}

/** One console at work. */
export class Session implements AsyncDisposable {
  readonly #options: SessionOptions;
  readonly #over = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #state: State;
  #heap: TandemEvent[] = [];
  #heapTimer: NodeJS.Timeout | undefined;
  #clock: NodeJS.Timeout | undefined;
  #heardMs = performance.now();
  #tickMs = performance.now();
  #toldMs = -Infinity;
  /** A logout that is on its way: the next login waits for it, so that it keeps its token. */
  #leaving: Promise<unknown> = Promise.resolve();
  /** Ends what was asked for by the person who is logged in. */
  #login = new AbortController();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#state = firstState(options.readonly);
  }

  get state(): State {
    return this.#state;
  }

  /** Begins to ask the daemon. */
  start(): void {
    this.#clock = setInterval(() => this.#tick(), POLL_MS);
    this.#run(this.#poll());
    this.#run(this.#follow());
  }

  /** A key on a terminal whose body has so many rows. */
  press(key: Key, pageRows: number): void {
    this.#take({ key, pageRows }, 'key');
    this.#tellActivity();
  }

  /** Something was typed that is no key of the console: the person is there. */
  typed(): void {
    this.#take({ typed: true }, 'key');
    this.#tellActivity();
  }

  #tellActivity(): void {
    const { person } = this.#state.facts;
    const counts = person !== null && person.via === 'console' && !person.watching;
    const nowMs = performance.now();
    if (!counts || this.#state.access.at === 'out' || nowMs - this.#toldMs < ACTIVITY_MS) return;
    this.#toldMs = nowMs;
    this.#run(this.#askPerson((signal) => this.#options.client.access.activity(signal)));
  }

  /** Ends what runs; what was asked of the daemon goes on there. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state.facts.person?.via === 'console') await this.#logout();
    this.#over.abort();
    this.#login.abort();
    clearTimeout(this.#heapTimer);
    clearInterval(this.#clock);
    await Promise.all(this.#running);
  }

  /** Whoever leaves is logged out, unless the daemon is away: then its idle time does it. */
  async #logout(): Promise<void> {
    const signal = AbortSignal.any([this.#over.signal, AbortSignal.timeout(POLL_MS)]);
    await this.#options.client.access.logout(signal).catch(() => {});
  }

  #take(input: Input, cause: Cause): void {
    const was = this.#state;
    const { state, asks } = step(was, input);
    this.#state = state;
    if (was.access.at !== 'out' && state.access.at === 'out') {
      // Answers that are on their way were for the one who has left.
      this.#forgetAsked();
      this.#heap = [];
    }
    for (const one of asks) this.#run(this.#carryOut(one));
    if (state !== was) this.#options.onChange(cause);
  }

  #forgetAsked(): void {
    this.#login.abort();
    this.#login = new AbortController();
  }

  #run(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  #tick(): void {
    const nowMs = performance.now();
    const passedS = Math.floor((nowMs - this.#tickMs) / 1000);
    if (passedS <= 0) return;
    this.#tickMs += passedS * 1000;
    this.#take({ passedS }, 'news');
  }

  async #poll(): Promise<void> {
    const { signal } = this.#over;
    for (let count = 0; !signal.aborted; count += 1) {
      const before = this.#state.access.at;
      if (count % PERSON_POLLS === 0 || before !== 'in') {
        await this.#askPerson((over) => this.#options.client.access.session(over));
      }
      const { at } = this.#state.access;
      if (at !== 'out') await this.#askStatus();
      const first = before !== 'in' && at === 'in';
      if (at === 'in' && (first || count % SETTINGS_POLLS === 0)) await this.#askSettings();
      await sleep(POLL_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #askPerson(
    ask: (signal: AbortSignal) => ReturnType<ControlClient['access']['session']>,
  ): Promise<void> {
    const { signal } = this.#login;
    try {
      const person = await ask(signal);
      if (!signal.aborted) this.#take({ person }, 'news');
    } catch (cause) {
      const error = asUpdateError(cause);
      if (signal.aborted) return;
      // A daemon that knows no logins has no such path.
      if (error.code === 'usage.invalid') this.#take({ person: null }, 'news');
      else this.#lost(error);
    }
  }

  async #askStatus(): Promise<void> {
    const { signal } = this.#login;
    try {
      const status = await this.#options.client.status(signal);
      this.#heardMs = performance.now();
      if (!signal.aborted) this.#take({ status }, 'news');
    } catch (cause) {
      if (!signal.aborted) this.#lost(asUpdateError(cause));
    }
  }

  #lost(error: UpdateError): void {
    if (isAccessCode(error.code)) {
      this.#heardMs = performance.now();
      return this.#take({ access: error.report() }, 'news');
    }
    this.#take({ silentMs: performance.now() - this.#heardMs, error }, 'news');
  }

  /** An older daemon has no settings; then everything is as it is without any. */
  async #askSettings(): Promise<void> {
    const { signal } = this.#login;
    const view = await this.#options.client.settings(signal).catch(() => null);
    if (view === null || signal.aborted) return;
    // The same again is no news.
    if (JSON.stringify(view) === JSON.stringify(this.#state.settings)) return;
    this.#take({ answer: { kind: 'settings', view }, id: 0 }, 'news');
  }

  /** The client itself connects again; a daemon that refuses is asked again, too. */
  async #follow(): Promise<void> {
    const over = this.#over.signal;
    while (!over.aborted) {
      const signal = AbortSignal.any([over, this.#login.signal]);
      if (this.#state.access.at === 'in') await this.#followOne(signal);
      await sleep(HEAP_MS, undefined, { signal: over }).catch(() => {});
    }
  }

  async #followOne(signal: AbortSignal): Promise<void> {
    const since = this.#state.facts.events.at(-1)?.seq ?? 0;
    try {
      for await (const event of this.#options.client.follow({ since, signal })) {
        this.#heap.push(event);
        this.#heapTimer ??= setTimeout(() => this.#takeHeap(), HEAP_MS);
      }
    } catch {
      await sleep(POLL_MS, undefined, { signal }).catch(() => {});
    }
  }

  #takeHeap(): void {
    this.#heapTimer = undefined;
    const events = this.#heap;
    this.#heap = [];
    if (events.length > 0) this.#take({ events }, 'news');
  }

  async #carryOut({ id, ask }: Numbered): Promise<void> {
    if (isOutside(ask)) {
      return ask.ask === 'leave' ? this.#options.onLeave() : this.#options.onRedraw();
    }
    const { client, bundleRoots, seat = {}, openShell } = this.#options;
    const { signal } = this.#login;
    const outside = { client, bundleRoots, seat, openShell, signal };
    let answer: Answer;
    try {
      if (ask.ask === 'login' || ask.ask === 'recover') await this.#leaving;
      const work = carryOut(ask, outside);
      if (ask.ask === 'logout') this.#leaving = work.catch(() => {});
      answer = await work;
    } catch (error) {
      answer = { kind: 'refused', error: asUpdateError(error).report() };
    }
    // A logout has no answer that matters: the next question says that nobody is logged in.
    if (signal.aborted || ask.ask === 'logout') return;
    // What was asked before this login may be answered after it: that nobody is logged in.
    if (answer.kind === 'session') this.#forgetAsked();
    this.#take({ answer, id }, 'answer');
    if (ask.ask !== 'change' && answer.kind !== 'session') return;
    // What was changed is seen at once, and not with the next question.
    await this.#askPerson((over) => client.access.session(over));
    if (this.#state.access.at === 'in') await this.#askStatus();
  }
}

/** Whether it is asked of the terminal and not of the daemon. */
function isOutside(ask: Ask): ask is Exclude<Ask, Answered> {
  return ask.ask === 'leave' || ask.ask === 'redraw';
}
