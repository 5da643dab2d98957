/**
 * The log of objects on disk: what is read back after a restart, torn tails at every length, damage
 * in the middle, cleaning, compression, a full disk. Imports tap, fast-check and the storage.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t from 'tap';
import type { UpdateError } from '../../src/core/errors.ts';
import type { Change } from '../../images/storage/entry.ts';
import { Objects } from '../../images/storage/objects.ts';
import { decodeRecord, encodeRecord, hashOf, HEAD_BYTES } from '../../images/storage/record.ts';
import { withFileLimit } from '../drivers/small-disk.ts';

const RUN = '00112233aabbccdd';
const STORAGE = join(import.meta.dirname, '../../images/storage');
let version = 0;

function change(key: string, text: string | null): Change {
  const value = text === null ? null : Buffer.from(text);
  const hash = value === null ? null : hashOf(value);
  version += 1;
  return { key, value, hash, version, run: RUN, copy: false };
}

const open = (dir: string, segmentBytes = 1 << 20, level = 1): Promise<Objects> =>
  Objects.open({ dir, segmentBytes, formatLevel: () => level });

async function put(objects: Objects, key: string, text: string | null): Promise<void> {
  objects.show(await objects.append(change(key, text)));
}

async function content(objects: Objects): Promise<Record<string, string>> {
  const { keys } = objects.keys('', '', 10_000);
  const entries = keys.map(async (key) => [key, String(await objects.get(key))] as const);
  return Object.fromEntries(await Promise.all(entries));
}

const segments = (dir: string): string[] =>
  readdirSync(dir)
    .toSorted()
    .map((name) => join(dir, name));

t.test('a restart finds the same objects, position and committed version', async (t) => {
  const dir = t.testdir();
  version = 0;
  {
    await using objects = await open(dir);
    await Promise.all(['a', 'b', 'c'].map((key) => put(objects, key, `value of ${key}`)));
    objects.committed = 2;
    await put(objects, 'b', null);
    await put(objects, 'a', 'newer');
    const more = objects.keys('', '', 1);
    t.same(more, { keys: ['a'], more: true });
    t.same(objects.keys('', 'a', 5), { keys: ['c'], more: false });
  }
  await using again = await open(dir);
  t.same(await content(again), { a: 'newer', c: 'value of c' });
  t.same(again.position, { run: RUN, version: 5 });
  t.equal(again.committed, 2);
  t.equal(again.valueBytes, 'newer'.length + 'value of c'.length);
  const changed = [...again.changedSince(2)].map(([key, { hash }]) => `${key} ${hash !== null}`);
  t.same(changed.toSorted(), ['a true', 'b false', 'c true']);
});

t.test('what was appended but not shown is not visible, and comes with a restart', async (t) => {
  const dir = t.testdir();
  {
    await using objects = await open(dir);
    await put(objects, 'key', 'one');
    await objects.append(change('key', 'two'));
    t.equal(String(await objects.get('key')), 'one');
  }
  await using again = await open(dir);
  t.equal(String(await again.get('key')), 'two');
});

t.test('a log torn at any byte gives its whole records', async (t) => {
  const dir = t.testdir({ whole: {}, torn: {} });
  const ends: number[] = [];
  {
    await using objects = await open(join(dir, 'whole'));
    for (const key of ['a', 'b', 'c']) {
      await put(objects, key, `value of ${key}`);
      ends.push(objects.log.bytes);
    }
  }
  const [path] = segments(join(dir, 'whole'));
  const bytes = readFileSync(path!);
  const torn = join(dir, 'torn', '00000001.seg');
  for (let length = 0; length <= bytes.length; length += 1) {
    writeFileSync(torn, bytes.subarray(0, length));
    const whole = ends.filter((end) => end <= length).length;
    {
      await using objects = await open(join(dir, 'torn'));
      if (objects.size !== whole) t.equal(objects.size, whole, `${length} bytes`);
      await put(objects, 'next', 'written after the cut');
    }
    await using again = await open(join(dir, 'torn'));
    if (again.size !== whole + 1) t.equal(again.size, whole + 1, `${length} bytes, again`);
    t.equal(again.log.droppedBytes, 0);
  }
});

t.test('damage before what was synced is told from a torn tail', async (t) => {
  const dir = t.testdir();
  {
    await using objects = await open(dir);
    for (const key of ['a', 'b', 'c']) await put(objects, key, `value of ${key}`);
  }
  const [path] = segments(dir);
  const bytes = readFileSync(path!);
  const middle = bytes.indexOf('value of b');
  bytes[middle] = 0;
  writeFileSync(path!, bytes);
  {
    await using objects = await open(dir);
    t.match(objects.damage, { code: 'store.corrupt', detail: { segment: 1 } });
    t.same(Object.keys(await content(objects)), ['a', 'c'], 'what is whole is read');
  }
  t.same(readFileSync(path!), bytes, 'nothing was written');
  const last = bytes.indexOf('value of c');
  bytes[middle] = 'v'.charCodeAt(0);
  bytes[last] = 0;
  writeFileSync(path!, bytes);
  await using objects = await open(dir);
  t.same(Object.keys(await content(objects)), ['a', 'b'], 'the last one could be a torn one');
  t.equal(objects.damage, null);
});

t.test('a damaged head hides no record; what is written goes to a new segment', async (t) => {
  const dir = t.testdir();
  {
    await using objects = await open(dir);
    for (const key of ['a', 'b']) await put(objects, key, `value of ${key}`);
  }
  const [path] = segments(dir);
  const bytes = readFileSync(path!);
  bytes[3]! ^= 1;
  writeFileSync(path!, bytes);
  {
    await using objects = await open(dir);
    t.match(objects.damage, { code: 'store.corrupt', detail: { segment: 1, offset: 0 } });
    t.same(Object.keys(await content(objects)), ['a', 'b']);
    await put(objects, 'c', 'value of c');
    t.same(readFileSync(path!), bytes, 'the damaged one stays as it was');
    t.equal(objects.damagedBytes, bytes.length);
    let done = 0;
    t.equal(await objects.purgeDamage(undefined, (count) => (done += count)), true);
    t.equal(done, bytes.length);
    t.equal(objects.damage, null);
  }
  await using again = await open(dir);
  t.equal(again.damage, null);
  t.same(Object.keys(await content(again)).toSorted(), ['a', 'b', 'c']);
});

t.test('an object that rots under the running store is not handed out', async (t) => {
  const dir = t.testdir();
  await using objects = await open(dir);
  await put(objects, 'key', 'a value to be damaged');
  const [path] = segments(dir);
  const bytes = readFileSync(path!);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path!, bytes);
  await t.rejects(objects.get('key'), { code: 'store.corrupt' });
});

t.test(
  'cleaning keeps content, position and what was deleted since the peer was level',
  async (t) => {
    const dir = t.testdir();
    version = 0;
    const model: Record<string, string> = {};
    {
      await using objects = await open(dir, 4096);
      await put(objects, 'kept', 'from the beginning');
      model['kept'] = 'from the beginning';
      objects.committed = 1;
      await put(objects, 'gone', 'soon');
      await put(objects, 'gone', null);
      for (let n = 0; n < 300; n += 1) {
        const [key, text] = [`key-${n % 5}`, `value ${n}`.repeat(10)];
        model[key] = text;
        await put(objects, key, text);
      }
      t.ok(objects.log.bytes < 20_000, `${objects.log.bytes} bytes are left of about 50,000`);
      t.same(await content(objects), model);
    }
    await using again = await open(dir, 4096);
    t.same(await content(again), model);
    t.same(again.position, { run: RUN, version });
    t.equal(again.committed, 1);
    t.ok([...again.changedSince(1)].some(([key, { hash }]) => key === 'gone' && hash === null));
  },
);

t.test('the position outlives the segment that says it', async (t) => {
  const dir = t.testdir();
  version = 6;
  {
    await using objects = await open(dir, 1024);
    objects.committed = 5;
    await put(objects, 'key', 'moves the position');
    for (let n = 0; n < 100; n += 1) {
      // What a sync brings changes objects, not the position.
      const copy = { ...change('copied', `value ${n}`.repeat(10)), version: n, copy: true };
      objects.show(await objects.append(copy));
    }
    t.ok(objects.log.bytes < 10_000, `${objects.log.bytes} bytes are left of about 17,000`);
  }
  await using again = await open(dir, 1024);
  t.same(again.position, { run: RUN, version: 7 });
  t.equal(again.committed, 5);
  t.same(Object.keys(await content(again)), ['copied', 'key']);
});

t.test('any sequence of writes and restarts gives what a map would hold', async (t) => {
  let run = 0;
  const root = t.testdir();
  const write = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    text: fc.option(fc.string({ maxLength: 300 }), { freq: 4 }),
    restart: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(write, { maxLength: 30 }), async (writes) => {
      const dir = join(root, String((run += 1)));
      const model = new Map<string, string>();
      let objects = await open(dir, 600, 1 + (run % 2));
      for (const { key, text, restart } of writes) {
        await put(objects, key, text);
        if (text === null) model.delete(key);
        else model.set(key, text);
        if (!restart) continue;
        await objects[Symbol.asyncDispose]();
        objects = await open(dir, 600, 1 + (run % 2));
      }
      const found = await content(objects);
      await objects[Symbol.asyncDispose]();
      t.same(found, Object.fromEntries(model));
    }),
    { numRuns: 25 },
  );
});

t.test('level 2 compresses what is worth it, level 1 never', async (t) => {
  const text = 'compressible '.repeat(1000);
  const bytesAt = async (level: number): Promise<number> => {
    const dir = join(t.testdir({ 1: {}, 2: {} }), String(level));
    await using objects = await open(dir, 1 << 20, level);
    await put(objects, 'key', text);
    t.equal(String(await objects.get('key')), text);
    return objects.log.bytes;
  };
  t.ok((await bytesAt(1)) > text.length);
  t.ok((await bytesAt(2)) < text.length / 10);
});

t.test('no damaged record is decoded', (t) => {
  const value = Buffer.from('the value');
  const fields = { kind: 'put', copy: false, key: 'key', version: 7, committed: 3 } as const;
  const record = { ...fields, run: RUN, value, hash: hashOf(value) };
  const bytes = encodeRecord(record, 99, 1);
  t.match(decodeRecord(bytes, 0)?.record, { ...fields, valueBytes: 9 });
  t.equal(decodeRecord(bytes, 0)?.syncedOffset, 99);
  for (let at = 0; at < bytes.length; at += 1) {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 0x10;
    if (decodeRecord(damaged, 0) !== null) t.fail(`byte ${at}`);
  }
  t.equal(decodeRecord(bytes.subarray(0, HEAD_BYTES - 1), 0), null);
  t.end();
});

t.test('a disk without room refuses, keeps what it has, and goes on later', async (t) => {
  const dir = t.testdir();
  const script = `
    import { Objects } from ${JSON.stringify(join(STORAGE, 'objects.ts'))};
    import { hashOf } from ${JSON.stringify(join(STORAGE, 'record.ts'))};
    process.on('SIGXFSZ', () => undefined);
    const dir = process.argv[1];
    const objects = await Objects.open({ dir, formatLevel: () => 1 });
    const write = async (key, bytes, version) => {
      const value = Buffer.alloc(bytes, 65);
      const change = { key, value, hash: hashOf(value), version, run: '${RUN}', copy: false };
      objects.show(await objects.append(change));
    };
    const codes = [];
    const attempt = (...args) => write(...args).then(() => 'written', (error) => error.code);
    codes.push(await attempt('small', 100, 1), await attempt('large', 200000, 2));
    codes.push(await attempt('after', 100, 2));
    await objects.recover();
    codes.push(await attempt('again', 100, 2));
    console.log(JSON.stringify({ codes, position: objects.position.version }));
  `;
  const { result, stderr } = withFileLimit(128 * 1024, script, [dir]);
  t.same(
    result,
    { codes: ['written', 'store.full', 'store.full', 'written'], position: 2 },
    stderr,
  );
  await using objects = await open(dir);
  t.same(Object.keys(await content(objects)), ['again', 'small']);
});

t.test('a write below the reserve of the data partition is refused with the bytes', async (t) => {
  await using objects = await open(t.testdir());
  const error = await objects.room.take(2 ** 50).then(
    () => null,
    (reason: unknown) => reason as UpdateError,
  );
  t.equal(error?.code, 'store.full');
  t.type(error?.detail?.['missingBytes'], 'number');
});
