/**
 * A real pair that is asked for what cannot be: files that are no bundle, a second daemon on the
 * same state, a bad configuration, a socket that nobody listens on, a peer with the wrong key. Each
 * has its code and its exit status, and the pair is as before.
 */
import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { AppliancePair } from '../../scripts/appliance.ts';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import { createKeys, keysDirOf, PAIR_FILE } from '../../src/drivers/keys.ts';
import { Bench, READY_MS, RELEASES, runCommand, type Finished } from './harness.ts';
import { expectEnd } from './judge.ts';

t.setTimeout(220_000);
const run = promisify(execFile);
const TIB = 1024 ** 4;

/** Files that are no bundle, made from a good one, with the code and the exit status of each. */
async function badFiles(dir: string, good: string): Promise<[string, string, number][]> {
  await mkdir(dir);
  const at = (name: string): string => join(dir, name);
  await writeFile(at('empty'), '');
  await writeFile(at('text'), 'This is the readme of another product.\n'.repeat(500));
  await writeFile(at('huge'), '');
  await truncate(at('huge'), TIB);
  for (const name of ['short', 'long', 'long-and-huge']) await copyFile(good, at(name));
  const bytes = (await readFile(good)).length;
  await truncate(at('short'), bytes - 1);
  await truncate(at('long'), bytes + 512);
  await truncate(at('long-and-huge'), TIB);
  await run('mkfifo', [at('fifo')]);
  return [
    [dir, 'bundle.not_a_file', 10],
    [at('fifo'), 'bundle.not_a_file', 10],
    [at('empty'), 'bundle.truncated', 10],
    [at('missing'), 'file.not_found', 2],
    [at('text'), 'bundle.wrong_type', 10],
    [at('huge'), 'bundle.wrong_type', 10],
    [at('short'), 'bundle.truncated', 10],
    [at('long'), 'bundle.trailing_data', 10],
    [at('long-and-huge'), 'bundle.trailing_data', 10],
  ];
}

/** Gives node B another key than the one that its peer has pinned. */
async function otherKeys(pair: AppliancePair): Promise<void> {
  const keysDir = keysDirOf(pair.nodes.B.stateDir);
  await cp(keysDir, `${keysDir}.kept`, { recursive: true });
  await rm(keysDir, { recursive: true });
  await createKeys(keysDir, 'B');
  await copyFile(join(`${keysDir}.kept`, PAIR_FILE), join(keysDir, PAIR_FILE));
}

/** Gives node B its own key again. */
async function ownKeys(pair: AppliancePair): Promise<void> {
  const keysDir = keysDirOf(pair.nodes.B.stateDir);
  await rm(keysDir, { recursive: true });
  await cp(`${keysDir}.kept`, keysDir, { recursive: true });
}

/** Starts the program as a daemon that no supervisor knows, with this configuration. */
async function daemon(bench: Bench, config: string): Promise<Finished> {
  const boot = { bootId: 'another', slot: 'A', reason: 'default', attempt: 0 };
  const env = { ...process.env, TANDEM_BOOT: JSON.stringify(boot) };
  const words = [bench.workshop.programs.tandem, 'daemon', '--config', config];
  return runCommand(process.execPath, words, env).done;
}

t.test('a pair that is asked for what cannot be', async (t) => {
  const bench = await Bench.open(t, { prepare: otherKeys });
  const { watch } = bench;
  const good = await bench.bundle(RELEASES.second);

  await t.test('a peer with the wrong key: it is said, and nobody serves', async (t) => {
    for (const node of ['A', 'B'] as const) {
      await watch.until(`the alarm on node ${node}`, (look) => {
        const codes = look.status.alarms.map((alarm) => alarm.code);
        return look.node === node && codes.includes('pair.wrong_peer');
      });
      const shown = await bench.cli(node, 'cluster', 'status');
      t.equal(shown.exit, 0);
      t.match(shown.stdout, /^ALONE .*\n(.*\n)*.*ALARM node \w: [^(]*\(pair\.wrong_peer\)/);
      t.match(await bench.cli(node, 'status', '--json'), {
        json: [{ ha: { ok: false }, nodes: { [node]: { serving: false, admitted: false } } }],
      });
      const refused = await bench.update(node, good, '--json').done;
      t.match(refused, { exit: 24, json: [{ error: { code: 'pair.peer_unreachable' } }] });
    }
    await bench.power('B', 'off');
    await ownKeys(bench.pair);
    await bench.power('B', 'on');
    await bench.running.waitAvailable(READY_MS, bench.signal);
    bench.startClient();
  });

  await t.test('what is no bundle is refused by validate and by update', async (t) => {
    const before = watch.events.length;
    for (const [path, code, exit] of await badFiles(join(bench.dir, 'bad'), good)) {
      const [validated, updated] = await Promise.all([
        bench.cli('B', 'validate', path, '--json'),
        bench.update('A', path, '--json').done,
      ]);
      t.match(validated, { exit, json: [{ ok: false, code, exit }] }, `validate ${path}`);
      t.match(updated, { exit, json: [{ error: { code }, exit }] }, `update ${path}`);
    }
    const told = new Set(watch.events.slice(before).map((event) => event.state));
    t.strictSame(
      [...told].filter((state) => !['request', 'progress'].includes(state)),
      [],
    );
  });

  await t.test('a second daemon on the same state is refused and does no harm', async (t) => {
    const refused = await daemon(bench, bench.pair.nodes.A.config);
    t.match(refused, { exit: 2, stderr: /\(state\.locked, exit 2\)/ });
    const { A } = (await bench.running.status('A', bench.signal)).nodes;
    t.equal(A.serving, true, 'the first one goes on');
  });

  await t.test('a bad configuration is refused with file, line and what is accepted', async (t) => {
    const file = join(bench.dir, 'bad.jsonc');
    const text = await readFile(bench.pair.nodes.A.config, 'utf8');
    await writeFile(file, text.replace('"node": "A"', '"node": "C"'));
    const line = text.split('\n').findIndex((one) => one.includes('"node"')) + 1;
    const refused = await daemon(bench, file);
    t.equal(refused.exit, 2);
    t.match(
      refused.stderr,
      new RegExp(`bad\\.jsonc:${String(line)}: node is "C"; accepted: "A" or "B"`),
    );
    await writeFile(file, text.slice(0, text.length / 2));
    t.match(await daemon(bench, file), { exit: 2, stderr: /\(config\.invalid, exit 2\)/ });
  });

  await t.test('a socket that nobody listens on', async (t) => {
    const dead: NodeId = 'B';
    await bench.power(dead, 'off');
    for (const words of [['status'], ['update', good, '--yes'], ['job', 'wait']]) {
      const gone = await bench.cli(dead, ...words, '--json');
      const report = { code: 'daemon.unreachable' };
      t.match(gone, { exit: 50, json: [{ error: report, exit: 50 }] }, words.join(' '));
    }
    const lonely = await bench.update(peerOf(dead), good, '--json').done;
    t.match(lonely, { exit: 24, json: [{ error: { code: 'pair.peer_unreachable' } }] });
    await bench.power(dead, 'on');
    await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: null });
  });
});
