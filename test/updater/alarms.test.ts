/**
 * Alarms: what needs a person, one test per kind, and nothing else. May import tap, core and the
 * module under test.
 */
import t from 'tap';
import type { RolloutRecord } from '../../src/core/records.ts';
import type { NodeState } from '../../src/core/state.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { pairStatus } from '../../src/updater/status.ts';
import {
  nodeState,
  release,
  rolloutRecord,
  storeStatus,
  type StateChange,
} from '../core/states.ts';

const AT = '2026-01-01T00:01:00.000Z';
const NOW_MS = 400_000;
const NEW = { system: release('system', 2) };
const SPLIT = { splitBrain: true };
const syncing = { doneBytes: 30, totalBytes: 40 };
const behind = storeStatus('primary', { peer: 'syncing', sync: syncing });
const rollout = (phase: RolloutRecord['phase']): RolloutRecord => rolloutRecord({ phase });

function statusOf(s: NodeState, ageMs = 0): PairStatus {
  const { peer } = s.world;
  const last = peer === null ? null : { report: peer, atMs: NOW_MS - ageMs };
  return pairStatus(s, last, NOW_MS, AT);
}

const alarms = (change: StateChange): string[] =>
  statusOf(nodeState('A', change)).alarms.map((one) => `${one.code} ${one.node} ${one.message}`);

t.test('alarms: what needs a person, and nothing else', async (t) => {
  t.strictSame(alarms({}), []);
  const code = 'service.failed' as const;
  const mine = { serve: { code, message: 'the address is taken' } };
  const theirs = { 'run-storage': { code: 'slot.unpack' as const, message: 'no' } };
  t.strictSame(alarms({ world: { troubles: mine }, peer: { troubles: theirs } }), [
    'service.failed A serve: the address is taken',
    'slot.unpack B run-storage: no',
  ]);
  const held = rollout('HOLD_MIXED');
  t.match(alarms({ rollout: held, peer: NEW }), [/^standby\.failed_held null .*tandem rollback/]);
  t.strictSame(alarms({ rollout: held }), [], 'gone as soon as both run the same');
});

t.test('a node that restarts for its update is missed only after five minutes', async (t) => {
  const s = nodeState('A', { rollout: rolloutRecord({ phase: 'TRIAL1', first: 'B' }) });
  const seen = (ageMs: number): string[] => statusOf(s, ageMs).alarms.map(({ code }) => code);
  t.strictSame(seen(299_999), []);
  t.strictSame(seen(300_000), ['pair.peer_unreachable']);
  const idle = { ...s, world: { ...s.world, serving: null } };
  t.strictSame(
    statusOf(idle, 4000).alarms.map(({ code }) => code),
    ['pair.peer_unreachable'],
    'at once when nobody serves',
  );
  const other = nodeState('A', { rollout: rolloutRecord({ phase: 'INSTALL2', first: 'A' }) });
  t.match(statusOf(other, 4000).alarms, [{ code: 'pair.peer_unreachable' }], 'it should be there');
});

t.test('what a link says of the peer stands in place of what is known without it', async (t) => {
  const refused = { code: 'pair.peer_unreachable' as const, message: 'connect ECONNREFUSED' };
  const other = { code: 'fence.failed' as const, message: 'no answer' };
  const troubles = [refused, other];
  const seen = (s: NodeState, ageMs: number): string[] => {
    const last = { report: s.world.peer!, atMs: NOW_MS - ageMs };
    const { alarms: found } = pairStatus(s, last, NOW_MS, AT, { troubles });
    return found.map(({ code, node, message }) => `${code} ${node} ${message}`);
  };
  const [link, fencer] = [
    'pair.peer_unreachable A connect ECONNREFUSED',
    'fence.failed A no answer',
  ];
  t.strictSame(seen(nodeState('A', {}), 14_000), [link, fencer]);
  const restarts = nodeState('A', { rollout: rolloutRecord({ phase: 'ACT1', first: 'B' }) });
  t.strictSame(seen(restarts, 14_000), [fencer], 'its turn to restart: nobody has to come');
  t.strictSame(seen(restarts, 300_000), [link, fencer], 'it should be back');
});

t.test('a sync that brings nothing for a minute, and a split brain', async (t) => {
  const s = nodeState('A', { world: { store: behind } });
  const last = { report: s.world.peer!, atMs: NOW_MS };
  const seen = (syncMovedMs: number | null): unknown[] => [
    ...pairStatus(s, last, NOW_MS, AT, { syncMovedMs }).alarms,
  ];
  t.strictSame([...seen(null), ...seen(NOW_MS - 59_999)], []);
  t.match(seen(NOW_MS - 60_000), [{ code: 'sync.stalled', message: /no progress for 60 s/ }]);
  const split = statusOf(nodeState('A', { peer: { store: storeStatus('secondary', SPLIT) } }));
  t.match(split, { ha: { ok: false, remedy: /tandem explain store\.split_brain|storage/ } });
  t.match(split.alarms, [{ code: 'store.split_brain' }]);
});

t.test('a held pair has a deadline, and is overdue after it', async (t) => {
  const s = nodeState('A', { rollout: rollout('HOLD_MIXED'), peer: NEW });
  const last = { report: s.world.peer!, atMs: NOW_MS };
  const seen = (holdH: number, hours: number): PairStatus => {
    const now = new Date(Date.UTC(2026, 0, 1, hours)).toISOString();
    return pairStatus(s, last, NOW_MS, now, { holdH });
  };
  const { rollout: held, alarms } = seen(24, 1);
  t.equal(held?.holdUntil, '2026-01-02T00:00:00.000Z');
  t.match(
    alarms[0]?.message,
    'node A runs 1.0.0, node B 2.0.0, decide before 2026-01-02 00:00 UTC',
  );
  t.match(seen(24, 25).alarms[0]?.message, 'OVERDUE since 2026-01-02 00:00 UTC: `tandem update');
  t.notMatch(seen(0, 9000).alarms[0]?.message, /before|OVERDUE/);
  t.equal(seen(24, 1).ha.ok, true, 'highly available all the same');
});
