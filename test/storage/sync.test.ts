/**
 * Syncs between two real storage processes: only differences go over the wire, a crash in the
 * middle leaves a copy stale, a replaced node gets everything, formats are raised together. Imports
 * tap, the harness and the contract's helper.
 */
import { rm } from 'node:fs/promises';
import t from 'tap';
import { codeOf } from '../contracts/store.ts';
import { makeImageDir, makeStoragePair, startLevel, type StorageNode } from './pair.ts';

// The machine may be busy with other work.
t.setTimeout(120_000);
const root = t.testdir();
const image = await makeImageDir(`${root}/image`);
const big = (letter: string): string => letter.repeat(256 * 1024);

/** B is gone and A writes without it. */
async function goAlone(a: StorageNode, b: StorageNode): Promise<void> {
  await b.kill();
  await a.until((s) => s.frozen);
  await a.store.goAlone(1);
}

t.test('no acknowledgement before the peer has the write on its disk', async (t) => {
  await using pair = await makeStoragePair(`${root}/stopped`, image);
  const { a, b } = pair;
  await startLevel(pair);
  const pid = b.software.pid ?? NaN;
  let acknowledged = false;
  process.kill(pid, 'SIGSTOP');
  const put = a.put('key', 'value').then(() => (acknowledged = true));
  // Each of these is a write and a sync of A's disk long; the peer does not even read.
  for (let n = 0; n < 5; n += 1) await a.software.health(AbortSignal.timeout(20_000));
  t.equal(acknowledged, false);
  t.equal(await a.get('key'), null);
  process.kill(pid, 'SIGCONT');
  await put;
  t.equal(await b.get('key'), 'value');
});

t.test('a delta sync sends the differences and nothing else', async (t) => {
  await using pair = await makeStoragePair(`${root}/delta`, image);
  const { a, b } = pair;
  await startLevel(pair);
  for (let n = 0; n < 40; n += 1) await a.put(`same-${n}`, 'x'.repeat(5000));
  await a.put('changed', 'before');
  await a.put('deleted', 'before');
  await a.put('back', 'and forth');
  await goAlone(a, b);
  await a.put('changed', 'after the loss');
  await a.put('new', 'new');
  await a.call({ op: 'delete', key: 'deleted' });
  await a.put('back', 'other');
  await a.put('back', 'and forth');
  await b.start();
  const status = await a.until((s) => s.peer === 'current');
  const sentBytes = 'after the loss'.length + 'new'.length;
  t.match(status.lastSync, { sentBytes });
  t.same((await a.info()).lastSync, {
    mode: 'delta',
    offeredObjects: 4,
    sentObjects: 3,
    sentBytes,
  });
  t.equal(await b.get('changed'), 'after the loss');
  t.equal(await b.get('deleted'), null);
  t.equal(await b.get('back'), 'and forth');
  t.same(await b.keys(), await a.keys());
  t.equal((await b.info()).storeBytes, (await a.info()).storeBytes);
  const { lastSync } = await a.info();
  await b.kill();
  await b.start();
  await a.until((s) => s.peer === 'current');
  t.same((await a.info()).lastSync, lastSync, 'copies that are level need no sync');
});

t.test('writes during a sync are on both sides, in their newest form', async (t) => {
  await using pair = await makeStoragePair(`${root}/during`, image);
  const { a, b } = pair;
  await startLevel(pair);
  await goAlone(a, b);
  for (let n = 0; n < 40; n += 1) await a.put(`key-${n}`, big('a'));
  const syncing = a.until((s) => s.peer === 'syncing');
  const started = b.start();
  await syncing;
  const writes = [39, 20, 1].map(async (n) => a.put(`key-${n}`, `newer ${n}`));
  await Promise.all([started, ...writes, a.put('fresh', 'fresh')]);
  await a.until((s) => s.peer === 'current');
  for (const n of [39, 20, 1]) t.equal(await b.get(`key-${n}`), `newer ${n}`);
  t.equal(await b.get('fresh'), 'fresh');
  t.equal(await b.get('key-2'), big('a'));
  t.equal((await b.info()).storeBytes, (await a.info()).storeBytes);
});

