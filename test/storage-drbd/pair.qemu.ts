/**
 * The storage software on DRBD in two emulated appliances, with the kernel's module and the tools
 * of the system image: everything that a fake cannot show. `npm run test:drbd` runs it. Imports
 * tap, the guests and the scripts.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { StoreStatus } from '../../src/core/store.ts';
import { guests, workshop, type Guest } from './guests.ts';
import { shortDir } from '../drivers/short-dir.ts';

t.setTimeout(0);
const shop = await workshop(join(shortDir(t), 'w'), (line) => t.comment(line));
const { pair, A, B } = await guests(shop);
t.teardown(() => pair[Symbol.asyncDispose]());

const level = (s: StoreStatus): boolean =>
  s.connected && s.local === 'current' && s.peer === 'current' && s.generation.base === null;
const both = async (what: string, good: (status: StoreStatus) => boolean): Promise<void> => {
  await Promise.all([A.until(what, good), B.until(what, good)]);
};
/** What a copy holds, read on its primary. */
const keysOf = async (guest: Guest): Promise<readonly string[]> =>
  ((await guest.call('list')) as { keys: string[] }).keys;
/** Calls that take longer than a client waits go on: asked again, they join in. */
const promote = async (guest: Guest, epoch: number): Promise<void> => {
  await guest.call('promote', { epoch });
};

await t.test('a fresh pair agrees that both copies are level, without a sync', async (t) => {
  await pair.powerOn();
  await Promise.all([A.up(), B.up()]);
  await Promise.all([A.start(), B.start()]);
  await both('level', level);
  const [a, b] = [await A.status(), await B.status()];
  t.match(a, { role: 'secondary', epoch: 0, frozen: false, splitBrain: false, sync: null });
  t.same(a.generation, b.generation);
  t.not(a.generation.current, '0000000000000000');
  t.equal(a.lastSync, null);
  t.equal(await A.codeOf('health'), null);
  t.equal(await A.codeOf('put', { key: 'k', value: '' }), 'store.read_only');
});

await t.test('writes, and a switchover with everything that was written', async (t) => {
  await promote(A, 1);
  await Promise.all(Array.from({ length: 20 }, (_, n) => A.put(`before/${n}`, `value ${n}`)));
  await A.put('gone', 'x');
  t.same(await A.call('delete', { key: 'gone' }), { found: true });
  t.same(await A.call('delete', { key: 'gone' }), { found: false });
  t.equal(await B.codeOf('list'), 'store.read_only', 'a secondary cannot read');
  t.equal(await B.codeOf('promote', { epoch: 1 }), 'store.fenced', 'of another primary');
  await A.call('demote');
  t.equal(await A.codeOf('put', { key: 'k', value: '' }), 'store.read_only');
  await promote(B, 2);
  t.equal(await B.get('before/7'), 'value 7');
  t.equal((await keysOf(B)).length, 20);
  t.match(await B.status(), { role: 'primary', epoch: 2, peer: 'current', frozen: false });
  await A.until('has heard of the epoch', (s) => s.epoch === 2);
  t.equal(await A.codeOf('promote', { epoch: 1 }), 'store.fenced');
});

await t.test(
  'a lost link freezes; the word lets it go on; back, only changes are sent',
  async (t) => {
    const before = (await B.status()).generation;
    await pair.cutLink();
    await B.until('frozen', (s) => s.frozen && !s.connected);
    let acknowledged = false;
    const put = B.put('alone', 'by B').then(() => (acknowledged = true));
    t.equal(await B.codeOf('goAlone', { epoch: 1 }), 'store.fenced');
    t.equal(await B.codeOf('alive'), null, 'a frozen copy is alive');
    t.match(await B.status(), { role: 'primary', frozen: true, peer: 'unknown' });
    t.same((await B.status()).generation, before);
    t.equal(acknowledged, false);
    await B.call('goAlone', { epoch: 2 });
    await put;
    await B.until('alone', (s) => s.generation.base === before.current && !s.frozen);
    t.match(await A.status(), { role: 'secondary', local: 'current', connected: false });
    await pair.restoreLink();
    await both('level', level);
    const sent = (await B.status()).lastSync?.sentBytes ?? 0;
    t.ok(sent > 0 && sent < 2 ** 20, `${sent} bytes were sent`);
    t.same(
      (await A.until('same ids', level)).generation.current,
      (await B.status()).generation.current,
    );
  },
);

await t.test('a lost link that comes back by itself: what waited is acknowledged', async (t) => {
  await pair.cutLink();
  await B.until('frozen', (s) => s.frozen && !s.connected);
  const put = B.put('waited', 'for A');
  await pair.restoreLink();
  await put;
  await both('level', level);
  t.equal((await B.status()).generation.base, null, 'nobody went on alone');
});

