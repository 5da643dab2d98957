/**
 * The two copies of the store at two daemons in memory: verify and resync asked for on either node,
 * a split brain that a person ends for one copy or the other, and every refusal. May import tap,
 * core and the daemon's rooms.
 */
import t, { type Test } from 'tap';
import type { JobRequest } from '../../src/control/backend.ts';
import type { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { AuditEntry } from '../../src/core/operator.ts';
import type { JobStatus } from '../../src/core/status.ts';
import { rolloutRecord } from '../core/states.ts';
import { CALLER, DaemonPair, type Daemon } from './harness.ts';

async function makePair(t: Test): Promise<DaemonPair> {
  const pair = new DaemonPair();
  t.teardown(() => pair.close());
  await pair.open();
  return pair;
}

/** The end of a job, or the refusal's code. */
async function run(pair: DaemonPair, node: Daemon, request: JobRequest): Promise<string> {
  const started = node.backend.start(request, CALLER).then(
    (job) => job,
    (error: unknown) => (error as UpdateError).code,
  );
  const job = await pair.clock.until<JobStatus | string>(started);
  if (typeof job === 'string') return job;
  await pair.until(() => node.backend.job(job.id).state !== 'running');
  const { state, message, code } = node.backend.job(job.id);
  return `${state}: ${code ?? message}`;
}

const healthy = ({ a, b }: DaemonPair): boolean =>
  [a, b].every((one) => one.backend.status().ha.ok);

const alarmsOf = (node: Daemon): readonly string[] =>
  node.backend.status().alarms.map(({ code }) => code);

/** Both nodes serve alone for a while, then meet again. */
async function split(pair: DaemonPair): Promise<void> {
  pair.store.put('A', 'shared', 'before');
  pair.wire.cut();
  pair.store.setLink(false);
  await pair.until(() => !pair.a.runner.state.record.role.peerMayTakeOver);
  await pair.until(() => !pair.store.store('A').status().frozen);
  pair.store.put('A', 'shared', 'by A alone');
  pair.store.put('A', 'only-a', 'aaaa');
  const word = { act: 'takeover', peer: 'A', reason: 'it was wrong' } as const;
  await pair.clock.until(pair.b.backend.act(word, CALLER));
  await pair.until(() => pair.store.store('B').status().role === 'primary');
  await pair.until(() => !pair.store.store('B').status().frozen);
  pair.store.put('B', 'shared', 'by B');
  pair.store.put('B', 'only-b', 'bb');
  pair.wire.heal();
  pair.store.setLink(true);
  await pair.until(() => [pair.a, pair.b].every((one) => one.runner.state.world.store.splitBrain));
  await pair.clock.advance(1000);
}

for (const asked of ['a', 'b'] as const) {
  t.test(`verify and resync asked for on ${asked}`, async (t) => {
    const pair = await makePair(t);
    const node = pair[asked];
    for (const key of ['x', 'y', 'z']) pair.store.put('A', key, 'value');
    t.equal(
      await run(pair, node, { kind: 'verify' }),
      'done: 3 records, 0 bytes compared, no difference',
    );
    t.strictSame(alarmsOf(node), []);
    pair.store.tamper('B', 'y', 'other');
    pair.store.tamper('B', 'extra', 'here');
    t.equal(await run(pair, node, { kind: 'verify' }), 'failed: store.differs');
    const job = node.backend.jobs()[0]!;
    t.match(job, { kind: 'verify', exit: 24, message: /2 records differ \(y, extra\)/ });
    t.match(job.next, /tandem storage resync/);
    await pair.clock.advance(500);
    for (const one of [pair.a, pair.b]) t.strictSame(alarmsOf(one), ['store.differs']);
    const view = await pair.clock.until(node.backend.storage());
    t.match(view, { split: null, verify: { differences: 2, node: 'A' } });
    t.equal(healthy(pair), true, 'a difference alone ends no high availability');
    const end = await run(pair, node, { kind: 'resync', reason: 'found' });
    t.match(end, /^done: both copies are level(; 5 bytes differed and were sent)?$/);
    t.strictSame(pair.store.contents('B'), pair.store.contents('A'));
    await pair.until(() => healthy(pair));
    for (const one of [pair.a, pair.b]) t.strictSame(alarmsOf(one), []);
    const newest = JSON.parse(node.audit.lines.at(-1)!) as AuditEntry;
    t.match(newest, { act: 'resync', by: 'root', result: 'done', reason: 'found' });
  });
}

for (const [asked, keep] of [
  ['a', 'A'],
  ['b', 'A'],
  ['a', 'B'],
  ['b', 'B'],
] as const) {
  t.test(`a split brain ends for the copy of ${keep}, asked on ${asked}`, async (t) => {
    const pair = await makePair(t);
    await split(pair);
    const lost: NodeId = keep === 'A' ? 'B' : 'A';
    t.equal(pair.network.server(), null, 'nobody serves before a person has said what is kept');
    const view = await pair.clock.until(pair[asked].backend.storage());
    t.match(view.split?.A, { only: { records: 1, bytes: 4 }, other: { records: 1 } });
    t.match(view.split?.B, { only: { records: 1, bytes: 2 }, other: { records: 1 } });
    t.ok(alarmsOf(pair[asked]).includes('store.split_brain'));
    const before = pair.a.runner.state.record.role.epoch;
    const end = await run(pair, pair[asked], { kind: 'resolve', keep, reason: 'newer' });
    t.match(
      end,
      new RegExp(`^done: the copy of node ${keep} is kept; 2 records.* of node ${lost}`),
    );
    t.match(end, new RegExp(`saved there in /saved-${lost}`));
    await pair.until(() => healthy(pair));
    t.equal(pair.network.server(), keep);
    t.equal(pair.network.mostHolders, 2, 'only the wrong word of before made two');
    const { role } = pair.b.runner.state.record;
    t.equal(role.holder, keep);
    t.equal(role.epoch, keep === 'B' ? before : before + 1);
    const own = keep === 'A' ? 'only-a' : 'only-b';
    t.strictSame([...pair.store.contents(lost).keys()].toSorted(), [own, 'shared']);
    t.strictSame(pair.store.contents(lost), pair.store.contents(keep));
    t.strictSame([...(pair.care.saved[0] ?? [])].length, 2);
    const newest = JSON.parse(pair[asked].audit.lines.at(-1)!) as AuditEntry;
    t.match(newest, { act: 'resolve', result: 'done', reason: 'newer' });
    t.equal(
      await run(pair, pair[asked], { kind: 'resolve', keep, reason: 'x' }),
      'store.not_split',
    );
  });
}

t.test('refused: no split, no peer, an update that runs, nobody who serves', async (t) => {
  const pair = await makePair(t);
  const { a, b } = pair;
  const resolve = { kind: 'resolve', keep: 'A', reason: 'x' } as const;
  t.equal(await run(pair, a, resolve), 'store.not_split');
  await a.runner.dispatch({ type: 'start', record: rolloutRecord({ phase: 'HAND1' }) });
  await pair.clock.advance(300);
  t.equal(await run(pair, b, { kind: 'resync' }), 'job.busy');
  await a.runner.dispatch({ type: 'cancel', by: 'x', reason: 'x' });
  pair.wire.cut();
  pair.store.setLink(false);
  await pair.clock.advance(3000);
  t.equal(await run(pair, a, resolve), 'pair.peer_unreachable');
  t.equal(await run(pair, a, { kind: 'verify' }), 'pair.not_healthy');
  t.equal(await run(pair, b, { kind: 'verify' }), 'pair.not_healthy', 'neither serves there');
});

t.test('a power cut between the new holder and the end of the split: said again', async (t) => {
  const pair = await makePair(t);
  await split(pair);
  await pair.a.runner.dispatch({ type: 'keep-copy' });
  await pair.until(() => pair.b.runner.state.record.role.holder === 'A');
  t.equal(pair.network.server(), null);
  t.match(await run(pair, pair.b, { kind: 'resolve', keep: 'B', reason: 'no' }), /^done: .*node B/);
  await pair.until(() => healthy(pair));
  t.equal(pair.network.server(), 'B');
});
