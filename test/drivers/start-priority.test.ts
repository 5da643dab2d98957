/**
 * Priority of a program while it starts: low, and normal for all of its threads afterwards. Only
 * root can give it back, so for anybody else nothing changes. Imports the driver.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { constants, getPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { YIELD_VARIABLE, yieldWhileStarting } from '../../src/drivers/start-priority.ts';

const { PRIORITY_LOW, PRIORITY_NORMAL } = constants.priority;
const isRoot = process.getuid?.() === 0;
process.env[YIELD_VARIABLE] = '1';

t.test('a child yields while it starts', async (t) => {
  const child = spawn(process.execPath, ['-e', "console.log('up'); setInterval(() => {}, 1000)"], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const { pid = 0 } = child;
  const own = getPriority(pid);
  yieldWhileStarting(pid, 2000);
  t.equal(getPriority(pid), isRoot ? PRIORITY_LOW : own);
  await once(child.stdout, 'data');
  const threads = readdirSync(`/proc/${String(pid)}/task`).map(Number);
  t.ok(threads.length > 1, 'it has threads, which begin with that priority');
  const wanted = isRoot ? PRIORITY_NORMAL : own;
  while (threads.some((thread) => getPriority(thread) !== wanted)) await sleep(50);
  t.ok(threads.every((thread) => getPriority(thread) === wanted));
});

t.test('on a computer that has other work nothing yields', async (t) => {
  delete process.env[YIELD_VARIABLE];
  t.teardown(() => (process.env[YIELD_VARIABLE] = '1'));
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  const own = getPriority(child.pid);
  yieldWhileStarting(child.pid ?? 0, 1);
  t.equal(getPriority(child.pid), own);
});

t.test('a child that has ended is left alone', async (t) => {
  const child = spawn('/bin/true');
  const ended = yieldWhileStarting(child.pid ?? 0, 1);
  await once(child, 'exit');
  ended();
  await sleep(20);
  t.doesNotThrow(() => yieldWhileStarting(child.pid ?? 0, 1)());
});
