/**
 * Lines of text on a channel that has no system behind it to echo and edit them: what is typed is
 * shown and can be taken back, and Enter hands it on. Always holds: no control character is sent
 * but CR, LF and BS; what waits on a stalled line is bounded, and what was left out is said.
 * Imports the keyboard and the channel.
 */
import { PassThrough, type Readable } from 'node:stream';
import type { Key } from '../keys.ts';
import type { Channel, OpenChannel } from './channel.ts';
import { Keyboard } from './keyboard.ts';

/** Longest line; more is not taken. */
const LINE_MAX = 4096;
/** Most letters that are wiped out one by one. */
const WIPED_MAX = 80;
/** What may wait for a line that takes nothing. */
const WAITING_MAX = 64 * 1024;

/** Lines in, text out. */
export class LineDesk implements Disposable {
  readonly #channel: Channel;
  readonly #keyboard: Keyboard;
  readonly #lines = new PassThrough();
  #line = '';
  #waiting = 0;
  #leftOut = false;
  #hidden = false;

  constructor(open: OpenChannel, onHangUp: () => void) {
    this.#keyboard = new Keyboard({ onKey: (key) => this.#press(key), onPosition: () => {} });
    this.#channel = open({
      onBytes: (bytes) => this.#keyboard.feed(bytes),
      onResize: () => {},
      onFree: () => {},
      onHangUp: () => {
        this.#lines.end();
        onHangUp();
      },
    });
  }

  /** Whole lines as they are typed; ends with the line. */
  get input(): Readable {
    return this.#lines;
  }

  /** While it is on, what is typed is not shown. */
  hide(on: boolean): void {
    this.#hidden = on;
  }

  /** Prints text whose lines end with LF. */
  print(text: string): void {
    if (this.#waiting > WAITING_MAX) {
      this.#leftOut = true;
      return;
    }
    const before = this.#leftOut ? '... lines were left out here\n' : '';
    this.#leftOut = false;
    this.#send((before + text).replaceAll(/\r?\n/g, '\r\n'));
  }

  [Symbol.dispose](): void {
    this.#keyboard.end();
    this.#lines.end();
    this.#channel.release(true);
  }

  #send(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.#waiting += bytes;
    this.#channel.send(text, () => {
      this.#waiting -= bytes;
    });
  }

  #press(key: Key): void {
    if ('char' in key) return this.#type(key.char);
    if ('paste' in key) {
      for (const char of key.paste) {
        if (char === '\n' || char === '\r') this.#enter();
        else if (char >= ' ' && char !== '\x7f') this.#type(char);
      }
      return;
    }
    if (key.name === 'enter') this.#enter();
    else if (key.name === 'backspace') this.#takeBack(1);
    else if (key.name === 'clear' || key.name === 'interrupt') this.#takeBack(this.#line.length);
    else if (key.name === 'escape') this.#lines.write('esc\n');
  }

  #type(char: string): void {
    if (this.#line.length >= LINE_MAX) return;
    this.#line += char;
    if (!this.#hidden) this.#send(char);
  }

  #takeBack(count: number): void {
    const taken = Math.min(count, this.#line.length);
    this.#line = this.#line.slice(0, this.#line.length - taken);
    if (this.#hidden) return;
    // A long line takes less time to be left than to be wiped out.
    this.#send(taken > WIPED_MAX ? '\r\n' : '\b \b'.repeat(taken));
  }

  #enter(): void {
    this.#send('\r\n');
    this.#lines.write(`${this.#line}\n`);
    this.#line = '';
  }
}
