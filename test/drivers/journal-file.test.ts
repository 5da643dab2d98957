/**
 * The journal in files: its contract, on real files and on a simulated disk, preallocation, files
 * that are missing, cut short or damaged, and repair. May import tap, node: and the drivers under
 * test.
 */
import { open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { SECTOR_BYTES } from '../../src/core/frame.ts';
import { FileJournal, inspectJournal, openJournal } from '../../src/drivers/journal-file.ts';
import { journalContract, nodeRecord, rolloutRecord } from '../contracts/journal.ts';
import { FakeDisk } from '../memory/disk.ts';
import { makeJournalDisk, MemoryJournal } from '../memory/journal.ts';
import { canMount, withFileLimit, withTmpfs } from './small-disk.ts';

/** Where the fifth node record of a new journal lies: behind the head, each takes two sectors. */
const FIFTH_RECORD = 9 * SECTOR_BYTES;

/** Flips one bit of a file in place. */
async function flip(path: string, offset: number): Promise<void> {
  await using file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offset);
  byte[0]! ^= 0x01;
  await file.write(byte, 0, 1, offset);
}

async function openIn(t: Test, dir: string, fileBytes?: number): Promise<FileJournal> {
  const journal = await openJournal(dir, fileBytes === undefined ? {} : { fileBytes });
  t.teardown(() => journal[Symbol.asyncDispose]());
  return journal;
}

await journalContract(t, 'in memory', async () => {
  const disk = makeJournalDisk();
  return Promise.resolve({
    journal: new MemoryJournal(disk),
    reopen: async () => Promise.resolve(new MemoryJournal(disk)),
    damage: async () => void (await Promise.resolve((disk.damagedAt = 5))),
  });
});

await journalContract(t, 'on a simulated disk', async () => {
  const disk = new FakeDisk();
  const files = () => [disk.file('journal.0', 2 ** 20), disk.file('journal.1', 2 ** 20)] as const;
  return Promise.resolve({
    journal: new FileJournal(files()),
    reopen: async () => Promise.resolve(new FileJournal(files())),
    damage: async () => Promise.resolve(disk.flip('journal.1', FIFTH_RECORD + 100)),
  });
});

await journalContract(t, 'in files', async (t) => {
  const dir = t.testdir();
  return {
    journal: await openIn(t, dir),
    reopen: () => openIn(t, dir),
    damage: () => flip(join(dir, 'journal.1'), FIFTH_RECORD + 100),
  };
});

t.test('both files are allocated when the journal is laid out, and never grow', async (t) => {
  const dir = join(t.testdir(), 'state');
  const journal = await openIn(t, dir, 64 * 1024);
  const sizes = async () => {
    const found = [];
    for (const name of (await readdir(dir)).toSorted()) {
      const { size, blocks, mode } = await stat(join(dir, name));
      t.ok(blocks * 512 >= size, `${name} has ${blocks} blocks`);
      found.push([name, size, mode & 0o777]);
    }
    return found;
  };
  const expected = [
    ['journal.0', 64 * 1024, 0o600],
    ['journal.1', 64 * 1024, 0o600],
  ];
  t.same(await sizes(), expected);
  for (let n = 1; n <= 300; n += 1) await journal.append(nodeRecord(n, 400));
  t.same(await sizes(), expected, 'after compactions');
  t.equal((await journal.read()).node?.lastTrialId, 300);
});

t.test('an interrupted layout is finished', async (t) => {
  const dir = t.testdir();
  await openIn(t, dir, 8192);
  await rm(join(dir, 'journal.1'));
  await writeFile(join(dir, '.journal.1.tmp'), 'half');
  const journal = await openIn(t, dir);
  await journal.append(nodeRecord(1));
  t.same((await readdir(dir)).toSorted(), ['journal.0', 'journal.1']);
  t.equal((await stat(join(dir, 'journal.1'))).size, 8192, 'of the size that the other one has');
});

/** A journal that was compacted at least once. */
async function used(t: Test): Promise<{ dir: string; count: number }> {
  const dir = t.testdir();
  const journal = await openIn(t, dir, 8192);
  await journal.append(rolloutRecord(1));
  for (let n = 1; n <= 12; n += 1) await journal.append(nodeRecord(n));
  return { dir, count: 13 };
}

t.test('a file that is missing or cut short is damage, and repair makes it whole', async (t) => {
  const harms: readonly (readonly [string, (path: string) => Promise<void>])[] = [
    ['missing', (path) => rm(path)],
    ['empty', (path) => truncate(path, 0)],
    ['cut short', (path) => truncate(path, 4000)],
    ['cut short by a sector', (path) => truncate(path, 8192 - 512)],
  ];
  for (const [name, harm] of harms) {
    for (const file of ['journal.0', 'journal.1']) {
      const { dir } = await used(t);
      await harm(join(dir, file));
      const journal = await openIn(t, dir);
      await t.rejects(journal.read(), { code: 'journal.corrupt' }, `${file} ${name}`);
      await journal.repair();
      const content = await journal.read();
      t.ok(content.node !== null && content.rollout !== null, `${file} ${name}: both kinds`);
      await journal.append(nodeRecord(77));
      t.equal((await (await openIn(t, dir)).read()).node?.lastTrialId, 77);
      t.equal((await stat(join(dir, file))).size, 8192);
    }
  }
});

