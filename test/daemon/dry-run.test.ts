/**
 * The checks before an update, at two daemons in memory: every row, what each fault makes of it,
 * that nothing is changed, and that an update is refused with the same code; the estimate from
 * history and from sizes. May import tap, core and the daemon's rooms.
 */
import t, { type Test } from 'tap';
import type { PrecheckReport, PrecheckRow } from '../../src/core/operator.ts';
import { parseCommand } from '../../src/cli/parse.ts';
import type { RolloutRecord, StepLog } from '../../src/core/records.ts';
import type { NodeState } from '../../src/core/state.ts';
import type { ValidateReport } from '../../src/core/status.ts';
import { fromHistory, fromSizes, stageSeconds } from '../../src/daemon/estimate.ts';
import { NO_FENCER, readFacts, roomFor, type NodeFacts } from '../../src/daemon/facts.ts';
import {
  bundleRows,
  estimateRow,
  factRows,
  idleRow,
  stateRows,
} from '../../src/daemon/precheck.ts';
import { makeDepotDisk, memoryDepot } from '../memory/depot.ts';
import { ARMED, BUNDLE, nodeState, rolloutRecord, storeStatus } from '../core/states.ts';
import { CALLER, DaemonPair, GOOD, type DaemonOptions } from './harness.ts';

const never = new AbortController().signal;

async function makePair(t: Test, options: { A?: DaemonOptions; B?: DaemonOptions } = {}) {
  const pair = new DaemonPair(options);
  t.teardown(() => pair.close());
  await pair.open();
  return pair;
}

function dryRun(pair: DaemonPair, node: 'a' | 'b' = 'a', path = GOOD): Promise<PrecheckReport> {
  return pair.clock.until(pair[node].backend.precheck({ path }, never));
}

const row = (report: PrecheckReport, name: string): PrecheckRow | undefined =>
  report.checks.find((one) => one.name === name);

const PAIR_ROWS = ['link', 'stand-down', 'available', 'boot', 'fencer', 'clock'].concat([
  'inhibit',
  'window',
  'hooks',
]);

t.test('a good bundle and a healthy pair: every row, asked on either node', async (t) => {
  const pair = await makePair(t);
  for (const node of ['a', 'b'] as const) {
    const before = [pair.a.journal.lines.length, pair.b.journal.lines.length];
    const report = await dryRun(pair, node);
    t.match(report, { ok: true, code: null, next: null, bundle: BUNDLE, version: '2.0.0' });
    t.strictSame(
      report.checks.filter(({ result }) => result !== 'ok'),
      [],
    );
    const names = report.checks.map(({ name }) => name);
    t.strictSame(names.slice(0, 2), ['idle', 'bundle']);
    t.strictSame(names.slice(-PAIR_ROWS.length - 1), [...PAIR_ROWS, 'estimate']);
    t.strictSame([pair.a.journal.lines.length, pair.b.journal.lines.length], before);
    t.equal(pair[node].depot.files.size, 0);
    t.equal(report.estimate?.basis, 'sizes');
  }
  t.equal(pair.a.runner.state.rollout, null);
  t.strictSame(pair.a.audit.lines, [], 'it is no act');
});

t.test('space that lacks on the peer is found, and refuses the update too', async (t) => {
  const pair = await makePair(t);
  pair.b.freeBytes = 1000;
  const report = await dryRun(pair);
  t.match(report, { ok: false, code: 'space.depot', estimate: null });
  t.match(row(report, 'depot'), { result: 'failed', detail: /missing on node B/, fix: /\w/ });
  const started = pair.a.backend.start({ kind: 'update', source: { path: GOOD } }, CALLER);
  await t.rejects(pair.clock.until(started), { code: 'space.depot' });
  pair.b.freeBytes = null;
  const unknown = await dryRun(pair);
  t.match(unknown, { ok: true });
  t.match(row(unknown, 'depot'), { result: 'unknown', detail: /node B is not known/ });
});

t.test('a veto of a check hook, and one that asks for later', async (t) => {
  for (const [answer, ok, code, result] of [
    [{ veto: 'backup runs' }, false, 'hook.refused', 'failed'],
    // It would be accepted, and wait.
    ['retry', true, 'hook.later', 'warning'],
  ] as const) {
    const hooks = [{ point: 'check', name: 'backup', answer: () => answer }];
    const pair = await makePair(t, { A: { hooks } });
    const report = await dryRun(pair);
    t.equal(report.ok, ok);
    t.match(row(report, 'hooks'), { result, code });
  }
});

t.test('a bundle that is refused: the rows of the pair are shown all the same', async (t) => {
  const pair = await makePair(t);
  const report = await dryRun(pair, 'a', '/none.bin');
  t.match(report, { ok: false, code: 'file.not_found', bundle: null, estimate: null });
  t.match(row(report, 'bundle'), { result: 'failed' });
  t.equal(row(report, 'available')?.result, 'ok');
  t.equal(row(report, 'hooks'), undefined, 'there is no version to ask them about');
  t.equal(row(report, 'estimate')?.result, 'unknown');
  const staged = await pair.clock.until(pair.a.backend.precheck({ bundle: 'd'.repeat(64) }, never));
  t.equal(staged.code, 'file.not_found');
});

