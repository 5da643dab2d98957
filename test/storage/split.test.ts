/**
 * A split brain of two real storage processes: what is told of both copies, that nothing changes
 * before a copy is named, that what only the other one has is in a file before it is overwritten,
 * and that a power cut at any moment leaves a split or a stale copy. Imports tap and the harness.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import t from 'tap';
import type { NodeId } from '../../src/core/model.ts';
import type { SavedRecords, SplitView } from '../../src/core/store.ts';
import { codeOf } from '../contracts/store.ts';
import { makeImageDir, makeStoragePair, startLevel, type StoragePair } from './pair.ts';

// The machine may be busy with other work.
t.setTimeout(120_000);
const root = t.testdir();
const image = await makeImageDir(`${root}/image`);
const BOTH = 40;

/** A and B are level, then each is written alone; both are secondaries that know it. */
async function split(pair: StoragePair): Promise<void> {
  const { a, b, wire } = pair;
  await startLevel(pair);
  for (let n = 0; n < BOTH; n += 1) await a.put(`both-${n}`, 'x'.repeat(1000));
  await a.put('changed', 'before');
  await a.put('dropped', 'kept on A');
  wire.cut();
  await a.until((s) => s.frozen);
  await a.store.goAlone(1);
  await a.put('changed', 'by A');
  await a.put('only-a', 'a'.repeat(10));
  await b.until((s) => !s.connected);
  await b.store.promote(2);
  await b.store.goAlone(2);
  await b.put('changed', 'by B');
  await b.put('only-b-1', 'b'.repeat(20));
  await b.put('only-b-2', 'b'.repeat(30));
  await b.call({ op: 'delete', key: 'dropped' });
  await a.store.demote();
  await b.store.demote();
  wire.heal();
  await Promise.all([a.until((s) => s.splitBrain), b.until((s) => s.splitBrain)]);
}

const resolve = { op: 'resolve', by: 'anna', reason: 'newer orders' } as const;

interface Line {
  readonly key?: string;
  readonly value?: string;
  readonly deleted?: boolean;
  readonly by?: string;
  readonly records?: number;
}

const linesOf = (file: string): Line[] =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

const sorted = (view: SplitView): SplitView => ({
  ...view,
  keys: view.keys.toSorted((x, y) => x.key.localeCompare(y.key)),
});

t.test('both sides tell the same, and nothing is changed by it', async (t) => {
  await using pair = await makeStoragePair(`${root}/told`, image);
  const { a, b } = pair;
  await split(pair);
  const before = [await a.info(), await b.info()].map(({ logBytes }) => logBytes);
  const told = (await a.call({ op: 'split' })) as SplitView;
  t.match(told.A, { only: { records: 2, bytes: 19 }, other: { records: 1, bytes: 4 } });
  t.match(told.B, { only: { records: 2, bytes: 50 }, other: { records: 1, bytes: 4 } });
  t.match([told.A.all.records, told.B.all.records], [BOTH + 3, BOTH + 3]);
  for (const side of [told.A, told.B]) t.match(side.aloneSince, /^\d{4}-\d\d-\d\dT.*Z$/);
  t.equal(told.keys.length, 5);
  const again = (await b.call({ op: 'split' })) as SplitView;
  t.strictSame(sorted(again), sorted(told));
  t.same(
    [await a.info(), await b.info()].map(({ logBytes }) => logBytes),
    before,
  );
  t.match(
    [a, b].map(({ store }) => store.status()),
    [
      { connected: false, splitBrain: true },
      { connected: false, splitBrain: true },
    ],
  );
  t.equal(await a.get('changed'), 'by A');
  t.equal(await b.get('changed'), 'by B');
});

for (const [asked, keep] of [
  ['a', 'A'],
  ['a', 'B'],
] as const) {
  t.test(`the copy of ${keep} is kept, asked on ${asked}`, async (t) => {
    await using pair = await makeStoragePair(`${root}/keep-${keep}`, image);
    await split(pair);
    const [kept, lost] = keep === 'A' ? [pair.a, pair.b] : [pair.b, pair.a];
    const saved = (await pair[asked].call({ ...resolve, keep })) as SavedRecords;
    t.equal(saved.node, lost.node);
    const [head, ...lines] = linesOf(saved.file ?? '');
    t.match(head, { v: 1, node: lost.node, by: 'anna', reason: 'newer orders' });
    t.equal(head?.records, saved.records);
    const found = Object.fromEntries(
      lines.map(({ key, value, deleted }) => [
        key,
        deleted === true ? null : Buffer.from(value ?? '', 'base64').toString(),
      ]),
    );
    const ofB = {
      changed: 'by B',
      dropped: null,
      'only-b-1': 'b'.repeat(20),
      'only-b-2': 'b'.repeat(30),
    };
    const ofA = { changed: 'by A', dropped: 'kept on A', 'only-a': 'a'.repeat(10) };
    t.strictSame(found, keep === 'A' ? ofB : ofA);
    t.equal(await codeOf(lost.store.promote(3)), 'store.stale', 'it cannot take over');
    await kept.store.promote(3);
    await kept.until((s) => s.peer === 'current');
    t.same(await lost.keys(), await kept.keys());
    t.equal(await lost.get('changed'), `by ${keep}`);
    const { lastSync } = await kept.info();
    const sentBytes = keep === 'A' ? 4 + 9 + 10 : 4 + 50;
    t.match(lastSync, { mode: 'full', sentBytes }, 'only what differs');
    t.equal(await codeOf(pair.a.call({ ...resolve, keep })), 'store.not_split');
    t.match(lost.store.status(), { splitBrain: false, local: 'current' });
  });
}

t.test('refused without a split and without the other copy', async (t) => {
  await using pair = await makeStoragePair(`${root}/refused`, image);
  const { a, b } = pair;
  await startLevel(pair);
  t.equal(await codeOf(a.call({ op: 'split' })), 'store.not_split');
  t.equal(await codeOf(a.call({ ...resolve, keep: 'A' })), 'store.not_split');
  t.equal(await codeOf(a.call({ ...resolve, keep: 'C' })), 'usage.invalid');
  await b.kill();
  t.equal(await codeOf(a.call({ ...resolve, keep: 'A' })), 'store.not_split');
});

t.test('the other node dies while it is asked: the split stays, and can be resolved', async (t) => {
  await using pair = await makeStoragePair(`${root}/dies`, image);
  const { a, b } = pair;
  await split(pair);
  const pid = b.software.pid ?? NaN;
  process.kill(pid, 'SIGSTOP');
  const asked = codeOf(a.call({ ...resolve, keep: 'A' }));
  await a.info();
  await b.kill();
  t.equal(await asked, 'pair.peer_unreachable');
  t.equal(await codeOf(a.call({ op: 'split' })), 'pair.peer_unreachable');
  await b.start();
  await b.until((s) => s.splitBrain);
  const saved = (await b.call({ ...resolve, keep: 'A' })) as SavedRecords;
  const folder = dirname(saved.file ?? '');
  t.strictSame(readdirSync(folder).length, 1, 'nothing half-written is left');
  await b.kill();
  await b.start();
  const node: NodeId = 'B';
  t.match(b.store.status(), { local: 'stale' }, `${node} gave way for good`);
  await a.store.promote(3);
  await a.until((s) => s.peer === 'current');
  t.equal(await b.get('changed'), 'by A');
});
