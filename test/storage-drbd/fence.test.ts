/**
 * The fence-peer handler as the kernel runs it: the real script in a real shell, and the word that
 * answers it. Imports tap and images/storage-drbd.
 */
import { spawn } from 'node:child_process';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { FenceWord, type FencePaths } from '../../images/storage-drbd/fence.ts';

function pathsIn(t: Test): FencePaths {
  const dir = t.testdir();
  const script = join(dir, 'fence-peer');
  return { script, requests: join(dir, 'requests'), pidFile: join(dir, 'pid') };
}

/** Runs the script as drbdadm does; resolves with its status. */
function call({ script }: FencePaths): Promise<number | null> {
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  const child = spawn(script, [], { stdio: 'ignore' });
  child.once('error', reject);
  child.once('close', resolve);
  return promise;
}

async function requests(paths: FencePaths, count: number): Promise<readonly string[]> {
  for (;;) {
    const names = await readdir(paths.requests);
    if (names.length === count) return names;
    await sleep(10);
  }
}

t.test('a word answers the request that is there', async (t) => {
  const paths = pathsIn(t);
  using word = await FenceWord.open(paths);
  const status = call(paths);
  await requests(paths, 1);
  await word.give();
  t.equal(await status, 7, 'the peer was fenced');
  await requests(paths, 0);
  word.take();
});

t.test('a word answers what comes while it counts, and nothing after', async (t) => {
  const paths = pathsIn(t);
  using word = await FenceWord.open(paths);
  await word.give();
  t.equal(await call(paths), 7);
  t.equal(await call(paths), 7);
  word.take();
  let ended = false;
  const later = call(paths).finally(() => (ended = true));
  await requests(paths, 1);
  await sleep(300);
  t.equal(ended, false, 'without a word it waits, and the kernel is frozen');
  await word.refuse(() => false);
  t.equal(ended, false);
  await word.refuse();
  t.equal(await later, 1, 'a status that leaves the kernel frozen');
});

t.test('without its storage software the script ends without a word', async (t) => {
  const paths = pathsIn(t);
  using word = await FenceWord.open(paths);
  t.ok(word);
  // No process has this id: it is above what Linux gives.
  await writeFile(paths.pidFile, '4194305\n');
  t.equal(await call(paths), 1);
});

t.test('a new start ends what waited for the old one, and forgets what died', async (t) => {
  const paths = pathsIn(t);
  using first = await FenceWord.open(paths);
  t.ok(first);
  const status = call(paths);
  await requests(paths, 1);
  await mkdir(join(paths.requests, '4194305'));
  using second = await FenceWord.open(paths);
  t.ok(second);
  t.equal(await status, 1);
  await requests(paths, 0);
});

t.test('what an earlier process with the same number left behind is no answer', async (t) => {
  const paths = pathsIn(t);
  using word = await FenceWord.open(paths);
  // The shell becomes the script, and so the number is known before.
  const { promise, resolve } = Promise.withResolvers<number | null>();
  const left = `mkdir -p ${paths.requests}/$$ && echo 7 >${paths.requests}/$$/answer`;
  const child = spawn('/bin/sh', ['-c', `${left} && exec ${paths.script}`], { stdio: 'ignore' });
  child.once('close', resolve);
  await sleep(300);
  t.equal(child.exitCode, null, 'it waits');
  await word.refuse();
  t.equal(await promise, 1);
});
