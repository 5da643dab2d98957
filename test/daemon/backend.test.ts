/**
 * What a daemon answers: checks, refusals, jobs, changes asked for on either node. Two daemons in
 * memory, virtual time. May import tap, core and the daemon's rooms.
 */
import t, { type Test } from 'tap';
import { EXIT } from '../../src/core/codes.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { JobStatus } from '../../src/core/status.ts';
import { BUNDLE, BUNDLE_BYTES, manifestOf, release, rolloutRecord } from '../core/states.ts';
import { CALLER, DaemonPair, GOOD, type Daemon, type DaemonOptions } from './harness.ts';

const never = new AbortController().signal;
const UPDATE = { kind: 'update', source: { path: GOOD } } as const;

async function makePair(t: Test, options: { A?: DaemonOptions; B?: DaemonOptions } = {}) {
  const pair = new DaemonPair(options);
  t.teardown(() => pair.close());
  await pair.open();
  return pair;
}

/** The code with which a change is refused. */
async function refused(pair: DaemonPair, started: Promise<JobStatus>): Promise<string> {
  const end = started.then(
    () => 'accepted',
    (error: unknown) => (error as UpdateError).code,
  );
  return pair.clock.until(end);
}

/** Files on this node that are no bundle for this pair, and how each is refused. */
function spoil(node: Daemon): readonly (readonly [path: string, code: string])[] {
  const good = { bundle: BUNDLE, bytes: BUNDLE_BYTES, manifest: manifestOf() };
  const damaged = new UpdateError('bundle.damaged', 'chunk 7 is damaged');
  const same = manifestOf(1);
  node.files.set('/damaged.bin', { ...good, fault: damaged });
  node.files.set('/other.bin', { ...good, manifest: { ...good.manifest, product: 'another' } });
  node.files.set('/same.bin', { ...good, manifest: same });
  node.files.set('/nopath.bin', { ...good, manifest: { ...good.manifest, from: '>=1.5.0' } });
  return [
    ['/damaged.bin', 'bundle.damaged'],
    ['/none.bin', 'file.not_found'],
  ];
}

t.test('validate: a good bundle, and each refusal as a report', async (t) => {
  const pair = await makePair(t);
  for (const node of [pair.a, pair.b]) {
    const good = await pair.clock.until(node.backend.validate(GOOD, never));
    t.match(good, { ok: true, code: null, bundle: BUNDLE, version: '2.0.0', next: null });
    t.strictSame(good.lagging, ['A/system', 'A/storage', 'B/system', 'B/storage']);
    for (const [path, code] of spoil(node)) {
      const report = await pair.clock.until(node.backend.validate(path, never));
      t.match(report, {
        ok: false,
        code,
        bundle: null,
        lagging: [],
        checks: [{ ok: false, code }],
      });
      t.ok((report.next ?? '').length > 10, 'with what to do');
    }
    for (const path of ['/other.bin', '/same.bin', '/nopath.bin']) {
      const report = await pair.clock.until(node.backend.validate(path, never));
      t.notOk(report.ok, path);
      t.not(report.code, null);
      t.equal(report.bundle, BUNDLE, 'the bundle itself was read');
      const job = node.backend.start({ kind: 'update', source: { path } }, CALLER);
      t.equal(await refused(pair, job), report.code, `an update with ${path} is refused the same`);
    }
  }
  t.equal(pair.a.depot.files.size, 0, 'nothing was written');
  t.strictSame(pair.a.backend.jobs(), []);
});

t.test('an update asked for on the standby begins on the active', async (t) => {
  const pair = await makePair(t);
  const release = pair.a.hold('write system');
  const job = await pair.clock.until(pair.b.backend.start(UPDATE, { name: 'anna' }));
  t.match(job, { kind: 'update', state: 'running', exit: null, endedAt: null });
  await pair.until(() => pair.a.runner.state.rollout?.phase === 'INSTALL1');
  t.equal(pair.a.runner.state.rollout?.id, job.id);
  t.match(pair.a.backend.job(job.id), { state: 'running', kind: 'update' });
  t.match(pair.b.backend.job(job.id), { state: 'running', kind: 'update' });
  t.equal(pair.b.backend.jobs().length, 1, 'told of once');
  t.ok(pair.b.told().includes('B request: update asked for by anna'));
  t.ok(pair.a.told().includes('B request: update asked for by anna'), 'the peer hears it too');
  const busy = 'job.busy';
  t.equal(await refused(pair, pair.a.backend.start(UPDATE, CALLER)), busy);
  t.equal(await refused(pair, pair.b.backend.start({ kind: 'rollback' }, CALLER)), busy);
  t.equal(await refused(pair, pair.b.backend.start({ kind: 'commit' }, CALLER)), busy);
  const cancelled = pair.b.backend.cancel(job.id, { name: 'ben' });
  await pair.clock.until(cancelled);
  await pair.until(() => pair.b.backend.job(job.id).state === 'failed');
  t.match(pair.b.backend.job(job.id), { code: 'job.cancelled', message: 'cancelled by ben' });
  t.equal(pair.a.runner.state.rollout?.phase, 'CANCELLED');
  t.equal(await refused(pair, pair.b.backend.cancel(job.id, CALLER)), 'job.not_cancellable');
  release();
  const [newest] = await pair.a.backend.history(5);
  t.equal(newest?.id, job.id);
});

