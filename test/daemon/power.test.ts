/**
 * Restart and shutdown at two daemons in memory: the service is handed over first, the peer counts
 * on the promise before the boot ends, and the next start of the daemon takes it back; refusals,
 * what is forced, and what is taken back when it cannot go on. May import tap, core and the
 * daemon's rooms.
 */
import t, { type Test } from 'tap';
import type { UpdateError } from '../../src/core/errors.ts';
import type { AuditEntry } from '../../src/core/operator.ts';
import type { PowerKind } from '../../src/core/power.ts';
import { OPERATOR } from '../../src/core/role.ts';
import type { JobStatus } from '../../src/core/status.ts';
import type { PowerNote } from '../../src/daemon/power-note.ts';
import { POLICY, rolloutRecord } from '../core/states.ts';
import { CALLER, DaemonPair, GOOD, type Daemon, type DaemonOptions } from './harness.ts';

async function makePair(t: Test, B: DaemonOptions = {}): Promise<DaemonPair> {
  const pair = new DaemonPair({ B });
  t.teardown(() => pair.close());
  await pair.open();
  return pair;
}

/** The job that was begun, or the code of the refusal. */
function begin(pair: DaemonPair, node: Daemon, kind: PowerKind, force = false) {
  const request = { kind, force, reason: 'memory' };
  return pair.clock.until(
    node.backend.start(request, CALLER).catch((error: unknown) => (error as UpdateError).code),
  );
}

/** How a job has ended. */
async function end(pair: DaemonPair, node: Daemon, started: JobStatus | string) {
  const { id } = started as JobStatus;
  await pair.until(() => node.backend.job(id).state !== 'running');
  return node.backend.job(id);
}

const gone = ({ host }: Daemon): readonly string[] => [...host.reboots, ...host.offs];
const acts = ({ audit }: Daemon): readonly string[] =>
  audit.lines
    .map((line) => JSON.parse(line) as AuditEntry)
    .map((one) => `${one.act} ${one.result}`);
const NOTE: PowerNote = {
  v: 1,
  job: 'restart-1',
  kind: 'restart',
  by: 'anna',
  reason: 'memory',
  startedAt: '2026-01-01T00:00:00.000Z',
  bootId: 'B0',
  standDown: true,
};

for (const kind of ['restart', 'shutdown'] as const) {
  t.test(`${kind} of the node that serves: handed over, promised, counted on`, async (t) => {
    const pair = await makePair(t);
    t.match(pair.a.backend.power()[kind], { handsOverTo: 'B', refusal: null, word: 'A' });
    t.match(await begin(pair, pair.a, kind), { kind, state: 'running' });
    await pair.until(() => gone(pair.a).length > 0);
    t.same(gone(pair.a), [`${kind} asked for by root: memory`]);
    t.equal(pair.a.host.offs.length, kind === 'shutdown' ? 1 : 0);
    t.equal(pair.network.server(), 'B');
    t.equal(pair.network.mostHolders, 1, 'never both');
    const promise = pair.a.runner.state.record.standDown;
    t.match(promise, { rollout: OPERATOR });
    t.equal(pair.b.runner.state.record.role.peerMayTakeOver, false, 'the peer counts on it');
    t.match(pair.a.notes.note, { kind, by: 'root', reason: 'memory', standDown: true });
    t.equal(acts(pair.a)[0], `${kind} accepted`);
    const steps = pair.a.told().filter((line) => line.startsWith(`A ${kind}:`));
    t.match(steps.join('; '), /takes the service over.*promises not to take over.*now$/);
  });

  t.test(`${kind} of the standby: no handover`, async (t) => {
    const pair = await makePair(t);
    t.match(pair.b.backend.power()[kind], { handsOverTo: null, refusal: null, word: 'B' });
    await begin(pair, pair.b, kind);
    await pair.until(() => gone(pair.b).length > 0);
    t.equal(pair.network.server(), 'A');
    t.equal(pair.a.runner.state.record.role.peerMayTakeOver, false);
  });
}

t.test('the start after it ends the promise, and the job ends when the node is back', async (t) => {
  const record = { standDown: { rollout: OPERATOR, epoch: 1 }, promises: 1 };
  const pair = await makePair(t, { note: NOTE, state: { record } });
  await pair.until(() => pair.b.backend.job('restart-1').state !== 'running');
  const { startedAt } = NOTE;
  const message = /node B has restarted; it is admitted as the standby/;
  t.match(pair.b.backend.job('restart-1'), { state: 'done', exit: 0, startedAt, message });
  t.equal(pair.b.runner.state.record.standDown, null);
  t.equal(pair.b.notes.note, null);
  t.same(acts(pair.b), ['restart done']);
  t.match(JSON.parse(pair.b.audit.lines[0]!), { by: 'anna', reason: 'memory' });
});

