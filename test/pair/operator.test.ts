/**
 * A real pair under an operator: a dry run, a switchover there and back, a verify and a resync of
 * the storage, a stand-down and its end, a takeover after the power of the active was cut. Each act
 * is in the audit log; a client that writes all the time loses nothing that was acknowledged.
 */
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { ControlClient } from '../../src/control/client.ts';
import type { NodeId } from '../../src/core/model.ts';
import { Bench, READY_MS, RELEASES } from './harness.ts';

t.setTimeout(220_000);

t.test('an operator and a real pair', async (t) => {
  const bench = await Bench.open(t);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  bench.startClient();

  await t.test('a dry run finds every check good and changes nothing', async (t) => {
    const file = await bench.bundle(RELEASES.second);
    const report = await bench.cli('B', 'update', file, '--dry-run', '--json');
    t.match(report, { exit: 0, json: [{ ok: true, estimate: { basis: 'sizes' } }] });
    const { checks } = report.json[0] as { checks: { name: string; result: string }[] };
    t.strictSame(
      checks.filter((check) => check.result !== 'ok'),
      [],
    );
    t.strictSame(await bench.history('A'), []);
  });

  await t.test('switchover, asked for on either node', async (t) => {
    const why = ['--reason', 'fan', '--json'];
    t.match(await bench.cli('A', 'switchover', ...why), { exit: 0, json: [{ serving: 'B' }] });
    await bench.running.waitAvailable(READY_MS, bench.signal);
    t.match(await bench.cli('A', 'switchover', ...why), { exit: 0, json: [{ serving: 'A' }] });
    await bench.running.waitAvailable(READY_MS, bench.signal);
    const { json } = await bench.cli('A', 'history', '--audit', '--json');
    const entry = { act: 'switchover', result: 'done', reason: 'fan', node: 'A' };
    t.match(json, [{ entries: [entry, entry] }]);
  });

  await t.test('who is logged in on the console socket does what the role allows', async (t) => {
    const { controlSocket } = bench.pair.nodes.A;
    const root = new ControlClient(controlSocket, { caller: 'root' });
    const console = new ControlClient(join(dirname(controlSocket), 'console.sock'));
    await t.rejects(console.status(), { code: 'access.no_users' });
    const [user, password] = ['anna', 'correct horse battery'];
    await root.access.changeUser({ do: 'add', name: user, role: 'operator', password });
    t.match(await console.access.login({ user, password }), { role: 'operator', node: 'A' });
    await t.rejects(console.start({ kind: 'commit' }), { code: 'access.role' });
    const { to } = await console.act({ act: 'switchover', reason: 'login' });
    t.equal(to, 'B');
    // The act is accepted at once; the pair stays available until it hands over.
    const served = async (node: NodeId): Promise<void> => {
      const { signal } = bench;
      while (!(await console.status()).nodes[node].serving) await pause(100, undefined, { signal });
    };
    await served('B');
    await bench.running.waitAvailable(READY_MS, bench.signal);
    t.match(await console.status(), { operator: { user }, nodes: { B: { serving: true } } });
    await console.act({ act: 'switchover', reason: 'back' });
    await served('A');
    await bench.running.waitAvailable(READY_MS, bench.signal);
    const noted = (await root.audit(4)).map(({ act, by, via }) => `${act} ${by} ${via}`);
    t.strictSame(noted.slice(0, 2), ['switchover anna console', 'switchover anna console']);
    await console.access.logout();
  });

  await t.test('both copies of the storage are compared while clients write', async (t) => {
    const found = await bench.cli('B', 'storage', 'verify', '--wait', '--json');
    t.match(found, {
      exit: 0,
      json: [{ kind: 'verify', state: 'done', message: /no difference/ }],
    });
    const shown = await bench.cli('A', 'storage', 'status', '--json');
    const verify = { state: 'equal', node: 'A', differences: 0 };
    t.match(shown, { exit: 0, json: [{ verify, split: null }] });
    const resync = await bench.cli('A', 'storage', 'resync', '--wait', '--yes', '--json');
    t.match(resync, { exit: 0, json: [{ kind: 'resync', message: /both copies are level/ }] });
    await bench.running.waitAvailable(READY_MS, bench.signal);
    const none = ['storage', 'resolve', '--keep', 'A', '--yes', '--reason', 'x', '--json'];
    t.match(await bench.cli('B', ...none), { json: [{ error: { code: 'store.not_split' } }] });
  });

  await t.test('stand-down and its end', async (t) => {
    t.match(await bench.cli('A', 'stand-down', '--json'), {
      exit: 24,
      json: [{ error: { code: 'standdown.active' } }],
    });
    t.equal((await bench.cli('B', 'stand-down')).exit, 0);
    const refused = await bench.cli('A', 'switchover', '--json');
    t.match(refused, { exit: 24, json: [{ error: { code: 'switchover.refused' } }] });
    t.equal((await bench.cli('B', 'stand-down', '--end')).exit, 0);
    const ready = await bench.cli('A', 'cluster', 'status', '--wait-ready', '--timeout', '60');
    t.equal(ready.exit, 0);
  });

  await t.test('takeover: not while the peer answers, then by the word', async (t) => {
    const words = ['takeover', '--yes', '--reason', 'power was cut', '--json'];
    t.match(await bench.cli('B', 'takeover', '--json'), {
      exit: 2,
      json: [{ error: { code: 'confirm.needed' } }],
    });
    t.match(await bench.cli('B', ...words), { json: [{ error: { code: 'takeover.connected' } }] });
    await bench.power('A', 'off');
    await bench.watch.until('node B is alone', (look) => look.status.state === 'ALONE');
    t.match(await bench.cli('B', ...words), { exit: 0, json: [{ changed: true }] });
    await bench.watch.until('node B serves', (look) => {
      return look.node === 'B' && look.status.nodes.B.serving;
    });
    await bench.power('A', 'on');
    await bench.running.waitAvailable(READY_MS, bench.signal);
  });

  const client = await bench.checkClient();
  t.same(client.lost, [], 'no acknowledged write is lost');
  await bench.close();
});
