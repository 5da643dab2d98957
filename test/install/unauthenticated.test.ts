/**
 * Nothing unauthenticated reaches a slot: a flipped bit in every class of position of a bundle that
 * brings a new trust root, cuts at every block of the archive, signatures that do not count.
 * Whatever is wrong with the head leaves both slots without a single write; whatever is wrong with
 * a chunk leaves only chunks that are as signed. May import tap, node:, crafted bundles and src.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { layoutOf } from '../../src/bundle/layout.ts';
import { inspectBundle } from '../../src/bundle/reader.ts';
import { asUpdateError } from '../../src/core/errors.ts';
import { createSlots, openSlots } from '../../src/drivers/slots-file.ts';
import { installImages } from '../../src/install/pipeline.ts';
import { craft, CHUNK, sampleImages, type CraftOptions } from '../bundle/craft.ts';
import { ceremony, link, rootBytes, rootsJson } from '../bundle/craft-roots.ts';
import { memorySource } from '../bundle/kit.ts';

const { a, b, c, d, e, old, next } = ceremony();
const images = sampleImages();
const roots = { bytes: rootsJson([link(next, [a, b, d, e])]), version: 2 };
const made = (options: CraftOptions = {}): Buffer =>
  craft({ images, roots, keys: [d, e], ...options });
const GOOD = made();
const { manifest, manifestBytes } = await inspectBundle(memorySource(GOOD));
const layout = layoutOf(manifestBytes.length, manifest);
const SLOT_BYTES = { system: 4 * CHUNK, storage: CHUNK } as const;
const CLASSES = ['system', 'storage'] as const;
const PATTERN = 0xee;

/** Slots full of a pattern, and an install of `bytes` into them. */
async function bench(dir: string) {
  await createSlots(join(dir, 'slots'), SLOT_BYTES);
  const slots = await openSlots(join(dir, 'slots'));
  const device = (name: 'system' | 'storage'): string => slots.device(name, 'B').path;
  for (const name of CLASSES) writeFileSync(device(name), Buffer.alloc(SLOT_BYTES[name], PATTERN));
  writeFileSync(join(dir, 'root.json'), rootBytes(old));
  const path = join(dir, 'update.bin');
  const install = async (bytes: Buffer): Promise<string> => {
    writeFileSync(path, bytes);
    writeFileSync(join(dir, 'progress'), Buffer.alloc(8192));
    const targets = CLASSES.map((name) => {
      const [slot, sizeBytes] = ['B' as const, SLOT_BYTES[name]];
      return { image: name, class: name, slot, device: device(name), sizeBytes };
    });
    const where = { path, trustRoot: join(dir, 'root.json'), progressFile: join(dir, 'progress') };
    const { signal } = new AbortController();
    const request = { do: 'install' as const, ...where, targets, readBack: true, format: false };
    try {
      await installImages(request, { signal, onProgress: () => undefined, entry: null });
      return 'ok';
    } catch (error) {
      return asUpdateError(error).code;
    }
  };
  /** When the slots were written last, to the nanosecond. */
  const written = (): string =>
    CLASSES.map((name) => statSync(device(name), { bigint: true }).mtimeNs).join();
  return { install, written, slot: (name: 'system' | 'storage') => readFileSync(device(name)) };
}

const flipped = (at: number): Buffer => {
  const bytes = Buffer.from(GOOD);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
  return bytes;
};

/** Positions from `from` to `to`: both ends, and every `step` bytes between them. */
function positions(from: number, to: number, step: number): number[] {
  const list: number[] = [];
  for (let at = from; at < to; at += step) list.push(at);
  return to > from ? [...list, to - 1] : list;
}

t.test('whatever is wrong with the head: not one write', async (t) => {
  const h = await bench(t.testdir({}));
  const before = h.written();
  const { manifest: first, signature, indexes, endOffset, sizeBytes } = layout;
  const roots_ = layout.roots!;
  const members = [first, signature, roots_, ...indexes, ...layout.images];
  const data = (member: typeof first, step: number): number[] =>
    positions(member.dataOffset, member.dataOffset + member.sizeBytes, step);
  const rows: readonly (readonly [string, readonly number[], RegExp])[] = [
    ['headers', members.flatMap((m) => positions(m.headerOffset, m.dataOffset, 257)), /damaged/],
    ['manifest', data(first, 499), /damaged/],
    ['signatures', data(signature, 997), /damaged|untrusted/],
    ['new trust roots', data(roots_, 797), /damaged/],
    ['indexes', indexes.flatMap((m) => data(m, 197)), /damaged/],
    [
      'padding',
      members.flatMap((m) => positions(m.dataOffset + m.sizeBytes, m.endOffset, 499)),
      /damaged/,
    ],
    ['end blocks', positions(endOffset, sizeBytes, 301), /damaged/],
  ];
  for (const [name, list, code] of rows) {
    const found = new Set<string>();
    for (const at of list) found.add(await h.install(flipped(at)));
    for (const word of found) t.match(word, code, `a bit in the ${name}`);
    t.ok(list.length >= 4, name);
    t.equal(h.written(), before, `a bit in the ${name}: no write`);
  }
});

