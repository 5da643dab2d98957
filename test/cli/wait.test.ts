/**
 * Waiting for a job: exit statuses, NDJSON, plain lines, a terminal, time-out, Ctrl-C, a daemon
 * that restarts in between.
 */
import t from 'tap';
import { CODES, EXIT, type Code } from '../../src/core/codes.ts';
import type { FakeBackend } from '../memory/backend.ts';
import { openBench, until, type Bench } from '../control/harness.ts';
import { nodeStatus, pairStatus, rolloutStatus } from '../memory/backend.ts';
import { run } from './harness.ts';

const wait = (bench: Bench, ...words: string[]): string[] => [
  'job',
  'wait',
  'r1',
  '--socket',
  bench.socketPath,
  ...words,
];

/** Ends the job as the daemon would. */
function end(backend: FakeBackend, code: Code | null): void {
  const exit = code === null ? 0 : CODES[code].exit;
  const message = code === null ? 'both nodes run 2.0.0' : CODES[code].title;
  const next = code === null ? null : CODES[code].next;
  const state = code === null ? 'done' : 'failed';
  backend.put({ state, exit, code, message, next, endedAt: '2026-11-21T11:40:00.000Z' });
}

t.test('the exit status is that of the end of the job', async (t) => {
  await using bench = await openBench();
  const ends: (Code | null)[] = [
    null,
    'bundle.damaged',
    'version.same_or_newer',
    'active.failed',
    'storage.failed',
    'standby.failed_held',
    'standby.failed_rolled_back',
    'revert.failed',
    'job.cancelled',
  ];
  for (const code of ends) {
    end(bench.backend, code);
    const { exit, out, err } = await run(wait(bench));
    t.equal(exit, code === null ? 0 : CODES[code].exit, String(code));
    t.match(out, code === null ? /^Update done \(both nodes run 2\.0\.0 - / : /^Update failed \(/);
    if (code !== null) t.ok(out.endsWith(`(${code}, exit ${exit})\n`), out);
    t.equal(err, '');
    const json = await run(wait(bench, '--json'));
    t.equal(json.exit, exit);
    t.match(json.json(), { id: 'r1', exit, code, state: code === null ? 'done' : 'failed' });
  }
});

t.test('without an id it attaches to the newest job that runs', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const words = ['job', 'wait', '--timeout', '1', '--json', '--socket', bench.socketPath];
  backend.put({ id: 'old', startedAt: '2026-11-20T00:00:00.000Z' });
  backend.put({ id: 'newer', startedAt: '2026-11-22T00:00:00.000Z', state: 'done', exit: 0 });
  t.match((await run(words)).json(), { error: { detail: { job: 'old' } }, exit: 40 });
  backend.put({ id: 'old', startedAt: '2026-11-20T00:00:00.000Z', state: 'done', exit: 0 });
  t.match((await run(words)).json(), { id: 'newer' });
});

t.test('update --wait --follow --json: every event once, then the end', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const words = ['update', '/a', '--wait', '--follow', '--json', '--socket', bench.socketPath];
  const running = run(words);
  await until(() => backend.listeners === 1);
  for (let count = 0; count < 20; count++) backend.emit({ pct: count * 5 });
  backend.emit({ job: 'r9' });
  end(backend, 'standby.failed_held');
  backend.emit({ msg: 'the last word' }, true);
  const { exit, lines, err } = await running;
  t.equal(exit, EXIT.standbyFailed);
  t.equal(err, '');
  const events = lines();
  const seqs = [...Array.from({ length: 20 }, (_, index) => index + 1), 22, 22];
  t.same(
    events.map((event) => event['seq']),
    seqs,
  );
  t.match(events.at(-2), { msg: 'the last word' });
  t.match(events.at(-1), { v: 1, state: 'failed', code: 'standby.failed_held', exit: 32 });
  const keys = Object.keys(events[0]!);
  for (const event of events) t.same(Object.keys(event).slice(0, keys.length), keys);
});

t.test('re-attaching by sequence number shows only what is new', async (t) => {
  await using bench = await openBench();
  for (let count = 0; count < 5; count++) bench.backend.emit();
  end(bench.backend, null);
  const { lines } = await run(wait(bench, '--follow', '--json', '--since-seq', '3'));
  t.same(
    lines().map((event) => event['seq']),
    [4, 5, 5],
  );
});

