/**
 * Windows, files and schedules in a pair of daemons: exit statuses of what is refused, what is
 * asked for and how it shows, a schedule that becomes a rollout. Imports the daemon.
 */
import t, { type Test } from 'tap';
import { EXIT } from '../../src/core/codes.ts';
import { asUpdateError, type UpdateError } from '../../src/core/errors.ts';
import type { PrecheckReport } from '../../src/core/operator.ts';
import { readWindow } from '../../src/core/window.ts';
import { liveSources } from '../../src/daemon/support-live.ts';
import { CALLER, DaemonPair, GOOD, type Daemon, type DaemonOptions } from './harness.ts';

const UPDATE = { kind: 'update', source: { path: GOOD } } as const;

/** 1 January 2026, a Thursday, 00:00 UTC is when the pair begins. */
const CLOSED = { windows: [readWindow('Sun 01:00-05:00', 'UTC')!] };

async function makePair(
  t: Test,
  options: { readonly A?: DaemonOptions; readonly B?: DaemonOptions } = {},
): Promise<DaemonPair> {
  const pair = new DaemonPair(options);
  t.teardown(() => pair.close());
  await pair.open();
  return pair;
}

async function refusal(work: Promise<unknown>): Promise<UpdateError> {
  return work.then(
    () => Promise.reject(new Error('accepted')),
    (cause: unknown) => asUpdateError(cause),
  );
}

t.test('outside of the windows: 20, unless they are ignored', async (t) => {
  const pair = await makePair(t, { A: { automation: CLOSED }, B: { automation: CLOSED } });
  const error = await pair.clock.until(refusal(pair.a.backend.start(UPDATE, CALLER)));
  t.match(error, { code: 'window.closed', exit: EXIT.window });
  t.match(error.message, /opens 2026-01-04 01:00 UTC$/);
  const never = new AbortController().signal;
  const report = await pair.clock.until(pair.a.backend.precheck({ path: GOOD }, never));
  t.match(report, { ok: false, code: 'window.closed' });
  const ignores = pair.a.backend.precheck({ path: GOOD }, never, { ignoreWindow: true });
  t.match(await pair.clock.until(ignores), { ok: true, code: null });
  t.match(pair.a.backend.status().automation, {
    window: { open: false, until: '2026-01-04T01:00:00.000Z' },
  });
  pair.a.hold('write system');
  const request = { ...UPDATE, ignoreWindow: true, formatTarget: true } as const;
  await pair.clock.until(pair.a.backend.start(request, CALLER));
  await pair.until(() => pair.a.runner.state.rollout?.phase === 'INSTALL1');
  t.strictSame(pair.b.runner.state.rollout?.options, { formatTarget: true, ignoreWindow: true });
});

t.test('a file on either node: 20, and which one', async (t) => {
  const pair = await makePair(t);
  pair.b.inhibited = '/x/backup stops updates: nightly';
  const error = await pair.clock.until(refusal(pair.a.backend.start(UPDATE, CALLER)));
  t.match(error, { code: 'update.inhibited', exit: EXIT.window });
  t.equal(error.message, 'node B: /x/backup stops updates: nightly');
});

t.test('a file that comes while slots are written holds the switch up', async (t) => {
  const pair = await makePair(t);
  const go = pair.a.hold('write system');
  await pair.clock.until(pair.a.backend.start(UPDATE, CALLER));
  await pair.until(() => pair.a.runner.state.record.update.state === 'installing');
  pair.a.inhibited = '/x/backup stops updates';
  go();
  await pair.until(() => pair.a.runner.state.world.troubles['switch'] !== undefined);
  await pair.clock.advance(60_000);
  t.equal(pair.a.runner.state.rollout?.phase, 'INSTALL1', 'it waits, highly available');
  t.ok(pair.b.backend.status().ha.ok);
  t.match(pair.b.backend.status().alarms, [{ code: 'update.inhibited', node: 'A' }]);
  pair.a.inhibited = null;
  await pair.until(() => pair.a.runner.state.record.update.state === 'installed');
});