t.test('cut at every block and around every member, or continued: not one write', async (t) => {
  const h = await bench(t.testdir({}));
  const before = h.written();
  const { manifest: first, signature, indexes, endOffset, sizeBytes } = layout;
  const members = [first, signature, layout.roots!, ...indexes, ...layout.images];
  const edges = members.flatMap((member) => [
    member.headerOffset,
    member.dataOffset,
    member.dataOffset + member.sizeBytes,
    member.endOffset,
  ]);
  const places = [...edges, endOffset, sizeBytes].flatMap((edge) => [edge - 1, edge, edge + 1]);
  const blocks = Array.from({ length: Math.ceil(GOOD.length / 512) }, (_, block) => 512 * block);
  const cuts = new Set([...places, ...blocks].filter((cut) => cut >= 0 && cut < GOOD.length));
  for (const cut of cuts) {
    const code = await h.install(GOOD.subarray(0, cut));
    if (code !== 'bundle.truncated') t.fail(`cut at ${cut}: ${code}`);
  }
  t.ok(cuts.size > blocks.length, `${cuts.size} cuts`);
  for (const more of [Buffer.alloc(1), Buffer.alloc(512), GOOD]) {
    t.equal(await h.install(Buffer.concat([GOOD, more])), 'bundle.trailing_data');
  }
  t.equal(h.written(), before, 'no write');
});

/** A bundle whose new root these keys have signed. */
const bringing = (by: Parameters<typeof link>[1]): CraftOptions => ({
  roots: { bytes: rootsJson([link(next, by)]), version: 2 },
});

t.test('whoever signed too little: not one write', async (t) => {
  const h = await bench(t.testdir({}));
  const before = h.written();
  const rows: readonly (readonly [string, CraftOptions, string])[] = [
    ['nobody', { keys: [] }, 'trust.untrusted'],
    ['one new key', { keys: [d] }, 'trust.untrusted'],
    ['one key twice', { keys: [d, d] }, 'trust.untrusted'],
    ['the old keys', { keys: [a, b, c] }, 'trust.untrusted'],
    ['a root of one old key', bringing([a, d, e]), 'trust.rotation'],
    ['a root of no new key', bringing([a, b]), 'trust.rotation'],
    ['a root of nobody', bringing([]), 'trust.rotation'],
  ];
  for (const [name, options, code] of rows) t.equal(await h.install(made(options)), code, name);
  t.equal(h.written(), before, 'no write');
  for (const name of CLASSES)
    t.ok(
      h.slot(name).every((byte) => byte === PATTERN),
      name,
    );
});

t.test('a bit in a chunk: only chunks that are as signed are in the slot', async (t) => {
  const h = await bench(t.testdir({}));
  let kept = 0;
  for (const member of layout.images) {
    const { dataOffset, sizeBytes } = member;
    const step = Math.ceil(sizeBytes / 3);
    for (const at of positions(dataOffset, dataOffset + sizeBytes, step)) {
      t.equal(await h.install(flipped(at)), 'bundle.damaged', `byte ${at} of ${member.name}`);
      for (const name of CLASSES) {
        const [slot, raw] = [h.slot(name), images[name]!];
        for (let from = 0; from < slot.length; from += CHUNK) {
          const found = slot.subarray(from, from + CHUNK);
          const signed = raw.subarray(from, from + CHUNK);
          const old_ = found.every((byte) => byte === PATTERN);
          const rest = found.subarray(signed.length);
          // The block of the disk that a short last chunk ends in is filled with zeros.
          const isSigned = found.subarray(0, signed.length).equals(signed);
          const good = old_ || (isSigned && rest.every((byte) => byte === PATTERN || byte === 0));
          if (!good) t.fail(`byte ${at}: ${name} at ${from} is neither old nor signed`);
          kept += old_ ? 1 : 0;
        }
      }
    }
  }
  t.ok(kept > 0, 'and what comes after the bit is not written');
  t.equal(await h.install(GOOD), 'ok', 'the good one goes in');
  for (const name of CLASSES) {
    t.ok(h.slot(name).subarray(0, images[name]!.length).equals(images[name]!), name);
  }
});
