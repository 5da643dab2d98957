/**
 * A real pair whose bundle brings a new trust root: what the old and the new keys sign is judged by
 * each node for itself, before the update, between it and its commit, and after it; the commit
 * keeps the new root on both nodes, also on one whose power goes away right then; a node that lost
 * its root takes nothing. Only with PAIR_ALL=1 (`npm run test:embedded`).
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { openWorkshop, type Workshop } from '../../scripts/demo/workshop.ts';
import { makeBundle } from '../../src/bundle/builder.ts';
import { generateSigningKey, type SigningKey } from '../../src/bundle/keys.ts';
import { inspectBundle } from '../../src/bundle/reader.ts';
import { nextRootFile, rootKeyOf, rootText } from '../../src/bundle/root-file.ts';
import { encodeRoots } from '../../src/bundle/rotation.ts';
import { signBytes } from '../../src/bundle/signature.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import type { BundleSpec } from '../../src/bundle/spec.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import { Bench, READY_MS, RELEASES } from './harness.ts';
import { expectEnd } from './judge.ts';

t.setTimeout(300_000);

const [oldKey, newKey] = [generateSigningKey(), generateSigningKey()] as const;
const first = nextRootFile(undefined, { add: [rootKeyOf(oldKey, 'old')], revoke: [], remove: [] });
const second = nextRootFile(first, {
  add: [rootKeyOf(newKey, 'new')],
  revoke: [oldKey.keyid],
  remove: [],
});
const root = rootText(second);
const signatures = [oldKey, newKey].map((key) => signBytes(root, key, 'root'));
const roots = encodeRoots([{ version: 2, root, signatures }]);

/** What the demo's bundle says, as a spec. */
async function specOf(file: string): Promise<BundleSpec> {
  await using source = await openFileSource(file);
  const { manifest } = await inspectBundle(source);
  const { format: _format, requires: _requires, root: _root, ...decided } = manifest;
  const images = decided.images.map(({ name, class: cls, version, counter, ...image }) => {
    const { runsWith, formatLevel } = image;
    const level = formatLevel === undefined ? {} : { formatLevel };
    return { name, class: cls, version, counter, runsWith, ...level };
  });
  return { ...decided, images };
}

/** The demo's workshop with the keys of this test. */
async function ownWorkshop(): Promise<Workshop> {
  const inner = await openWorkshop();
  return {
    programs: inner.programs,
    systemImage: (release) => inner.systemImage(release),
    storageImage: (release) => inner.storageImage(release),
    trustRoot: (out) => writeFile(out, rootText(first)),
    bundle: async (release, out) => {
      await inner.bundle(release, `${out}.inner`);
      const images = {
        system: (await inner.systemImage(release)).file,
        storage: (await inner.storageImage(release)).file,
      };
      const spec = await specOf(`${out}.inner`);
      await makeBundle(spec, images, out, { level: 1, keys: [newKey], roots });
    },
  };
}

const skip = process.env['PAIR_ALL'] === undefined ? 'only with PAIR_ALL=1' : false;

t.test('a bundle brings a new trust root', { skip }, async (t) => {
  const bench = await Bench.open(t, { workshop: await ownWorkshop() });
  const file = await bench.bundle(RELEASES.second);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  const rootPath = (node: NodeId): string =>
    join(bench.pair.nodes[node].stateDir, 'trust/root.json');
  const keptOn = async (node: NodeId): Promise<boolean> =>
    (await readFile(rootPath(node))).equals(root);

  /** A later release that nobody installs, signed by this key alone. */
  const later = async (name: string, key: SigningKey): Promise<string> => {
    const raw = join(bench.dir, 'later.img');
    await writeFile(raw, Buffer.alloc(70_000, 'later'));
    const spec = await specOf(file);
    const words = { version: '3.0.0', releaseCounter: 30, from: '>=1.0.0' };
    const images = spec.images.map((image) => ({ ...image, version: '3.0.0', counter: 30 }));
    const out = join(bench.dir, name);
    const files = { system: raw, storage: raw };
    await makeBundle({ ...spec, ...words, images }, files, out, { level: 1, keys: [key] });
    return out;
  };
  const byOld = await later('old.bin', oldKey);
  const byNew = await later('new.bin', newKey);
  const judged = async (node: NodeId, path: string): Promise<number> =>
    (await bench.cli(node, 'validate', path, '--json')).exit;
  const status = async (node: NodeId) =>
    (await bench.cli(node, 'status', '--json')).json[0] as {
      trust: unknown;
      alarms: { code: string }[];
    };

  await t.test('the new keys count only for the bundle that brings them', async (t) => {
    t.strictSame([await judged('A', byOld), await judged('A', byNew)], [0, 13]);
    t.equal(await judged('B', file), 0);
    bench.startClient();
    t.equal((await bench.update('B', file).done).exit, 0);
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
    for (const node of NODES) {
      t.notOk(await keptOn(node), `node ${node} has its old root until the commit`);
      t.match((await status(node)).trust, { version: 1, next: 2 }, `node ${node} says so`);
      t.equal(await judged(node, byNew), 13);
    }
  });

  await t.test('the commit keeps it on both, whatever becomes of the power of one', async (t) => {
    const commit = await bench.cli('A', 'commit', '--wait', '--yes', '--json', '--timeout', '150');
    t.equal(commit.exit, 0);
    await bench.power('B', 'reset');
    await bench.running.waitAvailable(READY_MS, bench.signal);
    for (const node of NODES) {
      for (let tries = 0; tries < 100 && !(await keptOn(node)); tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      t.ok(await keptOn(node), `node ${node} keeps the exact bytes`);
      t.strictSame([await judged(node, byOld), await judged(node, byNew)], [13, 0]);
      t.match((await status(node)).trust, { version: 2, keys: 1, revoked: 1, next: null });
    }
    t.match((await bench.cli('A', 'slots')).stdout, /Node A: trust root 2, 1 of 1 keys must sign/);
  });

  await t.test('a node that lost its root takes nothing, and says so', async (t) => {
    await rename(rootPath('A'), `${rootPath('A')}.away`);
    t.equal(await judged('A', byNew), 13);
    const alarm = await bench.watch.until('the alarm', ({ status: { alarms } }) =>
      alarms.some(({ code }) => code === 'trust.no_root'),
    );
    t.ok(alarm);
    await rename(`${rootPath('A')}.away`, rootPath('A'));
    t.equal(await judged('A', byNew), 0);
  });
});
