/**
 * One thread's way through the chunks of a slot: while the disk is busy with one chunk, the
 * processor works on the next. Always holds: a slab is the disk's until its transfer has ended; a
 * chunk is finished on the board only after its transfer and its checks; whoever disposes a lane
 * has waited for the disk, so that no descriptor is closed beneath a transfer. Imports the files of
 * this room.
 */
import { Board, CHUNK, PHASE } from './board.ts';
import { ChunkWork, type Side, type SlotJob } from './chunk-work.ts';

/** A transfer that is under way, and what is to be done when it has ended. */
interface Transfer {
  readonly ended: Promise<void>;
  readonly finish: () => Promise<void>;
}

/** What became of a step: `wait` = the gate is shut, `end` = no chunk is left for this lane. */
export type Step = 'more' | 'wait' | 'end';

/** What a lane needs of the hands on the slot. */
export type Hands = Pick<ChunkWork, 'isHinted' | 'make' | 'store' | 'load' | 'agrees' | 'check'>;

/** One lane; its calls come one after the other. */
export class Lane implements AsyncDisposable {
  readonly #work: Hands;
  readonly #board: Board;
  readonly #beforeMake: () => Promise<void>;
  #side: Side = 0;
  #under: Transfer | null = null;

  /** `beforeMake` is waited for before a chunk is made that the slot does not hold. */
  constructor(
    work: Hands,
    board: Board,
    beforeMake: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.#work = work;
    this.#board = board;
    this.#beforeMake = beforeMake;
  }

  /**
   * Brings one more chunk on its way into the slot; one that the hint speaks of is looked for
   * there. With `wait` and `end` nothing of this lane is under way. Throws what `make`, `store` and
   * `load` throw, for this chunk or the one before.
   */
  async write(): Promise<Step> {
    const chunk = this.#board.takeWrite();
    if (typeof chunk !== 'number') return (await this.#endLast()) ? 'more' : (chunk ?? 'end');
    const side = this.#otherSide();
    if (this.#work.isHinted(chunk)) {
      await this.#begin(this.#work.load(chunk, side), () => this.#keep(chunk, side));
      return 'more';
    }
    await this.#beforeMake();
    this.#work.make(chunk, side);
    await this.#endLast();
    await this.#begin(this.#work.store(chunk, side), async () => {
      this.#board.finishWrite(chunk, CHUNK.written);
    });
    return 'more';
  }

  /** Reads one more chunk back; false when none is left. Throws `slot.readback`, `slot.io`. */
  async readBack(): Promise<boolean> {
    const chunk = this.#board.takeRead();
    if (chunk === null) return this.#endLast();
    const side = this.#otherSide();
    await this.#begin(this.#work.load(chunk, side), async () => {
      this.#work.check(chunk, side);
      this.#board.finishRead();
    });
    return true;
  }

  /** Returns when nothing is under way any more; never throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#under?.ended.catch(() => undefined);
  }

  /** The slot may hold the chunk: it is kept if it does, and written if not. */
  async #keep(chunk: number, side: Side): Promise<void> {
    if (this.#work.agrees(chunk, side)) return this.#board.finishWrite(chunk, CHUNK.kept);
    await this.#beforeMake();
    this.#work.make(chunk, side);
    await this.#work.store(chunk, side);
    this.#board.finishWrite(chunk, CHUNK.written);
  }

  /** While this transfer goes on, the one before it is ended. */
  async #begin(ended: Promise<void>, finish: () => Promise<void>): Promise<void> {
    const last = this.#under;
    this.#under = { ended, finish };
    // Whoever waits for it may never come to it, when the one before has failed.
    ended.catch(() => undefined);
    await end(last);
  }

  /** False when nothing was under way. */
  async #endLast(): Promise<boolean> {
    const last = this.#under;
    this.#under = null;
    await end(last);
    return last !== null;
  }

  #otherSide(): Side {
    this.#side = this.#side === 0 ? 1 : 0;
    return this.#side;
  }
}

async function end(transfer: Transfer | null): Promise<void> {
  await transfer?.ended;
  await transfer?.finish();
}

/** What a worker does with a job: chunks as long as there are any, phase by phase. */
export async function workUntilDone(job: SlotJob): Promise<void> {
  const board = new Board(job.board);
  try {
    using work = new ChunkWork(job, { claim: false });
    await using lane = new Lane(work, board);
    await writeAll(board, lane);
    awaitReadBack(board);
    while (await lane.readBack());
  } catch (error) {
    board.stop();
    throw error;
  }
}

async function writeAll(board: Board, lane: Lane): Promise<void> {
  for (;;) {
    const seen = board.events;
    const step = await lane.write();
    if (step === 'end') return;
    if (step === 'wait') board.sleep(seen);
  }
}

/** Returns when the main thread has synced what was written, or when there is nothing to do. */
function awaitReadBack(board: Board): void {
  for (;;) {
    const seen = board.events;
    if (board.phase !== PHASE.write || board.stopped) return;
    board.sleep(seen);
  }
}
