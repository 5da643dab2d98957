/**
 * A small JSON value in a two-copy file on disk (two-copy.ts), for seals, progress and the like.
 * Always holds: after `write` no older value can come back, because both copies carry the new one;
 * a value that cannot be read whole counts as none. Imports core and the file drivers beside it.
 */
import { stat } from 'node:fs/promises';
import { createDiskFile, openDiskFile } from './disk-file.ts';
import { TWO_COPY_BYTES, TwoCopy } from './two-copy.ts';

/**
 * Makes the file with both copies blank, its space written; one of the right size stays as it is.
 * Throws plain errors of the system.
 */
export async function createTwoCopyFile(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found?.size !== TWO_COPY_BYTES) await createDiskFile(path, TWO_COPY_BYTES);
}

/** One open file. Errors of the disk are `state.io`. */
export class TwoCopyFile implements AsyncDisposable {
  readonly #copies: TwoCopy;
  #value: unknown;

  private constructor(copies: TwoCopy, value: unknown) {
    this.#copies = copies;
    this.#value = value;
  }

  /** Opens an existing file and reads it. Throws plain errors of the system when it cannot. */
  static async open(path: string): Promise<TwoCopyFile> {
    const copies = new TwoCopy(await openDiskFile(path, { maxBytes: TWO_COPY_BYTES }), 'state.io');
    try {
      const { value } = await copies.read();
      const text = value === null ? 'null' : Buffer.from(value.bytes).toString('utf8');
      return new TwoCopyFile(copies, JSON.parse(text));
    } catch (error) {
      await copies[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The value that counts; null when neither copy is valid (blank or damaged). */
  get value(): unknown {
    return this.#value;
  }

  /** Replaces the value in both copies, the older one first; durable when it returns. */
  async write(value: unknown): Promise<void> {
    await this.writeOne(value);
    await this.writeOne(value);
  }

  /**
   * Replaces the value in the older copy only, durable when it returns: half the cost, for values
   * where coming back to the one before does no harm.
   */
  async writeOne(value: unknown): Promise<void> {
    await this.#copies.update(() => Buffer.from(JSON.stringify(value)));
    this.#value = value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#copies[Symbol.asyncDispose]();
  }
}
