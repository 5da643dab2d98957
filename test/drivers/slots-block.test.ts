/**
 * Slots on partitions: their contract on files, which devices are taken and which are refused, the
 * booted slot, torn and foreign seals, and a real block device where there are loop devices. May
 * import tap, node: and the drivers under test.
 */
import { appendFile, open, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Slot } from '../../src/core/model.ts';
import { decodeSealMark } from '../../src/drivers/boot-grub-env.ts';
import { BlockFile } from '../../src/drivers/block-file.ts';
import { DEVICE_ROOTS } from '../../src/drivers/block-device.ts';
import { encodeSealBlock, SEAL_BLOCK_BYTES } from '../../src/drivers/seal-block.ts';
import { findSlotDevices, openBlockSlots, slotLabel } from '../../src/drivers/slots-block.ts';
import { slotPartitionName } from '../../scripts/appliance/layout.ts';
import { sealOf, SLOT_SIZES, slotsContract } from '../contracts/slots.ts';
import { addDisk, SLOT_PARTITIONS, treeRoots } from './device-tree.ts';
import { loopReason, makeLoopSlots } from './loop-devices.ts';

async function openTree(dir: string, booted: Slot = 'A', disk: string | null = null) {
  const roots = treeRoots(dir);
  return openBlockSlots(await findSlotDevices(disk, roots), { booted, roots });
}

/** The seal's block of a device, from outside. */
async function blockOf(path: string): Promise<Buffer> {
  return (await readFile(path)).subarray(-SEAL_BLOCK_BYTES);
}

async function overwrite(path: string, at: number, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, at);
}

t.test('files in place of partitions', async (t) => {
  await slotsContract(t, async (t) => {
    const dir = t.testdir();
    await addDisk(dir, 'vda');
    const roots = treeRoots(dir);
    const devices = await findSlotDevices(null, roots);
    const reopen = () => openBlockSlots(devices, { booted: null, roots });
    return { slots: await reopen(), reopen };
  });
});

t.test('labels are those of the disk layout', async (t) => {
  for (const cls of ['system', 'storage'] as const) {
    for (const slot of ['A', 'B'] as const) {
      t.equal(slotLabel(cls, slot), slotPartitionName(cls, slot));
    }
  }
});

t.test('the image has everything in front of the seal, and the seal stays behind it', async (t) => {
  const dir = t.testdir();
  await addDisk(dir, 'vda');
  const slots = await openTree(dir);
  const { path, sizeBytes } = slots.device('system', 'B');
  t.equal(path, join(dir, 'dev/vda5'));
  t.equal(sizeBytes, SLOT_SIZES.system);
  await slots.seal('system', 'B', sealOf('1.0.0'));
  const before = await blockOf(path);
  t.equal(decodeSealMark(before.subarray(0, 512)), 3, 'the boot loader reads the commit');
  using file = BlockFile.open(path, sizeBytes, { claim: true });
  const last = new Uint8Array(new ArrayBuffer(4096)).fill(7);
  await file.writeLater(last, sizeBytes - 4096, 4096);
  await t.rejects(file.writeLater(last, sizeBytes, 4096), { code: 'internal.bug' });
  await file.sync();
  t.ok((await blockOf(path)).equals(before));
  t.equal((await slots.info('system', 'B')).seal?.release.version, '1.0.0');
});

t.test('only what it must is written: one block, the image is left alone', async (t) => {
  const dir = t.testdir();
  await addDisk(dir, 'vda');
  const path = join(dir, 'dev/vda7');
  const image = Buffer.alloc(SLOT_SIZES.storage, 'image');
  await overwrite(path, 0, image);
  const slots = await openTree(dir);
  await slots.seal('storage', 'B', sealOf('1.0.0'));
  await slots.invalidate('storage', 'B');
  const bytes = await readFile(path);
  t.ok(bytes.subarray(0, SLOT_SIZES.storage).equals(image));
  t.ok(bytes.subarray(SLOT_SIZES.storage).every((byte) => byte === 0));
});