t.test('without a terminal: lines with time stamps, progress in tenths', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  backend.put();
  const running = run(wait(bench, '--follow'));
  await until(() => backend.listeners === 1);
  backend.emit({ msg: 'Installation started' });
  for (let pct = 0; pct <= 100; pct++) {
    backend.emit({ pct: pct + 0.3, msg: 'installing' });
    backend.emit({ pct, msg: 'node B: syncing', node: 'B' });
  }
  backend.emit({ state: 'ended', msg: 'node A and node B are done' });
  end(backend, null);
  const { exit, out, err } = await running;
  t.equal(exit, 0);
  t.match(out, /^Update done /);
  const lines = err.trimEnd().split('\n');
  const stamp = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;
  const first = String.raw`^Update in progress \(node A: Installation started - ${stamp}\)$`;
  t.match(lines[0], new RegExp(first));
  t.equal(lines.length, 1 + 11 + 11 + 1);
  t.match(lines.at(-3), /^Update in progress \(node A: installing, 100 % - /);
  t.match(lines.at(-2), /^Update in progress \(node B: syncing, 100 % - /);
  t.match(lines.at(-1), /^Update ended \(node A and node B are done - /);
  t.notOk(err.includes('\x1b'));
});

t.test(
  'a time-out ends the wait with 40, names the command to attach, and not the job',
  async (t) => {
    await using bench = await openBench();
    bench.backend.put();
    bench.backend.emit();
    const { exit, err, out } = await run(wait(bench, '--follow', '--timeout', '1'));
    t.equal(exit, EXIT.waitTimedOut);
    t.equal(out, '');
    const attach = `tandem job wait r1 --follow --since-seq 1 --socket ${bench.socketPath}`;
    t.ok(err.includes(`tandem: job r1 still runs after 1 s; attach again: ${attach}\n`), err);
    const json = await run(wait(bench, '--follow', '--json', '--timeout', '1'));
    t.equal(json.exit, 40);
    t.match(json.lines().at(-1), { seq: 1, state: 'timed_out', code: 'wait.timed_out', exit: 40 });
    t.equal(bench.backend.asked.length, 0, 'nothing was asked of the job');
  },
);

t.test('Ctrl-C detaches, says how to attach again, and leaves the job alone', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  for (const words of [['--follow'], [], ['--follow', '--json'], ['--json']]) {
    backend.put();
    const keys = new AbortController();
    const running = run(wait(bench, ...words), { signal: keys.signal });
    const follows = words.includes('--follow');
    if (follows) await until(() => backend.listeners === 1);
    else setTimeout(() => keys.abort('SIGINT'), 50);
    if (follows) keys.abort('SIGINT');
    const { exit, out, err, lines } = await running;
    t.equal(exit, EXIT.waitTimedOut, words.join(' '));
    t.match(err, /detached: job r1 still runs; attach again: tandem job wait r1 --follow/);
    if (words.includes('--json')) {
      t.equal(lines().length, 1);
      const code = 'wait.detached';
      t.match(lines()[0], follows ? { state: 'detached', code } : { error: { code } });
    } else t.equal(out, '');
    await until(() => backend.listeners === 0);
  }
  t.same(backend.asked, []);
});

t.test('a daemon that restarts is waited for, and said once', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  backend.put();
  const told: string[] = [];
  const running = run(wait(bench, '--follow'), { onErr: (text) => told.push(text) });
  await until(() => backend.listeners === 1);
  backend.emit({ msg: 'before' });
  await until(() => told.length === 1);
  await bench.stop();
  backend.emit({ msg: 'meanwhile' });
  await until(() => told.length === 2);
  await bench.start();
  await until(() => told.length === 4);
  end(backend, null);
  const { exit } = await running;
  t.equal(exit, 0);
  t.match(told[1], /nobody answers on .*; waiting for it, the job goes on\n$/);
  t.equal(told.filter((text) => text.includes('waiting for it')).length, 1);
  t.equal(told.filter((text) => text === 'The daemon answers again.\n').length, 1);
  t.equal(told.filter((text) => text.includes('meanwhile')).length, 1);
});

t.test('a job that the daemon does not know any more ends the wait', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  backend.put();
  const running = run(wait(bench, '--follow'));
  await until(() => backend.listeners === 1);
  backend.jobTable.clear();
  t.match(await running, {
    exit: EXIT.pairNotHealthy,
    err: /r1 is gone: .*\n.*It never began and changed nothing.*\n\(job\.lost, exit 24\)/,
  });
});

t.test('on a terminal both nodes are redrawn in place', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const installing = { doneBytes: 57, totalBytes: 100, rateBps: 117_440_512, etaS: 12 };
  backend.put();
  backend.pair = pairStatus({
    rollout: rolloutStatus({ phase: 'INSTALL1' }),
    nodes: {
      A: nodeStatus('A', { activity: { name: 'installing', progress: installing } }),
      B: nodeStatus('B'),
    },
  });
  const pairWithRollout = backend.pair;
  backend.pair = { ...pairWithRollout, rollout: null };
  // A serial line says of itself that it has no lines.
  const early = run(wait(bench, '--follow', '--timeout', '1'), { terminal: true, rows: 0 });
  t.match((await early).err, /\nNode A: installing \[#+-+\].*\n {8}57 %, 112 MiB\/s, ETA 0:12/);
  backend.pair = pairWithRollout;
  const small = { terminal: true, rows: 10, columns: 50 };
  const tiny = await run(wait(bench, '--follow', '--timeout', '1'), small);
  t.equal(tiny.err.split('\x1b[J')[0]!.split('\n').length, 10, 'never higher than the terminal');
  const drawn: string[] = [];
  const onErr = (text: string): void => void drawn.push(text);
  const running = run(wait(bench, '--follow'), { terminal: true, onErr });
  await until(() => drawn.length === 1);
  backend.pair = pairStatus({ rollout: rolloutStatus({ phase: 'DRAIN1' }) });
  await until(() => drawn.length === 2);
  end(backend, null);
  const { exit, out } = await running;
  t.equal(exit, 0);
  t.match(out, /^Update done /);
  t.match(drawn[0], /installing \[#+-+\]/);
  t.match(drawn[0], /57 %, 112 MiB\/s, ETA 0:12/);
  t.match(drawn[0], /Ctrl-C detaches; the job goes on\./);
  const lines = drawn[0]!.split('\n').length - 1;
  t.ok(drawn[1]!.startsWith(`\x1b[${lines}A\r`), 'the second picture lies over the first');
  t.match(drawn[1], /\[x\] images installed and read back/);
});

t.test('job cancel --wait ends with 0 when the job is cancelled, else with its end', async (t) => {
  await using bench = await openBench();
  const words = ['job', 'cancel', 'r1', '--wait', '--socket', bench.socketPath];
  end(bench.backend, 'job.cancelled');
  t.equal((await run(words)).exit, 0);
  end(bench.backend, 'revert.failed');
  t.equal((await run(words)).exit, EXIT.revertFailed);
});
