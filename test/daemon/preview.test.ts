/**
 * What a change would do, told before it is asked for: the same refusals as the change itself, and
 * nothing is changed. Two daemons in memory, virtual time.
 */
import t, { type Test } from 'tap';
import type { ActRequest, JobRequest } from '../../src/control/backend.ts';
import type { UpdateError } from '../../src/core/errors.ts';
import { CALLER, DaemonPair, GOOD } from './harness.ts';

const JOBS: readonly JobRequest[] = [
  { kind: 'stage', path: GOOD },
  { kind: 'prepare', source: { path: GOOD } },
  { kind: 'update', source: { path: GOOD } },
  { kind: 'update', source: { path: '/none.bin' } },
  { kind: 'rollback' },
  { kind: 'commit' },
  { kind: 'verify' },
  { kind: 'resync' },
  { kind: 'resolve', keep: 'A', reason: 'x' },
  { kind: 'restart' },
  { kind: 'shutdown' },
];
/** Those whose time follows from the size of the bundle, or from what was done before. */
const TIMED: ReadonlySet<string> = new Set(['stage', 'prepare', 'update']);
const ACTS: readonly ActRequest[] = [
  { act: 'switchover' },
  { act: 'takeover', peer: 'A', reason: 'x' },
  { act: 'takeover', peer: 'B', reason: 'x' },
  { act: 'stand-down', on: true },
  { act: 'stand-down', on: false },
  { act: 'pause' },
  { act: 'resume', job: 'none' },
];

async function open(t: Test): Promise<DaemonPair> {
  const pair = new DaemonPair();
  t.teardown(() => pair.close());
  await pair.open();
  return pair;
}

t.test('every job and act at rest: what it would do, and nothing is done', async (t) => {
  const pair = await open(t);
  const { backend, audit } = pair.a;
  const before = JSON.stringify(backend.status().nodes.A.slots);
  const told = pair.a.told().length;
  const found: string[] = [];
  for (const request of JOBS) {
    const view = await pair.clock.until(backend.previewJob(request, CALLER));
    t.equal(view.change, request.kind);
    t.equal(view.refusal === null, view.does !== null, 'one of the two');
    found.push(`${view.change}: ${view.refusal?.code ?? view.does}`);
    const known = view.refusal === null && TIMED.has(request.kind);
    t.equal(view.estimateS !== null, known, `${request.kind}: whether it says how long`);
  }
  for (const request of ACTS) {
    const view = await pair.clock.until(backend.previewAct(request));
    found.push(`${view.change}: ${view.refusal?.code ?? view.does} ${view.changes}`);
  }
  t.matchStrict(found, [
    /^stage: copies bundle [0-9a-f]{64} \(2\.0\.0\) to both nodes$/,
    /^prepare: prepares 2\.0\.0 \(bundle [0-9a-f]{12}\) on both nodes$/,
    'update: updates the pair to 2.0.0, node A first',
    'update: file.not_found',
    'rollback: rollback.unavailable',
    'commit: rollback.unavailable',
    'verify: compares both copies of the storage; writes to neither',
    "resync: makes the standby's copy of the storage equal to the active's",
    'resolve: store.not_split',
    /^restart: node/,
    /^shutdown: node/,
    'switchover: node B takes the service over; clients see a short gap true',
    'takeover: usage.invalid false',
    'takeover: takeover.connected false',
    'stand-down: standdown.active false',
    'stand-down: node A may take over again false',
    'pause: job.not_pausable false',
    'resume: job.unknown false',
  ]);
  t.equal(JSON.stringify(backend.status().nodes.A.slots), before);
  t.strictSame(backend.jobs(), []);
  t.strictSame(audit.lines, [], 'nothing was asked for');
  t.equal(pair.a.told().length, told);
});

t.test('a refusal is that of the change itself', async (t) => {
  const pair = await open(t);
  pair.wire.cut();
  await pair.clock.advance(5000);
  const looks = new Set(['verify', 'resync']);
  const leaves = new Set(['restart', 'shutdown', 'stage', 'prepare']);
  for (const request of JOBS.filter(({ kind }) => !leaves.has(kind))) {
    const { refusal } = await pair.clock.until(pair.a.backend.previewJob(request, CALLER));
    if (looks.has(request.kind)) {
      t.equal(refusal?.code, 'pair.peer_unreachable', request.kind);
      continue;
    }
    const job = pair.a.backend.start(request, CALLER).then(
      () => null,
      (error: unknown) => (error as UpdateError).code,
    );
    t.equal(refusal?.code ?? null, await pair.clock.until(job), request.kind);
    t.not(refusal, null, request.kind);
  }
});
