/**
 * The verbs of users against a real desk: what they print, what they refuse, that no password is
 * seen anywhere, and which socket a console takes. May import tap, node:, node-pty and the command
 * line.
 */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn } from 'node-pty';
import t from 'tap';
import { connectConsole } from '../../src/cli/connect.ts';
import { startControl } from '../../src/control/server.ts';
import { openDesk, PASSWORD, type DeskBench } from '../daemon/access-bench.ts';
import { FakeBackend } from '../memory/backend.ts';
import { run, type Outside, type Ran } from './harness.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

interface Node extends AsyncDisposable {
  readonly bench: DeskBench;
  readonly socket: string;
  readonly user: (words: string, outside?: Outside) => Promise<Ran>;
}

async function openNode(): Promise<Node> {
  const bench = await openDesk();
  const socket = join(bench.folder, 'control.sock');
  const server = await startControl(new FakeBackend(), { socketPath: socket, desk: bench.desk });
  return {
    bench,
    socket,
    user: (words, outside) => run(['user', ...words.split(' '), '--socket', socket], outside),
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await bench[Symbol.asyncDispose]();
    },
  };
}

const asked = (...answers: string[]): Outside => ({
  askSecret: () => Promise.resolve(answers.shift() ?? ''),
});

t.test('the first user, the list, and the end of a user', async (t) => {
  await using node = await openNode();
  t.match(await node.user('list'), { exit: 0, out: /nobody can log in. Run: tandem user add/ });
  const added = await node.user('add anna --role administrator', asked(PASSWORD, PASSWORD));
  t.match(added, { exit: 0, out: 'anna is a user now, with the role administrator.\n', err: '' });
  const ben = { input: [PASSWORD.slice(0, 9), `${PASSWORD.slice(9)}\nmore`] };
  t.match(await node.user('add ben --role viewer --password-stdin --json', ben), { exit: 0 });
  for (let n = 0; n < 5; n++) {
    await t.rejects(node.bench.desk.login({ user: 'ben', password: 'x' }));
  }
  await node.bench.visit('anna');
  const { out } = await node.user('list');
  t.match(out, /^anna {2}administrator {2}password of 1970-.*, logged in\n/);
  t.match(out, /\nben {3}viewer .*, failed logins: 5, LOCKED for 0:05\n$/);
  t.match((await node.user('list --json')).json(), { users: { length: 2 } });
  t.match(await node.user('unlock ben'), { exit: 0, out: /forgotten/ });
  t.match(await node.user('unlock'), { exit: 0, out: /unknown names are forgotten/ });
  await node.bench.visit('ben');
  t.match(await node.user('role ben operator'), { exit: 0, out: /role operator now/ });
  t.match(await node.user('passwd ben', asked('a lamp in the cellar', 'a lamp in the cellar')), {
    exit: 0,
    out: 'ben has a new password.\n',
  });
  t.match(await node.user('remove ben', { confirm: () => Promise.resolve(false) }), { exit: 41 });
  t.match(await node.user('remove ben --yes'), { exit: 0, out: 'ben is no user any more.\n' });
});

t.test('a recovery code is printed once, alone', async (t) => {
  await using node = await openNode();
  await node.bench.add('anna', 'administrator');
  const shown = await node.user('recovery anna --expires 4h');
  t.match(shown.out, /^[0-9A-Z]{4}(-[0-9A-Z]{4}){3}\n$/);
  t.match(shown.err, /valid for 4 hours that the daemon runs, about until \d{4}-/);
  t.match((await node.user('list')).out, /recovery code for 4:00:00/);
  t.match((await node.user('recovery anna --json')).json(), {
    code: /-/,
    user: { recoveryS: 86_400 },
  });
  for (const odd of ['4', '4m', '8d', '1e3h', '-4h', '0.5h']) {
    t.match(await node.user(`recovery anna --expires=${odd}`), { exit: 2 }, odd);
  }
});

