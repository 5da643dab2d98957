/**
 * The power switch of an appliance: a fence and what follows it, with a machine of which only the
 * state of its power is real; what the control socket takes for a command; and a program that cuts
 * its own power, under a real supervisor.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { lockState } from '../../src/drivers/state-lock.ts';
import { PROJECT_DIR } from '../../scripts/build.ts';
import { askPower, type PowerRequest } from '../../scripts/supervisor/power-client.ts';
import { servePower } from '../../scripts/supervisor/power-server.ts';
import { PowerSwitch, type Switched } from '../../scripts/supervisor/switch.ts';
import { shortDir } from '../drivers/short-dir.ts';
import { ask, boots, layOut, start, untilDead } from './stand-in.ts';

/** A machine that remembers what was done to it. */
class Toy implements Switched {
  readonly done: string[] = [];
  power: 'on' | 'off' = 'on';
  survives = false;
  /** What `off` waits for. */
  wait: Promise<void> = Promise.resolve();

  on(): void {
    this.power = 'on';
    this.done.push('on');
  }

  async off(): Promise<boolean> {
    await this.wait;
    this.power = 'off';
    this.done.push('off');
    return !this.survives;
  }

  status() {
    const { power } = this;
    return { node: 'B', power, supervisor: 1, pid: null, boot: null, boots: 0, restarts: 0 };
  }
}

function make(t: Test, holdMs = 60_000) {
  const toy = new Toy();
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  const power = new PowerSwitch(toy, { stateDir: t.testdir(), log, holdMs });
  t.teardown(async () => power.rest());
  const handle = async (request: PowerRequest, isGone = () => false) =>
    power.handle(request, isGone);
  return { toy, power, lines, handle };
}

const FENCE = { do: 'fence', node: 'B', epoch: 7, after: 'on' } as const;

t.test('the power comes back by itself, once', async (t) => {
  const { toy, lines, handle } = make(t, 30);
  t.match(await handle(FENCE), { ok: true, fence: 'off', status: { power: 'off' } });
  t.strictSame(lines, ['fence for epoch 7: off']);
  t.strictSame(toy.done, ['off'], 'not before the answer');
  while (toy.power === 'off') await sleep(5);
  await handle({ do: 'restore' });
  t.strictSame(toy.done, ['off', 'on']);
});

t.test('it comes back at once when it is asked for', async (t) => {
  const { toy, handle } = make(t);
  await handle(FENCE);
  await handle(FENCE);
  await handle({ do: 'restore', node: 'B' });
  t.strictSame(toy.done, ['off', 'off', 'on'], 'a repeated fence still owes it');
});

t.test('what stays off after a fence', async (t) => {
  for (const after of [undefined, 'stay-off'] as const) {
    const { toy, handle } = make(t, 1);
    await handle({ do: 'fence', ...(after === undefined ? {} : { after }) });
    await handle({ do: 'restore' });
    await sleep(20);
    t.equal(toy.power, 'off', `after: ${after}`);
  }
  const { toy, handle } = make(t, 1);
  await handle({ do: 'off' });
  await handle(FENCE);
  await handle({ do: 'restore' });
  t.equal(toy.power, 'off', 'it was off before');
  await handle({ do: 'on' });
  await handle(FENCE);
  await handle({ do: 'off' });
  await handle({ do: 'restore' });
  t.equal(toy.power, 'off', 'a person has switched it off since');
});

t.test('a fence that failed gives no power back; the next one that works does', async (t) => {
  const { toy, handle } = make(t, 1);
  toy.survives = true;
  t.match(await handle(FENCE), { ok: true, fence: 'failed' });
  await handle({ do: 'restore' });
  await sleep(20);
  t.strictSame(toy.done, ['off']);
  toy.survives = false;
  t.match(await handle(FENCE), { ok: true, fence: 'off' });
  while (toy.power === 'off') await sleep(5);
  t.strictSame(toy.done, ['off', 'off', 'on']);
});

t.test('off is said only when the lock has fallen', async (t) => {
  const toy = new Toy();
  const stateDir = t.testdir();
  const lock = await lockState(stateDir);
  const power = new PowerSwitch(toy, { stateDir, log: () => undefined });
  let ended = false;
  const fence = power.handle({ do: 'fence' }, () => false).finally(() => (ended = true));
  while (toy.power === 'on') await sleep(5);
  await sleep(30);
  t.equal(ended, false);
  await lock[Symbol.asyncDispose]();
  t.match(await fence, { ok: true, fence: 'off' });
});

