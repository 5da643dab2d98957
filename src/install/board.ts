/**
 * What the threads of one install share: counters in shared memory that hand out chunks, and one
 * byte per chunk that says what became of it. Always holds: a chunk is handed out once per phase;
 * no chunk at or above the gate is handed out for writing, so nothing is ever written further than
 * one window ahead of the durable progress record; after `stop` nothing is handed out. Imports
 * nothing.
 */

/** What became of a chunk in this run. */
export const CHUNK = { todo: 0, written: 1, kept: 2 } as const;

/** Phases of one slot: write, then read back, then none. */
export const PHASE = { write: 0, readBack: 1, end: 2 } as const;

const NEXT_WRITE = 0;
const NEXT_READ = 1;
const GATE = 2;
const PHASE_CELL = 3;
const STOP = 4;
/** Changes with every event; who waits, waits for this cell. */
const EVENTS = 5;
const READ = 6;
const FINISHED = 7;
const CELLS = 8;

/** Longest sleep of a thread that waits for another one. */
const NAP_MS = 20;

/** The shared memory itself; can be sent to a worker. */
export interface BoardMemory {
  readonly cells: SharedArrayBuffer;
  readonly chunks: SharedArrayBuffer;
}

/** One thread's view of the shared counters. All calls are synchronous. */
export class Board {
  readonly memory: BoardMemory;
  readonly count: number;
  readonly #cells: Int32Array;
  readonly #chunks: Uint8Array;

  constructor(memory: BoardMemory) {
    this.memory = memory;
    this.#cells = new Int32Array(memory.cells);
    this.#chunks = new Uint8Array(memory.chunks);
    this.count = this.#chunks.length;
  }

  /** Counters for `count` chunks, all to do. */
  static create(count: number): Board {
    return new Board({
      cells: new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT),
      chunks: new SharedArrayBuffer(count),
    });
  }

  /** The next chunk to write; `wait` while the gate is shut, null when none is left. */
  takeWrite(): number | 'wait' | null {
    for (;;) {
      const next = Atomics.load(this.#cells, NEXT_WRITE);
      if (next >= this.count || this.stopped) return null;
      if (next >= Atomics.load(this.#cells, GATE)) return 'wait';
      if (Atomics.compareExchange(this.#cells, NEXT_WRITE, next, next + 1) === next) return next;
    }
  }

  /** The next chunk to read back, null when none is left. */
  takeRead(): number | null {
    if (this.stopped) return null;
    const next = Atomics.add(this.#cells, NEXT_READ, 1);
    return next < this.count ? next : null;
  }

  /** Says what became of a chunk in the writing phase. */
  finishWrite(chunk: number, outcome: typeof CHUNK.written | typeof CHUNK.kept): void {
    Atomics.store(this.#chunks, chunk, outcome);
    Atomics.add(this.#cells, FINISHED, 1);
    this.#announce();
  }

  /** Chunks that are done with in the writing phase. */
  get finishedCount(): number {
    return Atomics.load(this.#cells, FINISHED);
  }

  finishRead(): void {
    Atomics.add(this.#cells, READ, 1);
    this.#announce();
  }

  /** Chunks that were read back. */
  get readCount(): number {
    return Atomics.load(this.#cells, READ);
  }

  /** What became of chunk `chunk`. */
  outcome(chunk: number): number {
    return Atomics.load(this.#chunks, chunk);
  }

  /** Chunks from `from` on that are finished without a gap: where the durable prefix may move. */
  finishedFrom(from: number): number {
    let end = from;
    while (end < this.count && Atomics.load(this.#chunks, end) !== CHUNK.todo) end += 1;
    return end;
  }

  /** Chunks below `gate` may be written from now on. */
  openGate(gate: number): void {
    Atomics.store(this.#cells, GATE, Math.min(gate, this.count));
    this.#announce();
  }

  get phase(): number {
    return Atomics.load(this.#cells, PHASE_CELL);
  }

  enter(phase: typeof PHASE.readBack | typeof PHASE.end): void {
    Atomics.store(this.#cells, PHASE_CELL, phase);
    this.#announce();
  }

  /** Nothing is handed out any more; chunks in work are finished. */
  stop(): void {
    Atomics.store(this.#cells, STOP, 1);
    this.#announce();
  }

  get stopped(): boolean {
    return Atomics.load(this.#cells, STOP) === 1;
  }

  /** Number of the newest event, for `sleep`. */
  get events(): number {
    return Atomics.load(this.#cells, EVENTS);
  }

  /** Blocks this thread for a moment, or until there is a newer event than `seen`. */
  sleep(seen: number): void {
    Atomics.wait(this.#cells, EVENTS, seen, NAP_MS);
  }

  #announce(): void {
    Atomics.add(this.#cells, EVENTS, 1);
    Atomics.notify(this.#cells, EVENTS);
  }
}
