/**
 * Bundles on their way into the depot, from a file and from the peer: what is verified, what
 * resumes, what a full disk and a wrong peer do. May import tap, node: and src.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { dirname, join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { openBundle } from '../../src/bundle/reader.ts';
import { openFileSource, type ByteSource } from '../../src/bundle/source.ts';
import { loadTrustRoot } from '../../src/bundle/trust.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { Progress } from '../../src/core/model.ts';
import { loadKeys, tlsOptions } from '../../src/drivers/keys.ts';
import { BULK_PROTOCOL, encodeRequests } from '../../src/install/bulk.ts';
import { fetchBundle } from '../../src/install/fetch.ts';
import { depotFor, fillDepot } from '../../src/install/fill.ts';
import { serveFile } from '../../src/install/serve.ts';
import { stageFile } from '../../src/install/stage.ts';
import { verifyFile } from '../../src/install/verify.ts';
import { canMount, withFileLimit, withTmpfs } from '../drivers/small-disk.ts';
import { makePair, type KeyDirs } from './pair.ts';
import { ENTRY, flipBit, makeSample, MIB, type Sample } from './sample.ts';

const never = new AbortController().signal;
const quiet = { signal: never, onProgress: () => undefined };
const sha256 = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
const depotFile = (sample: Sample, ending: string): string =>
  join(sample.depotDir, `${sample.made.bundle}.${ending}`);
const stageRequest = (sample: Sample) =>
  ({
    do: 'stage',
    path: sample.bundlePath,
    trustRoot: sample.rootPath,
    depotDir: sample.depotDir,
  }) as const;

/** A source that counts what is read of it, and breaks after `limitBytes`. */
async function counted(
  sample: Sample,
  limitBytes: number,
): Promise<ByteSource & AsyncDisposable & { readBytes: number }> {
  const source = await openFileSource(sample.bundlePath);
  const counting = {
    sizeBytes: source.sizeBytes,
    readBytes: 0,
    readAt: async (offset: number, length: number, signal?: AbortSignal) => {
      counting.readBytes += length;
      if (counting.readBytes > limitBytes) throw new UpdateError('pair.peer_unreachable', 'gone');
      return await source.readAt(offset, length, signal);
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
  return counting;
}

t.test('verify: every byte of the file counts', async (t) => {
  const sample = await makeSample(t.testdir(), { systemBytes: 300_000, storageBytes: 70_000 });
  const told: Progress[] = [];
  const onProgress = (progress: Progress): void => void told.push(progress);
  const verify = (): Promise<unknown> =>
    verifyFile(sample.bundlePath, sample.rootPath, { signal: never, onProgress });
  t.match(await verify(), { bundle: sample.made.bundle, bytes: sample.made.sizeBytes });
  t.match(told.at(-1), { doneBytes: sample.made.sizeBytes, totalBytes: sample.made.sizeBytes });
  const size = sample.made.sizeBytes;
  // Spread over the file with a step that has no factor in common with its blocks.
  for (let at = 0; at < size; at += Math.floor(size / 60) | 1) {
    await flipBit(sample.bundlePath, at);
    await t.rejects(verify(), { code: /^(bundle|trust)\./ }, `byte ${at}`);
    await flipBit(sample.bundlePath, at);
  }
  t.match(await verify(), { bundle: sample.made.bundle });
});

t.test('stage copies the exact file and leaves nothing else', async (t) => {
  const sample = await makeSample(t.testdir());
  const result = await stageFile(stageRequest(sample), quiet);
  t.match(result, { bundle: sample.made.bundle, bytes: sample.made.sizeBytes });
  t.same(await readdir(sample.depotDir), [`${sample.made.bundle}.bin`]);
  t.equal(await sha256(depotFile(sample, 'bin')), await sha256(sample.bundlePath));
});

t.test('a rotten entry of the depot is staged anew', async (t) => {
  const sample = await makeSample(t.testdir());
  await stageFile(stageRequest(sample), quiet);
  await flipBit(depotFile(sample, 'bin'), Math.floor(sample.made.sizeBytes / 2));
  await stageFile(stageRequest(sample), quiet);
  t.equal(await sha256(depotFile(sample, 'bin')), await sha256(sample.bundlePath));
});

t.test('a damaged chunk stops the copy; mended, it goes on where it was', async (t) => {
  const sample = await makeSample(t.testdir(), { systemBytes: 4 * MIB, slotBytes: 4 * MIB });
  const { images } = await sample.open();
  const at = (images[0]?.dataOffset ?? 0) + Math.floor(sample.made.sizeBytes * 0.7);
  await flipBit(sample.bundlePath, at);
  await t.rejects(stageFile(stageRequest(sample), quiet), { code: 'bundle.damaged' });
  t.ok((await readdir(sample.depotDir)).includes(`${sample.made.bundle}.part`));
  await flipBit(sample.bundlePath, at);

  await using source = await counted(sample, Infinity);
  const root = await loadTrustRoot(sample.rootPath);
  const bundle = await openBundle(source, root);
  const headBytes = source.readBytes;
  const target = { root, depot: await depotFor(sample.depotDir, root) };
  await fillDepot(source, bundle, target, { ...quiet, depth: 2 });
  const copied = source.readBytes - headBytes;
  t.ok(copied < sample.made.sizeBytes * 0.4, `${copied} of ${sample.made.sizeBytes} read again`);
  t.equal(await sha256(depotFile(sample, 'bin')), await sha256(sample.bundlePath));
});

t.test('what an earlier run left is not believed', async (t) => {
  const sample = await makeSample(t.testdir());
  const root = await loadTrustRoot(sample.rootPath);
  const depot = await depotFor(sample.depotDir, root);
  const path = await depot.reserve(sample.made.bundle, sample.made.sizeBytes);
  const bytes = await readFile(sample.bundlePath);
  for (let at = 5000; at < bytes.length; at += 70_001) bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(path, bytes);
  await stageFile(stageRequest(sample), quiet);
  t.equal(await sha256(depotFile(sample, 'bin')), await sha256(sample.bundlePath));
});

t.test('a source that changes between its check and the copy yields no entry', async (t) => {
  const sample = await makeSample(t.testdir());
  const root = await loadTrustRoot(sample.rootPath);
  await using source = await openFileSource(sample.bundlePath);
  const bundle = await openBundle(source, root);
  // A byte of the manifest, which is verified and not read as a chunk.
  await flipBit(sample.bundlePath, 600);
  const depot = await depotFor(sample.depotDir, root);
  const run = fillDepot(source, bundle, { root, depot }, { ...quiet, depth: 2 });
  await t.rejects(run, { code: /^(trust|bundle)\./ });
  t.same(await depot.list(), []);
});

const STAGE_SCRIPT = `
  import { readdir } from 'node:fs/promises';
  const { stageFile } = await import(${JSON.stringify(join(dirname(ENTRY), 'install/stage.ts'))});
  const [path, trustRoot, depotDir] = process.argv.slice(1);
  const options = { signal: new AbortController().signal, onProgress: () => {} };
  let code = 'done';
  try { await stageFile({ do: 'stage', path, trustRoot, depotDir }, options); }
  catch (error) { code = error.code; }
  console.log(JSON.stringify({ code, names: (await readdir(depotDir)).toSorted() }));`;

t.test('a disk that is too small is found before the first byte is copied', async (t) => {
  const dir = t.testdir({ small: {} });
  const sample = await makeSample(join(dir, 'files'));
  const args = [sample.bundlePath, sample.rootPath];
  const limited = withFileLimit(MIB, STAGE_SCRIPT, [...args, join(dir, 'depot')]);
  t.same(limited.result, { code: 'space.depot', names: [] });
  if (!canMount()) return;
  const small = join(dir, 'small');
  const full = withTmpfs(small, 64 * MIB, STAGE_SCRIPT, [...args, small]);
  t.same(full.result, { code: 'space.depot', names: [] });
  const enough = withTmpfs(small, 70 * MIB, STAGE_SCRIPT, [...args, small]);
  t.same(enough.result, { code: 'done', names: [`${sample.made.bundle}.bin`] });
});

t.test(
  'a disk that fails in the middle of the copy: the partial file stays as large',
  async (t) => {
    const sample = await makeSample(t.testdir());
    const root = await loadTrustRoot(sample.rootPath);
    const depot = await depotFor(sample.depotDir, root);
    const path = await depot.reserve(sample.made.bundle, sample.made.sizeBytes);
    await using source = await counted(sample, sample.made.sizeBytes / 2);
    const bundle = await sample.open();
    const run = fillDepot(source, bundle, { root, depot }, { ...quiet, depth: 2 });
    await t.rejects(run, { code: 'pair.peer_unreachable' });
    t.equal((await stat(path)).size, sample.made.sizeBytes);
    t.same((await readdir(sample.depotDir)).toSorted(), [
      `${sample.made.bundle}.part`,
      'reserve.pad',
    ]);
  },
);

interface Served {
  readonly port: number;
  readonly trouble: readonly string[];
  readonly stop: () => Promise<void>;
}

async function serve(t: Test, path: string, keysDir: string): Promise<Served> {
  const stop = new AbortController();
  const port = Promise.withResolvers<number>();
  const trouble: string[] = [];
  const listen = { host: '127.0.0.1', port: 0, keysDir };
  const run = serveFile(
    { do: 'serve', path, listen },
    {
      signal: stop.signal,
      onListening: port.resolve,
      onTrouble: (message) => trouble.push(message),
    },
  );
  run.catch(port.reject);
  const end = async (): Promise<void> => {
    stop.abort();
    await run;
  };
  t.teardown(end);
  return { port: await port.promise, trouble, stop: end };
}

const fetchRequest = (sample: Sample, port: number, keysDir: string) =>
  ({
    do: 'fetch',
    from: { host: '127.0.0.1', port, keysDir },
    bundle: sample.made.bundle,
    bytes: sample.made.sizeBytes,
    trustRoot: sample.rootPath,
    depotDir: sample.depotDir,
  }) as const;

async function pairWithSample(t: Test): Promise<{ sample: Sample; keys: KeyDirs }> {
  const dir = t.testdir();
  const sample = await makeSample(join(dir, 'files'), { systemBytes: 4 * MIB });
  return { sample, keys: await makePair(join(dir, 'keys')) };
}

t.test('fetch: the exact file from the peer, and on from where it was', async (t) => {
  const { sample, keys } = await pairWithSample(t);
  const { port } = await serve(t, sample.bundlePath, keys.a);
  const request = fetchRequest(sample, port, keys.b);
  t.match(await fetchBundle(request, quiet), { bundle: sample.made.bundle });
  t.equal(await sha256(depotFile(sample, 'bin')), await sha256(sample.bundlePath));

  await rm(depotFile(sample, 'bin'));
  const stop = new AbortController();
  const cancel = ({ doneBytes, totalBytes }: Progress): void => {
    if (doneBytes > totalBytes / 3) stop.abort(new UpdateError('job.cancelled', 'enough'));
  };
  const cut = fetchBundle(request, { signal: stop.signal, onProgress: cancel });
  await cut.catch((error: unknown) => t.match(error, { code: 'job.cancelled' }));
  t.match(await fetchBundle(request, quiet), { bundle: sample.made.bundle });
  t.equal(await sha256(depotFile(sample, 'bin')), await sha256(sample.bundlePath));
});

t.test('the peer is not believed: a damaged file, another file, another signer', async (t) => {
  const { sample, keys } = await pairWithSample(t);
  const other = await makeSample(join(sample.dir, 'other'), { version: '3.0.0' });
  const bad = join(sample.dir, 'bad.bin');
  await copyFile(sample.bundlePath, bad);
  await flipBit(bad, Math.floor(sample.made.sizeBytes / 2));
  const damaged = await serve(t, bad, keys.a);
  const run = fetchBundle(fetchRequest(sample, damaged.port, keys.b), quiet);
  await t.rejects(run, { code: 'bundle.damaged' });
  const foreign = await serve(t, other.bundlePath, keys.a);
  const request = fetchRequest(sample, foreign.port, keys.b);
  await t.rejects(fetchBundle(request, quiet), { code: 'trust.untrusted' });
  const trusting = { ...request, trustRoot: other.rootPath };
  await t.rejects(fetchBundle(trusting, quiet), { code: 'bundle.damaged' });
  t.same(await (await depotFor(sample.depotDir, await loadTrustRoot(sample.rootPath))).list(), []);
});

t.test('a wrong key on either side is pair.wrong_peer and gets no byte', async (t) => {
  const { sample, keys } = await pairWithSample(t);
  const stranger = await serve(t, sample.bundlePath, keys.stranger);
  const asked = fetchBundle(fetchRequest(sample, stranger.port, keys.b), quiet);
  await t.rejects(asked, { code: 'pair.wrong_peer' });

  const real = await serve(t, sample.bundlePath, keys.b);
  const request = fetchRequest(sample, real.port, keys.stranger);
  await t.rejects(fetchBundle(request, quiet), { code: 'pair.wrong_peer' });
  t.match(real.trouble, [/pair|key/]);
  t.notOk((await readdir(sample.depotDir)).some((name) => name.endsWith('.bin')));
});

t.test('nobody there, no TLS, not paired, a port that is taken', async (t) => {
  const { sample, keys } = await pairWithSample(t);
  const { port, stop } = await serve(t, sample.bundlePath, keys.a);
  const plain = connectTcp(port, '127.0.0.1');
  plain.on('error', () => undefined);
  plain.end('GET / HTTP/1.1\r\n\r\n');
  plain.resume();
  await once(plain, 'close');
  const listen = { host: '127.0.0.1', port, keysDir: keys.a };
  const options = { signal: never, onListening: () => undefined, onTrouble: () => undefined };
  const path = sample.bundlePath;
  const again = serveFile({ do: 'serve', path, listen }, options);
  await t.rejects(again, { code: 'config.invalid' });
  const none = serveFile({ do: 'serve', path: '/none', listen }, options);
  await t.rejects(none, { code: 'file.not_found' });
  await stop();
  const request = fetchRequest(sample, port, keys.b);
  await t.rejects(fetchBundle(request, quiet), { code: 'pair.peer_unreachable' });
  const unpaired = fetchRequest(sample, port, sample.dir);
  await t.rejects(fetchBundle(unpaired, quiet), { code: 'pair.not_paired' });
});

t.test('a request for what is not there ends the connection', async (t) => {
  const { sample, keys } = await pairWithSample(t);
  const served = await serve(t, sample.bundlePath, keys.a);
  const own = tlsOptions(await loadKeys(keys.b));
  const beyond = { offset: sample.made.sizeBytes - 4, length: 8 };
  const socket: TLSSocket = connect({
    ...own,
    host: '127.0.0.1',
    port: served.port,
    ALPNProtocols: [BULK_PROTOCOL],
  });
  let heard = 0;
  socket.on('data', (data: Buffer) => (heard += data.length));
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  socket.write(encodeRequests(beyond));
  await once(socket, 'close');
  t.equal(heard, 16, 'the greeting and nothing more');
});

t.test('a peer that sends what nobody asked for, or hangs up in the middle', async (t) => {
  const { sample, keys } = await pairWithSample(t);
  const short = join(sample.dir, 'short.bin');
  await copyFile(sample.bundlePath, short);
  const served = await serve(t, short, keys.a);
  await using file = await open(short, 'r+');
  const request = fetchRequest(sample, served.port, keys.b);
  const onProgress = (): void => void file.truncate(50_000);
  const cut = fetchBundle(request, { signal: never, onProgress });
  await t.rejects(cut, { code: /^(pair\.peer_unreachable|bundle\.truncated)$/ });
});
