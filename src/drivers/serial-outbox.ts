/**
 * What waits for its turn on a serial line: reports in one lane, every other message in a second
 * one, in turn, so that neither waits for the whole of the other. Always holds: of a kind of
 * message the newest one waits and no other, so a slow or blocked line costs bounded memory and
 * then carries the newest state; reports leave the line a third of its time; a message that goes
 * out already, or went out a moment ago, is not taken again. Knows no line. Imports its own parts.
 */
import { fragmentsOf, packMessage } from './serial-messages.ts';

/** Number of lanes; the first one is that of the reports. */
export const LANES = 2;
/** Shortest time between the beginnings of two reports. */
const REPORT_MS = 1000;
/** A report begins when so many times the time that the one before took have passed. */
const REPORT_SHARE = 1.5;
/** A message that says the same as the one before is not sent again within this time. */
const REPEAT_MS = 3000;
/** Messages that wait at most beside the reports; the longest waiting one goes first. */
const WAITING_MAX = 8;

/** One fragment and the lane that it belongs to. */
export interface Outgoing {
  readonly lane: number;
  readonly fragment: Buffer;
}

interface Sending {
  readonly kind: string;
  readonly text: string;
  readonly fragments: Buffer[];
}

/** The messages of one line that wait; times in milliseconds of the caller's clock. */
export class Outbox {
  /** Time that so many packed bytes take on the line. */
  readonly #takesMs: (fragments: readonly Buffer[]) => number;
  readonly #waiting: readonly Map<string, string>[];
  readonly #sending: (Sending | null)[];
  #number = 0;
  #turn = 0;
  #reportAtMs = -Infinity;
  #last: { readonly kind: string; readonly text: string; readonly atMs: number } | null = null;

  constructor(takesMs: (fragments: readonly Buffer[]) => number) {
    this.#takesMs = takesMs;
    this.#waiting = Array.from({ length: LANES }, () => new Map<string, string>());
    this.#sending = Array.from({ length: LANES }, () => null);
  }

  /** Takes the JSON text of a message in place of a waiting one of the same kind. */
  offer(kind: string, text: string, isReport: boolean, nowMs: number): void {
    const lane = isReport ? 0 : 1;
    const same = (one: { kind: string; text: string } | null): boolean =>
      one?.kind === kind && one.text === text;
    if (same(this.#sending[lane] ?? null)) return;
    if (this.#last !== null && same(this.#last) && nowMs - this.#last.atMs < REPEAT_MS) return;
    const waiting = this.#waiting[lane]!;
    waiting.delete(kind);
    waiting.set(kind, text);
    const [oldest] = waiting.keys();
    if (waiting.size > WAITING_MAX && oldest !== undefined) waiting.delete(oldest);
  }

  /** The next fragment that may go out now, or null. */
  next(nowMs: number): Outgoing | null {
    for (let tried = 0; tried < LANES; tried += 1) {
      const lane = this.#turn;
      this.#turn = (this.#turn + 1) % LANES;
      const fragment = this.#nextOf(lane, nowMs);
      if (fragment !== null) return { lane, fragment };
    }
    return null;
  }

  /** Messages that wait or go out. */
  get size(): number {
    const waiting = this.#waiting.reduce((sum, lane) => sum + lane.size, 0);
    return waiting + this.#sending.filter((one) => one !== null).length;
  }

  /** Drops everything: nobody is there who could take it. */
  clear(): void {
    for (const lane of this.#waiting) lane.clear();
    this.#sending.fill(null);
    this.#reportAtMs = -Infinity;
    this.#last = null;
  }

  #nextOf(lane: number, nowMs: number): Buffer | null {
    const sending = (this.#sending[lane] ??= this.#start(lane, nowMs));
    const fragment = sending?.fragments.shift() ?? null;
    if (sending?.fragments.length === 0) {
      this.#sending[lane] = null;
      if (lane > 0) this.#last = { kind: sending.kind, text: sending.text, atMs: nowMs };
    }
    return fragment;
  }

  #start(lane: number, nowMs: number): Sending | null {
    if (lane === 0 && nowMs < this.#reportAtMs) return null;
    const [first] = this.#waiting[lane]!;
    if (first === undefined) return null;
    const [kind, text] = first;
    this.#waiting[lane]!.delete(kind);
    this.#number += 1;
    const fragments = fragmentsOf(packMessage(text), this.#number);
    if (lane === 0) {
      this.#reportAtMs = nowMs + Math.max(REPORT_MS, REPORT_SHARE * this.#takesMs(fragments));
    }
    return { kind, text, fragments };
  }
}
