/**
 * A real pair whose nodes are restarted and shut down by an operator while a client writes: the
 * service is handed over first, nobody fences the node that leaves, it is admitted again by itself,
 * and nothing stays stood down. Between them a support archive is made over the control socket.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import t from 'tap';
import type { NodeId } from '../../src/core/model.ts';
import { Bench, READY_MS } from './harness.ts';

t.setTimeout(220_000);

/** How often the power is looked at, in milliseconds, and how many times. */
const LOOK_MS = 100;
const LOOKS_MAX = 300;

/** The files of a new archive of a node, after its sums were checked. */
async function archive(bench: Bench, node: NodeId, ...how: string[]): Promise<Map<string, string>> {
  const dir = await mkdtemp(join(bench.dir, 'archive-'));
  const made = await bench.cli(node, 'support', ...how, '--out', join(dir, 'a.tgz'), '--json');
  if (made.exit !== 0) throw new Error(made.stdout + made.stderr);
  const run = promisify(execFile);
  await run('tar', ['xzf', 'a.tgz', '--strip-components=1'], { cwd: dir });
  await run('sha256sum', ['-c', '--quiet', 'SHA256SUMS'], { cwd: dir });
  const found = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = new Map<string, string>();
  for (const one of found.filter((entry) => entry.isFile() && entry.name !== 'a.tgz')) {
    const path = join(one.parentPath, one.name);
    files.set(path.slice(dir.length + 1), await readFile(path, 'latin1'));
  }
  return files;
}

/** Files of an archive in which a line of the node's private key stands. */
async function leaks(bench: Bench, node: NodeId, files: Map<string, string>): Promise<string[]> {
  const dir = join(bench.pair.nodes[node].stateDir, 'keys');
  const texts = await Promise.all(
    (await readdir(dir)).map((name) => readFile(join(dir, name), 'latin1')),
  );
  const keys = texts.filter((text) => text.includes('PRIVATE KEY'));
  if (keys.length === 0) throw new Error('the keys of the node are somewhere else');
  const lines = keys.flatMap((text) => text.split('\n').filter((line) => line.length > 32));
  const all = [...files].filter(([, text]) => lines.some((line) => text.includes(line)));
  return all.map(([path]) => path);
}

t.test('restart and shutdown of the node that serves', async (t) => {
  const bench = await Bench.open(t, { fencePolicy: 'fence' });
  await bench.running.waitAvailable(READY_MS, bench.signal);
  bench.startClient();
  const why = ['--yes', '--reason', 'memory', '--json'];
  const whole = async (serves: NodeId, what: string): Promise<void> => {
    const { nodes } = await bench.running.waitAvailable(READY_MS, bench.signal);
    t.equal(nodes[serves].serving, true, `${what}: node ${serves} serves`);
    t.same([nodes.A.standDown, nodes.B.standDown], [false, false], `${what}: nobody stands down`);
  };

  await t.test('restart: handed over, back by itself', async (t) => {
    const boots = (await bench.running.power('B')).boots;
    const end = await bench.cli('A', 'restart', ...why);
    t.match(end, { exit: 0, json: [{ kind: 'restart', state: 'done', message: /has restarted/ }] });
    await whole('B', 'after the restart');
    t.equal((await bench.running.power('A')).boots, 2);
    t.equal((await bench.running.power('B')).boots, boots, 'nobody was fenced');
    const log = await readFile(bench.pair.nodes.A.bootLog, 'utf8');
    t.match(log, /asked for a reboot/);
    t.notMatch(log, /fence/);
    const { json } = await bench.cli('A', 'history', '--audit', '--json');
    const { entries } = json[0] as { entries: readonly { act: string; result: string }[] };
    const found = entries.map(({ act, result }) => `${act} ${result}`);
    t.same(found, ['restart done', 'restart accepted']);
  });

  await t.test('a support archive of a running node', async (t) => {
    const files = await archive(bench, 'B');
    const status = JSON.parse(files.get('status/status.json') ?? '{}') as object;
    t.match(status, { self: 'B', state: 'HEALTHY' });
    for (const path of ['journal/records.json', 'logs/events.ndjson', 'slots/seals.json']) {
      t.ok(files.has(path), path);
    }
    t.strictSame(await leaks(bench, 'B', files), []);
  });

  await t.test('shutdown: it stays off until somebody switches it on', async (t) => {
    const end = await bench.cli('B', 'shutdown', ...why);
    t.match(end, { exit: 0, json: [{ kind: 'shutdown', message: /stays off/ }] });
    await bench.watch.until('node A is alone', ({ node, status }) => {
      return node === 'A' && status.nodes.A.serving && !status.nodes.B.known;
    });
    // Its last words end the link; the power goes after them.
    let off = await bench.running.power('B');
    for (let look = 0; off.power !== 'off' && look < LOOKS_MAX; look += 1) {
      await sleep(LOOK_MS);
      off = await bench.running.power('B');
    }
    t.match(off, { power: 'off', pid: null });
    const files = await archive(bench, 'B', '--offline', '--config', bench.pair.nodes.B.config);
    t.match(files.get('journal/records.json'), /"kind": "node"/, 'collected without a daemon');
    t.strictSame(await leaks(bench, 'B', files), []);
    const refused = await bench.cli('A', 'restart', ...why);
    t.match(refused, { exit: 24, json: [{ error: { code: 'power.refused' } }] });
    await bench.power('B', 'on');
    await whole('A', 'after it was switched on');
    const job = String(end.json[0]?.['id']);
    const waited = await bench.cli('B', 'job', 'wait', job, '--json');
    t.match(waited, { exit: 0, json: [{ message: /was switched on again/ }] });
  });

  const client = await bench.checkClient();
  t.same([client.lost, client.misreads], [[], 0], 'no acknowledged write is lost');
  t.ok(client.writes > 0);
  t.comment(`longest gap of the client: ${client.longestGapMs.toFixed(0)} ms`);
  await bench.close();
});
