/**
 * What a node makes of the proof that its peer was switched off: which loss of the link it is
 * about, and what becomes durable of it. May import tap and core.
 */
import t from 'tap';
import { effectsOf, settle, step } from '../../src/core/machine.ts';
import type { NodeUpdate } from '../../src/core/records.ts';
import type { NodeReport } from '../../src/core/report.ts';
import type { Event } from '../../src/core/state.ts';
import {
  ARMED,
  nodeState,
  rolloutRecord,
  storeStatus,
  TRIAL_BOOT,
  updateOf,
  type StateChange,
} from './states.ts';

const NOW = { ms: 9000, at: '2026-01-01T00:00:00.000Z' };
const LOST = {
  linkUp: false,
  linkLostMs: 5000,
  takeover: 'fence',
  peerKnows: { run: 'run-B', turn: 0 },
} as const;

const proof = (more: { readonly since?: number }): Event => {
  return { type: 'peer-off', word: 'fence', ...more };
};

t.test(
  'an operator keeps the copy of this node: it becomes the holder, and serves later',
  async (t) => {
    const split = storeStatus('secondary', { splitBrain: true });
    const kept = (node: 'A' | 'B', change: StateChange = {}) => {
      const world = { store: split, ...change.world };
      return step(nodeState(node, { ...change, world }), { type: 'keep-copy' }, NOW);
    };
    const next = kept('B', { record: { standDown: { rollout: 'x', epoch: 1 } } });
    const role = { epoch: 2, holder: 'B', peerMayTakeOver: false };
    t.match(next?.record, { role, standDown: null });
    t.equal(next !== undefined && effectsOf(next).some(({ do: what }) => what === 'serve'), false);
    t.equal(kept('A'), undefined, 'it is the holder already');
    t.equal(kept('B', { world: { store: storeStatus('secondary') } }), undefined, 'no split');
    t.equal(kept('B', { peer: null }), undefined, 'nobody there who could give way');
    t.equal(kept('B', { record: { knownStale: true } }), undefined, 'a copy that lags');
    const trial = { world: { boot: TRIAL_BOOT, bootState: ARMED } };
    t.equal(kept('B', trial), undefined, 'a trial');
  },
);

t.test('a proof counts for the loss of the link that the fence was asked for', async (t) => {
  const s = nodeState('B', { peer: null, world: { ...LOST, clock: NOW } });
  t.match(
    effectsOf(s).filter((effect) => effect.do === 'fence'),
    [{ do: 'fence', epoch: 1, since: 5000 }],
  );
  const role = { epoch: 2, holder: 'B', peerMayTakeOver: false };
  t.match(step(s, proof({ since: 5000 }), NOW)?.record, { role });
  t.match(step(s, proof({}), NOW)?.record, { role }, 'asked for by who does not say when');
  t.equal(step(s, proof({ since: 1000 }), NOW), undefined, 'the peer was there in between');
  const operator: Event = { type: 'peer-off', word: 'operator' };
  t.match(step(s, operator, NOW)?.record, { role });
});

t.test(
  'an operator promotes a standby that stood down, but none that goes into a trial',
  async (t) => {
    const operator: Event = { type: 'peer-off', word: 'operator' };
    const standDown = { rollout: 'update-1', epoch: 1 };
    const told = (state: NodeUpdate['state']) =>
      step(
        nodeState('B', { peer: null, record: { standDown, update: updateOf(state) } }),
        operator,
        NOW,
      )?.record;
    for (const state of ['idle', 'installing', 'installed', 'failed', 'committed'] as const) {
      t.match(told(state), { role: { epoch: 2, holder: 'B' }, standDown: null }, state);
    }
    for (const state of ['arming', 'rebooting', 'committing', 'reverting'] as const) {
      t.equal(told(state), undefined, state);
    }
  },
);

