/**
 * A real pair of which a node is replaced while a client works: one of another version is refused
 * on both sides, one of the same version joins, gets everything and may take over. The old node
 * comes back: it is not heard, serves nothing and says why, also after another restart, and may not
 * join again. Once the standby is replaced, and once the node that served. Only with PAIR_ALL=1
 * (`npm run test:embedded`).
 */
import { mkdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createAppliance } from '../../scripts/appliance.ts';
import { FIRST } from '../../scripts/demo/scenarios.ts';
import { HARDWARE, PRODUCT, type DemoRelease } from '../../scripts/demo/workshop.ts';
import type { AuditEntry } from '../../src/core/operator.ts';
import { peerOf, RELEASE_FILE, type NodeId } from '../../src/core/model.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { keysDirOf, readPairRecord } from '../../src/drivers/keys.ts';
import { Bench, READY_MS, RELEASES, runCommand, type Finished } from './harness.ts';

t.setTimeout(400_000);

/** What makes one node of another: its disk. */
const DISK = ['state', 'slots', 'boot'] as const;
const PORTS = { A: { link: 1, storage: 1 }, B: { link: 1, storage: 1 }, service: 1 };

/** A disk from the factory with this release, for a node of the bench; it lies in a folder. */
async function newDisk(bench: Bench, node: NodeId, release: DemoRelease): Promise<string> {
  const dir = join(bench.dir, `disk-${release.version}-${String(performance.now())}`);
  const trustRoot = join(bench.dir, 'root.json');
  const systemImage = await bench.workshop.systemImage(release);
  const storageImage = await bench.workshop.storageImage(release);
  const words = { product: PRODUCT, hardware: HARDWARE, policy: {}, trustRoot, ports: PORTS };
  await createAppliance({ dir, node, ...words, systemImage, storageImage });
  return dir;
}

/** Puts the disk of this folder into a node that is off; the folder gets the one that was there. */
async function exchangeDisk(bench: Bench, node: NodeId, folder: string): Promise<void> {
  const { dir } = bench.pair.nodes[node];
  const aside = join(folder, 'aside');
  await mkdir(aside);
  for (const part of DISK) {
    await rename(join(dir, part), join(aside, part));
    await rename(join(folder, part), join(dir, part));
    await rename(join(aside, part), join(folder, part));
  }
  await rmdir(aside);
}

/** The status of a node, once it says so. */
async function until(
  bench: Bench,
  node: NodeId,
  good: (status: PairStatus) => boolean,
): Promise<PairStatus> {
  const signal = AbortSignal.any([bench.signal, AbortSignal.timeout(READY_MS)]);
  for (;;) {
    const found = await bench.running.status(node, signal).catch(() => null);
    if (found !== null && good(found)) return found;
    await pause(100, undefined, { signal });
  }
}

/** `pair replace` under way, and the words that it says to the new node. */
async function replacing(bench: Bench, by: NodeId) {
  const why = ['--yes', '--reason', 'disk', '--json'];
  const command = bench.start(by, 'pair', 'replace', peerOf(by), ...why);
  const told = async (): Promise<string> => {
    while (!command.stdout.includes('\n')) {
      await pause(50, undefined, { signal: bench.signal });
    }
    return command.stdout.split('\n')[0]!;
  };
  const { listen, code } = JSON.parse(await bench.during(command, told())) as Offer;
  return { command, words: [listen, code] };
}

interface Offer {
  readonly listen: string;
  readonly code: string;
}

/** `pair join`, as it is typed on a node. */
async function joins(bench: Bench, node: NodeId, words: readonly string[]): Promise<Finished> {
  const { config } = bench.pair.nodes[node];
  const verb = ['pair', 'join', ...words, '--config', config, '--json'];
  return runCommand(process.execPath, [bench.workshop.programs.tandem, ...verb]).done;
}

