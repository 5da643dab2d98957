/**
 * One image into one slot: write what is missing, sync, read the whole slot back. The main thread
 * and the worker share the chunks. Always holds: the read-back begins only when the last write is
 * on the disk, so that a write gone astray is found wherever it landed (this is why it does not run
 * beside the writing); it is left out only when this run wrote nothing, because then every chunk
 * was hashed in the slot already. Imports core and the files of this room.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { UpdateError } from '../core/errors.ts';
import { explainBase, proveBase } from './base-slot.ts';
import { Board, CHUNK, PHASE } from './board.ts';
import { ChunkWork, type SlotJob } from './chunk-work.ts';
import type { Helper } from './crew.ts';
import type { Hints, SlotHint } from './hint.ts';
import { Lane } from './lane.ts';
import type { Meter } from './meter.ts';
import type { Plan } from './plan.ts';
import type { InstallResult } from './protocol.ts';
import { Recorder } from './recorder.ts';

/** The main thread's loop gets a turn at least this often: signals, the closed input, replies. */
const TURN_MS = 10;

/** What an install of one slot shares with the others of the same request. */
export interface SlotContext {
  readonly signal: AbortSignal;
  readonly bundleFd: number;
  readonly readBack: boolean;
  readonly format: boolean;
  readonly helper: Helper | null;
  /** The base of a delta was hashed as a whole by this run. */
  readonly proven: boolean;
  readonly hints: Hints;
  readonly meter: Meter;
  /** Bytes that earlier slots count in the meter. */
  readonly beforeBytes: number;
}

/**
 * Writes the slot and says what was done. Throws `bundle.damaged`, `slot.io`, `slot.readback`,
 * `slot.base_damaged`, `state.io`, and the reason of the signal; what was written until then stays,
 * and the progress record knows of it.
 */
export async function installSlot(
  plan: Plan,
  context: SlotContext,
): Promise<InstallResult['images'][number]> {
  const hint = usableHint(plan, context);
  const job = jobOf(plan, context, hint);
  const board = new Board(job.board);
  const one = new SlotInstall(plan, context, job, board);
  using work = new ChunkWork(job, { claim: true });
  await using lane = new Lane(work, board, () => one.proveOnce());
  const helped = context.helper?.run(job) ?? Promise.resolve();
  // A thread that fails or dies stops the other one.
  const guarded = helped.catch((error: unknown) => {
    board.stop();
    throw error;
  });
  const both = await Promise.allSettled([one.run(work, lane), guarded]);
  for (const outcome of both) {
    if (outcome.status === 'rejected') throw await explained(outcome.reason, plan, context.signal);
  }
  return one.result(hint);
}

/** A delta that did not come out of its base is the fault of one of the two; says which. */
async function explained(reason: unknown, plan: Plan, signal: AbortSignal): Promise<unknown> {
  const { base } = plan.opened.image;
  const lost = reason instanceof UpdateError && reason.code === 'bundle.wrong_base';
  if (!lost || base === undefined || plan.base === null) return reason;
  return await explainBase(reason, base, plan.base, signal);
}

/**
 * The hint when it speaks of this image. A format goes on where the same format was interrupted and
 * takes nothing from before it.
 */
export function usableHint(
  plan: Plan,
  { hints, format }: Pick<SlotContext, 'hints' | 'format'>,
): SlotHint | null {
  const hint = hints.of(plan.target.class, plan.target.slot);
  if (hint?.imageId !== plan.opened.image.imageId) return null;
  if (!format) return hint;
  return hint.format && !hint.complete ? hint : null;
}

function endOf({ records }: Plan): number {
  const last = records.at(-1);
  return last === undefined ? 0 : last.rawOffset + last.rawBytes;
}

function jobOf(plan: Plan, context: SlotContext, hint: SlotHint | null): SlotJob {
  const { records, target } = plan;
  const doneBytes = hint?.doneBytes ?? 0;
  const open = records.findIndex((record) => record.rawOffset + record.rawBytes > doneBytes);
  return {
    board: Board.create(records.length).memory,
    device: target.device,
    sizeBytes: target.sizeBytes,
    bundleFd: context.bundleFd,
    dataOffset: plan.opened.dataOffset,
    records,
    hintedChunks: open === -1 ? records.length : open,
    readBack: context.readBack,
    base: plan.base,
  };
}

