/**
 * What starts the service beside its init system: the scripts of images/units as they are, with a
 * program of the test in the place of the service, and real datagram and listening sockets. What
 * they do under a whole Debian is in the files beside this one. Imports node and tap.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { PASSED_ON } from '../../src/drivers/hooks-dir.ts';
import { shortDir } from '../drivers/short-dir.ts';

const UNITS = fileURLToPath(new URL('../../images/units/', import.meta.url));
const NOTIFY = new URL('../../src/daemon/notify-init.ts', import.meta.url).href;
const SCRIPTS = ['boot-words', 'ended', 'notify-socket', 'start'];

/** The scripts beside a program of the test, and a kernel that says how this boot came about. */
function bench(dir: string, cmdline: string, program: string) {
  const lib = join(dir, 'lib');
  const proc = join(dir, 'proc');
  mkdirSync(lib);
  mkdirSync(join(proc, 'sys/kernel/random'), { recursive: true });
  for (const name of SCRIPTS) copyFileSync(join(UNITS, 'usr/lib/tandem', name), join(lib, name));
  writeFileSync(join(lib, 'node'), program);
  chmodSync(join(lib, 'node'), 0o755);
  writeFileSync(join(proc, 'cmdline'), `${cmdline}\n`);
  writeFileSync(join(proc, 'sys/kernel/random/boot_id'), 'boot-7\n');
  const env = {
    TANDEM_PROC: proc,
    TANDEM_DEFAULTS: join(dir, 'defaults'),
    TANDEM_ENDS: join(dir, 'ends'),
  };
  return { lib, env };
}

const unit = (name: string): string =>
  readFileSync(join(UNITS, 'lib/systemd/system', name), 'utf8');

/** Runs a script to its end. */
async function run(file: string, env: NodeJS.ProcessEnv, ...args: readonly string[]) {
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => void (said[name] += text));
  }
  const [status] = (await once(child, 'close')) as [number | null];
  return { pid: child.pid, status, ...said };
}

/** Tells its process id, what it was started with, and a part of its environment. */
const TELLING = `#!/bin/sh
echo "$$ $*"
env | grep '^TANDEM_BOOT=' || true
`;

t.test('the service is told of the boot in the words of the boot loader', async (t) => {
  const words = 'quiet tandem.slot=B tandem.reason=trial tandem.attempt=2 root=/dev/sda5';
  const { lib, env } = bench(shortDir(t), words, TELLING);
  const { pid, stdout } = await run(join(lib, 'start'), env);
  const boot = '{"bootId":"boot-7","slot":"B","reason":"trial","attempt":2}';
  const flags = '--max-semi-space-size=1 --no-parallel-scavenge';
  t.equal(stdout, `${pid} ${flags} ${lib}/tandem.mjs daemon\nTANDEM_BOOT=${boot}\n`);
});

t.test('nothing is made up of what the boot loader did not say', async (t) => {
  const some = ['tandem.slot=C', 'tandem.reason=$(id)', 'tandem.attempt=11'];
  for (const cmdline of ['quiet', 'tandem.slot=A tandem.attempt=0', some.join(' ')]) {
    const { lib, env } = bench(shortDir(t), cmdline, TELLING);
    t.notMatch((await run(join(lib, 'start'), env)).stdout, 'TANDEM_BOOT');
  }
});

t.test('the settings of the machine count', async (t) => {
  const dir = shortDir(t);
  const { lib, env } = bench(dir, 'quiet', TELLING);
  writeFileSync(join(dir, 'defaults'), "TANDEM_BOOT='{}'\nTANDEM_NODE_FLAGS=--trace-uncaught\n");
  const { stdout } = await run(join(lib, 'start'), env);
  t.match(stdout, /--trace-uncaught \S+\/tandem\.mjs daemon\nTANDEM_BOOT=\{\}\n$/);
  const other = `TANDEM_RUNTIME=${lib}/other\nTANDEM_PROGRAM=/opt/program.mjs\n`;
  writeFileSync(join(dir, 'defaults'), other);
  renameSync(join(lib, 'node'), join(lib, 'other'));
  t.match((await run(join(lib, 'start'), env)).stdout, / \/opt\/program\.mjs daemon\n/);
});

