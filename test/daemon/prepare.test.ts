/**
 * Prepared updates on two daemons: every stage on both nodes, the gates of the install, what is
 * kept when something is lost, and words of people. Virtual time. May import tap, core and the
 * daemon's rooms.
 */
import t, { type Test } from 'tap';
import type { JobRequest } from '../../src/control/backend.ts';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { PrepareRequest, PrepareView } from '../../src/core/prepare-view.ts';
import { PREPARE_STAGES, type PrepareStage, type StageStatus } from '../../src/core/prepare.ts';
import { BUNDLE, BUNDLE_BYTES, manifestOf } from '../core/states.ts';
import { CALLER, DaemonPair, GOOD, type Daemon, type DaemonOptions } from './harness.ts';

const PREPARE = { kind: 'prepare', source: { path: GOOD } } as const;

async function makePair(t: Test, options: Partial<Record<NodeId, DaemonOptions>> = {}) {
  const pair = new DaemonPair(options);
  t.teardown(() => pair.close());
  await pair.open();
  return pair;
}

const daemonOf = (pair: DaemonPair, node: NodeId): Daemon => (node === 'A' ? pair.a : pair.b);

/** How a stage of a node stands, by the copy of the node that is asked. */
function stageOf(asked: Daemon, node: NodeId, stage: PrepareStage): StageStatus | undefined {
  return asked.backend.prepared().preparation?.nodes[node].stages[stage];
}

const isReady = ({ backend }: Daemon): boolean =>
  backend.prepared().preparation?.order.readyAt !== null;

async function start(pair: DaemonPair, node: Daemon, request: JobRequest): Promise<string> {
  return (await pair.clock.until(node.backend.start(request, CALLER))).id;
}

function say(pair: DaemonPair, node: Daemon, request: PrepareRequest): Promise<string> {
  const end = node.backend.sayPrepare(request, CALLER).then(
    ({ changed }) => (changed ? 'changed' : 'unchanged'),
    (cause: unknown) => asUpdateError(cause).code,
  );
  return pair.clock.until(end);
}

function refusal(pair: DaemonPair, node: Daemon, request: JobRequest): Promise<string> {
  const end = node.backend.start(request, CALLER).then(
    () => 'accepted',
    (cause: unknown) => asUpdateError(cause).code,
  );
  return pair.clock.until(end);
}

async function prepared(pair: DaemonPair, node: Daemon = pair.a): Promise<string> {
  const id = await start(pair, node, PREPARE);
  await pair.until(() => isReady(pair.a) && isReady(pair.b));
  return id;
}

t.test('asked for on either node: every stage of both nodes, then the gates', async (t) => {
  for (const asked of NODES) {
    const pair = await makePair(t);
    const node = daemonOf(pair, asked);
    const id = await start(pair, node, PREPARE);
    t.match(id, /^prepare-/);
    t.match(node.backend.job(id), { kind: 'prepare', state: 'running', exit: null });
    const update = { kind: 'update', source: { prepared: id } } as const;
    t.equal(await refusal(pair, node, update), 'pair.not_replicated');
    await pair.until(() => isReady(pair.a) && isReady(pair.b));
    for (const one of [pair.a, pair.b]) {
      for (const owner of NODES) {
        const states = PREPARE_STAGES.map((stage) => stageOf(one, owner, stage)?.state);
        t.strictSame(states, ['done', 'done', 'done', 'done', 'done']);
      }
      t.match(one.backend.job(id), { state: 'done', exit: 0 });
      t.ok(one.prepareDisk.plan, 'the plan lies on its disk');
      t.equal(one.runner.state.record.update.state, 'idle', 'no slot was touched');
    }
    t.strictSame(pair.a.prepareDisk.plan, pair.b.prepareDisk.plan);
    t.strictSame(pair.a.prepareDisk.found, pair.b.prepareDisk.found);
    t.equal(await refusal(pair, node, update), 'prepare.not_authorized');
    t.equal(await say(pair, pair.b, { do: 'authorize', id, reason: 'agreed' }), 'changed');
    t.equal(await say(pair, pair.a, { do: 'authorize' }), 'unchanged');
    t.equal(await refusal(pair, node, update), 'prepare.not_configured');
    const never = new AbortController().signal;
    const dry = await pair.clock.until(node.backend.precheck(update.source, never));
    t.match(dry, { ok: false, code: 'prepare.not_configured' }, 'a dry run says the same');
    t.equal(await say(pair, pair.a, { do: 'configure' }), 'changed');
    const mixed = { ...update, order: 'active-first' } as const;
    t.equal(await refusal(pair, node, mixed), 'usage.invalid');
    pair.a.hold('write system');
    pair.b.hold('write system');
    const job = await start(pair, node, update);
    await pair.until(() => pair.a.runner.state.rollout?.phase === 'INSTALL1');
    t.equal(pair.a.runner.state.rollout?.id, job);
    t.equal(await refusal(pair, node, update), 'job.busy');
    t.match(node.backend.prepared().preparation?.order, { install: { job, result: null } });
    await pair.clock.until(pair.a.backend.cancel(job, CALLER));
    await pair.until(() => {
      const install = pair.b.backend.prepared().preparation?.order.install;
      return install?.result?.good === false;
    });
    t.equal(await refusal(pair, node, update), 'prepare.not_authorized', 'it is not begun again');
    if (asked === 'A') await pair.clock.advance(130_000);
    t.equal(pair.a.runner.state.rollout?.phase, 'CANCELLED');
    t.equal(await say(pair, pair.a, { do: 'authorize' }), 'changed');
    await start(pair, node, update);
    await pair.until(() => pair.a.runner.state.rollout?.phase === 'INSTALL1');
  }
});

