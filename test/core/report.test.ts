/**
 * The report of a node: positions, and messages of a peer that is newer, older or faulty, which may
 * be ignored but must never break the machine. May import tap, core and the updater's views.
 */
import t from 'tap';
import { effectsOf, settle, step } from '../../src/core/machine.ts';
import { RECORD_SCHEMA } from '../../src/core/records.ts';
import { positionOf, readPairMessage, samePosition } from '../../src/core/report.ts';
import type { NodeState } from '../../src/core/state.ts';
import { reportOf } from '../../src/updater/report.ts';
import { pairStatus, reformItems } from '../../src/updater/status.ts';
import { ARMED, nodeState, rolloutRecord, TRIAL, TRIAL_BOOT, updateOf } from './states.ts';

const CLOCK = { ms: 20_000, at: '2026-01-01T00:00:20.000Z' };

t.test('positions: two copies of a record are the same by id, epoch and sequence', async (t) => {
  const one = rolloutRecord();
  t.equal(positionOf(null), null);
  t.same(positionOf(one), { id: 'update-1', epoch: 1, seq: 1, phase: 'STAGE' });
  t.ok(samePosition(positionOf(one), positionOf({ ...one, phase: 'DONE' })), 'phase says nothing');
  const others = [
    { ...one, id: 'update-2' },
    { ...one, writer: { epoch: 2, seq: 1 } },
    { ...one, writer: { epoch: 1, seq: 2 } },
  ];
  for (const other of others) t.notOk(samePosition(positionOf(one), positionOf(other)));
  t.notOk(samePosition(null, positionOf(one)));
  t.ok(samePosition(null, null));
});

/** Every value inside, with a copy of the whole that has something else in its place. */
function* mutants(value: unknown, set: (value: unknown) => unknown): Generator {
  for (const other of [undefined, null, 'text', 7, true, {}, []]) yield set(other);
  if (typeof value !== 'object' || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    const put = (other: unknown): unknown => {
      const copy: Record<string, unknown> = { ...value };
      if (other === undefined) delete copy[key];
      else copy[key] = other;
      return set(Array.isArray(value) ? Object.values(copy) : copy);
    };
    yield* mutants(inner, put);
  }
}

const TRIED = updateOf('trial');

/** A pair in the middle of an update, as the node that drives and as the one that is driven. */
const states: readonly NodeState[] = (
  ['STAGE', 'TRIAL1', 'COMMIT1', 'BACK1', 'FINALIZE'] as const
).flatMap((phase) => {
  const rollout = rolloutRecord({ phase, first: 'B' });
  const peerRecord = { update: TRIED, standDown: { rollout: rollout.id, epoch: 1 } };
  const role = { epoch: 1, holder: 'A', peerMayTakeOver: false } as const;
  return [
    nodeState('A', { rollout, record: { role }, peerRecord }),
    nodeState('B', {
      rollout,
      record: { update: TRIED, slots: { ...nodeState('B').record.slots, trial: TRIAL } },
      world: { boot: TRIAL_BOOT, bootState: ARMED },
    }),
  ];
});

/** Everything that a node does with a message; throws what would end its daemon. */
function take(s: NodeState, value: unknown): boolean {
  const message = readPairMessage(value);
  if (message?.type !== 'report' && message?.type !== 'rollout') return false;
  let next = step(s, message, CLOCK);
  for (let count = 0; next !== undefined && count < 20; count++) {
    effectsOf(next);
    JSON.stringify(reportOf(next, 1));
    reformItems(next);
    const { peer } = next.world;
    pairStatus(next, peer === null ? null : { report: peer, atMs: CLOCK.ms }, CLOCK.ms, CLOCK.at);
    next = settle(next);
  }
  return true;
}

t.test('a report with anything missing or of another kind is ignored or harmless', async (t) => {
  let [seen, taken] = [0, 0];
  const broken = new Set<string>();
  for (const s of states) {
    const { peer } = s.world;
    const message = { type: 'report', report: { ...peer, seq: 5 } };
    t.ok(take(s, message), 'the whole one is taken');
    for (const mutant of mutants(message, (value) => value)) {
      seen++;
      try {
        if (take(s, mutant)) taken++;
      } catch (error) {
        broken.add(String(error));
      }
    }
  }
  t.strictSame([...broken], []);
  t.comment(`${seen} reports, ${taken} of them were taken`);
  t.ok(taken > 0 && taken < seen);
});

t.test('the same for a rollout record', async (t) => {
  let [seen, taken] = [0, 0];
  const broken = new Set<string>();
  for (const s of states) {
    const record = { ...s.rollout, writer: { epoch: 1, seq: 9 } };
    const message = { type: 'rollout', record };
    t.ok(take(s, message), 'the whole one is taken');
    for (const mutant of mutants(message, (value) => value)) {
      seen++;
      try {
        if (take(s, mutant)) taken++;
      } catch (error) {
        broken.add(String(error));
      }
    }
  }
  t.strictSame([...broken], []);
  t.comment(`${seen} records, ${taken} of them were taken`);
  t.ok(taken > 0 && taken < seen);
});

t.test('a rollout record of a newer schema is not taken over', async (t) => {
  const record = rolloutRecord({ writer: { epoch: 1, seq: 9 } });
  t.not(readPairMessage({ type: 'rollout', record }), null);
  const newer = { ...record, schema: RECORD_SCHEMA + 1 };
  t.equal(readPairMessage({ type: 'rollout', record: newer }), null);
});
