/**
 * Keys in time: joins sequences that a slow line splits, tells a lone Escape from the begin of one,
 * and a burst of letters from typing. Always holds: what comes faster than a person types is a
 * paste, so it goes into a field or nowhere; a key is told at most 60 ms after its last byte.
 * Imports the decoder.
 */
import type { Key } from '../keys.ts';
import { Decoder, type Token } from './decode.ts';

/** A sequence whose next byte does not come for so long will not go on. */
const SEQUENCE_MS = 60;
/** A paste whose end was lost ends after this. */
const PASTE_MS = 1000;
/** Letters that come within this time of each other are one burst. */
const BURST_MS = 20;
/** A burst of so many is a paste. */
const BURST_KEYS = 4;
/** Longest burst that is kept. */
const BURST_MAX = 8192;

/** A clock with alarms; the function that comes back stops one. */
export type SetAlarm = (ms: number, ring: () => void) => () => void;

/** The real clock. */
export const realAlarm: SetAlarm = (ms, ring) => {
  const timer = setTimeout(ring, ms);
  return () => clearTimeout(timer);
};

/** Where keys and answers go. */
export interface KeyboardOptions {
  readonly onKey: (key: Key) => void;
  readonly onPosition: (row: number, column: number) => void;
  /** Another answer of the terminal: its parameters and its last letter. */
  readonly onAnswer?: (answer: string) => void;
  readonly setAlarm?: SetAlarm;
}

/** Bytes in, keys out. */
export class Keyboard {
  readonly #options: KeyboardOptions;
  readonly #setAlarm: SetAlarm;
  readonly #decoder = new Decoder();
  #burst: Key[] = [];
  #stopSequence: () => void = () => {};
  #stopBurst: () => void = () => {};

  constructor(options: KeyboardOptions) {
    this.#options = options;
    this.#setAlarm = options.setAlarm ?? realAlarm;
  }

  /** Takes what was read. */
  feed(bytes: Uint8Array): void {
    this.#stopSequence();
    for (const token of this.#decoder.feed(bytes)) this.#take(token);
    if (!this.#decoder.pending) return;
    const ms = this.#decoder.pasting ? PASTE_MS : SEQUENCE_MS;
    this.#stopSequence = this.#setAlarm(ms, () => {
      for (const token of this.#decoder.settle()) this.#take(token);
    });
  }

  /** Stops the clocks; what is begun is dropped. */
  end(): void {
    this.#stopSequence();
    this.#stopBurst();
    this.#burst = [];
  }

  #take(token: Token): void {
    if ('position' in token) {
      this.#options.onPosition(token.position.row, token.position.column);
    } else if ('answer' in token) {
      this.#options.onAnswer?.(token.answer);
    } else {
      if (textOf(token.key) === null) {
        this.#endBurst();
        this.#options.onKey(token.key);
      } else {
        this.#stopBurst();
        if (this.#burst.length < BURST_MAX) this.#burst.push(token.key);
        this.#stopBurst = this.#setAlarm(BURST_MS, () => this.#endBurst());
      }
    }
  }

  #endBurst(): void {
    this.#stopBurst();
    const keys = this.#burst;
    this.#burst = [];
    if (keys.length < BURST_KEYS) for (const key of keys) this.#options.onKey(key);
    else this.#options.onKey({ paste: keys.map((key) => textOf(key) ?? '').join('') });
  }
}

/** What a key would be within pasted text; null for a key that no text has. */
function textOf(key: Key): string | null {
  if ('char' in key) return key.char;
  if (!('name' in key)) return null;
  return key.name === 'enter' ? '\n' : key.name === 'next' ? '\t' : null;
}
