/**
 * Words of an operator at two daemons in memory: exchange of roles asked for on either node,
 * takeover, stand-down, pause and resume; each act and each refusal is in the audit log and is an
 * event. May import tap, core and the daemon's rooms.
 */
import t, { type Test } from 'tap';
import type { ActRequest } from '../../src/control/backend.ts';
import type { UpdateError } from '../../src/core/errors.ts';
import type { AuditEntry } from '../../src/core/operator.ts';
import { POLICY, rolloutRecord } from '../core/states.ts';
import { CALLER, DaemonPair, GOOD, type Daemon } from './harness.ts';

async function makePair(t: Test): Promise<DaemonPair> {
  const pair = new DaemonPair();
  t.teardown(() => pair.close());
  await pair.open();
  return pair;
}

/** What an act says, or the code of its refusal. */
function act(pair: DaemonPair, node: Daemon, request: ActRequest): Promise<string> {
  const end = node.backend.act(request, CALLER).then(
    ({ changed, message }) => `${changed ? 'done' : 'unchanged'}: ${message}`,
    (error: unknown) => (error as UpdateError).code,
  );
  return pair.clock.until(end);
}

const newest = (node: Daemon): AuditEntry => JSON.parse(node.audit.lines.at(-1)!) as AuditEntry;
/** An update whose first node is watched for an hour. */
const SOAKS = rolloutRecord({ phase: 'HAND1', policy: { ...POLICY, soakS: 3600 } });
const SWITCH = { act: 'switchover' } as const;

for (const asked of ['a', 'b'] as const) {
  t.test(`switchover asked for on ${asked}: the roles are exchanged, and back`, async (t) => {
    const pair = await makePair(t);
    const node = pair[asked];
    t.equal(pair.network.server(), 'A');
    t.equal(await act(pair, node, SWITCH), 'done: node B takes the service over');
    await pair.until(() => pair.network.server() === 'B');
    await pair.until(() => [pair.a, pair.b].every((one) => one.backend.status().ha.ok));
    t.equal(pair.b.runner.state.record.role.epoch, 2);
    t.equal(await act(pair, node, SWITCH), 'done: node A takes the service over');
    await pair.until(() => pair.network.server() === 'A');
    t.equal(pair.network.mostHolders, 1, 'never both');
    t.match(newest(node), { act: 'switchover', by: 'root', result: 'done', reason: null });
    t.equal(node.audit.lines.length, 2);
    const told = node.told().filter((line) => line.includes('operator: switchover'));
    t.equal(told.length, 2, told.join('; '));
  });
}

t.test('switchover is refused during an update, and without a peer that can serve', async (t) => {
  const pair = await makePair(t);
  await pair.a.runner.dispatch({ type: 'start', record: SOAKS });
  await pair.clock.advance(300);
  t.equal(await act(pair, pair.a, { ...SWITCH, reason: 'fan' }), 'job.busy');
  t.match(newest(pair.a), { result: 'refused', code: 'job.busy', reason: 'fan' });
  t.equal(await act(pair, pair.b, SWITCH), 'job.busy', 'and where it was handed on');
  pair.wire.cut();
  await pair.clock.advance(1000);
  t.equal(await act(pair, pair.b, SWITCH), 'pair.not_healthy', 'nobody is known to serve');
});

t.test('stand-down: a promise of the standby, durable, shown, and ended', async (t) => {
  const pair = await makePair(t);
  const down = { act: 'stand-down', on: true, reason: 'disk' } as const;
  const up = { act: 'stand-down', on: false } as const;
  t.equal(await act(pair, pair.a, down), 'standdown.active');
  t.match(await act(pair, pair.b, down), /^done: node B has promised/);
  t.match(await act(pair, pair.b, down), /^unchanged/);
  t.match(pair.b.journal.lines.at(-1), /"rollout":"operator"/);
  await pair.until(() => !pair.a.backend.status().ha.ok);
  const status = pair.a.backend.status();
  t.match(status.nodes.B, { standDown: true, standDownFor: 'operator', admitted: false });
  t.match(status.alarms, [{ code: 'pair.stood_down', node: 'B' }]);
  t.equal(status.ha.remedy, 'run `tandem stand-down --end` on node B');
  t.match(status.reform.at(-1), { name: 'admitted', state: 'waiting', text: /stood down/ });
  t.equal(await act(pair, pair.a, SWITCH), 'switchover.refused');
  const start = pair.a.backend.start({ kind: 'update', source: { path: GOOD } }, CALLER);
  await t.rejects(pair.clock.until(start), { code: 'pair.stood_down' });
  t.match(newest(pair.a), { act: 'update', result: 'refused', code: 'pair.stood_down' });
  t.match(await act(pair, pair.b, up), /^done: node B has no promise/);
  t.match(newest(pair.b), { act: 'stand-down --end', result: 'done' });
  await pair.until(() => pair.a.backend.status().ha.ok);
  t.equal(pair.a.backend.status().reforming, null);
});

