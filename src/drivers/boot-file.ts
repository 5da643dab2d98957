/**
 * The boot chooser of the embedded default, as the operating system uses it: the port over two
 * files. `state` (two copies) is written only here; `counter` (one sector) belongs to the boot
 * loader (boot-loader.ts), and is made again here only while no trial is armed. Always holds: each
 * change is one write of one copy, what was read is durable, and fields that a later program added
 * stay. Imports core, ports and the drivers of files.
 */
import { mkdir } from 'node:fs/promises';
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
  BOOT_COUNTER_BYTES,
  BOOT_STATE_BYTES,
  bootCounterPath,
  bootStatePath,
  decodeJson,
  decodeState,
  encodeCounter,
  encodeJson,
  NO_COUNTER,
  readCounter,
  writeCounter,
  type BootFiles,
} from './boot-loader.ts';
import { createDiskFile, openDiskFile, type DiskFile } from './disk-file.ts';
import { ioError, isErrno } from './fs-atomic.ts';
import { createTwoCopyFile } from './two-copy-file.ts';
import { newCopies, TwoCopy, type Copies } from './two-copy.ts';

/** Schema of the state that this program writes and knows. */
export const BOOT_SCHEMA = 1;

/**
 * Lays out the boot chooser of a new appliance, whose system is in the slot `default`. Throws
 * `boot.conflict` when there is one already, `boot.io` when it cannot be written.
 */
export async function createBoot(
  dir: string,
  options: { readonly default: Slot; readonly otherOk?: boolean },
): Promise<void> {
  try {
    await mkdir(dir, { recursive: true });
    const there = await openIfThere(bootStatePath(dir), BOOT_STATE_BYTES);
    if (there !== null) {
      await there[Symbol.asyncDispose]();
      throw new UpdateError('boot.conflict', `There is a boot chooser in ${dir} already`);
    }
    await createDiskFile(bootCounterPath(dir), BOOT_COUNTER_BYTES, encodeCounter(NO_COUNTER));
    const content = firstContent(options.default, options.otherOk ?? false);
    await createDiskFile(bootStatePath(dir), BOOT_STATE_BYTES, content);
  } catch (error) {
    throw ioError(error, 'boot.io', `The boot chooser in ${dir} cannot be laid out`);
  }
}

/** Opens the boot chooser for the system; a missing counter is made again. Throws `boot.io`. */
export async function openBoot(dir: string): Promise<FileBootChooser> {
  let state: DiskFile | null = null;
  try {
    state = await openDiskFile(bootStatePath(dir), { maxBytes: BOOT_STATE_BYTES });
    let counter = await openIfThere(bootCounterPath(dir), BOOT_COUNTER_BYTES);
    if (counter?.sizeBytes !== BOOT_COUNTER_BYTES) {
      await counter?.[Symbol.asyncDispose]();
      // Blank = unreadable for the boot loader, so that a trial that is armed now is not tried.
      await createDiskFile(bootCounterPath(dir), BOOT_COUNTER_BYTES);
      counter = await openDiskFile(bootCounterPath(dir), { maxBytes: BOOT_COUNTER_BYTES });
    }
    return new FileBootChooser({ state, counter });
  } catch (error) {
    await state?.[Symbol.asyncDispose]();
    throw ioError(error, 'boot.io', `The boot chooser in ${dir} cannot be opened`);
  }
}

/** What is still known of a node whose boot state is lost. */
export interface BootRemains {
  /** The slot that the boot loader chose by the seals, and that runs. */
  readonly slot: Slot;
  /** Highest number of a trial in seals and records. */
  readonly trialId: number;
}

/**
 * Makes the state again when no copy of it can be read, also one whose file is gone; returns
 * whether it was lost. Nothing is written when a copy can be read. Throws `boot.io`,
 * `state.newer_schema`.
 */
export async function recreateBoot(dir: string, remains: BootRemains): Promise<boolean> {
  try {
    await mkdir(dir, { recursive: true });
    await createTwoCopyFile(bootStatePath(dir));
  } catch (error) {
    throw ioError(error, 'boot.io', `The boot chooser in ${dir} cannot be made again`);
  }
  await using chooser = await openBoot(dir);
  return await chooser.recreate(remains);
}

/** The port BootChooser over the two files. */
export class FileBootChooser implements BootChooser, AsyncDisposable {
  readonly #state: TwoCopy;
  readonly #counter: DiskFile;

  constructor(files: BootFiles) {
    this.#state = new TwoCopy(files.state, 'boot.io');
    this.#counter = files.counter;
  }

