/**
 * One console at work: it keeps the state, asks the daemon for news every second, and carries out
 * what the model asks for. Always holds: the daemon may go away and come back at any time; an
 * answer reaches the model with the number of its ask; nothing goes on after it was disposed of.
 * Imports core, the control client and the model.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobRequest } from '../src/control/backend.ts';
import type { ControlClient } from '../src/control/client.ts';
import { asUpdateError } from '../src/core/errors.ts';
import type { TandemEvent } from '../src/core/status.ts';
import { bundleFiles, earlierBundles } from './bundles.ts';
import type { Key } from './keys.ts';
import { step, type Input } from './model.ts';
import type { Ask, Plan } from './plans.ts';
import { firstState, type Answer, type Numbered, type State } from './state.ts';

/** How often the status is asked for. */
const POLL_MS = 1000;
/** Kept events come one by one and are taken in heaps. */
const HEAP_MS = 50;

/** Why the state is another one: a key, the answer to an ask, or news of the pair. */
export type Cause = 'key' | 'answer' | 'news';

/** What a session needs. */
export interface SessionOptions {
  readonly client: ControlClient;
  readonly readonly: boolean;
  /** Folders in which bundles are looked for. */
  readonly bundleRoots: readonly string[];
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
  #heardMs = performance.now();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#state = firstState(options.readonly);
  }

  get state(): State {
    return this.#state;
  }

  /** Begins to ask the daemon. */
  start(): void {
    this.#run(this.#poll());
    this.#run(this.#follow());
  }

  /** A key on a terminal whose body has so many rows. */
  press(key: Key, pageRows: number): void {
    this.#take({ key, pageRows }, 'key');
  }

  /** Ends what runs; what was asked of the daemon goes on there. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    clearTimeout(this.#heapTimer);
    await Promise.all(this.#running);
  }

  #take(input: Input, cause: Cause): void {
    const { state, asks } = step(this.#state, input);
    const changed = state !== this.#state;
    this.#state = state;
    for (const one of asks) this.#run(this.#carryOut(one));
    if (changed) this.#options.onChange(cause);
  }

  #run(work: Promise<void>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }

  async #poll(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      await this.#askStatus();
      await sleep(POLL_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #askStatus(): Promise<void> {
    const { signal } = this.#over;
    try {
      const status = await this.#options.client.status(signal);
      this.#heardMs = performance.now();
      if (!signal.aborted) this.#take({ status }, 'news');
    } catch (error) {
      if (signal.aborted) return;
      const silentMs = performance.now() - this.#heardMs;
      this.#take({ silentMs, error: asUpdateError(error) }, 'news');
    }
  }

  /** The client itself connects again; a daemon that refuses is asked again, too. */
  async #follow(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
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
  }

  #takeHeap(): void {
    this.#heapTimer = undefined;
    const events = this.#heap;
    this.#heap = [];
    this.#take({ events }, 'news');
  }

  async #carryOut({ id, ask }: Numbered): Promise<void> {
    if (ask.ask === 'leave') return this.#options.onLeave();
    if (ask.ask === 'redraw') return this.#options.onRedraw();
    let answer: Answer;
    try {
      answer = await this.#answer(ask);
    } catch (error) {
      answer = { kind: 'refused', error: asUpdateError(error).report() };
    }
    if (this.#over.signal.aborted) return;
    this.#take({ answer, id }, 'answer');
    // What was changed is seen at once, and not with the next question.
    if (answer.kind === 'changed') await this.#askStatus();
  }

  async #answer(ask: Exclude<Ask, { readonly ask: 'leave' | 'redraw' }>): Promise<Answer> {
    const { client, bundleRoots } = this.#options;
    const { signal } = this.#over;
    switch (ask.ask) {
      case 'change':
        return this.#change(ask.plan, ask.reason);
      case 'check': {
        const report = await client.precheck(ask.source, signal);
        return { kind: 'checks', source: ask.source, report };
      }
      case 'bundles': {
        const files = await bundleFiles(bundleRoots);
        const rollouts = await client.history(undefined, signal).catch(() => []);
        return { kind: 'bundles', bundles: [...files, ...earlierBundles(rollouts)] };
      }
      case 'history':
        return { kind: 'history', rollouts: await client.history(undefined, signal) };
      case 'audit':
        return { kind: 'audit', entries: await client.audit(undefined, signal) };
      case 'takeover':
        return { kind: 'takeover', view: await client.takeover(signal) };
    }
  }

  async #change(plan: Plan, reason: string): Promise<Answer> {
    const { client } = this.#options;
    const { signal } = this.#over;
    const why = reason === '' ? {} : { reason };
    if (plan.do === 'update' || plan.do === 'rollback' || plan.do === 'commit') {
      const request: JobRequest =
        plan.do === 'update'
          ? { kind: 'update', source: plan.source, ...why }
          : { kind: plan.do, ...why };
      const job = await client.start(request, signal);
      return { kind: 'changed', message: `${plan.do} ${job.id} has begun`, job: job.id };
    }
    if (plan.do === 'cancel') {
      const job = await client.cancel(plan.job, signal, why.reason);
      return { kind: 'changed', message: `${job.id} is being cancelled`, job: null };
    }
    const answer = await client.act(actOf(plan, reason), signal);
    return { kind: 'changed', message: answer.message, job: null };
  }
}

type RolePlan = Exclude<Plan, { readonly do: 'update' | 'rollback' | 'commit' | 'cancel' }>;

function actOf(plan: RolePlan, reason: string): Parameters<ControlClient['act']>[0] {
  const why = reason === '' ? {} : { reason };
  switch (plan.do) {
    case 'takeover':
      return { act: 'takeover', peer: plan.view.peer, reason };
    case 'stand-down':
      return { act: 'stand-down', on: true, ...why };
    case 'end-stand-down':
      return { act: 'stand-down', on: false, ...why };
    default:
      return { act: plan.do, ...why };
  }
}
