/**
 * Disks under a real QEMU, with the guest of one sector: overlays, snapshots of a running machine,
 * and power cuts that lose what the disk had only in its cache. Imports the harness and node.
 */
import { copyFile, readFile } from 'node:fs/promises';
import t from 'tap';
import {
  copyDisk,
  loadSnapshot,
  makeOverlay,
  makeRaw,
  saveSnapshot,
} from '../../scripts/vm/disks.ts';
import { Machine, type MachineSpec } from '../../scripts/vm/machine.ts';
import { replayWrites, type Unflushed } from '../../scripts/vm/replay.ts';
import { readWriteLog } from '../../scripts/vm/write-log.ts';
import { makeGuestDisk, SECTOR_BYTES } from './guest.ts';
import { shortDir } from '../drivers/short-dir.ts';

const WAIT = { timeoutMs: 30_000 };
const READY = /guest ready\n/;

/** The first byte of a sector of a raw disk. */
async function firstByte(path: string, sector: number): Promise<string> {
  const disk = await readFile(path);
  return String.fromCodePoint(disk[sector * SECTOR_BYTES] ?? 0);
}

t.test('an overlay takes the writes, its base stays as it is', async (t) => {
  const dir = shortDir(t);
  await makeGuestDisk(`${dir}/base.raw`);
  const before = await readFile(`${dir}/base.raw`);
  const disk = await makeOverlay({ path: `${dir}/base.raw`, format: 'raw' }, `${dir}/a.qcow2`);
  await using machine = await Machine.start({ name: 'guest', dir: `${dir}/vm`, disk });
  await machine.serial.waitFor(READY, WAIT);
  await machine.serial.write('w3A');
  await machine.serial.waitFor(/wrote\n/, WAIT);
  await machine.cutPower();
  t.strictSame(await readFile(`${dir}/base.raw`), before);
  await makeRaw(disk, `${dir}/now.raw`);
  t.equal(await firstByte(`${dir}/now.raw`, 3), 'A', 'what was durable survives the cut');
});

t.test('a machine goes on from its snapshot, in the same process and in a fresh one', async (t) => {
  const dir = shortDir(t);
  await makeGuestDisk(`${dir}/base.raw`);
  const disk = await makeOverlay({ path: `${dir}/base.raw`, format: 'raw' }, `${dir}/a.qcow2`);
  const spec: MachineSpec = { name: 'guest', dir: `${dir}/vm`, disk, memoryMiB: 16 };
  await using machine = await Machine.start(spec);
  await machine.serial.waitFor(READY, WAIT);
  // In the middle of a command: only memory and registers know of it.
  await machine.serial.write('w4');
  await machine.serial.waitFor(/4/, WAIT);
  await saveSnapshot(machine, 'ready');
  await saveSnapshot(machine, 'ready');
  await machine.serial.write('Ag4');
  await machine.serial.waitFor(/wrote\n4A\n/, WAIT);
  await loadSnapshot(machine, 'ready');
  await machine.serial.write('Bg4');
  await machine.serial.waitFor(/wrote\n4B\n/, WAIT);
  await t.rejects(loadSnapshot(machine, 'none'), { code: 'tool.failed', message: /none/ });
  await machine.quit();
  await copyDisk(disk.path, `${dir}/b.qcow2`);
  await using twin = await Machine.start({
    ...spec,
    dir: `${dir}/twin`,
    disk: { path: `${dir}/b.qcow2`, format: 'qcow2' },
    loadSnapshot: 'ready',
  });
  await twin.serial.write('Cg4');
  await twin.serial.waitFor(/wrote\n4C\n/, WAIT);
  t.equal(twin.serial.text.includes('guest ready'), false, 'it did not boot');
  await twin.serial.write('r');
  await twin.serial.waitFor(READY, WAIT);
  await twin.serial.write('g4');
  await twin.serial.waitFor(/4C\n/, WAIT);
  t.pass('a reset keeps the disk: the snapshot is not loaded again');
});

