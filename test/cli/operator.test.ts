/**
 * The verbs of an operator against a daemon in memory: what is sent, what is asked and what counts
 * as an answer, what is printed, and the exit status; dry run, estimate, audit, pause.
 */
import { resolve } from 'node:path';
import t from 'tap';
import { CODES, EXIT } from '../../src/core/codes.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { openBench, type Bench } from '../control/harness.ts';
import { AT, nodeStatus, pairStatus, precheckReport, takeoverView } from '../memory/backend.ts';
import { rolloutStatus } from '../memory/backend.ts';
import { run } from './harness.ts';

const acts = (bench: Bench): readonly unknown[] =>
  bench.backend.asked.filter(({ what }) => what === 'act').map(({ value }) => value);

const swapped = (known = true) =>
  pairStatus({
    nodes: {
      A: nodeStatus('A', { role: 'standby', serving: false }),
      B: nodeStatus('B', { role: 'active', serving: true, known }),
    },
  });

t.test('switchover waits until the other node serves, and says who does', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  backend.answer = { to: 'B' };
  backend.onAct = () => (backend.pair = swapped());
  const done = await run(['switchover', '--reason', 'fan', ...socket], { env: { USER: 'anna' } });
  t.match(done, { exit: 0, out: 'node B serves now\n' });
  t.strictSame(acts(bench), [{ act: 'switchover', reason: 'fan' }]);
  t.equal(backend.asked[0]?.by, 'anna');
  const json = await run(['switchover', '--json', ...socket]);
  t.match(json.json(), { act: 'switchover', changed: true, serving: 'B', to: 'B' });
  backend.pair = pairStatus();
  backend.onAct = () => {};
  const short = await run(['switchover', '--no-wait', ...socket]);
  t.match(short, { exit: 0, out: 'switchover is done\n' });
  const tired = await run(['switchover', '--timeout', '1', ...socket]);
  t.match(tired, { exit: EXIT.waitTimedOut, err: /node B does not serve yet after 1 s/ });
});

t.test('a switchover that is refused, abandoned, or not confirmed', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  const no = await run(['switchover', ...socket], { confirm: async () => false });
  t.match(no, { exit: EXIT.cancelled, err: /nothing was started/ });
  t.strictSame(acts(bench), []);
  backend.answer = { to: 'B' };
  backend.onAct = () => {
    backend.pair = pairStatus({
      nodes: { A: nodeStatus('A'), B: nodeStatus('B', { known: false }) },
    });
  };
  const lost = await run(['switchover', '--json', ...socket]);
  t.match(lost.json(), { error: { code: 'switchover.abandoned' }, exit: EXIT.pairNotHealthy });
  backend.refusal = new UpdateError('job.busy', 'r1 is running');
  t.match(await run(['switchover', ...socket]), { exit: 24, err: /r1 is running.*\n.*\n\(job/ });
});

t.test('takeover asks for the typed word, after it has said what it costs', async (t) => {
  await using bench = await openBench();
  const socket = ['--socket', bench.socketPath];
  let asked = '';
  const answer = (text: string) => async (question: string) => {
    asked = question;
    t.strictSame(acts(bench), [], 'nothing is done before the answer');
    return text;
  };
  for (const wrong of ['', 'yes', 'A is off', 'B']) {
    const ran = await run(['takeover', ...socket], { ask: answer(wrong) });
    t.match(ran, { exit: CODES['confirm.wrong'].exit, out: '' }, wrong);
    t.match(ran.err, /Node B was last heard 0:12 ago/);
    t.match(ran.err, /- Writes that only node B has acknowledged since/);
  }
  t.equal(asked, 'Type "B is off" to go on: ');
  const good = await run(['takeover', ...socket], { ask: answer(' b is off ') });
  t.match(good, { exit: 0, out: 'takeover is done\n' });
  const reason = 'confirmed on a terminal: B is off';
  t.strictSame(acts(bench), [{ act: 'takeover', peer: 'B', reason }]);
});

