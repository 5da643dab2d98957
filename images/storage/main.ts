/**
 * The storage software as a program: holds one copy of the replicated store (README beside this
 * file). Started with one argument, a JSON object or the path of a file with it. Always holds: one
 * process per data directory; it prints `{"ready":true}` on standard output when it listens on its
 * socket, and reasons of an end on standard error; after a start it is a secondary, whatever it was
 * before. Composes the modules of images/storage.
 */
import { mkdir, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UpdateError } from '../../src/core/errors.ts';
import { Api } from './api.ts';
import { checkHealth, prepareProbe } from './health.ts';
import { FORMAT_MAX, FORMAT_MIN } from './limits.ts';
import { ReplicationLink } from './link.ts';
import { Objects } from './objects.ts';
import { operationsOf } from './operations.ts';
import {
  checkFormat,
  loadOwnKeys,
  lockData,
  readRelease,
  runProgram,
  untilEnd,
  type Settings,
} from './program.ts';
import { Replica } from './replica.ts';
import { Room } from './room.ts';
import { StateFile } from './state.ts';
import { Verifier } from './verify.ts';

/** Throws `config.invalid` where DRBD keeps the copy: an empty one would stand beside it. */
async function checkNoOtherKind(dataDir: string): Promise<void> {
  if ((await stat(join(dataDir, 'drbd/state')).catch(() => null)) === null) return;
  const message = `${dataDir} belongs to a copy that DRBD keeps; this storage software has another`;
  throw new UpdateError('config.invalid', message);
}

async function run(settings: Settings): Promise<void> {
  const release = await readRelease(settings.releaseFile);
  const formatMax = Math.min(release.formatLevel ?? FORMAT_MIN, FORMAT_MAX);
  await mkdir(settings.dataDir, { recursive: true, mode: 0o700 });
  const dataDir = await realpath(settings.dataDir);
  await checkNoOtherKind(dataDir);
  await using _lock = await lockData(dataDir);
  const logDir = join(dataDir, 'log');
  await using state = await StateFile.open(dataDir, settings, async () => {
    const names = await readdir(logDir).catch(() => []);
    return names.length === 0;
  });
  checkFormat(state.now.formatLevel, formatMax, release);
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
  const keys = await loadOwnKeys(settings);
  const replica = new Replica({ objects, state, formatMax });
  room.onLook = () => replica.looked();
  replica.verifier = await Verifier.open(replica, dataDir);
  const { node, listen, peer, silentMs } = settings;
  const onConnection = replica.attach.bind(replica);
  const channel = { node, listen, peer, keys, silentMs, onConnection };
  await using link = new ReplicationLink(channel);
  const programDir = dirname(fileURLToPath(import.meta.url));
  const health = () => checkHealth({ replica, link, dataDir, programDir });
  await using api = new Api({
    path: settings.socket,
    feed: replica.feed,
    status: () => replica.status(),
    operations: operationsOf({ replica, release, health }),
  });
  const ended = untilEnd(settings.followStdin === true);
  await link.start();
  await api.start();
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
  await ended;
}

const WORDS = `tandem storage, disk format levels ${FORMAT_MIN}-${FORMAT_MAX}`;
await runProgram(process.argv[2], WORDS, run);
