/**
 * Jobs and history: what clients see of a rollout in each phase, of local work, of a commit, and
 * what is kept over restarts. May import tap, core and the daemon's rooms.
 */
import t from 'tap';
import { EXIT } from '../../src/core/codes.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { PHASES, type Phase, type RolloutRecord } from '../../src/core/records.ts';
import type { JobStatus } from '../../src/core/status.ts';
import { History, HISTORY_MAX } from '../../src/daemon/history.ts';
import { commitId, Jobs, rolloutJob } from '../../src/daemon/jobs.ts';
import { rolloutRecord } from '../core/states.ts';
import { memoryLines } from './harness.ts';

const AT = '2026-01-01T00:00:00.000Z';
const FAILED = { code: 'active.failed', message: 'system 2.0.0 is not healthy' } as const;

const job = (phase: Phase, change: Partial<RolloutRecord> = {}): string => {
  const { state, exit, code } = rolloutJob(rolloutRecord({ phase, ...change }));
  return `${state} ${exit} ${code}`;
};

t.test('the job of a rollout, phase by phase', async (t) => {
  const ends: Partial<Record<Phase, string>> = {
    DONE: 'done 0 null',
    FINALIZE: 'done 0 null',
    FAILED: `failed ${EXIT.activeFailed} active.failed`,
    HOLD_MIXED: `failed ${EXIT.activeFailed} active.failed`,
    ROLLED_BACK: `failed ${EXIT.activeFailed} active.failed`,
    CANCELLED: `failed ${EXIT.activeFailed} active.failed`,
  };
  for (const phase of PHASES) {
    const good = phase === 'DONE' || phase === 'FINALIZE';
    const want = ends[phase] ?? 'running null null';
    t.equal(job(phase, { result: good || ends[phase] === undefined ? null : FAILED }), want, phase);
  }
  t.equal(job('BACK1', { result: FAILED }), 'running null active.failed', 'on its way back');
  t.equal(job('FAILED'), `failed ${EXIT.internal} null`, 'an end without a reason is no success');
  const later = { code: 'later.code' as 'active.failed', message: 'of a newer program' };
  t.equal(job('FAILED', { result: later }), `failed ${EXIT.internal} internal.bug`);
  const failed = rolloutJob(rolloutRecord({ phase: 'FAILED', result: FAILED, phaseAt: AT }));
  t.match(failed, { message: FAILED.message, endedAt: AT });
  t.ok((failed.next ?? '').length > 10);
  const done = rolloutJob(rolloutRecord({ phase: 'DONE' }));
  t.match(done, { message: /both nodes run 2\.0\.0/, next: null });
  const back = rolloutJob(rolloutRecord({ phase: 'DONE', kind: 'rollback' }));
  t.match(back, { kind: 'rollback', message: /runs 2\.0\.0 again/ });
});

/** Jobs over these rollouts, with local work that ends when the test says. */
function harness(rollouts: RolloutRecord[] = []) {
  let count = 0;
  const now = (): string => new Date(Date.parse(AT) + count++ * 1000).toISOString();
  const jobs = new Jobs(() => rollouts, now);
  const ended: JobStatus[] = [];
  const begin = (id: string, kind: JobStatus['kind']) => {
    const work = Promise.withResolvers<string>();
    let aborted = false;
    jobs.begin(
      id,
      kind,
      (signal) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          work.reject(signal.reason);
        });
        return work.promise;
      },
      (status) => ended.push(status),
    );
    return { ...work, aborted: () => aborted };
  };
  return { jobs, ended, begin };
}

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

t.test('local work: running, done, failed, cancelled', async (t) => {
  const { jobs, ended, begin } = harness();
  const good = begin('stage-1', 'stage');
  t.match(jobs.get('stage-1'), { state: 'running', message: 'stage accepted', exit: null });
  good.resolve('it is staged');
  await settled();
  t.match(jobs.get('stage-1'), { state: 'done', exit: 0, message: 'it is staged', code: null });
  begin('stage-2', 'stage').reject(new UpdateError('space.depot', '5 bytes are missing'));
  await settled();
  t.match(jobs.get('stage-2'), { state: 'failed', code: 'space.depot', exit: EXIT.noSpace });
  const third = begin('update-3', 'update');
  t.ok(jobs.abort('update-3'));
  t.ok(third.aborted());
  await settled();
  t.match(jobs.get('update-3'), { state: 'failed', code: 'job.cancelled' });
  t.notOk(jobs.abort('update-3'), 'it has ended');
  t.notOk(jobs.abort('none'));
  begin('stage-4', 'stage').reject(new TypeError('x'));
  await settled();
  t.match(jobs.get('stage-4'), { code: 'internal.bug', exit: EXIT.internal });
  t.strictSame(
    ended.map((one) => `${one.id} ${one.state}`),
    ['stage-1 done', 'stage-2 failed', 'update-3 failed', 'stage-4 failed'],
  );
  t.strictSame(
    jobs.list().map((one) => one.id),
    ['stage-4', 'update-3', 'stage-2', 'stage-1'],
    'newest first',
  );
  t.throws(() => jobs.get('none'), { code: 'job.unknown' });
});

