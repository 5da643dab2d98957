/**
 * The verbs restart and shutdown against a daemon in memory: what is said before, what is typed,
 * what is refused, and how they end when the daemon goes away with its node.
 */
import t from 'tap';
import { EXIT } from '../../src/core/codes.ts';
import { openBench, type Bench } from '../control/harness.ts';
import { jobStatus, powerViews } from '../memory/backend.ts';
import { run } from './harness.ts';

const started = ({ backend }: Bench): unknown[] =>
  backend.asked.filter(({ what }) => what === 'start').map(({ value }) => value);
const REFUSAL = {
  code: 'power.refused',
  message: 'node B does not answer',
  next: 'Wait.',
} as const;

t.test('restart: costs are shown, the name is typed, the end is waited for', async (t) => {
  await using bench = await openBench();
  const socket = ['--socket', bench.socketPath];
  const verb = ['restart', ...socket];
  t.match(await run(verb), { exit: EXIT.usage, err: /confirm.needed/ });
  t.match(await run([...verb, '--yes']), { exit: EXIT.usage, err: /--reason/ });
  const wrong = await run(verb, { ask: async () => 'B' });
  t.match(wrong, { exit: EXIT.cancelled, err: /^Node B takes the service over/ });
  t.match(wrong.err, /- There is no high availability until node A is back/);
  t.strictSame(started(bench), []);
  bench.backend.beforeStart = async () => {
    const done = { state: 'done', message: 'node A has restarted' } as const;
    setImmediate(() => bench.backend.put({ kind: 'restart', exit: 0, ...done }));
  };
  t.match(await run(verb, { ask: async () => 'a' }), { exit: 0, out: /node A has restarted/ });
  const reason = 'confirmed on a terminal: restart of node A';
  const json = await run([...verb, '--yes', '--reason', 'memory', '--json']);
  t.match(json.json(), { kind: 'restart', state: 'done', exit: 0 });
  bench.backend.beforeStart = async () => {};
  const both = await run([...verb, '--yes', '--reason', 'memory', '--wait', '--detach']);
  t.match(both, { exit: EXIT.usage, err: /--detach does not go with --wait/ });
  const id = await run([...verb, '--yes', '--reason', 'memory', '--detach']);
  t.match(id, { exit: 0, out: 'r1\n' });
  const memory = { kind: 'restart', reason: 'memory' };
  t.strictSame(started(bench), [{ kind: 'restart', reason }, memory, memory]);
});

t.test('refused where nobody else can serve; --force where that helps', async (t) => {
  await using bench = await openBench();
  const words = ['--socket', bench.socketPath, '--yes', '--reason', 'x', '--no-wait'];
  bench.backend.powers = powerViews({ refusal: REFUSAL });
  t.match(await run(['restart', ...words]), { exit: EXIT.pairNotHealthy, err: /does not answer/ });
  t.match(await run(['restart', '--force', ...words]), { exit: EXIT.pairNotHealthy });
  t.strictSame(started(bench), []);
  bench.backend.powers = powerViews({ refusal: REFUSAL, forceable: true });
  t.match(await run(['restart', ...words]), { exit: EXIT.pairNotHealthy });
  t.match(await run(['restart', '--force', ...words]), { exit: 0 });
  t.strictSame(started(bench), [{ kind: 'restart', reason: 'x', force: true }]);
});

t.test('shutdown ends well when the daemon goes away, and tells what kept it', async (t) => {
  await using bench = await openBench();
  const words = ['shutdown', '--socket', bench.socketPath, '--yes', '--reason', 'x'];
  bench.backend.beforeStart = async () => void setTimeout(() => void bench.stop(), 50);
  const off = await run([...words, '--json']);
  t.match(off.json(), { kind: 'shutdown', exit: 0, message: /stays off until/ });
  await bench.start();
  const failed = jobStatus({ kind: 'shutdown', state: 'failed', code: 'job.busy', exit: 24 });
  bench.backend.beforeStart = async () => void setImmediate(() => bench.backend.put(failed));
  t.match(await run(words), { exit: 24 });
  bench.backend.beforeStart = async () => {};
  t.match(await run([...words, '--timeout', '1']), { exit: EXIT.waitTimedOut, err: /not off yet/ });
});
