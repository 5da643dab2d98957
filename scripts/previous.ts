/**
 * Builds the release before this one from the history, so that tests can run the two side by side:
 * package.json pins its commit under `previousRelease`. Always holds: sources, programs and images
 * come from that commit and its own scripts; what it runs with are the packages of its lockfile, or
 * those of this tree while they are the same. `node scripts/previous.ts` builds it, and says what
 * to do when the commit is not there. Imports core and Node only.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { asUpdateError, UpdateError } from '../src/core/errors.ts';
import type { SlotClass } from '../src/core/model.ts';
import { BUILD_DIR, PROJECT_DIR, type Programs } from './build.ts';

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const TOOL_MS = 240_000;

/** Which commit counts as the release before this one. */
export interface Pin {
  readonly version: string;
  /** Full name of the commit, 40 hexadecimal digits. */
  readonly commit: string;
}

/** An image that a release's own script makes. */
export interface ReleaseImage {
  readonly class: SlotClass;
  readonly product: string;
  readonly version: string;
  readonly counter: number;
}

/** A release that was built in a tree of its own. */
export interface BuiltRelease {
  /** Its source tree. */
  readonly dir: string;
  readonly programs: Programs;
  /** Path of an image, made by the release's own script; made once. */
  image(spec: ReleaseImage): Promise<string>;
}

/** The previous release, built. */
export type Previous = Pin & BuiltRelease;

/** The pin in the package.json of `root`; throws `tool.failed` when it has none. */
export async function pinOf(root: string): Promise<Pin> {
  const text = await readFile(join(root, 'package.json'), 'utf8');
  const { previousRelease: pin } = JSON.parse(text) as { previousRelease?: Partial<Pin> };
  const { version, commit } = pin ?? {};
  if (typeof version === 'string' && /^[0-9a-f]{40}$/.test(commit ?? '')) {
    return { version, commit: commit! };
  }
  const message = 'package.json names no commit under previousRelease { version, commit }';
  throw new UpdateError('tool.failed', message);
}

/** Runs a program to its end; its own words are in the error when it fails. */
async function tool(name: string, args: readonly string[], cwd: string): Promise<string> {
  // A hook or a parent that works on another repository must not lead git there.
  const { GIT_DIR: _dir, GIT_WORK_TREE: _tree, ...env } = process.env;
  try {
    const limits = { maxBuffer: OUTPUT_BYTES_MAX, timeout: TOOL_MS };
    const { stdout } = await run(name, [...args], { cwd, env, ...limits });
    return stdout;
  } catch (cause) {
    const { code, stderr } = cause as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') {
      throw new UpdateError('tool.missing', `${name} is not installed (Debian package ${name})`);
    }
    const words = (stderr ?? '').trim().split('\n').slice(-5).join('; ');
    const message = `\`${name} ${args.join(' ')}\` failed: ${words || String(cause)}`;
    throw new UpdateError('tool.failed', message, { cause });
  }
}

/**
 * Throws `tool.failed`, with what to do, when `root` has no history with the commit; `tool.missing`
 * without git.
 */
export async function needCommit(root: string, { version, commit }: Pin): Promise<void> {
  const words = async (...args: string[]): Promise<string | null> =>
    tool('git', args, root).catch((error: unknown) => {
      if (asUpdateError(error).code === 'tool.missing') throw error;
      return null;
    });
  if ((await words('cat-file', '-e', `${commit}^{commit}`)) !== null) return;
  const lacks = `the previous release ${version} is commit ${commit.slice(0, 12)}`;
  const shallow = (await words('rev-parse', '--is-shallow-repository'))?.trim();
  const [why, remedy] =
    shallow === undefined
      ? ['these sources have no git history', 'work in a clone of the repository']
      : shallow === 'true'
        ? ['this clone is shallow and does not have it', 'run `git fetch --unshallow`']
        : ['this clone does not have it', 'run `git fetch origin`'];
  throw new UpdateError('tool.failed', `${lacks}, and ${why}: ${remedy}, then try again`);
}