t.test('an update is running until its record says how it ended', async (t) => {
  const rollouts: RolloutRecord[] = [];
  const { jobs, ended, begin } = harness(rollouts);
  begin('update-1', 'update').resolve('the rollout has begun');
  await settled();
  t.match(jobs.get('update-1'), { state: 'running', exit: null });
  t.strictSame(ended, [], 'nobody is told that it is done');
  rollouts.push(rolloutRecord({ id: 'update-1', phase: 'INSTALL1' }));
  t.match(jobs.list(), [{ id: 'update-1', message: 'phase INSTALL1' }]);
  t.equal(jobs.list().length, 1);
  rollouts.pop();
  t.strictSame(jobs.list(), [], 'once it was a record it is nothing else any more');
});

t.test('a request whose answer was lost: the record counts, not the failure', async (t) => {
  const rollouts: RolloutRecord[] = [];
  const { jobs, begin } = harness(rollouts);
  begin('update-1', 'update').reject(new UpdateError('pair.peer_unreachable', 'no answer'));
  await settled();
  t.equal(jobs.get('update-1').state, 'failed');
  rollouts.push(rolloutRecord({ id: 'update-1', phase: 'STAGE' }));
  t.equal(jobs.get('update-1').state, 'running');
});

t.test('a commit is a job of its own', async (t) => {
  const finalizing = rolloutRecord({ phase: 'FINALIZE' });
  const rollouts = [finalizing];
  const { jobs } = harness(rollouts);
  t.equal(commitId(finalizing), 'update-1.commit');
  t.match(jobs.get('update-1.commit'), { kind: 'commit', state: 'running', exit: null });
  t.match(jobs.get('update-1'), { state: 'done' });
  rollouts[0] = rolloutRecord({ phase: 'DONE', finalized: true });
  t.match(jobs.get('update-1.commit'), { state: 'done', exit: 0, message: /permanent/ });
});

t.test('ended local jobs are bounded, running ones stay', async (t) => {
  const { jobs, begin } = harness();
  begin('update-0', 'update');
  for (let count = 1; count <= 150; count++) {
    begin(`stage-${count}`, 'stage').resolve('ok');
    await settled();
  }
  t.ok(jobs.list().length <= 101, `${jobs.list().length} jobs`);
  t.equal(jobs.get('update-0').state, 'running');
  t.equal(jobs.get('stage-150').state, 'done');
});

const ended = (id: string, change: Partial<RolloutRecord> = {}): RolloutRecord =>
  rolloutRecord({ id, phase: 'DONE', phaseAt: '2026-01-01T00:05:00.000Z', ...change });

const ids = (one: History): string[] =>
  one.with(null).map((record) => `${record.id} ${record.finalized}`);

t.test('history: newest first, one per rollout, kept over restarts', async (t) => {
  const lines = memoryLines();
  const history = new History(lines);
  history.add(rolloutRecord({ id: 'running' }));
  t.strictSame(history.with(null), [], 'only what has ended');
  history.add(ended('one'));
  history.add(ended('two', { phase: 'FAILED' }));
  history.add(ended('one', { finalized: true }));
  t.strictSame(ids(history), ['one true', 'two false']);
  const current = rolloutRecord({ id: 'two', phase: 'STAGE' });
  t.strictSame(
    history.with(current).map((record) => `${record.id} ${record.phase}`),
    ['two STAGE', 'one DONE'],
    'the current one once, as it is now',
  );
  lines.lines.push('{"torn', '7', 'null', '{"id":"x"}');
  const again = new History(memoryLines(lines.lines));
  await again.load();
  t.strictSame(ids(again), ids(history));
  for (let count = 0; count < HISTORY_MAX + 5; count++) history.add(ended(`many ${count}`));
  t.equal(history.with(null).length, HISTORY_MAX);
});

t.test('history: how long the next one may take', async (t) => {
  const history = new History(memoryLines());
  t.equal(history.estimateS('update'), null);
  history.add(ended('failed', { phase: 'FAILED' }));
  t.equal(history.estimateS('update'), null, 'a failed one says nothing');
  history.add(ended('good'));
  t.equal(history.estimateS('update'), 300);
  t.equal(history.estimateS('rollback'), null);
  const { nodes } = rolloutRecord();
  const log = [{ at: '2026-01-01T00:05:00.000Z', phase: 'DONE' as const, text: '' }];
  const committed = { finalized: true, phaseAt: '2026-01-02T00:00:00.000Z' };
  history.add(ended('good', { ...committed, nodes: { ...nodes, A: { ...nodes.A, log } } }));
  t.equal(history.estimateS('update'), 300, 'a commit a day later does not count');
  history.add(ended('back', { phaseAt: '1970-01-01T00:00:00.000Z' }));
  t.equal(history.estimateS('update'), null, 'a clock that went back gives no estimate');
});
