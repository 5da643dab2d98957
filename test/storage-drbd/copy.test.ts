/**
 * The rules of a copy on DRBD: epochs, freeze, going alone, takeover, split brain, formats. Imports
 * tap and the fake.
 */
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { resolveSplit, splitView } from '../../images/storage-drbd/split.ts';
import type { UpdateError } from '../../src/core/errors.ts';
import type { StoreStatus } from '../../src/core/store.ts';
import { FakePair } from './fake.ts';

const isLevel = (s: StoreStatus): boolean =>
  s.connected && s.local === 'current' && s.peer === 'current';

/** The ids on which two new copies agreed. */
const met = (s: StoreStatus): boolean => s.generation.current.endsWith('1');
const value = (n: number): Buffer => Buffer.from(String(n));

async function codeOf(promise: Promise<unknown>): Promise<string | null> {
  return await promise.then(
    () => null,
    (error: unknown) => (error as UpdateError).code,
  );
}

async function newPair(t: Test, link = true): Promise<FakePair> {
  const pair = await FakePair.start(t.testdir(), link);
  if (link) await Promise.all([pair.A.until(isLevel), pair.B.until(isLevel)]);
  return pair;
}

/** A is primary of epoch 1, B is level with it. */
async function led(t: Test): Promise<FakePair> {
  const pair = await newPair(t);
  await pair.A.copy.promote(1);
  return pair;
}

t.test('two new copies agree; a start is a secondary', async (t) => {
  await using pair = await newPair(t);
  const [a, b] = [await pair.A.until(met), await pair.B.until(met)];
  t.match(a, { role: 'secondary', epoch: 0, frozen: false, splitBrain: false, sync: null });
  t.same(a.generation, b.generation);
  t.equal(await codeOf(pair.A.put('key', 'value')), 'store.read_only');
  t.equal(await codeOf(pair.A.get('key')), 'store.read_only');
});

t.test('promotion, handover and epochs', async (t) => {
  await using pair = await led(t);
  const { A, B } = pair;
  await A.put('key', 'one');
  await A.copy.promote(1);
  t.equal(await codeOf(B.copy.promote(1)), 'store.fenced', 'of another primary');
  t.equal(await codeOf(A.copy.promote(0)), 'store.fenced');
  await A.copy.demote();
  await A.copy.demote();
  t.equal(await codeOf(A.put('key', 'two')), 'store.read_only');
  await B.copy.promote(2);
  t.equal(await B.get('key'), 'one');
  t.match(B.copy.status(), { role: 'primary', epoch: 2, peer: 'current', frozen: false });
  await A.until((s) => s.epoch === 2);
  t.equal(await codeOf(A.copy.promote(1)), 'store.fenced');
});

t.test('a promotion elsewhere ends a primary of a lower epoch', async (t) => {
  await using pair = await led(t);
  const { A, B } = pair;
  await A.put('key', 'value');
  await B.copy.promote(2);
  t.match(A.copy.status(), { role: 'secondary', epoch: 2 });
  t.equal(await B.get('key'), 'value');
});

t.test('writes are made in the order in which they were asked for', async (t) => {
  await using pair = await led(t);
  const { copy } = pair.A;
  const asked: Promise<boolean>[] = [];
  for (let n = 0; n < 30; n += 1) {
    asked.push(copy.write('key', value(n)), copy.write('key', null));
  }
  asked.push(copy.write('other', value(1)), copy.write('other', value(2)));
  t.same(
    await Promise.all(asked),
    Array.from({ length: 62 }, () => true),
  );
  t.equal(await pair.A.get('key'), null);
  t.equal(await pair.A.get('other'), '2');
  t.equal(await copy.write('key', null), false, 'there was nothing');
});

t.test('a lost peer freezes; what waits is acknowledged when it is back', async (t) => {
  await using pair = await led(t);
  const { A } = pair;
  await pair.setLink(false);
  t.match(A.copy.status(), { role: 'primary', frozen: true, connected: false, peer: 'unknown' });
  const put = A.put('key', 'value');
  t.equal(await A.get('key'), null);
  await pair.setLink(true);
  await put;
  t.match(await A.until(isLevel), { frozen: false });
  t.equal(A.ids.base, null, 'nobody went on alone');
});

