/**
 * The boot chooser of an appliance that GRUB boots, as the operating system uses it: the port over
 * the state partition and the try counter's file on GRUB's FAT. The state is written only here, the
 * counter only by GRUB (images/boot/grub.cfg), and is made again here only while no trial is armed.
 * Always holds: a change is one write of the copy that does not count, which is read back from the
 * disk; the other copy is never touched; no trial is armed before the counter's file was found
 * sound. The format never changes, because no update replaces the boot loader. Imports core, ports
 * and the drivers of disks.
 */
import {
  armTrial,
  changeOtherOk,
  commitTrial,
  firstBootState,
  revertTrial,
  type BootFields,
} from '../core/boot-change.ts';
import type { BootCounter, BootState } from '../core/boot.ts';
import { UpdateError } from '../core/errors.ts';
import type { Slot } from '../core/model.ts';
import type { BootChooser } from '../ports.ts';
import {
  openCounterFile,
  openStateDisk,
  type CounterFile,
  type GrubPaths,
} from './boot-grub-disk.ts';
import {
  decodeGrubCounter,
  decodeGrubState,
  encodeGrubCounter,
  encodeGrubState,
  GRUB_COPY_OFFSETS,
  GRUB_STATE_BYTES,
} from './boot-grub-env.ts';
import type { DiskFile } from './disk-file.ts';
import { ioError } from './fs-atomic.ts';

/** GRUB has used no attempt of any trial. */
const NO_COUNTER: BootCounter = { trialId: 0, used: 0 };
/** A copy is written in one whole block, the unit of direct I/O. */
const COPY_BYTES = GRUB_COPY_OFFSETS[1];

/** What the two copies hold. */
interface Copies {
  /** The state that counts for GRUB, or null when no copy does. */
  readonly state: BootState | null;
  /** Byte of the copy that the next write goes to. */
  readonly next: number;
}

/** Opens the boot chooser. Throws `boot.io` when the state's device cannot be opened. */
export async function openGrubBoot(paths: GrubPaths): Promise<GrubBootChooser> {
  try {
    const state = await openStateDisk(paths.state, GRUB_STATE_BYTES);
    return new GrubBootChooser(state, openCounterFile(paths.counter));
  } catch (error) {
    throw ioError(error, 'boot.io', `The boot state on ${paths.state} cannot be opened`);
  }
}

/** The port BootChooser for GRUB. Calls run one after the other. */
export class GrubBootChooser implements BootChooser, AsyncDisposable {
  readonly #disk: DiskFile;
  readonly #counter: CounterFile;
  /** A write failed: what is read may not have reached the disk. */
  #suspect = false;
  #queue: Promise<unknown> = Promise.resolve();

  /** `disk` is the state partition, of which the first two blocks are used. */
  constructor(disk: DiskFile, counter: CounterFile) {
    this.#disk = disk;
    this.#counter = counter;
  }

  /**
   * Throws `boot.io` when both copies of the state are lost. A counter that cannot be read counts
   * as nothing used; GRUB takes the default slot then, whatever is armed.
   */
  read(): Promise<{ readonly state: BootState; readonly counter: BootCounter }> {
    return this.#inTurn(async () => {
      const state = await this.#durable();
      return { state, counter: (await this.#readCounter()) ?? NO_COUNTER };
    });
  }

