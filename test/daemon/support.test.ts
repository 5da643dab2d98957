/**
 * Support archives as they are really made, by a process of its own from real files: what is in
 * them and what never is, their bounds, what a damaged journal, a command that hangs and a disk
 * without room do to them. May import tap, node: and the daemon's rooms.
 */
import { execFile } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { parseConfig, type Config } from '../../src/config.ts';
import { createSlots } from '../../src/drivers/slots-file.ts';
import { openJournal } from '../../src/drivers/journal-file.ts';
import { Support, supportRequest, type LiveSource } from '../../src/daemon/support.ts';
import { makeArchive, streamArchive } from '../../src/daemon/support-process.ts';
import type { SupportProgress, SupportRequest } from '../../src/daemon/support-request.ts';
import { nodeState } from '../core/states.ts';
import { canMount, withTmpfs } from '../drivers/small-disk.ts';

const ENTRY = join(import.meta.dirname, '../../src/main.ts');
const { signal } = new AbortController();
/** Stands in every file that must stay on the node, and nowhere else. */
const SENTINEL = 'c0ffee5ec2e7';
/** A line of a PEM file; put together here, so that nobody takes this file for one. */
const pemLine = (word: string): string => `-----${word} ${['PRIVATE', 'KEY'].join(' ')}-----\n`;
const PAIR_CODE = '7ZQ4-M2XK-9T0B-C3DE-F5GH-J6KM-8NPQ';

/** A node that lies in a folder, with secrets where a real one has them. */
async function node(t: Test): Promise<Config> {
  const dir = t.testdir({
    state: {
      logs: {
        'storage.log': `started\ntoken=${SENTINEL} password: "${SENTINEL}"\n${PAIR_CODE}\n`,
        'events.ndjson': `{"msg":"x","secret":"${SENTINEL}"}\n`,
        'workload.log': `${pemLine('BEGIN')}${SENTINEL}\n${pemLine('END')}ok\n`,
      },
      keys: { 'node.key': SENTINEL, 'peer.json': SENTINEL },
      store: { 'segment-1': SENTINEL },
      depot: { 'a.bin': SENTINEL },
      'access.json': SENTINEL,
      'users.json': JSON.stringify({
        schema: 1,
        users: [{ name: 'anna', role: 'operator', password: SENTINEL, recovery: SENTINEL }],
      }),
      'schedules.json': JSON.stringify({
        v: 1,
        schedules: [
          { id: 's1', asked: { by: 'anna', reason: `password: ${SENTINEL}` }, last: null },
        ],
        seenMs: 1,
        token: SENTINEL,
      }),
      'schedules.json.damaged': `{"v":1,"reason":"secret=${SENTINEL}`,
      prepare: {
        'preparation.json': `{"v":1,"order":{"id":"p1","token": "${SENTINEL}"}`,
        'plan.json': '{"v":1,"version":"2.0.0"}\n',
      },
      trust: { 'root.json': '{"keys":[]}' },
    },
    etc: { 'tandem-release': '{"version":"1.0.0"}' },
  });
  const stateDir = join(dir, 'state');
  await createSlots(join(stateDir, 'slots'), { system: 4096, storage: 4096 });
  await using journal = await openJournal(stateDir);
  await journal.append({ kind: 'node', record: nodeState('A').record });
  const text = {
    node: 'A',
    product: 'appliance',
    hardware: 'bench',
    stateDir,
    runDir: '/run/tandem-test',
    rootDir: dir,
    link: { listen: '127.0.0.1:1', peer: '127.0.0.1:2' },
    storage: { listen: '127.0.0.1:3', peer: '127.0.0.1:4' },
    service: { address: '127.0.0.1:5', program: 'workload' },
    fence: {
      fencer: { kind: 'command', command: ['/sbin/pdu', '{action}', `--pass=${SENTINEL}`] },
    },
  };
  return parseConfig(JSON.stringify(text), 'test');
}

const supportOf = (config: Config): Support =>
  new Support({ config, program: '0.1.0', entry: ENTRY, nowMs: () => Date.UTC(2026, 0, 1) });

