/**
 * A scheduled update on a real pair: refused while a file stops it, people who put it off, a
 * failover of the node that would have begun it, and one run all the same. And an update at once
 * that waits for a hook when the node that was asked for it loses its power. Only with PAIR_ALL=1
 * (`npm run test:embedded`).
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { AppliancePair } from '../../scripts/appliance.ts';
import { ControlClient } from '../../src/control/client.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { ScheduleView } from '../../src/core/schedule-read.ts';
import { Bench, READY_MS, RELEASES } from './harness.ts';
import { expectEnd } from './judge.ts';

t.setTimeout(400_000);

const skip = process.env['PAIR_ALL'] === undefined && 'PAIR_ALL=1';

/** Gives both nodes a hook that says later as long as this file is there. */
async function layHooks({ nodes }: AppliancePair, busy: string): Promise<void> {
  for (const { dir, config } of NODES.map((node) => nodes[node])) {
    const folder = join(dir, 'hooks.d/pre-prepare.d');
    await mkdir(folder, { recursive: true });
    const script = `#!/bin/sh\n[ -e '${busy}' ] || exit 0\necho nightly backup\nexit 75\n`;
    await writeFile(join(folder, '10-backup'), script, { mode: 0o755 });
    const text = await readFile(config, 'utf8');
    const head = '"stateDir": "state",';
    if (!text.includes(head)) throw new Error('the configuration names no folder of states');
    await writeFile(config, text.replace(head, `${head}\n  "hooksDir": "hooks.d",`));
  }
}

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

t.test('a scheduled update', { skip }, async (t) => {
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
});

const waits = ({ state, hold }: ScheduleView): boolean =>
  state === 'claimed' && hold?.code === 'hook.later';

t.test('an update that waits for a hook goes on where the power is', { skip }, async (t) => {
  const busy = join(t.testdir({ busy: '' }), 'busy');
  const prepare = (pair: AppliancePair): Promise<void> => layHooks(pair, busy);
  const bench = await Bench.open(t, { fencePolicy: 'fence', prepare });
  const file = await bench.bundle(RELEASES.second);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  bench.startClient();

  const asked = bench.update('A', file, '--json');
  const { job, text } = await bench.during(asked, until(bench, 'B', waits));
  t.match(text, /^Update 2.0.0 waits \(.*nightly backup/);
  await bench.power('A', 'reset');
  await bench.running.waitAvailable(READY_MS, bench.signal);
  t.match(await until(bench, 'A', waits), { job });
  t.match((await bench.cli('A', 'status')).stdout, /nightly\s+backup/);
  t.strictSame(await bench.history('B'), [], 'nothing has begun');
  await rm(busy);
  await bench.watch.phase('INSTALL1', 0);
  t.match(await asked.done, { exit: 0 }, 'whoever asked has waited for all of it');
  await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  for (const node of NODES) {
    const rollouts = await bench.history(node);
    t.strictSame(
      rollouts.map((one) => one.id),
      [job],
    );
  }
});