t.test('a file that is too large or a directory', async (t) => {
  const dir = t.testdir({ 'journal.0': {} });
  await t.rejects(openJournal(dir), { code: 'state.io' });
  await rm(join(dir, 'journal.0'), { recursive: true });
  await writeFile(join(dir, 'journal.0'), '');
  await truncate(join(dir, 'journal.0'), 2 ** 30);
  await t.rejects(openJournal(dir), { code: 'state.io' });
});

t.test('a damaged journal is not written to before its repair', async (t) => {
  const { dir } = await used(t);
  // The newest generation lies in the file with the newer head; damage both in the middle.
  for (const file of ['journal.0', 'journal.1']) await flip(join(dir, file), 3 * 512 + 50);
  const bytes = async () => [
    await readFile(join(dir, 'journal.0'), 'latin1'),
    await readFile(join(dir, 'journal.1'), 'latin1'),
  ];
  const before = await bytes();
  const journal = await openIn(t, dir);
  await t.rejects(journal.read(), { code: 'journal.corrupt' });
  await t.rejects(journal.append(nodeRecord(1)), {
    code: 'journal.corrupt',
    detail: { offset: Number, good: Number },
  });
  t.same(await bytes(), before);
});

t.test('a look changes nothing and tells what is wrong', async (t) => {
  const { dir, count } = await used(t);
  const good = await inspectJournal(dir);
  t.match(good, { damage: null, torn: false, newerSchema: null, cursor: { seq: count } });
  await flip(join(dir, `journal.${good.cursor.generation % 2}`), good.tail!.offset + 40);
  const before = await readFile(join(dir, `journal.${good.cursor.generation % 2}`));
  t.match(await inspectJournal(dir), { damage: null, torn: true, cursor: { seq: count - 1 } });
  t.same(await readFile(join(dir, `journal.${good.cursor.generation % 2}`)), before);
  await t.rejects(inspectJournal(join(dir, 'none')), { code: 'file.not_found' });
});

/** Opens journal and boot chooser, fills the disk, and goes on writing in place. */
const FULL_DISK = `
  import { writeFileSync } from 'node:fs';
  const [dir, src, contracts] = process.argv.slice(1);
  const { openJournal } = await import(src + '/journal-file.ts');
  const { createBoot, openBoot } = await import(src + '/boot-file.ts');
  const { openHost } = await import(src + '/host-process.ts');
  const { nodeRecord } = await import(contracts + '/journal.ts');
  const boot = JSON.stringify({ bootId: 'b', slot: 'A', reason: 'default', attempt: 0 });
  const host = openHost({ env: { TANDEM_BOOT: boot }, runDir: dir, stateDir: dir });
  const { signal } = new AbortController();
  const journal = await openJournal(dir, { fileBytes: 64 * 1024 });
  await createBoot(dir + '/boot', { default: 'A' });
  const chooser = await openBoot(dir + '/boot');
  await host.checkWritable(signal);
  let full = '';
  try {
    for (let n = 0; ; n += 1) writeFileSync(dir + '/fill' + n, Buffer.alloc(65536));
  } catch (error) { full = error.code; }
  for (let n = 1; n <= 200; n += 1) await journal.append(nodeRecord(n, 600));
  await chooser.arm({ id: 1, slot: 'B', tries: 2 });
  await chooser.commit(1);
  await host.checkWritable(signal);
  const last = (await journal.read()).node.lastTrialId;
  const fresh = await openJournal(dir + '/other').catch((error) => error.code);
  const { state } = await chooser.read();
  console.log(JSON.stringify({ full, last, fresh, default: state.default }));
`;

t.test('a full disk blocks neither records nor the boot chooser nor the probe', async (t) => {
  if (!canMount()) {
    t.pass('no file system can be mounted here');
    return;
  }
  const src = join(import.meta.dirname, '../../src/drivers');
  const contracts = join(import.meta.dirname, '../contracts');
  const { result, stderr } = withTmpfs(t.testdir(), 1024 * 1024, FULL_DISK, [
    t.testdirName,
    src,
    contracts,
  ]);
  t.same(result, { full: 'ENOSPC', last: 200, fresh: 'state.io', default: 'B' }, stderr);
});

t.test('a disk without room for a new journal', async (t) => {
  const src = join(import.meta.dirname, '../../src/drivers/journal-file.ts');
  const script = `
    const { openJournal } = await import(process.argv[2]);
    const code = await openJournal(process.argv[1]).catch((error) => error.code);
    console.log(JSON.stringify({ code }));
  `;
  const dir = t.testdir();
  const { result, stderr } = withFileLimit(256 * 1024, script, [dir, src]);
  t.same(result, { code: 'state.io' }, stderr);
  t.same(await readdir(dir), [], 'half a journal is not left behind');
});
