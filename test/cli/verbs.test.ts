/**
 * Each verb that talks to the daemon, in text and as JSON, against a daemon in memory: what is
 * sent, what is printed, and the exit status.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { CODES, EXIT, type Code } from '../../src/core/codes.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { openBench } from '../control/harness.ts';
import { pairStatus, rolloutRecord, rolloutStatus, validateReport } from '../memory/backend.ts';
import { run } from './harness.ts';

const BUNDLE = 'cd'.repeat(32);

t.test('status, slots, cluster status, history', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  backend.rollouts = [rolloutRecord({ id: 'r2' }), rolloutRecord()];
  t.same((await run(['status', '--json', ...socket])).json(), pairStatus());
  t.match(await run(['status', ...socket]), { exit: 0, out: /^HEALTHY: high availability is up/ });
  const slots = await run(['slots', '--json', ...socket]);
  t.same(slots.json(), { slots: await backend.slots() });
  t.match(await run(['slots', ...socket]), { exit: 0, out: /^NODE {2}CLASS {3}SLOT {2}STATE/ });
  t.match((await run(['cluster', 'status', '--json', ...socket])).json(), {
    ready: true,
    state: 'HEALTHY',
    self: 'A',
    nodes: [
      { node: 'A', known: true, ageMs: 0 },
      { node: 'B', known: true, ageMs: 400 },
    ],
  });
  t.match(await run(['cluster', 'status', '--timeout', '5', ...socket]), {
    exit: EXIT.usage,
    err: /--timeout needs --wait-ready/,
  });
  t.match(await run(['cluster', 'status', ...socket]), { exit: 0, out: /\nready\n$/ });
  const list = await run(['history', '--json', ...socket]);
  t.match(list.json(), { rollouts: [{ id: 'r2' }, { id: 'r1' }] });
  const one = await run(['history', '--limit', '1', '--json', ...socket]);
  t.match(one.json(), { rollouts: { length: 1 } });
  t.match((await run(['history', 'r1', '--json', ...socket])).json(), { id: 'r1', phase: 'DONE' });
  t.match(await run(['history', 'r1', ...socket]), {
    exit: 0,
    out: /^update r1 to 2\.0\.0: DONE\n/,
  });
  t.match(await run(['history', ...socket]), { exit: 0, out: /^STARTED .*\n.* r2 .*\n.* r1 / });
  t.match(await run(['history', 'none', ...socket]), { exit: 2, err: /there is no rollout none/ });
});

t.test('status shows a running update with both nodes', async (t) => {
  await using bench = await openBench();
  bench.backend.pair = pairStatus({ state: 'UPDATING', rollout: rolloutStatus() });
  const { out } = await run(['status', '--socket', bench.socketPath]);
  t.match(out, /^UPDATING: /);
  t.match(out, /Update to 2\.0\.0 in progress \(node A is on trial - /);
  t.match(out, /\[>\] trial healthy/);
  t.equal(out.split('in progress').length, 2, 'its headline stands there once');
});

t.test('cluster status waits until the pair is ready', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const notYet = pairStatus({
    state: 'SYNCING',
    ha: { ok: false, text: 'storage of node B lags' },
    reform: [{ name: 'storage', state: 'waiting', text: '57 %' }],
  });
  backend.pair = notYet;
  const words = ['cluster', 'status', '--wait-ready', '--socket', bench.socketPath];
  const waited = await run(words, { onErr: () => (backend.pair = pairStatus()) });
  t.match(waited, { exit: 0, err: 'waiting for: storage\n', out: /\nready\n$/ });
  backend.pair = notYet;
  const tired = await run([...words, '--timeout', '1', '--json']);
  t.equal(tired.exit, EXIT.waitTimedOut);
  t.match(tired.json(), { error: { code: 'wait.timed_out', message: /not ready after 1 s/ } });
  const restarted = await run(words, {
    onErr: (text) => {
      if (text.startsWith('waiting')) void bench.stop();
      else void bench.start().then(() => (backend.pair = pairStatus()));
    },
  });
  t.equal(restarted.exit, 0, 'a daemon that restarts in between is waited for');
});

t.test('a pair that is held in two versions is ready, one that is updated is not', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const reform = [{ name: 'versions', state: 'waiting', text: 'A runs 2, B runs 1' }] as const;
  const words = ['cluster', 'status', '--socket', bench.socketPath];
  const held = rolloutStatus({ phase: 'HOLD_MIXED', ended: true });
  backend.pair = pairStatus({ state: 'HEALTHY_MIXED', reform, rollout: held });
  t.match(await run([...words, '--wait-ready']), { exit: 0, out: /\nready, in two versions\n$/ });
  t.match((await run([...words, '--json'])).json(), { ready: true });
  backend.pair = pairStatus({ state: 'UPDATING', reform, rollout: rolloutStatus() });
  t.match(await run(words), { out: /\nwaiting for: versions\n$/ });
});

t.test('validate prints each check, what was found and what to do', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  const good = await run(['validate', 'update.bin', ...socket]);
  t.equal(good.exit, 0);
  t.equal(
    good.out,
    [
      '[x] signature 2 of 2 keys',
      'The bundle may be installed: 2.0.0 updates both nodes from 1.0.0',
      'Updates: A/system, B/system',
      '',
    ].join('\n'),
  );
  t.equal(backend.asked[0]?.value, resolve('update.bin'), 'the path is absolute when it is sent');
  backend.report = validateReport({
    ok: false,
    lagging: [],
    checks: [
      { name: 'signature', ok: true, code: null, detail: '2 of 2 keys' },
      { name: 'path', ok: false, code: 'version.no_path', detail: 'found 1.0.0, expected >=1.5' },
    ],
    code: 'version.no_path',
    message: 'node A runs 1.0.0; the bundle updates from >=1.5.0',
    next: 'Install 1.5.0 first.',
  });
  const bad = await run(['validate', '/a/update.bin', ...socket]);
  t.equal(bad.exit, EXIT.noPath);
  t.match(bad.out, /\[!\] path {6}found 1\.0\.0, expected >=1\.5 \(version\.no_path\)\n/);
  t.match(bad.out, /\nNext: Install 1\.5\.0 first\.\n\(version\.no_path, exit 12\)\n$/);
  const json = await run(['validate', '/a/update.bin', '--json', ...socket]);
  t.equal(json.exit, EXIT.noPath);
  t.same(json.json(), { ...backend.report, exit: 12 });
});

t.test('every class of refusal is an exit status', async (t) => {
  await using bench = await openBench();
  const words = ['update', '/a/update.bin', '--socket', bench.socketPath];
  for (const code of Object.keys(CODES) as Code[]) {
    bench.backend.refusal = new UpdateError(code, `because of ${code}`);
    const { exit, out, err } = await run(words);
    t.equal(exit, CODES[code].exit, code);
    t.equal(out, '');
    t.equal(
      err,
      `tandem: because of ${code}\nNext: ${CODES[code].next}\n(${code}, exit ${exit})\n`,
    );
  }
  const json = await run([...words, '--json']);
  t.match(json.json(), { error: { code: 'permission.denied' }, exit: 51 });
});

t.test('changes: what is sent, and what comes back without a wait', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  const folder = t.testdir({ [BUNDLE]: 'a file with the name of an id' });
  const cases: [string[], object][] = [
    [['stage', 'b.bin'], { kind: 'stage', path: resolve('b.bin') }],
    [['update', '/b.bin'], { kind: 'update', source: { path: '/b.bin' } }],
    [['update', BUNDLE], { kind: 'update', source: { bundle: BUNDLE } }],
    [['update', join(folder, BUNDLE)], { kind: 'update', source: { path: join(folder, BUNDLE) } }],
    [
      ['update', '/b', '--order', 'standby-first', '--on-second-failure', 'rollback'],
      {
        kind: 'update',
        source: { path: '/b' },
        order: 'standby-first',
        onSecondFailure: 'rollback',
      },
    ],
    [['rollback'], { kind: 'rollback' }],
    [['commit'], { kind: 'commit' }],
  ];
  for (const [words, request] of cases) {
    const { exit, out, err } = await run([...words, ...socket], { env: { USER: 'ann' } });
    t.equal(exit, 0);
    t.same(backend.asked.at(-1), { what: 'start', value: request, by: 'ann' });
    t.match(out, /in progress \(installing - .*\), job r1\n$/);
    t.equal(err, `Watch it: tandem job wait r1 --follow --socket ${bench.socketPath}\n`);
  }
  t.match(await run(['commit', '--detach', ...socket]), { exit: 0, out: 'r1\n', err: '' });
  t.match((await run(['commit', '--json', ...socket])).json(), { id: 'r1', state: 'running' });
});

t.test('a start that is interrupted says that its outcome is not known', async (t) => {
  await using bench = await openBench();
  const keys = new AbortController();
  bench.backend.beforeStart = () => {
    keys.abort('SIGINT');
    return new Promise((resolve) => setTimeout(resolve, 20));
  };
  const words = ['update', '/b.bin', '--socket', bench.socketPath];
  const { exit, err } = await run(words, { signal: keys.signal, terminal: true });
  t.equal(exit, EXIT.waitTimedOut);
  t.match(err, /^Checking the request \.\.\.\ntandem: interrupted before the daemon accepted/);
});

t.test('a question is asked only where somebody can answer', async (t) => {
  await using bench = await openBench();
  const words = ['update', '/b.bin', '--socket', bench.socketPath];
  const asked: string[] = [];
  const answer = (yes: boolean) => async (question: string) => {
    asked.push(question);
    return yes;
  };
  const no = await run(words, { confirm: answer(false) });
  t.equal(no.exit, EXIT.cancelled);
  t.match(no.err, /nothing was started[^]*confirm\.wrong, exit 41/);
  t.same(bench.backend.asked, []);
  t.equal((await run(words, { confirm: answer(true) })).exit, 0);
  t.same(
    asked,
    Array.from({ length: 2 }, () => 'Update both nodes with /b.bin? Each one restarts.'),
  );
  await run([...words, '--yes'], { confirm: answer(false) });
  await run([...words, '--json'], { confirm: answer(false) });
  t.equal(asked.length, 2);
  t.equal(bench.backend.asked.length, 3);
});

t.test('job list, log and cancel', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  t.match(await run(['job', 'list', ...socket]), { exit: 0, out: 'There are no jobs.\n' });
  t.match(await run(['job', 'wait', ...socket]), { exit: 2, err: /knows no job/ });
  backend.put({ id: 'r0', state: 'done', exit: 0, startedAt: '2026-11-20T10:00:00.000Z' });
  backend.put();
  const jobs = await run(['job', 'list', '--json', ...socket]);
  t.match(jobs.json(), { jobs: [{ id: 'r1' }, { id: 'r0' }] });
  t.match(await run(['job', 'list', ...socket]), { out: /^JOB .*\nr1 .*\nr0 .*\n$/ });
  backend.emit({ msg: 'one' });
  backend.emit({ job: 'r0', msg: 'other' });
  backend.emit({ msg: 'two', code: 'health.check' });
  const log = await run(['job', 'log', ...socket]);
  t.match(log.out, /\(node A: one - .*\n.*\(node A: two - .*\) \[health\.check\]\n/);
  t.notMatch(log.out, /other/);
  const lines = (await run(['job', 'log', 'r1', '--json', '--since-seq', '1', ...socket])).lines();
  const today = String(Date.UTC(2026, 10, 21) * 1024);
  t.equal((await run(['job', 'log', 'r1', '--since-seq', today, ...socket])).exit, 0, today);
  t.match(lines, [{ v: 1, seq: 3, msg: 'two', code: 'health.check' }]);
  t.match(await run(['job', 'cancel', 'r1', ...socket]), { exit: 0, out: /job r1\n$/ });
  t.match(backend.asked.at(-1), { what: 'cancel', value: 'r1' });
  t.match(await run(['job', 'cancel', 'r9', ...socket]), { exit: 2, err: /there is no job r9/ });
});

t.test('where the daemon is looked for', async (t) => {
  await using bench = await openBench();
  const { socketPath } = bench;
  const folder = t.testdir({});
  mkdirSync(join(folder, 'etc'));
  const file = join(folder, 'etc/t.jsonc');
  const example = (await run(['config', 'example'])).out;
  writeFileSync(file, example.replace('"control": {', `"control": {"socket": "${socketPath}",`));
  t.equal((await run(['status', '--config', file])).exit, 0);
  t.equal((await run(['status'], { env: { TANDEM_SOCKET: socketPath } })).exit, 0);
  t.equal((await run(['status'], { env: { TANDEM_CONFIG: file } })).exit, 0);
  const env = { TANDEM_SOCKET: '/nowhere', TANDEM_CONFIG: '/nowhere' };
  t.equal((await run(['status', '--socket', socketPath], { env })).exit, 0);
  t.equal((await run(['status', '--config', file], { env })).exit, 0);
  t.match(await run(['status'], { env }), { exit: 50, err: /control socket \/nowhere: there is/ });
  t.match(await run(['status', '--config', '/nowhere']), { exit: 2, err: /no configuration file/ });
});

t.test('config check and config example', async (t) => {
  const example = (await run(['config', 'example'])).out;
  const folder = t.testdir({ 'a.jsonc': example, 'b.jsonc': '{\n"node": 1,\n"x": 2}' });
  const good = join(folder, 'a.jsonc');
  const bad = join(folder, 'b.jsonc');
  t.match(await run(['config', 'check', good]), {
    exit: 0,
    out: `${good}: valid, node A of product appliance\n`,
  });
  t.match((await run(['config', 'check', good, '--json'])).json(), {
    ok: true,
    config: { node: 'A' },
  });
  t.match(await run(['config', 'check'], { env: { TANDEM_CONFIG: good } }), { exit: 0 });
  const { exit, err, out } = await run(['config', 'check', bad]);
  t.equal(exit, 2);
  t.equal(out, '');
  t.ok(err.startsWith(`tandem: ${bad}:2: node is 1; accepted: "A" or "B" (and 6 more)\n`), err);
  t.ok(err.includes(`\n        ${bad}:3: x is not a setting; accepted: node, product,`), err);
  t.match((await run(['config', 'check', bad, '--json'])).json(), {
    error: { code: 'config.invalid', detail: { line: 2, setting: 'node' } },
  });
  t.same((await run(['config', 'example', '--json'])).json(), { example });
});
