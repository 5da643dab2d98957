/**
 * The writes of one node's update, made by hand on a disk in memory with the real driver of the
 * boot state, and every power cut in them: none loses anything. Then the same with one mistake of a
 * writer at a time, each of which the checker must notice: a checker that finds nothing fails here.
 * Imports the disk of the tests and the checker.
 */
import t from 'tap';
import type { ProblemCode } from '../../scripts/cuts/judge.ts';
import { nodeRecord, updateOf } from '../core/states.ts';
import { DiskBench, sealOf } from './disk-bench.ts';

/** Mistakes that writers can make. */
type Mistake =
  | 'none'
  | 'no flush'
  | 'the boot state is not flushed'
  | 'seal before content is synced'
  | 'content under a seal'
  | 'armed before it was recorded'
  | 'armed before it was installed'
  | 'committed before it was recorded'
  | 'marked before it was committed'
  | 'mark in the old slot'
  | 'both copies in one write'
  | 'the copy that counts is written'
  | 'the boot loader tears its file';

const record = (state: Parameters<typeof updateOf>[0]) => {
  const update = updateOf(state);
  const trial = 'trial' in update ? update.trial : null;
  return nodeRecord('A', { update, lastTrialId: trial?.id ?? 0 });
};

/** One update of a node to release 2.0.0, with a mistake. */
async function update(mistake: Mistake): Promise<DiskBench> {
  const bench = new DiskBench();
  bench.flushes = mistake !== 'no flush';
  bench.stateFlushes = mistake !== 'the boot state is not flushed';
  const is = (one: Mistake): boolean => mistake === one;
  bench.record(record('idle'));
  bench.record(record('installing'));
  for (const cls of ['system', 'storage'] as const) {
    const seal = sealOf(cls, '2.0.0', null);
    if (!is('content under a seal')) bench.seal(cls, 'B', null);
    else bench.seal(cls, 'B', seal);
    if (is('seal before content is synced')) bench.flushes = false;
    if (is('armed before it was installed') && cls === 'system') continue;
    bench.install(cls, 'B', '2.0.0');
    bench.seal(cls, 'B', seal);
    bench.flushes = !is('no flush');
  }
  bench.record(record('installed'));
  await using chooser = bench.chooser();
  if (!is('armed before it was recorded')) bench.record(record('arming'));
  await chooser.arm({ id: 1, slot: 'B', tries: 2 });
  bench.record(record('rebooting'));
  if (is('the boot loader tears its file')) bench.write('tandem-boot', 512 * 101, junk(512));
  else bench.count(1, 1);
  bench.record(record('trial'));
  bench.record(record('healthy'));
  if (!is('committed before it was recorded')) bench.record(record('committing'));
  const seal = sealOf('system', '2.0.0', 1);
  if (is('marked before it was committed')) bench.seal('system', 'B', seal);
  await commit(bench, chooser, mistake);
  bench.seal('system', 'B', seal);
  if (is('mark in the old slot')) bench.seal('system', 'A', sealOf('system', '1.0.0', 1));
  bench.record(record('committed'));
  return bench;
}

const junk = (length: number): Buffer => Buffer.alloc(length, 0x5a);

async function commit(
  bench: DiskBench,
  chooser: Awaited<ReturnType<DiskBench['chooser']>>,
  mistake: Mistake,
): Promise<void> {
  if (mistake === 'both copies in one write') bench.write('tandem-state', 0, junk(8192));
  if (mistake === 'the copy that counts is written') {
    // The armed state lies in the first copy; a writer without a second one has nothing else.
    bench.write('tandem-state', 0, junk(512));
    bench.flush();
    await chooser.setOtherOk(true).catch(() => undefined);
    return;
  }
  await chooser.commit(1).catch(() => undefined);
}

t.test('no cut of a right update loses anything', async (t) => {
  const bench = await update('none');
  const { cuts, problems, boots } = await bench.everyCut();
  t.ok(cuts > 100, `${cuts} different disks`);
  t.strictSame([...problems], []);
  t.strictSame([...boots].toSorted(), [
    'A default 0 1.0.0',
    'B default 0 2.0.0',
    'B trial 1 2.0.0',
    'B trial 2 2.0.0',
  ]);
});

const CAUGHT: readonly (readonly [Mistake, readonly ProblemCode[]])[] = [
  ['no flush', ['seal-lies', 'journal-damaged', 'default-lost', 'half-written', 'marks-astray']],
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
    const { problems } = await (await update(mistake)).everyCut();
    for (const code of codes) t.ok(problems.has(code), `${code}: ${[...problems].join(' ')}`);
  });
}
