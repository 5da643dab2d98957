/**
 * The two files of the boot chooser as a boot loader reads and writes them at power-on; what it
 * decides is core/boot.ts, and in the embedded default the supervisor plays its part. Always holds:
 * `state` is only read here; what cannot be read whole counts as lost; and a counter that was saved
 * was read back. Imports core and the drivers of files.
 */
import { join } from 'node:path';
import type { BootCounter, BootState } from '../core/boot.ts';
import { UpdateError } from '../core/errors.ts';
import { SECTOR_BYTES } from '../core/frame.ts';
import type { Slot } from '../core/model.ts';
import { openDiskFile, type DiskFile } from './disk-file.ts';
import { ioError } from './fs-atomic.ts';
import { decodeValue, encodeValue, readCopies, TWO_COPY_BYTES, type Copies } from './two-copy.ts';

/** The two files of a boot chooser, open. */
export interface BootFiles {
  readonly state: DiskFile;
  readonly counter: DiskFile;
}

/** Sizes of the two files, in bytes. */
export const BOOT_STATE_BYTES = TWO_COPY_BYTES;
/** Size of the file with the try counter: one sector, so that it is written whole. */
export const BOOT_COUNTER_BYTES = SECTOR_BYTES;
/** A boot loader has no attempts saved for any trial. */
export const NO_COUNTER: BootCounter = { trialId: 0, used: 0 };

/** The file that only the operating system writes. */
export const bootStatePath = (dir: string): string => join(dir, 'state');
/** The file that only the boot loader writes. */
export const bootCounterPath = (dir: string): string => join(dir, 'counter');

/** Both as they are on disk; null = cannot be read or is damaged (of the state: both copies). */
export interface BootContent {
  readonly state: BootState | null;
  readonly counter: BootCounter | null;
}

/** Reads the two files of a directory; never throws for what a power cut or rot can do. */
export async function readBootFiles(dir: string): Promise<BootContent> {
  const state = await readWhole(bootStatePath(dir), BOOT_STATE_BYTES);
  const counter = await readWhole(bootCounterPath(dir), BOOT_COUNTER_BYTES);
  return {
    state: state === null ? null : decodeState(readCopies(state)),
    counter: counter === null ? null : decodeCounter(counter),
  };
}

/**
 * Saves the counter in place, reads it back and compares. Throws `boot.io` when it cannot be saved
 * or confirmed: then the default slot is to be booted.
 */
export async function saveCounter(dir: string, counter: BootCounter): Promise<void> {
  const path = bootCounterPath(dir);
  try {
    await using file = await openDiskFile(path, { maxBytes: BOOT_COUNTER_BYTES });
    await writeCounter(file, counter);
  } catch (error) {
    throw ioError(error, 'boot.io', `The try counter ${path} cannot be saved`);
  }
}

/** The counter in an open file, or null when it is damaged. Throws plain errors of the system. */
export async function readCounter(file: DiskFile): Promise<BootCounter | null> {
  if (file.sizeBytes < BOOT_COUNTER_BYTES) return null;
  return decodeCounter(await file.read(0, BOOT_COUNTER_BYTES));
}

/** Writes the counter, reads it back and compares; throws `boot.io` or plain errors. */
export async function writeCounter(file: DiskFile, counter: BootCounter): Promise<void> {
  const bytes = encodeCounter(counter);
  await file.write(0, bytes);
  await file.sync();
  const back = await file.read(0, bytes.length);
  if (bytes.every((byte, index) => byte === back[index])) return;
  throw new UpdateError('boot.io', `${file.name} does not hold the counter that was written`);
}

/** The counter as it lies on disk: one sector. */
export function encodeCounter(counter: BootCounter): Uint8Array {
  return encodeValue(1, encodeJson({ ...counter }));
}

/** The state of the copies, or null when no copy holds one. Later fields are ignored. */
export function decodeState(copies: Copies): BootState | null {
  if (copies.value === null) return null;
  const fields = decodeJson(copies.value.bytes);
  const { default: slot, trial, trialId, tries, otherOk } = fields;
  const good =
    isSlot(slot) &&
    (trial === null || (isSlot(trial) && trial !== slot)) &&
    isCount(trialId) &&
    isCount(tries) &&
    typeof otherOk === 'boolean';
  if (!good) return null;
  return { seq: copies.value.seq, default: slot, trial, trialId, tries, otherOk };
}

/** JSON of an object as bytes. */
export function encodeJson(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** The object that these bytes hold as JSON; an empty one when they hold none. */
export function decodeJson(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function decodeCounter(bytes: Uint8Array): BootCounter | null {
  const value = decodeValue(bytes);
  if (value === null) return null;
  const { trialId, used } = decodeJson(value.bytes);
  return isCount(trialId) && isCount(used) ? { trialId, used } : null;
}

async function readWhole(path: string, sizeBytes: number): Promise<Uint8Array | null> {
  try {
    await using file = await openDiskFile(path, { maxBytes: sizeBytes, readOnly: true });
    return await file.read(0, sizeBytes);
  } catch (error) {
    if (ioError(error, 'boot.io', path) instanceof UpdateError) return null;
    throw error;
  }
}

function isSlot(value: unknown): value is Slot {
  return value === 'A' || value === 'B';
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
