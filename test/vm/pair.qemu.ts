/**
 * A pair of machines under a real QEMU, with the guest of one sector in both: power of each, the
 * cable, the power controller's switches, snapshots of both, the folder's lock. Imports the harness
 * and node.
 */
import { duplexPair } from 'node:stream';
import { readdir } from 'node:fs/promises';
import t from 'tap';
import type { NodeId } from '../../src/core/model.ts';
import { makeOverlay } from '../../scripts/vm/disks.ts';
import type { Machine } from '../../scripts/vm/machine.ts';
import { LINK_NIC, Pair, type NodeSpec, type PairSpec } from '../../scripts/vm/pair.ts';
import { carrier } from './carrier.ts';
import { makeGuestDisk } from './guest.ts';
import { shortDir } from '../drivers/short-dir.ts';

const WAIT = { timeoutMs: 30_000 };
const READY = /guest ready\n/;

async function specIn(dir: string): Promise<PairSpec> {
  const base = { path: `${dir}/base.raw`, format: 'raw' } as const;
  await makeGuestDisk(base.path);
  const nodeOf = async (node: NodeId): Promise<NodeSpec> => {
    const disk = await makeOverlay(base, `${dir}/${node}.qcow2`);
    return { disk, memoryMiB: 16, guestPorts: [22] };
  };
  // A short folder: the sockets of the cable are in it.
  return { dir: `${dir}/p`, nodes: { A: await nodeOf('A'), B: await nodeOf('B') } };
}

const both = ({ machines }: Pair): readonly Machine[] => [machines.A, machines.B];

async function ready(pair: Pair): Promise<void> {
  await Promise.all(both(pair).map((machine) => machine.serial.waitFor(READY, WAIT)));
}

t.test('power of each, and the cable between them', async (t) => {
  const spec = await specIn(shortDir(t));
  await using pair = await Pair.start(spec);
  await ready(pair);
  const { A, B } = pair.machines;
  t.not(A.forwardedPort(22), B.forwardedPort(22));
  const carriers = (): Promise<number[]> => Promise.all(both(pair).map(carrier));
  t.strictSame(await carriers(), [1, 1]);
  await pair.cutLink();
  t.equal(pair.isLinkUp, false);
  await pair.cutPower('A');
  t.strictSame([A.power, B.power], ['off', 'on']);
  await pair.powerOn();
  await A.serial.waitFor(READY, WAIT);
  t.strictSame([A.boots, B.boots], [2, 1], 'what runs is left alone');
  t.strictSame(await carriers(), [0, 0], 'a cut cable stays cut');
  await B.restoreLink(LINK_NIC);
  t.strictSame(await carriers(), [0, 1]);
  await pair.restoreLink();
  t.strictSame(await carriers(), [1, 1]);
  await t.rejects(Pair.start(spec), { code: 'state.locked', message: /in use by process/ });
  await pair.cutPower();
  t.strictSame([A.power, B.power], ['off', 'off']);
  t.strictSame((await readdir(`${spec.dir}/A`)).toSorted(), ['serial.log']);
});

t.test('a guest cuts the power of its peer and gives it back', async (t) => {
  await using pair = await Pair.start(await specIn(shortDir(t)));
  await ready(pair);
  const { A, B } = pair.machines;
  // The end of the port that a guest would hold.
  const [guest, harness] = duplexPair();
  pair.controller.portOf('A').serve(harness);
  let answers = '';
  guest.on('data', (chunk: Buffer) => (answers += chunk.toString()));
  await B.freeze();
  guest.write('1 status B 4\n2 off B 4\n3 status B 4\n');
  await B.events.waitFor('END', WAIT);
  guest.write('4 on B 4\n');
  await B.serial.waitFor(READY, WAIT);
  guest.write('5 off A 4\n');
  while (!answers.includes('5 ')) await new Promise((resolve) => void guest.once('data', resolve));
  t.equal(answers, '1 0 on\n2 0\n3 0 off\n4 0\n5 1 a node switches its peer only\n');
  t.strictSame(B.events.ends, ['power-cut']);
  t.equal(A.boots, 1);
});

t.test('a pair goes on from its snapshot', async (t) => {
  const dir = shortDir(t);
  const spec = await specIn(dir);
  await using pair = await Pair.start(spec);
  await ready(pair);
  for (const machine of both(pair)) {
    await machine.serial.write('w1');
    await machine.serial.waitFor(/1/, WAIT);
  }
  await pair.saveSnapshot('ready');
  for (const machine of both(pair)) {
    await machine.serial.write('X');
    await machine.serial.waitFor(/wrote\n/, WAIT);
  }
  await pair.cutLink();
  await pair.loadSnapshot('ready');
  for (const machine of both(pair)) {
    await machine.serial.write('Yg1');
    await machine.serial.waitFor(/wrote\n1Y\n/, WAIT);
    t.equal(await carrier(machine), 0, 'the cable is as it was, not as it is in the snapshot');
  }
  await pair.quit();
  await pair[Symbol.asyncDispose]();
  const nodes = {
    A: { ...spec.nodes.A, loadSnapshot: 'ready' },
    B: { ...spec.nodes.B, loadSnapshot: 'ready' },
  };
  await using next = await Pair.start({ dir: spec.dir, nodes });
  for (const machine of both(next)) {
    await machine.serial.write('Zg1');
    await machine.serial.waitFor(/wrote\n1Z\n/, WAIT);
    t.equal(await carrier(machine), 1);
  }
});
