/**
 * Draws pictures with blessed: one box as large as the terminal, of which only the cells that
 * changed are sent. Always holds: what the terminal can do comes from its kind and not from the
 * environment of the process; frames leave through the merger; the cursor rests where the picture
 * says. Imports blessed, the kinds and the merger.
 */
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import Tput from 'blessed/lib/tput.js';
import Box from 'blessed/lib/widgets/box.js';
import Screen from 'blessed/lib/widgets/screen.js';
import type { Line, Picture } from '../picture.ts';
import { RESET, sgrOf, type Kind } from './kinds.ts';
import { Merger } from './merge.ts';
import { scrollOf, type Scroll } from './scroll.ts';

/** Name under which blessed finds the capabilities below. */
const TERMINAL = 'tandem';

/** What every terminal that can place its cursor understands; all else the console sends itself. */
const CAPABILITIES = {
  cursor_address: '\x1b[%i%p1%d;%p2%dH',
  parm_right_cursor: '\x1b[%p1%dC',
  clr_eol: '\x1b[K',
  clear_screen: '\x1b[H\x1b[J',
} as const;

Tput.prototype.readTerminfo = () => ({
  name: TERMINAL,
  names: [TERMINAL],
  desc: 'what the console uses of a terminal',
  bools: { auto_right_margin: true },
  numbers: { columns: 80, lines: 24, max_colors: 8, U8: -1 },
  strings: { ...CAPABILITIES },
});

/** Words of the environment from which blessed would guess what the terminal is. */
const MISLEADING = ['TMUX', 'VTE_VERSION', 'COLORTERM', 'TERMINATOR_UUID', 'TERM_PROGRAM'] as const;

/** Takes frames from blessed, as a terminal would. */
class Sink extends EventEmitter {
  readonly writable = true;
  readonly isTTY = true;
  columns: number;
  rows: number;
  frame = '';

  constructor(columns: number, rows: number) {
    super();
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): boolean {
    this.frame += text;
    return true;
  }
}

/** A terminal's picture, and the bytes that change it into another one. */
export class Canvas implements Disposable {
  readonly #kind: Kind;
  readonly #sink: Sink;
  readonly #screen: Screen;
  readonly #box: Box;
  readonly #render: () => void;
  readonly #merger = new Merger();
  #shown = '';
  #lines: readonly string[] = [];
  #typing = false;
  #reset = false;

  constructor(
    kind: Kind,
    size: { readonly rows: number; readonly columns: number },
    utf8: boolean,
  ) {
    this.#kind = kind;
    this.#sink = new Sink(size.columns, size.rows);
    const kept = MISLEADING.map((name) => [name, process.env[name]] as const);
    for (const [name] of kept) delete process.env[name];
    try {
      this.#screen = new Screen({
        input: new PassThrough(),
        output: this.#sink,
        terminal: TERMINAL,
        forceUnicode: utf8,
        fullUnicode: false,
        useBCE: true,
      });
    } finally {
      for (const [name, value] of kept) if (value !== undefined) process.env[name] = value;
    }
    // The library draws by itself after a change of size; here nothing is drawn but pictures.
    this.#render = this.#screen.render.bind(this.#screen);
    this.#screen.render = () => {};
    this.#box = new Box({
      parent: this.#screen,
      top: 0,
      left: 0,
      width: '100%',
      height: '100%',
      wrap: false,
      tags: false,
    });
  }

  /** The bytes that show the picture where the last one is shown; empty when nothing changed. */
  draw(picture: Picture): string {
    const lines = picture.lines.map((line) => this.#encode(line));
    const { row, column } = picture.cursor;
    const key = `${lines.join('\n')}\n${row} ${column} ${picture.typing}`;
    if (key === this.#shown) return '';
    this.#shown = key;
    const scroll = this.#kind.scrolls ? scrollOf(this.#lines, lines) : null;
    const moved = scroll === null ? '' : this.#scroll(scroll);
    this.#lines = lines;
    this.#box.setContent(lines.join('\n'));
    this.#render();
    this.#screen.program.flush();
    const bytes = this.#merger.merge(this.#sink.frame, picture.cursor);
    this.#sink.frame = '';
    const before = this.#reset ? RESET : '';
    this.#reset = false;
    return before + moved + bytes + this.#showCursor(picture.typing);
  }

  /** Resets the terminal and draws everything the next time: others may have written to it. */
  forget(): void {
    this.#shown = '';
    this.#lines = [];
    this.#reset = true;
    this.#merger.forget();
    this.#screen.realloc();
    if (this.#kind.cursor !== null) this.#typing = false;
  }

  /** The terminal has this size now; all of it is drawn again. */
  resize(size: { readonly rows: number; readonly columns: number }): void {
    if (size.columns !== this.#sink.columns || size.rows !== this.#sink.rows) {
      this.#sink.columns = size.columns;
      this.#sink.rows = size.rows;
      this.#sink.emit('resize');
    }
    this.forget();
  }

  [Symbol.dispose](): void {
    this.#screen.destroy();
  }

  /** Moves lines on the terminal, and in what blessed believes that it shows. */
  #scroll({ top, bottom, by }: Scroll): string {
    for (const cells of [this.#screen.lines, this.#screen.olines]) {
      const blank = Array.from({ length: Math.abs(by) }, () => this.#screen.blankLine());
      if (by > 0) {
        cells.splice(top, by);
        cells.splice(bottom + 1 - by, 0, ...blank);
      } else {
        cells.splice(bottom + 1 + by, -by);
        cells.splice(top, 0, ...blank);
      }
    }
    for (let row = top; row <= bottom; row += 1) this.#screen.lines[row]!.dirty = true;
    return this.#merger.scroll(top, bottom, by);
  }

  #encode(line: Line): string {
    return line
      .map(({ text, style }) => {
        const sgr = sgrOf(style, this.#kind);
        return sgr === '' ? text : `\x1b[${sgr}m${text}\x1b[m`;
      })
      .join('');
  }

  #showCursor(typing: boolean): string {
    const { cursor } = this.#kind;
    if (cursor === null || typing === this.#typing) return '';
    this.#typing = typing;
    return typing ? cursor.show : cursor.hide;
  }
}
