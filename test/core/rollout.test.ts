/**
 * The driver of a rollout as a table: phase and what is seen of the nodes -> next phase and why.
 * Node A drives; in phases of the first node that goes down, node B is first. May import tap, core.
 */
import t from 'tap';
import type { NodeUpdate, Phase, RolloutRecord } from '../../src/core/records.ts';
import { advance } from '../../src/core/rollout.ts';
import {
  ARMED,
  BUNDLE,
  JOB,
  nodeState,
  release,
  rolloutRecord,
  sealOf,
  storeStatus,
  TRIAL_BOOT,
  updateOf,
  type StateChange,
} from './states.ts';

type Update = NodeUpdate['state'];

const { nodes } = rolloutRecord();
const ATTEMPTS = { A: { ...nodes.A, attempts: 1 }, B: { ...nodes.B, attempts: 1 } };
const ABORT = { by: 'anna', at: '', reason: '' };
const DOWN = { epoch: 1, holder: 'A', peerMayTakeOver: false } as const;
const PROMISE = { standDown: { rollout: 'update-1', epoch: 1 } };

/** The next phase with the code of its result, or `-` while the phase waits. */
function next(
  phase: Phase,
  change: StateChange & { readonly plan?: Partial<RolloutRecord> },
): string {
  const { plan, ...rest } = change;
  const rollout = rolloutRecord({ phase, nodes: ATTEMPTS, ...plan });
  const s = nodeState('A', { ...rest, rollout });
  const after = advance(s);
  if (after === undefined) return '-';
  const code = after.result === null ? '' : ` ${after.result.code}`;
  const jobs = after.nodes.A.attempts + after.nodes.B.attempts - 2;
  return `${after.phase}${code}${jobs === 0 ? '' : ` job ${jobs}`}`;
}

const here = (state: Update): StateChange => ({ record: { update: updateOf(state) } });
const there = (state: Update, change: StateChange = {}): StateChange => ({
  ...change,
  peerRecord: { update: updateOf(state), ...change.peerRecord },
});
const ONE_DOWN: StateChange = { record: { role: DOWN }, peerRecord: PROMISE };
const down = (state: Update): StateChange => there(state, { record: { role: DOWN } });
const reason = { code: 'space.depot', message: 'no room' } as const;
const depot = { depot: [BUNDLE] };

type Row = readonly [name: string, phase: Phase, change: Parameters<typeof next>[1], want: string];
const firstB = { first: 'B' } as const;
const cancelled = { ...firstB, abort: ABORT };
const both = { world: depot, peer: depot };

const staging: readonly Row[] = [
  ['checked', 'VALIDATE', {}, 'STAGE'],
  ['checked', 'PRECHECK', {}, 'STAGE'],
  ['both nodes have the bundle', 'STAGE', both, 'INSTALL1 job 1'],
  ['the peer lacks it', 'STAGE', { world: depot }, '-'],
  ['this node lacks it', 'STAGE', { peer: depot }, '-'],
  [
    'the peer has no room',
    'STAGE',
    { peer: { troubles: { fetch: reason } } },
    'CANCELLED space.depot',
  ],
  [
    'this node has no room',
    'STAGE',
    { world: { troubles: { fetch: reason } } },
    'CANCELLED space.depot',
  ],
  [
    'trouble of the link is waited out',
    'STAGE',
    { peer: { troubles: { fetch: { code: 'pair.peer_unreachable', message: '' } } } },
    '-',
  ],
  ['nobody has it, for long', 'STAGE', { world: { phaseSinceMs: 0 } }, 'CANCELLED file.not_found'],
  ['nobody has it yet', 'STAGE', {}, '-'],
  ['cancelled', 'STAGE', { plan: { abort: ABORT } }, 'CANCELLED job.cancelled'],
  ['a rollback stages nothing', 'STAGE', { plan: { kind: 'rollback' } }, 'INSTALL1 job 1'],
  [
    'the first node needs nothing',
    'STAGE',
    { ...both, plan: { nodes: { ...ATTEMPTS, A: { ...ATTEMPTS.A, skip: true } } } },
    'HAND1',
  ],
];

