/**
 * The parts of the appliance image that need no package and no tool: archive, order of modules,
 * trees, records of packages, faults of the bad images. Imports scripts/appliance.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { cpioOf } from '../../scripts/appliance/cpio.ts';
import {
  packageOf,
  parseParagraph,
  parseRecord,
  recordText,
} from '../../scripts/appliance/debian.ts';
import { isElf, moduleInfo, neededLibraries } from '../../scripts/appliance/elf.ts';
import { missingHostTools, packagesOf } from '../../scripts/appliance/host-tools.ts';
import { dependsOn, loadOrder, moduleName } from '../../scripts/appliance/modules.ts';
import { serviceFiles } from '../../scripts/appliance/rootfs.ts';
import { completeTree, filesBelow, without, writeTree } from '../../scripts/appliance/tree.ts';
import {
  APPLIANCE_VARIANTS,
  faultyTree,
  isApplianceVariant,
  systemVariantOf,
} from '../../scripts/appliance/variants.ts';

const IMAGES = join(import.meta.dirname, '../../images');
const ROOT = join(IMAGES, 'appliance/root');
const UNITS = join(IMAGES, 'units');

const TREE = [
  { path: '/init', mode: 0o755, text: 'first\n' },
  { path: '/bin/sh', link: 'busybox' },
  { path: '/dev/console', mode: 0o600, device: { major: 5, minor: 1 } },
  { path: '/bin/busybox', mode: 0o755, bytes: Buffer.from([1, 2, 3]) },
] as const;

/** The archive counts in words of four bytes. */
const up = (bytes: number): number => Math.ceil(bytes / 4) * 4;

t.test('a tree has its folders, in order, each path once', async (t) => {
  const again = { path: '/init', mode: 0o700, text: 'last\n' };
  const tree = completeTree([...TREE, again]);
  const paths = ['/bin', '/bin/busybox', '/bin/sh', '/dev', '/dev/console', '/init'];
  t.strictSame(
    tree.map((entry) => entry.path),
    paths,
  );
  t.strictSame(tree.at(-1), again);
  t.strictSame(completeTree([...TREE].toReversed()), completeTree(TREE));
  t.throws(() => completeTree([{ path: '/a/../b', link: 'x' }]), { code: 'internal.bug' });
  t.throws(() => completeTree([{ path: 'a', link: 'x' }]), { code: 'internal.bug' });
  const inFile = [...TREE, { path: '/init/x', link: 'y' }];
  t.throws(() => completeTree(inFile), { code: 'internal.bug' });
  t.equal(without(tree, '/bin').length, 3);
});

t.test('an archive is as the kernel reads it, and the same each time', async (t) => {
  const archive = await cpioOf(completeTree(TREE));
  t.ok(archive.equals(await cpioOf(completeTree(TREE))));
  const names: string[] = [];
  const modes: number[] = [];
  const field = (at: number, i: number): number => {
    const from = at + 6 + i * 8;
    return Number.parseInt(archive.toString('latin1', from, from + 8), 16);
  };
  let at = 0;
  while (at < archive.length) {
    t.equal(archive.toString('latin1', at, at + 6), '070701');
    t.equal(field(at, 2) + field(at, 3), 0, 'root owns it');
    names.push(archive.toString('latin1', at + 110, at + 110 + field(at, 11) - 1));
    modes.push(field(at, 1));
    at += up(110 + field(at, 11)) + up(field(at, 6));
  }
  t.equal(at, archive.length);
  t.strictSame(names, ['bin', 'bin/busybox', 'bin/sh', 'dev', 'dev/console', 'init', 'TRAILER!!!']);
  t.strictSame(modes, [0o40755, 0o100755, 0o120777, 0o40755, 0o020600, 0o100755, 0]);
  t.ok(archive.includes('first\n'));
});

t.test('a written tree has the modes of its entries, whatever the umask says', async (t) => {
  const dir = t.testdir();
  const old = process.umask(0o077);
  t.teardown(() => process.umask(old));
  await writeTree(completeTree([{ path: '/a/b', mode: 0o644, text: 'x' }]), dir);
  const modes = await Promise.all(['', 'a', 'a/b'].map((path) => stat(join(dir, path))));
  t.strictSame(
    modes.map(({ mode }) => mode & 0o777),
    [0o755, 0o755, 0o644],
  );
});

t.test('modules come after what they need', async (t) => {
  const needs: Readonly<Record<string, readonly string[]>> = {
    virtio_blk: ['virtio', 'virtio_ring'],
    virtio: ['virtio_ring'],
    i6300esb: ['watchdog'],
    round: ['trip'],
    trip: ['round'],
  };
  const of = (name: string): readonly string[] => needs[name] ?? [];
  const order = ['watchdog', 'i6300esb', 'virtio_ring', 'virtio', 'virtio_blk'];
  t.strictSame(loadOrder(['i6300esb', 'virtio_blk', 'virtio'], of), order);
  t.throws(() => loadOrder(['round'], of), { code: 'tool.failed', message: /round/ });
  t.equal(moduleName('kernel/drivers/virtio-rng.ko'), 'virtio_rng');
  const fields = [
    ['license', 'GPL'],
    ['depends', 'virtio-ring,virtio'],
  ] as const;
  t.strictSame(dependsOn(fields), ['virtio_ring', 'virtio']);
  t.strictSame(dependsOn([['depends', '']]), []);
});

