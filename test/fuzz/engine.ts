/**
 * Runs a fuzz target: makes inputs from a seed, has each judged, and holds every one to the limits
 * of its target. Always holds: run number N of a seed is the same whatever ran before it, so one
 * number replays a finding; a finding names target, seed and run. Imports the meters and the
 * chance.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { BufferMeter, StepMeter } from './meter.ts';
import { Random } from './random.ts';

/** What an input of so many bytes may cost: `base` and `perByte` of each. */
export interface Cost {
  readonly base: number;
  readonly perByte: number;
}

/** Limits of a target for one input. */
export interface Limits {
  /** Steps of the program (meter.ts). */
  readonly steps: Cost;
  /** Bytes of all buffers together that are asked for while it is judged. */
  readonly buffers: Cost;
}

/** Something that reads what strangers write. */
export interface Target {
  readonly name: string;
  /** What is read, for people. */
  readonly reads: string;
  readonly limits: Limits;
  /** Lays out what all runs share. */
  open(): Promise<Subject>;
}

/** A target that is laid out. */
export interface Subject {
  /** An input, as a function that has it judged; not counted. */
  make(random: Random): Trial;
}

/** One input. */
export interface Trial {
  readonly sizeBytes: number;
  /**
   * Gives the word for how it ended: a code of the error, or a word of the target's own. Throws
   * `Finding` for a broken promise; any error that is no UpdateError is a finding as well.
   */
  judge(): Promise<string> | string;
}

/** A promise that an input broke. */
export class Finding extends Error {}

/** What was run. */
export interface Figures {
  readonly target: string;
  readonly seed: number;
  readonly runs: number;
  /** How often each ending came. */
  readonly endings: ReadonlyMap<string, number>;
  /** Largest shares of a limit that were used, 1 = all of it. */
  readonly worst: { readonly steps: number; readonly buffers: number };
}

/** What a run of a target is asked for. */
export interface RunOptions {
  readonly seed: number;
  readonly runs: number;
  /** First run; for a replay. */
  readonly from?: number;
  /** Called after every so many runs. */
  readonly onRuns?: (done: number) => void;
}

/** Inputs whose steps are counted together; more than one may take, and each is counted alone. */
const BATCH = 25;
/** Counting makes the program several times slower: of long campaigns a tenth is counted. */
const COUNTED_RUNS = 500;
const isCounted = (run: number, runs: number): boolean =>
  runs <= COUNTED_RUNS || Math.floor(run / COUNTED_RUNS) % 10 === 0;

/** The word for how judging ended. */
export async function ending(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'ok';
  } catch (error) {
    if (error instanceof UpdateError && error.code !== 'internal.bug') return error.code;
    throw error;
  }
}

/** Throws a finding unless `good`. */
export function promise(good: boolean, what: string): void {
  if (!good) throw new Finding(what);
}

/** Runs a target. Throws `Finding` with what to type to see it again. */
export async function fuzz(target: Target, options: RunOptions): Promise<Figures> {
  using campaign = new Campaign(target, await target.open(), options);
  return await campaign.run();
}

class Campaign implements Disposable {
  readonly #target: Target;
  readonly #subject: Subject;
  readonly #options: RunOptions;
  #steps: StepMeter | null = null;
  readonly #buffers = new BufferMeter();
  readonly #endings = new Map<string, number>();
  readonly #worst = { steps: 0, buffers: 0 };

  constructor(target: Target, subject: Subject, options: RunOptions) {
    this.#target = target;
    this.#subject = subject;
    this.#options = options;
  }

  async run(): Promise<Figures> {
    const { seed, runs, from = 0, onRuns } = this.#options;
    for (let first = from; first < from + runs; first += BATCH) {
      const end = Math.min(first + BATCH, from + runs);
      await this.#batch(first, end);
      onRuns?.(end - from);
    }
    const { name } = this.#target;
    return { target: name, seed, runs, endings: this.#endings, worst: this.#worst };
  }

  /** The cheap way first: one look at the counters of the engine for all inputs of a batch. */
  async #batch(first: number, end: number): Promise<void> {
    const trials: Trial[] = [];
    for (let run = first; run < end; run += 1) trials.push(this.#make(run));
    this.#count(isCounted(first, this.#options.runs));
    let allowed = Infinity;
    for (const [i, trial] of trials.entries()) {
      await this.#one(trial, first + i);
      allowed = Math.min(allowed, costOf(this.#target.limits.steps, trial.sizeBytes));
    }
    // All of them together took less than any one may take.
    if (this.#steps === null) return;
    const steps = this.#steps.take();
    this.#worst.steps = Math.max(this.#worst.steps, Math.min(1, steps / allowed) / BATCH);
    if (steps <= allowed) return;
    for (const [i] of trials.entries()) await this.#countAlone(this.#steps, first + i);
  }

  #make(run: number): Trial {
    return this.#subject.make(new Random(this.#options.seed, run));
  }

  async #one(trial: Trial, run: number): Promise<void> {
    this.#buffers.take();
    let word: string;
    try {
      word = await trial.judge();
    } catch (error) {
      throw this.#finding(run, error instanceof Finding ? error.message : 'an error', error);
    }
    const { allBytes } = this.#buffers.take();
    const limit = costOf(this.#target.limits.buffers, trial.sizeBytes);
    this.#worst.buffers = Math.max(this.#worst.buffers, allBytes / limit);
    if (allBytes > limit) {
      const what = `${allBytes} bytes of buffers for ${trial.sizeBytes}, at most ${limit}`;
      throw this.#finding(run, what);
    }
    this.#endings.set(word, (this.#endings.get(word) ?? 0) + 1);
  }

  /** Starts or stops counting, and begins at nothing. */
  #count(on: boolean): void {
    if (on) (this.#steps ??= new StepMeter()).take();
    else this.#stop();
  }

  #stop(): void {
    this.#steps?.[Symbol.dispose]();
    this.#steps = null;
  }

  async #countAlone(meter: StepMeter, run: number): Promise<void> {
    const trial = this.#make(run);
    meter.take();
    await trial.judge();
    const steps = meter.take();
    const limit = costOf(this.#target.limits.steps, trial.sizeBytes);
    this.#worst.steps = Math.max(this.#worst.steps, steps / limit);
    if (steps > limit) {
      throw this.#finding(run, `${steps} steps for ${trial.sizeBytes} bytes, at most ${limit}`);
    }
  }

  #finding(run: number, what: string, cause?: unknown): Finding {
    const { name } = this.#target;
    const again = `--target ${name} --seed ${this.#options.seed} --from ${run} --runs 1`;
    return new Finding(`${name}: ${what}\nagain: npm run fuzz -- ${again}`, { cause });
  }

  [Symbol.dispose](): void {
    this.#buffers[Symbol.dispose]();
    this.#stop();
  }
}

const costOf = ({ base, perByte }: Cost, sizeBytes: number): number => base + perByte * sizeBytes;
