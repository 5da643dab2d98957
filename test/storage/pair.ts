/**
 * Two real storage processes on loopback for the tests: keys made and paired, the program bundled
 * as it is in an image, data under the test's folder, sockets where their paths are short. Always
 * holds: only processes that were started here are ended, by their own id. Imports the drivers and
 * the build script.
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import { createKeys, writePairRecord } from '../../src/drivers/keys.ts';
import { openSocketCalls, type SocketCalls } from '../../src/drivers/json-lines.ts';
import { createStorageProcess, type StorageProcess } from '../../src/drivers/storage-process.ts';
import { openStoreProcess, type StoreProcess } from '../../src/drivers/store-process.ts';
import type { StoreStatus } from '../../src/ports.ts';
import { bundleEntry, PROJECT_DIR } from '../../scripts/build.ts';
import { freePort } from '../../scripts/demo/ports.ts';
import type { SyncSummary } from '../../images/storage/sync-source.ts';
import type { StoreHarness } from '../contracts/store.ts';
import { openWire, type Wire } from './wire.ts';

export const PAIR = '0123456789abcdef0123456789abcdef';
/** Longest wait for anything; a test that needs it has failed. */
export const LIMIT_MS = 20_000;

/** What `info` answers. */
export interface StoreInfo {
  readonly formatLevel: number;
  readonly objects: number;
  readonly storeBytes: number;
  readonly logBytes: number;
  readonly droppedBytes: number;
  readonly lastSync: SyncSummary | null;
}

/** Makes a directory as the content of a storage slot unpacks to. */
export async function makeImageDir(dir: string, formatLevel = 1, version = '1.0.0') {
  await mkdir(join(dir, 'opt/storage'), { recursive: true });
  await mkdir(join(dir, 'etc'), { recursive: true });
  await bundleEntry(join(PROJECT_DIR, 'images/storage/main.ts'), join(dir, PROGRAM));
  const release = { product: 'sample', class: 'storage', version, counter: 1, formatLevel };
  await writeFile(join(dir, 'etc/tandem-release'), JSON.stringify(release));
  return dir;
}

process.env['NODE_COMPILE_CACHE'] ??= join(PROJECT_DIR, '.tap/compile-cache');
const PROGRAM = 'opt/storage/storage.mjs';

/** Keys of a pair under `dir`, paired with each other unless `strangers`. */
export async function makePairKeys(dir: string, strangers = false): Promise<void> {
  const keys = {
    A: await createKeys(join(dir, 'keys-A'), 'A'),
    B: await createKeys(join(dir, 'keys-B'), 'B'),
  };
  for (const node of ['A', 'B'] as const) {
    const other = peerOf(node);
    const spkiSha256 = strangers ? 'ab'.repeat(32) : keys[other].spkiSha256;
    const peer = { node: other, spkiSha256 };
    await writePairRecord(join(dir, `keys-${node}`), { schema: 1, node, pair: PAIR, peer });
  }
}

/** One node's storage: process, status client, data client. */
export class StorageNode implements AsyncDisposable {
  readonly node: NodeId;
  readonly dataDir: string;
  readonly socket: string;
  readonly software: StorageProcess;
  readonly store: StoreProcess;
  readonly #calls: SocketCalls;
  readonly #logFile: string;
  /** Directory that the storage slot unpacks to; a test may change it between starts. */
  imageDir: string;

  constructor(
    dir: string,
    node: NodeId,
    at: { readonly listen: string; readonly peer: string; readonly sockets: string },
    imageDir: string,
  ) {
    this.node = node;
    this.dataDir = join(dir, `data-${node}`);
    this.socket = join(at.sockets, `${node}.sock`);
    this.imageDir = imageDir;
    this.#logFile = join(dir, `${node}.log`);
    this.software = createStorageProcess({
      node,
      pair: PAIR,
      listen: at.listen,
      peer: at.peer,
      socket: this.socket,
      dataDir: this.dataDir,
      keysDir: join(dir, `keys-${node}`),
      logFile: this.#logFile,
      unpack: async () => this.imageDir,
    });
    this.store = openStoreProcess({ socket: this.socket });
    this.#calls = openSocketCalls({ path: this.socket });
  }

  /** Starts it and waits until its status is known. */
  async start(): Promise<void> {
    await this.software.start('A', AbortSignal.timeout(LIMIT_MS));
    await this.until((status) => status.role !== 'unknown');
  }

