/**
 * A fresh Debian that runs beside this machine: a folder made by debootstrap, in namespaces of its
 * own, with a first process of its own: systemd, or one that only reaps. Always holds: nothing of
 * it outlives the test, its network is its own loopback, and this machine's mounts, processes and
 * accounts are not touched. Needs root. Imports node and the tools.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  access,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UpdateError } from '../../src/core/errors.ts';
import { BUILD_DIR } from '../../scripts/build.ts';
import { runTool } from '../../scripts/image/tools.ts';

/** Which Debian: with an init system that is started, or without any. */
export type Kind = 'plain' | 'systemd';

const SUITE = 'bookworm';
/** Beside what every Debian has; the package's dependencies among them. */
const PACKAGES: Readonly<Record<Kind, readonly string[]>> = {
  plain: ['iproute2', 'busybox-static'],
  systemd: ['iproute2', 'systemd', 'systemd-sysv', 'libpam-systemd', 'dbus', 'man-db'],
};
const DIR = join(BUILD_DIR, 'package');
const READY_MS = 300_000;
const POLL_MS = 100;
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024;

/** A file that only such a root has. */
const MARK = '/etc/root-of-a-test';

/** Run as root of new namespaces: mounts what a system expects and becomes its first process. */
const FIRST = `
set -eu
root=$1 kind=$2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom; do
  : >"$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
: >"$root/dev/console"
if [ "$kind" = systemd ]; then
  if [ -d /sys/fs/cgroup/systemd ]; then
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    mkdir "$root/sys/fs/cgroup/systemd"
    mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
  else
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  fi
fi
ip link set lo up
cd "$root"
pivot_root . mnt
umount -l /mnt
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
if [ "$kind" = systemd ]; then
  exec env -i container=tandem-test PATH="$PATH" /lib/systemd/systemd --log-target=journal
fi
exec perl -e '$SIG{CHLD} = "IGNORE"; sleep while 1'
`;

/** How a command ended. */
export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where this machine has Debian's packages from. */
async function mirror(): Promise<string> {
  const format = ['--format', '$(CODENAME) $(REPO_URI)', 'Created-By: Packages'];
  const { stdout } = await runTool('apt-get', ['indextargets', ...format]);
  const line = stdout.split('\n').find((one) => one.startsWith(`${SUITE} `));
  if (line !== undefined) return line.slice(SUITE.length + 1);
  const message = `apt knows no place with Debian's ${SUITE}; see its sources`;
  throw new UpdateError('tool.failed', message);
}