t.test('an update that runs, and a peer that is away', async (t) => {
  const pair = await makePair(t);
  pair.wire.cut();
  await pair.clock.advance(1000);
  const away = await dryRun(pair);
  t.match(away, { ok: false, code: 'pair.peer_unreachable' });
  t.equal(row(away, 'link')?.code, 'pair.peer_unreachable');
  t.equal(row(away, 'clock')?.result, 'unknown');
  pair.wire.heal();
  await pair.open();
  await pair.a.runner.dispatch({ type: 'start', record: rolloutRecord({ phase: 'HAND1' }) });
  t.match(await dryRun(pair), { ok: false, code: 'job.busy' });
});

t.test('rows of the state: boot chooser, channels', async (t) => {
  const armed = nodeState('A', { world: { bootState: ARMED } });
  const refused = { name: 'boot', result: 'failed', code: 'boot.armed' };
  t.match(stateRows(armed, []).at(-1), refused);
  const booted = nodeState('A', { peer: { boot: { ...armed.world.boot, slot: 'B' } } });
  t.match(stateRows(booted, []).at(-1), { ...refused, detail: /node B/ });
  const error = { code: 'link.serial_failed', message: 'no such device' } as const;
  const channels = [{ name: 'serial', up: false, ageMs: null, error }];
  t.match(stateRows(nodeState('A'), channels)[0], { result: 'warning', detail: /serial.*no such/ });
});

const facts = (change: Partial<NodeFacts> = {}): NodeFacts => {
  return { nowMs: 1000, freeBytes: 1, slotBytes: null, fencer: NO_FENCER, ...change };
};
const fence = (error: NodeFacts['fencer']['error'] = null) =>
  ({ policy: 'fence', kind: 'power', error }) as const;
const fixOf = (s: NodeState, name: string): unknown =>
  stateRows(s, []).find((one) => one.name === name)?.fix;
const NO_ANSWER = { code: 'fence.self_test', message: 'no answer' } as const;
const ROOM: ValidateReport = {
  ok: false,
  bundle: null,
  product: null,
  version: null,
  lagging: [],
  checks: [
    { name: 'signature', ok: false, code: 'trust.untrusted', detail: '0 of 2 keys' },
    { name: 'depot', ok: true, code: null, detail: 'enough' },
  ],
  code: 'trust.untrusted',
  message: '0 of 2 keys',
  next: null,
};
const results = (A: NodeFacts | null, B: NodeFacts | null): readonly string[] =>
  factRows({ A, B }).map(({ result }) => result);

t.test('rows of facts: fencers and clocks', async (t) => {
  t.strictSame(results(facts(), facts({ nowMs: 6000 })), ['ok', 'ok']);
  t.strictSame(results(facts(), facts({ nowMs: 6100 })), ['ok', 'warning'], 'never a refusal');
  t.strictSame(results(facts(), null), ['unknown', 'unknown']);
  t.strictSame(results(facts({ fencer: fence() }), facts({ fencer: fence() })), ['ok', 'ok']);
  t.strictSame(results(facts({ fencer: fence() }), facts()), ['warning', 'ok']);
  const broken = fence({ code: 'fence.self_test', message: 'no answer' });
  const [first] = factRows({ A: facts(), B: facts({ fencer: broken }) });
  t.match(first, { result: 'failed', code: 'fence.self_test', detail: /node B: no answer/ });
  t.strictSame(readFacts(JSON.parse(JSON.stringify(facts({ fencer: broken })))), {
    ...facts({ fencer: broken }),
  });
  for (const odd of [null, 1, {}, { nowMs: 'x' }]) t.equal(readFacts(odd), null);
  t.match(readFacts({ nowMs: 1, freeBytes: '1', fencer: 7 }), { freeBytes: null });
});

