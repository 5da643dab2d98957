/**
 * The storage software as a program: its start, its lock, its socket, health, and a peer with the
 * wrong key. Imports tap, the harness and the contract's helper.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { freePort } from '../../scripts/demo/ports.ts';
import { codeOf } from '../contracts/store.ts';
import { shortDir } from '../drivers/short-dir.ts';
import {
  LIMIT_MS,
  makeImageDir,
  makePairKeys,
  makeStoragePair,
  PAIR,
  startLevel,
  type StorageNode,
} from './pair.ts';

const run = promisify(execFile);
const root = t.testdir();
const image = await makeImageDir(`${root}/image`);
const program = join(image, 'opt/storage/storage.mjs');
const health = (node: StorageNode): Promise<void> =>
  node.software.health(AbortSignal.timeout(LIMIT_MS));

t.test('it says its version', async (t) => {
  const { stdout } = await run(process.execPath, [program, '--version']);
  t.match(stdout, /^tandem storage, disk format levels 1-2\n$/);
});

t.test('wrong settings end it with code and reason, no stack', async (t) => {
  const cases = [
    [[], /^usage.invalid: /],
    [['{'], /^config.invalid: the settings are not JSON\n$/],
    [['{"node":"A"}'], /^config.invalid: pair is missing\n$/],
    [[`${root}/nothing.json`], /^file.not_found: /],
  ] as const;
  for (const [args, text] of cases) {
    const failed = await run(process.execPath, [program, ...args]).catch((error: unknown) => error);
    t.match(failed, { code: 1, stderr: text });
  }
});

t.test('data of a copy that DRBD keeps are left alone', async (t) => {
  const dir = join(root, 'drbd');
  await using pair = await makeStoragePair(dir, image);
  await mkdir(join(pair.b.dataDir, 'drbd'), { recursive: true });
  await writeFile(join(pair.b.dataDir, 'drbd/state'), '');
  await t.rejects(pair.b.start(), { code: 'health.storage', message: /config.invalid: .* DRBD/ });
});

t.test('a second process waits until the first has ended', async (t) => {
  const dir = join(root, 'lock');
  await using pair = await makeStoragePair(dir, image);
  await pair.b.start();
  const { node, dataDir } = pair.b;
  const at = `127.0.0.1:${await freePort()}`;
  const settings = { node, pair: PAIR, listen: at, peer: at, dataDir };
  const rest = { keysDir: join(dir, 'keys-B'), releaseFile: join(image, 'etc/tandem-release') };
  const socket = join(shortDir(t), 'sock');
  const argument = JSON.stringify({ ...settings, ...rest, socket, followStdin: true });
  const second = spawn(process.execPath, [program, argument], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ready = once(second.stdout, 'data');
  await pair.b.put('key', 'value').catch(() => undefined);
  await pair.b.kill();
  t.match(String(await ready), /"ready":true/);
  second.stdin.end();
  t.same(await once(second, 'exit'), [0, null], 'it ends with its standard input');
});

t.test('the socket refuses what it does not understand, and goes on', async (t) => {
  await using pair = await makeStoragePair(join(root, 'api'), image);
  await startLevel(pair);
  const { a } = pair;
  const wrong = [
    { op: 'nothing' },
    { op: 'constructor' },
    { op: 'promote', epoch: 'high' },
    { op: 'promote', epoch: -1 },
    { op: 'put', key: '', value: '' },
    { op: 'put', key: 'a b', value: '' },
    { op: 'put', key: 'x'.repeat(201), value: '' },
    { op: 'put', key: 'key', value: 17 },
    { op: 'put', key: 'key', value: 'not base64!' },
    { op: 'put', key: 'key', value: Buffer.alloc(1024 * 1024 + 1).toString('base64') },
    { op: 'list', limit: 0 },
    { op: 'list', prefix: {} },
  ];
  for (const request of wrong) t.equal(await codeOf(a.call(request)), 'usage.invalid');
  const large = 'x'.repeat(1024 * 1024);
  await a.put('k'.repeat(200), large);
  t.equal(await a.get('k'.repeat(200)), large);
  await a.put('empty', '');
  t.equal(await pair.b.get('empty'), '');
  t.same(await a.call({ op: 'delete', key: 'empty' }), { found: true });
  t.same(await a.call({ op: 'delete', key: 'empty' }), { found: false });
  t.equal(await pair.b.get('empty'), null);
  for (const text of ['no JSON\n', 'x'.repeat(1_600_000)]) {
    const socket = connect(a.socket);
    socket.on('error', () => undefined);
    socket.write(text);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    t.match(answer.toString(), /usage.invalid/);
    socket.destroy();
  }
  t.equal(a.store.status().role, 'primary');
});

t.test('health looks at the disk, the objects and the image', async (t) => {
  const own = await makeImageDir(`${root}/own-image`);
  await using pair = await makeStoragePair(join(root, 'health'), own);
  await startLevel(pair);
  await pair.a.put('key', 'value');
  await health(pair.a);
  await health(pair.b);
  await writeFile(join(own, 'opt/storage/fail-health'), 'bad on purpose\n');
  await t.rejects(health(pair.a), { code: 'health.storage', message: 'bad on purpose' });
  await rm(join(own, 'opt/storage/fail-health'));
  await health(pair.a);
  await rm(join(pair.a.dataDir, 'probe'));
  await rm(pair.a.dataDir, { recursive: true });
  await t.rejects(health(pair.a), { code: 'health.storage' }, 'its disk is gone');
});

t.test('a peer with the wrong key never gets in', async (t) => {
  const dir = join(root, 'wrong-key');
  await using pair = await makeStoragePair(dir, image);
  await makePairKeys(dir, true);
  await Promise.all([pair.a.start(), pair.b.start()]);
  await pair.a.store.promote(1);
  t.match(pair.a.store.status(), { connected: false, frozen: true });
  const limit = AbortSignal.timeout(LIMIT_MS);
  for (let code: string | null = null; code !== 'health.storage' && !limit.aborted;) {
    code = await codeOf(health(pair.a));
  }
  await t.rejects(health(pair.a), { message: /the other side shows key/ });
  await health(pair.b);
  t.match(pair.b.store.status(), { connected: false, role: 'secondary', epoch: 0 });
});

t.test('data of another pair are left alone', async (t) => {
  const dir = join(root, 'other-pair');
  await using pair = await makeStoragePair(dir, image);
  await startLevel(pair);
  await pair.a.kill();
  const at = { listen: '127.0.0.1:1', peer: '127.0.0.1:1' };
  await writeFile(
    join(dir, 'settings.json'),
    JSON.stringify({
      node: 'A',
      pair: 'another',
      ...at,
      socket: join(dir, 'x.sock'),
      dataDir: pair.a.dataDir,
      keysDir: join(dir, 'keys-A'),
      releaseFile: join(image, 'etc/tandem-release'),
    }),
  );
  const failed = run(process.execPath, [program, join(dir, 'settings.json')]);
  t.match(await failed.catch((error: unknown) => error), {
    stderr: /config.invalid: .* belongs to node A of pair 0123/,
  });
});
