/**
 * The replacement of a node as a job of the daemon that serves: when it is refused, what is told to
 * whom, its end, its cancel, and its entries in the audit log. The keys are in
 * test/drivers/pairing-replace.test.ts, real nodes in test/pair/replace.test.ts.
 */
import t, { type Test } from 'tap';
import type { UpdateError } from '../../src/core/errors.ts';
import { otherVersion, parseRuns, runsText, RUNS_CHARS_MAX } from '../../src/core/replace.ts';
import type { ReplaceOffer, Runs } from '../../src/core/replace.ts';
import type { AuditEntry } from '../../src/core/operator.ts';
import { CALLER, DaemonPair, GOOD, type Daemon } from './harness.ts';

const NEW = '22'.repeat(32);

async function makePair(t: Test): Promise<DaemonPair> {
  const pair = new DaemonPair();
  t.teardown(() => pair.close());
  await pair.open();
  return pair;
}

/** Node B is lost; node A goes on alone. */
async function alone(t: Test): Promise<DaemonPair> {
  const pair = await makePair(t);
  pair.wire.cut();
  pair.store.setLink(false);
  await pair.until(() => !pair.a.runner.state.record.role.peerMayTakeOver);
  await pair.until(() => !pair.a.runner.state.world.store.frozen);
  return pair;
}

/** The offer, or the refusal. */
function ask(pair: DaemonPair, node: Daemon, named: 'A' | 'B') {
  const request = { node: named, reason: 'disk' };
  const asked = node.backend.replace(request, CALLER);
  return pair.clock.until(asked.catch((error: unknown) => error as UpdateError));
}

const noted = ({ audit }: Daemon): readonly string[] =>
  audit.lines
    .map((line) => JSON.parse(line) as AuditEntry)
    .map(({ act, result, code, by }) => `${act} ${result} ${code ?? '-'} ${by}`);

t.test('refused while the peer answers, on the standby, and for the wrong node', async (t) => {
  const pair = await makePair(t);
  const { a, b } = pair;
  t.match(await ask(pair, a, 'B'), { code: 'replace.refused', message: /node B answers/ });
  t.match(await ask(pair, a, 'A'), { code: 'replace.refused', message: /this is node A/ });
  t.equal(a.pairing.offers.length, 0);
  t.strictSame(
    noted(a),
    Array.from({ length: 2 }, () => 'pair replace refused replace.refused root'),
  );
  pair.wire.cut();
  pair.store.setLink(false);
  await pair.until(() => !a.runner.state.record.role.peerMayTakeOver);
  t.match(await ask(pair, b, 'A'), { code: 'replace.refused', message: /does not serve/ });
});

t.test('the code is told once; the job ends when the pair is highly available', async (t) => {
  const pair = await alone(t);
  const { a } = pair;
  const offer = (await ask(pair, a, 'B')) as ReplaceOffer;
  t.match(offer, { node: 'B', validS: 600, tries: 5, version: '1.0.0', port: 7412 });
  t.match(offer.job, { kind: 'replace', state: 'running' });
  const { code } = offer;
  const { wanted } = a.pairing.offers[0]!.replace!;
  t.match(wanted, { system: { counter: 1 }, storage: { counter: 1 } });
  t.match(await ask(pair, a, 'B'), { code: 'job.busy' });
  const update = { kind: 'update', source: { path: GOOD } } as const;
  const refused = a.backend.start(update, CALLER).catch((error: unknown) => error as UpdateError);
  t.match(await pair.clock.until(refused), { code: 'job.busy' });

  a.pairing.join('B', NEW);
  await pair.clock.advance(2000);
  t.equal(a.pairing.refreshed, 1);
  t.match(a.backend.job(offer.job.id), { state: 'running', message: /is revoked/ });
  pair.wire.heal();
  pair.store.setLink(true);
  await pair.until(() => a.backend.job(offer.job.id).state !== 'running');
  const end = a.backend.job(offer.job.id);
  t.match(end, {
    state: 'done',
    exit: 0,
    message: /key 2222222222222222, key 1111111111111111 is/,
  });
  const told = JSON.stringify([a.told(), a.audit.lines, a.backend.jobs()]);
  t.notOk(told.includes(code), 'nobody else hears of the code');
  t.strictSame(noted(a).slice(0, 1), ['pair replace accepted - root']);
  t.equal(noted(a).at(-1), 'pair replace done - root');
});

t.test(
  'a cancel before the new node has joined; a peer that is back in the last moment',
  async (t) => {
    const pair = await alone(t);
    const { a } = pair;
    const first = (await ask(pair, a, 'B')) as ReplaceOffer;
    await pair.clock.until(a.backend.cancel(first.job.id, CALLER));
    await pair.until(() => a.backend.job(first.job.id).state !== 'running');
    t.match(a.backend.job(first.job.id), { state: 'failed', code: 'job.cancelled', exit: 41 });
    await ask(pair, a, 'B');
    pair.wire.heal();
    pair.store.setLink(true);
    await pair.until(() => a.runner.state.world.linkUp);
    t.throws(() => a.pairing.join('B', NEW), { code: 'replace.refused' });
  },
);

t.test('what a node says that it runs', (t) => {
  const runs: Runs = { system: { version: '2.0.0-rc.1+b', counter: 3 }, storage: null };
  t.strictSame(parseRuns(runsText(runs)), runs);
  t.equal(otherVersion(runs, runs), null);
  for (const text of [undefined, 7, '', '{', 'x'.repeat(RUNS_CHARS_MAX + 1)]) {
    t.equal(parseRuns(text), null, String(text).slice(0, 10));
  }
  for (const text of ['null', '[]', '{"system":7}', '{"system":{"version":"<b>","counter":1}}']) {
    t.strictSame(parseRuns(text), { system: null, storage: null }, text);
  }
  const late = { system: { version: '2.0.0-rc.1+b', counter: 4 }, storage: null };
  t.match(otherVersion(runs, late), /runs 2\.0\.0-rc\.1\+b \(4\) as system, the pair runs/);
  t.match(otherVersion(runs, null), /does not say/);
  t.end();
});