const FULL = 100 * 1024 * 1024;

t.test(
  'true faults of each stage, on either node: told, and gone when they are mended',
  async (t) => {
    for (const node of NODES) {
      const pair = await makePair(t);
      const one = daemonOf(pair, node);
      // By themselves they would be tried after a minute: that is in the tests of the desk.
      const again = (): Promise<string> => say(pair, one, { do: 'retry' });
      const stuck = (stage: PrepareStage, code: string): Promise<void> =>
        pair.until(() => stageOf(pair.b, node, stage)?.code === code);
      const writable = one.host.checkWritable.bind(one.host);
      one.host.checkWritable = () => Promise.reject(new UpdateError('health.check', 'read-only'));
      const id = await start(pair, daemonOf(pair, 'A'), PREPARE);
      await stuck('checks', 'health.check');
      t.match(one.backend.job(id), { state: 'running', message: /checks: read-only/ });
      one.host.checkWritable = writable;
      await again();
      one.depot.capacityBytes = 10;
      await stuck('replicate', 'space.depot');
      one.depot.capacityBytes = FULL;
      await again();
      one.prepareDisk.writePlan = () => Promise.reject(new UpdateError('state.io', 'disk'));
      await stuck('plan', 'state.io');
      delete (one.prepareDisk as { writePlan?: unknown }).writePlan;
      await again();
      one.prepareDisk.readPlan = () => Promise.reject(new UpdateError('prepare.plan_lost', 'gone'));
      await stuck('finalize', 'prepare.plan_lost');
      delete (one.prepareDisk as { readPlan?: unknown }).readPlan;
      await again();
      await pair.until(() => isReady(pair.a) && isReady(pair.b));
      t.match(one.told().join(' '), /replicate failed/);
      for (const stage of PREPARE_STAGES) t.match(stageOf(pair.a, node, stage), { state: 'done' });
    }
  },
);

t.test('what is in the depot is kept, and what is lost comes again', async (t) => {
  const pair = await makePair(t);
  await prepared(pair);
  const other = { bundle: 'e'.repeat(64) as never, bytes: BUNDLE_BYTES, manifest: manifestOf(3) };
  pair.a.files.set('/other.bin', other);
  const stage = await start(pair, pair.a, { kind: 'stage', path: '/other.bin' });
  await pair.until(() => pair.a.backend.job(stage).state === 'done');
  for (const { depot } of [pair.a, pair.b]) {
    t.equal(depot.files.size, 2, 'another bundle takes nothing away');
    depot.files.delete(`memory:${BUNDLE}.bin`);
  }
  await pair.until(() => stageOf(pair.b, 'B', 'replicate')?.state !== 'done');
  await pair.until(() => pair.b.depot.files.has(`memory:${BUNDLE}.bin`));
  await pair.until(() => pair.a.backend.prepared().refusal?.code === 'prepare.not_authorized');
  t.equal(stageOf(pair.a, 'B', 'checks')?.state, 'done');
});

t.test('another bundle, another file, and what is given up', async (t) => {
  const pair = await makePair(t);
  const id = await prepared(pair, pair.b);
  t.equal(await start(pair, pair.a, PREPARE), id, 'the same again is the same');
  const other = { bundle: 'e'.repeat(64) as never, bytes: BUNDLE_BYTES, manifest: manifestOf(3) };
  pair.a.files.set('/other.bin', other);
  const next = { kind: 'prepare', source: { path: '/other.bin' } } as const;
  t.equal(await refusal(pair, pair.a, next), 'prepare.busy');
  t.equal(
    await refusal(pair, pair.a, { ...next, source: { path: '/none.bin' } }),
    'file.not_found',
  );
  t.equal(await say(pair, pair.a, { do: 'retry', id: 'prepare-0' }), 'prepare.unknown');
  t.match(await pair.clock.until(pair.b.backend.cancel(id, CALLER)), { state: 'done' });
  t.equal(await say(pair, pair.a, { do: 'authorize' }), 'prepare.unknown');
  t.equal(
    await refusal(pair, pair.a, { kind: 'update', source: { prepared: id } }),
    'prepare.unknown',
  );
  const second = await start(pair, pair.a, next);
  t.not(second, id);
  await pair.until(() => isReady(pair.a) && isReady(pair.b));
  const noted = (await pair.a.backend.audit(50)).map(({ act, result }) => `${act} ${result}`);
  t.ok(noted.includes('prepare accepted') && noted.includes('prepare refused'));
  t.ok(noted.includes('prepare retry refused') && noted.includes('prepare done'));
});

