/**
 * Reads what another release wrote with the modules of one tree, and asserts what a pair relies on:
 * every message is taken and leads to a next state, every file gives the values that were written.
 * Always holds: nothing is compared with what this tree would write, only with what was meant.
 * Imports the bench's types and Node.
 */
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Frame } from '../../images/storage/wire.ts';
import { peerOf } from '../../src/core/model.ts';
import type { PairMessage } from '../../src/core/report.ts';
import { dictionaryOf, unpacked, type Artifacts, type Packed } from './artifacts.ts';
import type { Tree } from './tree.ts';

/** A message goes through everything that a node does with one. */
export function take(tree: Tree, value: unknown): PairMessage | null {
  const message = tree.message.readPairMessage(value);
  if (message?.type !== 'report' && message?.type !== 'rollout') return message;
  const { nodeState } = tree.states;
  const node = message.type === 'report' ? peerOf(message.report.node) : 'A';
  const before = nodeState(node, { peer: message.type === 'report' ? null : {} });
  let next = tree.machine.step(before, message, { ms: 11_000, at: before.world.clock.at });
  if (next === undefined) return null;
  for (let count = 0; next !== undefined && count < 30; count += 1) {
    tree.machine.effectsOf(next);
    const { peer, clock } = next.world;
    const last = peer === null ? null : { report: peer, atMs: clock.ms };
    const status = tree.updaterStatus.pairStatus(next, last, clock.ms, clock.at);
    tree.renderStatus.renderStatus(status, { columns: 80, unicode: false });
    next = tree.machine.settle(next);
  }
  return message;
}

type Json = Readonly<Record<string, unknown>>;

/** The value with a field that nobody knows in every object of it. */
export function grown(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(grown);
  if (typeof value !== 'object' || value === null) return value;
  // Keys of this one are data: whatever is in it must be of one kind.
  const entries = Object.entries(value).map(([key, one]) => {
    return [key, key === 'troubles' ? one : grown(one)] as const;
  });
  return { ...Object.fromEntries(entries), later: { since: 9 } };
}

/** Messages with fields of a later release everywhere in them, and those of the store's channel. */
export function readGrown(t: Test, tree: Tree, written: Artifacts): void {
  const refused = written.messages.filter((message) => take(tree, grown(message) as Json) === null);
  t.strictSame(refused, [], `${String(written.messages.length)} messages are taken`);
  const [hello] = written.store.frames;
  if (hello?.head.t !== 'hello') throw new Error('the first message is no hello');
  const later = grown(hello.head) as typeof hello.head;
  t.equal(tree.hello.checkHello(later, { node: 'B', pair: 'pair-1' }), 1);
}

/** The journal keeps what a later release wrote with the same schema, also over its snapshots. */
export async function keepGrown(t: Test, tree: Tree, written: Artifacts, dir: string) {
  const node = grown(written.journal.node) as typeof written.journal.node;
  const rollout = grown(written.journal.rollout) as typeof written.journal.rollout;
  await mkdir(dir, { recursive: true });
  await using journal = await tree.journal.openJournal(dir, { fileBytes: 32 * 1024 });
  await journal.append({ kind: 'node', record: node });
  await journal.append({ kind: 'rollout', record: rollout });
  // Another kind of record, as a later release may have one.
  await journal.append({ kind: 'later' as 'node', record: node });
  for (let at = 0; at < 40; at += 1) {
    const { node: found } = await journal.read();
    await journal.append({ kind: 'node', record: { ...found!, lastTrialId: at } });
  }
  const content = await journal.read();
  t.strictSame(content.node, { ...node, lastTrialId: 39 }, 'the node record, 40 times');
  t.strictSame(content.rollout, rollout, 'the rollout record');
}

/** Messages of the link, as they are and in both forms in which they travel. */
export function readMessages(t: Test, tree: Tree, written: Artifacts): void {
  const lost = written.messages.filter((message) => take(tree, message) === null);
  t.strictSame(lost, [], `${String(written.messages.length)} messages are taken`);
  const [first] = written.messages;
  const parser = new tree.frames.FrameParser();
  parser.push(unpacked(written.link));
  t.strictSame(parser.next(), { kind: 'message', message: first }, 'over the network');
  t.strictSame(tree.serial.unpackMessage(unpacked(written.serial)), first, 'over a serial line');
  t.equal(dictionaryOf(tree), written.dictionary, 'the dictionary of version 1 of the line');
}

async function put(dir: string, name: string, content: Packed): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, name), unpacked(content));
}