t.test('takeover without a terminal: only --yes together with --reason', async (t) => {
  await using bench = await openBench();
  const socket = ['--socket', bench.socketPath];
  const ask = async (): Promise<string> => t.fail('it asked') as never;
  t.match(await run(['takeover', ...socket]), { exit: 2, err: /no terminal.*\n.*\n\(confirm/ });
  t.match(await run(['takeover', '--reason', 'x', ...socket]), { exit: 2, err: /confirm\.needed/ });
  const json = await run(['takeover', '--json', ...socket], { ask });
  t.match(json.json(), { error: { code: 'confirm.needed' }, exit: EXIT.usage });
  t.match(await run(['takeover', '--yes', ...socket], { ask }), { exit: 2, err: /usage\.invalid/ });
  t.match(await run(['takeover', '--yes', '--reason', ' ', ...socket]), { exit: 2 });
  t.match(await run(['takeover', '--yes', '--reason', 'a\nb', ...socket]), { exit: 2 });
  t.strictSame(acts(bench), []);
  const good = await run(['takeover', '--yes', '--reason', 'unplugged', ...socket], { ask });
  t.equal(good.exit, 0);
  t.strictSame(acts(bench), [{ act: 'takeover', peer: 'B', reason: 'unplugged' }]);
});

t.test('a takeover that is refused asks nothing', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const ask = async (): Promise<string> => t.fail('it asked') as never;
  const message = 'node B answers this node';
  const refusal = { code: 'takeover.connected', message, next: 'Switch over.' } as const;
  backend.view = takeoverView({ refusal });
  backend.refusal = new UpdateError('takeover.connected', message);
  const ran = await run(['takeover', '--socket', bench.socketPath], { ask });
  t.match(ran, { exit: EXIT.pairNotHealthy, err: /^tandem: node B answers this node\n/ });
  backend.view = takeoverView({ needless: true });
  backend.refusal = null;
  t.match(await run(['takeover', '--socket', bench.socketPath], { ask }), { exit: 0 });
});

t.test('stand-down and its end, pause and resume', async (t) => {
  await using bench = await openBench();
  const socket = ['--socket', bench.socketPath];
  const lines: readonly (readonly [string[], object])[] = [
    [['stand-down'], { act: 'stand-down', on: true }],
    [['stand-down', '--end', '--reason', 'over'], { act: 'stand-down', on: false, reason: 'over' }],
    [['job', 'pause'], { act: 'pause' }],
    [['job', 'pause', 'r1', '--reason', 'x'], { act: 'pause', job: 'r1', reason: 'x' }],
    [['job', 'resume', 'r1'], { act: 'resume', job: 'r1' }],
  ];
  for (const [words] of lines) {
    const ran = await run([...words, ...socket]);
    t.equal(ran.exit, 0, words.join(' '));
    t.match(ran.out, / is done\n$/);
  }
  t.strictSame(
    acts(bench),
    lines.map(([, sent]) => sent),
  );
  t.match((await run(['job', 'pause', '--json', ...socket])).json(), { act: 'pause' });
  bench.backend.refusal = new UpdateError('standdown.active', 'node A is the active node');
  t.match(await run(['stand-down', ...socket]), { exit: 24, err: /tandem switchover/ });
});

t.test('a reason goes with every change and every cancel', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--reason', 'ticket 7', '--socket', bench.socketPath];
  await run(['rollback', ...socket]);
  await run(['commit', ...socket]);
  await run(['update', '/b.bin', ...socket]);
  await run(['job', 'cancel', 'r1', ...socket]);
  const reasons = backend.asked.map(({ value, reason }) => {
    return reason ?? (value as { reason?: string }).reason;
  });
  t.strictSame(reasons, ['ticket 7', 'ticket 7', 'ticket 7', 'ticket 7']);
  const long = ['rollback', '--reason', 'x'.repeat(501), '--socket', bench.socketPath];
  t.match(await run(long), { exit: 2, err: /501 characters/ });
});

