/**
 * The driver of the storage software against the contract of its port, with real processes, and
 * its log. Imports tap, the driver and the harness of the storage tests.
 */
import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { cp, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import { startChild } from '../../src/drivers/managed-child.ts';
import { createStorageProcess } from '../../src/drivers/storage-process.ts';
import { freePort } from '../../scripts/demo/ports.ts';
import { storageSoftwareContract } from '../contracts/storage-software.ts';
import { shortDir } from './short-dir.ts';
import { makeImageDir, makePairKeys, PAIR } from '../storage/pair.ts';

const root = t.testdir();
await makePairKeys(root);
const slotA = await makeImageDir(join(root, 'slot-A'));
const images = {
  good: await makeImageDir(join(root, 'good'), 1, '2.0.0'),
  unhealthy: join(root, 'unhealthy'),
  broken: join(root, 'broken'),
};
await cp(images.good, images.unhealthy, { recursive: true });
await writeFile(join(images.unhealthy, 'opt/storage/fail-health'), 'bad on purpose\n');
await cp(images.good, images.broken, { recursive: true });
const bad = "process.stderr.write('broken on purpose\\n'); process.exit(3);";
await writeFile(join(images.broken, 'opt/storage/storage.mjs'), bad);
let made = 0;

await storageSoftwareContract(t, 'process', async (t, slotB) => {
  made += 1;
  const dir = join(root, `run-${made}`);
  await mkdir(dir);
  const at = `127.0.0.1:${await freePort()}`;
  const software = createStorageProcess({
    node: 'A',
    pair: PAIR,
    listen: at,
    peer: at,
    socket: join(shortDir(t), 'sock'),
    dataDir: join(dir, 'data'),
    keysDir: join(root, 'keys-A'),
    logFile: join(dir, 'storage.log'),
    unpack: async (slot) => {
      if (slot === 'A') return slotA;
      if (slotB === 'empty') throw new UpdateError('slot.unpack', 'the slot is empty');
      return images[slotB];
    },
  });
  t.teardown(() => software[Symbol.asyncDispose]());
  return {
    software,
    crash: async () => {
      const gone = Promise.withResolvers<void>();
      software.onExit(() => gone.resolve());
      process.kill(software.pid ?? NaN, 'SIGKILL');
      await gone.promise;
    },
  };
});

t.test('a content without a release file is refused', async (t) => {
  const dir = t.testdir({ opt: {} });
  const at = '127.0.0.1:1';
  const options = { node: 'A', pair: PAIR, listen: at, peer: at } as const;
  const paths = { socket: `${dir}/s`, dataDir: dir, keysDir: dir, logFile: `${dir}/log` };
  await using software = createStorageProcess({ ...options, ...paths, unpack: async () => dir });
  const start = software.start('A', AbortSignal.timeout(20_000));
  await t.rejects(start, { code: 'slot.unpack', message: /tandem-release/ });
});

t.test('what a child prints is kept, bounded, and its last line is the reason', async (t) => {
  const dir = t.testdir({
    'talk.mjs': `
      for (let n = 0; n < 40; n += 1) process.stderr.write('x'.repeat(60_000) + '\\n');
      process.stderr.write('the reason\\n');
      process.exitCode = 7;`,
  });
  const logFile = join(dir, 'logs', 'talk.log');
  const ended = Promise.withResolvers<string>();
  const child = startChild({
    execPath: process.execPath,
    program: join(dir, 'talk.mjs'),
    args: [],
    logFile,
    onOutput: () => undefined,
    onExit: ended.resolve,
  });
  t.equal(await ended.promise, 'ended with status 7: the reason');
  t.equal(child.ended, 'ended with status 7: the reason');
  await child.stop(0);
  t.ok((await stat(logFile)).size <= 1.2 * 1024 * 1024);
  t.ok((await stat(`${logFile}.1`)).size <= 1.2 * 1024 * 1024);
  t.match(await readFile(logFile, 'utf8'), /the reason\n$/);
});

t.test('a child that does not heed SIGTERM is killed, one that cannot run says so', async (t) => {
  const dir = t.testdir({
    'deaf.mjs': "process.on('SIGTERM', () => {}); setInterval(() => {}, 9e6); console.log('up');",
  });
  const up = Promise.withResolvers<void>();
  const reasons: string[] = [];
  const options = { args: [], logFile: join(dir, 'log'), onExit: (r: string) => reasons.push(r) };
  const program = join(dir, 'deaf.mjs');
  const { execPath } = process;
  const deaf = startChild({ ...options, execPath, program, onOutput: () => up.resolve() });
  await up.promise;
  await deaf.stop(50);
  t.same(reasons, ['was ended by SIGKILL']);
  // A signal sent before Node has told that it could not start would reach any process at all.
  let signals = 0;
  const spy = (message: unknown): void => {
    const { process: made } = message as { process: ChildProcess };
    made.kill = () => (signals += 1) > 0;
  };
  subscribe('child_process', spy);
  const none = startChild({
    ...options,
    execPath: join(dir, 'nothing'),
    program,
    onOutput: () => undefined,
  });
  unsubscribe('child_process', spy);
  await none.stop(50);
  t.equal(signals, 0);
  t.match(reasons[1], /^could not be started: spawn .* ENOENT$/);
});