  /** Also throws `boot.io` when the counter's file is not sound and cannot be made again. */
  arm(trial: { readonly id: number; readonly slot: Slot; readonly tries: number }): Promise<void> {
    return this.#change(async (state) => {
      const next = armTrial(state, trial);
      if (next === null) return null;
      await this.#prepareCounter(trial.id);
      return next;
    });
  }

  commit(id: number): Promise<void> {
    return this.#change(async (state) => Promise.resolve(commitTrial(state, id)));
  }

  revert(id: number): Promise<void> {
    return this.#change(async (state) => Promise.resolve(revertTrial(state, id)));
  }

  setOtherOk(ok: boolean): Promise<void> {
    return this.#change(async (state) => Promise.resolve(changeOtherOk(state, ok)));
  }

  /**
   * Makes the state again, in both copies, when neither can be read; returns whether it was so. The
   * slot that runs is the default, no trial is armed, the other slot may not boot, and no number of
   * a trial that `trialId` or the counter knows of is used again. Throws `boot.io`.
   */
  recreate(remains: { readonly slot: Slot; readonly trialId: number }): Promise<boolean> {
    return this.#inTurn(async () => {
      if ((await this.#copies()).state !== null) return false;
      const counter = await this.#readCounter();
      const trialId = Math.max(remains.trialId, counter?.trialId ?? 0);
      const fields = firstBootState(remains.slot, false, trialId);
      await this.#write(fields);
      await this.#write(fields);
      return true;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue;
    await this.#disk[Symbol.asyncDispose]();
  }

  /** Nothing to change still makes what was found durable, since the caller relies on it. */
  #change(change: (state: BootState) => Promise<BootFields | null>): Promise<void> {
    return this.#inTurn(async () => {
      const next = await change(known(await this.#copies()));
      if (next === null) await this.#durable();
      else await this.#write(next);
    });
  }

  async #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const mine = this.#queue.then(run);
    this.#queue = mine.catch(() => undefined);
    try {
      return await mine;
    } catch (error) {
      throw ioError(error, 'boot.io', `The boot state on ${this.#disk.name} cannot be used`);
    }
  }

  async #copies(): Promise<Copies> {
    const bytes = await this.#disk.read(0, GRUB_STATE_BYTES);
    const [at, other] = GRUB_COPY_OFFSETS;
    const first = decodeGrubState(bytes.subarray(at, at + COPY_BYTES));
    const second = decodeGrubState(bytes.subarray(other, other + COPY_BYTES));
    // Of two equal numbers the first copy counts, for GRUB too.
    const secondCounts = second !== null && (first === null || second.seq > first.seq);
    return secondCounts ? { state: second, next: at } : { state: first, next: other };
  }

  /** The state that counts, once it is on the disk for sure. */
  async #durable(): Promise<BootState> {
    const state = known(await this.#copies());
    if (this.#suspect) {
      await this.#write(state);
      return known(await this.#copies());
    }
    // A writer that was killed may have left its write in a cache.
    await this.#disk.sync();
    return state;
  }

  async #write({ default: slot, trial, trialId, tries, otherOk }: BootFields): Promise<void> {
    const { state, next } = await this.#copies();
    const seq = (state?.seq ?? 0) + 1;
    const block = new Uint8Array(COPY_BYTES);
    block.set(encodeGrubState({ seq, default: slot, trial, trialId, tries, otherOk }));
    this.#suspect = true;
    await this.#disk.write(next, block);
    await this.#disk.sync();
    const back = await this.#disk.read(next, COPY_BYTES);
    if (!block.every((byte, index) => byte === back[index])) {
      const message = `${this.#disk.name} does not hold what was written at byte ${next}`;
      throw new UpdateError('boot.io', message);
    }
    this.#suspect = false;
  }

  async #readCounter(): Promise<BootCounter | null> {
    const bytes = await this.#counter.read();
    return bytes === null ? null : decodeGrubCounter(bytes);
  }

  /**
   * Before a trial is armed: the counter's file is there, sound, and knows nothing of this trial.
   * While none is armed GRUB does not write, so the system may.
   */
  async #prepareCounter(id: number): Promise<void> {
    const found = await this.#readCounter();
    if (found !== null) {
      if (found.trialId < id) return;
      const message = `The boot loader has counted trial ${found.trialId}, so ${id} is used up`;
      throw new UpdateError('boot.conflict', message, { detail: { trialId: found.trialId } });
    }
    await this.#counter.make(encodeGrubCounter(NO_COUNTER));
    if ((await this.#readCounter()) !== null) return;
    const message = `The try counter ${this.#counter.name} does not hold what was written`;
    throw new UpdateError('boot.io', message);
  }
}

function known({ state }: Copies): BootState {
  if (state !== null) return state;
  throw new UpdateError('boot.io', 'Both copies of the boot state are lost');
}