t.test('a pair that is not healthy takes no update, and says what it waits for', async (t) => {
  const pair = await makePair(t);
  pair.wire.cut();
  await pair.clock.advance(1000);
  for (const node of [pair.a, pair.b]) {
    const code = await refused(pair, node.backend.start(UPDATE, CALLER));
    t.equal(code, 'pair.peer_unreachable');
  }
  pair.wire.heal();
  await pair.until(() => pair.a.backend.status().ha.ok);
  t.equal(
    await refused(pair, pair.b.backend.start({ kind: 'commit' }, CALLER)),
    'rollback.unavailable',
  );
  t.equal(
    await refused(pair, pair.a.backend.start({ kind: 'rollback' }, CALLER)),
    'rollback.unavailable',
  );
  pair.store.setLink(false);
  await pair.clock.advance(1000);
  const started = pair.a.backend.start(UPDATE, CALLER).catch((cause: unknown) => cause);
  const message = /^storage: the copy of node B is not connected; admitted: /;
  t.match(await pair.clock.until(started), { code: 'pair.not_healthy', message });
});

t.test('two updates at once: one begins, the other is refused', async (t) => {
  const pair = await makePair(t);
  pair.a.hold('write system');
  const both = [pair.a.backend.start(UPDATE, CALLER), pair.a.backend.start(UPDATE, CALLER)];
  const ends = await pair.clock.until(Promise.allSettled(both));
  t.strictSame(ends.map((end) => end.status).toSorted(), ['fulfilled', 'rejected']);
  t.match(
    ends.find((end) => end.status === 'rejected'),
    { reason: { code: 'job.busy' } },
  );
  await pair.until(() => pair.a.runner.state.rollout !== null);
  t.equal(pair.a.backend.jobs().length, 1);
});

t.test('a job that is cancelled while it stages never becomes an update', async (t) => {
  const pair = await makePair(t);
  const release = pair.a.hold('fill');
  const job = await pair.clock.until(pair.a.backend.start(UPDATE, CALLER));
  await pair.clock.advance(1000);
  await pair.a.backend.cancel(job.id, CALLER);
  await pair.until(() => pair.a.backend.job(job.id).state === 'failed');
  t.match(pair.a.backend.job(job.id), { code: 'job.cancelled', exit: EXIT.cancelled });
  release();
  // Staged already: nothing waits, and a cancel in the same moment still counts.
  const holds = { bundle: BUNDLE, manifest: manifestOf() };
  pair.a.depot.files.set(`memory:${BUNDLE}.bin`, { bytes: BUNDLE_BYTES, holds });
  const { backend } = pair.a;
  const begun = backend.start(UPDATE, CALLER).then((one) => backend.cancel(one.id, CALLER));
  const second = await pair.clock.until(begun);
  await pair.clock.advance(5000);
  t.match(pair.a.backend.job(second.id), { state: 'failed', code: 'job.cancelled' });
  t.equal(pair.a.runner.state.rollout, null);
  t.throws(() => pair.a.backend.job('update-0'), { code: 'job.unknown' });
});

t.test('stage: the bundle is on both nodes, and an update can name it', async (t) => {
  const pair = await makePair(t);
  const job = await pair.clock.until(pair.b.backend.start({ kind: 'stage', path: GOOD }, CALLER));
  await pair.until(() => pair.b.backend.job(job.id).state !== 'running');
  t.match(pair.b.backend.job(job.id), { state: 'done', exit: 0, message: /staged on both nodes/ });
  t.ok(pair.a.runner.state.world.depot.includes(BUNDLE));
  const { product, version } = manifestOf();
  const own = { bundle: BUNDLE, product, version, bytes: BUNDLE_BYTES };
  t.strictSame(await pair.a.backend.bundles(), [{ ...own, nodes: ['A', 'B'] }]);
  const none = { kind: 'update', source: { bundle: 'f'.repeat(64) } } as const;
  t.equal(await refused(pair, pair.a.backend.start(none, CALLER)), 'file.not_found');
  pair.a.hold('write system');
  const staged = { kind: 'update', source: { bundle: BUNDLE } } as const;
  await pair.clock.until(pair.a.backend.start(staged, CALLER));
  await pair.until(() => pair.a.runner.state.rollout?.phase === 'INSTALL1');
});

