/**
 * Storage software that hangs (SIGSTOP): nothing is known of it while it gives no sign of life, it
 * is ended when that lasts, and started again by whoever wants it, with pauses when it repeats.
 * What is asserted is the order in which things are told. Imports tap, the harness and the drivers.
 */
import t from 'tap';
import type { Hang } from '../../src/drivers/storage-process.ts';
import { checkAlive } from '../../images/storage/health.ts';
import { makeImageDir, makeStoragePair, startLevel, type StorageNode } from './pair.ts';

t.setTimeout(120_000);
const root = t.testdir();
const image = await makeImageDir(`${root}/image`);

/** Notes what is told of a node's storage, in order; `until` waits for a word. */
function listen(node: StorageNode) {
  const told: string[] = [];
  const waiters = new Set<() => void>();
  const note = (word: string): void => {
    if (told.at(-1) !== word) told.push(word);
    for (const look of waiters) look();
  };
  node.store.onStatus(({ role }) => note(`store ${role}`));
  node.software.onHang(({ state }: Hang) => note(state));
  node.software.onExit((reason) => note(`exit: ${reason}`));
  const until = async (word: RegExp): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (told.some((one) => word.test(one))) resolve();
    };
    waiters.add(look);
    look();
    await promise;
    waiters.delete(look);
  };
  return { told, until };
}

function stop(node: StorageNode): number {
  const { pid } = node.software;
  if (pid === null) throw new Error('the storage software does not run');
  process.kill(pid, 'SIGSTOP');
  return pid;
}

t.test('one that hangs is unknown, ended, and started again', async (t) => {
  await using pair = await makeStoragePair(`${root}/hang`, image);
  const { a, b } = pair;
  await startLevel(pair);
  await a.put('key', 'value');
  const { told, until } = listen(a);
  const first = stop(a);
  await b.until((s) => !s.connected);
  await until(/^exit/);
  const exit = 'exit: was ended by SIGKILL, after it gave no sign of life';
  // Nothing is known long before it is ended, and its end is told when it is gone.
  t.equal(told.indexOf('store unknown') < told.indexOf('ending'), true, told.join('; '));
  t.equal(told.indexOf('quiet') < told.indexOf('ending'), true);
  t.equal(told.indexOf('ending') < told.indexOf(exit), true);
  t.equal(a.software.pid, null);
  await a.start();
  t.not(a.software.pid, first);
  await until(/^well/);
  t.equal(await a.get('key'), 'value');
  await a.store.promote(1);
  await a.until((s) => s.peer === 'current');
  stop(a);
  await a.until((s) => s.role === 'unknown');
  const gone = Promise.withResolvers<void>();
  a.software.onExit(() => gone.resolve());
  await gone.promise;
  const hasty = a.software.start('A', AbortSignal.timeout(500));
  await t.rejects(hasty, { name: 'AbortError' }, 'the second time it rests before its start');
  await a.start();
  t.equal(await a.get('key'), 'value');
});

t.test('one that goes on in time is known again, with what is true then', async (t) => {
  await using pair = await makeStoragePair(`${root}/short`, image);
  const { a, b } = pair;
  await startLevel(pair);
  const { told, until } = listen(a);
  const pid = stop(a);
  await until(/^quiet/);
  await a.until((s) => s.role === 'unknown');
  t.match(a.store.status(), { role: 'unknown', local: 'unknown', peer: 'unknown' });
  await b.kill();
  process.kill(pid, 'SIGCONT');
  await until(/^well/);
  await a.until((s) => s.frozen && !s.connected);
  t.equal(a.software.pid, pid, 'it was not ended');
  t.notOk(told.includes('ending'));
});

const at = (logMs: number, stateMs: number) => (): void =>
  checkAlive({ objects: { log: { busyMs: logMs } }, state: { busyMs: stateMs } });

t.test('a disk that does not end a write is no sign of life', async (t) => {
  t.doesNotThrow(at(9000, 0));
  t.throws(at(12_000, 0), { code: 'store.io', message: /for 12 s/ });
  t.throws(at(0, 12_000), { code: 'store.io' });
});
