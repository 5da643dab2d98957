/**
 * A terminal in memory: takes bytes, shows cells, answers questions as a real one does. Imports the
 * terminal emulator.
 */
import xterm from '@xterm/headless';

/** One cell; the colour is one of the eight, or null where it is the terminal's own. */
export interface GlassCell {
  readonly char: string;
  readonly bold: boolean;
  readonly underline: boolean;
  readonly inverse: boolean;
  readonly colour: number | null;
}

export class Glass {
  readonly #terminal: InstanceType<typeof xterm.Terminal>;
  readonly #rows: number;
  /** What the terminal says by itself. */
  said = '';
  bytes = 0;
  /** Bytes that a terminal without UTF-8 could not show. */
  high = 0;

  constructor(rows = 24, columns = 80) {
    this.#rows = rows;
    this.#terminal = new xterm.Terminal({ rows, cols: columns, allowProposedApi: true });
    this.#terminal.onData((text) => {
      this.said += text;
    });
  }

  /** Takes bytes, and waits until they are shown. */
  async write(data: string | Uint8Array): Promise<void> {
    const all = Buffer.from(data);
    this.bytes += all.length;
    this.high += all.filter((byte) => byte >= 0x80).length;
    await new Promise<void>((resolve) => this.#terminal.write(data, resolve));
  }

  resize(rows: number, columns: number): void {
    this.#terminal.resize(columns, rows);
  }

  /** The lines without the blanks at their ends. */
  lines(): readonly string[] {
    return this.#eachLine((y) => this.#line(y)?.translateToString(true).trimEnd() ?? '');
  }

  /** The lines with marks around what is not plain: `*bold*`, `_underlined_`, `[[inverse]]`. */
  marked(): readonly string[] {
    return this.#eachLine((y) => {
      let text = '';
      let open = '';
      for (let x = 0; x < this.#terminal.cols; x += 1) {
        const cell = this.#line(y)?.getCell(x);
        const mark = cell === undefined ? '' : markOf(cell);
        if (mark !== open) {
          text += closing(open) + mark;
          open = mark;
        }
        text += cell?.getChars() || ' ';
      }
      return (text + closing(open)).trimEnd();
    });
  }

  /** Each cell with what is not plain about it. */
  cells(): readonly (readonly GlassCell[])[] {
    return Array.from({ length: this.#rows }, (_, y) =>
      Array.from({ length: this.#terminal.cols }, (__, x) => {
        const cell = this.#line(y)?.getCell(x);
        return {
          char: cell?.getChars() || ' ',
          bold: (cell?.isBold() ?? 0) !== 0,
          underline: (cell?.isUnderline() ?? 0) !== 0,
          inverse: (cell?.isInverse() ?? 0) !== 0,
          colour: cell?.isFgPalette() === true ? cell.getFgColor() : null,
        };
      }),
    );
  }

  /** Where the cursor is, from 0. */
  get cursor(): { readonly row: number; readonly column: number } {
    const { cursorX, cursorY } = this.#terminal.buffer.active;
    return { row: cursorY, column: cursorX };
  }

  /** True when anything has left the screen at its top. */
  get scrolled(): boolean {
    return this.#terminal.buffer.active.baseY > 0;
  }

  #line(y: number) {
    const { active } = this.#terminal.buffer;
    return active.getLine(active.baseY + y);
  }

  #eachLine(make: (y: number) => string): readonly string[] {
    return Array.from({ length: this.#rows }, (_, y) => make(y));
  }
}

interface Cell {
  isBold(): number;
  isInverse(): number;
  isUnderline(): number;
  isFgPalette(): boolean;
  getFgColor(): number;
}

const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const;

function markOf(cell: Cell): string {
  const colour = cell.isFgPalette() ? `{${COLOURS[cell.getFgColor()] ?? 'other'} ` : '';
  const weight = cell.isBold() ? '*' : '';
  return `${cell.isInverse() ? '[[' : ''}${cell.isUnderline() ? '_' : ''}${weight}${colour}`;
}

function closing(mark: string): string {
  const colour = mark.includes('{') ? '}' : '';
  const weight = mark.includes('*') ? '*' : '';
  const line = mark.includes('_') ? '_' : '';
  return `${colour}${weight}${line}${mark.includes('[[') ? ']]' : ''}`;
}
