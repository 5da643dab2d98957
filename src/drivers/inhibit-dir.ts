/**
 * A directory that stops updates while a file lies in it. A name counts unless it begins with a dot
 * or ends with `~`, so that a package may bring the directory with a placeholder, and an editor's
 * copy stops nothing; directories do not count. Always holds: what cannot be looked into counts as
 * stopping updates, for whoever put a file there believes that it does. Imports core, ports and
 * node.
 */
import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Inhibitor } from '../ports.ts';
import { isErrno } from './fs-atomic.ts';

/** Bytes of a file that are read for its first line, and characters of it that are shown. */
const WORDS_BYTES_MAX = 256;
const WORDS_CHARS_MAX = 120;

/** The files of one directory; one that is missing holds none. */
export class InhibitDirectory implements Inhibitor {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async inhibited(): Promise<string | null> {
    try {
      const entries = await readdir(this.#dir, { withFileTypes: true });
      const names = entries
        .filter((entry) => !entry.isDirectory() && !/^\.|~$/.test(entry.name))
        .map(({ name }) => name)
        .toSorted();
      const [name] = names;
      if (name === undefined) return null;
      const more = names.length > 1 ? ` (and ${names.length - 1} more)` : '';
      const path = join(this.#dir, name);
      const words = await wordsOf(path);
      return `${path}${more} stops updates${words === '' ? '' : `: ${words}`}`;
    } catch (error) {
      if (!isErrno(error)) throw error;
      if (error.code === 'ENOENT') return null;
      return `${this.#dir} cannot be looked into, which stops updates: ${error.message}`;
    }
  }
}

/** The first line of a regular file, fit for a terminal; a pipe or a device is not opened. */
async function wordsOf(path: string): Promise<string> {
  try {
    // A pipe that nobody writes to must not hold the daemon up.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile()) return '';
    const { buffer, bytesRead } = await file.read(Buffer.alloc(WORDS_BYTES_MAX), 0, null, 0);
    const [line = ''] = buffer.toString('utf8', 0, bytesRead).split('\n');
    return line
      .replaceAll(/\p{Cc}/gu, ' ')
      .trim()
      .slice(0, WORDS_CHARS_MAX);
  } catch {
    return '';
  }
}
