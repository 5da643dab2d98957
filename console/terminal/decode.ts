/**
 * Bytes from a terminal as keys: control sequences in every form that the known terminals send,
 * answers of the terminal, pastes, UTF-8. Always holds: a sequence that is broken or not known is
 * dropped whole and never read as letters, because a letter may be a hot key; an answer of the
 * terminal is never a key. Time is not known here: whoever feeds it says when a pause was long
 * enough that what is begun will not go on. Pure; imports the keys.
 */
import type { Key, KeyName } from '../keys.ts';

/** What came: a key, where the cursor is, or another answer, which nobody needs. */
export type Token =
  | { readonly key: Key }
  | { readonly position: { readonly row: number; readonly column: number } }
  | { readonly answer: string };

/** Longest sequence that is kept; what is longer is noise. */
const SEQUENCE_MAX = 64;
/** Longest paste that is kept: the longest field, and room. */
const PASTE_MAX = 8192;
const PASTE_END = '\x1b[201~';

const CONTROLS: Readonly<Record<number, KeyName>> = {
  0x03: 'interrupt',
  0x08: 'backspace',
  0x09: 'next',
  0x0c: 'redraw',
  0x15: 'clear',
  0x7f: 'backspace',
};

const FINALS: Readonly<Record<string, KeyName>> = {
  A: 'up',
  B: 'down',
  C: 'right',
  D: 'left',
  F: 'end',
  H: 'home',
  M: 'enter',
};

const TILDES: Readonly<Record<string, KeyName>> = {
  '1': 'home',
  '4': 'end',
  '5': 'pageup',
  '6': 'pagedown',
  '7': 'home',
  '8': 'end',
  '29': 'enter',
};

type Mode = 'ground' | 'escape' | 'csi' | 'ss3' | 'string' | 'paste' | 'skip';

/** Makes keys of bytes, however they are split. */
export class Decoder {
  #mode: Mode = 'ground';
  #held = '';
  /** Bytes that belong to a report of the mouse, or to a key of the linux console. */
  #skip = 0;
  #afterCr = false;
  #utf8: number[] = [];
  #utf8Needed = 0;

  /** True while a sequence or a letter is begun, or an Enter that may have a second half. */
  get pending(): boolean {
    return this.#mode !== 'ground' || this.#utf8Needed > 0 || this.#afterCr;
  }

  /** True in the middle of a paste, which may pause for longer. */
  get pasting(): boolean {
    return this.#mode === 'paste';
  }

  /** What the bytes complete. */
  feed(bytes: Uint8Array): Token[] {
    const tokens: Token[] = [];
    for (const byte of bytes) this.#take(byte, tokens);
    return tokens;
  }