/** A folder beside that of the node. */
async function scratch(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tandem-support-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Every file of an archive by its path, after its sums were checked. */
async function unpack(t: Test, bytes: AsyncIterable<Uint8Array>): Promise<Map<string, string>> {
  const dir = await scratch(t);
  await mkdir(join(dir, 'archive'));
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  await writeFile(join(dir, 'a.tgz'), Buffer.concat(chunks));
  const run = promisify(execFile);
  await run('tar', ['xzf', 'a.tgz', '-C', 'archive', '--strip-components=1'], { cwd: dir });
  const root = join(dir, 'archive');
  await run('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: root });
  const names = await readdir(root, { recursive: true, withFileTypes: true });
  const files = names.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  const found = await Promise.all(
    files.map(async (file): Promise<[string, string]> => {
      return [file.slice(root.length + 1), await readFile(file, 'latin1')];
    }),
  );
  return new Map(found);
}

interface Manifest {
  readonly files: readonly { path: string; bytes: number; sha256: string; cutBytes: number }[];
  readonly missing: readonly string[];
}

const manifestOf = (files: Map<string, string>): Manifest =>
  JSON.parse(files.get('manifest.json')!) as Manifest;

const LIVE: readonly LiveSource[] = [
  { path: 'status/status.json', read: () => ({ state: 'HEALTHY' }) },
  { path: 'status/storage.json', read: () => Promise.reject(new Error('it hangs')) },
];

t.test('everything that helps, and nothing that is secret', async (t) => {
  const config = await node(t);
  const told: SupportProgress[] = [];
  const support = supportOf(config);
  const id = support.newId();
  const done = await support.make(id, LIVE, (one) => told.push(one), signal);
  const { archives, dir } = await support.view();
  t.match(archives, [{ name: `${id}.tar.gz`, bytes: done.bytes }]);
  t.equal((await stat(join(dir, `${id}.tar.gz`))).mode & 0o777, 0o600);
  t.strictSame(await readdir(dir), [`${id}.tar.gz`]);
  const files = await unpack(t, await support.read(`${id}.tar.gz`));
  const wanted = [
    ['README.txt', /node A.*\n[^]*node B only what this node has heard/],
    ['status/status.json', /"HEALTHY"/],
    ['journal/records.json', /"kind": "node"/],
    ['slots/seals.json', /"seal": null/],
    ['versions/release', /1\.0\.0/],
    ['versions/users.json', /"anna"[^]*"operator"/],
    ['versions/configuration.json', /"\/sbin\/pdu",\s+"\{action\}",\s+"\*\*\*"/],
    ['waiting/schedules.json', /"s1"[^]*"password: \*\*\*"[^]*"token": "\*\*\*"/],
    ['waiting/schedules.json.damaged', /^\{"v":1,"reason":"secret=\*\*\*$/],
    ['waiting/preparation.json', /"p1","token": "\*\*\*"/],
    ['waiting/plan.json', /"2\.0\.0"/],
    ['files/state.json', /"keys\/node\.key"/],
    ['logs/workload.log', /^\*\*\*\nok\n$/],
    ['logs/events.ndjson', /^\{"msg":"x","secret":"\*\*\*"\}\n$/],
    ['system/proc-meminfo.txt', /MemTotal/],
    ['system/df.txt', /Filesystem/],
  ] as const;
  for (const [path, text] of wanted) t.match(files.get(path), text, path);
  t.equal(files.get('journal/journal.0')?.length, 1024 * 1024);
  t.equal(files.get('logs/storage.log'), 'started\ntoken=*** password: "***"\n***\n');
  const leaks = [...files].filter(([, text]) => text.includes(SENTINEL)).map(([path]) => path);
  t.strictSame(leaks, []);
  t.notMatch([...files.values()].join(''), PAIR_CODE);
  const broken = 'waiting/preparation.json';
  for (const [path, text] of files) {
    if (!path.endsWith('.json') || path === broken) continue;
    t.doesNotThrow(() => JSON.parse(text), `${path} is JSON`);
  }
  t.match(files.get('README.txt'), /status\/storage\.json: it hangs/);
  const { files: listed } = manifestOf(files);
  t.equal(listed.length, files.size - 2, 'the manifest has all but itself and the sums');
  for (const { path, bytes, sha256 } of listed) {
    const content = Buffer.from(files.get(path)!, 'latin1');
    t.strictSame(
      [content.length, createHash('sha256').update(content).digest('hex')],
      [bytes, sha256],
    );
  }
  t.equal(told[0]?.done, 0);
  t.ok(told.length > 20 && told.every((one) => one.total === told.length), 'progress');
});

t.test('an archive that would be too large is cut at the heads of its logs', async (t) => {
  const config = await node(t);
  const zero = Buffer.alloc(16);
  const cipher = createCipheriv('aes-128-ctr', zero, zero);
  const log = cipher.update(Buffer.alloc(600_000)).toString('base64');
  for (const name of ['a', 'b', 'c']) await writeFile(join(config.stateDir, 'logs', name), log);
  const request = supportRequest('support-A-x', config, '0.1.0', [], []);
  const ofSize = async (bytesMax: number): Promise<Map<string, string>> => {
    const limits = { bytesMax, timeMs: 60_000, logBytes: 450_000 };
    let bytes = 0;
    const counted = async function* (): AsyncGenerator<Uint8Array, void, void> {
      for await (const chunk of streamArchive({ ...request, limits }, { entry: ENTRY, signal })) {
        bytes += chunk.length;
        yield chunk;
      }
    };
    const files = await unpack(t, counted());
    t.ok(bytes <= bytesMax, `${bytes} of ${bytesMax} bytes`);
    return files;
  };
  const files = await ofSize(700_000);
  const [a, b] = ['logs/a', 'logs/b'].map((path) =>
    manifestOf(files).files.find((one) => one.path === path),
  );
  t.equal(a!.cutBytes, log.length - 450_000, 'its newest bytes alone');
  t.ok(b!.cutBytes > a!.cutBytes, 'and of the next one what had room');
  t.ok(log.endsWith(files.get('logs/a')!) && log.endsWith(files.get('logs/b')!));
  const { missing } = manifestOf(await ofSize(200_000));
  t.match(missing.join('\n'), /logs\/a: the archive is as large as it may be/);
});

t.test('a damaged journal is decoded as far as it can be, and there as it is', async (t) => {
  const config = await node(t);
  const raw = join(config.stateDir, 'journal.0');
  const content = await readFile(raw);
  content.fill(0x55, 512, 1024);
  await writeFile(raw, content);
  const files = await unpack(t, await supportOf(config).stream('support-A-x', [], signal));
  t.match(JSON.parse(files.get('journal/records.json')!), { records: Array });
  t.equal(files.get('journal/journal.0'), content.toString('latin1'));
});

t.test(
  'a command that hangs costs its time and itself; the time for all of it is kept',
  async (t) => {
    const config = await node(t);
    const bin = await scratch(t);
    await writeFile(join(bin, 'df'), '#!/bin/sh\nexec sleep 60\n');
    await chmod(join(bin, 'df'), 0o755);
    const before = process.env['PATH'];
    process.env['PATH'] = `${bin}:${before}`;
    t.teardown(() => (process.env['PATH'] = before));
    const request: SupportRequest = {
      ...supportRequest('support-A-x', config, '0.1.0', [], []),
      limits: { bytesMax: 1 << 24, timeMs: 2000, logBytes: 1000 },
    };
    const files = await unpack(t, streamArchive(request, { entry: ENTRY, signal }));
    const { missing } = manifestOf(files);
    t.match(missing.join('\n'), /system\/df\.txt: no answer within 3 s/);
    t.match(missing.join('\n'), /system\/dmesg\.txt: the time for this archive was over/);
    t.ok(files.has('system/uname.txt'));
  },
);

t.test('cancelled, or without a program: nothing is left', async (t) => {
  const config = await node(t);
  const support = supportOf(config);
  const stop = new AbortController();
  const made = support.make(
    support.newId(),
    [],
    () => stop.abort(new Error('enough')),
    stop.signal,
  );
  await t.rejects(made, { message: 'enough' });
  const broken = new Support({
    config,
    program: '0.1.0',
    entry: join(config.stateDir, 'none.mjs'),
    nowMs: () => 0,
  });
  await t.rejects(
    broken.make('support-A-y', [], () => undefined, signal),
    {
      code: 'support.failed',
    },
  );
  const { archives, dir } = await support.view();
  t.strictSame(archives, []);
  t.strictSame(await readdir(dir), [], 'no half of a file either');
});

t.test('the newest five are kept; names lead nowhere else', async (t) => {
  const config = await node(t);
  const support = supportOf(config);
  const { dir } = await support.view();
  await mkdir(dir);
  for (let n = 0; n < 7; n++) await writeFile(join(dir, `support-A-${n}.tar.gz`), '');
  await writeFile(join(dir, 'support-A-8.tar.gz.part'), 'left by a power cut');
  await writeFile(join(dir, 'notes.txt'), 'of a person');
  await support.make('support-A-9', [], () => undefined, signal);
  const { archives } = await support.view();
  t.equal(archives.length, 5);
  t.equal(archives[0]?.name, 'support-A-9.tar.gz');
  t.ok(existsSync(join(dir, 'notes.txt')));
  t.notOk(existsSync(join(dir, 'support-A-8.tar.gz.part')));
  for (const name of ['../users.json', 'notes.txt', 'support-A-none.tar.gz', '']) {
    await t.rejects(support.read(name), { code: 'file.not_found' });
    await t.rejects(support.delete(name), { code: 'file.not_found' });
  }
  t.match(await support.delete('support-A-9.tar.gz'), { name: 'support-A-9.tar.gz' });
  t.equal((await support.view()).archives.length, 4);
});

t.test('no archive takes the reserve of a disk', { skip: !canMount() }, async (t) => {
  const dir = t.testdir({ disk: {} });
  const place = join(import.meta.dirname, '../../src/daemon/support.ts');
  const script = `
    const { Support } = await import(${JSON.stringify(place)});
    const stateDir = process.argv[1];
    const place = { stateDir, runDir: stateDir, rootDir: stateDir, trustRoot: stateDir + '/x' };
    const config = { node: 'A', ...place, boot: { dir: stateDir }, slots: { dir: stateDir } };
    const entry = ${JSON.stringify(ENTRY)};
    const support = new Support({ config, program: 'x', entry, nowMs: Date.now });
    const { signal } = new AbortController();
    const code = await support.make('support-A-x', [], () => {}, signal).then(
      () => 'made',
      (error) => error.code,
    );
    let bytes = 0;
    const stream = await support.stream('support-A-y', [], signal);
    for await (const chunk of stream) bytes += chunk.length;
    const { archives } = await support.view();
    console.log(JSON.stringify({ code, kept: archives.length, streamed: bytes > 1000 }));
  `;
  const small = withTmpfs(join(dir, 'disk'), 90 * 1024 * 1024, script, [join(dir, 'disk')]);
  t.strictSame(small.result, { code: 'support.space', kept: 0, streamed: true }, small.stderr);
});

t.test('the file is not replaced by a half one', async (t) => {
  const config = await node(t);
  const path = join(config.stateDir, 'logs', 'storage.log', 'impossible.tar.gz');
  const request = {
    ...supportRequest('support-A-x', config, '0.1.0', [], []),
    out: { path, freeBytes: 0 },
  };
  await t.rejects(makeArchive(request, { entry: ENTRY, signal }), { code: 'state.io' });
});

t.test('a reader that is slower than the time for an archive gets all of it', async (t) => {
  const config = await node(t);
  const request: SupportRequest = {
    ...supportRequest('support-A-x', config, '0.1.0', [], []),
    limits: { bytesMax: 1 << 24, timeMs: 6000, logBytes: 1 << 20 },
  };
  const zero = Buffer.alloc(16);
  const noise = createCipheriv('aes-128-ctr', zero, zero).update(Buffer.alloc(1 << 20));
  await writeFile(join(config.stateDir, 'logs', 'a'), noise.toString('base64'));
  const slow = async function* (): AsyncGenerator<Uint8Array, void, void> {
    let waitedMs = 0;
    for await (const chunk of streamArchive(request, { entry: ENTRY, signal })) {
      if (waitedMs < 7000) await sleep(1000);
      waitedMs += 1000;
      yield chunk;
    }
  };
  const { missing } = manifestOf(await unpack(t, slow()));
  t.notMatch(missing.join('\n'), /time for this archive/);
});
