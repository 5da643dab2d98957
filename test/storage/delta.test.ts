/**
 * What a resync moves, in bytes on the wire between two real storage processes: no more than what
 * changed plus 1 % of the store, whichever node was away, however it went, and also when the sync
 * itself is interrupted. Imports tap and the harness.
 */
import t, { type Test } from 'tap';
import { SYNC_WINDOW_BYTES } from '../../images/storage/limits.ts';
import { codeOf } from '../contracts/store.ts';
import { makeImageDir, makeStoragePair, startLevel } from './pair.ts';
import type { StorageNode, StoragePair } from './pair.ts';

// The machine may be busy with other work.
t.setTimeout(120_000);
const root = t.testdir();
const image = await makeImageDir(`${root}/image`);
const OBJECT_BYTES = 128 * 1024;
const OBJECTS = 80;
const CHANGED = 24;
const STORE_BYTES = OBJECTS * OBJECT_BYTES;
const CHANGED_BYTES = CHANGED * OBJECT_BYTES;
/** One per cent of what is stored: handshake, hashes, heads, beats. */
const SLACK_BYTES = STORE_BYTES / 100;

const value = (letter: string): string => letter.repeat(OBJECT_BYTES);

async function fill(pair: StoragePair): Promise<void> {
  await startLevel(pair);
  for (let n = 0; n < OBJECTS; n += 1) await pair.a.put(`key-${n}`, value('a'));
}

/** A part of the objects gets another content on a primary that is alone. */
async function change(node: StorageNode, epoch: number): Promise<void> {
  await node.until((s) => s.frozen);
  await node.store.goAlone(epoch);
  for (let n = 0; n < CHANGED; n += 1) await node.put(`key-${n * 3}`, value('b'));
}

async function equal(t: Test, { a, b }: StoragePair): Promise<void> {
  t.same(await b.keys(), await a.keys());
  for (const key of [0, 1, 3, 69]) t.equal(await b.get(`key-${key}`), await a.get(`key-${key}`));
}

t.test('the standby restarts, and nothing was written: next to nothing', async (t) => {
  await using pair = await makeStoragePair(`${root}/untouched`, image);
  const { a, b, wire } = pair;
  await fill(pair);
  await b.software.stop();
  await a.until((s) => s.frozen);
  wire.taken();
  await b.start();
  await a.until((s) => s.peer === 'current');
  const bytes = wire.taken();
  t.ok(bytes <= SLACK_BYTES, `${bytes} of at most ${SLACK_BYTES}`);
  t.equal(a.store.status().lastSync?.sentBytes ?? 0, 0);
});

t.test('kill -9 of the standby: what changed while it was away', async (t) => {
  await using pair = await makeStoragePair(`${root}/standby`, image);
  const { a, b, wire } = pair;
  await fill(pair);
  await b.kill();
  await change(a, 1);
  wire.taken();
  await b.start();
  await a.until((s) => s.peer === 'current');
  const bytes = wire.taken();
  const limit = CHANGED_BYTES + SLACK_BYTES;
  t.ok(bytes > CHANGED_BYTES && bytes <= limit, `${bytes} of at most ${limit}`);
  t.equal(a.store.status().lastSync?.sentBytes, CHANGED_BYTES);
  await equal(t, pair);
});

t.test('kill -9 of the active, and the standby takes over', async (t) => {
  await using pair = await makeStoragePair(`${root}/active`, image);
  const { a, b, wire } = pair;
  await fill(pair);
  await a.kill();
  await b.until((s) => !s.connected);
  await b.store.promote(2);
  await change(b, 2);
  wire.taken();
  await a.start();
  await b.until((s) => s.peer === 'current');
  const bytes = wire.taken();
  const limit = CHANGED_BYTES + SLACK_BYTES;
  t.ok(bytes > CHANGED_BYTES && bytes <= limit, `${bytes} of at most ${limit}`);
  t.equal(b.store.status().lastSync?.sentBytes, CHANGED_BYTES);
  await equal(t, pair);
});

t.test('an interrupted sync goes on with what has not arrived', async (t) => {
  await using pair = await makeStoragePair(`${root}/interrupted`, image);
  const { a, b, wire } = pair;
  await fill(pair);
  await b.kill();
  await change(a, 1);
  wire.taken();
  wire.cutAfter(CHANGED_BYTES * 0.75);
  await Promise.all([b.start(), a.until((s) => s.peer === 'syncing')]);
  await a.until((s) => !s.connected);
  wire.taken();
  await b.kill();
  await b.start();
  wire.heal();
  await a.until((s) => s.peer === 'current');
  const bytes = wire.taken();
  // What was under way at the cut is sent again, and nothing else.
  const limit = CHANGED_BYTES * 0.25 + SYNC_WINDOW_BYTES + SLACK_BYTES;
  t.ok(bytes <= limit, `${bytes} of at most ${limit} in the second part`);
  await equal(t, pair);
});

t.test('the roles change in the middle of a sync', async (t) => {
  await using pair = await makeStoragePair(`${root}/roles`, image);
  const { a, b, wire } = pair;
  await fill(pair);
  await b.kill();
  await change(a, 1);
  wire.taken();
  wire.holdAfter(CHANGED_BYTES / 2);
  const begun = a.until((s) => s.peer === 'syncing');
  await Promise.all([b.start(), begun]);
  await b.until((s) => s.local === 'stale');
  await a.store.demote();
  t.equal(await codeOf(b.store.promote(2)), 'store.stale', 'the other copy cannot lead meanwhile');
  wire.heal();
  await a.store.promote(2);
  await a.until((s) => s.peer === 'current');
  const bytes = wire.taken();
  const limit = CHANGED_BYTES + SYNC_WINDOW_BYTES + SLACK_BYTES;
  t.ok(bytes <= limit, `${bytes} of at most ${limit}, both parts`);
  await equal(t, pair);
  await a.store.demote();
  wire.taken();
  await b.store.promote(3);
  await b.until((s) => s.peer === 'current');
  t.ok(wire.taken() <= SLACK_BYTES, 'a planned change of roles moves nothing');
});