t.test('dry run: every check with its fix; the first failure is the exit status', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  const good = await run(['update', 'u.bin', '--dry-run', ...socket]);
  t.equal(good.exit, 0);
  t.equal(
    good.out,
    [
      '[x] idle no update is running',
      '[x] link node B answers',
      'The update may begin: every check passed; nothing was changed',
      '',
    ].join('\n'),
  );
  t.strictSame(backend.asked, [{ what: 'precheck', value: { path: resolve('u.bin') } }]);
  await run(['update', 'u.bin', '--dry-run', '--ignore-window', ...socket]);
  t.match(backend.asked.at(-1), { options: { ignoreWindow: true } });
  const fix = 'Remove old bundles.';
  const failed = { name: 'depot', result: 'failed', code: 'space.depot', detail: 'no room', fix };
  const warns = { ...failed, name: 'clock', result: 'warning', code: 'pair.clock_skew' };
  backend.checks = precheckReport({
    ok: false,
    checks: [...precheckReport().checks, failed, warns] as never,
    code: 'space.depot',
    message: 'no room',
    next: fix,
    estimate: null,
  });
  const bad = await run(['update', 'u.bin', '--dry-run', ...socket]);
  t.equal(bad.exit, EXIT.noSpace);
  t.match(bad.out, '[!] depot failed: no room (space.depot)\n          Fix: Remove old bundles.\n');
  t.match(bad.out, '[>] clock warning: no room (pair.clock_skew)');
  t.match(bad.out, /\nThe update is refused: no room\n\(space\.depot, exit 15\)\n$/);
  const json = await run(['update', 'u.bin', '--dry-run', '--json', ...socket]);
  t.strictSame(json.json(), { ...backend.checks, exit: EXIT.noSpace });
  const estimate = await run(['update', 'u.bin', '--estimate', ...socket]);
  t.equal(estimate.exit, EXIT.noSpace);
  t.match(estimate.out, /The update is refused.*\n.*\nThere is no estimate while/);
});

t.test('estimate: seconds of each phase, and what they are based on', async (t) => {
  await using bench = await openBench();
  const words = ['update', 'u.bin', '--estimate', '--socket', bench.socketPath];
  const { exit, out } = await run(words);
  t.equal(exit, 0);
  t.match(out, /^STAGE +0:40\nINSTALL1 +3:20\nin all +4:00\nBased on the last update of/);
  t.match((await run([...words, '--json'])).json(), {
    exit: 0,
    estimate: { totalS: 240, basis: 'history' },
  });
});

t.test('history --audit: who asked for what, when and why', async (t) => {
  await using bench = await openBench();
  const words = ['history', '--audit', '--socket', bench.socketPath];
  t.match(await run(words), { exit: 0, out: 'Nothing was asked of this node yet.\n' });
  const head = { v: 1, at: AT, node: 'A', by: 'anna', reason: 'fan', job: null } as const;
  const end = { result: 'refused', code: 'job.busy', message: 'r1 is running' } as const;
  bench.backend.acts = [{ ...head, act: 'switchover', ...end }];
  const { out } = await run(words);
  t.match(out, /switchover by anna \(fan\)\n {4}refused: r1 is running \[job\.busy\]\n$/);
  t.strictSame((await run([...words, '--json'])).json(), { entries: bench.backend.acts });
});

t.test(
  'status shows the remedy, a pause, a promise; cluster status how long it takes',
  async (t) => {
    await using bench = await openBench();
    const { backend } = bench;
    const socket = ['--socket', bench.socketPath];
    const progress = { doneBytes: 512, totalBytes: 1024, rateBps: 256, etaS: 2 };
    const remedy = 'switch node B off and run `tandem takeover` on node A';
    backend.pair = pairStatus({
      state: 'FROZEN',
      ha: { ok: false, text: 'node A acknowledges no write', remedy },
      nodes: {
        A: nodeStatus('A'),
        B: nodeStatus('B', { standDown: true, standDownFor: 'operator', admitted: false }),
      },
      rollout: rolloutStatus({ paused: { by: 'anna', at: AT, restsAfter: 'HAND1' } }),
      reform: [{ name: 'storage', state: 'waiting', text: 'syncs, 50 %', progress }],
      reforming: { since: AT, elapsedS: 75, estimateS: 77 },
    });
    const { out } = await run(['status', ...socket]);
    t.match(out, /^FROZEN: NO high availability/);
    t.match(out, / {2}To do: switch node B off and run `tandem takeover` on node A\n/);
    t.match(out, /no, stood down by an operator/);
    t.match(out, /PAUSED by anna: rests at the end of HAND1; `tandem job resume`/);
    const cluster = await run(['cluster', 'status', ...socket]);
    t.match(cluster.out, 'storage   waiting: syncs, 50 %, 512 B of 1.0 KiB, 256 B/s, ETA 0:02\n');
    t.match(cluster.out, /\nNot highly available for 1:15; estimated in all: 1:17\n/);
    const json = await run(['cluster', 'status', '--json', ...socket]);
    t.match(json.json(), { ready: false, state: 'FROZEN', reforming: { elapsedS: 75 } });
  },
);
