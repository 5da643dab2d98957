/**
 * One flipped bit, one missing byte, one byte too many: for every class of position in a bundle the
 * right code, and no position at all that nobody notices.
 */
import t from 'tap';
import { parseManifest } from '../../src/bundle/manifest.ts';
import { layoutOf, type Member } from '../../src/bundle/layout.ts';
import { openBundle } from '../../src/bundle/reader.ts';
import { verifyBundle } from '../../src/bundle/verify.ts';
import { craft } from './craft.ts';
import { codes, KEY, memorySource, opening, outcome, ROOT } from './kit.ts';

const GOOD = craft({ keys: [KEY] });
const manifestBytes = Number.parseInt(GOOD.toString('latin1', 124, 135), 8);
const layout = layoutOf(manifestBytes, parseManifest(GOOD.subarray(512, 512 + manifestBytes)));
const members = [layout.manifest, layout.signature, ...layout.indexes, ...layout.images];

async function verified(bytes: Buffer): Promise<string> {
  return await outcome(() => verifyBundle(memorySource(bytes), ROOT));
}

/** Positions from `from` to `to`: the ends, and every `step` bytes between them. */
function positions(from: number, to: number, step: number): number[] {
  const list: number[] = [];
  for (let at = from; at < to; at += step) list.push(at);
  if (to > from) list.push(to - 1);
  return list;
}

/** What a flipped bit at each position ends with, as a set of codes. */
async function flip(list: readonly number[]): Promise<string[]> {
  const found = new Set<string>();
  for (const at of list) {
    const bytes = Buffer.from(GOOD);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
    found.add(await verified(bytes));
  }
  return [...found].toSorted();
}

await t.test('the bundle itself is good', async (t) => {
  t.equal(await verified(GOOD), 'ok');
  t.equal(layout.sizeBytes, GOOD.length);
});

await t.test('a flipped bit', async (t) => {
  const damaged = ['bundle.damaged'];
  for (const member of members) {
    const { name, headerOffset, dataOffset, sizeBytes, endOffset } = member;
    const header = positions(headerOffset, dataOffset, member === layout.manifest ? 1 : 5);
    t.same(await flip(header), damaged, `in the header of ${name}`);
    const dataEnd = dataOffset + sizeBytes;
    const padding = positions(dataEnd, endOffset, 61);
    if (padding.length > 0) t.same(await flip(padding), damaged, `in the padding of ${name}`);
    if (member === layout.signature) continue;
    const step = Math.max(1, Math.floor(sizeBytes / 150));
    t.same(await flip(positions(dataOffset, dataEnd, step)), damaged, `in the data of ${name}`);
  }
  const { endOffset, sizeBytes } = layout;
  t.same(await flip(positions(endOffset, sizeBytes, 37)), damaged, 'in the two zero blocks');
});

await t.test('a flipped bit in the signatures', async (t) => {
  const at = layout.signature.dataOffset;
  const text = GOOD.toString('latin1', at, at + 16_384).trimEnd();
  const value = (field: string): number[] => {
    const from = text.indexOf(`"${field}":"`) + field.length + 4;
    return positions(at + from, at + text.indexOf('"', from), 1);
  };
  t.same(await flip(value('manifest')), ['bundle.damaged'], 'in the digest of the manifest');
  const either = ['bundle.damaged', 'trust.untrusted'];
  t.same(await flip(value('keyid')), either, 'in the key id');
  t.same(await flip(value('sig')), either, 'in the signature');
  t.same(await flip(value('scheme')), either, 'in the scheme');
  const spaces = positions(at + text.length, at + 16_384, 301);
  t.same(await flip(spaces), ['bundle.damaged'], 'in the spaces');
});

/** Where a member's parts begin and end. */
const edges = (member: Member): number[] => [
  member.headerOffset,
  member.dataOffset,
  member.dataOffset + member.sizeBytes,
  member.endOffset,
];

await t.test('truncation at and around every boundary', async (t) => {
  const cuts = [...members.flatMap(edges), layout.endOffset + 512, layout.sizeBytes]
    .flatMap((edge) => [edge - 1, edge, edge + 1])
    .filter((cut) => cut >= 0 && cut < GOOD.length);
  for (const cut of new Set(cuts)) {
    t.equal(await verified(GOOD.subarray(0, cut)), 'bundle.truncated', `${cut} bytes`);
  }
});

await t.test('truncation at every boundary of a block', async (t) => {
  const found = new Map<string, number>();
  for (let cut = 0; cut < GOOD.length; cut += 512) {
    const code = await outcome(() => openBundle(memorySource(GOOD.subarray(0, cut)), ROOT));
    found.set(code, (found.get(code) ?? 0) + 1);
  }
  t.same([...found.keys()], ['bundle.truncated']);
  t.equal(found.get('bundle.truncated'), Math.ceil(GOOD.length / 512), `${found.size}`);
});

await codes('data after the end', [
  ['one zero byte', 'bundle.trailing_data', opening(plus(Buffer.alloc(1)))],
  ['one more zero block', 'bundle.trailing_data', opening(plus(Buffer.alloc(512)))],
  ['filled up to 10 KiB', 'bundle.trailing_data', opening(plus(Buffer.alloc(10_240)))],
  ['a second archive', 'bundle.trailing_data', opening(plus(GOOD))],
  ['a text', 'bundle.trailing_data', opening(plus(Buffer.from('appended')))],
]);

function plus(bytes: Buffer): Buffer {
  return Buffer.concat([GOOD, bytes]);
}