const firstNode: readonly Row[] = [
  ['installing', 'INSTALL1', here('installing'), '-'],
  ['installed', 'INSTALL1', here('installed'), 'DRAIN1'],
  ['failed', 'INSTALL1', here('failed'), 'CANCELLED health.check'],
  [
    'cancelled',
    'INSTALL1',
    { ...here('installing'), plan: { abort: ABORT } },
    'CANCELLED job.cancelled',
  ],
  ['the node that stays serves', 'DRAIN1', { plan: firstB }, 'DOWN1'],
  ['this node still serves', 'DRAIN1', {}, '-'],
  ['cancelled', 'DRAIN1', { plan: { abort: ABORT } }, 'CANCELLED job.cancelled'],
  ['promised, and counted on', 'DOWN1', { ...ONE_DOWN, plan: firstB }, 'ACT1'],
  ['not promised', 'DOWN1', { record: { role: DOWN }, plan: firstB }, '-'],
  ['not counted on yet', 'DOWN1', { peerRecord: PROMISE, plan: firstB }, '-'],
  ['cancelled', 'DOWN1', { ...ONE_DOWN, plan: cancelled }, 'BACK1 job.cancelled'],
  ['on its way', 'ACT1', { ...down('rebooting'), plan: firstB }, '-'],
  ['up in its new slot', 'ACT1', { ...down('trial'), plan: firstB }, 'TRIAL1'],
  ['did not come up', 'ACT1', { ...down('reverted'), plan: firstB }, 'BACK1 health.check'],
  [
    'cancelled before it was armed',
    'ACT1',
    { ...down('installed'), plan: cancelled },
    'BACK1 job.cancelled',
  ],
  ['cancelled, armed already', 'ACT1', { ...down('arming'), plan: cancelled }, '-'],
  ['away', 'TRIAL1', { record: { role: DOWN }, peer: null, plan: firstB }, '-'],
  ['being checked', 'TRIAL1', { ...down('trial'), plan: firstB }, '-'],
  ['healthy', 'TRIAL1', { ...down('healthy'), plan: firstB }, 'SYNC1'],
  ['reverting', 'TRIAL1', { ...down('reverting'), plan: firstB }, 'BACK1 health.check'],
  ['cancelled', 'TRIAL1', { ...down('trial'), plan: cancelled }, 'BACK1 job.cancelled'],
  [
    'its records are lost',
    'TRIAL1',
    { ...down('installed'), plan: firstB },
    'BACK1 health.unexpected_reboot',
  ],
  [
    'all its records are lost',
    'SYNC1',
    { ...down('idle'), plan: firstB },
    'BACK1 health.unexpected_reboot',
  ],
  ['in sync', 'SYNC1', { ...down('healthy'), plan: firstB }, 'COMMIT1'],
  ['checked again after a restart', 'SYNC1', { ...down('trial'), plan: firstB }, '-'],
  [
    'not in sync',
    'SYNC1',
    {
      ...down('healthy'),
      world: { store: storeStatus('primary', { peer: 'syncing' }) },
      plan: firstB,
    },
    '-',
  ],
  ['reverted', 'SYNC1', { ...down('reverted'), plan: firstB }, 'BACK1 health.check'],
  ['cancelled', 'SYNC1', { ...down('healthy'), plan: cancelled }, 'BACK1 job.cancelled'],
  ['asked', 'COMMIT1', { ...down('committing'), plan: firstB }, '-'],
  ['committed', 'COMMIT1', { ...down('committed'), plan: firstB }, 'ADMIT1'],
  ['reverted by itself', 'COMMIT1', { ...down('reverted'), plan: firstB }, 'BACK1 health.check'],
  [
    'records lost',
    'COMMIT1',
    { ...down('installed'), plan: firstB },
    'BACK1 health.unexpected_reboot',
  ],
  ['admitted', 'ADMIT1', { plan: firstB }, 'HAND1'],
  ['not admitted', 'ADMIT1', { peer: { admitted: false }, plan: firstB }, '-'],
  ['not yet counted on', 'ADMIT1', { record: { role: DOWN }, plan: firstB }, '-'],
];