t.test('who got the service while it was to restart hands it back first (R5)', async (t) => {
  const role = { epoch: 2, holder: 'B', peerMayTakeOver: false } as const;
  const writer = { epoch: 1, seq: 7 };
  const rollout = rolloutRecord({ phase: 'ACT2', first: 'A', writer });
  const attempts = { ...rollout.nodes.B, attempts: 1 };
  const holder = (change: StateChange = {}) =>
    nodeState('B', {
      peer: null,
      rollout: { ...rollout, nodes: { A: rollout.nodes.A, B: attempts } },
      record: { role, update: updateOf('installed') },
      world: { serving: 2, store: storeStatus('primary') },
      ...change,
    });
  const next = settle(holder());
  t.equal(next?.record.update.state, 'installed', 'it does not arm');
  t.match(next?.rollout, { phase: 'DOWN2', writer: { epoch: 2, seq: 8 } });
  const abort = { by: 'anna', at: '', reason: '' };
  const cancelled = holder({
    rollout: { ...rollout, abort, nodes: { ...rollout.nodes, B: attempts } },
  });
  t.equal(settle(cancelled)?.rollout?.phase, 'BACK2', 'a cancel goes on from there');
});

/** After these events, and a long loss of the link: does the standby fence? */
function fencesAfter(...events: readonly Event[]): boolean {
  let s = nodeState('B');
  for (const event of [...events, { type: 'link', up: false } as const]) {
    s = step(s, event, NOW) ?? s;
  }
  return effectsOf({
    ...s,
    world: { ...s.world, clock: { ...NOW, ms: NOW.ms + 60_000 } },
  }).some((effect) => effect.do === 'fence');
}

const policy = (takeover: 'manual' | 'fence'): Event => ({ type: 'takeover-policy', takeover });

t.test(
  'a policy that was left and taken up again is not the one that the peer knows',
  async (t) => {
    const { peer } = nodeState('B').world;
    const report = (seq: number, more: Partial<NodeReport>): Event => {
      if (peer === null) throw new Error('no peer');
      const { knows: _, ...old } = peer;
      const plain = { ...old, takeover: 'fence', knowsTakeover: 'fence', ...more } as const;
      return { type: 'report', report: { ...plain, seq } };
    };
    const knows = (turn: number, run = 'run-B') => report(10 + turn, { knows: { run, turn } });
    t.ok(fencesAfter(policy('fence'), knows(1)));
    t.notOk(fencesAfter(policy('fence'), knows(0)), 'it heard the word before');
    t.notOk(fencesAfter(policy('fence'), knows(1, 'run-C')), 'it heard the word of an earlier run');
    t.notOk(
      fencesAfter(policy('fence'), knows(1), policy('manual'), policy('fence')),
      'it was left',
    );
    t.ok(fencesAfter(policy('fence'), knows(1), policy('manual'), policy('fence'), knows(3)));
    t.notOk(fencesAfter(policy('fence'), report(20, { knows: null })));
    t.ok(fencesAfter(policy('fence'), report(20, {})), '0.1.0 does not say which word');
  },
);

t.test('a node is not counted on while a trial is armed or being armed on it', async (t) => {
  const role = { epoch: 1, holder: 'A', peerMayTakeOver: false } as const;
  const standDown = { rollout: 'update-1', epoch: 1 };
  for (const state of ['arming', 'rebooting', 'reverting', 'installed', 'reverted'] as const) {
    const resting = state === 'installed' || state === 'reverted';
    const update = updateOf(state);
    const holder = nodeState('A', { record: { role }, peerRecord: { role, update } });
    t.equal(settle(holder)?.record.role.peerMayTakeOver ?? false, resting, `holder: ${state}`);
    const standby = nodeState('B', { record: { standDown, update }, peer: { serving: true } });
    t.equal(settle(standby)?.record.standDown === null, resting, `standby: ${state}`);
    const lost = nodeState('B', { peer: null, record: { update }, world: { ...LOST, clock: NOW } });
    const fences = effectsOf(lost).some((effect) => effect.do === 'fence');
    t.equal(fences, resting, `takeover: ${state}`);
  }
});
