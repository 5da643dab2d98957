/**
 * What the build machine must have for the appliance image, its disk and the bench: tools and a few
 * files that tools read, each with its Debian package. Always holds: what is missing is named with
 * the package that brings it, and nothing is installed unless that was asked for. Imports core and
 * the tools.
 */
import { access } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { UpdateError } from '../../src/core/errors.ts';
import { findTool, needTool, PACKAGE_OF, type Tool } from '../image/tools.ts';

/** What needs tools: building an image, laying out a disk, running the pair. */
export type HostPurpose = 'image' | 'disk' | 'bench';

/** For the one kernel module that is built. */
const MODULE = ['make', 'gcc-12', 'tar', 'xz'] as const satisfies readonly Tool[];

const TOOLS = {
  image: ['apt-get', 'apt-cache', 'dpkg-deb', 'mksquashfs', 'unsquashfs', 'strip', ...MODULE],
  disk: ['sfdisk', 'mke2fs', 'debugfs', 'mformat', 'mcopy', 'grub-mkimage', 'grub-script-check'],
  bench: ['qemu-system-x86_64', 'qemu-img', 'setpriv', 'ssh', 'ssh-keygen'],
} as const satisfies Record<HostPurpose, readonly Tool[]>;

/** Files that are no programs, by the Debian package that has them. */
const FILES = {
  // Of the programs that build a kernel module.
  image: { libelf1: '/usr/lib/x86_64-linux-gnu/libelf.so.1' },
  disk: { 'grub-pc-bin': '/usr/lib/grub/i386-pc/boot.img' },
  bench: {},
} as const satisfies Record<HostPurpose, Readonly<Record<string, string>>>;

/** A tool or file that is not there. */
export interface MissingTool {
  /** Name of the tool, or path of the file. */
  readonly tool: string;
  /** Debian package that brings it. */
  readonly package: string;
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Names of the tools and paths of the files that these purposes need. */
export function hostToolsFor(purposes: readonly HostPurpose[]): readonly string[] {
  return purposes.flatMap((purpose) => [...TOOLS[purpose], ...Object.values(FILES[purpose])]);
}

/** What is missing for these purposes, in a fixed order; empty when nothing is. */
export async function missingHostTools(purposes: readonly HostPurpose[]): Promise<MissingTool[]> {
  const missing: MissingTool[] = [];
  for (const purpose of purposes) {
    for (const tool of TOOLS[purpose]) {
      if ((await findTool(tool)) === null) missing.push({ tool, package: PACKAGE_OF[tool] });
    }
    for (const [name, file] of Object.entries(FILES[purpose])) {
      if (!(await isThere(file))) missing.push({ tool: file, package: name });
    }
  }
  return missing;
}

/** The Debian packages of what is missing, each once, in the order of their first need. */
export function packagesOf(missing: readonly MissingTool[]): readonly string[] {
  return [...new Set(missing.map((one) => one.package))];
}

/** Throws `tool.missing` with every tool that is missing and the command that installs them. */
export async function needHostTools(purposes: readonly HostPurpose[]): Promise<void> {
  const missing = await missingHostTools(purposes);
  if (missing.length === 0) return;
  const packages = packagesOf(missing);
  const tools = missing.map((one) => `${one.tool} (Debian package ${one.package})`).join(', ');
  const message = `not installed: ${tools}; as root: apt-get install ${packages.join(' ')}`;
  throw new UpdateError('tool.missing', message, { detail: { packages } });
}

/** Runs apt-get with its words on standard error, so that a download that takes long is seen. */
async function aptGet(args: readonly string[]): Promise<void> {
  const path = await needTool('apt-get');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const child = spawn(path, ['-qq', ...args], { env, stdio: ['ignore', 2, 2] });
  const status = await new Promise<number | null>((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done(code));
  });
  if (status === 0) return;
  const message = `apt-get ${args.join(' ')} ended with status ${String(status)}`;
  throw new UpdateError('tool.failed', message);
}

/**
 * Installs what is missing for these purposes with apt-get and says so through `say`; needs root.
 * Throws `tool.missing` when it may not install or when a tool is still missing afterwards, and
 * `tool.failed` when apt-get fails. Does nothing when nothing is missing.
 */
export async function installHostTools(
  purposes: readonly HostPurpose[],
  say: (line: string) => void,
): Promise<void> {
  const missing = await missingHostTools(purposes);
  if (missing.length === 0) return;
  if (process.getuid?.() === 0) {
    const packages = packagesOf(missing);
    const tools = missing.map((one) => one.tool).join(', ');
    say(`installing the Debian packages ${packages.join(' ')}, because of ${tools}`);
    await aptGet(['update']);
    await aptGet(['-y', 'install', '--no-install-recommends', ...packages]);
  }
  await needHostTools(purposes);
}
