/**
 * The fencer that asks the peer's supervisor: its contract with a real supervisor; peers that hang,
 * boot, or are off already; the wrong socket; answers that are late, cut short or garbage. May
 * import tap, node: and the drivers under test.
 */
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { powerFencer, type PowerFencerOptions } from '../../src/drivers/fence-power.ts';
import { stateLockHolder } from '../../src/drivers/state-lock.ts';
import type { Fencer } from '../../src/ports.ts';
import { fencerContract } from '../contracts/fencer.ts';
import { ask, boots, isAlive, layOut, start, untilDead } from '../scripts/stand-in.ts';
import { shortDir } from './short-dir.ts';

const { signal } = new AbortController();
const order = { epoch: 7, peer: 'B' } as const;

function fencerOf(socket: string, options: Partial<PowerFencerOptions> = {}): Fencer {
  return powerFencer({ peer: 'B', socket, bootId: 'own-boot', afterFence: 'on', ...options });
}

await fencerContract(t, 'the supervisor of the peer', async (t, afterFence) => {
  const dir = await layOut(t, { node: 'B' });
  const supervisor = await start(t, dir);
  await boots(dir, 1);
  const holder = async (): Promise<number | null> => stateLockHolder(join(dir, 'state'));
  return {
    fencer: fencerOf(join(dir, 'power.sock'), { afterFence }),
    order,
    isAlive: async () => (await holder()) !== null,
    untilAlive: async () => void (await boots(dir, 2)),
    lose: async () => {
      // It leaves the node behind, alive; the next supervisor takes that down.
      supervisor.child.kill('SIGKILL');
      await supervisor.ended;
      t.not(await holder(), null, 'the peer lives on');
      t.teardown(async () => void (await start(t, dir, '--off')));
    },
  };
});

t.test('a peer that hangs, that boots, that a person switched off', async (t) => {
  const dir = await layOut(t, { node: 'B' });
  await start(t, dir);
  await boots(dir, 1);
  const fencer = fencerOf(join(dir, 'power.sock'));
  const { pid } = await ask(dir, 'status');
  process.kill(pid!, 'SIGSTOP');
  t.equal(await fencer.fence(order, signal), 'off');
  t.equal(isAlive(pid!), false, 'the one that hung is dead');
  await fencer.restore(order, signal);
  await boots(dir, 2);

  await ask(dir, 'reset');
  t.equal(await fencer.fence(order, signal), 'off', 'it was booting');
  t.match(await ask(dir, 'status'), { power: 'off', pid: null, boot: null });
  t.equal(await stateLockHolder(join(dir, 'state')), null);

  await ask(dir, 'off');
  t.equal(await fencer.fence(order, signal), 'off');
  await fencer.restore(order, signal);
  t.equal(await fencer.power(signal), 'off', 'what a person has switched off stays off');
});

t.test('the socket of the own supervisor', async (t) => {
  const dir = await layOut(t, { node: 'A' });
  await start(t, dir);
  const [boot] = await boots(dir, 1);
  const { pid } = await ask(dir, 'status');
  const socket = join(dir, 'power.sock');
  const wrong = fencerOf(socket);
  const own = { code: 'fence.self_test', message: /power of node A, expected .* node B/ };
  await t.rejects(wrong.selfTest(signal), own);
  t.equal(await wrong.fence(order, signal), 'failed');
  t.equal(await wrong.power(signal), 'unknown');
  await t.rejects(wrong.restore(order, signal), { code: 'fence.failed', message: /not of B/ });
  t.equal(isAlive(pid!), true, 'it did not shoot itself');
  // Both supervisors were given the same letter: only the boot tells.
  const twin = fencerOf(socket, { peer: 'A', bootId: boot!.bootId });
  const same = { code: 'fence.self_test', message: /this very node/ };
  await t.rejects(twin.selfTest(signal), same);
  process.kill(pid!, 'SIGKILL');
  await untilDead(pid!);
});

/** A supervisor that answers like this. */
async function impostor(t: Test, answer: (socket: Socket) => void): Promise<string> {
  const path = join(shortDir(t), 'power.sock');
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
  });
  await new Promise<void>((done) => void server.listen(path, done));
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return path;
}

const STATUS = { node: 'B', power: 'off', pid: null, boot: null };
const line = (reply: unknown): string => `${JSON.stringify(reply)}\n`;
const ANSWERS: readonly (readonly [name: string, text: string, end: string])[] = [
  ['a good answer', line({ ok: true, fence: 'off', status: STATUS }), 'off'],
  ['a failure', line({ ok: true, fence: 'failed', status: STATUS }), 'failed'],
  ['a refusal', line({ ok: false, error: 'no' }), 'failed'],
  [
    'off without its line end',
    JSON.stringify({ ok: true, fence: 'off', status: STATUS }),
    'unknown',
  ],
  [
    'off of another node',
    line({ ok: true, fence: 'off', status: { ...STATUS, node: 'A' } }),
    'unknown',
  ],
  ['off and on', line({ ok: true, fence: 'off', status: { ...STATUS, power: 'on' } }), 'unknown'],
  [
    'off with a process',
    line({ ok: true, fence: 'off', status: { ...STATUS, pid: 7 } }),
    'unknown',
  ],
  ['off without a status', line({ ok: true, fence: 'off' }), 'unknown'],
  ['a status alone', line({ ok: true, status: STATUS }), 'unknown'],
  ['another word', line({ ok: true, fence: 'maybe', status: STATUS }), 'unknown'],
  ['garbage', '\u0000\u0001 off\n', 'unknown'],
  ['null', 'null\n', 'unknown'],
  ['a number', '7\n', 'unknown'],
  ['an empty line', '\n', 'unknown'],
  ['nothing', '', 'unknown'],
  ['a flood', 'x'.repeat(70_000), 'unknown'],
];

for (const [name, text, end] of ANSWERS) {
  t.test(`${name} means ${end}`, async (t) => {
    const fencer = fencerOf(await impostor(t, (socket) => socket.end(text)));
    t.equal(await fencer.fence(order, signal), end);
    if (end === 'off') return;
    if (!text.includes('"node":"B"')) t.equal(await fencer.power(signal), 'unknown');
  });
}

t.test('an answer that comes too late is none', async (t) => {
  let asked = 0;
  const path = await impostor(t, () => void (asked += 1));
  const fencer = fencerOf(path, { timeoutMs: 300 });
  t.equal(await fencer.fence(order, signal), 'unknown');
  t.equal(await fencer.power(signal), 'unknown');
  await t.rejects(fencer.selfTest(signal), { code: 'fence.self_test', message: /not answer/ });
  await t.rejects(fencer.restore(order, signal), { code: 'fence.failed' });
  const abort = new AbortController();
  const fence = fencerOf(path).fence(order, abort.signal);
  abort.abort();
  t.equal(await fence, 'unknown');
  t.ok(asked >= 4);
});

t.test('a self-test needs a state of power', async (t) => {
  const status = { node: 'B', power: 'flickers' };
  const path = await impostor(t, (socket) => socket.end(line({ ok: true, status })));
  await t.rejects(fencerOf(path).selfTest(signal), { code: 'fence.self_test', message: /state/ });
  const mute = await impostor(t, (socket) => socket.end(line({ ok: false, error: 'busy' })));
  await t.rejects(fencerOf(mute).selfTest(signal), { code: 'fence.self_test', message: /busy/ });
});
