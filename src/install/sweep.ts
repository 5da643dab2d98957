/**
 * Keeps the memory of this thread small while it decompresses with dictionaries: zstd's copy of one
 * is given back only when the collector finds the finished decompressor, which is a few bytes to it
 * and up to two MiB to the machine. Always holds: what is done here changes no result, and where
 * the collector cannot be called nothing is done. Imports node: alone.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** So much may lie about, in bytes of dictionaries. */
const LITTER_BYTES_MAX = 4 * 1024 * 1024;

type Collect = (options: { readonly type: 'minor' }) => void;

/** One thread's broom. */
export class Sweep {
  readonly #collect: Collect | null = collector();
  #litterBytes = 0;

  /** To be called after a dictionary of so many bytes was used. */
  after(dictionaryBytes: number): void {
    this.#litterBytes += dictionaryBytes;
    if (this.#litterBytes < LITTER_BYTES_MAX) return;
    this.#litterBytes = 0;
    this.#collect?.({ type: 'minor' });
  }
}

/** V8's own function; Node shows it under a flag, which may be set while it runs. */
function collector(): Collect | null {
  setFlagsFromString('--expose-gc');
  const found: unknown = runInNewContext('globalThis.gc');
  return typeof found === 'function' ? (found as Collect) : null;
}
