/**
 * What people are told: each step of the machine once, by the node that it is about, and progress
 * not too often. May import tap, core and the daemon's rooms.
 */
import t from 'tap';
import type { NodeUpdate, RolloutRecord } from '../../src/core/records.ts';
import type { NodeState } from '../../src/core/state.ts';
import { Narrator } from '../../src/daemon/narrator.ts';
import { EventLog } from '../../src/updater/events.ts';
import { nodeState, rolloutRecord, storeStatus, updateOf } from '../core/states.ts';
import type { StateChange } from '../core/states.ts';
import { memoryLines } from './harness.ts';

/** What is told of a way through these states. */
function tell(...states: readonly NodeState[]) {
  const events = new EventLog('A', () => 0, memoryLines());
  const narrator = new Narrator(events);
  states.reduce((before, after) => {
    narrator.onStep(before, after);
    return after;
  });
  return events.since(0);
}

const said = (...states: readonly NodeState[]): string[] =>
  tell(...states).map((one) => `${one.state} ${one.phase}: ${one.msg}`);

const a = (change: StateChange = {}): NodeState => nodeState('A', change);
const b = (record: RolloutRecord | null): NodeState => nodeState('B', { rollout: record });
const entry = (at: string, text: string) => ({ at, phase: 'DONE' as const, text });
const rollout = (change: Partial<RolloutRecord>): RolloutRecord => rolloutRecord(change);

t.test('phases are told by the driver alone, each once', async (t) => {
  const { nodes } = rolloutRecord();
  const log = [
    { at: '1', phase: 'STAGE' as const, text: 'checked' },
    { at: '2', phase: 'INSTALL1' as const, text: 'begins with node A' },
  ];
  const [stage, install] = [
    rollout({}),
    rollout({ phase: 'INSTALL1', nodes: { ...nodes, A: { ...nodes.A, log } } }),
  ];
  const steps = [a(), a({ rollout: stage }), a({ rollout: stage }), a({ rollout: install })];
  t.strictSame(said(...steps), [
    'phase STAGE: the bundle is brought to both nodes',
    'phase INSTALL1: begins with node A',
  ]);
  const again = rollout({ ...install, writer: { epoch: 1, seq: 9 } });
  t.strictSame(said(a({ rollout: install }), a({ rollout: again })), [], 'the same phase again');
  t.strictSame(said(b(null), b(stage), b(install)), [], 'its peer is silent');
});

t.test('the end of a rollout, and of its commit, with code and sentence', async (t) => {
  const result = { code: 'active.failed', message: 'system 2.0.0 is not healthy' } as const;
  const failed = a({ rollout: rollout({ phase: 'FAILED', result }) });
  const [event] = tell(a({ rollout: rollout({ phase: 'BACK1' }) }), failed);
  t.match(event, { state: 'ended', phase: 'FAILED', code: 'active.failed', job: 'update-1' });
  t.equal(event?.msg, result.message);
  const { nodes } = rolloutRecord();
  const done = {
    ...nodes,
    A: { ...nodes.A, log: [entry('5', 'the new version is permanent')] },
    B: { ...nodes.B, log: [entry('3', 'the pair has reformed')] },
  };
  const finalize = a({ rollout: rollout({ phase: 'FINALIZE' }) });
  const over = a({ rollout: rollout({ phase: 'DONE', finalized: true, nodes: done }) });
  t.strictSame(said(finalize, over), ['ended DONE: the new version is permanent'], 'newest entry');
});

t.test('the update of this node, state by state', async (t) => {
  const states = ['installing', 'installed', 'arming', 'rebooting', 'trial', 'healthy'] as const;
  const more = ['committing', 'committed', 'idle', 'reverting', 'reverted', 'failed'] as const;
  const way = [...states, ...more].map((state) => a({ record: { update: updateOf(state) } }));
  const events = tell(a(), ...way);
  t.strictSame(
    events.map((one) => one.state),
    [...states, ...more].filter((state) => state !== 'idle'),
  );
  t.match(events[0], { job: 'update-1', msg: 'node A: Installation started', code: null });
  t.match(events.at(-1), { code: 'health.check', msg: /Installation failed: it is bad/ });
  const back: NodeUpdate = { ...updateOf('installing'), mode: 'return' } as NodeUpdate;
  t.match(said(a(), a({ record: { update: back } })), [/checks that the other slots still hold/]);
});

t.test('service, link and admission', async (t) => {
  const quiet = a({ peer: null, world: { serving: null } });
  const standby = a({ world: { serving: null, admitted: true } });
  t.strictSame(said(quiet, standby, a(), quiet), [
    'link null: node A hears its peer',
    'admitted null: node A may take over',
    'service null: node A serves (epoch 1)',
    'service null: node A serves no more',
    'link null: node A lost its peer',
  ]);
  const running = rollout({ phase: 'HAND1' });
  const [event] = tell(a({ rollout: running, world: { serving: null } }), a({ rollout: running }));
  t.match(event, { job: 'update-1', phase: 'HAND1' }, 'within a rollout it belongs to it');
});

t.test('progress: at most twice a second, with percent and time left', async (t) => {
  const at = (ms: number, doneBytes: number): NodeState => {
    const progress = { doneBytes, totalBytes: 3000, etaS: 7 };
    const activity = { name: 'installing', progress, job: 'update-1' };
    return a({
      rollout: rollout({ phase: 'INSTALL1' }),
      world: { activity, clock: { ms, at: '' } },
    });
  };
  const events = tell(
    at(10_000, 0),
    at(10_100, 1),
    at(10_400, 400),
    at(10_700, 1000),
    at(11_300, 3000),
  );
  t.match(events, [
    { state: 'progress', pct: 0, eta_s: 7, job: 'update-1', phase: 'INSTALL1' },
    { pct: 33.3 },
    { pct: 100 },
  ]);
  t.equal(events.length, 3);
  const sync = { doneBytes: 1, totalBytes: 0 };
  const primary = a({ world: { store: storeStatus('primary', { sync }) } });
  t.match(tell(a(), primary), [{ msg: 'node A: syncing', pct: 100, job: null }]);
  const secondary = a({ world: { store: storeStatus('secondary', { sync }) } });
  t.strictSame(
    tell(a(), secondary),
    [],
    'a sync is told by the node that has what the other lacks',
  );
});
