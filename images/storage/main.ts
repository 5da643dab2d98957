/**
 * The storage software as a program: holds one copy of the replicated store (README beside this
 * file). Started with one argument, a JSON object or the path of a file with it. Always holds: one
 * process per data directory; it prints `{"ready":true}` on standard output when it listens on its
 * socket, and reasons of an end on standard error; after a start it is a secondary, whatever it was
 * before. Composes the modules of images/storage.
 */
import { mkdir, readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import {
  parseRelease,
  RELEASE_BYTES_MAX,
  type NodeId,
  type Release,
} from '../../src/core/model.ts';
import { readFileLimited } from '../../src/drivers/fs-atomic.ts';
import { loadKeys } from '../../src/drivers/keys.ts';
import { awaitStateUnlocked, lockState } from '../../src/drivers/state-lock.ts';
import { Api } from './api.ts';
import { checkHealth, prepareProbe } from './health.ts';
import { FORMAT_MAX, FORMAT_MIN } from './limits.ts';
import { ReplicationLink } from './link.ts';
import { Objects } from './objects.ts';
import { Replica } from './replica.ts';
import { Room } from './room.ts';
import { StateFile } from './state.ts';
import { Verifier } from './verify.ts';

/** How long a process that ends may hold the data directory. */
const LOCK_MS = 10_000;
const SETTINGS_BYTES_MAX = 16 * 1024;

interface Settings {
  readonly node: NodeId;
  readonly pair: string;
  readonly listen: string;
  readonly peer: string;
  readonly socket: string;
  readonly dataDir: string;
  readonly keysDir: string;
  readonly releaseFile: string;
  /** End when standard input ends, that is, when the process that started this one has ended. */
  readonly followStdin?: boolean;
}

const TEXTS = ['pair', 'listen', 'peer', 'socket', 'dataDir', 'keysDir', 'releaseFile'] as const;

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
  return value as Settings;
}

async function readRelease(path: string): Promise<Release> {
  return parseRelease((await readFileLimited(path, RELEASE_BYTES_MAX)).toString('utf8'));
}

/** Takes the data directory; waits for a process that is just ending. */
async function lock(dataDir: string): Promise<AsyncDisposable> {
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
async function untilEnd(followStdin: boolean): Promise<void> {
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

async function run(settings: Settings): Promise<void> {
  const release = await readRelease(settings.releaseFile);
  const formatMax = Math.min(release.formatLevel ?? FORMAT_MIN, FORMAT_MAX);
  await mkdir(settings.dataDir, { recursive: true, mode: 0o700 });
  const dataDir = await realpath(settings.dataDir);
  await using _lock = await lock(dataDir);
  const logDir = join(dataDir, 'log');
  await using state = await StateFile.open(dataDir, settings, async () => {
    const names = await readdir(logDir).catch(() => []);
    return names.length === 0;
  });
  if (state.now.formatLevel > formatMax) {
    throw new UpdateError(
      'state.newer_schema',
      `the store has format level ${state.now.formatLevel}, release ${release.version} writes ` +
        `at most ${formatMax}`,
    );
  }
  using room = await Room.open(dataDir);
  await prepareProbe(dataDir);
  await using objects = await Objects.open({
    dir: logDir,
    room,
    formatLevel: () => state.now.formatLevel,
  });
  if (objects.damage !== null) {
    const { code, message } = objects.damage;
    process.stderr.write(
      `${code}: ${message}; this copy counts for nothing until it is compared\n`,
    );
  }
  const keys = await loadKeys(settings.keysDir);
  if (keys.pair !== settings.pair || keys.node !== settings.node) {
    const found = `the keys belong to node ${keys.node} of pair ${keys.pair}`;
    const expected = `node ${settings.node} of pair ${settings.pair}`;
    throw new UpdateError('config.invalid', `${found}, expected ${expected}`);
  }
  const replica = new Replica({ objects, state, formatMax });
  room.onLook = () => replica.looked();
  replica.verifier = await Verifier.open(replica, dataDir);
  const { node, listen, peer } = settings;
  const attach = replica.attach.bind(replica);
  await using link = new ReplicationLink({ node, listen, peer, keys, onConnection: attach });
  const programDir = dirname(fileURLToPath(import.meta.url));
  const health = () => checkHealth({ replica, link, dataDir, programDir });
  await using api = new Api({ path: settings.socket, replica, release, health });
  const ended = untilEnd(settings.followStdin === true);
  await link.start();
  await api.start();
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
  await ended;
}

async function main(argument: string | undefined): Promise<void> {
  if (argument === '--version') {
    process.stdout.write(`tandem storage, disk format levels ${FORMAT_MIN}-${FORMAT_MAX}\n`);
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

await main(process.argv[2]);