t.test('a crash in the middle of a sync leaves the copy stale; the next one ends it', async (t) => {
  await using pair = await makeStoragePair(`${root}/crash`, image);
  const { a, b } = pair;
  await startLevel(pair);
  await goAlone(a, b);
  for (let n = 0; n < 60; n += 1) await a.put(`key-${n}`, big('a'));
  pair.wire.cutAfter(5 * 1024 * 1024);
  const syncing = a.until((s) => s.peer === 'syncing');
  await Promise.all([b.start(), syncing]);
  t.match(await a.until((s) => !s.connected), { frozen: false, peer: 'stale' });
  await b.until((s) => s.local === 'stale' && !s.connected);
  await b.kill();
  await b.start();
  t.match(b.store.status(), { local: 'stale', role: 'secondary', connected: false });
  t.equal(await codeOf(b.store.promote(2)), 'store.stale');
  const had = (await b.info()).objects;
  t.ok(had > 0 && had < 60, 'it was in the middle');
  pair.wire.heal();
  await a.until((s) => s.peer === 'current');
  const { lastSync } = await a.info();
  t.equal(lastSync?.offeredObjects, 60);
  t.equal(lastSync?.sentObjects, 60 - had, 'what had arrived is not sent again');
  t.equal((await b.until((s) => s.local === 'current')).generation.base, null);
  t.equal((await b.info()).objects, 60);
});

t.test('a node with an empty disk gets everything, and loses what is not there', async (t) => {
  await using pair = await makeStoragePair(`${root}/full`, image);
  const { a, b } = pair;
  await startLevel(pair);
  for (let n = 0; n < 10; n += 1) await a.put(`key-${n}`, `value ${n}`);
  await b.kill();
  await rm(b.dataDir, { recursive: true });
  await b.start();
  await a.until((s) => s.peer === 'current');
  const { lastSync } = await a.info();
  t.match(lastSync, { mode: 'full', sentObjects: 10 });
  t.same(await b.keys(), await a.keys());
  t.same(b.store.status().generation, a.store.status().generation);
});

t.test(
  'kill -9 of the primary in the middle of writes: nothing acknowledged is lost',
  async (t) => {
    await using pair = await makeStoragePair(`${root}/primary`, image);
    const { a, b } = pair;
    await startLevel(pair);
    const acknowledged = new Map<string, string>();
    const writer = async (id: number): Promise<void> => {
      for (let n = 0; ; n += 1) {
        const [key, value] = [`${id}-${n % 7}`, `${n}`];
        await a.put(key, value);
        acknowledged.set(key, value);
        if (acknowledged.size === 28) reached.resolve();
      }
    };
    const reached = Promise.withResolvers<void>();
    const writers = [1, 2, 3, 4].map(async (id) => codeOf(writer(id)));
    await reached.promise;
    await a.kill();
    t.same(new Set(await Promise.all(writers)), new Set(['store.unreachable']));
    await b.until((s) => !s.connected);
    await b.store.promote(2);
    for (const [key, value] of acknowledged) {
      const found = Number(await b.get(key));
      // At most the one write of that writer that was under way is newer.
      t.ok(found === Number(value) || found === Number(value) + 7, `${key}: ${found}, ${value}`);
    }
    await a.start();
    await b.until((s) => s.peer === 'current');
    t.same(await a.keys(), await b.keys());
    for (const key of await b.keys()) t.equal(await a.get(key), await b.get(key));
  },
);

t.test('the format level is raised on both sides, and only when it is finalized', async (t) => {
  await using pair = await makeStoragePair(`${root}/format`, image);
  const { a, b } = pair;
  const newer = await makeImageDir(`${root}/newer`, 2, '2.0.0');
  await startLevel(pair);
  const text = 'compressible '.repeat(10_000);
  await a.kill();
  a.imageDir = newer;
  await a.start();
  await a.until((s) => s.connected);
  await a.store.promote(1);
  t.equal(await a.store.finalizeFormat(), 1, 'the peer cannot write more');
  await a.put('one', text);
  await b.kill();
  b.imageDir = newer;
  await b.start();
  await a.until((s) => s.peer === 'current');
  await a.put('two', text);
  t.ok((await a.info()).logBytes > 2 * text.length, 'still at level 1');
  t.equal(await a.store.finalizeFormat(), 2);
  t.equal(await b.store.finalizeFormat(), 2);
  const before = (await b.info()).logBytes;
  await a.put('three', text);
  t.ok((await b.info()).logBytes < before + text.length / 10, 'compressed at level 2');
  t.equal(await b.get('three'), text);
  await b.kill();
  b.imageDir = image;
  await t.rejects(b.start(), { code: 'health.storage', message: /state.newer_schema/ });
  b.imageDir = newer;
  await b.start();
  t.equal(await b.get('three'), text);
  t.equal(await b.get('one'), text);
});
