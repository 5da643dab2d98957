/**
 * The fencer that runs an external program, and the one that has no switch: contract, and programs
 * that hang, fork, flood, lie, or cannot be run. The peer of these tests is a file that says on or
 * off. May import tap, node: and the drivers under test.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { commandFencer } from '../../src/drivers/fence-command.ts';
import { noFencer } from '../../src/drivers/fence-none.ts';
import type { Fencer } from '../../src/ports.ts';
import { fencerContract } from '../contracts/fencer.ts';
import { MemoryFencer } from '../memory/fencer.ts';
import { isAlive, untilDead } from '../scripts/stand-in.ts';

const { signal } = new AbortController();
const order = { epoch: 7, peer: 'B' } as const;

/** Switches and tells the state in the file `power`; notes every call. */
const GOOD = `
echo "$@" >> "$dir/calls"
case "$2" in
  off) echo off > "$dir/power" ;;
  on) echo on > "$dir/power" ;;
  status) cat "$dir/power" ;;
  self-test) ;;
  *) exit 64 ;;
esac
`;

interface Made {
  readonly dir: string;
  readonly fencer: Fencer;
  readonly power: () => Promise<string>;
  readonly calls: () => Promise<string[]>;
}

/** A program in sh that knows its folder as `$dir` and gets node, action and epoch. */
async function make(
  t: Test,
  script: string,
  options: { readonly timeoutMs?: number; readonly afterFence?: 'on' | 'stay-off' } = {},
): Promise<Made> {
  const dir = t.testdir({ power: 'on\n', calls: '' });
  const program = join(dir, 'pdu');
  await writeFile(program, `#!/bin/sh\ndir='${dir}'\n${script}`, { mode: 0o755 });
  const { timeoutMs = 10_000, afterFence = 'on' } = options;
  const command = [program, '--node={node}', '{action}', '{epoch}'];
  const lines = async (name: string): Promise<string> => readFile(join(dir, name), 'utf8');
  return {
    dir,
    fencer: commandFencer({ peer: 'B', command, timeoutMs, afterFence, lookMs: 5 }),
    power: async () => (await lines('power')).trim(),
    calls: async () => (await lines('calls')).split('\n').filter(Boolean),
  };
}

await fencerContract(t, 'in memory', async (_, afterFence) => {
  let power: 'on' | 'off' = 'on';
  const world = {
    power: () => power,
    cut: () => void (power = 'off'),
    on: () => void (power = 'on'),
  };
  const fencer = new MemoryFencer('B', world, afterFence);
  return Promise.resolve({
    fencer,
    order,
    isAlive: async () => Promise.resolve(power === 'on'),
    untilAlive: async () => Promise.resolve(),
    lose: async () => void (await Promise.resolve((fencer.fault = 'gone'))),
  });
});

await fencerContract(t, 'a command', async (t, afterFence) => {
  const { dir, fencer, power } = await make(t, GOOD, { afterFence });
  const lives = async (): Promise<boolean> => (await power()) === 'on';
  return {
    fencer,
    order,
    isAlive: lives,
    untilAlive: async () => void t.equal(await lives(), true),
    lose: async () => rm(join(dir, 'pdu')),
  };
});

t.test('the arguments are filled in, and the environment is small', async (t) => {
  const { dir, fencer, calls } = await make(t, `env > "$dir/env"${GOOD}`);
  process.env['FENCE_TEST_SECRET'] = 'x';
  process.env['TANDEM_POWER'] ??= 'fence-test';
  t.equal(await fencer.fence(order, signal), 'off');
  await fencer.restore(order, signal);
  t.strictSame(await calls(), ['--node=B off 7', '--node=B status 7', '--node=B on 7']);
  const names = (await readFile(join(dir, 'env'), 'utf8')).match(/^\w+(?==)/gm);
  const known = new Set(['LANG', 'PATH', 'PWD', 'OLDPWD', 'SHLVL', '_', 'TANDEM_POWER']);
  t.strictSame(
    names?.filter((name) => !known.has(name)),
    [],
  );
  t.ok(names?.includes('TANDEM_POWER'), 'a power cut of this node finds the program');
});

t.test('a controller that answers before the power is gone is asked again', async (t) => {
  const slow = `case "$2" in off) exit 0 ;; esac
echo x >> "$dir/calls"
if [ "$(wc -l < "$dir/calls")" -ge 3 ]; then echo off; else echo on; fi`;
  const { fencer, calls } = await make(t, slow);
  t.equal(await fencer.fence(order, signal), 'off');
  t.equal((await calls()).length, 3);
});