t.test('what is refused says so, and never with exit status 0', async (t) => {
  await using node = await openNode();
  await node.bench.add('anna', 'administrator');
  const add = 'add ben --role viewer';
  const refusals: readonly (readonly [string, Outside | undefined, number, RegExp])[] = [
    [add, undefined, 2, /confirm\.needed/],
    [`${add} --json`, asked(PASSWORD, PASSWORD), 2, /confirm\.needed/],
    [add, asked(PASSWORD, 'another'), 41, /not the same; nothing was changed/],
    [add, asked('short', 'short'), 2, /found 5 characters; accepted: 10 to 128/],
    [`${add} --password-stdin`, { input: [] }, 2, /standard input has 0 characters/],
    [`${add} --password-stdin`, { input: ['x'.repeat(2000)] }, 2, /2000 characters/],
    ['add ben', asked(PASSWORD, PASSWORD), 2, /--role is missing; accepted: viewer/],
    ['add ben --role root', asked(PASSWORD, PASSWORD), 2, /--role is root/],
    ['add Ben --role viewer', asked(PASSWORD, PASSWORD), 2, /name is "Ben"/],
    ['add anna --role viewer', asked(PASSWORD, PASSWORD), 2, /access\.user_exists/],
    ['passwd ben', asked(PASSWORD, PASSWORD), 2, /access\.user_unknown/],
    ['role anna boss', undefined, 2, /boss is not a role/],
    ['remove ben --yes', undefined, 2, /ben is no user/],
  ];
  for (const [words, outside, exit, err] of refusals) {
    const ran = await node.user(words, outside);
    t.match(ran, { exit, err }, words);
    t.notMatch(ran.err + ran.out, PASSWORD);
  }
  const path = join(node.bench.folder, 'users.json');
  chmodSync(path, 0o644);
  t.match(await node.user('list'), { exit: 51, err: /users\.json has mode 0644; accepted: 0600/ });
});

t.test('a password that is typed on a terminal is not shown', async (t) => {
  await using node = await openNode();
  const words = ['user', 'add', 'anna', '--role', 'viewer', '--socket', node.socket];
  const terminal = spawn(process.execPath, [MAIN, ...words], { cols: 80, rows: 24 });
  let seen = '';
  const typed = ['wrong\u0015corect\u007f\u007f\u007frect horse battery\r', `${PASSWORD}\r`];
  const ended = new Promise<number>((resolve) => terminal.onExit((end) => resolve(end.exitCode)));
  terminal.onData((text) => {
    seen += text;
    // The next one is typed when it is asked for.
    const questions = seen.match(/(for anna|once more): /g)?.length ?? 0;
    if (questions > 2 - typed.length) terminal.write(typed.shift() ?? '');
  });
  t.equal(await ended, 0, seen);
  t.equal(
    seen.replaceAll('\r', ''),
    'New password for anna: \nThe same once more: \nanna is a user now, with the role viewer.\n',
  );
  t.match(await node.bench.desk.login({ user: 'anna', password: PASSWORD }), { user: 'anna' });
});

t.test('a console takes the socket that its user may use', async (t) => {
  await using node = await openNode();
  const { socket } = node;
  const io = { env: {}, signal: new AbortController().signal } as never;
  const to = async (values: object, argv0?: string): Promise<string> => {
    const { client, login } = await connectConsole({ socket, ...values }, io, argv0 ?? 'node');
    t.equal(client.socketPath.endsWith('console.sock'), login);
    return login ? 'login' : 'control';
  };
  t.equal(await to({}), 'control');
  t.equal(await to({ login: true }), 'login');
  t.equal(await to({}, '-tandem'), 'login', 'a login shell');
  t.equal(await to({ serial: '/dev/ttyS0' }), 'login', 'anybody may sit at that port');
  t.equal(await to({ socket: join(node.bench.folder, 'not-yet.sock') }), 'control');
  t.equal(await to({ socket: '/proc/1/not/there.sock' }), 'login', 'who could not make it');
  if (process.getuid?.() !== 0) {
    chmodSync(socket, 0);
    t.equal(await to({}), 'login');
  }
});