t.test('libraries of a program are read from it', async (t) => {
  const node = await readFile(process.execPath);
  t.ok(isElf(node));
  const needed = neededLibraries(node);
  t.ok(needed.includes('libc.so.6') && needed.includes('libstdc++.so.6'), needed.join(' '));
  t.throws(() => moduleInfo(node), { code: 'tool.failed', message: /modinfo/ });
  t.throws(() => neededLibraries(node.subarray(0, 4096)), { code: 'tool.failed' });
  t.throws(() => neededLibraries(Buffer.from('#!/bin/sh\n')), { code: 'tool.failed' });
});

const SHOWN = `Package: zlib1g
Version: 1:1.2.13.dfsg-1
Architecture: amd64
Description: compression library
 zlib is a library
 Version: 9
Size: 86684
SHA256: ${'a1'.repeat(32)}

Package: zlib1g
Version: 2
`;

t.test('packages: what apt shows, and the record', async (t) => {
  t.equal(parseParagraph(SHOWN).get('Description'), 'compression library');
  const one = packageOf('zlib1g', SHOWN);
  t.strictSame(one, {
    name: 'zlib1g',
    version: '1:1.2.13.dfsg-1',
    architecture: 'amd64',
    sizeBytes: 86684,
    sha256: 'a1'.repeat(32),
  });
  t.throws(() => packageOf('zlib1g', 'Package: zlib1g\n'), { code: 'tool.failed' });
  const other = { ...one, name: 'libc6' };
  t.equal(recordText([one, other]), recordText([other, one]));
  t.strictSame(parseRecord(recordText([one, other]), 'record'), [other, one]);
  t.throws(() => parseRecord('{', 'record'), { code: 'tool.failed' });
  const bad = JSON.stringify([{ ...one, name: '../x' }]);
  t.throws(() => parseRecord(bad, 'record'), { code: 'tool.failed' });
});

t.test('bad images differ in their fault', async (t) => {
  const kernel = Buffer.alloc(30_000, 7);
  const good = completeTree([
    ...(await filesBelow(ROOT)),
    { path: '/boot/vmlinuz', mode: 0o644, bytes: kernel },
    { path: '/usr/sbin/init', link: '../bin/busybox' },
  ]);
  const differing = async (name: keyof typeof APPLIANCE_VARIANTS): Promise<readonly string[]> => {
    const bad = completeTree(await faultyTree(name, good));
    const all = [...good, ...bad].filter((entry) => !(good.includes(entry) && bad.includes(entry)));
    return [...new Set(all.map(({ path }) => path))].toSorted();
  };
  t.strictSame(await differing('good'), []);
  t.strictSame(await differing('file-system'), []);
  t.strictSame(await differing('no-init'), ['/usr/sbin/init']);
  t.strictSame(await differing('kernel-body'), ['/boot/vmlinuz']);
  t.strictSame(await differing('kernel-header'), ['/boot/vmlinuz']);
  const rc = ['/usr/lib/tandem/rc', '/usr/lib/tandem/rc.good'];
  t.strictSame(await differing('init-hangs'), rc);
  t.strictSame(await differing('panic'), rc);
  const again = await faultyTree('kernel-body', good);
  t.strictSame(again, await faultyTree('kernel-body', good));
  t.ok(
    kernel.every((byte) => byte === 7),
    'the good kernel is not touched',
  );
  t.ok(isApplianceVariant('panic') && !isApplianceVariant('toString'));
  t.equal(systemVariantOf('unhealthy'), 'unhealthy');
  t.equal(systemVariantOf('panic'), 'good');
});

t.test('programs of the image may be executed, its tables not', async (t) => {
  for (const entry of [...(await filesBelow(ROOT)), ...(await serviceFiles())]) {
    const program = /^\/(usr\/bin|usr\/lib\/tandem|etc\/init\.d)\/(?!boot-words)/.test(entry.path);
    t.equal('mode' in entry ? entry.mode : 0, program ? 0o755 : 0o644, entry.path);
  }
});

t.test(
  'the service is kept by the scripts of any machine, by the line that they tell',
  async (t) => {
    const files = await serviceFiles();
    t.equal(files.length, 5);
    const own = new Set((await filesBelow(ROOT)).map(({ path }) => path));
    for (const { path } of files) t.notOk(own.has(path), `${path} is nobody else's`);
    const line = /^::respawn:.*$/m;
    const example = await readFile(join(UNITS, 'usr/share/doc/tandem/examples/inittab'), 'utf8');
    const [shipped = ''] = line.exec(example) ?? [];
    const table = (await readFile(join(ROOT, 'etc/inittab'), 'utf8')).split('\n');
    t.ok(table.includes(shipped), shipped);
    t.ok(
      files.some(({ path }) => shipped.endsWith(path)),
      'and the image has it',
    );
  },
);

t.test('a missing tool is named with its package', async (t) => {
  const path = process.env['PATH'];
  process.env['PATH'] = '/nonexistent';
  t.teardown(() => {
    process.env['PATH'] = path;
  });
  const missing = await missingHostTools(['bench']);
  t.ok(missing.some((one) => one.package === 'qemu-system-x86'));
  t.strictSame(packagesOf([...missing, ...missing]), packagesOf(missing));
});
