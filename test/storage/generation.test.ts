/**
 * Generation ids: every history of two copies is recognised for what it is. Imports tap, fast-check
 * and the pure rules.
 */
import * as fc from 'fast-check';
import t from 'tap';
import {
  compareGenerations,
  HISTORY_MAX,
  newGeneration,
  synced,
  writtenAlone,
  type Relation,
} from '../../images/storage/generation.ts';
import type { Generation } from '../../src/core/records.ts';

const G = (current: string, base: string | null = null, ...history: string[]): Generation => ({
  current,
  base,
  history,
});
const MIRROR: Readonly<Record<Relation, Relation>> = {
  same: 'same',
  ahead: 'behind',
  'ahead-full': 'behind-full',
  behind: 'ahead',
  'behind-full': 'ahead-full',
  split: 'split',
};
const CASES: readonly (readonly [string, Generation, Generation, Relation])[] = [
  ['two new copies', newGeneration(), newGeneration(), 'same'],
  ['level', G('2', null, '1'), G('2', null, '1'), 'same'],
  ['one wrote alone', G('2', '1'), G('1'), 'ahead'],
  ['one wrote alone twice since', G('3', '1'), G('1'), 'ahead'],
  ['a replaced disk', G('2', null, '1'), newGeneration(), 'ahead-full'],
  [
    'the first one wrote alone before they met',
    G('1', '0000000000000000'),
    newGeneration(),
    'ahead',
  ],
  ['a copy from long ago', G('4', null, '3', '2', '1'), G('2', null, '1'), 'ahead-full'],
  ['a sync whose end the other missed', G('2', null, '1'), G('1'), 'ahead-full'],
  ['both wrote alone', G('2', '1'), G('3', '1'), 'split'],
  [
    'both wrote alone from the start',
    G('2', '0000000000000000'),
    G('3', '0000000000000000'),
    'split',
  ],
  ['one went on, the other wrote alone long ago', G('4', null, '2', '1'), G('3', '1'), 'split'],
  ['one ended a sync, the other wrote alone instead', G('2', null, '1'), G('3', '1'), 'split'],
  ['nothing in common', G('2', null, '1'), G('9', null, '8'), 'split'],
];

for (const [name, mine, theirs, relation] of CASES) {
  t.test(name, (t) => {
    t.equal(compareGenerations(mine, theirs), relation);
    t.equal(compareGenerations(theirs, mine), MIRROR[relation]);
    t.end();
  });
}

t.test('the history is bounded, and a base is kept until the sync has ended', (t) => {
  let generation = newGeneration();
  for (let n = 1; n <= 20; n += 1) generation = synced(writtenAlone(generation, `${n}`));
  t.equal(generation.history.length, HISTORY_MAX);
  t.same(generation.history[0], '19');
  t.equal(writtenAlone(writtenAlone(G('1'), '2'), '3').base, '1');
  t.same(synced(G('1')), G('1'));
  t.end();
});

t.test('two copies that both wrote alone since they were level always split', (t) => {
  const steps = fc.array(fc.constantFrom('a', 'b', 'both'), { maxLength: 12 });
  fc.assert(
    fc.property(steps, (story) => {
      let [a, b, id] = [G('0'), G('0'), 0];
      const written = { a: false, b: false };
      for (const step of story) {
        if (step === 'both') {
          // They meet: a sync, unless both wrote.
          if (written.a && written.b) break;
          const source = written.a ? a : b;
          a = b = synced(source);
          written.a = written.b = false;
        } else {
          id += 1;
          if (step === 'a') a = writtenAlone(a, String(id));
          else b = writtenAlone(b, String(id));
          written[step] = true;
        }
      }
      const split = compareGenerations(a, b) === 'split';
      t.equal(split, written.a && written.b);
    }),
    { numRuns: 200 },
  );
  t.end();
});
