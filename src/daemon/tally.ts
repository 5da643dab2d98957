/**
 * What a node counts for its metrics: boots, starts of its daemon, rollouts and how they ended.
 * Always holds: the numbers outlive the daemon and never fall; a file that cannot be written costs
 * the counting and nothing else; one boot and one end are counted once, however often they are
 * told. Imports core, the contracts of control and the drivers of files.
 */
import { join } from 'node:path';
import type { BootInfo } from '../core/boot.ts';
import { asUpdateError } from '../core/errors.ts';
import type { RolloutRecord } from '../core/records.ts';
import type { Counters } from '../control/metrics.ts';
import { createTwoCopyFile, TwoCopyFile } from '../drivers/two-copy-file.ts';

const FILE = 'tally';

/** What the file holds beside the counters: what was counted last. */
interface Kept extends Counters {
  readonly v: 1;
  readonly bootId: string;
  readonly ended: string;
}

const EMPTY: Kept = { v: 1, bootId: '', ended: '', boots: {}, starts: 0, rollouts: {} };

/** The counters of one node. */
export class Tally implements AsyncDisposable {
  readonly #file: TwoCopyFile | null;
  readonly #log: (line: string) => void;
  #kept: Kept;
  #turn: Promise<void> = Promise.resolve();

  private constructor(file: TwoCopyFile | null, log: (line: string) => void) {
    this.#file = file;
    this.#log = log;
    this.#kept = keptOf(file?.value);
  }

  /** Opens the counters and counts this start, and this boot if it is another one. */
  static async open(
    stateDir: string,
    boot: Pick<BootInfo, 'bootId' | 'reason'>,
    log: (line: string) => void,
  ): Promise<Tally> {
    const path = join(stateDir, FILE);
    let file: TwoCopyFile | null = null;
    try {
      await createTwoCopyFile(path);
      file = await TwoCopyFile.open(path);
    } catch (error) {
      log(`${path} cannot be used, so nothing is counted: ${asUpdateError(error).message}`);
    }
    const tally = new Tally(file, log);
    tally.#started(boot);
    return tally;
  }

  /** Since the state directory was made. */
  get counters(): Counters {
    const { boots, starts, rollouts } = this.#kept;
    return { boots, starts, rollouts };
  }

  #started({ bootId, reason }: Pick<BootInfo, 'bootId' | 'reason'>): void {
    const { boots, starts } = this.#kept;
    const again = bootId === this.#kept.bootId;
    const counted = again ? boots : { ...boots, [reason]: (boots[reason] ?? 0) + 1 };
    this.#keep({ bootId, boots: counted, starts: starts + 1 });
  }

  /** A rollout has come to an end. */
  ended({ id, kind, phase }: Pick<RolloutRecord, 'id' | 'kind' | 'phase'>): void {
    const ended = `${id} ${phase}`;
    if (ended === this.#kept.ended) return;
    const { rollouts } = this.#kept;
    const name = `${kind} ${phase}`;
    this.#keep({ ended, rollouts: { ...rollouts, [name]: (rollouts[name] ?? 0) + 1 } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    await this.#file?.[Symbol.asyncDispose]();
  }

  #keep(change: Partial<Kept>): void {
    this.#kept = { ...this.#kept, ...change };
    const value = this.#kept;
    this.#turn = this.#after(this.#turn, value);
  }

  async #after(turn: Promise<void>, value: Kept): Promise<void> {
    await turn;
    try {
      await this.#file?.writeOne(value);
    } catch (error) {
      this.#log(`the counters cannot be kept: ${asUpdateError(error).message}`);
    }
  }
}

/** What the file says, as far as it is understood. */
function keptOf(value: unknown): Kept {
  const { v, bootId, ended, boots, starts, rollouts } = (value ?? {}) as Partial<Kept>;
  const good =
    v === 1 && typeof bootId === 'string' && typeof starts === 'number' && isTable(boots);
  if (!good || !isTable(rollouts)) return EMPTY;
  return { v, bootId, ended: ended ?? '', boots, starts, rollouts };
}

function isTable(value: unknown): value is Readonly<Record<string, number>> {
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).every((count) => Number.isSafeInteger(count));
}