const soak = { bootId: 'A1', run: 'run-A' };
const served = { clock: { ms: 20_000, at: '' } };
const troubles = { 'watch-service': reason };
const second: readonly Row[] = [
  ['the first node does not serve yet', 'HAND1', { plan: firstB }, '-'],
  ['the soak begins', 'HAND1', {}, 'HAND1'],
  ['soaking', 'HAND1', { plan: { soak } }, '-'],
  ['soaked', 'HAND1', { plan: { soak }, world: served }, 'INSTALL2 job 1'],
  [
    'the second node needs nothing',
    'HAND1',
    { plan: { soak, nodes: { ...ATTEMPTS, B: { ...ATTEMPTS.B, skip: true } } }, world: served },
    'REFORM',
  ],
  [
    'the first node needed nothing',
    'HAND1',
    { plan: { nodes: { ...ATTEMPTS, A: { ...ATTEMPTS.A, skip: true } } } },
    'INSTALL2 job 1',
  ],
  [
    'restarted',
    'HAND1',
    { plan: { soak: { ...soak, bootId: 'A0' } } },
    'RB_HAND health.unexpected_reboot',
  ],
  [
    'its daemon restarted',
    'HAND1',
    { plan: { soak: { ...soak, run: 'x' } } },
    'RB_HAND health.unexpected_reboot',
  ],
  ['the service is bad', 'HAND1', { plan: { soak }, world: { troubles } }, 'RB_HAND health.check'],
  ['cancelled', 'HAND1', { plan: { soak, abort: ABORT } }, 'RB_HAND job.cancelled'],
  ['installed', 'INSTALL2', there('installed'), 'DOWN2'],
  [
    'the service turns bad',
    'INSTALL2',
    there('installed', { world: { troubles } }),
    'RB_HAND health.check',
  ],
  ['the other node drives', 'INSTALL2', { ...there('installed'), plan: firstB }, '-'],
  ['failed', 'INSTALL2', there('failed'), 'BACK2 health.check'],
  [
    'cancelled',
    'INSTALL2',
    { ...there('installing'), plan: { abort: ABORT } },
    'BACK2 job.cancelled',
  ],
  ['promised', 'DOWN2', ONE_DOWN, 'ACT2'],
  ['up', 'ACT2', down('trial'), 'TRIAL2'],
  ['healthy', 'TRIAL2', down('healthy'), 'SYNC2'],
  ['in sync', 'SYNC2', down('healthy'), 'COMMIT2'],
  ['committed', 'COMMIT2', down('committed'), 'ADMIT2'],
  ['bad', 'TRIAL2', down('reverting'), 'BACK2 health.check'],
  ['admitted', 'ADMIT2', {}, 'REFORM'],
  ['formed', 'REFORM', {}, 'DONE'],
  ['not admitted', 'REFORM', { peer: { admitted: false } }, '-'],
  ['another epoch', 'REFORM', { peerRecord: { role: { ...DOWN, epoch: 0 } } }, '-'],
];

const storage = { 'health.storage': { code: 'health.storage', message: 'bad storage' } } as const;
const result = { code: 'health.check', message: 'bad' } as const;
const kept = { slot: 'A', release: release('storage', 2) } as const;
const retry = (retries: number, onSecondFailure: 'hold' | 'rollback') => ({
  result,
  policy: { ...rolloutRecord().policy, retries, onSecondFailure },
});
const held = { onTrial: { boot: TRIAL_BOOT } };
const back: readonly Row[] = [
  ['still reverting', 'BACK1', { ...there('reverting'), plan: firstB }, '-'],
  [
    'reverted, still in the new slot',
    'BACK1',
    { ...there('reverted'), peer: held.onTrial, plan: firstB },
    '-',
  ],
  ['back', 'BACK1', { ...there('reverted'), plan: { ...firstB, result } }, 'FAILED active.failed'],
  [
    'storage',
    'BACK1',
    { ...there('reverted'), plan: { ...firstB, result: storage['health.storage'] } },
    'FAILED storage.failed',
  ],
  [
    'cancelled',
    'BACK1',
    { ...there('reverted'), plan: { ...firstB, result: { code: 'job.cancelled', message: '' } } },
    'FAILED job.cancelled',
  ],
  [
    'a rollback that failed',
    'BACK1',
    { ...there('reverted'), plan: { ...firstB, result, kind: 'rollback' } },
    'FAILED revert.failed',
  ],
  [
    'not admitted',
    'BACK1',
    { ...there('reverted'), peer: { admitted: false }, plan: { ...firstB, result } },
    '-',
  ],
  [
    'again',
    'BACK2',
    { ...there('reverted'), plan: retry(1, 'hold') },
    'INSTALL2 health.check job 1',
  ],
  [
    'held',
    'BACK2',
    { ...there('reverted'), plan: retry(0, 'hold') },
    'HOLD_MIXED standby.failed_held',
  ],
  [
    'rolled back',
    'BACK2',
    { ...there('reverted'), plan: retry(0, 'rollback') },
    'RB_HAND standby.failed_rolled_back',
  ],
  [
    'cancelled',
    'BACK2',
    { ...there('reverted'), plan: { ...retry(1, 'hold'), abort: ABORT } },
    'RB_HAND health.check',
  ],
  [
    'a rollback that failed',
    'BACK2',
    { ...there('reverted'), plan: { ...retry(1, 'rollback'), kind: 'rollback' } },
    'HOLD_MIXED revert.failed',
  ],
  ['the node that stays serves', 'RB_HAND', { plan: firstB }, 'RB_DOWN'],
  ['promised', 'RB_DOWN', { ...ONE_DOWN, plan: firstB }, 'RB_ACT job 1'],
  ['up', 'RB_ACT', { ...down('trial'), plan: firstB }, 'RB_TRIAL'],
  ['cancelled: too late', 'RB_TRIAL', { ...down('trial'), plan: cancelled }, '-'],
  ['healthy', 'RB_TRIAL', { ...down('healthy'), plan: firstB }, 'RB_SYNC'],
  ['in sync', 'RB_SYNC', { ...down('healthy'), plan: firstB }, 'RB_COMMIT'],
  ['committed', 'RB_COMMIT', { ...down('committed'), plan: firstB }, 'RB_ADMIT'],
  [
    'returned',
    'RB_ADMIT',
    { ...there('committed'), plan: { ...firstB, result } },
    'ROLLED_BACK active.failed',
  ],
  [
    'could not return',
    'RB_ADMIT',
    { ...there('reverted'), plan: { ...firstB, result } },
    'HOLD_MIXED revert.failed',
  ],
];