const SHORT = { timeoutMs: 1500 };
const ENDS: readonly (readonly [name: string, off: string, status: string, end: string])[] = [
  ['off that says no', 'exit 1', 'echo off', 'failed'],
  ['off with another status', 'exit 2', 'echo off', 'unknown'],
  ['off that is killed', 'kill -9 $$', 'echo off', 'unknown'],
  ['off that hangs', 'sleep 60', 'echo off', 'unknown'],
  ['off that lies', 'exit 0', 'echo on', 'failed'],
  ['a status that is not one', 'exit 0', 'echo maybe', 'unknown'],
  ['a status that says both', 'exit 0', 'echo on; echo off', 'unknown'],
  ['a status without a word', 'exit 0', 'exit 0', 'unknown'],
  ['a status that fails', 'exit 0', 'echo off; exit 1', 'unknown'],
  ['a status that hangs', 'exit 0', 'echo off; sleep 60', 'unknown'],
  ['a status that floods', 'exit 0', 'echo off; exec yes off', 'unknown'],
  ['a long status', 'exit 0', 'echo off; printf %05000d 0', 'unknown'],
  ['a status that is off after all', 'yes | head -c 300000; exit 0', 'echo off', 'off'],
];

for (const [name, off, status, end] of ENDS) {
  t.test(`${name} ends with ${end}`, async (t) => {
    const script = `case "$2" in off) ${off} ;; *) ${status} ;; esac`;
    const { fencer } = await make(t, script, SHORT);
    t.equal(await fencer.fence(order, signal), end);
  });
}

t.test('what a command leaves running neither holds it up nor lives on', async (t) => {
  const fork = `sleep 300 & echo $! > "$dir/child"; ${GOOD}`;
  const { dir, fencer } = await make(t, fork);
  t.equal(await fencer.fence(order, signal), 'off');
  const child = Number(await readFile(join(dir, 'child'), 'utf8'));
  await untilDead(child);
  t.pass('its child is dead');
});

t.test('a caller that gives up in the middle knows nothing, and the command ends', async (t) => {
  const { dir, fencer } = await make(t, 'echo $$ > "$dir/child"; exec sleep 300');
  const abort = new AbortController();
  const fence = fencer.fence(order, abort.signal);
  let pid = 0;
  while (pid === 0) pid = Number(await readFile(join(dir, 'child'), 'utf8').catch(() => '0'));
  abort.abort();
  t.equal(await fence, 'unknown');
  t.equal(isAlive(pid), false);
});

t.test('a self-test that fails says why', async (t) => {
  const cases: readonly (readonly [script: string, words: RegExp])[] = [
    ['echo "no route to the controller" >&2; exit 1', /status 1: no route to the controller/],
    ['case "$2" in status) echo half ;; esac', /status.* printed neither on nor off/],
    ['case "$2" in status) exit 3 ;; esac', /action status.* ended with status 3/],
    ['kill -9 $$', /was ended by a signal/],
    ['exec sleep 60', /took too long/],
  ];
  for (const [script, message] of cases) {
    const { fencer } = await make(t, script, { timeoutMs: 500 });
    await t.rejects(fencer.selfTest(signal), { code: 'fence.self_test', message });
  }
  const { fencer, dir } = await make(t, GOOD);
  await writeFile(join(dir, 'pdu'), '', { mode: 0o755 });
  await rm(join(dir, 'pdu'));
  await t.rejects(fencer.selfTest(signal), { code: 'fence.self_test', message: /cannot be run/ });
});

t.test("a caller's time limit is an outcome, its wish to stop is not", async (t) => {
  const { fencer } = await make(t, 'exec sleep 60', { timeoutMs: 20_000 });
  const message = /took too long/;
  const first = AbortSignal.timeout(200);
  await t.rejects(fencer.selfTest(first), { code: 'fence.self_test', message });
  const second = AbortSignal.timeout(200);
  await t.rejects(fencer.restore(order, second), { code: 'fence.failed', message });
  const wish = new Error('not wanted any more');
  await t.rejects(fencer.selfTest(AbortSignal.abort(wish)), wish);
});

t.test('without a fencer nothing is ever off', async (t) => {
  const fencer = noFencer();
  t.equal(fencer.kind, 'none');
  t.equal(await fencer.fence(order, signal), 'failed');
  t.equal(await fencer.power(signal), 'unknown');
  await fencer.restore(order, signal);
  await t.rejects(fencer.selfTest(signal), { code: 'fence.self_test', message: /manual/ });
});
