/**
 * Runs the tools of the machine that images are made with. Always holds: a tool that is missing is
 * named together with its Debian package, and a tool that fails shows its own words. Imports core.
 */
import { spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';

/** Debian package of each tool that the scripts use. */
export const PACKAGE_OF = {
  mke2fs: 'e2fsprogs',
  debugfs: 'e2fsprogs',
  e2fsck: 'e2fsprogs',
  ldd: 'libc-bin',
  strip: 'binutils',
  'apt-get': 'apt',
  'apt-cache': 'apt',
  'dpkg-deb': 'dpkg',
  mksquashfs: 'squashfs-tools',
  unsquashfs: 'squashfs-tools',
  sfdisk: 'fdisk',
  mformat: 'mtools',
  mcopy: 'mtools',
  'grub-mkimage': 'grub-common',
  'grub-script-check': 'grub-common',
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  cp: 'coreutils',
  make: 'make',
  tar: 'tar',
  xz: 'xz-utils',
  'gcc-12': 'gcc-12',
  debootstrap: 'debootstrap',
  lintian: 'lintian',
  setpriv: 'util-linux',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
} as const;
/** A tool of the machine that images are made with. */
export type Tool = keyof typeof PACKAGE_OF;

/** The most that a tool may print before its output is cut. */
const OUTPUT_BYTES_MAX = 1024 * 1024;

/** Path of a tool or null; looks in the system directories too, which a user's PATH may lack. */
export async function findTool(tool: Tool): Promise<string | null> {
  const dirs = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const dir of dirs) {
    if (!dir.startsWith('/')) continue;
    const path = join(dir, tool);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Not here; the next directory may have it.
    }
  }
  return null;
}

/** Path of a tool; throws `tool.missing` with the name of its Debian package. */
export async function needTool(tool: Tool): Promise<string> {
  const path = await findTool(tool);
  if (path !== null) return path;
  const name = PACKAGE_OF[tool];
  throw new UpdateError('tool.missing', `${tool} is not installed (Debian package ${name})`, {
    detail: { tool, package: name },
  });
}

/** What a finished tool said. */
export interface ToolOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a tool with `input` on its standard input and waits for it. Throws when it ends with another
 * status than 0, with the last words that it printed.
 */
export async function runTool(
  tool: Tool,
  args: readonly string[],
  options: {
    readonly input?: string;
    /** Beside the variables of this process; undefined takes one away. */
    readonly env?: Readonly<Record<string, string | undefined>>;
    /** Folder that the tool works in; default: that of this process. */
    readonly cwd?: string;
  } = {},
): Promise<ToolOutput> {
  const path = await needTool(tool);
  const env = { ...process.env, LC_ALL: 'C', ...options.env };
  const stdio: ['pipe', 'pipe', 'pipe'] = ['pipe', 'pipe', 'pipe'];
  const child = spawn(path, args, { env, stdio, ...(options.cwd ? { cwd: options.cwd } : {}) });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8');
    child[name].on('data', (text: string) => {
      if (output[name].length < OUTPUT_BYTES_MAX) output[name] += text;
    });
  }
  // A tool that ends before it read everything breaks the pipe; its exit status says why.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const status = await new Promise<number | null>((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done(code));
  });
  if (status !== 0) {
    const words = (output.stderr || output.stdout).trim().split('\n').slice(-3).join('; ');
    throw new UpdateError('tool.failed', `${tool} ended with status ${String(status)}: ${words}`);
  }
  return output;
}