type Packages = Readonly<Record<string, { version?: string; integrity?: string } | undefined>>;

async function packagesOf(file: string): Promise<Packages> {
  return (JSON.parse(await readFile(file, 'utf8')) as { packages: Packages }).packages;
}

/** Whether every package of a lockfile that is needed here is installed in this tree, the same. */
async function sameHere(lockfile: string): Promise<boolean> {
  const here = await packagesOf(join(PROJECT_DIR, 'package-lock.json'));
  return Object.entries(await packagesOf(lockfile)).every(([path, locked]) => {
    if (path === '') return true;
    return here[path]?.version === locked?.version && here[path]?.integrity === locked?.integrity;
  });
}

/** Gives a source tree its packages. */
async function installPackages(dir: string): Promise<void> {
  if (await sameHere(join(dir, 'package-lock.json'))) {
    await symlink(join(PROJECT_DIR, 'node_modules'), join(dir, 'node_modules'));
    return;
  }
  await tool('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], dir);
}

/** False when this tree's packages were used for it, and they are others by now. */
async function usable(dir: string): Promise<boolean> {
  try {
    await access(join(dir, 'build/tandem.mjs'));
    const borrowed = (await readlink(join(dir, 'node_modules')).catch(() => null)) !== null;
    return !borrowed || (await sameHere(join(dir, 'package-lock.json')));
  } catch {
    return false;
  }
}

/** Sources, packages and programs of a commit in `dir`, which appears only when it is complete. */
async function makeTree(root: string, commit: string, dir: string): Promise<void> {
  await mkdir(join(dir, '..'), { recursive: true });
  const part = `${dir}.${String(process.pid)}.part`;
  try {
    await mkdir(part);
    await tool('git', ['archive', '--output', `${part}/tree.tar`, commit], root);
    await tool('tar', ['-xf', 'tree.tar'], part);
    await rm(`${part}/tree.tar`);
    await installPackages(part);
    await buildTree(part);
    await rm(dir, { recursive: true, force: true });
    await rename(part, dir);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

/**
 * The previous release, built below `build/previous` unless it is there already. Throws
 * `tool.failed` with the remedy when the history of `root` lacks its commit, or when its own build
 * fails; `tool.missing` without git or tar.
 */
export async function openPrevious(root: string = PROJECT_DIR): Promise<Previous> {
  const pin = await pinOf(root);
  const dir = join(BUILD_DIR, 'previous', pin.commit);
  await needCommit(root, pin);
  if (!(await usable(dir))) await makeTree(root, pin.commit, dir);
  return { ...pin, ...builtIn(dir) };
}

/** Builds the programs of a source tree with its own script; throws `tool.failed`. */
export async function buildTree(dir: string): Promise<BuiltRelease> {
  await tool(process.execPath, ['scripts/build.ts', 'build'], dir);
  return builtIn(dir);
}

function builtIn(dir: string): BuiltRelease {
  const program = (name: string): string => join(dir, 'build', `${name}.mjs`);
  const programs: Programs = {
    tandem: program('tandem'),
    storage: program('storage'),
    workload: program('workload'),
  };
  return { dir, programs, image: async (spec) => imageOf(dir, spec) };
}

async function imageOf(dir: string, spec: ReleaseImage): Promise<string> {
  const { class: cls, product, version, counter } = spec;
  const out = join(dir, 'build', `${product}-${cls}-${version}-${String(counter)}.img`);
  const there = await access(out).then(
    () => true,
    () => false,
  );
  if (there) return out;
  const words = ['--product', product, '--version', version, '--counter', String(counter)];
  await tool(process.execPath, ['scripts/make-image.ts', cls, ...words, '--out', out], dir);
  return out;
}

if (import.meta.main) {
  try {
    const { version, commit, dir } = await openPrevious();
    process.stdout.write(`${version}, commit ${commit.slice(0, 12)}, is built in ${dir}\n`);
  } catch (error) {
    const failure = asUpdateError(error);
    process.stderr.write(`previous: ${failure.message}\n`);
    process.exitCode = failure.exit;
  }
}