t.test('an install writes what was planned, and ends the preparation', async (t) => {
  const pair = await makePair(t);
  const id = await prepared(pair);
  await say(pair, pair.a, { do: 'configure', order: 'standby-first' });
  await pair.until(() => pair.a.prepareDisk.plan?.options.order === 'standby-first');
  await say(pair, pair.a, { do: 'authorize' });
  // The stick is gone, and so is everything else that was outside of the depots.
  pair.a.files.clear();
  await pair.until(() => pair.a.backend.prepared().refusal === null);
  const job = await start(pair, pair.a, { kind: 'update', source: { prepared: id } });
  await pair.until(() => pair.a.runner.state.rollout?.id === job);
  t.match(pair.a.runner.state.rollout, { first: 'B', policy: { order: 'standby-first' } });
});

const alarmsOf = ({ backend }: Daemon) => backend.status().alarms.map(({ code }) => code);
const refusalOf = ({ backend }: Daemon) => backend.prepared().refusal?.code;

t.test(
  'a stage that is stuck is an alarm of both nodes, until it is ignored or passes',
  async (t) => {
    const pair = await makePair(t);
    pair.b.prepareDisk.writePlan = () => Promise.reject(new UpdateError('state.io', 'disk'));
    await start(pair, pair.a, PREPARE);
    await pair.until(() => stageOf(pair.a, 'B', 'plan')?.code === 'state.io');
    t.strictSame(alarmsOf(pair.a), []);
    await pair.clock.advance(901_000);
    await pair.until(() => alarmsOf(pair.a).length > 0 && alarmsOf(pair.b).length > 0);
    t.match(pair.a.backend.status(), {
      prepared: { state: 'stuck', nodes: { A: { stage: null }, B: { stage: 'plan' } } },
      alarms: [{ code: 'prepare.stuck', node: 'B', message: /^plan of .* failed 5 times.*disk/ }],
    });
    await say(pair, pair.b, { do: 'ignore', node: 'B', reason: 'its disk is replaced' });
    t.strictSame([...alarmsOf(pair.a), ...alarmsOf(pair.b)], []);
    await say(pair, pair.a, { do: 'heed', node: 'B' });
    t.strictSame(alarmsOf(pair.a), ['prepare.stuck']);
    delete (pair.b.prepareDisk as { writePlan?: unknown }).writePlan;
    await say(pair, pair.a, { do: 'retry' });
    await pair.until(() => isReady(pair.a) && isReady(pair.b));
    t.strictSame([...alarmsOf(pair.a), ...alarmsOf(pair.b)], []);
    t.match(pair.b.backend.status().prepared, { state: 'prepared' });
  },
);

t.test(
  'a bundle that is gone for good is told at once, and comes back with its file',
  async (t) => {
    const pair = await makePair(t);
    const id = await prepared(pair);
    const files = new Map(pair.a.files);
    pair.a.files.clear();
    pair.a.depot.files.delete(`memory:${BUNDLE}.bin`);
    await pair.until(
      () => refusalOf(pair.a) === 'prepare.outdated' && refusalOf(pair.b) === refusalOf(pair.a),
    );
    t.match(pair.b.backend.prepared().refusal?.message, /gone from the depot of node A and from/);
    t.match(pair.a.told().join('\n'), /replicate failed: the bundle is gone/);
    const update = { kind: 'update', source: { prepared: id } } as const;
    t.equal(await refusal(pair, pair.a, update), 'prepare.outdated');
    for (const [path, file] of files) pair.a.files.set(path, file);
    await pair.until(() => refusalOf(pair.b) === 'prepare.not_authorized');
  },
);

const laterOf = ({ prepareDisk }: Daemon): DaemonOptions => ({
  prepareDisk,
  state: { record: { releaseFloor: 3 } },
});
const viewOf = ({ backend }: Daemon): PrepareView => backend.prepared();

t.test('a release that is too old by now is outdated before anybody installs it', async (t) => {
  const pair = await makePair(t);
  await prepared(pair);
  await pair.close();
  const next = await makePair(t, { A: laterOf(pair.a), B: laterOf(pair.b) });
  await next.until(() =>
    [next.a, next.b].every((n) => viewOf(n).refusal?.code === 'prepare.outdated'),
  );
  t.equal(
    viewOf(next.b).refusal?.message,
    'it is release 2, the lowest one that may still be installed is 3',
  );
  t.match(next.b.backend.status().prepared, { state: 'outdated', text: /release 2, the lowest/ });
  const told = next.a.told().filter((line) => /2.0.0 is outdated: it is release 2/.test(line));
  t.equal(told.length, 1);
});