/** Boots a node that is not paired for as long as it needs to have its release at its place. */
async function bootOnce(bench: Bench, node: NodeId, release: DemoRelease): Promise<void> {
  const file = join(bench.pair.nodes[node].dir, 'run', 'root', RELEASE_FILE);
  await rm(file, { force: true });
  await bench.power(node, 'on');
  const found = async (): Promise<boolean> =>
    (await readFile(file, 'utf8').catch(() => '')).includes(release.version);
  while (!(await found())) await pause(50, undefined, { signal: bench.signal });
  await bench.power(node, 'off');
}

/** The peer of `stays` is replaced; it is off. Returns the folder with its old disk. */
async function replace(t: Test, bench: Bench, stays: NodeId): Promise<string> {
  const node = peerOf(stays);
  const old = await newDisk(bench, node, FIRST);
  const wrong = await newDisk(bench, node, RELEASES.second);
  const before = await readPairRecord(keysDirOf(bench.pair.nodes[stays].stateDir));

  await exchangeDisk(bench, node, wrong);
  await bootOnce(bench, node, RELEASES.second);
  const first = await replacing(bench, stays);
  const refused = await joins(bench, node, first.words);
  const words = /the pair runs 1\.0\.0, this node runs something else/;
  const error = { code: 'pair.other_version', message: words };
  t.match(refused, { exit: 12, json: [{ error }] }, 'the new node is told what to install');
  const told = await first.command.done;
  const why = /runs 2\.0\.0 \(2\) as system, the pair runs 1\.0\.0 \(1\)/;
  t.match(told, { exit: 12, json: [{}, { code: 'pair.other_version', message: why }] });
  t.same(await readPairRecord(keysDirOf(bench.pair.nodes[stays].stateDir)), before);

  await exchangeDisk(bench, node, wrong);
  await exchangeDisk(bench, node, old);
  await bootOnce(bench, node, FIRST);
  const second = await replacing(bench, stays);
  t.match(await joins(bench, node, second.words), { exit: 0, json: [{ pair: before?.pair }] });
  await bench.power(node, 'on');
  const end = await second.command.done;
  const message = /is revoked; the pair is highly available/;
  t.match(end, { exit: 0, json: [{}, { kind: 'replace', state: 'done', message }] });
  const status = await bench.running.waitAvailable(READY_MS, bench.signal);
  t.ok(status.nodes[stays].serving, 'the service stayed where it was');
  const { json } = await bench.cli(stays, 'history', '--audit', '--limit', '4', '--json');
  const { entries } = json[0] as { entries: readonly AuditEntry[] };
  const noted = entries.map(({ act, result, code }) => `${act} ${result} ${code ?? '-'}`);
  t.same(noted, [
    'pair replace done -',
    'pair replace accepted -',
    'pair replace failed pair.other_version',
    'pair replace accepted -',
  ]);
  return old;
}

const safe = ({ state }: PairStatus): boolean => state === 'SAFE_MODE';

/** The old node comes back in the place of the new one: it is told, and it serves nothing. */
async function returns(t: Test, bench: Bench, stays: NodeId, old: string): Promise<void> {
  const node = peerOf(stays);
  await bench.power(node, 'off');
  await until(bench, stays, ({ nodes }) => !nodes[node].known && nodes[stays].serving);
  await exchangeDisk(bench, node, old);
  await bench.power(node, 'on');
  const found = await until(bench, node, safe);
  t.match(found.alarms, [{ code: 'pair.replaced', node }]);
  t.notOk(found.nodes[node].serving);
  const other = await until(bench, stays, ({ alarms }) =>
    alarms.some(({ message }) => message.includes('of the node that was replaced')),
  );
  t.ok(other.nodes[stays].serving && !other.nodes[node].known, 'it is not heard');
  t.match(await bench.cli(node, 'takeover', '--yes', '--reason', 'x', '--json'), { exit: 24 });

  const again = await replacing(bench, stays);
  const refused = await joins(bench, node, again.words);
  t.match(refused, { exit: 51, json: [{ error: { code: 'pair.key_revoked' } }] });
  t.match(await again.command.done, { exit: 51 });

  // Nobody is there who could tell it, and it knows it all the same.
  await bench.power(stays, 'off');
  await bench.power(node, 'reset');
  t.match((await until(bench, node, safe)).alarms, [{ code: 'pair.replaced' }]);
  await bench.power(node, 'off');
  await bench.power(stays, 'on');
  await exchangeDisk(bench, node, old);
  await bench.power(node, 'on');
  await bench.running.waitAvailable(READY_MS, bench.signal);
}

