/**
 * Sockets that an init system passes on: which door gets which, and what is told of the others. The
 * last test has a real socket of another process. Imports the sockets, the control server, tap and
 * node.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { NO_SOCKETS, openPassedSockets } from '../../src/daemon/passed-sockets.ts';
import { shortDir } from '../drivers/short-dir.ts';

const TABLE = `Num       RefCount Protocol Flags    Type St Inode Path
0000000062efce50: 00000002 00000000 00010000 0001 01 51 /run/tandem/control.sock
0000000062efce51: 00000002 00000000 00010000 0001 01 52 /run/tandem/console.sock
0000000062efce52: 00000002 00000000 00000000 0001 03 53 /run/tandem/control.sock
0000000062efce53: 00000002 00000000 00000000 0002 01 54 /run/datagram
0000000062efce54: 00000002 00000000 00010000 0005 01 55 /run/seqpacket
0000000062efce55: 00000002 00000000 00010000 0001 01 56 @abstract
0000000062efce56: 00000002 00000000 00010000 0001 01 57 /run/a name with spaces
`;

function bench(inodes: Readonly<Record<number, number>>, table = TABLE) {
  const said: string[] = [];
  const parts = {
    pid: 7,
    inodeOf: (fd: number) => inodes[fd] ?? null,
    table: () => Promise.resolve(table),
  };
  const open = (env: NodeJS.ProcessEnv) =>
    openPassedSockets(env, (line) => void said.push(line), parts);
  return { said, open };
}

t.test('each door gets the socket with its path, once', async (t) => {
  const { said, open } = bench({ 3: 52, 4: 51, 5: 57 });
  const env = { LISTEN_PID: '7', LISTEN_FDS: '3', LISTEN_FDNAMES: 'a:b:c', PATH: '/b' };
  const sockets = await open(env);
  t.strictSame(env, { PATH: '/b' }, 'no child takes them for its own');
  t.equal(sockets.take('/run/tandem/control.sock'), 4);
  t.equal(sockets.take('/run/tandem/control.sock'), null);
  t.equal(sockets.take('/run/tandem/console.sock'), 3);
  t.equal(sockets.take('/run/other'), null);
  sockets.tellIdle();
  sockets.tellIdle();
  t.strictSame(said, [
    'the init system passed descriptor 5, /run/a name with spaces; no setting names it',
  ]);
});

t.test('only stream sockets that listen count', async (t) => {
  const { said, open } = bench({ 3: 53, 4: 54, 5: 55, 6: 56 });
  const sockets = await open({ LISTEN_PID: '7', LISTEN_FDS: '5' });
  t.equal(sockets.take('/run/tandem/control.sock'), null);
  sockets.tellIdle();
  t.strictSame(
    said,
    [3, 4, 5, 6, 7].map(
      (fd) =>
        `the init system passed descriptor ${fd}, which is no unix socket that listens; ` +
        'no setting names it',
    ),
  );
});

t.test('nothing was passed to this process', async (t) => {
  const { said, open } = bench({ 3: 51 });
  const all = [
    {},
    { LISTEN_PID: '8', LISTEN_FDS: '1' },
    { LISTEN_PID: '7' },
    { LISTEN_PID: '7', LISTEN_FDS: '0' },
    { LISTEN_PID: '7', LISTEN_FDS: '-1' },
    { LISTEN_PID: '7', LISTEN_FDS: '999' },
  ];
  for (const env of all) t.equal(await open(env), NO_SOCKETS);
  t.strictSame(said, []);
});

t.test('a table that cannot be read passes nothing on, and says so', async (t) => {
  const said: string[] = [];
  const sockets = await openPassedSockets(
    { LISTEN_PID: '7', LISTEN_FDS: '1' },
    (line) => void said.push(line),
    { pid: 7, inodeOf: () => 51, table: () => Promise.reject(new Error('no /proc')) },
  );
  t.equal(sockets.take('/run/tandem/control.sock'), null);
  t.strictSame(said, ['/proc/self/net/unix cannot be read: no /proc']);
});

const urlOf = (path: string): string => new URL(path, import.meta.url).href;

/** Answers one request on a socket that it has inherited, and leaves it where it is. */
const CHILD = `
import { openPassedSockets } from '${urlOf('../../src/daemon/passed-sockets.ts')}';
import { startControl } from '${urlOf('../../src/control/server.ts')}';
import { FakeBackend } from '${urlOf('../memory/backend.ts')}';
process.env.LISTEN_PID = String(process.pid);
const socketPath = process.argv[1];
const sockets = await openPassedSockets(process.env, (line) => console.log(line));
const fd = sockets.take(socketPath);
const server = await startControl(new FakeBackend(), { socketPath, fd });
console.log('fd ' + fd);
process.stdin.once('data', async () => {
  await server[Symbol.asyncDispose]();
  process.exit(0);
});
`;

t.test('a client is answered on a socket of somebody else, which stays', async (t) => {
  const path = join(shortDir(t), 'c.sock');
  const owner = createServer();
  owner.listen(path);
  await once(owner, 'listening');
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { fd } = (owner as unknown as { readonly _handle: { readonly fd: number } })._handle;
  const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD, path], {
    cwd: root,
    env: { ...process.env, LISTEN_FDS: '1' },
    stdio: ['pipe', 'pipe', 'inherit', fd],
  });
  t.teardown(() => void (child.pid !== undefined && child.kill('SIGKILL')));
  // Whoever passes a socket on leaves its clients to the other one; Node would remove its file.
  await rename(path, `${path}.kept`);
  owner.close();
  await once(owner, 'close');
  await rename(`${path}.kept`, path);
  const [word] = (await once(child.stdout!, 'data')) as [Buffer];
  t.equal(word.toString(), 'fd 3\n');
  const asked = request({ socketPath: path, path: '/v1/status', agent: false });
  asked.end();
  const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
  response.resume();
  t.equal(response.statusCode, 200);
  child.stdin!.write('end\n');
  const [status] = (await once(child, 'exit')) as [number];
  t.strictSame([status, existsSync(path)], [0, true]);
});
