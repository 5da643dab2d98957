/**
 * The writes of one node's update to another release, made by hand with the real driver of the boot
 * state, and the mistakes that writers can make in it. Only tests import it. Imports the disk of
 * the tests and the records of core's tests.
 */
import { nodeRecord, updateOf } from '../core/states.ts';
import { DiskBench, sealOf } from './disk-bench.ts';

/** Mistakes that writers can make. */
export type Mistake =
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

/** An update, and with which entries its second and third boot begin. */
export interface Story {
  readonly bench: DiskBench;
  readonly bootsAt: readonly number[];
}

/** One update of a node to release 2.0.0, with a mistake. */
export async function update(mistake: Mistake): Promise<Story> {
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
  const second = bench.entries.length;
  if (is('the boot loader tears its file')) bench.write('tandem-boot', 512 * 101, junk(512));
  else bench.count(1, 1);
  bench.record(record('trial'));
  const third = bench.entries.length;
  if (is('none')) bench.count(1, 2);
  bench.record(record('healthy'));
  if (!is('committed before it was recorded')) bench.record(record('committing'));
  const seal = sealOf('system', '2.0.0', 1);
  if (is('marked before it was committed')) bench.seal('system', 'B', seal);
  await commit(bench, chooser, mistake);
  bench.seal('system', 'B', seal);
  if (is('mark in the old slot')) bench.seal('system', 'A', sealOf('system', '1.0.0', 1));
  bench.record(record('committed'));
  return { bench, bootsAt: [second, third] };
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