  /** Nothing came for a while: an Escape alone is one, a paste ends, anything else is dropped. */
  settle(): Token[] {
    const tokens: Token[] = [];
    if (this.#mode === 'escape') tokens.push({ key: { name: 'escape' } });
    if (this.#mode === 'paste') tokens.push({ key: { paste: decoded(this.#held) } });
    this.#ground();
    this.#utf8Needed = 0;
    this.#afterCr = false;
    return tokens;
  }

  #ground(): void {
    this.#mode = 'ground';
    this.#held = '';
  }

  #take(byte: number, tokens: Token[]): void {
    switch (this.#mode) {
      case 'ground':
        return this.#plain(byte, tokens);
      case 'escape':
        return this.#escape(byte, tokens);
      case 'csi':
        return this.#csi(byte, tokens);
      case 'ss3':
        return this.#ss3(byte, tokens);
      case 'string':
        return this.#string(byte);
      case 'paste':
        return this.#paste(byte, tokens);
      case 'skip':
        this.#skip -= 1;
        if (this.#skip <= 0) this.#ground();
    }
  }

  #plain(byte: number, tokens: Token[]): void {
    const afterCr = this.#afterCr;
    this.#afterCr = byte === 0x0d;
    if (this.#utf8Needed > 0) {
      if ((byte & 0xc0) === 0x80) return this.#continue(byte, tokens);
      this.#utf8Needed = 0;
    }
    if (byte === 0x1b) this.#mode = 'escape';
    else if (byte === 0x9b) this.#mode = 'csi';
    else if (byte === 0x8f) this.#mode = 'ss3';
    else if (byte === 0x0d) tokens.push({ key: { name: 'enter' } });
    else if (byte === 0x0a) {
      // The second half of CR LF, which many a terminal sends for one key.
      if (!afterCr) tokens.push({ key: { name: 'enter' } });
    } else if (byte === 0x00) this.#afterCr = afterCr;
    else if (byte < 0x20 || byte === 0x7f) {
      const name = CONTROLS[byte];
      if (name !== undefined) tokens.push({ key: { name } });
    } else if (byte < 0x80) tokens.push({ key: { char: String.fromCharCode(byte) } });
    else if (byte >= 0xc2 && byte <= 0xf4) {
      this.#utf8 = [byte];
      this.#utf8Needed = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    }
  }

  #continue(byte: number, tokens: Token[]): void {
    this.#utf8.push(byte);
    this.#utf8Needed -= 1;
    if (this.#utf8Needed > 0) return;
    const char = new TextDecoder().decode(Uint8Array.from(this.#utf8));
    if (!char.includes('\ufffd')) tokens.push({ key: { char } });
  }

  #escape(byte: number, tokens: Token[]): void {
    const char = String.fromCharCode(byte);
    this.#ground();
    if (char === '[') this.#mode = 'csi';
    else if (char === 'O') this.#mode = 'ss3';
    else if (']P^_X'.includes(char)) this.#mode = 'string';
    else {
      // Escape, and then another key.
      tokens.push({ key: { name: 'escape' } });
      this.#plain(byte, tokens);
    }
  }

  #csi(byte: number, tokens: Token[]): void {
    const char = String.fromCharCode(byte);
    if (byte === 0x1b) {
      this.#ground();
      this.#mode = 'escape';
    } else if (byte >= 0x20 && byte <= 0x3f) {
      if (this.#held.length < SEQUENCE_MAX) this.#held += char;
    } else if (char === '[' && this.#held === '') this.#skipNext(1);
    else if (char === 'M' && this.#held === '') this.#skipNext(3);
    else {
      const parameters = this.#held;
      this.#ground();
      // A control character or one of the upper half ends the sequence, which means nothing then.
      if (byte >= 0x40 && byte <= 0x7e) this.#sequence(parameters, char, tokens);
    }
  }

  #skipNext(count: number): void {
    this.#mode = 'skip';
    this.#skip = count;
  }

  #sequence(parameters: string, final: string, tokens: Token[]): void {
    if (final === '~') {
      const number = parameters.split(';')[0] ?? '';
      if (number === '200') this.#mode = 'paste';
      else if (number === '28') tokens.push({ key: { char: '?' } });
      else if (TILDES[number] !== undefined) tokens.push({ key: { name: TILDES[number] } });
    } else if (final === 'R') {
      const found = /^(\d{1,4});(\d{1,4})$/.exec(parameters);
      if (found === null) tokens.push({ answer: `${parameters}R` });
      else tokens.push({ position: { row: Number(found[1]), column: Number(found[2]) } });
    } else if ('ctn'.includes(final)) tokens.push({ answer: parameters + final });
    else if (final !== 'M' && FINALS[final] !== undefined && !/[<>?]/.test(parameters)) {
      tokens.push({ key: { name: FINALS[final] } });
    }
  }

  #ss3(byte: number, tokens: Token[]): void {
    this.#ground();
    const name = FINALS[String.fromCharCode(byte)];
    if (byte === 0x1b) this.#mode = 'escape';
    else if (name !== undefined) tokens.push({ key: { name } });
  }

  /** Nobody asks for a string; one that comes is swallowed up to its end. */
  #string(byte: number): void {
    if (byte === 0x07 || byte === 0x9c || (byte === 0x5c && this.#held === '\x1b')) this.#ground();
    else this.#held = byte === 0x1b ? '\x1b' : '';
  }

  #paste(byte: number, tokens: Token[]): void {
    // Past the limit only what may be the end is kept.
    const kept = this.#held.length < PASTE_MAX ? this.#held : this.#held.slice(0, PASTE_MAX);
    const tail = this.#held.slice(PASTE_MAX);
    this.#held = kept + (tail + String.fromCharCode(byte)).slice(-PASTE_END.length);
    if (!this.#held.endsWith(PASTE_END)) return;
    const text = this.#held.slice(0, -PASTE_END.length);
    this.#ground();
    tokens.push({ key: { paste: decoded(text) } });
  }
}

/** Bytes that were kept as characters, as the UTF-8 text that they are. */
function decoded(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
