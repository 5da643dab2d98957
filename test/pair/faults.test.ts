/**
 * A real pair that is struck while it is updated: power cuts, killed processes. Node B lives in
 * 1970 all the while. After each strike the update ends as documented, without help, the pair is
 * highly available, and no acknowledged write is lost. SEED= chooses where chance decides.
 */
import t from 'tap';
import type { AppliancePair } from '../../scripts/appliance.ts';
import { NODES } from '../../src/core/model.ts';
import { layClock } from './clock.ts';
import { chance, strike } from './faults.ts';
import { Bench, READY_MS, RELEASES } from './harness.ts';
import { expectEnd } from './judge.ts';

t.setTimeout(230_000);
const SEED = Number(process.env['SEED'] ?? 1);

/** The clock of node B has lost its battery. */
const loseClock = async ({ nodes }: AppliancePair): Promise<void> => layClock(nodes.B, -Date.now());

t.test('a pair that is struck while it is updated', async (t) => {
  const random = chance(SEED);
  const bench = await Bench.open(t, { prepare: loseClock });
  const { watch } = bench;
  const good = await bench.bundle(RELEASES.second);
  const notOnB = await bench.bundle(RELEASES.notOnB);
  await bench.running.waitAvailable(READY_MS, bench.signal);

  await t.test('installer killed, power cut on trial; the second node fails', async (t) => {
    t.match((await bench.running.status('B', bench.signal)).at, /^1970-01-01T/);
    bench.startClient();
    const update = bench.update('B', notOnB, '--json');
    const installs = watch.until('the installer', ({ status }) => {
      return status.nodes.A.activity?.name === 'installing';
    });
    await bench.during(update, installs);
    t.ok(await strike(bench, 'kill-installer', 'A'), 'it is started again');
    await bench.during(update, watch.phase('TRIAL1', 0));
    t.ok(await strike(bench, 'reset', 'A'), 'the second attempt is good');
    const held = await update.done;
    t.match(held, { exit: 32, json: [{ code: 'standby.failed_held', state: 'failed' }] });
    t.equal((await bench.running.power('A')).boots, 3, 'first boot and two attempts');
    const ends = { A: '2.0.0', B: '1.0.0', phase: 'HOLD_MIXED' };
    await expectEnd(t, bench, { ...ends, alarms: ['standby.failed_held'] });
  });

  await t.test('a good bundle brings only the node that lags; the driver is struck', async (t) => {
    bench.startClient();
    const from = watch.events.length;
    const before = await bench.running.power('A');
    const update = bench.update('B', good, '--json');
    await bench.during(update, watch.phase('TRIAL2', from));
    t.ok(await strike(bench, 'reset', 'A'));
    t.match(await update.done, { exit: 0, json: [{ state: 'done' }] });
    const phases = new Set(watch.events.slice(from).map((one) => one.phase));
    t.notOk(phases.has('INSTALL1'), 'node A is left alone');
    t.equal((await bench.running.power('A')).boots, before.boots + 1, 'only by the power cut');
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  });

  await t.test('on the way back a daemon is killed and both lose their power', async (t) => {
    bench.startClient();
    const asked = NODES[Math.floor(random() * 2)]!;
    const from = watch.events.length;
    const back = bench.start(asked, 'rollback', '--wait', '--yes', '--json', '--timeout', '200');
    await bench.during(back, watch.phase('INSTALL2', from));
    t.ok(await strike(bench, 'kill-daemon', NODES[Math.floor(random() * 2)]!));
    await bench.during(back, watch.phase('TRIAL2', from));
    t.ok(await strike(bench, 'reset-both', 'A'));
    t.match(await back.done, { exit: 0, json: [{ state: 'done' }] });
    await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: 'DONE' });
  });
});
