/**
 * Changes that only the driver makes, asked for on either node: answers, refusals, lost answers,
 * handovers, and requests that are nonsense. May import tap, core and the daemon's rooms.
 */
import t, { type Test } from 'tap';
import type { UpdateError } from '../../src/core/errors.ts';
import type { DriverRequest } from '../../src/daemon/requests.ts';
import { rolloutRecord } from '../core/states.ts';
import { DaemonPair, type Daemon } from './harness.ts';

async function makePair(t: Test): Promise<DaemonPair> {
  const pair = new DaemonPair();
  t.teardown(() => pair.close());
  await pair.open();
  return pair;
}

/** How a request ends: `done`, or the code of its refusal. */
function ask(pair: DaemonPair, node: Daemon, request: DriverRequest): Promise<string> {
  const end = node.requests.ask(request).then(
    () => 'done',
    (error: unknown) => (error as UpdateError).code,
  );
  return pair.clock.until(end);
}

const start = (id = 'update-1'): DriverRequest => {
  return { do: 'start', record: rolloutRecord({ id }) };
};
const CANCEL: DriverRequest = { do: 'cancel', by: 'anna', reason: 'asked for' };

t.test('on either node the driver does it, and it is durable when the answer comes', async (t) => {
  const pair = await makePair(t);
  t.equal(await ask(pair, pair.b, start()), 'done');
  t.equal(pair.a.runner.state.rollout?.id, 'update-1');
  t.match(pair.a.journal.lines.at(-1), /update-1/);
  t.equal(await ask(pair, pair.b, start('update-2')), 'job.busy');
  t.equal(await ask(pair, pair.a, start('update-2')), 'job.busy');
  t.equal(await ask(pair, pair.b, { do: 'finalize' }), 'job.busy');
  t.equal(await ask(pair, pair.b, CANCEL), 'done');
  t.match(pair.a.runner.state.rollout?.abort, { by: 'anna', reason: 'asked for' });
  await pair.until(() => pair.b.runner.state.rollout?.phase === 'CANCELLED');
  t.equal(await ask(pair, pair.a, CANCEL), 'job.busy', 'a second one finds nothing');
});

t.test('a lost request: the peer did not answer, after five seconds', async (t) => {
  const pair = await makePair(t);
  pair.wire.setNoise({ dropRate: 1 });
  const beganMs = pair.clock.nowMs;
  t.equal(await ask(pair, pair.b, start()), 'pair.peer_unreachable');
  t.equal(pair.clock.nowMs - beganMs, 5000);
  t.equal(pair.a.runner.state.rollout, null);
});

t.test('a lost answer: the record itself says that it was done', async (t) => {
  const pair = await makePair(t);
  // The driver does what it is asked for, but its answer goes nowhere.
  const answers: string[] = [];
  pair.b.requests.onMessage = (message) => answers.push(message.type);
  t.equal(await ask(pair, pair.b, start()), 'done');
  t.strictSame(answers, ['answer']);
  t.equal(await ask(pair, pair.b, CANCEL), 'done');
  t.not(pair.b.runner.state.rollout?.abort, null);
});

t.test('in a handover it waits for the node that will serve', async (t) => {
  const pair = await makePair(t);
  const handover = rolloutRecord({ phase: 'DRAIN1' });
  await pair.a.runner.dispatch({ type: 'start', record: handover });
  await pair.until(() => pair.network.server() === null);
  const asked = ask(pair, pair.a, CANCEL);
  t.match(await asked, /done|job\.busy/, 'answered by whoever serves then');
  t.not(pair.network.server(), null);
});

t.test('nobody serves for long: that is said', async (t) => {
  const pair = await makePair(t);
  pair.wire.cut();
  await pair.clock.advance(1000);
  const beganMs = pair.clock.nowMs;
  t.equal(await ask(pair, pair.b, start()), 'pair.not_healthy');
  t.ok(pair.clock.nowMs - beganMs >= 5000);
});

t.test('nonsense of a peer is answered with a refusal and changes nothing', async (t) => {
  const pair = await makePair(t);
  const nonsense: readonly [object, string][] = [
    [{ do: 'later' }, 'pair.protocol'],
    [{}, 'pair.protocol'],
    [{ do: 'start' }, 'pair.bad_message'],
    [{ do: 'start', record: { id: 'x' } }, 'pair.bad_message'],
    [{ do: 'start', record: { ...rolloutRecord(), schema: 99 } }, 'pair.bad_message'],
    [{ do: 'start', record: { ...rolloutRecord(), phase: 'LATER' } }, 'pair.bad_message'],
  ];
  for (const [request, code] of nonsense) {
    t.equal(await ask(pair, pair.b, request as DriverRequest), code, JSON.stringify(request));
  }
  t.equal(pair.a.runner.state.rollout, null);
  pair.b.requests.onMessage({ type: 'answer', id: 'nobody asked', answer: {} });
  t.strictSame([...pair.a.fatal, ...pair.b.fatal], []);
});
