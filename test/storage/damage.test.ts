/**
 * Damage on the disk of a copy: found when it starts, it costs the copy its word and nothing else;
 * a resync says that it is done only when the damage is gone for good; a power cut at any moment in
 * between leaves a copy that starts and is made good by itself. Imports tap, the harness and the
 * storage.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { VerifyReport } from '../../src/core/store.ts';
import { codeOf } from '../contracts/store.ts';
import { makeImageDir, makeStoragePair, startLevel, type StorageNode } from './pair.ts';
import { rot } from './rot.ts';

t.setTimeout(120_000);
const root = t.testdir();
const image = await makeImageDir(`${root}/image`);

/** Segments of a copy with their digests. */
function logOf(node: StorageNode): Record<string, string> {
  const dir = join(node.dataDir, 'log');
  const names = readdirSync(dir).toSorted();
  const digest = (name: string) => createHash('sha256').update(readFileSync(join(dir, name)));
  return Object.fromEntries(names.map((name) => [name, digest(name).digest('hex')]));
}

/** Compares both copies from the disk; the state of the report. */
async function compared(node: StorageNode): Promise<string> {
  const { id } = (await node.call({ op: 'verify' })) as VerifyReport;
  await node.until((s) => s.verify?.id === id && s.verify.state !== 'running');
  return ((await node.call({ op: 'verifyReport' })) as VerifyReport).state;
}

const valueOf = (n: number): string => `the value of number ${n} here`;

t.test('a copy that rots while it is off starts, and is made good by itself', async (t) => {
  await using pair = await makeStoragePair(`${root}/standby`, image);
  const { a, b } = pair;
  await startLevel(pair);
  for (let n = 0; n < 20; n += 1) await a.put(`key-${n}`, valueOf(n));
  await b.kill();
  rot(join(b.dataDir, 'log'), valueOf(11));
  pair.wire.cut();
  await b.start();
  t.match(b.store.status(), { role: 'secondary', local: 'unknown' }, 'it proves nothing');
  t.equal(await codeOf(b.store.promote(2)), 'store.corrupt');
  pair.wire.heal();
  await a.until((s) => s.peer === 'current');
  t.match((await a.info()).lastSync, { mode: 'full', sentObjects: 1 });
  t.match(await b.until((s) => s.local === 'current'), { generation: a.store.status().generation });
  await b.kill();
  await b.start();
  await a.until((s) => s.peer === 'current');
  t.equal(await b.get('key-11'), valueOf(11), 'the damage is gone for good');
  t.equal(await compared(a), 'equal');
});

t.test('the copy of an active that rots is left as it is until another one leads', async (t) => {
  await using pair = await makeStoragePair(`${root}/active`, image);
  const { a, b } = pair;
  await startLevel(pair);
  for (let n = 0; n < 20; n += 1) await a.put(`key-${n}`, valueOf(n));
  await a.kill();
  rot(join(a.dataDir, 'log'), valueOf(4));
  const before = logOf(a);
  await a.start();
  t.equal(await codeOf(a.store.promote(1)), 'store.corrupt');
  await b.until((s) => s.connected);
  t.same(logOf(a), before, 'nothing was written');
  await b.store.promote(2);
  await b.put('key-20', valueOf(20));
  await b.until((s) => s.peer === 'current');
  await a.until((s) => s.local === 'current');
  t.equal(await a.get('key-4'), valueOf(4));
  t.equal(await compared(b), 'equal');
});

t.test('a copy that was written alone is never overwritten for its damage', async (t) => {
  await using pair = await makeStoragePair(`${root}/alone`, image);
  const { a, b } = pair;
  await startLevel(pair);
  await a.put('key-0', valueOf(0));
  await b.kill();
  await a.until((s) => s.frozen);
  await a.store.goAlone(1);
  await a.put('key-1', valueOf(1));
  await a.kill();
  rot(join(a.dataDir, 'log'), valueOf(0));
  const before = logOf(a);
  await Promise.all([a.start(), b.start()]);
  await b.until((s) => s.local === 'stale');
  t.equal(await codeOf(b.store.promote(2)), 'store.stale', 'the other one lacks what it holds');
  t.equal(await codeOf(a.store.promote(1)), 'store.corrupt');
  t.same(logOf(a), before);
  t.equal(await a.get('key-1'), valueOf(1), 'what is whole can be read');
});

t.test('a resync is done when the damage is gone from the disk, and not before', async (t) => {
  await using pair = await makeStoragePair(`${root}/resync`, image);
  const { a, b } = pair;
  await startLevel(pair);
  const filler = 'x'.repeat(1024 * 1024);
  for (let n = 0; n < 20; n += 1) await a.put(`key-${n}`, `${valueOf(n)} ${filler.slice(100)}`);
  const last = 'the last record of all';
  await a.put('last', last);
  for (const text of [valueOf(2), valueOf(17), last]) rot(join(b.dataDir, 'log'), text);
  const damaged = Object.keys(logOf(b));
  t.equal(await compared(a), 'differs');
  // Writes go on while segments are written anew.
  await a.call({ op: 'resync' });
  await a.put('meanwhile', 'written while the resync runs');
  await a.until((s) => s.verify?.state === 'repaired');
  const left = Object.keys(logOf(b)).filter((name) => damaged.includes(name));
  t.same(left, [], 'every damaged segment is gone');
  await b.kill();
  await b.start();
  await a.until((s) => s.peer === 'current');
  for (const n of [2, 17]) t.match(await b.get(`key-${n}`), valueOf(n));
  t.equal(await b.get('last'), last);
  t.equal(await b.get('meanwhile'), 'written while the resync runs');
  t.equal(await compared(a), 'equal');
});

t.test('a power cut at any moment of a resync leaves a copy that starts', async (t) => {
  await using pair = await makeStoragePair(`${root}/cuts`, image);
  const { a, b } = pair;
  await startLevel(pair);
  const filler = 'y'.repeat(1024 * 1024 - 200);
  for (let n = 0; n < 20; n += 1) await a.put(`key-${n}`, `${valueOf(n)} ${filler}`);
  for (const text of [valueOf(1), valueOf(17)]) rot(join(b.dataDir, 'log'), text);
  t.equal(await compared(a), 'differs');
  await a.call({ op: 'resync' });
  const states: string[] = [];
  for (const ms of [0, 5, 20, 50, 100, 150, 200]) {
    await sleep(ms);
    await b.kill();
    await b.start();
    states.push(b.store.status().local);
    await a.until((s) => s.connected);
  }
  t.ok(states.includes('stale'), states.join(' '));
  await a.until((s) => s.peer === 'current' && s.verify?.state === 'repaired');
  for (let n = 0; n < 20; n += 1) t.equal(await b.get(`key-${n}`), `${valueOf(n)} ${filler}`);
  await b.kill();
  await b.start();
  await a.until((s) => s.peer === 'current');
  t.equal(await compared(a), 'equal');
});
