/**
 * The parts of the drawing library that the console uses, each from its own file: the main file
 * would load every widget, and a bundler could not follow it. Types only.
 */
declare module 'blessed/lib/tput.js' {
  /** Capabilities of a terminal. */
  class Tput {
    /** Where capabilities are read from; given anew for this program, which brings its own. */
    readTerminfo(terminal?: string): object;
  }
  export default Tput;
}

declare module 'blessed/lib/widgets/screen.js' {
  import type { EventEmitter } from 'node:events';
  import type { Readable } from 'node:stream';

  /** What is drawn to. */
  interface Output extends EventEmitter {
    readonly writable: boolean;
    readonly isTTY: boolean;
    columns: number;
    rows: number;
    write(text: string): boolean;
  }

  /** A row of cells, each an attribute and a character. */
  type Row = [number, string][] & { dirty?: boolean };

  /** The cells of a terminal. */
  class Screen {
    constructor(options: {
      input: Readable;
      output: Output;
      terminal: string;
      forceUnicode: boolean;
      fullUnicode: boolean;
      useBCE: boolean;
    });
    readonly program: { flush(): void };
    /** Cells as they are to be, and as they are on the terminal; `dirty` rows are compared. */
    readonly lines: Row[];
    readonly olines: Row[];
    blankLine(): Row;
    render(): void;
    /** Forgets what is on the terminal, so that all of it is drawn again. */
    realloc(): void;
    destroy(): void;
  }
  export default Screen;
}

declare module 'blessed/lib/widgets/box.js' {
  import type Screen from 'blessed/lib/widgets/screen.js';

  /** A rectangle of text. */
  class Box {
    constructor(options: {
      parent: Screen;
      top: number;
      left: number;
      width: string;
      height: string;
      wrap: boolean;
      tags: boolean;
    });
    setContent(text: string): void;
  }
  export default Box;
}
