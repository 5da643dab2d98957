/**
 * Every power cut in the writes of one node's update, on a disk in memory: none loses anything.
 * Then the same with one mistake of a writer at a time, each of which the checker must notice: a
 * checker that finds nothing fails here. Imports the disk of the tests and the checker.
 */
import t from 'tap';
import { judge, type ProblemCode } from '../../scripts/cuts/judge.ts';
import { update, type Mistake } from './update-story.ts';

t.test('no cut of a right update loses anything', async (t) => {
  const { bench } = await update('none');
  const { cuts, problems, boots } = await bench.everyCut();
  t.ok(cuts > 100, `${cuts} different disks`);
  t.strictSame([...problems], []);
  t.strictSame(
    [...boots].toSorted(),
    [
      'A default 0 1.0.0',
      'B default 0 2.0.0',
      'B trial 1 2.0.0',
      'B trial 2 2.0.0',
      'A attempts-used 0 1.0.0',
    ].toSorted(),
  );
});

const CAUGHT: readonly (readonly [Mistake, readonly ProblemCode[]])[] = [
  ['no flush', ['seal-lies', 'journal-damaged', 'half-written', 'marks-astray']],
  ['the boot state is not flushed', ['trial-lost', 'mark-early']],
  ['seal before content is synced', ['seal-lies']],
  ['content under a seal', ['seal-lies']],
  ['armed before it was recorded', ['trial-unrecorded']],
  ['armed before it was installed', ['half-written', 'not-sealed', 'installed-lost']],
  ['committed before it was recorded', ['verdict-unrecorded']],
  ['marked before it was committed', ['mark-early']],
  ['mark in the old slot', ['mark-early']],
  ['both copies in one write', ['state-lost']],
  ['the copy that counts is written', ['state-back']],
  ['the boot loader tears its file', ['counter-lost']],
];

for (const [mistake, codes] of CAUGHT) {
  t.test(mistake, async (t) => {
    const { problems } = await (await update(mistake)).bench.everyCut(codes);
    for (const code of codes) t.ok(problems.has(code), `${code}: ${[...problems].join(' ')}`);
  });
}

t.test('a checker that finds nothing would not pass', async (t) => {
  const { bench } = await update('no flush');
  const [, codes = []] = CAUGHT[0] ?? [];
  const { problems } = await bench.everyCut(codes, async (...facts) => {
    return { ...(await judge(...facts)), problems: [] };
  });
  t.equal(problems.size, 0);
  t.notOk(codes.every((code) => problems.has(code)));
});