t.test('a daemon that starts again in the same boot says that nothing happened', async (t) => {
  const record = { standDown: { rollout: OPERATOR, epoch: 1 }, promises: 1 };
  const note = { ...NOTE, bootId: 'B1' };
  const pair = await makePair(t, { note, state: { record } });
  t.match(pair.b.backend.job('restart-1'), { state: 'failed', code: 'power.failed' });
  t.equal(pair.b.runner.state.record.standDown, null, 'nothing stays stood down');
});

t.test('a promise that an operator made before stays', async (t) => {
  const pair = await makePair(t);
  const down = pair.b.backend.act({ act: 'stand-down', on: true }, CALLER);
  await pair.clock.until(down);
  await begin(pair, pair.b, 'restart');
  await pair.until(() => gone(pair.b).length > 0);
  t.match(pair.b.notes.note, { standDown: false });
  t.match(pair.b.runner.state.record.standDown, { rollout: OPERATOR });
});

t.test('refused while a rollout runs, with its phase; force does not help', async (t) => {
  const pair = await makePair(t);
  const record = rolloutRecord({ phase: 'HAND1', policy: { ...POLICY, soakS: 3600 } });
  await pair.a.runner.dispatch({ type: 'start', record });
  await pair.clock.advance(300);
  for (const node of [pair.a, pair.b]) {
    t.match(node.backend.power().restart, {
      forceable: false,
      refusal: { code: 'job.busy', message: /phase HAND1/ },
    });
    t.equal(await begin(pair, node, 'restart', true), 'job.busy');
  }
  t.same([gone(pair.a), gone(pair.b)], [[], []]);
});

t.test('without a peer that can serve only force helps, and says what it costs', async (t) => {
  const pair = await makePair(t);
  pair.wire.cut();
  await pair.until(() => !pair.a.runner.state.world.linkUp && !pair.b.runner.state.world.linkUp);
  const refusal = { code: 'power.refused', message: /node B cannot take it over.*not answer/ };
  t.match(pair.a.backend.power().shutdown, {
    refusal,
    forceable: true,
    costs: [/^Nobody serves until node A is switched on again/, /.*/, /^Node A stays off/],
  });
  for (const node of [pair.a, pair.b]) {
    t.equal(await begin(pair, node, 'shutdown'), 'power.refused');
  }
  t.equal(acts(pair.a).at(-1), 'shutdown refused');
  await begin(pair, pair.a, 'shutdown', true);
  await pair.until(() => gone(pair.a).length > 0);
  t.equal(pair.network.server(), null, 'the service was let go before');
  t.match(pair.a.notes.note, { standDown: false });
});

t.test('a peer that is lost meanwhile: the node stays, and takes its promise back', async (t) => {
  const pair = await makePair(t);
  const job = await begin(pair, pair.b, 'restart');
  pair.wire.cut();
  const ended = await end(pair, pair.b, job);
  t.match(ended, { state: 'failed', code: 'pair.peer_unreachable' });
  t.same([gone(pair.b), pair.b.notes.note], [[], null]);
  t.equal(pair.b.runner.state.record.standDown, null);
});

t.test('a handover that does not come about: the node stays and serves', async (t) => {
  const pair = await makePair(t);
  const job = await begin(pair, pair.a, 'restart');
  pair.wire.cut();
  t.match(await end(pair, pair.a, job), { state: 'failed', code: 'switchover.abandoned' });
  t.same([gone(pair.a), pair.a.notes.note], [[], null]);
  pair.wire.heal();
  await pair.until(() => [pair.a, pair.b].every((one) => one.backend.status().ha.ok));
});

t.test('on its way a node takes no other job, and cannot be called back at the end', async (t) => {
  const pair = await makePair(t);
  pair.b.host.reboot = () => new Promise(() => undefined);
  const job = (await begin(pair, pair.b, 'restart')) as JobStatus;
  t.match(pair.b.backend.power().shutdown.refusal, { code: 'job.busy' });
  t.equal(await begin(pair, pair.b, 'shutdown'), 'job.busy');
  await pair.until(() => pair.b.backend.job(job.id).message === 'node B restarts now');
  const source = { path: GOOD };
  await t.rejects(pair.b.backend.start({ kind: 'update', source }, CALLER), { code: 'job.busy' });
  await t.rejects(pair.b.backend.cancel(job.id, CALLER), { code: 'job.not_cancellable' });
});

t.test('a restart that is cancelled in time leaves nothing behind', async (t) => {
  const pair = await makePair(t);
  const job = (await begin(pair, pair.a, 'restart')) as JobStatus;
  await pair.clock.until(pair.a.backend.cancel(job.id, CALLER));
  t.match(await end(pair, pair.a, job), { state: 'failed', code: 'job.cancelled' });
  t.same([gone(pair.a), pair.a.notes.note], [[], null]);
  await pair.until(() => [pair.a, pair.b].every((one) => one.backend.status().ha.ok));
});