/** No acknowledged write is lost, and nobody ever served beside another one. */
async function check(t: Test, bench: Bench): Promise<void> {
  const client = await bench.checkClient();
  t.same([client.lost, client.misreads, bench.watch.faults], [[], 0, []]);
  t.ok(client.writes > 0);
  await bench.close();
}

const plan = { skip: process.env['PAIR_ALL'] === undefined ? 'only with PAIR_ALL=1' : false };

t.test('the standby is replaced', plan, async (t) => {
  const bench = await Bench.open(t);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  bench.startClient();
  const alive = await bench.cli('A', 'pair', 'replace', 'B', '--yes', '--reason', 'x', '--json');
  t.match(alive, { exit: 24, json: [{ error: { code: 'replace.refused' } }] });
  await bench.power('B', 'off');
  await until(bench, 'A', ({ nodes }) => !nodes.B.known && nodes.A.serving);
  const old = await replace(t, bench, 'A');
  await returns(t, bench, 'A', old);
  await check(t, bench);
});

t.test('the node that served is replaced', plan, async (t) => {
  const bench = await Bench.open(t);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  await bench.power('A', 'off');
  await until(bench, 'B', ({ nodes }) => !nodes.A.known);
  const idle = await bench.cli('B', 'pair', 'replace', 'A', '--yes', '--reason', 'x', '--json');
  t.match(idle, { exit: 24, json: [{ error: { message: /does not serve/ } }] });
  t.match(await bench.cli('B', 'takeover', '--yes', '--reason', 'dead', '--json'), { exit: 0 });
  await until(bench, 'B', ({ nodes }) => nodes.B.serving);
  bench.startClient();
  const old = await replace(t, bench, 'B');
  await returns(t, bench, 'B', old);
  await check(t, bench);
});

t.test('a node that is lost in its trial is replaced: the update ends', plan, async (t) => {
  const bench = await Bench.open(t);
  const file = await bench.bundle(RELEASES.second);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  bench.startClient();
  const update = bench.update('A', file, '--json');
  await bench.watch.phase('TRIAL2', 0);
  await bench.power('B', 'off');
  await until(bench, 'A', ({ nodes }) => !nodes.B.known && nodes.A.serving);
  const disk = await newDisk(bench, 'B', RELEASES.second);
  await exchangeDisk(bench, 'B', disk);
  await bootOnce(bench, 'B', RELEASES.second);
  const { command, words } = await replacing(bench, 'A');
  t.match(await joins(bench, 'B', words), { exit: 0 });
  await bench.power('B', 'on');
  t.match(await command.done, { exit: 0 });
  t.match(await update.done, { exit: 32, json: [{ code: 'standby.failed_held' }] });
  const status = await bench.running.waitAvailable(READY_MS, bench.signal);
  t.match(status.nodes, {
    A: { system: { version: '2.0.0' }, storage: { version: '2.0.0' } },
    B: { system: { version: '2.0.0' }, storage: { version: '2.0.0' } },
  });
  t.match(status, { rollout: { phase: 'HOLD_MIXED', ended: true } });
  const commit = await bench.cli('A', 'commit', '--wait', '--yes', '--json', '--timeout', '60');
  t.match(commit, { exit: 0 }, `both run it, so it can be made permanent: ${commit.stdout}`);
  await check(t, bench);
});
