/**
 * The way to the console: units, getty lines, SSH settings and the login program. The system's own
 * tools judge them where they are here; what they name must exist in the image, and the command
 * lines must be those of this program.
 */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn } from 'node-pty';
import t, { type Test } from 'tap';
import { systemFiles } from '../../scripts/image/content.ts';
import { parseCommand } from '../../src/cli/parse.ts';

const ROOT = fileURLToPath(new URL('../../images/console/', import.meta.url));
const WRAPPER = join(ROOT, 'usr/bin/tandem-console');
const UNITS = join(ROOT, 'usr/lib/systemd/system');

interface Outcome {
  readonly code: number | string;
  readonly text: string;
}

async function run(file: string, args: readonly string[], env = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env['PATH'], ...env }, timeout: 20_000 };
    const child = execFile(file, args, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? 'ended'), text: stdout + stderr });
    });
    child.stdin?.end();
  });
}

const has = async (file: string): Promise<boolean> => (await run(file, ['--version'])).code === 0;

/** A folder that anybody may read, unlike those of the tests. */
async function openFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-way-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  return folder;
}

/** The login program with a stand-in for Node that tells how it was started. */
async function loginProgram(t: Test, user: string, ending = 'exit 0'): Promise<string> {
  const folder = await openFolder(t);
  const node = join(folder, 'node');
  const told = 'echo "started as $(id -un) with $*, arenas $MALLOC_ARENA_MAX"';
  await writeFile(node, `#!/bin/sh\n${told}\n[ -w "$(tty)" ] && echo "own terminal"\n${ending}\n`);
  const self = join(folder, 'tandem-console');
  const text = (await readFile(WRAPPER, 'utf8'))
    .replace('self=/usr/bin/tandem-console', `self=${self}`)
    .replace('user=tandem-console', `user=${user}`)
    .replace('node=/usr/bin/node', `node=${node}`)
    .replace('sleep 5', 'sleep 0');
  await writeFile(self, text);
  await Promise.all([chmod(node, 0o755), chmod(self, 0o755)]);
  return self;
}

/** Runs a program on a terminal of its own. */
async function onTerminal(file: string, args: readonly string[]): Promise<Outcome> {
  const env = { PATH: process.env['PATH'], TERM: 'vt220' };
  const pty = spawn(file, [...args], { name: 'vt220', env });
  let text = '';
  pty.onData((data) => {
    text += data;
  });
  return new Promise((resolve) => {
    pty.onExit(({ exitCode }) => setTimeout(() => resolve({ code: exitCode, text }), 50));
  });
}

t.test('the login program', async (t) => {
  t.equal((await run('sh', ['-n', WRAPPER])).code, 0);
  const self = await loginProgram(t, 'nobody');
  t.match(await run(self, []), { code: 1, text: /needs a terminal/ });
  t.match(await run(self, ['-c', 'cat /etc/passwd']), { code: 1, text: /nothing else/ });
  t.match(await run(self, ['-c', `${self}; id`]), { code: 1, text: /nothing else/ });
  for (const args of [[], ['-c', self]]) {
    const { code, text } = await onTerminal(self, args);
    t.equal(code, 0, text);
    t.match(text, /with --max-semi-space-size=1 --optimize-for-size \/opt\/tandem\//);
    t.match(text, /tandem\.mjs console, arenas 1/);
    t.match(text, /own terminal/);
    if (process.getuid?.() === 0) t.match(text, /started as nobody/, 'never as root');
  }
  const failing = await loginProgram(t, 'nobody', 'exit 7');
  t.match(await onTerminal(failing, []), { code: 1, text: /ended with status 7/ });
  if (process.getuid?.() !== 0) return;
  const stranger = await loginProgram(t, 'no-such-user');
  t.match(await onTerminal(stranger, []), { code: 1, text: /does not exist/ });
});

const GETTY = '/sbin/agetty';
const noGetty = process.getuid?.() !== 0 || !(await has(GETTY)) ? 'needs root and agetty' : false;

t.test('agetty starts it without a login', { skip: noGetty }, async (t) => {
  const self = await loginProgram(t, 'nobody');
  const unit = await readFile(
    join(UNITS, 'serial-getty@.service.d/50-tandem-console.conf'),
    'utf8',
  );
  const line = /ExecStart=-(.*)/.exec(unit)?.[1] ?? '';
  const words = line.replace('/usr/bin/tandem-console', self).replace('$TERM', 'vt220').split(' ');
  const { text } = await onTerminal(words[0]!, words.slice(1));
  t.match(text, /started as nobody/);
});

const noSystemd = (await has('systemd-analyze')) ? false : 'no systemd-analyze here';

t.test('systemd accepts the units', { skip: noSystemd }, async (t) => {
  const folder = await openFolder(t);
  await cp(UNITS, folder, { recursive: true });
  const units = ['tandem-console@ttyS0.service', 'serial-getty@ttyS0.service'];
  for (const path of [
    'tandem-console@.service',
    'serial-getty@.service.d/50-tandem-console.conf',
  ]) {
    const file = join(folder, path);
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replaceAll(/\/usr\/bin\/(node|tandem-console)/g, '/bin/sh'));
  }
  const env = { SYSTEMD_UNIT_PATH: `${folder}:`, SYSTEMD_LOG_LEVEL: 'warning' };
  t.strictSame(await run('systemd-analyze', ['verify', '--man=no', ...units], env), {
    code: 0,
    text: '',
  });
  const broken = join(folder, 'tandem-console@.service');
  await writeFile(broken, (await readFile(broken, 'utf8')).replace('DevicePolicy', 'DevicePolize'));
  const found = await run('systemd-analyze', ['verify', units[0]!], env);
  t.match(found.text, /DevicePolize/, 'the check can fail');
});

