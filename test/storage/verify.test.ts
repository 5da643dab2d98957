/**
 * The on-line verify and the resync of two real storage processes: equal copies under writes, each
 * kind of difference, records that rot on the disk, and that a verify writes nothing. Imports tap,
 * the harness and the storage.
 */
import { join } from 'node:path';
import t from 'tap';
import type { VerifyReport } from '../../src/core/store.ts';
import { Objects } from '../../images/storage/objects.ts';
import { hashOf } from '../../images/storage/record.ts';
import { codeOf } from '../contracts/store.ts';
import { makeImageDir, makeStoragePair, startLevel, type StorageNode } from './pair.ts';
import { rot } from './rot.ts';

// The machine may be busy with other work.
t.setTimeout(120_000);
const root = t.testdir();
const image = await makeImageDir(`${root}/image`);

/** Begins a verify on a node and waits for its end there. */
async function verify(node: StorageNode): Promise<VerifyReport> {
  const { id } = (await node.call({ op: 'verify' })) as VerifyReport;
  await node.until((s) => s.verify?.id === id && s.verify.state !== 'running');
  return (await node.call({ op: 'verifyReport' })) as VerifyReport;
}

/** Changes what a copy holds behind the back of the pair: its position stays. */
async function tamper(node: StorageNode, changes: Record<string, string | null>): Promise<void> {
  await node.kill();
  const dir = join(node.dataDir, 'log');
  {
    await using objects = await Objects.open({ dir, formatLevel: () => 1 });
    for (const [key, text] of Object.entries(changes)) {
      const value = text === null ? null : Buffer.from(text);
      const hash = value === null ? null : hashOf(value);
      const change = { key, value, hash, version: 1, run: '0000000000000000', copy: true };
      objects.show(await objects.append(change));
    }
  }
  await node.start();
}

const logBytes = async (node: StorageNode): Promise<number> => (await node.info()).logBytes;

t.test('equal copies are found equal, and nothing is written', async (t) => {
  await using pair = await makeStoragePair(`${root}/equal`, image);
  const { a, b } = pair;
  await startLevel(pair);
  const puts = Array.from({ length: 600 }, (_, n) => a.put(`key-${n}`, `value ${n}`));
  await Promise.all(puts);
  await a.call({ op: 'delete', key: 'key-7' });
  const before = [await logBytes(a), await logBytes(b)];
  const report = await verify(a);
  const { storeBytes } = await a.info();
  const counts = { records: 599, bytes: storeBytes, totalBytes: storeBytes };
  t.match(report, { state: 'equal', node: 'A', differences: 0, again: 0, ...counts });
  t.same(report.keys, []);
  t.ok(report.endedAt !== null && report.endedAt >= report.startedAt);
  t.same([await logBytes(a), await logBytes(b)], before);
  t.match((await b.until((s) => s.verify?.state === 'equal')).verify, { id: report.id });
  t.match(a.store.status(), { peer: 'current', connected: true, frozen: false });
});

t.test('writes go on meanwhile, and what changes is no difference', async (t) => {
  await using pair = await makeStoragePair(`${root}/busy`, image);
  const { a, b } = pair;
  await startLevel(pair);
  await Promise.all(Array.from({ length: 300 }, (_, n) => a.put(`key-${n}`, `value ${n}`)));
  const stop = new AbortController();
  let writes = 0;
  const writer = async (id: number): Promise<void> => {
    for (let n = id; !stop.signal.aborted; n += 4) {
      await a.put(`key-${n % 300}`, `newer ${n}`);
      if (n % 9 === 0) await a.call({ op: 'delete', key: `key-${(n + 1) % 300}` });
      writes += 1;
    }
  };
  const writers = [0, 1, 2, 3].map((id) => writer(id));
  for (let round = 0; round < 5; round += 1) {
    const report = await verify(a);
    t.match(report, { state: 'equal', differences: 0, keys: [] }, JSON.stringify(report));
  }
  stop.abort();
  await Promise.all(writers);
  t.ok(writes > 20, `${writes} writes went on`);
  t.match(await verify(a), { state: 'equal', differences: 0, again: 0, unsettled: 0 });
  t.same(await b.keys(), await a.keys());
});

t.test('each kind of difference is named, kept, and made good by a resync', async (t) => {
  await using pair = await makeStoragePair(`${root}/differs`, image);
  const { a, b } = pair;
  await startLevel(pair);
  for (let n = 0; n < 30; n += 1) await a.put(`key-${n}`, 'x'.repeat(2000));
  await tamper(b, { 'key-3': 'another value', 'key-4': null, extra: 'only here' });
  await a.until((s) => s.peer === 'current');
  t.equal((await a.info()).lastSync?.sentObjects ?? 0, 0, 'the pair believes that it is level');
  const report = await verify(a);
  t.match(report, { state: 'differs', differences: 3, damaged: { A: 0, B: 0 } });
  t.same(
    report.keys.toSorted((x, y) => x.key.localeCompare(y.key)),
    [
      { key: 'extra', A: 'absent', B: 'present' },
      { key: 'key-3', A: 'present', B: 'present' },
      { key: 'key-4', A: 'present', B: 'absent' },
    ],
  );
  await b.until((s) => s.verify?.differences === 3);
  await b.kill();
  await b.start();
  t.match(b.store.status().verify, { state: 'differs', differences: 3 }, 'over a restart');
  await a.until((s) => s.peer === 'current');
  await a.call({ op: 'resync' });
  await a.until((s) => s.peer === 'current' && s.verify?.state === 'repaired');
  t.match((await a.info()).lastSync, { mode: 'full', sentObjects: 3, sentBytes: 4000 });
  t.match((await b.until((s) => s.verify?.state === 'repaired')).verify, { differences: 0 });
  t.equal(b.store.status().local, 'current');
  t.same(b.store.status().generation, a.store.status().generation);
  t.match(await verify(a), { state: 'equal' });
  t.equal(await b.get('extra'), null);
});

