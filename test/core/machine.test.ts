/**
 * The machine as a whole: which events mean something when, which record wins, and everything that
 * has to be done. What an event of the node's own update means is in node.test.ts. May import tap
 * and core.
 */
import t from 'tap';
import { effectsOf, settle, step } from '../../src/core/machine.ts';
import type { NodeId } from '../../src/core/model.ts';
import { END_PHASES, PHASES, type RolloutRecord } from '../../src/core/records.ts';
import { effectKey, type Event, type NodeState } from '../../src/core/state.ts';
import { MEET_PEER_MS } from '../../src/core/role.ts';
import { STORE_UNKNOWN } from '../../src/core/store.ts';
import {
  ARMED,
  BUNDLE,
  JOB,
  nodeState,
  rolloutRecord,
  SEALS,
  TRIAL_BOOT,
  updateOf,
  type StateChange,
} from './states.ts';

const CLOCK = { ms: 50_000, at: '2026-01-01T00:00:50.000Z' };
const on = (s: NodeState, event: Event): NodeState | undefined => step(s, event, CLOCK);
const report = (change: object = {}, node: NodeId = 'B'): Event => {
  const { peer } = nodeState(node === 'B' ? 'A' : 'B').world;
  return { type: 'report', report: { ...peer, seq: 2, ...change } } as Event;
};

t.test('storage software that ends is gone, and ends a trial', async (t) => {
  const ended = { type: 'storage-ended', reason: 'was killed' } as const;
  const calm = nodeState('A');
  const next = on(calm, ended);
  t.equal(next?.world.storage, null);
  t.equal(next?.record, calm.record);
  const trial = nodeState('A', {
    world: { boot: TRIAL_BOOT, bootState: ARMED },
    record: { update: updateOf('healthy') },
  });
  const failed = on(trial, ended);
  t.match(failed, { world: { storage: null }, record: { update: { state: 'reverting' } } });
});

t.test('what is observed changes the world and nothing durable', async (t) => {
  const s = nodeState('A');
  const activity = { name: 'installing', progress: null, job: null };
  const events: readonly Event[] = [
    { type: 'tick' },
    { type: 'link', up: false },
    report(),
    { type: 'store', status: STORE_UNKNOWN },
    { type: 'storage', running: null },
    { type: 'serving', epoch: null },
    { type: 'boot-state', state: ARMED },
    { type: 'seals', seals: SEALS },
    { type: 'depot', depot: [BUNDLE], freeBytes: 7 },
    { type: 'bulk', port: 7 },
    { type: 'staging', staging: { bundle: BUNDLE, bytes: 1 } },
    { type: 'activity', activity },
    { type: 'trouble', effect: 'serve', reason: { code: 'service.failed', message: 'no' } },
  ];
  for (const event of events) {
    const next = on(s, event);
    t.equal(next?.record, s.record, event.type);
    t.equal(next?.rollout, s.rollout);
    t.equal(next?.world.clock, CLOCK, 'the time comes with every event');
  }
  const bad = {
    type: 'trouble',
    effect: 'serve',
    reason: { code: 'service.failed', message: '' },
  } as const;
  const other = { ...bad, effect: 'fetch' } as const;
  const both = on(on(s, bad) ?? s, other);
  t.strictSame(Object.keys(both?.world.troubles ?? {}), ['serve', 'fetch']);
  const gone = on(both ?? s, { ...bad, reason: null });
  t.strictSame(Object.keys(gone?.world.troubles ?? {}), ['fetch']);
});

t.test('reports: the newest of a run counts; strangers are not heard (R10)', async (t) => {
  const s = nodeState('A');
  const seq = (event: Event): number | undefined => on(s, event)?.world.peer?.seq;
  t.equal(seq(report({ seq: 2 })), 2);
  t.equal(seq(report({ seq: 1 })), 1, 'the same number again changes nothing');
  t.equal(seq(report({ seq: 0 })), 1, 'an older one is dropped');
  t.equal(seq(report({ seq: 0, run: 'another' })), 0, 'a new run begins anew');
  t.match(on(s, report())?.world, { peerHeardMs: 50_000, driverHeardMs: 50_000, linkUp: true });
  const strangers = [{ pair: 'pair-2' }, { node: 'A' }, { protocol: [2, 3] }, { protocol: [0, 0] }];
  for (const stranger of strangers) t.equal(on(s, report(stranger)), undefined);
  t.equal(seq(report({ protocol: [0, 9] })), 2, 'a wider range is fine');
  const lost = on(s, { type: 'link', up: false });
  t.match(lost?.world, { linkUp: false, peer: null });
  t.equal(lost === undefined ? null : on(lost, { type: 'link', up: true })?.world.peer, null);
});