/** The journal; what is appended afterwards keeps fields that this tree does not know. */
export async function readJournal(t: Test, tree: Tree, written: Artifacts, dir: string) {
  const { files, node, rollout } = written.journal;
  await put(dir, 'journal.0', files[0]);
  await put(dir, 'journal.1', files[1]);
  await using journal = await tree.journal.openJournal(dir);
  const content = await journal.read();
  t.strictSame(content.node, node, 'the node record');
  t.strictSame(content.rollout, rollout, 'the rollout record');
  t.equal(content.torn, false);
  await journal.append({ kind: 'node', record: { ...content.node!, lastTrialId: 8 } });
  const again = await journal.read();
  t.strictSame(again.node, { ...node, lastTrialId: 8 }, 'goes on in the same journal');
}

/** The boot chooser in each of its states, also to the boot loader. */
export async function readBoot(t: Test, tree: Tree, written: Artifacts, dir: string) {
  for (const [at, { after, files, state, counter }] of written.boot.entries()) {
    const folder = join(dir, String(at));
    await put(folder, 'state', files.state);
    await put(folder, 'counter', files.counter);
    t.strictSame(await tree.bootLoader.readBootFiles(folder), { state, counter }, after);
    await using chooser = await tree.bootFile.openBoot(folder);
    t.strictSame(await chooser.read(), { state, counter }, `${after}, to the system`);
  }
}

/** The seal of a slot. */
export async function readSeal(t: Test, tree: Tree, written: Artifacts, dir: string) {
  await tree.slots.createSlots(dir, { system: 4096, storage: 4096 });
  await put(dir, 'system-A.img.seal', written.seal.file);
  const slots = await tree.slots.openSlots(dir);
  t.strictSame((await slots.info('system', 'A')).seal, written.seal.seal, 'the seal');
}

/** The store's state and objects, and every message of its channel. */
export async function readStore(t: Test, tree: Tree, written: Artifacts, dir: string) {
  const { state, segments, objects, position, frames } = written.store;
  await put(dir, 'state', state);
  for (const [name, content] of Object.entries(segments)) {
    await put(join(dir, 'log'), name, content);
  }
  const owner = { node: 'A', pair: 'pair-1' } as const;
  await using copy = await tree.storeState.StateFile.open(dir, owner, async () => false);
  t.match(copy.now, { epoch: 3, formatLevel: 2, stale: false, generation: { current: 'aa11' } });
  const options = { dir: join(dir, 'log'), formatLevel: () => 2 };
  await using log = await tree.objects.Objects.open(options);
  for (const [key, text] of Object.entries(objects)) {
    t.equal((await log.get(key))?.toString() ?? null, text, `object ${key}`);
  }
  t.strictSame(log.position, position, 'the last write');
  const found: Frame[] = [];
  const feed = tree.wire.frameReader((frame) => found.push(frame));
  for (const { bytes } of frames) feed(unpacked(bytes));
  t.strictSame(
    found.map(({ head }) => head),
    frames.map(({ head }) => head),
    'every message of the channel',
  );
  const [hello] = found;
  if (hello?.head.t !== 'hello') throw new Error('the first message is no hello');
  t.equal(tree.hello.checkHello(hello.head, { node: 'B', pair: 'pair-1' }), 1);
}

/** A signed bundle, from its first byte to its last. */
export async function readBundle(t: Test, tree: Tree, written: Artifacts, dir: string) {
  const { file, root, id } = written.bundle;
  await put(dir, 'update.bin', file);
  await using handle = await open(join(dir, 'update.bin'));
  const trust = tree.trust.parseTrustRoot(Buffer.from(root));
  const opened = await tree.verify.verifyBundle(await tree.source.fileSource(handle), trust);
  t.equal(opened.bundle, id);
}

/** The picture that a daemon gives its clients. */
export function readStatuses(t: Test, tree: Tree, written: Artifacts): void {
  for (const status of written.statuses) {
    const lines = tree.renderStatus.renderStatus(status, { columns: 80, unicode: false });
    t.match(lines[0], `${status.state}: `);
    tree.renderStatus.renderCluster(status, { columns: 80, unicode: false });
  }
}

/** All of it; `dir` is an empty folder. */
export async function readAll(t: Test, tree: Tree, written: Artifacts, dir: string): Promise<void> {
  readMessages(t, tree, written);
  await readJournal(t, tree, written, join(dir, 'journal'));
  await readBoot(t, tree, written, join(dir, 'boot'));
  await readSeal(t, tree, written, join(dir, 'slots'));
  await readStore(t, tree, written, join(dir, 'store'));
  await readBundle(t, tree, written, join(dir, 'bundle'));
  readStatuses(t, tree, written);
}