t.test('the slot that runs takes the mark of its commit and nothing else', async (t) => {
  const dir = t.testdir();
  await addDisk(dir, 'vda');
  const trial = { ...sealOf('2.0.0'), committed: null };
  await (await openTree(dir, 'A')).seal('system', 'B', trial);
  const slots = await openTree(dir, 'B');
  await t.rejects(slots.invalidate('system', 'B'), { code: 'boot.conflict', message: /booted/ });
  await t.rejects(slots.seal('system', 'B', sealOf('3.0.0')), { code: 'boot.conflict' });
  t.same((await slots.info('system', 'B')).seal, trial);
  const path = join(dir, 'dev/vda5');
  const before = await blockOf(path);
  await slots.seal('system', 'B', { ...trial, committed: 9 });
  const after = await blockOf(path);
  t.ok(after.subarray(512).equals(before.subarray(512)), 'the content of the seal is not touched');
  t.equal((await slots.info('system', 'B')).seal?.committed, 9);
  await slots.invalidate('system', 'A');
  await slots.invalidate('storage', 'B');
});

t.test('a commit that is torn costs the mark at most, never the seal', async (t) => {
  const dir = t.testdir();
  await addDisk(dir, 'vda');
  const slots = await openTree(dir, 'B');
  const path = join(dir, 'dev/vda4');
  const [was, will] = [4, 77].map((committed) =>
    encodeSealBlock('system', 'A', { ...sealOf('1.0.0'), committed }),
  );
  for (let bytes = 0; bytes <= SEAL_BLOCK_BYTES; bytes += bytes < 80 ? 1 : 251) {
    const torn = Buffer.from(was!);
    torn.set(will!.subarray(0, bytes));
    await overwrite(path, SLOT_SIZES.system, torn);
    const { seal } = await slots.info('system', 'A');
    t.equal(seal?.release.version, '1.0.0', `${bytes} bytes`);
    const { committed } = seal!;
    t.ok(committed === 4 || committed === 77 || committed === null, `${bytes}: ${committed}`);
  }
});

t.test('a seal that is damaged, of another slot or of another class counts as none', async (t) => {
  const dir = t.testdir();
  await addDisk(dir, 'vda');
  const slots = await openTree(dir, 'B');
  const path = join(dir, 'dev/vda4');
  const good = encodeSealBlock('system', 'A', sealOf('1.0.0'));
  const damaged = Uint8Array.from(good);
  damaged[700]! ^= 1;
  const bad = [
    damaged,
    encodeSealBlock('system', 'B', sealOf('1.0.0')),
    encodeSealBlock('storage', 'A', sealOf('1.0.0')),
    new Uint8Array(SEAL_BLOCK_BYTES).fill(0xff),
  ];
  for (const [index, block] of bad.entries()) {
    await overwrite(path, SLOT_SIZES.system, good);
    t.not((await slots.info('system', 'A')).seal, null);
    await overwrite(path, SLOT_SIZES.system, block);
    t.equal((await slots.info('system', 'A')).seal, null, `block ${index}`);
  }
  const newer = Uint8Array.from(encodeSealBlock('system', 'A', null));
  const { encodeFrame } = await import('../../src/core/frame.ts');
  const value = new TextEncoder().encode('{"schema":2,"class":"system","slot":"A","seal":{}}');
  newer.set(encodeFrame('value', 1, 1, value), 512);
  await overwrite(path, SLOT_SIZES.system, newer);
  await t.rejects(slots.info('system', 'A'), { code: 'state.newer_schema' });
  await t.rejects(slots.invalidate('system', 'A'), { code: 'state.newer_schema' });
  t.ok((await blockOf(path)).equals(newer), 'and stays as it is');
  const long = { ...sealOf('1.0.0'), runsWith: '>'.repeat(4000) };
  await t.rejects(slots.seal('storage', 'B', long), { code: 'slot.io', message: /3552 fit/ });
});