t.test('takeover: refused while the peer answers, then the standby serves', async (t) => {
  const pair = await makePair(t);
  const word = { act: 'takeover', peer: 'A', reason: 'unplugged' } as const;
  t.match(pair.b.backend.takeover(), { refusal: { code: 'takeover.connected' }, word: 'A is off' });
  t.equal(await act(pair, pair.b, word), 'takeover.connected');
  pair.wire.cut();
  await pair.a.runner[Symbol.asyncDispose]();
  await pair.network.address('A').release();
  pair.store.setRunning('A', false);
  await pair.clock.advance(12_000);
  const view = pair.b.backend.takeover();
  t.match(view, { node: 'B', peer: 'A', refusal: null, needless: false, lastHeardS: 12 });
  t.equal(view.costs.length, 3);
  t.ok(view.costs[0]?.includes(`since ${view.lastHeardAt}`));
  t.equal(pair.b.backend.status().state, 'ALONE');
  t.match(pair.b.backend.status().ha.remedy, /run `tandem takeover` on node B/);
  t.equal(await act(pair, pair.b, { ...word, peer: 'B' }), 'usage.invalid');
  t.match(await act(pair, pair.b, word), /^done: node B goes on without node A \(epoch 2\)/);
  await pair.until(() => pair.network.server() === 'B');
  t.match(newest(pair.b), { act: 'takeover', result: 'done', reason: 'unplugged', node: 'B' });
  t.match(pair.b.told().at(-2), /operator: takeover asked for by root \(unplugged\)/);
  t.ok(pair.b.backend.takeover().needless);
  t.match(await act(pair, pair.b, word), /^unchanged: node B needs no word/);
});

t.test('a holder that waits for its peer goes on alone by the word', async (t) => {
  const pair = new DaemonPair();
  t.teardown(() => pair.close());
  pair.wire.cut();
  await pair.clock.advance(3000);
  t.equal(pair.network.server(), null, 'it may be behind its peer');
  t.match(pair.a.backend.status().ha.remedy, /run `tandem takeover` on node A/);
  t.equal(pair.a.backend.takeover().lastHeardAt, null);
  t.match(pair.a.backend.takeover().costs[0], /since an unknown time/);
  const word = { act: 'takeover', peer: 'B', reason: 'unplugged' } as const;
  t.match(await act(pair, pair.a, word), /^done: node A goes on without node B \(epoch 1\)/);
  await pair.until(() => pair.network.server() === 'A');
});

t.test('pause and resume, asked for on either node', async (t) => {
  const pair = await makePair(t);
  t.equal(await act(pair, pair.a, { act: 'pause' }), 'job.not_pausable');
  t.equal(await act(pair, pair.a, { act: 'pause', job: 'nothing' }), 'job.unknown');
  await pair.a.runner.dispatch({ type: 'start', record: SOAKS });
  await pair.until(() => pair.b.runner.state.rollout !== null);
  const on = { act: 'pause', job: 'update-1', reason: 'backup' } as const;
  t.equal(await act(pair, pair.b, on), 'done: the update rests at the end of HAND1');
  await pair.until(() => pair.b.backend.status().rollout?.paused != null);
  t.match(pair.a.backend.status().rollout?.paused, { by: 'root', restsAfter: 'HAND1' });
  t.match(newest(pair.b), { act: 'pause', job: 'update-1', reason: 'backup', result: 'done' });
  t.match(await act(pair, pair.a, { act: 'pause' }), /^unchanged/);
  t.equal(await act(pair, pair.b, { act: 'resume' }), 'done: the update goes on');
  await pair.until(() => pair.a.backend.status().rollout?.paused === null);
  t.match(await act(pair, pair.a, { act: 'resume' }), /^unchanged/);
});

t.test('every change is in the audit log with its job and its end', async (t) => {
  const pair = await makePair(t);
  const stage = { kind: 'stage', path: GOOD, reason: 'night' } as const;
  const job = await pair.clock.until(pair.a.backend.start(stage, CALLER));
  await pair.until(() => pair.a.backend.job(job.id).state !== 'running');
  await t.rejects(pair.a.backend.cancel('none', CALLER, 'why not'), { code: 'job.unknown' });
  const entries = await pair.a.backend.audit(10);
  t.match(entries, [
    { act: 'cancel', result: 'refused', code: 'job.unknown', reason: 'why not' },
    { act: 'stage', result: 'done', job: job.id },
    { act: 'stage', result: 'accepted', job: job.id, by: 'root', reason: 'night', node: 'A' },
  ]);
  t.equal((await pair.a.backend.audit(1)).length, 1);
  pair.a.audit.lines.push('{"torn', '{"v":2}');
  t.equal((await pair.a.backend.audit(10)).length, 3, 'damaged lines are left out');
});
