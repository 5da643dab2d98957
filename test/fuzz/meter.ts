/**
 * What an input costs, counted and not timed: steps of the program as the engine counts them, and
 * bytes of buffers that were asked for. Always holds: the same input costs the same on every
 * machine. For this Node has to be started without its optimizing compilers: their code now and
 * then forgets what was counted before (V8 13.6: 1500 or 40 of 3000 turns of a loop; nothing was
 * lost in 5,000 runs without them). What the engine does inside (regular expressions, digests,
 * JSON, zstd) is no step; its memory beside buffers is bounded by the limit of the process
 * (package.json). Imports node: alone.
 */
import { Session, type Profiler } from 'node:inspector';

/** Only these files are counted: the program and the packages that read for it. */
const COUNTED = /\/src\/|\/node_modules\/(?:tar|jsonc-parser)\//;

/** What Node has to be started with; set when the process runs they come too late. */
export const COUNTING_FLAGS = ['--no-maglev', '--no-opt'] as const;

type Command = 'Profiler.enable' | 'Profiler.disable' | 'Profiler.startPreciseCoverage';

/** Counts how often parts of functions are entered: loops, branches, calls. */
export class StepMeter implements Disposable {
  readonly #session = new Session();

  /** Throws when the process runs without the flags. */
  constructor() {
    if (!COUNTING_FLAGS.every((flag) => process.execArgv.includes(flag))) {
      throw new Error(`steps are counted by \`node ${COUNTING_FLAGS.join(' ')}\` only`);
    }
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Steps since the last call. */
  take(): number {
    let steps = 0;
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error !== null) throw error;
      for (const { url, functions } of answer.result) {
        if (COUNTED.test(url)) steps += sumOf(functions);
      }
    });
    return steps;
  }

  [Symbol.dispose](): void {
    this.#post('Profiler.disable');
    this.#session.disconnect();
  }

  /** Answers of the own thread come at once. */
  #post(method: Command, values?: object): void {
    this.#session.post(method as 'Profiler.startPreciseCoverage', values ?? {}, (error) => {
      if (error !== null) throw error;
    });
  }
}

function sumOf(functions: readonly Profiler.FunctionCoverage[]): number {
  let sum = 0;
  for (const { ranges } of functions) for (const { count } of ranges) sum += count;
  return sum;
}

/** Bytes of buffers, while something runs. */
export interface Held {
  /** Of all together, and of the largest one. */
  readonly allBytes: number;
  readonly largestBytes: number;
}

type Maker = 'alloc' | 'allocUnsafe' | 'allocUnsafeSlow' | 'concat' | 'from';
const MAKERS: readonly Maker[] = ['alloc', 'allocUnsafe', 'allocUnsafeSlow', 'concat', 'from'];

/** Counts the buffers that are made through `Buffer`, until it is disposed. */
export class BufferMeter implements Disposable {
  #allBytes = 0;
  #largestBytes = 0;
  readonly #originals = MAKERS.map((name) => [name, Buffer[name]] as const);

  constructor() {
    const count = (bytes: number): void => {
      this.#allBytes += bytes;
      this.#largestBytes = Math.max(this.#largestBytes, bytes);
    };
    for (const [name, make] of this.#originals) {
      const counted = (...args: readonly unknown[]): Buffer => {
        // Counted before it is made: too large a one ends in an error.
        if (name.startsWith('alloc')) count(Number(args[0]));
        const made = Reflect.apply(make as (...all: unknown[]) => Buffer, Buffer, args);
        // A view of other memory takes none.
        const isView = name === 'from' && args[0] instanceof ArrayBuffer;
        if (!name.startsWith('alloc') && !isView) count(made.length);
        return made;
      };
      Object.defineProperty(Buffer, name, { value: counted, configurable: true, writable: true });
    }
  }

  /** What was asked for since the last call. */
  take(): Held {
    const held = { allBytes: this.#allBytes, largestBytes: this.#largestBytes };
    this.#allBytes = 0;
    this.#largestBytes = 0;
    return held;
  }

  [Symbol.dispose](): void {
    for (const [name, make] of this.#originals) {
      Object.defineProperty(Buffer, name, { value: make, configurable: true, writable: true });
    }
  }
}
