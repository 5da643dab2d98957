/**
 * What a node must not forget over a restart that an operator asked for: who did, and that the
 * promise to stand down was made for it alone. Always holds: the file has its space from the
 * beginning, so that a full disk is no reason to come back without the note; a note that cannot be
 * read counts as none. Imports core and the drivers of files.
 */
import { join } from 'node:path';
import { asUpdateError } from '../core/errors.ts';
import type { PowerKind } from '../core/power.ts';
import { createTwoCopyFile, TwoCopyFile } from '../drivers/two-copy-file.ts';

/** One restart or shutdown that is on its way. */
export interface PowerNote {
  readonly v: 1;
  readonly job: string;
  readonly kind: PowerKind;
  readonly by: string;
  readonly reason: string | null;
  readonly startedAt: string;
  /** The boot that was to end. */
  readonly bootId: string;
  /** The promise to stand down is this restart's own, so it ends with it. */
  readonly standDown: boolean;
}

/** Where the note of a node is kept. */
export interface PowerNotes {
  read(): PowerNote | null;
  /** Durable when it returns. Throws `state.io`. */
  write(note: PowerNote | null): Promise<void>;
}

/** Name of the file in the state directory. */
const FILE = 'power';

/** The note in the state directory. Without a file, what it is good for is told by `log`. */
export async function openPowerNotes(
  stateDir: string,
  log: (line: string) => void,
): Promise<PowerNotes & AsyncDisposable> {
  const path = join(stateDir, FILE);
  try {
    await createTwoCopyFile(path);
    const file = await TwoCopyFile.open(path);
    return {
      read: () => noteOf(file.value),
      write: (note) => file.write(note),
      [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
    };
  } catch (error) {
    log(`${path} cannot be used, so no restart can be asked for: ${asUpdateError(error).message}`);
    return {
      read: () => null,
      write: () => Promise.reject(asUpdateError(error)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
}

function noteOf(value: unknown): PowerNote | null {
  const note = value as Partial<PowerNote> | null;
  const kinds: readonly unknown[] = ['restart', 'shutdown'];
  const texts = [note?.job, note?.by, note?.startedAt, note?.bootId];
  const good =
    note?.v === 1 &&
    kinds.includes(note.kind) &&
    texts.every((text) => typeof text === 'string') &&
    typeof note.standDown === 'boolean';
  return good ? (note as PowerNote) : null;
}
