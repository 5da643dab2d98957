/**
 * The newer updater that a bundle is made with: read whole, and started once, because its version
 * is what it says itself. Imports core, and the bundle room lazily.
 */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { UpdateError } from '../core/errors.ts';

/** A program that does not say its version within this time is none. */
const VERSION_MS = 60_000;

/**
 * The program of `--updater`; undefined where the option is not given. Throws `file.*`, and
 * `bundle.invalid_input` for a program that does not say its version.
 */
export async function broughtUpdater(
  path: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly version: string; readonly bytes: Uint8Array } | undefined> {
  if (path === undefined) return undefined;
  const { readSmallFile } = await import('../bundle/source.ts');
  const { UPDATER_BYTES_MAX } = await import('../bundle/limits.ts');
  const bytes = await readSmallFile(path, UPDATER_BYTES_MAX);
  const words = [resolve(path), '--version'];
  try {
    const limit = { signal, timeout: VERSION_MS, maxBuffer: 4096 };
    const { stdout } = await promisify(execFile)(process.execPath, words, limit);
    return { version: stdout.trim(), bytes };
  } catch (cause) {
    signal.throwIfAborted();
    const message = `found ${path}, a program that does not say its version with --version`;
    throw new UpdateError('bundle.invalid_input', message, { cause });
  }
}
