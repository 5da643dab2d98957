/**
 * The disk of an appliance: its partitions, the same bytes every time, what is where, and what is
 * refused. Imports tap, node and the disk's maker.
 */
import { open, readFile, readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { makeDisk, type DiskSpec } from '../../scripts/appliance/disk.ts';
import { GRUB_DIR, GRUB_MODULES } from '../../scripts/appliance/disk-grub.ts';
import {
  layoutOf,
  MIB,
  PARTITION_NAMES,
  partitionOf,
  SEAL_BYTES,
  sealOffset,
  slotPartitionName,
} from '../../scripts/appliance/layout.ts';
import { missingHostTools } from '../../scripts/appliance/host-tools.ts';
import { decodeGrubCounter, decodeGrubState } from '../../src/drivers/boot-grub-env.ts';

const SIZES = { systemBytes: 3 * MIB, storageBytes: 2 * MIB, dataBytes: MIB, storeBytes: 4 * MIB };
const missing = await missingHostTools(['disk']);
const skip = missing.length > 0 && `${missing.map(({ tool }) => tool).join(', ')} not installed`;

t.test('the layout: numbers, order, sizes', async (t) => {
  const layout = layoutOf(SIZES);
  t.strictSame(
    layout.partitions.map(({ number, name, startBytes, sizeBytes }) => [
      `${number} ${name}`,
      startBytes / MIB,
      sizeBytes / MIB,
    ]),
    [
      ['1 tandem-grub', 1, 1],
      ['2 tandem-boot', 2, 4],
      ['3 tandem-state', 6, 1],
      ['4 tandem-system-a', 7, 3],
      ['5 tandem-system-b', 10, 3],
      ['6 tandem-storage-a', 13, 2],
      ['7 tandem-storage-b', 15, 2],
      ['8 tandem-data', 17, 1],
      ['9 tandem-store', 18, 4],
    ],
  );
  t.equal(layout.totalBytes, 23 * MIB);
  t.equal(slotPartitionName('storage', 'B'), 'tandem-storage-b');
  t.equal(sealOffset(partitionOf(layout, 'tandem-system-a')), 3 * MIB - 4096);
  for (const systemBytes of [0, -MIB, MIB + 1, 1.5, Number.NaN]) {
    t.throws(() => layoutOf({ ...SIZES, systemBytes }), { code: 'internal.bug' });
  }
});

/** Images and seals of an appliance in the folder of the test. */
async function specIn(dir: string, name: string): Promise<DiskSpec> {
  const image = join(dir, 'system.img');
  const room = SIZES.systemBytes - SEAL_BYTES;
  await writeFile(image, 'begin');
  await truncate(image, room);
  await using file = await open(image, 'r+');
  await file.write('end', room - 3);
  return {
    path: join(dir, name),
    sizes: SIZES,
    images: { 'tandem-system-b': image },
    seals: { 'tandem-system-b': new Uint8Array(SEAL_BYTES).fill(7) },
    boot: { default: 'B', otherOk: true },
    kernelArguments: ['console=ttyS0,115200'],
  };
}

t.test('the same input gives the same bytes, and zeros take no space', { skip }, async (t) => {
  const dir = t.testdir();
  const spec = await specIn(dir, 'one.img');
  const layout = await makeDisk(spec);
  const disk = await readFile(spec.path);
  await makeDisk({ ...spec, path: join(dir, 'two.img') });
  t.ok(disk.equals(await readFile(join(dir, 'two.img'))));
  await makeDisk(spec);
  t.ok(disk.equals(await readFile(spec.path)), 'a disk that is there is replaced');
  t.equal(disk.length, layout.totalBytes);
  t.ok((await stat(spec.path)).blocks * 512 < 2 * MIB, 'sparse');
  t.strictSame((await readdir(dir)).toSorted(), ['one.img', 'system.img', 'two.img']);
});

t.test('everything is where the layout says', { skip }, async (t) => {
  const spec = await specIn(t.testdir(), 'disk.img');
  const layout = await makeDisk(spec);
  const disk = await readFile(spec.path);
  const at = (name: (typeof PARTITION_NAMES)[number]): Buffer =>
    disk.subarray(partitionOf(layout, name).startBytes);
  // Entries of the GPT have 128 bytes and begin in sector 2: first and last sector, then the name.
  const entries = PARTITION_NAMES.map((_, index) => disk.subarray(1024 + 128 * index));
  t.strictSame(
    entries.map((entry) => [
      entry.toString('utf16le', 56, 128).replaceAll('\0', ''),
      Number(entry.readBigUInt64LE(32)) * 512,
      (Number(entry.readBigUInt64LE(40)) + 1) * 512,
    ]),
    layout.partitions.map(({ name, startBytes, sizeBytes }) => [
      name,
      startBytes,
      startBytes + sizeBytes,
    ]),
  );
  t.equal(disk.readBigUInt64LE(0x5c), 2048n, 'the first sector loads the core');
  t.equal(at('tandem-grub').readBigUInt64LE(0x1f4), 2049n, 'which loads the rest of itself');
  const state = { default: 'B', trial: null, trialId: 0, tries: 0, otherOk: true };
  t.match(decodeGrubState(at('tandem-state')), { ...state, seq: 1 });
  t.match(decodeGrubState(at('tandem-state').subarray(4096)), { ...state, seq: 2 });
  const slot = at('tandem-system-b').subarray(0, SIZES.systemBytes);
  t.equal(slot.toString('latin1', 0, 5), 'begin');
  t.equal(slot.toString('latin1', slot.length - SEAL_BYTES - 3, slot.length - SEAL_BYTES), 'end');
  t.ok(slot.subarray(-SEAL_BYTES).every((byte) => byte === 7));
  t.ok(
    at('tandem-system-a')
      .subarray(0, SIZES.systemBytes)
      .every((byte) => byte === 0),
  );
  const fat = at('tandem-boot').subarray(0, 4 * MIB);
  const counter = fat.indexOf('# GRUB Environment Block');
  t.same(decodeGrubCounter(fat.subarray(counter, counter + 512)), { trialId: 0, used: 0 });
  t.equal(counter % 512, 0, 'one sector');
});

/** Words at which a command of GRUB's scripts begins, without those of the language. */
function commandsIn(script: string): readonly string[] {
  const code = script.replaceAll(/^\s*#.*$|\\\n/gm, '').replaceAll(/\b(if|elif|then|else)\b/g, ';');
  const words = code.split(/[;\n]/).map((part) => part.trim().split(/\s/)[0] ?? '');
  const language = ['', 'fi', 'for', 'do', 'done', 'function', '}', 'return', 'set', 'unset'];
  return [...new Set(words)].filter((word) => !language.includes(word)).toSorted();
}

t.test('the core has every command of the scripts', { skip }, async (t) => {
  const script = await readFile(new URL('../../images/boot/grub.cfg', import.meta.url), 'utf8');
  const core = await readFile(new URL('../../images/boot/core.cfg', import.meta.url), 'utf8');
  const own = [...script.matchAll(/^function (\w+) \{/gm)].map((match) => match[1]);
  const list = await readFile(join(GRUB_DIR, 'command.lst'), 'utf8');
  const moduleOf = new Map(
    [...list.matchAll(/^\*?(\S+): (\S+)$/gm)].map((match) => [match[1], match[2]] as const),
  );
  const modules: readonly (string | undefined)[] = GRUB_MODULES;
  const used = commandsIn(`${script}\n${core}`).filter((word) => !own.includes(word));
  t.ok(used.length > 12, used.join(' '));
  t.strictSame(
    used.filter((word) => !modules.includes(moduleOf.get(word))),
    [],
  );
});

t.test('what cannot be made leaves nothing behind', { skip }, async (t) => {
  const dir = t.testdir();
  const spec = await specIn(dir, 'disk.img');
  const files = (await readdir(dir)).toSorted();
  await truncate(join(dir, 'system.img'), SIZES.systemBytes - SEAL_BYTES + 1);
  await t.rejects(makeDisk(spec), {
    code: 'space.slot',
    detail: { maxBytes: SIZES.systemBytes - SEAL_BYTES },
  });
  const lost = { 'tandem-data': join(dir, 'none.img') };
  await t.rejects(makeDisk({ ...spec, images: lost }), { code: 'file.not_found' });
  await t.rejects(makeDisk({ ...spec, images: { 'tandem-data': dir } }), {
    code: 'file.unreadable',
  });
  const plain = { ...spec, images: {} };
  await t.rejects(makeDisk({ ...plain, seals: { 'tandem-system-a': new Uint8Array(512) } }), {
    code: 'internal.bug',
  });
  await t.rejects(makeDisk({ ...plain, kernelArguments: ['a"b'] }), { code: 'internal.bug' });
  await t.rejects(makeDisk({ ...plain, path: join(dir, 'none/disk.img') }), {
    code: 'file.not_found',
  });
  const { PATH } = process.env;
  process.env['PATH'] = '';
  try {
    await t.rejects(makeDisk(plain), { code: 'tool.missing', detail: { package: /^\w/ } });
  } finally {
    process.env['PATH'] = PATH;
  }
  t.strictSame((await readdir(dir)).toSorted(), files);
});
