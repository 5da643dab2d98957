/**
 * Programs and devices of the machine that a benchmark needs: which are there, how they are
 * installed when somebody asks for it, loop devices, keys. Always holds: nothing is installed
 * without being asked for, and what is installed is said first; a loop device that was taken is
 * given back. Imports core and node:.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { UpdateError } from '../../src/core/errors.ts';

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/** What a program printed. Throws `tool.failed` with its last words. */
export async function output(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  try {
    const { stdout } = await run(program, args, { ...options, maxBuffer: OUTPUT_BYTES_MAX });
    return stdout;
  } catch (cause) {
    const words = (cause as { stderr?: string }).stderr?.slice(-600) ?? String(cause);
    throw new UpdateError('tool.failed', `${program} ${args[0] ?? ''}: ${words}`, { cause });
  }
}

/** Whether a program can be started. */
export async function hasProgram(program: string): Promise<boolean> {
  const args = ['-c', 'command -v "$0" >/dev/null', program];
  return await run('sh', args).then(
    () => true,
    () => false,
  );
}

/** Installs packages with Debian's own client; says which. Throws `tool.failed`. */
export async function installPackages(
  names: readonly string[],
  tell: (line: string) => void,
): Promise<void> {
  const args = ['install', '-y', '--no-install-recommends', ...names];
  tell(`installs Debian packages: apt-get ${args.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const child = spawn('apt-get', args, { stdio: ['ignore', 2, 2], env });
  const failed = once(child, 'error').then(([error]: unknown[]) => String(error));
  const status: unknown = await Promise.race([once(child, 'close').then(([s]) => s), failed]);
  if (status === 0) return;
  throw new UpdateError('tool.failed', `apt-get ended with ${String(status)}`);
}

/** True for root, who may have loop devices. */
export const isRoot = (): boolean => process.getuid?.() === 0;

/** A file as a block device that is written past the page cache. */
export interface LoopDevice extends AsyncDisposable {
  readonly path: string;
}

/** Takes a free loop device. Throws `tool.failed` where there is none. */
export async function loopDevice(file: string): Promise<LoopDevice> {
  const args = ['--direct-io=on', '--find', '--show', file];
  const path = (await output('losetup', args)).trim();
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await output('losetup', ['--detach', path]);
    },
  };
}

/** Processor seconds of a process and of the children that it waited for. */
export async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // Behind the name, which may have spaces; proc(5): utime, stime, cutime, cstime are 14 to 17.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks / TICKS_PER_SECOND;
}

/** The kernel's clock ticks as user space sees them, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Peak of the resident memory of a process, in MiB. */
export async function peakMiB(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024;
}