const at = (epoch: number, seq: number): RolloutRecord => rolloutRecord({ writer: { epoch, seq } });

t.test('of two rollout records the one of the higher (epoch, sequence) wins (R7)', async (t) => {
  const s = nodeState('B', { rollout: at(2, 5) });
  const rows: readonly [RolloutRecord, boolean][] = [
    [at(2, 6), true],
    [at(3, 1), true],
    [at(2, 5), false],
    [at(2, 4), false],
    [at(1, 9), false],
    [{ ...at(3, 1), id: 'update-2' }, true],
    [{ ...at(3, 1), schema: 99 }, false],
  ];
  for (const [record, taken] of rows) {
    const after = on(s, { type: 'rollout', record }) ?? s;
    t.equal(after.rollout, taken ? record : s.rollout, JSON.stringify(record.writer));
  }
  t.not(on(nodeState('B'), { type: 'rollout', record: at(1, 1) }), undefined, 'the first one');
  const same = on(s, { type: 'rollout', record: at(2, 6) });
  t.equal(same?.world.phaseSinceMs, s.world.phaseSinceMs, 'the phase goes on');
  const moved = on(s, { type: 'rollout', record: { ...at(2, 6), phase: 'INSTALL1' } });
  t.equal(moved?.world.phaseSinceMs, CLOCK.ms, 'a new phase begins now');
});

t.test('start, cancel, finalize: the driver alone, and only when it can be', async (t) => {
  const record = rolloutRecord({ writer: { epoch: 0, seq: 0 } });
  const start = { type: 'start', record } as const;
  t.match(on(nodeState('A'), start)?.rollout?.writer, { epoch: 1, seq: 1 });
  const ended = nodeState('A', { rollout: { ...at(1, 8), phase: 'DONE' } });
  t.match(on(ended, start)?.rollout?.writer, { epoch: 1, seq: 9 }, 'numbers go on');
  const running = nodeState('A', { rollout: at(1, 8) });
  const idle: readonly NodeState[] = [
    running,
    nodeState('B'),
    nodeState('A', { world: { serving: null } }),
  ];
  for (const s of idle) t.equal(on(s, start), undefined);
  const cancel = { type: 'cancel', by: 'anna', reason: 'why' } as const;
  const aborted = on(running, cancel)?.rollout;
  t.match(aborted, { abort: { by: 'anna', reason: 'why', at: CLOCK.at }, writer: { seq: 9 } });
  t.equal(on(nodeState('A'), cancel), undefined, 'nothing runs');
  t.equal(on(nodeState('B', { rollout: at(1, 8) }), cancel), undefined, 'not the driver');
  for (const phase of PHASES.filter((one) => END_PHASES.has(one))) {
    const s = nodeState('A', { rollout: rolloutRecord({ phase }) });
    t.equal(on(s, cancel), undefined, phase);
    const open = phase === 'DONE';
    t.equal(on(s, { type: 'finalize' })?.rollout?.phase, open ? 'FINALIZE' : undefined, phase);
  }
  const done = (change: Partial<RolloutRecord>, rest: StateChange = {}) =>
    on(nodeState('A', { rollout: rolloutRecord({ phase: 'DONE', ...change }), ...rest }), {
      type: 'finalize',
    });
  t.equal(done({ finalized: true }), undefined);
  t.equal(done({ kind: 'rollback' }), undefined);
  t.equal(done({}, { world: { serving: null } }), undefined);
});

const effects = (node: NodeId, change: StateChange): string =>
  effectsOf(nodeState(node, change))
    .map((effect) => effect.do)
    .join();

t.test('what is being written when its rollout ends is given up', async (t) => {
  const result = { code: 'job.cancelled', message: 'cancelled by anna' } as const;
  const update = updateOf('installing');
  const at = (change: Partial<RolloutRecord>): NodeState =>
    nodeState('A', { record: { update }, rollout: rolloutRecord({ result, ...change }) });
  const ended = settle(at({ phase: 'CANCELLED' }));
  t.match(ended?.record.update, { state: 'failed', reason: result });
  t.strictSame(effectsOf(ended ?? nodeState('A')), []);
  const other = settle(at({ phase: 'CANCELLED', id: 'update-2' }));
  t.equal(other?.record.update.state ?? 'installing', 'installing', 'not of that rollout');
  t.equal(settle(at({ phase: 'INSTALL1' }))?.record.update.state ?? 'installing', 'installing');
});