/** The main thread's part. */
class SlotInstall {
  readonly #plan: Plan;
  readonly #context: SlotContext;
  readonly #job: SlotJob;
  readonly #board: Board;
  #turnMs = performance.now();
  #proven: boolean;

  constructor(plan: Plan, context: SlotContext, job: SlotJob, board: Board) {
    this.#plan = plan;
    this.#context = context;
    this.#job = job;
    this.#board = board;
    this.#proven = context.proven;
  }

  async run(work: ChunkWork, lane: Lane): Promise<void> {
    const board = this.#board;
    const recorder = new Recorder({
      board,
      records: this.#job.records,
      hintedChunks: this.#job.hintedChunks,
      sync: () => work.sync(),
      save: (doneBytes) => this.#remember(doneBytes, false),
    });
    try {
      await recorder.begin();
      await this.#write(lane, recorder);
      if (board.stopped) return;
      await recorder.finish();
      if (this.#context.readBack && this.#sum(CHUNK.written) > 0) await this.#readBack(lane);
      if (!board.stopped) await this.#remember(endOf(this.#plan), true);
    } finally {
      // After an error or an abort this lets the other thread go; after success it has gone.
      board.enter(PHASE.end);
      board.stop();
      await recorder.settle();
    }
  }

  async #write(lane: Lane, recorder: Recorder): Promise<void> {
    const board = this.#board;
    while (board.finishedCount < board.count && !board.stopped) {
      await this.#turn();
      recorder.tick();
      const seen = board.events;
      const step = await lane.write();
      const idle = step === 'end' || (step === 'wait' && !(await recorder.advance()));
      if (idle && board.finishedCount < board.count) board.sleep(seen);
      this.#tell(0, board.finishedCount);
    }
  }

  /** A base that the caller has not hashed is hashed before the first write after all. */
  async proveOnce(): Promise<void> {
    if (this.#proven) return;
    const { opened, base: job } = this.#plan;
    const { base } = opened.image;
    if (job !== null && base !== undefined) {
      await proveBase(base, job, { signal: this.#context.signal });
    }
    this.#proven = true;
  }

  async #readBack(lane: Lane): Promise<void> {
    const board = this.#board;
    this.#context.meter.tell();
    board.enter(PHASE.readBack);
    while (board.readCount < board.count && !board.stopped) {
      await this.#turn();
      const seen = board.events;
      if (!(await lane.readBack()) && board.readCount < board.count) board.sleep(seen);
      this.#tell(this.#plan.bytes, board.readCount);
    }
  }

  /** Lets the loop run when it is time, and stops when the caller wants that. */
  async #turn(): Promise<void> {
    this.#context.signal.throwIfAborted();
    if (performance.now() - this.#turnMs < TURN_MS) return;
    await nextTurn();
    this.#turnMs = performance.now();
  }

  #tell(phaseBytes: number, chunks: number): void {
    const share = Math.floor((this.#plan.bytes * chunks) / this.#board.count);
    this.#context.meter.at(this.#context.beforeBytes + phaseBytes + share);
  }

  /** Raw bytes of the chunks with that outcome. */
  #sum(outcome: number): number {
    return this.#plan.records.reduce(
      (sum, record, chunk) => sum + (this.#board.outcome(chunk) === outcome ? record.rawBytes : 0),
      0,
    );
  }

  async #remember(doneBytes: number, complete: boolean): Promise<void> {
    const { target, opened } = this.#plan;
    const { class: cls, slot } = target;
    const { imageId } = opened.image;
    const { format, hints } = this.#context;
    await hints.set({ class: cls, slot, imageId, doneBytes, format, complete });
  }

  result(hint: SlotHint | null): InstallResult['images'][number] {
    const { target, opened, product } = this.#plan;
    const { image } = opened;
    const { version, counter, formatLevel } = image;
    const release = { product, class: image.class, version, counter };
    const kept = this.#sum(CHUNK.kept);
    return {
      class: target.class,
      slot: target.slot,
      imageId: image.imageId,
      rawBytes: image.rawBytes,
      rawSha256: image.rawSha256,
      release: formatLevel === undefined ? release : { ...release, formatLevel },
      runsWith: image.runsWith,
      writtenBytes: this.#sum(CHUNK.written),
      skippedBytes: hint?.complete === true ? kept : 0,
      resumedBytes: hint?.complete === true ? 0 : kept,
    };
  }
}
