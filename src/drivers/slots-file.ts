/**
 * Slots as preallocated files of a fixed size: `<dir>/system-A.img` holds the raw image, beside it
 * `<dir>/system-A.img.seal` says what it is. The seal is overwritten in place in both of its
 * copies, so a full disk never blocks it and no older seal can come back. Always holds: a slot
 * counts as holding an image only between `seal` and the next `invalidate`; a seal that cannot be
 * read whole counts as none. Imports core, ports, node: and the file drivers beside it.
 */
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../core/errors.ts';
import { SLOT_CLASSES, type Slot, type SlotClass, type SlotSeal } from '../core/model.ts';
import type { SlotInfo, Slots } from '../ports.ts';
import { BLOCK_BYTES } from './block-file.ts';
import { preallocate } from './preallocate.ts';
import { createTwoCopyFile, TwoCopyFile } from './two-copy-file.ts';

/** Schema of the seal file. */
export const SEAL_SCHEMA = 1;

/** Size of each class's two slots, in bytes: whole blocks of 4096. */
export type SlotSizes = Readonly<Record<SlotClass, number>>;

interface SealFile {
  readonly schema: number;
  readonly class: SlotClass;
  readonly slot: Slot;
  readonly seal: SlotSeal | null;
}

const slotPath = (dir: string, cls: SlotClass, slot: Slot): string =>
  join(dir, `${cls}-${slot}.img`);
const sealPath = (dir: string, cls: SlotClass, slot: Slot): string =>
  `${slotPath(dir, cls, slot)}.seal`;

/**
 * Lays out the slots of an appliance: four files with their space allocated and a blank seal each.
 * Idempotent; what slots and seals of the right size hold stays. Throws `space.depot` when the disk
 * is too small, `slot.io` for a size that is not a whole number of blocks.
 */
export async function createSlots(dir: string, sizes: SlotSizes): Promise<void> {
  await mkdir(dir, { recursive: true });
  for (const cls of SLOT_CLASSES) {
    const sizeBytes = sizes[cls];
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes % BLOCK_BYTES !== 0) {
      throw new UpdateError(
        'slot.io',
        `a ${cls} slot of ${sizeBytes} bytes, expected a multiple of ${BLOCK_BYTES}`,
      );
    }
    for (const slot of ['A', 'B'] as const) {
      await preallocate(slotPath(dir, cls, slot), sizeBytes);
      const path = sealPath(dir, cls, slot);
      await guarded(path, () => createTwoCopyFile(path));
    }
  }
}

/**
 * The slots that `createSlots` laid out in `dir`. Sizes are read from the files once, here. Throws
 * `slot.io` when a file is missing.
 */
export async function openSlots(dir: string): Promise<Slots> {
  const sizes = new Map<string, number>();
  for (const cls of SLOT_CLASSES) {
    for (const slot of ['A', 'B'] as const) {
      const path = slotPath(dir, cls, slot);
      sizes.set(path, await guarded(path, () => sizeOf(path)));
    }
  }
  return new FileSlots(dir, sizes);
}

class FileSlots implements Slots {
  readonly #dir: string;
  readonly #sizes: ReadonlyMap<string, number>;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(dir: string, sizes: ReadonlyMap<string, number>) {
    this.#dir = dir;
    this.#sizes = sizes;
  }

  async info(cls: SlotClass, slot: Slot): Promise<SlotInfo> {
    const { sizeBytes } = this.device(cls, slot);
    const value = await this.#withSeal(cls, slot, (file) => Promise.resolve(file.value));
    return { class: cls, slot, sizeBytes, seal: readSeal(value, cls, slot) };
  }

  async invalidate(cls: SlotClass, slot: Slot): Promise<void> {
    await this.#write(cls, slot, null);
  }

  async seal(cls: SlotClass, slot: Slot, seal: SlotSeal): Promise<void> {
    await this.#write(cls, slot, seal);
  }

  device(cls: SlotClass, slot: Slot): { readonly path: string; readonly sizeBytes: number } {
    const path = slotPath(this.#dir, cls, slot);
    return { path, sizeBytes: this.#sizes.get(path) ?? 0 };
  }

  async #write(cls: SlotClass, slot: Slot, seal: SlotSeal | null): Promise<void> {
    const value: SealFile = { schema: SEAL_SCHEMA, class: cls, slot, seal };
    await this.#withSeal(cls, slot, async (file) => {
      readSeal(file.value, cls, slot);
      await file.write(value);
    });
  }

  /** One seal at a time: two writers of one file would not know of each other's copies. */
  async #withSeal<T>(
    cls: SlotClass,
    slot: Slot,
    work: (file: TwoCopyFile) => Promise<T>,
  ): Promise<T> {
    const path = sealPath(this.#dir, cls, slot);
    const turn = this.#queue.then(() =>
      guarded(path, async () => {
        await using file = await TwoCopyFile.open(path);
        return await work(file);
      }),
    );
    this.#queue = turn.catch(() => null);
    return await turn;
  }
}

/**
 * The seal in a seal file; null when there is none for this slot. One that does not tell of a
 * commit, because an earlier program wrote it, was never committed.
 */
function readSeal(value: unknown, cls: SlotClass, slot: Slot): SlotSeal | null {
  const file = value as Partial<SealFile> | null;
  if (typeof file?.schema === 'number' && file.schema > SEAL_SCHEMA) {
    throw new UpdateError(
      'state.newer_schema',
      `the seal of ${cls} slot ${slot} has schema ${file.schema}, expected ${SEAL_SCHEMA}`,
    );
  }
  const seal = file?.class === cls && file.slot === slot ? (file.seal ?? null) : null;
  return seal === null ? null : { ...seal, committed: trialNumber(seal.committed) };
}

/** The number of a trial, or null for anything else. */
function trialNumber(value: unknown): number | null {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;
}

async function sizeOf(path: string): Promise<number> {
  await using file = await open(path, 'r');
  return (await file.stat()).size;
}

async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof UpdateError && cause.code !== 'state.io') throw cause;
    const word = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new UpdateError('slot.io', `${path}: ${word}`, { cause, detail: { path, error: word } });
  }
}
