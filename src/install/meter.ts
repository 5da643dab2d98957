/**
 * Progress for people: bytes done of bytes to do, with rate and remaining time once they mean
 * something, told at most a few times a second. Always holds: what is told never goes back and
 * never passes the total. Imports core types.
 */
import type { Progress } from '../core/model.ts';

const INTERVAL_MS = 250;
/** The rate is that of about the last five seconds. */
const WINDOW = 20;
const RATE_AFTER_MS = 1000;

/** Receives progress, in order. */
export type OnProgress = (progress: Progress) => void;

/** One meter per job. */
export class Meter {
  readonly #totalBytes: number;
  readonly #listener: OnProgress;
  readonly #samples: { readonly atMs: number; readonly doneBytes: number }[] = [];
  #doneBytes = 0;
  #toldMs = -Infinity;

  /** Tells the start at once. */
  constructor(totalBytes: number, listener: OnProgress) {
    this.#totalBytes = totalBytes;
    this.#listener = listener;
    this.tell();
  }

  /** `doneBytes` are done now; told when the last time is long enough ago. */
  at(doneBytes: number): void {
    this.#doneBytes = Math.min(Math.max(doneBytes, this.#doneBytes), this.#totalBytes);
    if (performance.now() - this.#toldMs >= INTERVAL_MS) this.tell();
  }

  /** Tells now: at the turn of a phase and at the end. */
  tell(): void {
    const nowMs = performance.now();
    this.#toldMs = nowMs;
    this.#samples.push({ atMs: nowMs, doneBytes: this.#doneBytes });
    if (this.#samples.length > WINDOW) this.#samples.shift();
    const base = { doneBytes: this.#doneBytes, totalBytes: this.#totalBytes };
    const first = this.#samples[0];
    const spanMs = first ? nowMs - first.atMs : 0;
    const movedBytes = first ? this.#doneBytes - first.doneBytes : 0;
    if (spanMs < RATE_AFTER_MS || movedBytes <= 0) {
      this.#listener(base);
      return;
    }
    const rateBps = Math.round((movedBytes * 1000) / spanMs);
    const etaS = Math.ceil((this.#totalBytes - this.#doneBytes) / Math.max(1, rateBps));
    this.#listener({ ...base, rateBps, etaS });
  }
}
