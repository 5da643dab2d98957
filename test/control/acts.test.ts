/**
 * Words of an operator on the wire: which bodies are taken, and how each other one is refused
 * before the daemon sees it. Raw requests to a server before a daemon in memory.
 */
import t from 'tap';
import { precheckReport, takeoverView } from '../memory/backend.ts';
import { openBench, raw } from './harness.ts';

const GOOD: readonly object[] = [
  { act: 'switchover' },
  { act: 'switchover', reason: 'fan' },
  { act: 'takeover', peer: 'B', reason: 'unplugged' },
  { act: 'stand-down', on: true },
  { act: 'stand-down', on: false, reason: 'over' },
  { act: 'pause' },
  { act: 'resume', job: 'update-1', reason: 'x'.repeat(500) },
];
const BAD: readonly (readonly [object, string])[] = [
  [{}, 'act is missing; accepted: switchover, takeover, stand-down, pause, resume'],
  [{ act: 'toString' }, 'act is "toString"; accepted: switchover'],
  [{ act: 7 }, 'act is 7; accepted: switchover'],
  [{ act: 'takeover', peer: 'B' }, 'reason is missing in the request body'],
  [{ act: 'takeover', reason: 'x' }, 'peer is missing in the request body'],
  [{ act: 'takeover', peer: 'C', reason: 'x' }, 'peer is "C"; accepted: A, B'],
  [{ act: 'stand-down' }, 'on is missing in the request body'],
  [{ act: 'stand-down', on: 'yes' }, 'on is "yes"'],
  [{ act: 'pause', job: '../x' }, 'job is "../x"'],
  [{ act: 'switchover', reason: '' }, 'reason is ""'],
  [{ act: 'switchover', reason: 'a\nb' }, 'reason is "a\\nb"'],
  [{ act: 'switchover', reason: 'x'.repeat(501) }, 'reason is "xxx'],
  [{ act: 'switchover', force: true }, 'force is not a field of the request body'],
];

t.test('acts: what is taken, and what is refused', async (t) => {
  await using bench = await openBench();
  for (const body of GOOD) {
    const { status } = await raw(bench, 'POST', '/v1/acts', JSON.stringify(body));
    t.equal(status, 200, JSON.stringify(body).slice(0, 80));
  }
  t.strictSame(
    bench.backend.asked.map(({ value }) => value),
    GOOD,
  );
  for (const [body, words] of BAD) {
    const answer = await raw(bench, 'POST', '/v1/acts', JSON.stringify(body));
    t.equal(answer.status, 400, words);
    t.equal(answer.body.error?.code, 'usage.invalid');
    t.ok(answer.body.error?.message.startsWith(words), answer.body.error?.message ?? '');
  }
  t.equal(bench.backend.asked.length, GOOD.length, 'the daemon saw none of them');
});

t.test('takeover, audit, precheck and the reason of a cancel', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const view = await raw(bench, 'GET', '/v1/takeover');
  t.strictSame(view.body, takeoverView());
  t.strictSame((await raw(bench, 'GET', '/v1/audit?limit=5')).body, { entries: [] });
  t.equal((await raw(bench, 'GET', '/v1/audit?limit=0')).status, 400);
  const source = { path: '/a.bin' };
  const checked = await raw(bench, 'POST', '/v1/precheck', JSON.stringify({ source }));
  t.strictSame(checked.body, precheckReport());
  for (const odd of [{}, { source: {} }, { source: { path: 'a' } }, { source, more: 1 }]) {
    t.equal((await raw(bench, 'POST', '/v1/precheck', JSON.stringify(odd))).status, 400);
  }
  backend.put({ id: 'r1' });
  const cancel = JSON.stringify({ reason: 'wrong bundle' });
  t.equal((await raw(bench, 'POST', '/v1/jobs/r1/cancel', cancel)).status, 202);
  t.match(backend.asked.at(-1), { what: 'cancel', value: 'r1', reason: 'wrong bundle' });
  t.equal((await raw(bench, 'POST', '/v1/jobs/r1/cancel', '{"why":1}')).status, 400);
});