t.test(
  'a resync that is cut off leaves a copy that cannot take over, and ends later',
  async (t) => {
    await using pair = await makeStoragePair(`${root}/cut`, image);
    const { a, b } = pair;
    await startLevel(pair);
    const value = 'y'.repeat(256 * 1024);
    for (let n = 0; n < 20; n += 1) await a.put(`key-${n}`, value);
    const changes = Array.from({ length: 20 }, (_, n) => [`key-${n}`, 'wrong'] as const);
    await tamper(b, Object.fromEntries(changes));
    await a.until((s) => s.peer === 'current');
    pair.wire.cutAfter(2 * 1024 * 1024);
    await a.call({ op: 'resync' });
    await b.until((s) => s.local === 'stale' && !s.connected);
    await b.kill();
    await b.start();
    t.equal(await codeOf(b.store.promote(2)), 'store.stale');
    pair.wire.heal();
    await a.until((s) => s.peer === 'current');
    const { lastSync } = await a.info();
    t.equal(lastSync?.mode, 'full');
    t.ok(lastSync !== null && lastSync.sentObjects < 20, 'what had arrived is not sent again');
    t.match(await verify(a), { state: 'equal', records: 20 });
  },
);

t.test('a record that rots on the standby is found and written anew', async (t) => {
  await using pair = await makeStoragePair(`${root}/rot-standby`, image);
  const { a, b } = pair;
  await startLevel(pair);
  for (let n = 0; n < 20; n += 1) await a.put(`key-${n}`, `the value of number ${n} here`);
  rot(join(b.dataDir, 'log'), 'the value of number 11 here');
  const report = await verify(a);
  t.same(report.keys, [{ key: 'key-11', A: 'present', B: 'damaged' }]);
  t.match(report, { state: 'differs', differences: 1, damaged: { A: 0, B: 1 } });
  await a.call({ op: 'resync' });
  await a.until((s) => s.peer === 'current' && s.verify?.state === 'repaired');
  t.match((await a.info()).lastSync, { sentObjects: 1 });
  await b.kill();
  await b.start();
  await a.until((s) => s.peer === 'current');
  t.equal(await b.get('key-11'), 'the value of number 11 here', 'the damage is gone for good');
  t.match(await verify(a), { state: 'equal', records: 20 });
});

t.test('a record that rots on the active: no resync from it', async (t) => {
  await using pair = await makeStoragePair(`${root}/rot-active`, image);
  const { a, b } = pair;
  await startLevel(pair);
  for (let n = 0; n < 5; n += 1) await a.put(`key-${n}`, `the value of number ${n} here`);
  rot(join(a.dataDir, 'log'), 'the value of number 2 here');
  t.match(await verify(a), { state: 'differs', differences: 1, damaged: { A: 1, B: 0 } });
  t.equal(await codeOf(a.call({ op: 'resync' })), 'store.corrupt');
  t.equal(b.store.status().local, 'current', 'nothing was marked');
  await a.store.demote();
  await b.store.promote(2);
  t.match(await verify(b), { state: 'differs', node: 'B', damaged: { A: 1, B: 0 } });
  await b.call({ op: 'resync' });
  await b.until((s) => s.peer === 'current' && s.verify?.state === 'repaired');
  t.match(await verify(b), { state: 'equal', records: 5 });
});

t.test('refused without a level peer and on the standby; one at a time; cancelled', async (t) => {
  await using pair = await makeStoragePair(`${root}/refused`, image);
  const { a, b } = pair;
  await startLevel(pair);
  const value = 'z'.repeat(1024 * 1024);
  for (let n = 0; n < 8; n += 1) await a.put(`key-${n}`, value);
  t.equal(await codeOf(b.call({ op: 'verify' })), 'store.read_only');
  t.equal(await codeOf(b.call({ op: 'resync' })), 'store.read_only');
  const first = (await a.call({ op: 'verify' })) as VerifyReport;
  const second = codeOf(a.call({ op: 'verify' }));
  await a.call({ op: 'cancelVerify' });
  t.equal(await second, 'store.busy');
  await a.until((s) => s.verify?.state !== 'running');
  const ended = (await a.call({ op: 'verifyReport' })) as VerifyReport;
  t.equal(ended.id, first.id);
  t.ok(['cancelled', 'equal'].includes(ended.state), ended.state);
  await a.call({ op: 'verify' });
  await b.kill();
  const lost = await a.until((s) => s.verify?.state === 'failed' || s.verify?.state === 'equal');
  t.ok(lost.verify);
  t.equal(await codeOf(a.call({ op: 'verify' })), 'pair.not_healthy');
});
