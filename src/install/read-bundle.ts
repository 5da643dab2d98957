/**
 * Reads pieces of an open bundle file into memory that is used again and again, for the threads
 * whose loops do nothing else. Always holds: the whole piece arrives, or an error. Imports core and
 * node:fs; little enough for a worker thread to load at once.
 */
import { readSync } from 'node:fs';
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
      const word = (cause as NodeJS.ErrnoException).code ?? String(cause);
      throw new UpdateError('file.unreadable', `the bundle cannot be read: ${word}`, { cause });
    }
    if (n === 0) throw new UpdateError('bundle.truncated', `it ends at byte ${at + done}`);
    done += n;
  }
}