/** The archive of a fresh root, made by debootstrap where there is none yet. */
async function archive(kind: Kind): Promise<string> {
  const file = join(DIR, `${SUITE}-${kind}.tar`);
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (there) return file;
  await mkdir(DIR, { recursive: true });
  const work = await mkdtemp(join(DIR, '.root-'));
  try {
    const root = join(work, 'root');
    const options = ['--variant=minbase', `--include=${PACKAGES[kind].join(',')}`];
    await runTool('debootstrap', [...options, SUITE, root, await mirror()]);
    await rm(join(root, 'var/cache/apt/archives'), { recursive: true, force: true });
    const part = join(work, basename(file));
    await runTool('tar', ['-C', root, '--numeric-owner', '-cf', part, '.']);
    await rename(part, file);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return file;
}

/** Folder of the control groups in which a first process may make groups of its own. */
async function ownGroup(): Promise<string> {
  const named = '/sys/fs/cgroup/systemd';
  const above = await access(named).then(
    () => named,
    () => '/sys/fs/cgroup',
  );
  const group = await mkdtemp(join(above, 'tandem-test-'));
  return group;
}

/** Removes a group with those below it; what was in them has ended, or does so in this moment. */
async function removeGroup(group: string): Promise<void> {
  const below = [group, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', '+'];
  for (let tries = 0; tries < 100; tries++) {
    const { status } = await promise(execFile, 'find', below);
    if (status === 0) return;
    await sleep(POLL_MS);
  }
  throw new Error(`${group} cannot be removed`);
}

/** A program of this machine, run to its end. */
function promise(
  run: typeof execFile,
  program: string,
  args: readonly string[],
  input = '',
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: OUTPUT_BYTES_MAX, encoding: 'utf8' } as const;
    const child = run(program, args, options, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ status: Number(error?.code ?? 0), stdout, stderr });
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** A Debian that runs. */
export class Root implements AsyncDisposable {
  /** Its root folder, as this machine sees it. */
  readonly dir: string;
  readonly #child: ChildProcess;
  readonly #group: string | null;
  #first = 0;

  private constructor(dir: string, child: ChildProcess, group: string | null) {
    this.dir = dir;
    this.#child = child;
    this.#group = group;
  }

  /** Unpacks a fresh one and starts its first process. */
  static async start(kind: Kind): Promise<Root> {
    const tar = await archive(kind);
    const dir = join(await mkdtemp(join(tmpdir(), 'tandem-root-')), 'root');
    await mkdir(dir);
    await runTool('tar', ['-C', dir, '--numeric-owner', '-xpf', tar]);
    await writeFile(join(dir, MARK), '');
    const group = kind === 'systemd' ? await ownGroup() : null;
    // Its own control group first, which the namespace of groups then begins at.
    const enter = group === null ? '' : `echo $$ >'${group}/cgroup.procs'; `;
    const spaces = ['-m', '-p', '-u', '-i', '-n', ...(group === null ? [] : ['-C'])];
    const unshare = ['unshare', ...spaces, '--fork', '--kill-child=SIGKILL'];
    const line = `${enter}exec ${unshare.join(' ')} sh -c "$0" first "$@"`;
    const child = spawn('sh', ['-c', line, FIRST, dir, kind], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const root = new Root(dir, child, group);
    await root.#untilUp(kind);
    return root;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.pid !== undefined && !this.#ended) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await ended;
    }
    if (this.#group !== null) await removeGroup(this.#group);
    await rm(dirname(this.dir), { recursive: true, force: true });
  }

  /** Runs a program in it, and gives its end whatever that is. */
  async run(argv: readonly string[], input = ''): Promise<Ended> {
    // Its number may be that of another process by now.
    if (this.#ended) throw new Error('the first process has ended');
    const spaces = ['-t', String(this.#first), '-m', '-p', '-u', '-i', '-n', '-r', '-w'];
    const env = ['env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/', 'LC_ALL=C'];
    const more = ['DEBIAN_FRONTEND=noninteractive', 'TERM=dumb'];
    return promise(execFile, 'nsenter', [...spaces, ...env, ...more, ...argv], input);
  }

  /** Runs a line of shell in it; throws with its words when it fails. */
  async sh(line: string): Promise<string> {
    const { status, stdout, stderr } = await this.run(['sh', '-c', line]);
    if (status === 0) return stdout.trim();
    throw new Error(`${line}: status ${String(status)}: ${stderr}${stdout}`);
  }

  /** Runs a line of shell again and again until it succeeds; fails in the end with its words. */
  async until(line: string): Promise<string> {
    const endMs = performance.now() + READY_MS;
    for (;;) {
      try {
        return await this.sh(line);
      } catch (error) {
        if (this.#ended || performance.now() > endMs) throw error;
      }
      await sleep(POLL_MS);
    }
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Copies a file of this machine into it. */
  async bring(file: string, path: string): Promise<void> {
    await mkdir(dirname(join(this.dir, path)), { recursive: true });
    await copyFile(file, join(this.dir, path));
  }

  /** Writes a file in it. */
  async write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(this.dir, path)), { recursive: true });
    await writeFile(join(this.dir, path), text);
  }

  async #untilUp(kind: Kind): Promise<void> {
    const endMs = performance.now() + READY_MS;
    const ready = kind === 'systemd' ? 'systemctl is-system-running --wait' : 'echo running';
    for (;;) {
      if (this.#ended) throw new Error('the first process has ended');
      this.#first = await this.#childOf(this.#child.pid ?? 0);
      // `degraded` is good enough: there is hardware that these namespaces do not have.
      // Until it has changed its root it still has that of this machine, where nothing may be run.
      const line = `test -e ${MARK} && ${ready}`;
      const { stdout } = await this.run(['sh', '-c', line]).catch(() => FAILED);
      if (/^(running|degraded)$/m.test(stdout)) return;
      if (performance.now() > endMs) throw new Error(`${kind} does not come up: ${stdout}`);
      await sleep(POLL_MS);
    }
  }

  /** The only child of unshare is the first process. */
  async #childOf(pid: number): Promise<number> {
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
    return Number(text.trim().split(' ')[0] ?? 0);
  }
}

const FAILED: Ended = { status: 1, stdout: '', stderr: '' };
