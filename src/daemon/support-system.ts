/**
 * What the operating system says of itself, for a support archive: files of /proc and a few
 * commands. Always holds: every command has a short time limit and a bounded output and is not
 * needed; the arguments of other people's programs are not asked for, since a password may stand in
 * them. Imports node and its own folder.
 */
import { spawn } from 'node:child_process';
import { readEnd, type Source } from './support-files.ts';
import { scrub } from './support-scrub.ts';

/** A command may take this long. */
const COMMAND_MS = 3000;
const OUTPUT_BYTES_MAX = 2 * 1024 * 1024;
const PROC_BYTES_MAX = 512 * 1024;

const PROC = [
  'version',
  'uptime',
  'loadavg',
  'meminfo',
  'mounts',
  'partitions',
  'diskstats',
  'cpuinfo',
  'pressure/io',
  'pressure/memory',
  'net/dev',
  'sys/kernel/tainted',
] as const;

const COMMANDS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  'uname.txt': ['uname', '-a'],
  'df.txt': ['df', '-kP'],
  'df-inodes.txt': ['df', '-iP'],
  'ps.txt': ['ps', '-eo', 'pid,ppid,stat,etime,rss,comm'],
  'ip-address.txt': ['ip', 'address'],
  'ip-route.txt': ['ip', 'route'],
  'ip-link.txt': ['ip', '-s', 'link'],
  'lsblk.txt': ['lsblk', '-o', 'NAME,TYPE,SIZE,RO,MOUNTPOINT,FSTYPE,MODEL,STATE'],
  'dmesg.txt': ['dmesg'],
  'service-log.txt': ['journalctl', '-u', 'tandem', '-n', '5000', '--no-pager', '-o', 'short-iso'],
};

/** Everything of the operating system. */
export function systemSources(): readonly Source[] {
  const proc = PROC.map((name): Source => {
    const [path, file] = [`system/proc-${name.replaceAll('/', '-')}.txt`, `/proc/${name}`];
    return {
      path,
      disk: null,
      take: async () => [{ path, from: file, ...(await readEnd(file, PROC_BYTES_MAX)) }],
    };
  });
  const commands = Object.entries(COMMANDS).map(([name, argv]): Source => {
    const path = `system/${name}`;
    return {
      path,
      disk: null,
      take: async (signal) => {
        const { content, cutBytes } = await output(argv, signal);
        const text = Buffer.from(scrub(content.toString('utf8')));
        return [{ path, from: argv.join(' '), content: text, cutBytes }];
      },
    };
  });
  return [...proc, ...commands];
}

/** The end of what a command prints; throws why there is nothing. */
async function output(
  [program, ...args]: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<{ readonly content: Buffer; readonly cutBytes: number }> {
  const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  const child = spawn(program, args, { cwd: '/', env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [content, total, complaint] = [Buffer.alloc(0), 0, ''];
  child.stdout.on('data', (chunk: Buffer) => {
    total += chunk.length;
    content = Buffer.concat([content, chunk]).subarray(-OUTPUT_BYTES_MAX);
  });
  child.stderr.on(
    'data',
    (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(0, 200)),
  );
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  const stop = (): void => {
    // A program that hangs in the kernel cannot be ended; it is not waited for either.
    if (child.pid !== undefined) child.kill('SIGKILL');
    reject(new Error(`no answer within ${COMMAND_MS / 1000} s`));
  };
  const timer = setTimeout(stop, COMMAND_MS);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const status = await promise;
    if (status === 0 || total > 0) return { content, cutBytes: total - content.length };
    throw new Error(`status ${status}: ${complaint.trim()}`);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    child.stdout.destroy();
    child.stderr.destroy();
    child.unref();
  }
}
