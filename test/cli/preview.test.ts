/**
 * `--dry-run`, `--estimate`, `--detailed-exitcode`, `--idempotency-key`, `job wait --patient`: what
 * is asked of the daemon, what is printed, and the exit status.
 */
import t from 'tap';
import { EXIT } from '../../src/core/codes.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { memoryBook } from '../../src/control/repeats.ts';
import { openBench, until } from '../control/harness.ts';
import { pairStatus, precheckReport, nodeStatus, release } from '../memory/backend.ts';
import { run } from './harness.ts';

const REFUSAL = new UpdateError('pair.not_healthy', 'node B lags').report();
const DRY: readonly string[] = [
  'stage /a.bin',
  'rollback',
  'commit',
  'switchover',
  'takeover',
  'stand-down',
  'restart',
  'shutdown',
  'job pause',
  'job resume',
  'storage verify',
  'storage resync',
  'storage resolve --keep A',
];

t.test('--dry-run changes nothing, on every verb that has it', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  for (const line of DRY) {
    const words = [...line.split(' '), '--dry-run', ...socket];
    backend.preview = { refusal: null, changes: true, does: 'does it', estimateS: 90 };
    t.match(await run(words), { exit: 0, out: 'Would do: does it.\n' }, line);
    const json = await run([...words, '--json']);
    t.match(json.json(), { refusal: null, changes: true, does: 'does it', exit: 0 });
    backend.preview = { refusal: REFUSAL, changes: false, does: null, estimateS: null };
    const refused = await run(words);
    t.equal(refused.exit, EXIT.pairNotHealthy, line);
    t.match(refused.out, /would be refused: node B lags\nNext: .*\n(.*\n)*\(pair\.not_healthy/);
  }
  t.strictSame(backend.asked, []);
  t.match(await run(['rollback', '--dry-run', '--wait', ...socket]), {
    exit: 2,
    err: /--wait does not go with --dry-run/,
  });
  backend.preview = { refusal: null, changes: true, does: 'does it', estimateS: 90 };
  t.match(await run(['rollback', '--estimate', ...socket]), {
    out: /Time: about 1:30\.|90 s|1 min/,
  });
  backend.preview = { ...backend.preview, estimateS: null };
  t.match(await run(['rollback', '--estimate', ...socket]), { out: /Time: not known yet\./ });
});

t.test('--detailed-exitcode: 3 when there was nothing to do, and only then', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  backend.preview = { refusal: null, changes: false, does: 'it is so already', estimateS: null };
  for (const line of ['stage /a.bin', 'commit', 'switchover --yes']) {
    const words = [...line.split(' '), '--detailed-exitcode', ...socket];
    t.match(await run(words), { exit: 3, out: 'Nothing to do: it is so already.\n' }, line);
  }
  const code = 'rollback.unavailable';
  const refusal = { code, message: 'no update waits for it', next: '' } as const;
  backend.preview = { ...backend.preview, refusal };
  const permanent = await run(['commit', '--detailed-exitcode', ...socket]);
  t.match(permanent, { exit: 3, out: 'Nothing to do: no update waits for it.\n' });
  t.equal((await run(['rollback', '--dry-run', '--detailed-exitcode', ...socket])).exit, 12);
  backend.preview = { ...backend.preview, refusal: null };
  t.strictSame(backend.asked, []);
  t.equal((await run(['stage', '/a.bin', '--json', ...socket])).exit, 0, 'without it as ever');
  backend.answer = { changed: false };
  backend.preview = { ...backend.preview, changes: true };
  t.equal((await run(['stand-down', '--detailed-exitcode', ...socket])).exit, 3);
  t.equal((await run(['job', 'resume', '--detailed-exitcode', ...socket])).exit, 3);
  t.equal((await run(['job', 'resume', ...socket])).exit, 0);
});

t.test('an update to what runs already is 3, to something older 11', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const words = ['update', '/a.bin', '--yes', '--socket', bench.socketPath];
  const detail = { version: '1.0.0' };
  backend.refusal = new UpdateError('version.same_or_newer', '1.0.0 is everywhere', { detail });
  t.equal((await run(words)).exit, EXIT.sameOrNewer);
  const same = await run([...words, '--detailed-exitcode']);
  t.match(same, { exit: 3, out: 'Nothing to do: 1.0.0 is everywhere.\n' });
  t.match((await run([...words, '--detailed-exitcode', '--json'])).json(), { exit: 3 });
  const code = 'version.same_or_newer';
  backend.checks = precheckReport({ ok: false, code, version: '1.0.0', message: 'same' });
  const dry = await run([...words, '--dry-run', '--detailed-exitcode']);
  t.match(dry, { exit: 3, out: 'Nothing to do: same.\n' });
  t.equal((await run([...words, '--dry-run'])).exit, EXIT.sameOrNewer);
  const [A, B] = [nodeStatus('A'), nodeStatus('B', { system: release('2.0.0') })];
  backend.pair = pairStatus({ nodes: { A, B } });
  t.equal((await run([...words, '--detailed-exitcode'])).exit, EXIT.sameOrNewer, 'B runs another');
  backend.refusal = new UpdateError('bundle.damaged', 'chunk 7');
  t.equal((await run([...words, '--detailed-exitcode'])).exit, EXIT.bundleDamaged);
});

t.test('the same key gives the same job', async (t) => {
  await using bench = await openBench({ book: memoryBook() });
  const socket = ['--socket', bench.socketPath];
  const words = ['update', '/a.bin', '--detach', '--idempotency-key', 'nightly-7', ...socket];
  const first = await run(words);
  t.equal(first.exit, 0);
  t.equal((await run(words)).out, first.out);
  t.equal(bench.backend.asked.length, 1);
  const other = await run(['commit', '--idempotency-key', 'nightly-7', ...socket]);
  t.match(other, { exit: 2, err: /request\.key_reused, exit 2/ });
  t.match(await run(['commit', '--idempotency-key', 'a b', ...socket]), { exit: 2 });
});

t.test('job wait --patient waits for a daemon that is not up yet', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  backend.put({ id: 'r1', state: 'done', exit: 0 });
  await bench.stop();
  const words = ['job', 'wait', 'r1', '--socket', bench.socketPath];
  t.equal((await run(words)).exit, EXIT.daemonUnreachable);
  const notes: string[] = [];
  const waiting = run([...words, '--patient'], { onErr: (text) => void notes.push(text) });
  await until(() => notes.length === 1);
  t.match(notes, [/nobody answers|no such socket.*waiting for it/]);
  await bench.start();
  t.equal((await waiting).exit, 0);
  await bench.stop();
  const tired = await run([...words, '--patient', '--timeout', '1']);
  t.match(tired, { exit: EXIT.waitTimedOut, err: /the daemon does not answer after 1 s/ });
  await bench.start();
  t.equal((await run(['job', 'wait', 'none', '--patient', ...words.slice(3)])).exit, EXIT.usage);
});
