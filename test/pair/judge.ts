/**
 * How a story judges its end: from what the pair, the kernel and the client say, never from what
 * the story did. Always holds: both nodes are asked through the real command line; what runs is
 * compared with the content of the image that was made, not with what a status says. Imports core
 * and the bench.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readlink, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import type { DemoRelease } from '../../scripts/demo/workshop.ts';
import type { ClientResult } from '../../scripts/demo/client.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import type { PairStatus } from '../../src/core/status.ts';
import type { Bench } from './harness.ts';

const run = promisify(execFile);
const IMAGE_FILE_BYTES_MAX = 64 * 1024 * 1024;

/** Versions of a node: system and storage software; one word for both. */
export type Versions = string | readonly [system: string, storage: string];

const both = (versions: Versions): readonly [string, string] =>
  typeof versions === 'string' ? [versions, versions] : versions;

/** How a story has to end. */
export interface End {
  readonly A: Versions;
  readonly B: Versions;
  /** Phase in which the newest rollout rests; null = there is none. */
  readonly phase: string | null;
  /** Codes of alarms that stay. */
  readonly alarms?: readonly string[];
}

/** Versions of both components on both nodes, as one node knows them. */
export function versionsOf(status: PairStatus) {
  const of = (node: NodeId, part: 'system' | 'storage'): string =>
    status.nodes[node][part]?.version ?? 'unknown';
  const both = (part: 'system' | 'storage') => ({ A: of('A', part), B: of('B', part) });
  return { systems: both('system'), storages: both('storage') };
}

/** What the record of a rollout says of the versions that the pair has to run now. */
export function versionsAfter(
  rollout: RolloutRecord,
  before: Readonly<Record<NodeId, string>>,
): Readonly<Record<NodeId, string>> {
  const to = rollout.to.version;
  if (rollout.phase === 'DONE') return { A: to, B: to };
  if (rollout.phase !== 'HOLD_MIXED') return before;
  const second = rollout.first === 'A' ? 'B' : 'A';
  return { ...before, [rollout.first]: to, [second]: before[second] };
}

/** Both nodes say that the pair is ready and agree on its versions, which are returned. */
export async function expectReady(t: Test, bench: Bench, alarms: readonly string[] | null = null) {
  const found = [];
  for (const node of NODES) {
    const wait = ['cluster', 'status', '--wait-ready', '--timeout', '90', '--json'];
    const ready = await bench.cli(node, ...wait);
    t.match(ready, { exit: 0, json: [{ ready: true, ha: { ok: true } }] }, `node ${node} is ready`);
    const status = await bench.running.status(node, bench.signal);
    found.push(versionsOf(status));
    const codes = status.alarms.map((alarm) => alarm.code);
    if (alarms !== null) t.strictSame(codes, alarms, `alarms on node ${node}`);
    const serving = NODES.filter((id) => status.nodes[id].serving);
    t.equal(serving.length, 1, 'one node serves');
  }
  t.strictSame(found[0], found[1], 'both nodes know the same versions');
  t.strictSame(bench.watch.faults, [], 'nothing was seen that must never be');
  return found[0]!;
}

/** The client worked, and everything that was acknowledged is there. */
export async function expectClient(t: Test, bench: Bench): Promise<ClientResult> {
  const client = await bench.checkClient();
  t.strictSame(client.lost, [], 'no acknowledged write is lost');
  t.equal(client.misreads, 0, 'no read missed an acknowledged write');
  t.ok(client.writes > 0, `the client worked: ${JSON.stringify(client)}`);
  return client;
}

/** The pair is ready, says so on both nodes, runs these versions, and nothing was lost. */
export async function expectEnd(t: Test, bench: Bench, end: End): Promise<void> {
  const found = await expectReady(t, bench, end.alarms ?? []);
  const [systemA, storageA] = both(end.A);
  const [systemB, storageB] = both(end.B);
  t.strictSame(found.systems, { A: systemA, B: systemB }, 'systems');
  t.strictSame(found.storages, { A: storageA, B: storageB }, 'storage software');
  for (const node of NODES) {
    const { rollout } = await bench.running.status(node, bench.signal);
    t.equal(rollout?.phase ?? null, end.phase, `where the rollout rests, says node ${node}`);
  }
  await expectClient(t, bench);
}

/**
 * What runs on a node comes from the image: the kernel's word on the process, the bytes of its
 * program, of the runtime and of the release file, and those of the slot itself.
 */
export async function expectFromSlot(
  t: Test,
  bench: Bench,
  node: NodeId,
  release: DemoRelease,
): Promise<void> {
  const { file } = await bench.workshop.systemImage(release);
  const { pid, boot } = await bench.running.power(node);
  const slot = boot?.slot ?? '';
  const root = await realpath(join(bench.pair.nodes[node].dir, `run/root-${slot}`));
  const proc = `/proc/${String(pid)}`;
  t.equal(await readlink(`${proc}/exe`), join(root, 'usr/bin/node'), 'the kernel knows the file');
  const words = (await readFile(`${proc}/cmdline`, 'utf8')).split('\0');
  const program = words.find((word) => word.endsWith('/tandem.mjs')) ?? '';
  t.equal(await realpath(program), join(root, 'opt/tandem/tandem.mjs'), 'the program, too');
  for (const path of ['/etc/tandem-release', '/opt/tandem/tandem.mjs', '/usr/bin/node']) {
    const inImage = await fileDigest(file, path);
    t.equal(await digest(join(root, path)), inImage, `node ${node}: ${path} is that of the image`);
  }
  const device = join(bench.pair.nodes[node].dir, `slots/system-${slot}.img`);
  const { size } = await stat(file);
  t.equal(await digest(device, size), await digest(file), `slot ${slot} holds the image`);
}

/** Digest of a file, or of its first bytes. */
async function digest(path: string, bytes?: number): Promise<string> {
  const sum = createHash('sha256');
  const range = bytes === undefined ? {} : { end: bytes - 1 };
  for await (const part of createReadStream(path, range)) sum.update(part as Buffer);
  return sum.digest('hex');
}

/** Digest of a file inside an ext4 image. */
async function fileDigest(image: string, path: string): Promise<string> {
  const options = { encoding: 'buffer', maxBuffer: 8 * IMAGE_FILE_BYTES_MAX } as const;
  const { stdout } = await run('debugfs', ['-R', `cat ${path}`, image], options);
  return createHash('sha256').update(stdout).digest('hex');
}