t.test('goAlone: of this epoch, for this loss, and a new generation', async (t) => {
  await using pair = await led(t);
  const { A, B } = pair;
  await A.copy.goAlone(1);
  const before = A.copy.status().generation;
  await pair.setLink(false);
  t.equal(A.copy.status().frozen, true, 'a word while the peer was there has no effect');
  const put = A.put('key', 'value');
  t.equal(await codeOf(A.copy.goAlone(0)), 'store.fenced');
  t.equal(A.copy.status().frozen, true);
  await A.copy.goAlone(1);
  await put;
  const alone = await A.until((s) => s.generation.base === before.current);
  t.match(alone, { frozen: false, peer: 'stale', local: 'current' });
  t.equal(A.word, false, 'the word does not outlast the call');
  await pair.setLink(true);
  await Promise.all([A.until(isLevel), B.until(isLevel)]);
  await pair.setLink(false);
  t.equal(A.copy.status().frozen, true, 'the next loss needs the next word');
});

t.test('a new epoch needs a new word', async (t) => {
  await using pair = await led(t);
  const { A } = pair;
  await pair.setLink(false);
  await A.copy.goAlone(1);
  await A.copy.promote(2);
  t.match(A.copy.status(), { role: 'primary', epoch: 2, frozen: true });
  const put = A.put('key', 'value');
  await A.copy.goAlone(2);
  await put;
  t.equal(await A.get('key'), 'value');
});

t.test('a takeover: nothing is primary in the kernel before the word', async (t) => {
  await using pair = await led(t);
  const { A, B } = pair;
  await A.put('key', 'acknowledged');
  await pair.setLink(false);
  const open = codeOf(A.put('key', 'in doubt'));
  t.equal(B.copy.status().local, 'current');
  await B.copy.promote(2);
  t.match(B.copy.status(), { role: 'primary', frozen: true, peer: 'unknown' });
  t.equal(B.role, 'Secondary', 'in the kernel');
  t.equal(B.asked, 0);
  t.equal(await codeOf(B.get('key')), 'store.busy');
  const put = B.put('other', 'of the new primary');
  await B.copy.goAlone(2);
  await put;
  t.equal(B.asked, 1);
  t.equal(await B.get('key'), 'acknowledged');
  await pair.setLink(true);
  t.equal(await open, 'store.unacknowledged');
  // The kernel of A holds writes and cannot let go: the daemon cuts the power of the node.
  t.match(await A.until((s) => s.epoch === 2), { role: 'primary', frozen: true });
  await A.cutPower();
  t.match(await A.until(isLevel), { role: 'secondary', epoch: 2 });
  t.equal(await B.get('other'), 'of the new primary');
});

t.test('a promotion without the peer is made good when the peer comes', async (t) => {
  await using pair = await led(t);
  const { A, B } = pair;
  await A.put('key', 'value');
  await A.copy.demote();
  await pair.setLink(false);
  await A.copy.promote(2);
  const put = A.put('key', 'waited');
  t.match(A.copy.status(), { role: 'primary', frozen: true });
  await pair.setLink(true);
  await put;
  t.equal(await A.get('key'), 'waited');
  t.match(await A.until(isLevel), { frozen: false });
  await B.until(isLevel);
});

t.test('a demotion gives up what waits; a new word does not bring it back', async (t) => {
  await using pair = await newPair(t);
  const { B } = pair;
  await pair.setLink(false);
  await B.copy.promote(1);
  const put = codeOf(B.put('key', 'value'));
  await setImmediate();
  await B.copy.demote();
  t.equal(await put, 'store.unacknowledged');
  t.match(B.copy.status(), { role: 'secondary', frozen: false });
  t.equal(await codeOf(B.copy.goAlone(1)), 'store.fenced');
});

t.test('a copy that is known to lag, and one without a disk, are not led with', async (t) => {
  await using pair = await newPair(t);
  const { A } = pair;
  await pair.setLink(false);
  A.disk = 'Outdated';
  pair.tell();
  await A.until((s) => s.local === 'stale');
  t.equal(await codeOf(A.copy.promote(1)), 'store.stale');
  A.disk = 'Diskless';
  pair.tell();
  t.equal(A.copy.status().local, 'unknown');
  t.equal(await codeOf(A.copy.promote(1)), 'store.io');
  t.equal(A.copy.status().epoch, 0);
});