t.test('stage without a peer: here it is, there it is not', async (t) => {
  const pair = await makePair(t);
  const job = await pair.clock.until(pair.a.backend.start({ kind: 'stage', path: GOOD }, CALLER));
  pair.wire.cut();
  await pair.until(() => pair.a.backend.job(job.id).state !== 'running');
  t.match(pair.a.backend.job(job.id), { state: 'failed', code: 'pair.not_replicated' });
  t.ok(pair.a.runner.state.world.depot.includes(BUNDLE));
  t.match(await pair.a.backend.bundles(), [{ bundle: BUNDLE, nodes: ['A'] }]);
});

t.test('settings are set by whoever asks, and stand in the audit log', async (t) => {
  const pair = await makePair(t);
  const { backend } = pair.a;
  const asked = { key: 'idleMin', value: '20', reason: 'long watch' } as const;
  t.match(await backend.set(asked, CALLER), { changed: true, message: 'idleMin is 20 now' });
  t.equal((await backend.settings()).settings.idleMin, 20);
  t.match(await backend.audit(1), [{ act: 'settings set idleMin', reason: 'long watch' }]);
});

t.test('a check hook may refuse, or ask for later', async (t) => {
  let answer: 'good' | 'retry' | { veto: string } = { veto: 'maintenance window is closed' };
  const hooks = [{ point: 'check', name: '10-window', answer: () => answer }];
  const pair = await makePair(t, { A: { hooks } });
  t.equal(await refused(pair, pair.a.backend.start(UPDATE, CALLER)), 'hook.refused');
  answer = 'retry';
  const { id } = await pair.clock.until(pair.a.backend.start(UPDATE, CALLER));
  const words = /waits: hook check.d\/10-window asks to be asked later \(asked (\d+) times\)/;
  await pair.until(() => Number(words.exec(pair.a.backend.job(id).message)?.[1] ?? 0) > 2);
  t.equal(pair.a.runner.state.rollout, null, 'nothing has begun');
  t.match(pair.a.backend.status().automation, {
    waiting: [{ job: id, message: /^hook check.d\/10-window/ }],
  });
  t.equal(await refused(pair, pair.a.backend.start({ kind: 'rollback' }, CALLER)), 'job.busy');
  answer = 'good';
  pair.a.hold('write system');
  await pair.until(() => pair.a.runner.state.rollout?.phase === 'INSTALL1');
});

t.test('an order and a policy of the request count for that update', async (t) => {
  const pair = await makePair(t);
  pair.b.hold('write system');
  const request = { ...UPDATE, order: 'standby-first', onSecondFailure: 'rollback' } as const;
  await pair.clock.until(pair.a.backend.start(request, CALLER));
  await pair.until(() => pair.a.runner.state.rollout?.phase === 'INSTALL1');
  const { rollout } = pair.a.runner.state;
  t.match(rollout, { first: 'B', policy: { order: 'standby-first', onSecondFailure: 'rollback' } });
  await pair.until(() => pair.b.runner.state.record.update.state === 'installing');
  t.equal(pair.a.runner.state.record.update.state, 'idle');
});

t.test('commit of an update after a later rollout that came to nothing', async (t) => {
  const pair = await makePair(t);
  const first = { name: 'system', class: 'system', runsWith: '*' } as const;
  const image = { ...first, release: release('system', 1) };
  const to = { ...rolloutRecord().to, version: '1.0.0', counter: 1, images: [image] } as const;
  const done = rolloutRecord({ id: 'update-0', phase: 'DONE', to });
  const back = rolloutRecord({ id: 'rollback-1', kind: 'rollback', phase: 'FAILED', to });
  await pair.a.runner.dispatch({ type: 'start', record: done });
  await pair.a.runner.dispatch({ type: 'start', record: back });
  await pair.until(() => pair.b.runner.state.rollout?.id === 'rollback-1');
  const job = await pair.clock.until(pair.a.backend.start({ kind: 'commit' }, CALLER));
  t.equal(job.id, 'update-0.commit');
  await pair.until(() => pair.a.backend.job(job.id).state === 'done');
  t.match(pair.a.backend.job(job.id), { message: '1.0.0 is permanent on both nodes' });
  t.match(pair.a.runner.state.rollout, { id: 'update-0', phase: 'DONE', finalized: true });
  for (const node of [pair.a, pair.b]) t.equal(node.runner.state.record.releaseFloor, 1);
});

t.test('slots and status of both nodes, from either one', async (t) => {
  const pair = await makePair(t);
  for (const node of [pair.a, pair.b]) {
    const slots = await node.backend.slots();
    t.equal(slots.A.length, 4);
    t.same(slots.A, slots.B);
    const status = node.backend.status();
    t.match(status, { state: 'HEALTHY', ha: { ok: true }, alarms: [] });
  }
  pair.wire.cut();
  await pair.clock.advance(5000);
  t.same((await pair.a.backend.slots()).B, [], 'what is not known is not told');
  const status = pair.a.backend.status();
  t.match(status, { state: 'ALONE', nodes: { B: { known: false } } });
  t.match(status.alarms, [{ code: 'pair.peer_unreachable' }]);
  t.ok((status.nodes.B.ageMs ?? 0) >= 4500, 'with the age of what was heard last');
});
