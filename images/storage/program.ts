/**
 * What every storage software needs as a program: its settings, its release, the lock of its data
 * directory, its end, and the words with which it fails. Always holds: one process per data
 * directory. Imports core, keys, the lock and the release.
 */
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import {
  parseRelease,
  RELEASE_BYTES_MAX,
  type NodeId,
  type Release,
} from '../../src/core/model.ts';
import { readFileLimited } from '../../src/drivers/fs-atomic.ts';
import type { PairKeys } from '../../src/drivers/keys.ts';
import { openLiveKeys } from '../../src/drivers/live-keys.ts';
import { awaitStateUnlocked, lockState } from '../../src/drivers/state-lock.ts';

/** How long a process that ends may hold the data directory. */
const LOCK_MS = 10_000;
const SETTINGS_BYTES_MAX = 16 * 1024;

/** What the daemon tells the storage software (README beside this file). */
export interface Settings {
  readonly node: NodeId;
  readonly pair: string;
  readonly listen: string;
  readonly peer: string;
  readonly socket: string;
  readonly dataDir: string;
  readonly keysDir: string;
  readonly releaseFile: string;
  /**
   * Silence after which the peer counts as lost, in milliseconds; the replication's own when it is
   * not said (daemons up to 0.2.0).
   */
  readonly silentMs?: number;
  /** End when standard input ends, that is, when the process that started this one has ended. */
  readonly followStdin?: boolean;
}

const TEXTS = ['pair', 'listen', 'peer', 'socket', 'dataDir', 'keysDir', 'releaseFile'] as const;

/** The settings from the program's argument. Throws `usage.invalid`, `config.invalid`. */
async function readSettings(argument: string | undefined): Promise<Settings> {
  if (argument === undefined) {
    throw new UpdateError('usage.invalid', 'one argument is expected: settings as JSON or a file');
  }
  const inline = argument.startsWith('{');
  const text = inline
    ? argument
    : (await readFileLimited(argument, SETTINGS_BYTES_MAX)).toString('utf8');
  let value: Partial<Settings> | null;
  try {
    value = JSON.parse(text) as Partial<Settings> | null;
  } catch (cause) {
    throw new UpdateError('config.invalid', 'the settings are not JSON', { cause });
  }
  const missing = TEXTS.find((name) => typeof value?.[name] !== 'string');
  if (missing !== undefined) throw new UpdateError('config.invalid', `${missing} is missing`);
  if (value?.node !== 'A' && value?.node !== 'B') {
    throw new UpdateError('config.invalid', 'node is A or B');
  }
  const { silentMs = 1 } = value;
  if (typeof silentMs !== 'number' || !(silentMs > 0)) {
    throw new UpdateError('config.invalid', 'silentMs is a number of milliseconds above 0');
  }
  return value as Settings;
}

/** The release file of the image that the program lies in. */
export async function readRelease(path: string): Promise<Release> {
  return parseRelease((await readFileLimited(path, RELEASE_BYTES_MAX)).toString('utf8'));
}

/** Takes the data directory; waits for a process that is just ending. */
export async function lockData(dataDir: string): Promise<AsyncDisposable> {
  const limit = AbortSignal.timeout(LOCK_MS);
  for (;;) {
    try {
      return await lockState(dataDir);
    } catch (error) {
      if (asUpdateError(error).code !== 'state.locked' || limit.aborted) throw error;
      await awaitStateUnlocked(dataDir, limit).catch(() => undefined);
    }
  }
}

/** Resolves when the process is told to end. */
export async function untilEnd(followStdin: boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  if (followStdin) {
    process.stdin.resume();
    process.stdin.once('close', () => resolve());
    process.stdin.once('end', () => resolve());
  }
  await promise;
  // An open input would keep the process alive.
  if (followStdin) process.stdin.destroy();
}

/** The keys of the pairing; throws `config.invalid` when they are those of another node. */
export async function loadOwnKeys(settings: Settings): Promise<PairKeys> {
  const keys = await openLiveKeys(settings.keysDir);
  if (keys.pair === settings.pair && keys.node === settings.node) return keys;
  const found = `the keys belong to node ${keys.node} of pair ${keys.pair}`;
  const expected = `node ${settings.node} of pair ${settings.pair}`;
  throw new UpdateError('config.invalid', `${found}, expected ${expected}`);
}

/** Throws `state.newer_schema` when the disk is of a newer format than this release writes. */
export function checkFormat(level: number, formatMax: number, { version }: Release): void {
  if (level <= formatMax) return;
  throw new UpdateError(
    'state.newer_schema',
    `the store has format level ${level}, release ${version} writes at most ${formatMax}`,
  );
}

/**
 * The program from its argument to its end: `run` ends when the process is told to. A failure is
 * said on standard error, and the exit status is 1 then.
 */
export async function runProgram(
  argument: string | undefined,
  words: string,
  run: (settings: Settings) => Promise<void>,
): Promise<void> {
  if (argument === '--version') {
    process.stdout.write(`${words}\n`);
    return;
  }
  try {
    await run(await readSettings(argument));
  } catch (error) {
    const { code, message } = asUpdateError(error);
    process.stderr.write(`${code}: ${message}\n`);
    process.exitCode = 1;
  }
}