t.test('a new copy without its peer: only the word of core makes it count', async (t) => {
  await using pair = await newPair(t, false);
  const { A, B } = pair;
  t.equal(A.copy.status().local, 'unknown');
  await A.copy.promote(1);
  t.equal(A.role, 'Secondary');
  await A.copy.goAlone(1);
  await A.put('key', 'value');
  await pair.setLink(true);
  await Promise.all([A.until(isLevel), B.until(isLevel)]);
  await A.copy.demote();
  await B.copy.promote(2);
  t.equal(await B.get('key'), 'value');
});

t.test('the epoch survives a restart, and the role does not', async (t) => {
  await using pair = await led(t);
  const { A } = pair;
  await A.copy.demote();
  await A.copy.promote(5);
  await A.copy.demote();
  await A.stop();
  await A.start();
  t.match(A.copy.status(), { role: 'secondary', epoch: 5 });
  t.equal(await codeOf(A.copy.promote(4)), 'store.fenced');
});

t.test('the format is raised on both sides, and only with the peer', async (t) => {
  await using pair = await led(t);
  const { A, B } = pair;
  t.equal(await B.copy.finalizeFormat(), 1, 'a secondary says what it has');
  t.equal(await A.copy.finalizeFormat(), 2);
  t.equal(B.copy.status().formatLevel, 2);
  await pair.setLink(false);
  t.equal(await codeOf(A.copy.finalizeFormat()), 'pair.not_healthy');
});

t.test('split brain: told on both sides, left alone, ended by a word', async (t) => {
  await using pair = await led(t);
  const { A, B } = pair;
  await pair.setLink(false);
  await A.copy.goAlone(1);
  await A.put('only/A', 'of A');
  await B.copy.promote(2);
  await B.copy.goAlone(2);
  await B.put('only/B', 'of B');
  await pair.setLink(true);
  await A.until((s) => s.splitBrain && s.role === 'secondary');
  t.match(await B.until((s) => s.splitBrain), { connected: false, role: 'primary' });
  t.equal(await codeOf(A.copy.promote(3)), 'store.split_brain');
  const view = await splitView(B.split);
  t.match(view, { A: { all: { records: 1 } }, B: { epoch: 2, all: { records: 1 } } });
  t.type(view.A.aloneSince, 'string');

  const why = { by: 'someone', reason: 'newer' };
  const saved = await resolveSplit(B.split, 'B', why);
  t.match(saved, { node: 'A', records: 1, bytes: 4 });
  const [head = '', record = ''] = (await readFile(saved.file ?? '', 'utf8')).split('\n');
  t.match(JSON.parse(head), { v: 1, node: 'A', by: 'someone', reason: 'newer', records: 1 });
  t.match(JSON.parse(record), { key: 'only/A', value: Buffer.from('of A').toString('base64') });
  await Promise.all([A.until(isLevel), B.until(isLevel)]);
  t.equal(B.copy.status().splitBrain, false);
  t.equal(await codeOf(resolveSplit(B.split, 'B', why)), 'store.not_split');
  await B.copy.demote();
  await A.copy.promote(3);
  t.equal(await A.get('only/B'), 'of B');
  t.equal(await A.get('only/A'), null);
});

t.test('the copy that is kept may be the other one', async (t) => {
  await using pair = await led(t);
  const { A, B } = pair;
  await pair.setLink(false);
  await A.copy.goAlone(1);
  await A.put('only/A', 'of A');
  await B.copy.promote(2);
  await B.copy.goAlone(2);
  await pair.setLink(true);
  await Promise.all([A.until((s) => s.splitBrain), B.until((s) => s.splitBrain)]);
  const saved = await resolveSplit(B.split, 'A', { by: 'x', reason: 'y' });
  t.match(saved, { node: 'B', records: 0, file: null });
  await Promise.all([A.until(isLevel), B.until(isLevel)]);
  t.equal(B.copy.status().role, 'secondary');
});