t.test(
  'a schedule that is refused has staged nothing, and a dry run refuses it, too',
  async (t) => {
    const options = { automation: {} };
    const pair = await makePair(t, { A: options, B: options });
    const { backend } = pair.a;
    const never = new AbortController().signal;
    const source = { path: GOOD };
    const dry = (times: object) => pair.clock.until(backend.precheck(source, never, times));
    const judged = async (times: object, code: string): Promise<void> => {
      const work = backend.schedule({ source, ...times }, CALLER);
      t.equal((await pair.clock.until(refusal(work))).code, code);
      const report = await dry(times);
      t.match(report, { ok: false, code });
      t.match(
        report.checks.find(({ name }) => name === 'schedule'),
        { result: 'failed', code },
      );
      t.strictSame(backend.jobs(), []);
      t.strictSame(await backend.bundles(), []);
    };
    await judged({ at: '1969-01-01 02:00' }, 'usage.invalid');
    await judged({ at: '02:00', zone: 'Mars/Phobos' }, 'usage.invalid');
    t.match((await dry({ at: '+5m' })).checks, { length: (await dry({})).checks.length + 1 });
    for (let count = 0; count < 22; count++) {
      await pair.clock.until(backend.schedule({ source, every: 'Sun 02:00' }, CALLER));
    }
    await judged({ at: '+5m' }, 'schedule.full');
  },
);

t.test('a schedule of a file becomes a rollout, whatever became of the file', async (t) => {
  const options = { automation: {} };
  const pair = await makePair(t, { A: options, B: options });
  const request = { source: { path: GOOD }, at: '+5m', inform: 120 };
  const view = await pair.clock.until(pair.b.backend.schedule(request, CALLER));
  t.match(view, { state: 'waiting', version: '2.0.0', text: /^Update 2.0.0 scheduled/ });
  for (const node of [pair.a, pair.b]) {
    t.match(node.backend.automation().schedules, [{ id: view.id }]);
    node.files.clear();
  }
  const archived = liveSources(pair.b.backend, pair.b.runner).find(
    ({ path }) => path === 'status/schedules.json',
  );
  t.match(archived?.read(), { schedules: [{ id: view.id }] }, 'a support archive has it');
  pair.a.hold('write system');
  await pair.clock.advance(301_000);
  const told = (): string => pair.a.told().join('\n');
  t.match(told(), /A schedule: scheduled update 2.0.0 .*begins in 120 s/);
  t.equal(pair.a.runner.state.rollout, null);
  await pair.clock.advance(125_000);
  await pair.until(() => pair.a.runner.state.rollout?.phase === 'INSTALL1');
  t.equal(pair.b.runner.state.rollout?.id, view.job);
  t.match(pair.b.backend.automation().schedules, [{ state: 'claimed', hold: null }]);
  const audit = await pair.b.backend.audit(10);
  t.match(audit, [{ act: 'schedule', by: CALLER.name, result: 'done' }]);
});

const shown = ({ backend }: Daemon) => backend.status().automation?.schedules ?? [];

