/**
 * Attacks and accidents that have a name (docs/bundle.md B9): what went wrong in other updaters is
 * tried here, each by what it did. Lists and roots that count wrongly are in signature.test.ts and
 * trust.test.ts, bombs in chunk.test.ts.
 */
import { renameSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { checkCompressed } from '../../src/bundle/chunk.ts';
import { openBundle } from '../../src/bundle/reader.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import { verifyBundle } from '../../src/bundle/verify.ts';
import { craft, header, sha256, type CraftedMember, type CraftOptions } from './craft.ts';
import { codes, failure, KEY, memorySource, opening, outcome, ROOT } from './kit.ts';

const good: CraftOptions = { keys: [KEY] };
const bent = (members: CraftOptions['members'], end?: Buffer) =>
  opening(craft({ ...good, ...(members && { members }), ...(end && { end }) }));

await t.test('exchanged between check and use (CVE-2020-25860)', async (t) => {
  const dir = t.testdir({ 'update.bin': craft(good) });
  const path = `${dir}/update.bin`;
  await using source = await openFileSource(path);
  const open = await openBundle(source, ROOT);
  const evil = craft({
    images: { system: Buffer.alloc(200_000, 'evil '), storage: Buffer.alloc(9) },
  });
  writeFileSync(`${dir}/evil`, evil);
  renameSync(`${dir}/evil`, path);
  t.equal(
    await outcome(() => verifyBundle(source, ROOT)),
    'ok',
    'the open file is the checked one',
  );
  await using other = await openFileSource(path);
  t.equal(await outcome(() => openBundle(other, ROOT)), 'trust.untrusted');
  const { records, dataOffset } = open.images[0]!;
  const record = records[0]!;
  const bytes = await source.readAt(dataOffset, record.compressedBytes);
  t.equal(await outcome(() => checkCompressed(record, bytes)), 'ok');
});

await t.test('written over between check and use', async (t) => {
  const bundle = craft(good);
  const dir = t.testdir({ 'update.bin': bundle });
  await using source = await openFileSource(`${dir}/update.bin`);
  const { images } = await openBundle(source, ROOT);
  const { records, dataOffset } = images[0]!;
  const changed = Buffer.from(bundle);
  changed.fill(0x65, dataOffset, dataOffset + 10);
  writeFileSync(`${dir}/update.bin`, changed);
  const record = records[0]!;
  const bytes = await source.readAt(dataOffset, record.compressedBytes);
  t.equal(await outcome(() => checkCompressed(record, bytes)), 'bundle.damaged');
});

await t.test('signature over a part of the file (CVE-2026-34155)', async (t) => {
  const bundle = craft(good);
  const { images } = await openBundle(memorySource(bundle), ROOT);
  let chunks = 0;
  for (const { image, records, dataOffset } of images) {
    let next = 0;
    for (const record of records) {
      t.equal(record.offset, next);
      next += record.compressedBytes;
      const at = dataOffset + record.offset;
      for (const byte of [at, at + record.compressedBytes - 1]) {
        const changed = Buffer.from(bundle);
        changed[byte] = (changed[byte] ?? 0) ^ 1;
        const error = await failure(() => verifyBundle(memorySource(changed), ROOT));
        t.equal(error?.code, 'bundle.damaged');
        t.equal(error?.detail?.['chunk'], record.chunk, 'names the chunk');
      }
      chunks += 1;
    }
    t.equal(next, image.compressedBytes);
  }
  t.equal(chunks, 5);
});

const replaced = (at: number, member: Partial<CraftedMember>) => (list: CraftedMember[]) =>
  list.map((one, i) => (i === at ? { ...one, ...member } : one));
const size = (list: CraftedMember[], at: number): number => list[at]?.data.length ?? 0;
const fields = (at: number, change: Record<number, string>) => (list: CraftedMember[]) =>
  replaced(at, { header: header(list[at]?.name ?? '', size(list, at), change) })(list);
const inserted = (at: number, member: CraftedMember) => (list: CraftedMember[]) =>
  list.toSpliced(at, 0, member);
const pax = (text: string, type = 'x'): CraftedMember => ({
  name: 'PaxHeader',
  data: Buffer.from(text),
  header: header('PaxHeader', Buffer.byteLength(text), { 156: type }),
});
const evil = { name: '../../etc/cron.d/evil', data: Buffer.from('evil') };
const damaged = 'bundle.damaged';
const wrong = 'bundle.wrong_type';
// What is not in the signed sum of sizes is in the way of nothing: it is refused before it is read.
const extra = 'bundle.trailing_data';

await codes('links, overrides and paths (CVE-2026-23745, CVE-2026-24842, CVE-2023-7216)', [
  ['a member outside the folder, first', wrong, bent(inserted(0, evil))],
  ['a member outside the folder, second', wrong, bent(inserted(1, evil))],
  ['a member outside the folder, later', extra, bent(inserted(3, evil))],
  ['a member outside the folder, last', 'bundle.trailing_data', bent((list) => [...list, evil])],
  ['a name with ..', damaged, bent(replaced(4, { name: 'image/../../../dev/sda' }))],
  ['an absolute name', damaged, bent(replaced(4, { name: '/image/system.zst' }))],
  ['a name with ./', wrong, bent(replaced(0, { name: './manifest.json' }))],
  ['a symbolic link', damaged, bent(fields(2, { 156: '2', 157: '/etc/shadow' }))],
  ['a hard link', damaged, bent(fields(2, { 156: '1', 157: 'manifest.json' }))],
  ['the first member as a link', wrong, bent(fields(0, { 156: '2', 157: '/etc/shadow' }))],
  ['a link name on a file', damaged, bent(fields(4, { 157: '/etc/shadow' }))],
  ['a directory', damaged, bent(fields(2, { 156: '5' }))],
  ['a device', damaged, bent(fields(4, { 156: '4' }))],
  ['the old type for files', damaged, bent(fields(4, { 156: '\0' }))],
  ['a prefix', damaged, bent(fields(4, { 345: 'etc' }))],
  ['an owner', damaged, bent(fields(4, { 265: 'root' }))],
  ['a setuid mode', damaged, bent(fields(4, { 100: '0004755' }))],
  ['a time', damaged, bent(fields(4, { 136: '14000000000' }))],
  ['a size with spaces', damaged, bent((list) => fields(4, { 124: spaced(list, 4) })(list))],
  ['GNU magic', damaged, bent(fields(4, { 257: 'ustar  \0' }))],
  ['pax path', extra, bent(inserted(2, pax('20 path=image/x.zst\n')))],
  ['pax size', extra, bent(inserted(4, pax('12 size=100\n')))],
  ['pax size, first', wrong, bent(inserted(0, pax('12 size=100\n')))],
  ['a global pax header', extra, bent(inserted(2, pax('12 size=100\n', 'g')))],
  ['a GNU long name', extra, bent(inserted(2, pax('image/x', 'L')))],
  ['pax in place of a member', damaged, bent(fields(2, { 156: 'x' }))],
  ['a GNU long name in place of one', damaged, bent(fields(2, { 156: 'L' }))],
  ['a GNU sparse file', damaged, bent(fields(4, { 156: 'S' }))],
]);

function spaced(list: CraftedMember[], at: number): string {
  return `${size(list, at).toString(8).padStart(10, ' ')} \0`;
}

await codes('members in another order, twice, or not at all', [
  ['signature first', wrong, bent(([a, b, ...rest]) => [b!, a!, ...rest])],
  ['images before indexes', damaged, bent(([a, b, c, d, e, f]) => [a!, b!, e!, f!, c!, d!])],
  ['indexes exchanged', damaged, bent(([a, b, c, d, ...rest]) => [a!, b!, d!, c!, ...rest])],
  ['the manifest twice', wrong, bent(([a, ...rest]) => [a!, a!, ...rest])],
  ['the signature twice', extra, bent(([a, b, ...rest]) => [a!, b!, b!, ...rest])],
  ['no signature', wrong, bent(([a, , ...rest]) => [a!, ...rest])],
  ['an image twice', 'bundle.trailing_data', bent((list) => [...list, list[4]!])],
  ['no image', 'bundle.truncated', bent((list) => list.slice(0, -1))],
  [
    'nothing but the manifest',
    'bundle.truncated',
    bent((list) => list.slice(0, 1), Buffer.alloc(0)),
  ],
  ['a manifest and the end', damaged, bent((list) => list.slice(0, 1))],
]);

await codes('the end', [
  ['one zero block', 'bundle.truncated', bent(undefined, Buffer.alloc(512))],
  ['no end', 'bundle.truncated', bent(undefined, Buffer.alloc(0))],
  [
    'something in it',
    damaged,
    bent(undefined, Buffer.concat([Buffer.alloc(1023), Buffer.from('x')])),
  ],
]);

const evilText = (text: string): string => text.replace('tandem-test', 'tandem-evil');

/** The list of the good bundle, with the digest of these bytes. */
function borrowedList(bytes: Buffer): string {
  const start = 512 * (1 + Math.ceil(bytes.length / 512)) + 512;
  const old = craft(good).toString('latin1', start, start + 16_384);
  const { signatures } = JSON.parse(old) as { signatures: unknown };
  return JSON.stringify({ manifest: sha256(bytes), signatures });
}

await t.test('a manifest that somebody exchanged', async (t) => {
  const members: CraftOptions['members'] = replaced(0, { data: Buffer.from('{"format":1}') });
  t.equal(await outcome(bent(members)), damaged, 'with the old list');
  const withList = craft({ text: evilText, list: borrowedList });
  t.equal(await outcome(opening(withList)), 'trust.untrusted', 'with a list that fits');
});
