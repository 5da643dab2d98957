/**
 * Runs a piece of a test in a process for which the disk is small: a file system of its own where
 * the tests may mount one (in a mount namespace that vanishes with the process), and a limit on the
 * size of a file everywhere. May import node:.
 */
import { spawnSync } from 'node:child_process';

export interface SmallRun {
  /** JSON that the script printed as its last line; null when it printed none. */
  readonly result: unknown;
  readonly stderr: string;
}

/** Node evaluates `script` (an ES module) with `args` behind `process.argv[1]`. */
function run(wrapper: readonly string[], script: string, args: readonly string[]): SmallRun {
  const node = [process.execPath, '--input-type=module', '--eval', script, '--', ...args];
  const [command = '', ...rest] = [...wrapper, ...node];
  const { stdout, stderr } = spawnSync(command, rest, { encoding: 'utf8' });
  const last = stdout.trim().split('\n').at(-1) ?? '';
  return { result: last.startsWith('{') ? (JSON.parse(last) as unknown) : null, stderr };
}

/** No file that the process writes can become larger than `limitBytes`. */
export function withFileLimit(
  limitBytes: number,
  script: string,
  args: readonly string[],
): SmallRun {
  const shell = ['bash', '-c', `ulimit -f ${Math.floor(limitBytes / 1024)} && exec "$0" "$@"`];
  return run(shell, script, args);
}

/** True when the tests may mount a file system (root, in most containers not). */
export function canMount(): boolean {
  return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
}

/** `dir` is a fresh file system of `sizeBytes` while the process runs. */
export function withTmpfs(
  dir: string,
  sizeBytes: number,
  script: string,
  args: readonly string[],
): SmallRun {
  const mount = `mount -t tmpfs -o size=${sizeBytes} none "$0" && exec "$@"`;
  return run(['unshare', '--mount', 'bash', '-c', mount, dir], script, args);
}