t.test('a holder that has just started waits for its peer (R1)', async (t) => {
  const s = nodeState('A', { peer: null, world: { met: false } });
  const at = (ms: number): boolean | undefined =>
    step(s, { type: 'tick' }, { ms: s.world.peerHeardMs + ms, at: '' })?.world.met;
  t.equal(at(MEET_PEER_MS - 1), false);
  t.equal(at(MEET_PEER_MS), true);
  t.equal(on(s, report())?.world.met, true, 'or until it is heard');
});

t.test('everything that has to be done now', async (t) => {
  const stage = rolloutRecord();
  const depot = { depot: [BUNDLE] };
  const finalize = rolloutRecord({ phase: 'FINALIZE' });
  const open = { bootState: { ...ARMED, trial: null, tries: 0, otherOk: true } };
  const soak = { bootId: 'A1', run: 'run-A' };
  const hand = rolloutRecord({ phase: 'HAND1', soak });
  const later = (phase: 'INSTALL2' | 'DOWN2') => rolloutRecord({ phase, soak });
  const staging = { bundle: BUNDLE, bytes: 5 };
  const rows: readonly [string, NodeId, StateChange, string][] = [
    ['a healthy pair', 'A', {}, ''],
    ['storage does not run', 'A', { world: { storage: null } }, 'run-storage,release'],
    [
      'the other storage runs',
      'B',
      { world: { storage: { slot: 'B', release: JOB.targets[1]!.release } } },
      'run-storage',
    ],
    [
      'a reverted trial keeps its storage software until the restart',
      'B',
      {
        record: { update: updateOf('reverted') },
        world: {
          boot: TRIAL_BOOT,
          bootState: { ...ARMED, trial: null, tries: 0 },
          storage: { slot: 'B', release: JOB.targets[1]!.release },
        },
      },
      'reboot',
    ],
    ['this node has the bundle', 'A', { rollout: stage, world: depot }, 'offer'],
    ['both have it', 'A', { rollout: stage, world: depot, peer: depot }, ''],
    ['the peer offers it', 'B', { rollout: stage, peer: { ...depot, bulkPort: 7 } }, 'fetch'],
    ['the peer does not offer it yet', 'B', { rollout: stage, peer: depot }, ''],
    ['not connected', 'B', { rollout: stage, peer: null }, ''],
    [
      'a rollback stages nothing',
      'A',
      { rollout: { ...stage, kind: 'rollback' }, world: depot },
      '',
    ],
    ['staging alone', 'A', { world: { ...depot, staging } }, 'offer'],
    ['the peer stages', 'B', { peer: { ...depot, staging, bulkPort: 7 } }, 'fetch'],
    ['finalize', 'A', { rollout: finalize, world: open }, 'close-other-slot'],
    [
      'finalize on the standby',
      'B',
      { rollout: finalize, world: open, peer: { serving: true } },
      'close-other-slot',
    ],
    ['finalize, closed', 'A', { rollout: finalize }, ''],
    ['the soak', 'A', { rollout: hand }, 'watch-service'],
    ['the second node is installed', 'A', { rollout: later('INSTALL2') }, 'watch-service'],
    ['the second node goes down', 'A', { rollout: later('DOWN2') }, ''],
    ['the soak has not begun', 'A', { rollout: { ...hand, soak: null } }, ''],
    ['the soak on the other node', 'B', { rollout: hand }, ''],
  ];
  for (const [name, node, change, want] of rows) t.equal(effects(node, change), want, name);
});

t.test('an effect is known by all its facts', async (t) => {
  t.equal(effectKey({ do: 'serve', epoch: 1 }), effectKey({ do: 'serve', epoch: 1 }));
  t.not(effectKey({ do: 'serve', epoch: 1 }), effectKey({ do: 'serve', epoch: 2 }));
});

t.test('a healthy pair is at rest', async (t) => {
  t.equal(settle(nodeState('A')), undefined);
  const admits = { serving: true, admits: { bootId: 'B1', epoch: 1 } };
  t.equal(settle(nodeState('B', { peer: admits })), undefined);
});

t.test('FINALIZE raises the floor on a driven node, once both hold the record', async (t) => {
  const rollout = rolloutRecord({ phase: 'FINALIZE' });
  const admits = { serving: true, admits: { bootId: 'B1', epoch: 1 } };
  const settled = settle(nodeState('B', { rollout, peer: admits, record: { canRollBack: true } }));
  t.match(settled?.record, { canRollBack: false, releaseFloor: 2 });
  const behind = { ...admits, rollout: null };
  t.equal(settle(nodeState('B', { rollout, peer: behind })), undefined, 'not acknowledged');
  const idle = { ...admits, serving: false };
  t.equal(settle(nodeState('B', { rollout, peer: idle })), undefined, 'the driver does not serve');
});
