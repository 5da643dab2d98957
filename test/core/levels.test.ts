/**
 * What two programs of a pair agree on: protocols, feature levels, schemas. Imports core.
 */
import t from 'tap';
import { agreedProtocol, raisedLevel, schemaAt, sharedLevel } from '../../src/core/levels.ts';
import { finalized } from '../../src/core/node.ts';
import { FEATURE_LEVEL, PROTOCOL, RECORD_SCHEMA } from '../../src/core/records.ts';
import { nodeRecord, nodeState, rolloutRecord } from './states.ts';

t.test('the lower maximum is spoken, or nothing', async (t) => {
  const rows: readonly (readonly [number, number, number, number, number | null])[] = [
    [1, 1, 1, 1, 1],
    [1, 2, 1, 1, 1],
    [1, 2, 1, 3, 2],
    [2, 3, 1, 2, 2],
    [2, 3, 1, 1, null],
    [3, 3, 1, 2, null],
    [1, 9, 4, 5, 5],
  ];
  for (const [a, b, c, d, agreed] of rows) {
    t.equal(agreedProtocol([a, b], [c, d]), agreed, `${a}-${b} with ${c}-${d}`);
    t.equal(agreedProtocol([c, d], [a, b]), agreed, 'both ends find the same');
  }
});

t.test('a level is what both programs reach, and never falls', async (t) => {
  t.equal(raisedLevel(1, 3, 2), 2, 'as far as this program reaches');
  t.equal(raisedLevel(1, 2, 3), 2, 'as far as the peer reaches');
  t.equal(raisedLevel(1, null, 3), 1, 'a peer that does not say is older than levels');
  t.equal(raisedLevel(2, 1, 3), 2, 'a level never falls');
});

t.test('what both read is written at the lower level of the two', async (t) => {
  const own = nodeRecord('A', { featureLevel: 3 });
  t.equal(sharedLevel(own, nodeRecord('B', { featureLevel: 2 })), 2);
  t.equal(sharedLevel(own, null), 3);
  t.equal(schemaAt(2, 3), 2);
  t.equal(schemaAt(1, 3), 1, 'a new program writes the old schema');
  t.equal(schemaAt(5, 3), 3);
  t.equal(FEATURE_LEVEL, RECORD_SCHEMA, 'one number, so that old programs find out by the schema');
  t.equal(PROTOCOL[1], RECORD_SCHEMA, 'and so that a manifest tells what its program reads');
});

t.test('FINALIZE raises the level with the floor, as far as the peer reaches', async (t) => {
  const rollout = rolloutRecord({ phase: 'FINALIZE' });
  const open = { canRollBack: true, featureLevel: 0 };
  const after = (features: number | undefined) => {
    const peer = features === undefined ? {} : { features };
    const s = nodeState('A', { rollout, record: open, peer });
    // The makers of states give the peer this program's own reach.
    const report = { ...s.world.peer! };
    if (features === undefined) delete report.features;
    return finalized({ ...s, world: { ...s.world, peer: report } }, rollout);
  };
  t.match(after(9), { featureLevel: FEATURE_LEVEL, schema: RECORD_SCHEMA, canRollBack: false });
  t.match(after(undefined), { featureLevel: 0, canRollBack: false, releaseFloor: 2 });
});
