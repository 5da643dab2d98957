/**
 * Makes the bytes of a frame fewer: moves of the cursor are put off until something is written, and
 * the shortest one is taken; attributes are sent when they change and not before. Always holds: the
 * terminal shows the same as with the bytes that came in, which the tests compare cell by cell; the
 * cursor rests where it was told to. Pure; imports nothing.
 */

/** Moves, erasures, attributes, and text between them, as the drawing library sends them. */
// eslint-disable-next-line no-control-regex -- control sequences are what is parsed here
const TOKEN = /\x1b\[([\d;]*)([A-Za-z])|[^\x1b]+|\x1b[78]?/g;

/** A place on the screen, from 1. */
interface Place {
  readonly row: number;
  readonly column: number;
}

/** Turns frames into fewer bytes; one for each terminal, since it knows where its cursor is. */
export class Merger {
  /** Where the terminal's cursor is; null when that is not known. */
  #at: Place | null = null;
  #want: Place = { row: 1, column: 1 };
  #sgr: string | null = null;
  #wantSgr = '';

  /** Nothing is known of the terminal any more: it was reset, or others wrote to it. */
  forget(): void {
    this.#at = null;
    this.#sgr = null;
  }

  /** The frame in fewer bytes; at its end the cursor rests at `rest`, counted from 0. */
  merge(frame: string, rest: { readonly row: number; readonly column: number }): string {
    let out = '';
    for (const [token, parameters = '', final] of frame.matchAll(TOKEN)) {
      if (final === undefined) {
        if (!token.startsWith('\x1b')) out += this.#text(token);
      } else out += this.#control(parameters, final, token);
    }
    this.#want = { row: rest.row + 1, column: rest.column + 1 };
    return out + this.#move();
  }

  /**
   * Lines from `top` to `bottom`, counted from 0, move up by `by`, or down when it is negative;
   * what comes in is blank. The scroll region is the whole screen again afterwards.
   */
  scroll(top: number, bottom: number, by: number): string {
    this.#wantSgr = '';
    const region = `\x1b[${top + 1};${bottom + 1}r`;
    const moves =
      by > 0
        ? absolute({ row: bottom + 1, column: 1 }) + '\n'.repeat(by)
        : absolute({ row: top + 1, column: 1 }) + '\x1bM'.repeat(-by);
    // To set the region brings the cursor to the first cell.
    this.#at = { row: 1, column: 1 };
    return `${this.#attributes()}${region}${moves}\x1b[r`;
  }

  #control(parameters: string, final: string, token: string): string {
    const numbers = parameters.split(';').map(Number);
    switch (final) {
      case 'H':
        this.#want = { row: numbers[0] || 1, column: numbers[1] || 1 };
        return '';
      case 'C':
        this.#want = { ...this.#want, column: this.#want.column + (numbers[0] || 1) };
        return '';
      case 'm':
        this.#wantSgr = parameters === '0' ? '' : parameters;
        return '';
      default:
        return this.#move() + this.#attributes() + token;
    }
  }

  #text(text: string): string {
    const out = this.#move() + this.#attributes() + text;
    this.#want = { ...this.#want, column: this.#want.column + text.length };
    this.#at = this.#want;
    return out;
  }

  #attributes(): string {
    const want = this.#wantSgr;
    if (want === this.#sgr) return '';
    const plain = this.#sgr === '';
    this.#sgr = want;
    if (want === '') return '\x1b[m';
    // Attributes add up, so those of before are taken back in the same sequence.
    return plain ? `\x1b[${want}m` : `\x1b[;${want}m`;
  }

  /** The shortest way from where the cursor is to where it has to be. */
  #move(): string {
    const from = this.#at;
    const to = this.#want;
    this.#at = to;
    const ways = [absolute(to)];
    if (from !== null) {
      if (from.row === to.row && from.column === to.column) return '';
      if (from.row === to.row && to.column === 1) ways.push('\r');
      if (from.row + 1 === to.row && to.column === 1) ways.push('\r\n');
      const ahead = to.column - from.column;
      if (from.row === to.row && ahead > 0) ways.push(ahead === 1 ? '\x1b[C' : `\x1b[${ahead}C`);
    }
    return ways.reduce((best, way) => (way.length < best.length ? way : best));
  }
}

function absolute({ row, column }: Place): string {
  if (column > 1) return `\x1b[${row};${column}H`;
  return row > 1 ? `\x1b[${row}H` : '\x1b[H';
}
