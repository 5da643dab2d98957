/**
 * A bundle that brings a new trust root on its way through a node: staged here, fetched by the
 * standby, which judges by its own root, kept in the depot over the change of the root. What is in
 * the depot is judged anew each time, so a copy of an old release goes with the keys that signed
 * it. May import tap, node:, crafted bundles and src.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readDepotHead } from '../../src/daemon/depot-head.ts';
import { openDepot } from '../../src/drivers/depot-dir.ts';
import { fetchBundle } from '../../src/install/fetch.ts';
import type { InstallerRequest } from '../../src/install/protocol.ts';
import { serveFile } from '../../src/install/serve.ts';
import { stageFile } from '../../src/install/stage.ts';
import { verifyFile } from '../../src/install/verify.ts';
import { craft, sha256, testKey } from '../bundle/craft.ts';
import { ceremony, link, rootBytes, rootsJson } from '../bundle/craft-roots.ts';
import { makePair } from './pair.ts';

const { a, b, d, e, old, next } = ceremony();
const images = { system: Buffer.alloc(70_000, 'system ') };
const roots = { bytes: rootsJson([link(next, [a, b, d, e])]), version: 2 };
const bringing = craft({ images, roots, keys: [d, e] });
const plain = craft({ images, keys: [a, b] });
const idOf = (bundle: Buffer): string => {
  const size = Number.parseInt(bundle.toString('latin1', 124, 135), 8);
  return sha256(bundle.subarray(512, 512 + size));
};
const quiet = { signal: new AbortController().signal, onProgress: () => undefined };

/** A node's root, its depot, and files that somebody brings. */
function node(dir: string, root: Buffer) {
  mkdirSync(dir, { recursive: true });
  const at = (name: string): string => join(dir, name);
  writeFileSync(at('bringing.bin'), bringing);
  writeFileSync(at('plain.bin'), plain);
  const [trustRoot, depotDir] = [at('root.json'), at('depot')];
  const setRoot = (bytes: Buffer): void => writeFileSync(trustRoot, bytes);
  setRoot(root);
  const stage = (name: string) =>
    stageFile({ do: 'stage', path: at(name), trustRoot, depotDir }, quiet);
  const list = async (): Promise<readonly string[]> => {
    const depot = await openDepot(depotDir, readDepotHead(trustRoot));
    return (await depot.list()).map(({ bundle }) => bundle).toSorted();
  };
  return { at, trustRoot, depotDir, setRoot, stage, list };
}

t.test('depot copies are judged with the root of the moment', async (t) => {
  const n = node(t.testdir({}), rootBytes(old));
  await n.stage('plain.bin');
  await n.stage('bringing.bin');
  const both = [idOf(plain), idOf(bringing)].toSorted();
  t.strictSame(await n.list(), both, 'each leads to its own signers');
  n.setRoot(rootBytes(next));
  t.strictSame(await n.list(), [idOf(bringing)], 'the old keys are gone, and their copy with them');
  await t.rejects(n.stage('plain.bin'), { code: 'trust.untrusted' });
  await t.rejects(verifyFile(n.at('plain.bin'), n.trustRoot, quiet), { code: 'trust.untrusted' });
  t.equal((await n.stage('bringing.bin')).bundle, idOf(bringing), 'it is there already');
  n.setRoot(Buffer.from('{}'));
  t.strictSame(await n.list(), [], 'no root: nothing');
  await t.rejects(n.stage('bringing.bin'), { code: 'trust.no_root' });
});

async function served(t: Test, path: string, keysDir: string): Promise<number> {
  const stop = new AbortController();
  const port = Promise.withResolvers<number>();
  const request = { do: 'serve', path, listen: { host: '127.0.0.1', port: 0, keysDir } } as const;
  const told = { signal: stop.signal, onListening: port.resolve, onTrouble: () => undefined };
  const run = serveFile(request, told);
  t.teardown(async () => {
    stop.abort();
    await run;
  });
  return await port.promise;
}

t.test('the standby judges by its own root what the active sends', async (t) => {
  const dir = t.testdir({});
  const keys = await makePair(join(dir, 'keys'));
  const active = node(join(dir, 'active'), rootBytes(next));
  const standby = node(join(dir, 'standby'), rootBytes(old));
  const fetch = async (path: string, bundle: Buffer) => {
    const port = await served(t, path, keys.a);
    const { trustRoot, depotDir } = standby;
    const from = { host: '127.0.0.1', port, keysDir: keys.b };
    const what = { do: 'fetch', from, bundle: idOf(bundle), bytes: bundle.length } as const;
    const request = { ...what, trustRoot, depotDir } as InstallerRequest & { do: 'fetch' };
    return await fetchBundle(request, quiet);
  };
  t.equal((await fetch(active.at('bringing.bin'), bringing)).bundle, idOf(bringing));
  t.strictSame(await standby.list(), [idOf(bringing)]);
  // Good for a node that has root 2, and the way to it is missing.
  const bare = craft({ images, keys: [d, e] });
  writeFileSync(active.at('bare.bin'), bare);
  t.equal((await active.stage('bare.bin')).bundle, idOf(bare));
  await t.rejects(fetch(active.at('bare.bin'), bare), { code: 'trust.untrusted' });
  // A root that the active was given by hand, and that one old key alone has signed.
  const thief = testKey();
  const stolen = rootsJson([link({ version: 2, keys: [thief] }, [a, thief])]);
  const evil = craft({ images, keys: [thief], roots: { bytes: stolen, version: 2 } });
  active.setRoot(rootBytes({ version: 2, keys: [thief] }));
  writeFileSync(active.at('evil.bin'), evil);
  t.equal((await active.stage('evil.bin')).bundle, idOf(evil), 'the active believes it');
  await t.rejects(fetch(active.at('evil.bin'), evil), { code: 'trust.rotation' });
  const names = readdirSync(standby.depotDir).filter((name) => /\.(bin|part)$/.test(name));
  t.strictSame(names, [`${idOf(bringing)}.bin`], 'nothing was reserved for what was refused');
});
