/**
 * A bounded log of what programs print: the file and its predecessor, `<name>.1`. Always holds:
 * each of the two has at most `CHILD_LOG_BYTES_MAX` bytes, whatever is printed and however many
 * programs write; what is in the file is complete under one name or the other, also when the power
 * goes while it gets its other name; a log that cannot be written stops nobody. It is written at
 * once, so that the last words of a program are there when this process ends. Imports Node alone.
 */
import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Most bytes of a log and of its predecessor, each. */
export const CHILD_LOG_BYTES_MAX = 1024 * 1024;
/** Most that one piece of output adds to a log; the rest of it is lost. */
export const CHILD_LOG_CHUNK_BYTES_MAX = 64 * 1024;

/** A writer that never fails: a full disk must not end the program whose words it keeps. */
export function openChildLog(
  path: string,
  maxBytes: number = CHILD_LOG_BYTES_MAX,
): (chunk: Uint8Array) => void {
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch {
    // The first write finds out again.
  }
  return (chunk) => {
    const kept = chunk.subarray(0, Math.min(CHILD_LOG_CHUNK_BYTES_MAX, maxBytes));
    try {
      // Asked for each time, because another program may write to the same log.
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      if (size + kept.length > maxBytes) turnOver(path);
      appendFileSync(path, kept, { mode: 0o600 });
    } catch {
      // Nothing can be said about it here; the health check finds a disk that cannot be written.
    }
  };
}

/** The rename is one step of the file system; what was printed before it reaches the disk soon. */
function turnOver(path: string): void {
  const older = `${path}.1`;
  renameSync(path, older);
  void syncFile(older);
}

async function syncFile(path: string): Promise<void> {
  try {
    await using file = await open(path, 'r');
    await file.datasync();
  } catch {
    // It is written back by the kernel in its own time, as everything before it.
  }
}