t.test('sshd settings', async (t) => {
  const file = join(ROOT, 'etc/ssh/sshd_config.d/50-tandem-console.conf');
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => /^[^#]/.test(line));
  const [match, ...settings] = lines.map((line) => line.trim().split(/ +/));
  t.strictSame(match, ['Match', 'User', 'tandem-console'], 'nobody else is concerned');
  const allowed = new Map(settings.map(([name = '', value = '']) => [name, value]));
  t.equal(allowed.size, settings.length, 'nothing is said twice');
  t.match(Object.fromEntries(allowed), {
    ForceCommand: '/usr/bin/tandem-console',
    DisableForwarding: 'yes',
    PermitUserRC: 'no',
  });
  const sshd = '/usr/sbin/sshd';
  const config = join(await openFolder(t), 'sshd_config');
  await writeFile(config, await readFile(file));
  const { code, text } = await run(sshd, ['-t', '-f', config]);
  if (code === 'ENOENT') return t.comment('no sshd here');
  t.notMatch(text, /Bad configuration|Unsupported|bad/i, text);
});

t.test('what the files start is what the image holds and the program takes', async (t) => {
  const names = await readdir(ROOT, { recursive: true, withFileTypes: true });
  const files = names.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  t.equal(files.length, 8);
  const programs = { tandem: 'tandem', storage: 'storage', workload: 'workload' };
  const release = { product: 'p', version: '1.0.0', counter: 1, class: 'system' as const };
  const content = { release, programs, node: 'node', variant: 'good' as const };
  const paths = (await systemFiles(content)).map(({ path }) => path);
  for (const path of ['/usr/bin/node', '/opt/tandem/tandem.mjs', '/usr/bin/tandem-console']) {
    t.ok(paths.includes(path), path);
  }
  let commands = 0;
  for (const path of files) {
    const text = await readFile(path, 'utf8');
    t.match(text, /^#/, `${path} says what it is`);
    for (const [, words = ''] of text.matchAll(/tandem\.mjs (console .*)/g)) {
      const argv = words.trim().replace('%I', 'ttyS0').split(' ');
      t.match(await parseCommand(argv), { kind: 'verb', verb: { name: 'console' } }, words);
      commands += 1;
    }
    for (const [found] of text.matchAll(/\/usr\/(?:bin|lib\/systemd)[\w./@-]*/g)) {
      const known = files.includes(join(ROOT, found)) || found === '/usr/bin/node';
      t.ok(known, `${path} names ${found}`);
    }
  }
  t.equal(commands, 2);
});

t.test('lines for inittab', async (t) => {
  const text = await readFile(join(ROOT, 'usr/share/doc/tandem-console/inittab'), 'utf8');
  const lines = text
    .split('\n')
    .filter((line) => /^(?!# [A-Z`-]|$)/.test(line.replace('# T0', 'T0')));
  const entries = lines.filter((line) => line.includes('respawn'));
  t.equal(entries.length, 4);
  for (const line of entries) {
    const [id = '', levels = '', action, process = ''] = line.replace(/^# /, '').split(':');
    t.equal(action, 'respawn', line);
    t.match(id, /^(ttyS0|tty1||T0)$/);
    t.equal(levels, id === 'T0' ? '2345' : '');
    t.match(process, /^\/(sbin\/a?getty -n -l \/usr\/bin\/tandem-console|usr\/bin\/node) /);
  }
});