t.test('a power cut loses what was not flushed, and nothing else', async (t) => {
  const dir = shortDir(t);
  const [start, path] = [`${dir}/start.raw`, `${dir}/disk.raw`];
  await makeGuestDisk(start);
  await copyFile(start, path);
  const disk = { path, format: 'raw', bus: 'ide', logWrites: true } as const;
  await using machine = await Machine.start({ name: 'guest', dir: `${dir}/vm`, disk });
  await machine.serial.waitFor(READY, WAIT);
  await machine.serial.write('w1Afw1Bw2C');
  await machine.serial.waitFor(/wrote\nflushed\n1wrote\n2wrote\n/, WAIT);
  await machine.cutPower();
  t.equal(await firstByte(path, 1), 'B', 'the emulator itself loses nothing');
  const logs = machine.writeLogs;
  const { entries, tornBytes, hasGap } = await readWriteLog(logs[0] ?? '');
  t.strictSame(
    entries.map(({ kind, offsetBytes, sizeBytes }) => [kind, offsetBytes, sizeBytes]),
    [
      ['write', SECTOR_BYTES, SECTOR_BYTES],
      ['flush', 0, 0],
      ['write', SECTOR_BYTES, SECTOR_BYTES],
      ['write', 2 * SECTOR_BYTES, SECTOR_BYTES],
    ],
    'entries after the last flush are read too, although the superblock does not count them',
  );
  t.strictSame([tornBytes, hasGap], [0, false]);
  const after = async (count: number, unflushed: Unflushed): Promise<string> => {
    const target = `${dir}/cut.raw`;
    await replayWrites({ start, target, logs, count, unflushed });
    return (await firstByte(target, 1)) + (await firstByte(target, 2));
  };
  t.equal(await after(4, 'keep'), 'BC');
  t.equal(await after(4, 'drop'), 'A\0');
  t.equal(await after(3, 'keep'), 'B\0');
  t.equal(await after(1, 'drop'), '\0\0');
  t.equal(await after(2, 'drop'), 'A\0');
  const ends = new Set<string>();
  for (let seed = 0; seed < 24; seed += 1) ends.add(await after(4, { seed }));
  t.strictSame([...ends].toSorted(), ['A\0', 'AC', 'B\0', 'BC'], 'every end that can be');
  const cut = { path: `${dir}/cut.raw`, format: 'raw' } as const;
  await replayWrites({ start, target: cut.path, logs, unflushed: 'drop' });
  await using next = await Machine.start({ name: 'next', dir: `${dir}/next`, disk: cut });
  await next.serial.waitFor(READY, WAIT);
  await next.serial.write('g1');
  await next.serial.waitFor(/1A\n/, WAIT);
  t.pass('and it boots');
});

t.test('every boot has a log of its own', async (t) => {
  const dir = shortDir(t);
  const [start, path] = [`${dir}/start.raw`, `${dir}/disk.raw`];
  await makeGuestDisk(start);
  await copyFile(start, path);
  const disk = { path, format: 'raw', bus: 'ide', logWrites: true } as const;
  await using machine = await Machine.start({ name: 'guest', dir: `${dir}/vm`, disk });
  await machine.serial.waitFor(READY, WAIT);
  await machine.serial.write('w1Ar');
  await machine.serial.waitFor(READY, WAIT);
  await machine.serial.write('w2B');
  await machine.serial.waitFor(/wrote\n/, WAIT);
  await machine.quit();
  const { writeLogs } = machine;
  t.equal(writeLogs.length, 2);
  const target = `${dir}/cut.raw`;
  const result = await replayWrites({ start, target, logs: writeLogs, unflushed: 'keep' });
  t.equal((await firstByte(target, 1)) + (await firstByte(target, 2)), 'AB');
  t.strictSame([result.whole, result.dropped], [1, 0]);
  t.strictSame(await readFile(target), await readFile(path), 'the replay is the disk');
});
