/**
 * Reads pieces of an open bundle file into memory that is used again and again. Always holds: the
 * whole piece arrives, or an error. Imports core and node:fs; little enough for a worker thread to
 * load at once.
 */
import { read, readSync } from 'node:fs';
import { UpdateError } from '../core/errors.ts';

/**
 * Fills `bytes` from position `at` of an open bundle file, without a turn of the loop. Throws
 * `bundle.truncated`, `file.unreadable`.
 */
export function readBundle(fd: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length;) {
    let n: number;
    try {
      n = readSync(fd, bytes, done, bytes.length - done, at + done);
    } catch (cause) {
      throw unreadable(cause);
    }
    if (n === 0) throw endsAt(at + done);
    done += n;
  }
}

/** As `readBundle`, beside other work; the file stays open until it has settled. */
export async function readBundleLater(fd: number, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const n = await new Promise<number>((resolve, reject) => {
      read(fd, bytes, done, bytes.length - done, at + done, (cause, count) => {
        if (cause === null) resolve(count);
        else reject(unreadable(cause));
      });
    });
    if (n === 0) throw endsAt(at + done);
    done += n;
  }
}

function unreadable(cause: unknown): UpdateError {
  const word = (cause as NodeJS.ErrnoException).code ?? String(cause);
  return new UpdateError('file.unreadable', `the bundle cannot be read: ${word}`, { cause });
}

const endsAt = (at: number): UpdateError =>
  new UpdateError('bundle.truncated', `it ends at byte ${at}`);