t.test('every row that is not ok has a fix, with commands that the program has', async (t) => {
  const serial = { name: 'serial', up: false, ageMs: null, error: null };
  const standDown = { rollout: 'operator', epoch: 1 };
  const store = storeStatus('primary', { peer: 'syncing' });
  const paused = { by: 'anna', at: '2026-01-01T00:00:00.000Z' };
  const states = [
    nodeState('A', { peer: null }),
    nodeState('B', { peer: null }),
    nodeState('A', { peerRecord: { standDown }, peer: { admitted: false } }),
    nodeState('A', { world: { store } }),
    nodeState('A', { world: { store: storeStatus('primary', { splitBrain: true }) } }),
    nodeState('A', { world: { bootState: ARMED } }),
  ];
  const rows = [
    ...states.flatMap((s) => stateRows(s, [serial])),
    ...factRows({ A: facts(), B: null }),
    ...factRows({ A: facts({ fencer: fence() }), B: facts({ nowMs: 60_000 }) }),
    ...factRows({ A: facts(), B: facts({ fencer: fence(NO_ANSWER) }) }),
    idleRow(nodeState('A', { rollout: rolloutRecord({ phase: 'HAND1', paused }) }), null),
    idleRow(nodeState('A'), 'validate-1'),
    ...bundleRows(ROOM, null),
    estimateRow(null),
  ];
  const seen = new Set(rows.filter(({ result }) => result !== 'ok').map(({ name }) => name));
  const all = ['link', 'available', 'stand-down', 'boot', 'fencer', 'clock', 'idle', 'depot'];
  t.strictSame([...seen].toSorted(), [...all, 'estimate', 'signature'].toSorted());
  for (const { name, result, fix, detail } of rows) {
    if (result === 'ok') t.equal(fix, null, name);
    else t.match(fix, /^[A-Z].*\.$/, `${name}: ${detail}: ${fix}`);
    for (const [, command = ''] of (fix ?? '').matchAll(/`tandem ([^`]+)`/g)) {
      t.match(await parseCommand(command.split(' ')), { kind: 'verb' }, command);
    }
  }
  t.match(fixOf(states[2]!, 'stand-down'), 'On node B: `tandem stand-down --end`.');
  t.match(fixOf(states[3]!, 'available'), '`tandem cluster status --wait-ready`');
  t.match(fixOf(states[4]!, 'available'), '`tandem storage resolve --keep A`');
});

t.test('room for a bundle counts what staging it removes', async (t) => {
  const depot = memoryDepot(makeDepotDisk(0));
  const list = [
    { bundle: BUNDLE, bytes: 10 },
    { bundle: 'd'.repeat(64), bytes: 100 },
    { bundle: 'e'.repeat(64), bytes: 1000 },
  ];
  const port = { ...depot, list: () => Promise.resolve(list as never) };
  t.equal(await roomFor(BUNDLE, ['d'.repeat(64) as never], port, 1), 1011);
  t.equal(await roomFor(BUNDLE, [BUNDLE], port, 1), 1111);
  t.equal(await roomFor(BUNDLE, [], port, null), null);
});

/** A rollout whose phases took these seconds. */
function took(id: string, seconds: Partial<Record<StepLog['phase'], number>>): RolloutRecord {
  let ms = Date.parse('2026-01-01T00:00:00.000Z');
  const startedAt = new Date(ms).toISOString();
  const log: StepLog[] = [];
  for (const [phase, s] of Object.entries(seconds) as [StepLog['phase'], number][]) {
    log.push({ at: new Date(ms).toISOString(), phase, text: 'x' });
    ms += s * 1000;
  }
  const at = new Date(ms).toISOString();
  log.push({ at, phase: 'DONE', text: 'x' });
  const plain = rolloutRecord();
  const nodes = { A: { ...plain.nodes.A, log }, B: plain.nodes.B };
  return { ...plain, id, startedAt, phase: 'DONE', phaseAt: at, nodes };
}

t.test('estimate from history: the median of each phase, failures left out', async (t) => {
  t.equal(fromHistory([], 'update'), null);
  t.equal(fromHistory([rolloutRecord({ phase: 'FAILED' })], 'update'), null);
  const past = [
    took('u3', { STAGE: 10, INSTALL1: 20, REFORM: 1 }),
    took('u2', { STAGE: 90, INSTALL1: 22, REFORM: 3 }),
    took('u1', { STAGE: 12, INSTALL1: 60, REFORM: 2 }),
  ];
  const found = fromHistory(past, 'update');
  t.match(found, { totalS: 36, basis: 'history', text: /median of the last 3 updates.*u3/ });
  t.strictSame(found?.phases, [
    { phase: 'STAGE', seconds: 12 },
    { phase: 'INSTALL1', seconds: 22 },
    { phase: 'REFORM', seconds: 2 },
  ]);
  t.match(fromHistory(past.slice(0, 1), 'update')?.text, /^the last update of this pair/);
  t.equal(fromHistory(past, 'rollback'), null);
});

t.test('estimate from sizes: measured rate, assumptions, a node that is left alone', async (t) => {
  const sizes = { bundleBytes: 1000, first: 2000, second: 2000, soakS: 60, readMs: 1000 };
  const both = fromSizes(sizes);
  const of = (phase: string): number | undefined =>
    both.phases.find((one) => one.phase === phase)?.seconds;
  t.equal(of('STAGE'), 2);
  t.equal(of('INSTALL1'), 4);
  t.equal(of('HAND1'), 62);
  t.equal(
    both.totalS,
    both.phases.reduce((sum, one) => sum + one.seconds, 0),
  );
  t.match(both.text, /as this bundle was just read.*assumed 90 s/);
  const one = fromSizes({ ...sizes, second: 0 });
  t.notOk(one.phases.some(({ phase }) => phase.endsWith('2')));
  t.match(fromSizes({ ...sizes, readMs: 0 }).text, /50 MB\/s assumed/);
  t.equal(stageSeconds(sizes), 2, 'copied here, sent there');
  t.equal(stageSeconds(sizes, { prepared: true }), 3, 'and read once more');
  t.equal(stageSeconds({ bundleBytes: 1, readMs: 0 }), 1, 'never nothing');
});