for (const row of [...staging, ...firstNode, ...second, ...back]) {
  const [name, phase, change, want] = row;
  t.test(`${phase}, ${name}: ${want}`, async (t) => {
    t.equal(next(phase, change), want);
    const silent = { ...change, world: { ...change.world, serving: null } };
    t.equal(next(phase, silent), '-', 'only the node that serves drives');
  });
}

t.test('kept storage software is told of', async (t) => {
  const change = there('reverted', { peer: { storage: kept.release } });
  const rollout = rolloutRecord({ ...firstB, phase: 'BACK1', nodes: ATTEMPTS, result });
  const after = advance(nodeState('A', { ...change, rollout }));
  t.match(after?.result?.message, /; the new storage software 2\.0\.0 is kept/);
  t.equal(sealOf('storage', 2).release.version, kept.release.version);
});

t.test('nothing is written that the peer could not know of (rule R7)', async (t) => {
  const rollout = rolloutRecord({ phase: 'INSTALL1', nodes: ATTEMPTS });
  const behind = { id: 'update-1', epoch: 1, seq: 0, phase: 'STAGE' } as const;
  const s = { ...here('installed'), rollout, peer: { rollout: behind } };
  t.equal(advance(nodeState('A', s)), undefined, 'not acknowledged');
  const alone = { ...s, record: { ...s.record, role: DOWN } };
  t.equal(advance(nodeState('A', alone))?.phase, 'DRAIN1', 'the peer cannot take over');
});

t.test('FINALIZE waits for both nodes', async (t) => {
  const rollout = rolloutRecord({ phase: 'FINALIZE' });
  const done = { releaseFloor: 2, canRollBack: false };
  const open = { releaseFloor: 0, canRollBack: true };
  const after = (a: typeof done, b: typeof done) =>
    advance(nodeState('A', { rollout, record: a, peerRecord: b }));
  t.equal(after(done, open), undefined);
  t.equal(after(open, done), undefined);
  t.match(after(done, done), { phase: 'DONE', finalized: true });
});

t.test('a record grows, its log is bounded, and its time is that of the phase', async (t) => {
  const log = Array.from({ length: 60 }, () => ({ at: '', phase: 'STAGE' as const, text: 'x' }));
  const long = { ...ATTEMPTS, A: { ...ATTEMPTS.A, log } };
  const rollout = rolloutRecord({ phase: 'INSTALL1', nodes: long });
  const after = advance(nodeState('A', { ...here('installed'), rollout }));
  t.match(after?.writer, { epoch: 1, seq: 2 });
  t.equal(after?.nodes.A.log.length, 60);
  t.match(after?.nodes.A.log.at(-1), { phase: 'DRAIN1', text: /has the images/ });
  t.equal(after?.phaseAt, '2026-01-01T00:00:10.000Z');
  const message = 'é'.repeat(20_000);
  const failed = { ...JOB, state: 'failed', reason: { code: 'hook.veto', message } } as const;
  const huge = advance(nodeState('A', { record: { update: failed }, rollout }));
  t.equal(huge?.phase, 'CANCELLED');
  t.ok(Buffer.byteLength(JSON.stringify(huge)) < 60 * 1024, 'it fits into a journal record');
  t.equal(ARMED.trial, 'B');
});