t.test('a fence of another node, and one whose asker has gone, are not done', async (t) => {
  const { toy, lines, handle } = make(t);
  t.match(await handle({ ...FENCE, node: 'A' }), { ok: false, error: /node B, not of A/ });
  const gate = Promise.withResolvers<void>();
  toy.wait = gate.promise;
  let gone = false;
  const first = handle({ do: 'reset' });
  const second = handle(FENCE, () => gone);
  gone = true;
  gate.resolve();
  t.match(await first, { ok: true });
  t.match(await second, { ok: false, error: /gone/ });
  t.strictSame(toy.done, ['off', 'on']);
  t.strictSame(lines, ['fence for epoch 7: not done, whoever asked has gone']);
});

t.test('what the socket takes for a command', async (t) => {
  const path = join(shortDir(t), 'power.sock');
  const seen: PowerRequest[] = [];
  const askers: (() => boolean)[] = [];
  const status = new Toy().status();
  await using _server = await servePower(path, async (request, isGone) => {
    seen.push(request);
    askers.push(isGone);
    if (request.do === 'keep') await new Promise(() => undefined);
    return { ok: true, status };
  });
  const say = async (text: string): Promise<unknown> => {
    const socket = connect(path);
    socket.write(`${text}\n`);
    const [reply] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return JSON.parse(reply.toString());
  };
  t.match(await say(JSON.stringify(FENCE)), { ok: true });
  t.match(await say('{"do":"status","later":1}'), { ok: true });
  t.strictSame(seen, [FENCE, { do: 'status' }]);
  const bad = ['fence', 'null', '{}', '{"do":"fences"}'];
  for (const field of [
    '"node":"C"',
    '"node":null',
    '"epoch":"7"',
    '"epoch":0.5',
    '"after":"off"',
  ]) {
    bad.push(`{"do":"fence",${field}}`);
  }
  for (const text of bad) t.match(await say(text), { ok: false, error: /expected/ }, text);
  t.equal(seen.length, 2);
  const socket = connect(path);
  socket.write('{"do":"keep"}\n');
  while (seen.length < 3) await sleep(5);
  t.equal(askers[2]?.(), false);
  socket.destroy();
  while (askers[2]?.() === false) await sleep(5);
  t.pass('the end of a connection is seen');
});

/**
 * Cuts its own power in its first boot, as a daemon does whose demotion failed: a thread hangs in
 * the file system, and a child in a session of its own ignores every signal that it can.
 */
const RESETS = `
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, open, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
const { openHost } = await import('${join(PROJECT_DIR, 'src/drivers/host-process.ts')}');
if (!existsSync('child')) {
  const script = 'trap "" TERM HUP USR2; echo $$ > child; while :; do sleep 1; done';
  spawn('sh', ['-c', script], { detached: true, stdio: 'ignore' });
  while (!existsSync('child') || readFileSync('child').length === 0) await sleep(10);
  execFileSync('mkfifo', ['fifo']);
  open('fifo', 'r', () => undefined);
  await sleep(50);
  const dirs = { runDir: process.cwd(), stateDir: process.cwd() };
  openHost({ env: process.env, ...dirs }).hardReset('the store does not let go');
  writeFileSync('survived', '');
}
`;

t.test('a program that cuts its own power takes everything with it', async (t) => {
  const dir = await layOut(t, { more: RESETS });
  await start(t, dir);
  const [first, second] = await boots(dir, 2);
  t.not(first!.bootId, second!.bootId, 'another boot, not a restart after a crash');
  await untilDead(Number(await readFile(join(dir, 'state/child'), 'utf8')));
  t.match(await ask(dir, 'status'), { power: 'on', boots: 2, restarts: 0 });
  t.match(await readFile(join(dir, 'boot.log'), 'utf8'), /asked for a power cycle: reboot/);
  const console = await readFile(join(dir, 'console.log'), 'utf8');
  t.match(console, /hard reset: the store does not let go/);
  await t.rejects(readFile(join(dir, 'state/survived')), { code: 'ENOENT' });
  t.match(await askPower(join(dir, 'power.sock'), 'off'), { ok: true });
});
