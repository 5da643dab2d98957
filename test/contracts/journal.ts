/**
 * What every driver of the port Journal must hold, and sample records for its tests. May import
 * tap, core and ports.
 */
import type { Test } from 'tap';
import type { Sha256 } from '../../src/core/model.ts';
import { RECORD_SCHEMA, type NodeRecord, type RolloutRecord } from '../../src/core/records.ts';
import type { Journal, JournalRecord } from '../../src/ports.ts';

/** An empty journal. */
export interface JournalHarness {
  readonly journal: Journal;
  /** The same journal as after a restart. */
  readonly reopen: () => Promise<Journal>;
  /** Damages one record in the middle of what was written. */
  readonly damage: () => Promise<void>;
}

/** A node record that is told from others by its boot id; `padding` makes it longer. */
export function nodeRecord(n: number, padding = 0): JournalRecord & { readonly kind: 'node' } {
  const record: NodeRecord = {
    schema: RECORD_SCHEMA,
    node: 'A',
    pair: 'pair',
    bootId: `boot-${n}-${'x'.repeat(padding)}`,
    role: { epoch: n, holder: 'A', peerMayTakeOver: true },
    standDown: null,
    knownStale: false,
    generation: { current: 'g', base: null, history: [] },
    slots: { booted: 'A', default: 'A', trial: null, outcome: 'none', reason: null },
    storage: { current: 'A', previous: null, trial: null, outcome: 'none', reason: null },
    update: { state: 'idle' },
    lastTrialId: n,
    canRollBack: false,
    featureLevel: 1,
    releaseFloor: 0,
  };
  return { kind: 'node', record };
}

/** A rollout record that is told from others by the sequence of its writer. */
export function rolloutRecord(
  n: number,
  padding = 0,
): JournalRecord & { readonly kind: 'rollout' } {
  const node = { from: { system: null, storage: null }, skip: false, attempts: 0, log: [] };
  const record = {
    schema: RECORD_SCHEMA,
    id: `rollout-${'x'.repeat(padding)}`,
    kind: 'update',
    to: {
      bundle: 'ab'.repeat(32) as Sha256,
      bytes: 1,
      product: 'sample',
      version: '2.0.0',
      counter: 2,
      images: [],
    },
    first: 'A',
    policy: {
      order: 'active-first',
      onSecondFailure: 'hold',
      retries: 1,
      soakS: 1,
      tries: 2,
      deadmanS: 60,
    },
    writer: { epoch: 1, seq: n },
    phase: 'VALIDATE',
    nodes: { A: node, B: node },
    abort: null,
    result: null,
    startedAt: '2026-01-01T00:00:00.000Z',
    phaseAt: '2026-01-01T00:00:00.000Z',
    estimateS: null,
    finalized: false,
  } as unknown as RolloutRecord;
  return { kind: 'rollout', record };
}

type Make = (t: Test) => Promise<JournalHarness>;

/** Runs the suite as one subtest of `t`. */
export async function journalContract(t: Test, name: string, make: Make): Promise<void> {
  await t.test(`contract of Journal: ${name}`, async (t) => {
    await testRecords(t, make);
    await testRefusals(t, make);
  });
}

async function testRecords(t: Test, make: Make): Promise<void> {
  await t.test('empty', async (t) => {
    const { journal } = await make(t);
    t.same(await journal.read(), { node: null, rollout: null, records: [], torn: false });
  });

  await t.test('the last record of each kind is the state', async (t) => {
    const { journal, reopen } = await make(t);
    const written = [nodeRecord(1), rolloutRecord(1), rolloutRecord(2), nodeRecord(2)];
    for (const record of written) await journal.append(record);
    for (const reader of [journal, await reopen()]) {
      const content = await reader.read();
      t.same(content.node, nodeRecord(2).record);
      t.same(content.rollout, rolloutRecord(2).record);
      t.same(
        content.records.map(({ kind, record }) => ({ kind, record })),
        written,
      );
      t.same(
        content.records.map(({ seq }) => seq),
        [1, 2, 3, 4],
      );
    }
  });

  await t.test('appends of one moment are kept in their order', async (t) => {
    const { journal } = await make(t);
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    await Promise.all(numbers.map((n) => journal.append(nodeRecord(n, n * 60))));
    const { records } = await journal.read();
    t.same(
      records.map((entry) => entry.kind === 'node' && entry.record.role.epoch),
      numbers,
    );
  });

  await t.test('fields that this program does not know are kept', async (t) => {
    const { journal, reopen } = await make(t);
    const { kind, record } = nodeRecord(1);
    const later = { ...record, later: { answer: 42 }, text: 'ünïcödé \u{1f600}' };
    await journal.append({ kind, record: later });
    t.same((await (await reopen()).read()).node, later);
  });

  await t.test('at most the last 1,000 records are told', async (t) => {
    const { journal } = await make(t);
    for (let n = 1; n <= 1005; n += 1) await journal.append(nodeRecord(n));
    const { records, node } = await journal.read();
    t.equal(records.length, 1000);
    t.equal(records[0]?.seq, 6);
    t.equal(records.at(-1)?.seq, 1005);
    t.equal(node?.lastTrialId, 1005);
  });
}

async function testRefusals(t: Test, make: Make): Promise<void> {
  await t.test('a record above the limit is refused and the journal goes on', async (t) => {
    const { journal } = await make(t);
    await journal.append(nodeRecord(1));
    await t.rejects(journal.append(nodeRecord(2, 64 * 1024)), { code: 'internal.bug' });
    await journal.append(nodeRecord(3));
    t.equal((await journal.read()).node?.lastTrialId, 3);
  });

  await t.test('records of a newer program: nothing is read and nothing written', async (t) => {
    const { journal, reopen } = await make(t);
    await journal.append(nodeRecord(1));
    const { kind, record } = nodeRecord(2);
    await journal.append({ kind, record: { ...record, schema: RECORD_SCHEMA + 1 } });
    const again = await reopen();
    const newer = { code: 'state.newer_schema' };
    await t.rejects(again.read(), newer);
    await t.rejects(again.append(nodeRecord(3)), newer);
  });

  await t.test('a damaged middle: refused until it is repaired', async (t) => {
    const { journal, reopen, damage } = await make(t);
    for (let n = 1; n <= 9; n += 1) await journal.append(nodeRecord(n));
    await damage();
    const again = await reopen();
    await t.rejects(again.read(), { code: 'journal.corrupt' });
    await t.rejects(again.append(nodeRecord(10)), { code: 'journal.corrupt' });
    const { kept, droppedBytes } = await again.repair();
    t.ok(kept > 0 && kept < 9, `${kept} records are kept`);
    t.ok(droppedBytes > 0);
    t.equal((await again.read()).node?.lastTrialId, kept, 'the last good one is the state');
    await again.append(nodeRecord(10));
    t.equal((await (await reopen()).read()).node?.lastTrialId, 10);
    t.same(await (await reopen()).repair(), { kept: kept + 1, droppedBytes: 0 });
  });
}
