/**
 * One bundle updates a real pair: the good way, with the command line as a person or a script uses
 * it: asked on the standby, interrupted, attached again on the node that reboots; then the same
 * bundle again, the way back (with PAIR_ALL=1), and the way that is closed after a commit.
 */
import t from 'tap';
import type { NodeId } from '../../src/core/model.ts';
import { jsonLines, Bench, READY_MS, RELEASES, type Finished } from './harness.ts';
import { expectEnd, expectFromSlot } from './judge.ts';

t.setTimeout(220_000);

/** Sequence numbers of the events of a job that a command has shown. */
const seqs = (shown: Finished): number[] =>
  shown.json.flatMap((line) => ('exit' in line ? [] : [Number(line['seq'])]));

t.test('a pair from its first update to its commit', async (t) => {
  const bench = await Bench.open(t);
  const { watch } = bench;
  const file = await bench.bundle(RELEASES.second);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  const wait = async (node: NodeId, verb: string): Promise<Finished> =>
    bench.cli(node, verb, '--wait', '--yes', '--json', '--timeout', '150');

  await t.test('updates while it is watched, interrupted and attached again', async (t) => {
    bench.startClient();
    const asked = bench.update('B', file, '--follow', '--json');
    await watch.phase('INSTALL1', 0);
    asked.signal('SIGINT');
    const detached = await asked.done;
    t.equal(detached.exit, 40, 'Ctrl-C detaches');
    t.match(detached.json.at(-1), { state: 'detached', code: 'wait.detached', exit: 40 });
    t.match(detached.stderr, /attach again: tandem job wait update-\w+ --follow --since-seq \d+/);
    const job = String(detached.json.at(-1)?.['job']);
    const since = String(detached.json.at(-1)?.['seq']);
    const words = ['job', 'wait', job, '--follow', '--json', '--timeout', '150'];
    const again = await bench.cli('A', ...words, '--since-seq', since);
    t.equal(again.exit, 0, 'attached on the node that reboots');
    t.match(again.stderr, /waiting for it, the job goes on\n(.*\n)*The daemon answers again/);
    t.match(again.json.at(-1), { state: 'done', exit: 0, job });
    const shown = seqs(again);
    t.strictSame(
      shown,
      [...new Set(shown)].toSorted((a, b) => a - b),
      'each event once, in order',
    );
    t.ok(Math.min(...shown) > Number(since));
    const phases = watch.events.filter((one) => one.job === job && one.state === 'phase');
    const missed = phases.filter((one) => {
      const line = jsonLines(`${detached.stdout}\n${again.stdout}`);
      return !line.some((known) => known['phase'] === one.phase && known['state'] === 'phase');
    });
    t.strictSame(missed, [], 'the two commands have shown every phase');
    const trial = again.json.filter((line) => line['state'] === 'trial');
    const told = trial.map((line) => String(line['node'])).toSorted();
    t.strictSame(told, ['A', 'B'], 'what a node said before its link was up came, too');
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  });

  await t.test('was available in mixed versions, and answered all the time', async (t) => {
    t.ok(watch.mixedAvailable >= 3, `${String(watch.mixedAvailable)} looks`);
    for (const [node, answers] of Object.entries(watch.answersInstalling)) {
      t.ok(answers >= 3, `node ${node} gave ${String(answers)} answers while it installed`);
    }
    await expectFromSlot(t, bench, 'A', RELEASES.second);
    await expectFromSlot(t, bench, 'B', RELEASES.second);
  });

  await t.test('the same bundle again is refused', async (t) => {
    const validated = await bench.cli('B', 'validate', file, '--json');
    t.match(validated, { exit: 11, json: [{ code: 'version.same_or_newer', ok: false }] });
    const again = await bench.update('A', file, '--json').done;
    t.match(again, { exit: 11, json: [{ error: { code: 'version.same_or_newer' }, exit: 11 }] });
  });

  const again = { skip: process.env['PAIR_ALL'] === undefined ? 'only with PAIR_ALL=1' : false };
  await t.test('returns to the old version and updates once more', again, async (t) => {
    bench.startClient();
    const back = await wait('B', 'rollback');
    t.match(back, { exit: 0, json: [{ kind: 'rollback', state: 'done' }] });
    await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: 'DONE' });
    await expectFromSlot(t, bench, 'B', RELEASES.first);
    bench.startClient();
    t.equal((await bench.update('A', file).done).exit, 0);
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  });

  await t.test('after a commit there is no way back', async (t) => {
    bench.startClient();
    t.match(await wait('B', 'commit'), { exit: 0, json: [{ kind: 'commit', state: 'done' }] });
    const late = await wait('A', 'rollback');
    t.match(late, { exit: 12, json: [{ error: { code: 'rollback.unavailable' } }] });
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  });
});