t.test('no variable of the service means something else to a hook', async (t) => {
  const meant = new Set<string>(PASSED_ON);
  for (const folder of [UNITS, join(UNITS, '..', 'appliance', 'root')]) {
    const text = readFileSync(join(folder, 'etc/default/tandem'), 'utf8');
    const names = [...text.matchAll(/\b(TANDEM_[A-Z_]+)=/g)].map(([, name = '']) => name);
    t.ok(names.length >= 5, names.join(' '));
    // How this boot came about is the same for both.
    const same = names.filter((name) => meant.has(name) && name !== 'TANDEM_BOOT');
    t.strictSame(same, []);
  }
});

/** Says that it listens, then every datagram that comes, in one line each. */
const READER = `
use Socket; $| = 1;
socket(S, PF_UNIX, SOCK_DGRAM, 0) or die; (my $name = $ARGV[0]) =~ s/^@/\\0/;
bind(S, pack_sockaddr_un($name)) or die "bind: $!"; print "up\\n";
while (defined recv(S, my $word, 4096, 0)) { $word =~ s/\\n/|/g; print "$word\\n"; }
`;

/** The service's own way of telling, started by the real scripts. */
const SERVICE = `#!/bin/sh
exec "${process.execPath}" --input-type=module -e '
  import { openNotes } from "${NOTIFY}";
  const notes = openNotes(process.env, (line) => console.log(line));
  console.log(process.pid, "NOTIFY_SOCKET" in process.env);
  notes.ready("node A runs");
  notes.alive();
  notes.alive();
  notes.stopping();
'
`;

for (const kind of ['a path', 'an abstract name'] as const) {
  t.test(`words reach a real socket with ${kind}, from the process itself`, async (t) => {
    const dir = shortDir(t);
    const where = kind === 'a path' ? join(dir, 'notify') : `@${dir}/notify`;
    const listener = spawn('perl', ['-e', READER, where], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => void (listener.pid !== undefined && listener.kill('SIGKILL')));
    let heard = '';
    listener.stdout.setEncoding('utf8').on('data', (text: string) => void (heard += text));
    const signal = AbortSignal.timeout(60_000);
    const until = async (end: string): Promise<void> => {
      while (!heard.endsWith(end)) await once(listener.stdout, 'data', { signal });
    };
    await until('up\n');
    const { lib, env } = bench(dir, 'quiet', SERVICE);
    const watched = { ...env, NOTIFY_SOCKET: where, WATCHDOG_USEC: '30000000' };
    const { pid, status, stdout, stderr } = await run(join(lib, 'start'), watched);
    t.strictSame({ status, stdout, stderr }, { status: 0, stdout: `${pid} false\n`, stderr: '' });
    await until('STATUS=The service ends\n');
    t.equal(
      heard,
      'up\nREADY=1|STATUS=node A runs\nWATCHDOG=1\nSTOPPING=1|STATUS=The service ends\n',
    );
  });
}

t.test('a socket that is not there keeps nobody from starting', async (t) => {
  const dir = shortDir(t);
  const { lib, env } = bench(dir, 'quiet', TELLING);
  const { status, stderr } = await run(join(lib, 'start'), { ...env, NOTIFY_SOCKET: `${dir}/no` });
  t.equal(status, 0);
  t.match(stderr, `the init system's socket ${dir}/no cannot be opened`);
});

t.test('an end that asks for nothing, and one in a trial', async (t) => {
  const dir = shortDir(t);
  const { lib, env } = bench(dir, 'tandem.reason=trial', TELLING);
  const ended = join(lib, 'ended');
  for (const status of ['0', 'TERM', '']) {
    t.equal((await run(ended, { ...env, EXIT_STATUS: status })).status, 0);
  }
  writeFileSync(join(dir, 'defaults'), `TANDEM_CONSOLE=${dir}/console\n`);
  const first = await run(ended, env, '1');
  t.equal(first.status, 0, 'the first end of a trial is no verdict');
  t.match(first.stderr, /^tandem: the service ended with status 1\b/);
  t.equal(readFileSync(join(dir, 'console'), 'utf8'), first.stderr, 'told on the console, too');
  t.equal(readFileSync(join(dir, 'ends'), 'utf8'), '1\n');
});

t.test('the units name the sockets of the configuration, and the verb that there is', async (t) => {
  t.match(unit('tandem.socket'), '\nListenStream=/run/tandem/control.sock\n');
  t.match(unit('tandem-console.socket'), '\nListenStream=/run/tandem/console.sock\n');
  t.match(unit('tandem.service'), '\nRestartPreventExitStatus=42 43 SIGUSR2\n');
});
