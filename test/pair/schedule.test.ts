/**
 * A scheduled update on a real pair: refused while a file stops it, people who put it off, a
 * failover of the node that would have begun it, and one run all the same. Only with PAIR_ALL=1
 * (`npm run test:embedded`).
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { ControlClient } from '../../src/control/client.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { ScheduleView } from '../../src/core/schedule-read.ts';
import { Bench, READY_MS, RELEASES } from './harness.ts';
import { expectEnd } from './judge.ts';

t.setTimeout(400_000);

/** The schedule as soon as a node shows it so. */
async function until(
  bench: Bench,
  node: NodeId,
  what: (view: ScheduleView) => boolean,
): Promise<ScheduleView> {
  const client = new ControlClient(bench.pair.nodes[node].controlSocket);
  for (;;) {
    bench.signal.throwIfAborted();
    const found = await client.automation(bench.signal).catch(() => null);
    const view = found?.schedules[0];
    if (view !== undefined && what(view)) return view;
    await sleep(100, undefined, { signal: bench.signal });
  }
}

t.test(
  'a scheduled update',
  { skip: process.env['PAIR_ALL'] === undefined && 'PAIR_ALL=1' },
  async (t) => {
    const bench = await Bench.open(t, { fencePolicy: 'fence' });
    const file = await bench.bundle(RELEASES.second);
    await bench.running.waitAvailable(READY_MS, bench.signal);
    bench.startClient();

    const inhibit = join(bench.pair.nodes.B.stateDir, 'inhibit.d');
    await mkdir(inhibit);
    await writeFile(join(inhibit, 'backup'), 'nightly backup\n');
    t.match(await bench.update('A', file).done, { exit: 20, stderr: /nightly backup/ });

    const options = ['--at', 'now', '--inform', '0', '--json'];
    const asked = bench.update('B', file, ...options);
    const held = await until(bench, 'A', ({ hold }) => hold !== null);
    t.match(held, { hold: { code: 'update.inhibited', message: /nightly backup/ } });
    await rm(join(inhibit, 'backup'));
    const { id, job } = await until(bench, 'B', ({ state }) => state === 'informing');
    await rm(file);
    t.match(await bench.cli('B', 'schedule', 'defer', id, '--for', '1h'), { exit: 0 });
    t.equal((await asked.done).exit, 21, 'whoever waited is told');

    await bench.power('A', 'reset');
    await bench.running.waitAvailable(READY_MS, bench.signal);
    t.match(await until(bench, 'A', () => true), { state: 'waiting', deferrals: 1 });
    t.match(await bench.cli('A', 'schedule', 'now', id), { exit: 0 });
    await until(bench, 'B', ({ state, hold }) => state === 'claimed' && hold === null);
    // From the rollout's record on, either node knows the job.
    await bench.watch.phase('INSTALL1', 0);
    const wait = ['job', 'wait', job, '--json', '--timeout', '200'];
    t.match(await bench.cli('B', ...wait), { exit: 0 });
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
    for (const node of ['A', 'B'] as const) {
      t.match(await until(bench, node, ({ state }) => state === 'ended'), {
        last: { word: 'successful', run: 1 },
      });
      const rollouts = await bench.history(node);
      t.strictSame(
        rollouts.map((one) => one.id),
        [job],
        'one rollout',
      );
    }
  },
);
