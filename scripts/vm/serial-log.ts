/**
 * What a machine prints on its serial line, from its first byte and over all its boots, and the way
 * to type into it. Always holds: the memory is bounded (the oldest text goes; the file of the
 * machine has all of it), and `waitFor` never finds the same text twice. Imports core.
 */
import type { Duplex } from 'node:stream';
import { UpdateError } from '../../src/core/errors.ts';
import { Waiters, type WaitOptions } from './waiters.ts';

/** Characters that stay in memory: some forty boots of a Linux with all its messages. */
const TEXT_CHARS_MAX = 4 * 1024 * 1024;
/** How much of the end is in the message of a wait that found nothing. */
const TAIL_CHARS = 600;

/** The serial line of one machine. */
export class SerialLog {
  readonly #waiters = new Waiters();
  readonly #listeners = new Set<(bytes: Buffer) => void>();
  readonly #charsMax: number;
  readonly #name: string;
  #decoder = new TextDecoder();
  #text = '';
  #from = 0;
  #stream: Duplex | null = null;

  constructor(name: string, charsMax: number = TEXT_CHARS_MAX) {
    this.#name = name;
    this.#charsMax = charsMax;
  }

  /** Everything that was printed, at most the last 4 Mi characters, read as UTF-8. */
  get text(): string {
    return this.#text;
  }

  /** The part of `text` that no `waitFor` has gone past yet. */
  get unread(): string {
    return this.#text.slice(this.#from);
  }

  /**
   * The first match after the last one that was found, as soon as it is there. A pattern sees text
   * as it arrives, so one that ends with a repetition may match the beginning of a word: end it
   * with what closes the word. The machine may be switched off and on meanwhile. Throws
   * `wait.timed_out` with the last text, the signal's reason, or why the machine failed.
   */
  waitFor(pattern: RegExp, options: WaitOptions): Promise<RegExpExecArray> {
    // With the flags g or y a pattern would carry a position of its own.
    const plain = new RegExp(pattern.source, pattern.flags.replaceAll(/[gy]/g, ''));
    const look = (): RegExpExecArray | null => {
      const found = plain.exec(this.unread);
      if (found !== null) this.#from += found.index + found[0].length;
      return found;
    };
    const describe = (): string =>
      `The serial line of machine ${this.#name} did not show ${String(pattern)} within ` +
      `${options.timeoutMs} ms; its last text: ${JSON.stringify(this.unread.slice(-TAIL_CHARS))}`;
    return this.#waiters.wait(look, describe, options);
  }

  /** Goes past everything that was printed so far: later matches are of new text only. */
  skip(): void {
    this.#from = this.#text.length;
  }

  /**
   * Types into the serial line; returns when the emulator has taken the bytes. Throws
   * `usage.invalid` when the machine is off.
   */
  async write(bytes: string | Uint8Array): Promise<void> {
    const stream = this.#stream;
    if (stream === null || stream.destroyed) {
      throw new UpdateError('usage.invalid', `Machine ${this.#name} is off: nothing can be typed`);
    }
    await new Promise<void>((resolve, reject) => {
      stream.write(bytes, (error) => {
        const message = `The serial line of machine ${this.#name} broke`;
        if (error) reject(new UpdateError('tool.failed', message, { cause: error }));
        else resolve();
      });
    });
  }

  /** Calls `listener` with every chunk as it is printed; the returned function ends that. */
  listen(listener: (bytes: Buffer) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The line of a new boot; the machine calls it. */
  attach(stream: Duplex): void {
    this.#stream = stream;
    this.#decoder = new TextDecoder();
    this.#waiters.revive();
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('error', () => undefined);
    stream.once('close', () => {
      if (this.#stream === stream) this.#stream = null;
    });
  }

  /** Nothing more will be printed; the machine calls it. */
  fail(error: UpdateError): void {
    this.#waiters.fail(error);
  }

  #take(chunk: Buffer): void {
    this.#text += this.#decoder.decode(chunk, { stream: true });
    const excess = this.#text.length - this.#charsMax;
    if (excess > 0) {
      this.#text = this.#text.slice(excess);
      this.#from = Math.max(0, this.#from - excess);
    }
    for (const listener of this.#listeners) listener(chunk);
    this.#waiters.poke();
  }
}
