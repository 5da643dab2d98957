/**
 * What the checker reads from a data partition with a real file system: the journal of the node as
 * the driver wrote it, the store, and the damage of each. Needs e2fsprogs, as images do. Imports
 * the checker, drivers and the storage software's codec.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { readData, type DataFacts } from '../../scripts/cuts/data.ts';
import { makeExt4, type ImageFile } from '../../scripts/image/ext4.ts';
import { encodeRecord, encodeSegmentHead, hashOf } from '../../images/storage/record.ts';
import { openJournal } from '../../src/drivers/journal-file.ts';
import { newCopies } from '../../src/drivers/two-copy.ts';
import { nodeRecord, rolloutRecord } from '../core/states.ts';

const MIB = 1024 * 1024;
const dir = t.testdir();

/** Bytes of one record of the store. */
function stored(key: string, value: string | null, version: number, synced: number): Buffer {
  const bytes = value === null ? null : Buffer.from(value);
  const kind = bytes === null ? 'delete' : 'put';
  const hash = bytes === null ? '' : hashOf(bytes);
  const head = { kind, copy: false, key, version, committed: 0, run: '00'.repeat(8) } as const;
  return encodeRecord({ ...head, hash, value: bytes }, synced, 1);
}

/** Reads a partition that holds these files below the service's folder. */
async function read(files: Readonly<Record<string, Uint8Array>>, sizeMiB = 8): Promise<DataFacts> {
  const all: ImageFile[] = [{ path: '/etc/hostname', mode: 0o644, text: 'node-a\n' }];
  for (const [name, bytes] of Object.entries(files)) {
    const from = join(dir, name.replaceAll('/', '-'));
    await writeFile(from, bytes);
    all.push({ path: `/tandem/${name}`, mode: 0o600, from });
  }
  const out = join(dir, 'data.img');
  await makeExt4({ out, label: 'data', files: all, sizeBytes: sizeMiB * MIB, journal: true });
  return readData(out, join(dir, 'work'));
}

const state = newCopies(Buffer.from(JSON.stringify({ epoch: 4 })));

t.test('nothing was ever written', async (t) => {
  const { problem, journal, store } = await read({});
  t.equal(problem, null);
  t.strictSame(journal, { seq: 0, torn: false, node: null, rollout: null, problem: null });
  t.strictSame({ ...store, objects: store.objects.size }, { epoch: 0, objects: 0, problem: null });
});

t.test('journal', async (t) => {
  const at = join(dir, 'state');
  {
    await using journal = await openJournal(at, { fileBytes: 8192 });
    await journal.append({ kind: 'node', record: nodeRecord('A') });
    await journal.append({ kind: 'rollout', record: rolloutRecord() });
    await journal.append({ kind: 'node', record: nodeRecord('A', { releaseFloor: 3 }) });
  }
  const files = {
    'journal.0': await readFile(join(at, 'journal.0')),
    'journal.1': await readFile(join(at, 'journal.1')),
  };
  const good = (await read(files)).journal;
  t.strictSame([good.seq, good.torn, good.problem], [3, false, null]);
  t.equal(good.node?.releaseFloor, 3);
  t.equal(good.rollout?.phase, rolloutRecord().phase);
  const torn = Buffer.from(files['journal.1']);
  const last = torn.lastIndexOf('"releaseFloor":3');
  torn[last] = 0;
  const shorter = (await read({ ...files, 'journal.1': torn })).journal;
  t.strictSame([shorter.seq, shorter.torn, shorter.problem], [2, true, null]);
  const damaged = Buffer.from(files['journal.1']);
  damaged[damaged.indexOf('"node":"A"')] = 0;
  t.match((await read({ ...files, 'journal.1': damaged })).journal.problem, /damaged/);
  t.match((await read({ 'journal.1': files['journal.1'] })).journal.problem, /missing/);
});

t.test('store', async (t) => {
  const first = stored('k', 'one', 1, 16);
  const second = stored('l', 'two', 2, 16 + first.length);
  const third = stored('k', null, 3, 16 + first.length + second.length);
  const segment = Buffer.concat([encodeSegmentHead(1), first, second, third]);
  const name = 'store/log/00000001.seg';
  const good = (await read({ 'store/state': state, [name]: segment })).store;
  t.strictSame([good.epoch, good.problem], [4, null]);
  t.strictSame(good.objects.get('l'), { hash: hashOf(Buffer.from('two')), version: 2 });
  t.strictSame(good.objects.get('k'), { hash: '', version: 3 });
  const cut = segment.subarray(0, segment.length - 3);
  const torn = (await read({ 'store/state': state, [name]: cut })).store;
  t.equal(torn.problem, null, 'a torn tail is none');
  t.equal(torn.objects.get('k')?.version, 1);
  const bad = Buffer.from(segment);
  bad[20] = (bad[20] ?? 0) ^ 1;
  t.match((await read({ 'store/state': state, [name]: bad })).store.problem, /damage in 0000/);
  t.match((await read({ [name]: segment })).store.problem, /state is missing/);
});

/** Changes the image in place and reads it again. */
async function readChanged(change: (bytes: Buffer) => void): Promise<DataFacts> {
  const image = join(dir, 'data.img');
  const bytes = await readFile(image);
  change(bytes);
  await writeFile(image, bytes);
  return readData(image, join(dir, 'work'));
}

/** A counter of the superblock in its first sector; its checksum is in the second one. */
const tear = (bytes: Buffer): void => void bytes.writeUInt32LE(1, 1024 + 48);

t.test('a superblock that was torn between its sectors', async (t) => {
  await read({ 'store/state': state }, 160);
  const { problem, store } = await readChanged(tear);
  t.equal(problem, null, 'one of its copies is taken');
  t.equal(store.epoch, 4);
  await read({ 'store/state': state });
  t.match((await readChanged(tear)).problem, /e2fsck/, 'a small file system has no copy');
});

t.test('a file system that needs a person', async (t) => {
  await read({ 'store/state': state });
  // The descriptors of the first group of blocks, of which there is one, and all behind them.
  const { problem } = await readChanged((bytes) => bytes.fill(0x5a, 4096, 8 * 4096));
  t.match(problem, /e2fsck/);
});