  /** As a power cut of this process alone. */
  async kill(): Promise<void> {
    const { pid } = this.software;
    if (pid === null) throw new Error('the storage software does not run');
    const gone = Promise.withResolvers<void>();
    this.software.onExit(() => gone.resolve());
    process.kill(pid, 'SIGKILL');
    await gone.promise;
    await this.until((status) => status.role === 'unknown');
  }

  /** Waits for a status; fails with the last one. */
  async until(good: (status: StoreStatus) => boolean): Promise<StoreStatus> {
    if (good(this.store.status())) return this.store.status();
    const found = Promise.withResolvers<StoreStatus>();
    this.store.onStatus((status) => {
      if (good(status)) found.resolve(status);
    });
    const timer = setTimeout(() => {
      const last = JSON.stringify(this.store.status());
      found.reject(new Error(`node ${this.node} did not come to it, last status ${last}`));
    }, LIMIT_MS);
    try {
      return await found.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async call(request: object): Promise<unknown> {
    return await this.#calls.call(request, AbortSignal.timeout(LIMIT_MS));
  }

  async put(key: string, value: string | Buffer): Promise<void> {
    await this.call({ op: 'put', key, value: Buffer.from(value).toString('base64') });
  }

  async get(key: string): Promise<string | null> {
    const value = (await this.call({ op: 'get', key })) as string | null;
    return value === null ? null : Buffer.from(value, 'base64').toString();
  }

  async keys(): Promise<string[]> {
    return ((await this.call({ op: 'list' })) as { keys: string[] }).keys;
  }

  async info(): Promise<StoreInfo> {
    return (await this.call({ op: 'info' })) as StoreInfo;
  }

  async log(): Promise<string> {
    return await readFile(this.#logFile, 'utf8').catch(() => '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#calls[Symbol.asyncDispose]();
    await this.store[Symbol.asyncDispose]();
    await this.software[Symbol.asyncDispose]();
  }
}

export interface StoragePair extends AsyncDisposable {
  readonly dir: string;
  readonly a: StorageNode;
  readonly b: StorageNode;
  /** The wire between them. */
  readonly wire: Wire;
}

/** A pair under `dir`, not started; `imageDir` from `makeImageDir`. */
export async function makeStoragePair(dir: string, imageDir: string): Promise<StoragePair> {
  await mkdir(dir, { recursive: true });
  await makePairKeys(dir);
  const host = '127.0.0.1';
  const port = await freePort();
  const wire = await openWire(port);
  const sockets = await mkdtemp(join(tmpdir(), 'tandem-'));
  const at = { listen: `${host}:${port}`, peer: `${host}:${wire.port}`, sockets };
  const a = new StorageNode(dir, 'A', at, imageDir);
  const b = new StorageNode(dir, 'B', at, imageDir);
  return {
    dir,
    a,
    b,
    wire,
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]();
      await b[Symbol.asyncDispose]();
      await wire[Symbol.asyncDispose]();
      await rm(sockets, { recursive: true });
    },
  };
}

/** Starts both, makes A primary of epoch 1 and waits until the two are level. */
export async function startLevel({ a, b }: StoragePair): Promise<void> {
  await Promise.all([a.start(), b.start()]);
  await Promise.all([a.until((s) => s.connected), b.until((s) => s.connected)]);
  await a.store.promote(1);
  await a.until((s) => s.peer === 'current');
}

/** The begin of a record behind the last one, as after a power cut in the middle of a write. */
function tearLog(dataDir: string): void {
  const log = join(dataDir, 'log');
  const last = readdirSync(log).toSorted().at(-1) ?? '';
  const file = join(log, last);
  const bytes = readFileSync(file);
  appendFileSync(file, bytes.subarray(16, 16 + 50));
}

/** A pair that runs as the contract of the port Store wants it. */
export function harnessOf(pair: StoragePair): StoreHarness {
  const of = { A: pair.a, B: pair.b };
  return {
    store: (node) => of[node].store,
    put: (node, key, value) => of[node].put(key, value),
    get: (node, key) => of[node].get(key),
    setLink: (up) => (up ? pair.wire.heal() : pair.wire.cut()),
    remove: async (node, key) => {
      await of[node].call({ op: 'delete', key });
    },
    tear: async (node) => {
      await of[node].kill();
      tearLog(of[node].dataDir);
      await of[node].start();
    },
    setRunning: (node, up) => (up ? of[node].start() : of[node].kill()),
    until: (node, good) => of[node].until(good),
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
}
