/**
 * The effects of a simulated node in virtual time: kept level with what its state asks for, by the
 * rules of src/updater/effects.ts (one group never overlaps, a failed effect is tried again with
 * growing pauses and told as trouble, one that ended well is ensured again). An effect is a
 * generator that yields how long its next step takes; it ends with the life of its node, wherever
 * it is. Only tests import it.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { effectKey, type Effect, type Event } from '../../src/core/state.ts';
import type { Agenda } from './agenda.ts';

/** Pauses as in src/updater/effects.ts. */
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 10_000;
const ENSURE_MS = 10_000;

const GROUP: Readonly<Partial<Record<Effect['do'], string>>> = {
  serve: 'service',
  release: 'service',
  'go-alone': 'service',
  install: 'slots',
  arm: 'slots',
  commit: 'slots',
  revert: 'slots',
  'close-other-slot': 'slots',
  reboot: 'slots',
};

/** The work of one effect: milliseconds until each next step. */
export type Work = Generator<number, void, void>;

/** What an effect may know of its own fate. */
export interface Running {
  readonly effect: Effect;
  /** Nobody wants it any more. */
  aborted: boolean;
  /** Set while it waits for something that an abort ends at once. */
  soft: boolean;
}

interface Entry extends Running {
  readonly key: string;
  readonly group: string;
  work: Work | null;
  troubled: boolean;
  retryMs: number;
  /** Grows with each step, so that a wait that was ended early ends nothing later. */
  turn: number;
}

/** Runs what the state asks for, for one life of a node. */
export class SimEffects {
  #entries = new Map<string, Entry>();
  readonly #groups = new Map<string, Entry[]>();
  readonly #agenda: Agenda;
  readonly #execute: (running: Running) => Work;
  readonly #tell: (event: Event) => void;
  /** Runs a step of a node; false when the node lost its power in it. */
  readonly #guard: (step: () => void) => boolean;
  /** For how long the node is held up. */
  readonly #held: () => number;
  #ended = false;

  constructor(
    agenda: Agenda,
    execute: (running: Running) => Work,
    tell: (event: Event) => void,
    guard: (step: () => void) => boolean,
    held: () => number,
  ) {
    this.#held = held;
    this.#agenda = agenda;
    this.#execute = execute;
    this.#tell = tell;
    this.#guard = guard;
  }

  /** The node is gone, and with it everything that was under way. */
  end(): void {
    this.#ended = true;
  }

  /** Starts what is new, and ends what is not wanted any more where it can be ended. */
  reconcile(wanted: readonly Effect[]): void {
    if (this.#ended || (wanted.length === 0 && this.#entries.size === 0)) return;
    const keys = new Map(wanted.map((effect) => [effectKey(effect), effect]));
    for (const [key, entry] of this.#entries) {
      if (keys.has(key)) continue;
      this.#entries.delete(key);
      entry.aborted = true;
      const first = this.#groups.get(entry.group)?.[0] === entry;
      if (first && (entry.soft || entry.work === null)) this.#finish(entry);
    }
    for (const [key, effect] of keys) if (!this.#entries.has(key)) this.#start(key, effect);
  }

  #start(key: string, effect: Effect): void {
    const group = GROUP[effect.do] ?? effect.do;
    const entry: Entry = {
      effect,
      key,
      group,
      aborted: false,
      soft: false,
      work: null,
      troubled: false,
      retryMs: RETRY_FIRST_MS,
      turn: 0,
    };
    this.#entries.set(key, entry);
    const queue = this.#groups.get(group) ?? [];
    this.#groups.set(group, queue);
    queue.push(entry);
    if (queue.length === 1) this.#next(entry, 0);
  }

  /** Goes on with this effect after a while. */
  #next(entry: Entry, delayMs: number): void {
    const turn = ++entry.turn;
    this.#agenda.after(delayMs, () => {
      if (this.#ended || turn !== entry.turn) return;
      const heldMs = this.#held();
      if (heldMs > 0) return this.#next(entry, heldMs);
      if (entry.work === null && entry.aborted) return this.#finish(entry);
      this.#guard(() => this.#step(entry));
    });
  }

  #step(entry: Entry): void {
    entry.work ??= this.#execute(entry);
    entry.soft = false;
    let result: IteratorResult<number, void>;
    try {
      result = entry.work.next();
    } catch (error) {
      if (!(error instanceof UpdateError)) throw error;
      return this.#failed(entry, error);
    }
    if (this.#ended) return;
    if (result.done !== true) {
      if (entry.aborted && entry.soft) return this.#finish(entry);
      return this.#next(entry, result.value);
    }
    entry.work = null;
    if (entry.troubled) this.#tell({ type: 'trouble', effect: entry.effect.do, reason: null });
    entry.troubled = false;
    entry.retryMs = RETRY_FIRST_MS;
    if (entry.aborted) return this.#finish(entry);
    this.#next(entry, ENSURE_MS);
  }

  #failed(entry: Entry, { code, message }: UpdateError): void {
    entry.work = null;
    if (entry.aborted) return this.#finish(entry);
    entry.troubled = true;
    this.#tell({ type: 'trouble', effect: entry.effect.do, reason: { code, message } });
    if (entry.aborted) return;
    this.#next(entry, entry.retryMs);
    entry.retryMs = Math.min(entry.retryMs * 2, RETRY_MAX_MS);
  }

  /** The end of an effect that nobody wants: the next one of its group has its turn. */
  #finish(entry: Entry): void {
    const queue = this.#groups.get(entry.group);
    if (this.#ended || queue === undefined || queue[0] !== entry) return;
    entry.turn++;
    queue.shift();
    entry.work?.return();
    if (entry.troubled) this.#tell({ type: 'trouble', effect: entry.effect.do, reason: null });
    const next = queue[0];
    if (next !== undefined) this.#next(next, 0);
  }
}