t.test('an update at once that has to wait for a hook goes on after a restart', async (t) => {
  let answer: 'good' | 'retry' = 'retry';
  const hooks = [{ point: 'pre-prepare', name: '10-wait', answer: () => answer }];
  const first = await makePair(t, { A: { automation: {}, hooks }, B: { automation: {} } });
  const { id } = await first.clock.until(first.a.backend.start(UPDATE, CALLER));
  await first.until(() => [first.a, first.b].every((one) => shown(one)[0]?.hold != null));
  for (const one of [first.a, first.b]) {
    t.match(shown(one), [{ state: 'claimed', job: id, text: /^Update 2.0.0 waits \(hook pre-/ }]);
    t.match(one.backend.job(id), { kind: 'update', state: 'running', message: /^waits: hook/ });
  }
  await first.close();
  const { book } = first.a;
  const again = { A: { automation: {}, hooks, book }, B: { automation: {}, book: first.b.book } };
  const pair = await makePair(t, again);
  await pair.until(() => pair.b.backend.job(id).message.startsWith('waits: hook'));
  t.equal(pair.a.runner.state.rollout, null);
  answer = 'good';
  pair.a.hold('write system');
  await pair.until(() => pair.a.runner.state.rollout?.phase === 'INSTALL1');
  t.equal(pair.b.runner.state.rollout?.id, id);
});

t.test('a restart does not give hooks more time: it counts from their first later', async (t) => {
  const hooks = [{ point: 'check', name: '10-wait', answer: () => 'retry' as const }];
  const pair = await makePair(t, { A: { hooks } });
  const waitedMs = 24 * 3_600_000 - 60_000;
  const { id } = await pair.clock.until(
    pair.a.backend.start(UPDATE, { ...CALLER, job: 'update-9', waitedMs }),
  );
  await pair.until(() => pair.a.backend.job(id).message.startsWith('waits: hook'));
  t.equal(pair.a.backend.job(id).state, 'running');
  await pair.clock.advance(90_000);
  const message = /\(asked 3 times, for 24 hours in all, which is too long\)/;
  t.match(pair.a.backend.job(id), { state: 'failed', code: 'hook.refused', message });
});

t.test('one that waits is cancelled on the other node, by its job', async (t) => {
  const hooks = [{ point: 'check', name: '10-wait', answer: () => 'retry' as const }];
  const pair = await makePair(t, { A: { automation: {}, hooks }, B: { automation: {} } });
  const { id } = await pair.clock.until(pair.a.backend.start(UPDATE, CALLER));
  t.match(pair.a.book.content.schedules, [{ job: id, state: 'claimed' }], 'kept when accepted');
  t.match(pair.b.book.content.schedules, [{ job: id, state: 'claimed' }]);
  await pair.clock.until(pair.b.backend.cancel(id, CALLER));
  for (const { backend } of [pair.a, pair.b]) {
    t.match(backend.job(id), { state: 'failed', code: 'job.cancelled', exit: EXIT.cancelled });
    t.match(backend.automation().schedules, [{ state: 'ended' }]);
  }
  await pair.clock.advance(120_000);
  t.equal(pair.a.runner.state.rollout, null);
});

t.test('asked for on the standby, it waits there, and runs once', async (t) => {
  let answer: 'good' | 'retry' = 'retry';
  const hooks = [{ point: 'check', name: '10-wait', answer: () => answer }];
  const pair = await makePair(t, { A: { automation: {} }, B: { automation: {}, hooks } });
  const { id } = await pair.clock.until(pair.b.backend.start(UPDATE, CALLER));
  await pair.clock.advance(130_000);
  t.match(shown(pair.a), [{ job: id, hold: { code: 'hook.later' } }]);
  t.equal(pair.a.runner.state.rollout, null);
  answer = 'good';
  pair.a.hold('write system');
  await pair.until(() => pair.a.runner.state.rollout?.phase === 'INSTALL1');
  t.equal(pair.a.runner.state.rollout?.id, id);
  const failed = [...pair.a.told(), ...pair.b.told()].filter((line) => / failed: /.test(line));
  t.strictSame(failed, []);
});

const row = (report: PrecheckReport, name: string) =>
  report.checks.find((one) => one.name === name);

t.test(
  'a dry run of an update that comes later: what it would wait for is no refusal',
  async (t) => {
    const pair = await makePair(t, { A: { automation: CLOSED }, B: { automation: CLOSED } });
    const { backend } = pair.a;
    const never = new AbortController().signal;
    const dry = (times: object, path = GOOD) =>
      pair.clock.until(backend.precheck({ path }, never, times));
    t.match(await dry({}), { ok: false, code: 'window.closed' });
    const early = await dry({ at: '+5m' });
    t.match(early, { ok: true, code: null });
    t.match(row(early, 'window'), { result: 'warning', code: 'window.closed' });
    t.match(row(early, 'window')?.detail, /opens 2026-01-04 01:00 UTC; it waits until that has/);
    const inWindow = await dry({ at: '2026-01-04 02:00' });
    t.match(row(inWindow, 'window'), { result: 'ok' }, 'it is looked at when it is due');
    pair.b.inhibited = '/x/backup stops updates: nightly';
    const held = row(await dry({ at: 'window' }), 'inhibit');
    t.match(held, { result: 'warning', code: 'update.inhibited' });
    const none = '/none.bin';
    t.match(await dry({ at: '+5m' }, none), { ok: false, code: 'file.not_found' });
    const again = await dry({ every: 'Sun 02:00' }, none);
    t.match(again, { ok: true });
    t.match(row(again, 'bundle')?.detail, /the file is read again when it is due$/);
    pair.wire.cut();
    await pair.clock.advance(5000);
    t.match(await dry({ at: '+5m' }), { ok: false, code: 'pair.peer_unreachable' });
  },
);