await t.test('software killed while primary: the next start is a secondary', async (t) => {
  const pid = (await B.sh('pidof node')).trim().split(' ');
  t.ok(pid.length >= 2);
  await B.sh("kill -9 $(ps | grep '[s]torage.mjs' | awk '{print $1}')");
  t.match(await B.sh('cat /proc/drbd'), /ro:Primary\/Secondary/, 'the kernel goes on');
  await B.start();
  t.match(await B.status(), { role: 'secondary', epoch: 2 });
  t.notMatch(await B.sh('cat /proc/mounts'), /drbd/);
  await both('level', level);
  await promote(B, 2);
  t.equal(await B.get('waited'), 'for A');
});

await t.test('both copies are compared', async (t) => {
  t.match(await B.call('verify'), { state: 'running', node: 'B' });
  await B.until('verified', (s) => s.verify?.state === 'equal');
  await A.until('heard of it', (s) => s.verify?.state === 'equal');
  t.match(await A.call('verifyReport'), { state: 'equal', node: 'B', differences: 0 });
});

await t.test('power cut of the primary: the other one has every acknowledged write', async (t) => {
  const acknowledged: string[] = [];
  // It ends with the first write that the cut takes away.
  const write = async (): Promise<void> => {
    for (let n = 0; n < 10_000; n += 1) {
      await B.put(`cut/${n}`, 'x'.repeat(5000));
      acknowledged.push(`cut/${n}`);
    }
  };
  const writes = write().catch(() => undefined);
  while (acknowledged.length < 10) await sleep(50);
  await pair.cutPower('B');
  B.lost();
  await writes;
  await A.until('lost its peer', (s) => !s.connected);
  await promote(A, 3);
  t.match(await A.status(), { role: 'primary', frozen: true });
  t.equal(await A.codeOf('get', { key: 'alone' }), 'store.busy');
  t.match(await A.sh('cat /proc/drbd'), /ro:Secondary/, 'no word yet');
  await A.call('goAlone', { epoch: 3 });
  t.match(await A.status(), { role: 'primary', frozen: false, peer: 'stale' });
  const there = new Set(await keysOf(A));
  t.same(
    acknowledged.filter((key) => !there.has(key)),
    [],
    `${acknowledged.length} acknowledged writes are there`,
  );
  await A.put('after', 'the takeover');
  await pair.powerOn('B');
  await B.up();
  await B.start();
  await both('level', level);
  t.match(await B.status(), { role: 'secondary', epoch: 3 });
});

await t.test('split brain: told, left alone, and ended by a word', async (t) => {
  await pair.cutLink();
  await A.until('frozen', (s) => s.frozen && !s.connected);
  await A.call('goAlone', { epoch: 3 });
  await A.put('only/A', 'of A');
  await B.until('lost its peer', (s) => !s.connected);
  await promote(B, 4);
  await B.call('goAlone', { epoch: 4 });
  await B.put('only/B', 'of B');
  await pair.restoreLink();
  await both('split', (s) => s.splitBrain && !s.connected);
  t.equal(await B.codeOf('health'), 'store.split_brain');
  await A.until('heard of the epoch', (s) => s.role === 'secondary' && s.epoch === 4);
  t.equal(await A.codeOf('promote', { epoch: 5 }), 'store.split_brain');
  const view = (await B.call('split')) as { A: { aloneSince: string }; B: { epoch: number } };
  t.equal(view.B.epoch, 4);
  t.type(view.A.aloneSince, 'string');

  const saved = await B.call('resolve', { keep: 'B', by: 'test', reason: 'it is newer' });
  const { file } = saved as { file: string };
  t.match(saved, { node: 'A' });
  t.match(await A.sh(`cat ${file}`), /"key":"only\/A"/);
  await both('level again', (s) => level(s) && !s.splitBrain);
  t.equal(await B.get('only/B'), 'of B');
  await B.call('demote');
  await promote(A, 5);
  t.equal(await A.get('only/B'), 'of B');
  t.notOk((await keysOf(A)).includes('only/A'));
});

await t.test('an end in good order leaves nothing in the kernel', async (t) => {
  await A.sh("kill $(ps | grep '[s]torage.mjs' | awk '{print $1}')");
  await A.sh("while ps | grep -q '[s]torage.mjs'; do usleep 200000; done");
  t.notMatch(await A.sh('cat /proc/drbd'), /cs:/);
  t.notMatch(await A.sh('cat /proc/mounts'), /drbd/);
});