t.test('which devices are refused', async (t) => {
  const refuse = async (
    name: string,
    message: RegExp,
    spoil: (dir: string) => Promise<void>,
    disk: string | null = null,
  ) => {
    const dir = t.testdir();
    await spoil(dir);
    await t.rejects(openTree(dir, 'A', disk), { code: 'slot.io', message }, name);
  };
  await refuse('no disk at all', /cannot be listed: ENOENT/, () => Promise.resolve());
  await refuse('a partition lacks', /no partition tandem-storage-b on any disk/, (dir) =>
    addDisk(dir, 'vda', SLOT_PARTITIONS.slice(0, 3)),
  );
  await refuse('two disks with one label', /vda4 and .*vdb4 are both labelled/, two);
  await refuse(
    'another disk than named',
    /no partition tandem-system-a on \/dev\/sda/,
    two,
    '/dev/sda',
  );
  await refuse('slots on two disks', /spread over the disks vda, vdb/, async (dir) => {
    await addDisk(dir, 'vda', SLOT_PARTITIONS.slice(0, 3));
    await addDisk(dir, 'vdb', SLOT_PARTITIONS.slice(3));
  });
  await refuse('two sizes', /expected equal system slots/, async (dir) => {
    await addDisk(dir, 'vda');
    await truncate(join(dir, 'dev/vda5'), 8192);
  });
  await refuse('no room for an image', /vda4 has 4096 bytes/, async (dir) => {
    await addDisk(dir, 'vda');
    for (const name of ['vda4', 'vda5']) await truncate(join(dir, 'dev', name), 4096);
  });
  const dir = t.testdir();
  await two(dir);
  t.equal((await openTree(dir, 'A', '/dev/vdb')).device('system', 'A').path, join(dir, 'dev/vdb4'));
  await writeFile(join(dir, 'dev/vdb'), '');
  await symlink('vdb', join(dir, 'dev/by-id'));
  const byId = await openTree(dir, 'A', join(dir, 'dev/by-id'));
  t.equal(byId.device('system', 'A').path, join(dir, 'dev/vdb4'));
  const roots = { ...treeRoots(dir), files: false };
  const devices = await findSlotDevices('/dev/vda', roots);
  const files = openBlockSlots(devices, { booted: 'A', roots });
  await t.rejects(files, { code: 'slot.io', message: /vda4 is a regular file/ });
  const slots = await openTree(dir, 'A', '/dev/vda');
  await appendFile(join(dir, 'dev/vda5'), Buffer.alloc(4096));
  await t.rejects(slots.invalidate('system', 'B'), { code: 'slot.io', message: /at the start/ });
});

async function two(dir: string): Promise<void> {
  await addDisk(dir, 'vda');
  await addDisk(dir, 'vdb');
}

const none = await loopReason();
if (none !== null) t.comment(`without a real block device: ${none}`);

t.test('on a real block device', { skip: none ?? false }, async (t) => {
  const devices = await makeLoopSlots(t, t.testdir());
  const { path } = devices.system.B;
  const slots = await openBlockSlots(devices, { booted: 'A' });
  t.equal((await slots.info('system', 'B')).sizeBytes, SLOT_SIZES.system);
  await slots.seal('system', 'B', sealOf('1.0.0'));
  t.same((await slots.info('system', 'B')).seal, sealOf('1.0.0'));
  {
    using held = BlockFile.open(path, SLOT_SIZES.system, { claim: true });
    t.equal(held.direct, true);
    const busy = { code: 'slot.io', message: /EBUSY: it is mounted/ };
    await t.rejects(slots.invalidate('system', 'B'), busy);
    t.not((await slots.info('system', 'B')).seal, null);
  }
  await slots.invalidate('system', 'B');
  t.equal((await slots.info('system', 'B')).seal, null);
  const { A } = devices.system;
  const other = { ...devices, system: { A, B: { path, label: 'tandem-x' } } };
  const wrong = { code: 'slot.io', message: /has no label, expected the partition tandem-x/ };
  await t.rejects(openBlockSlots(other, { booted: 'A', roots: DEVICE_ROOTS }), wrong);
});