  /**
   * Throws `boot.io` when both copies of the state are lost. A counter that cannot be read counts
   * as nothing used; the boot loader takes the default slot then, whatever is armed.
   */
  async read(): Promise<{ readonly state: BootState; readonly counter: BootCounter }> {
    const state = stateOf(await this.#state.read());
    const counter = await this.#io(() => readCounter(this.#counter));
    return { state, counter: counter ?? NO_COUNTER };
  }

  async arm(trial: {
    readonly id: number;
    readonly slot: Slot;
    readonly tries: number;
  }): Promise<void> {
    const before = stateOf(await this.#state.read());
    if (before.trial === null) await this.#io(() => this.#mendCounter());
    await this.#change((state) => armTrial(state, trial));
  }

  async commit(id: number): Promise<void> {
    await this.#change((state) => commitTrial(state, id));
  }

  async revert(id: number): Promise<void> {
    await this.#change((state) => revertTrial(state, id));
  }

  async setOtherOk(ok: boolean): Promise<void> {
    await this.#change((state) => changeOtherOk(state, ok));
  }

  /**
   * Makes the state again, in both copies, when neither can be read; returns whether it was so. The
   * slot that runs is the default, no trial is armed, the other slot may not boot.
   */
  async recreate(remains: BootRemains): Promise<boolean> {
    const counter = await this.#io(() => readCounter(this.#counter));
    const trialId = Math.max(remains.trialId, counter?.trialId ?? 0);
    const fields = firstBootState(remains.slot, false, trialId);
    const lost = await this.#state.update((copies) =>
      isLost(copies) ? encodeState(fields, null) : null,
    );
    if (lost === null) return false;
    await this.#state.update(() => encodeState(fields, null));
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#state[Symbol.asyncDispose]();
    await this.#counter[Symbol.asyncDispose]();
  }

  /** Nothing to change still makes what was found durable, since the caller relies on it. */
  async #change(change: (state: BootFields) => BootFields | null): Promise<void> {
    const written = await this.#state.update((copies) => {
      const next = change(stateOf(copies));
      return next === null ? null : encodeState(next, copies);
    });
    if (written === null) await this.#state.read();
  }

  /** While no trial is armed the boot loader does not write, so the system may. */
  async #mendCounter(): Promise<void> {
    if ((await readCounter(this.#counter)) === null) await writeCounter(this.#counter, NO_COUNTER);
  }

  async #io<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw ioError(error, 'boot.io', 'The try counter of the boot loader cannot be used');
    }
  }
}

/** Content of the state file of a new appliance. */
export function firstContent(slot: Slot, otherOk: boolean): Uint8Array {
  return newCopies(encodeState(firstBootState(slot, otherOk), null));
}

/** The state as JSON; fields of a later program stay as they are in the copies. */
function encodeState(fields: BootFields, before: Copies | null): Uint8Array {
  const earlier = before?.value ? decodeJson(before.value.bytes) : {};
  const { default: slot, trial, trialId, tries, otherOk } = fields;
  const schema = BOOT_SCHEMA;
  return encodeJson({ ...earlier, schema, default: slot, trial, trialId, tries, otherOk });
}

/** The state as the system may use it; throws `boot.io`, or `state.newer_schema`. */
function stateOf(copies: Copies): BootState {
  const schema = schemaOf(copies);
  if (schema > BOOT_SCHEMA) {
    const message = `The boot state has schema ${schema}, this program knows ${BOOT_SCHEMA}`;
    throw new UpdateError('state.newer_schema', message);
  }
  const state = decodeState(copies);
  if (state !== null) return state;
  const found = copies.states.join(' and ');
  const message = `Both copies of the boot state are lost: the copies are ${found}`;
  throw new UpdateError('boot.io', message, { detail: { copies: copies.states } });
}

/** True when there is nothing that this program or a newer one could read. */
function isLost(copies: Copies): boolean {
  return schemaOf(copies) <= BOOT_SCHEMA && decodeState(copies) === null;
}

/** Schema of the copy that counts; 0 when there is none, or it does not say. */
function schemaOf(copies: Copies): number {
  const { schema } = decodeJson(copies.value?.bytes ?? new Uint8Array(0));
  return typeof schema === 'number' ? schema : 0;
}

async function openIfThere(path: string, maxBytes: number): Promise<DiskFile | null> {
  try {
    return await openDiskFile(path, { maxBytes });
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return null;
    throw error;
  }
}
