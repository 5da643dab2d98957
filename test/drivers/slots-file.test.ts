/**
 * The file-backed slots: their contract, torn and damaged seals, a disk that is too small. May
 * import tap, node: and the drivers under test.
 */
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { createSlots, openSlots } from '../../src/drivers/slots-file.ts';
import { TwoCopyFile } from '../../src/drivers/two-copy-file.ts';
import { COPY_BYTES } from '../../src/drivers/two-copy.ts';
import { sealOf, SLOT_SIZES, slotsContract } from '../contracts/slots.ts';
import { makeSlotsDisk, memorySlots } from '../memory/slots.ts';

async function overwrite(path: string, at: number, bytes: Buffer): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, at);
}

t.test('files', async (t) => {
  await slotsContract(t, async (t) => {
    const dir = join(t.testdir(), 'slots');
    await createSlots(dir, SLOT_SIZES);
    return { slots: await openSlots(dir), reopen: () => openSlots(dir) };
  });
});

t.test('memory', async (t) => {
  await slotsContract(t, async () => {
    const disk = makeSlotsDisk(SLOT_SIZES);
    return await Promise.resolve({
      slots: memorySlots(disk),
      reopen: () => Promise.resolve(memorySlots(disk)),
    });
  });
});

t.test('space of every slot and seal is really allocated', async (t) => {
  const dir = t.testdir();
  await createSlots(dir, SLOT_SIZES);
  for (const name of ['system-A', 'system-B', 'storage-A', 'storage-B']) {
    const found = await stat(join(dir, `${name}.img`));
    t.ok(found.blocks * 512 >= found.size, `${name} has ${found.blocks} blocks`);
    t.equal((await stat(join(dir, `${name}.img.seal`))).size, 2 * COPY_BYTES);
  }
});

t.test('laying out again keeps content and seals', async (t) => {
  const dir = t.testdir();
  await createSlots(dir, SLOT_SIZES);
  await overwrite(join(dir, 'system-A.img'), 4096, Buffer.from('content'));
  await (await openSlots(dir)).seal('system', 'A', sealOf('1.0.0'));
  await createSlots(dir, SLOT_SIZES);
  t.ok((await (await openSlots(dir)).info('system', 'A')).seal);
  const bytes = await readFile(join(dir, 'system-A.img'));
  t.equal(bytes.toString('latin1', 4096, 4103), 'content');
});

t.test('a torn write of a seal leaves the one before', async (t) => {
  const dir = t.testdir();
  await createSlots(dir, SLOT_SIZES);
  const path = join(dir, 'system-A.img.seal');
  const slots = await openSlots(dir);
  await slots.seal('system', 'A', sealOf('1.0.0'));
  for (const torn of [0, COPY_BYTES]) {
    const before = await readFile(path);
    await overwrite(path, torn + 600, Buffer.from('torn'));
    await overwrite(path, torn + 24, Buffer.from('torn'));
    t.ok((await slots.info('system', 'A')).seal, `copy at ${torn}`);
    await overwrite(path, 0, before);
  }
  await slots.invalidate('system', 'A');
  for (const torn of [0, COPY_BYTES]) {
    const before = await readFile(path);
    await overwrite(path, torn + 24, Buffer.from('torn'));
    t.equal((await slots.info('system', 'A')).seal, null, 'no older seal comes back');
    await overwrite(path, 0, before);
  }
});

t.test('a seal damaged in both copies, empty or of another slot counts as none', async (t) => {
  const dir = t.testdir();
  await createSlots(dir, SLOT_SIZES);
  const path = join(dir, 'system-A.img.seal');
  const slots = await openSlots(dir);
  await slots.seal('system', 'A', sealOf('1.0.0'));
  await overwrite(join(dir, 'system-B.img.seal'), 0, await readFile(path));
  t.equal((await slots.info('system', 'B')).seal, null, 'of another slot');
  await overwrite(path, 100, Buffer.from('x'));
  await overwrite(path, COPY_BYTES + 100, Buffer.from('x'));
  t.equal((await slots.info('system', 'A')).seal, null, 'damaged');
  await slots.seal('system', 'A', sealOf('2.0.0'));
  t.equal((await slots.info('system', 'A')).seal?.release.version, '2.0.0', 'written again');
  await using file = await open(path, 'r+');
  await file.truncate(0);
  t.equal((await slots.info('system', 'A')).seal, null, 'empty');
});

t.test(
  'a seal that does not tell of a commit, or not with a number, was never committed',
  async (t) => {
    const dir = t.testdir();
    await createSlots(dir, SLOT_SIZES);
    const slots = await openSlots(dir);
    const { committed: _none, ...earlier } = sealOf('1.0.0');
    for (const value of [earlier, { ...earlier, committed: '3' }, { ...earlier, committed: -1 }]) {
      await using file = await TwoCopyFile.open(join(dir, 'system-A.img.seal'));
      await file.write({ schema: 1, class: 'system', slot: 'A', seal: value });
      t.same((await slots.info('system', 'A')).seal, { ...earlier, committed: null });
    }
    await slots.seal('system', 'A', { ...sealOf('1.0.0'), committed: 0 });
    t.equal((await slots.info('system', 'A')).seal?.committed, 0);
  },
);

t.test('missing files, odd sizes and a newer schema are errors with a code', async (t) => {
  const dir = t.testdir();
  await t.rejects(openSlots(dir), { code: 'slot.io' });
  await t.rejects(createSlots(dir, { system: 4095, storage: 4096 }), { code: 'slot.io' });
  const huge = { system: 2 ** 52, storage: 4096 };
  await t.rejects(createSlots(join(dir, 'huge'), huge), { code: 'space.depot' });
  await createSlots(dir, SLOT_SIZES);
  {
    await using file = await TwoCopyFile.open(join(dir, 'system-A.img.seal'));
    await file.write({ schema: 2, class: 'system', slot: 'A', seal: null });
  }
  const slots = await openSlots(dir);
  await t.rejects(slots.info('system', 'A'), { code: 'state.newer_schema' });
  await t.rejects(slots.seal('system', 'A', sealOf('1.0.0')), { code: 'state.newer_schema' });
});
