/**
 * The supervisor as a process, with real slots, boot files and small ext4 images: status and power
 * commands, fence and lock, a second supervisor, load failure of a trial, and what happens to the
 * node when the supervisor itself ends in any way.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { openBoot } from '../../src/drivers/boot-file.ts';
import { stateLockHolder } from '../../src/drivers/state-lock.ts';
import { askPower, type PowerVerb } from '../../scripts/supervisor/power-client.ts';
import { SETTINGS_FILE } from '../../scripts/supervisor/settings.ts';
import { ask, boots, isAlive, layOut, SETTINGS, start, untilDead } from './stand-in.ts';

t.test('power commands, fence and a second supervisor', async (t) => {
  const dir = await layOut(t);
  const one = await start(t, dir);
  const [first] = await boots(dir, 1);
  t.match(first, { slot: 'A', reason: 'default' });
  t.equal(first?.program, join(dir, 'run/root-A/opt/tandem/tandem.mjs'), 'what runs is unpacked');
  const status = await ask(dir, 'status');
  t.match(status, { node: 'A', power: 'on', boots: 1, boot: { bootId: first!.bootId } });
  t.equal(await stateLockHolder(join(dir, 'state')), status.pid);

  const two = await start(t, dir);
  t.strictSame(await two.ended, [2, null]);
  t.match(two.words(), /another supervisor listens/);
  t.equal((await ask(dir, 'status')).pid, status.pid, 'and the node was left alone');

  t.match(await ask(dir, 'reset'), { power: 'on' });
  const [, second] = await boots(dir, 2);
  t.not(second?.bootId, first?.bootId);

  const fenced = await askPower(join(dir, 'power.sock'), 'fence');
  t.match(fenced, { ok: true, fence: 'off', status: { power: 'off', pid: null } });
  t.equal(await stateLockHolder(join(dir, 'state')), null);
  t.match(await askPower(join(dir, 'power.sock'), 'explode' as PowerVerb), { ok: false });

  await ask(dir, 'on');
  await boots(dir, 3);
  const { pid } = await ask(dir, 'status');
  one.child.kill('SIGTERM');
  t.strictSame(await one.ended, [0, null]);
  t.equal(isAlive(pid!), false, 'its own end takes the node down');
  t.equal(await stateLockHolder(join(dir, 'state')), null);
});

t.test('a trial slot that holds no file system falls back to the default one', async (t) => {
  const dir = await layOut(t);
  await using chooser = await openBoot(join(dir, 'boot'));
  await chooser.arm({ id: 7, slot: 'B', tries: 3 });
  const one = await start(t, dir);
  const [first] = await boots(dir, 1);
  t.match(first, { slot: 'A', reason: 'fallback' });
  t.strictSame((await chooser.read()).counter, { trialId: 7, used: 3 });
  t.match(await readFile(join(dir, 'boot.log'), 'utf8'), /slot B cannot be loaded/);
  one.child.kill('SIGTERM');
  await one.ended;
});

t.test(
  'the end of the process that started it ends a tied supervisor, unless it is kept',
  async (t) => {
    const dir = await layOut(t);
    const one = await start(t, dir, '--tied');
    await boots(dir, 1);
    const { pid } = await ask(dir, 'status');
    one.child.stdin?.end();
    t.strictSame(await one.ended, [0, null]);
    t.equal(isAlive(pid!), false);

    const two = await start(t, dir, '--tied');
    await boots(dir, 2);
    await ask(dir, 'keep');
    two.child.stdin?.end();
    await ask(dir, 'off');
    t.match(await ask(dir, 'status'), { power: 'off' }, 'it is still there');
    await ask(dir, 'quit');
    t.strictSame(await two.ended, [0, null]);
  },
);

t.test('what a killed supervisor left behind is taken down at the next start', async (t) => {
  const dir = await layOut(t);
  const one = await start(t, dir);
  await boots(dir, 1);
  const { pid } = await ask(dir, 'status');
  one.child.kill('SIGKILL');
  await one.ended;
  const two = await start(t, dir, '--off');
  await untilDead(pid!);
  t.match(await ask(dir, 'status'), { power: 'off', boots: 0 });
  two.child.kill('SIGTERM');
  t.strictSame(await two.ended, [0, null]);
});

t.test('settings that are wrong are named', async (t) => {
  const dir = t.testdir({});
  await mkdir(join(dir, 'x'));
  const none = await start(t, join(dir, 'x'));
  t.strictSame(await none.ended, [2, null]);
  t.match(none.words(), /supervisor\.json/);
  await writeFile(join(dir, SETTINGS_FILE), JSON.stringify({ ...SETTINGS, postMs: -1, slots: {} }));
  const bad = await start(t, dir);
  t.strictSame(await bad.ended, [2, null]);
});
