/**
 * Cleaning of the log in the cases in which it could lose something: records that are on disk and
 * not visible yet, a damaged record in the middle of a segment, damage that is to be got rid of.
 * Imports tap and the storage.
 */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import type { Change, Placed } from '../../images/storage/entry.ts';
import { Objects } from '../../images/storage/objects.ts';
import { hashOf } from '../../images/storage/record.ts';
import { rot } from './rot.ts';

const SEGMENT_BYTES = 4096;
let version = 0;

const open = (dir: string): Promise<Objects> =>
  Objects.open({ dir, segmentBytes: SEGMENT_BYTES, formatLevel: () => 1 });

function change(key: string, text: string): Change {
  const value = Buffer.from(text);
  version += 1;
  return { key, value, hash: hashOf(value), version, run: '00112233aabbccdd', copy: false };
}

const place = (objects: Objects, key: string, text: string): Promise<Placed> =>
  objects.append(change(key, text));

async function put(objects: Objects, key: string, text: string): Promise<void> {
  objects.show(await place(objects, key, text));
}

/** Overwrites one key until the log has been cleaned up to where it is now. */
async function churn(objects: Objects, through: number): Promise<void> {
  for (let n = 0; (objects.log.first ?? 0) <= through && n < 500; n += 1) {
    await put(objects, 'churn', `${n} `.repeat(200));
    for (let turns = 0; turns < 5; turns += 1) await turn();
  }
}

t.test('what is on disk and not visible yet outlives the cleaning of its segment', async (t) => {
  const dir = t.testdir();
  {
    await using objects = await open(dir);
    // A frozen primary: on disk, and shown to nobody before the peer has it.
    const waiting = [];
    for (let n = 0; n < 20; n += 1) waiting.push(await place(objects, `new-${n}`, `value ${n}`));
    await churn(objects, 3);
    for (const placed of waiting) objects.show(placed);
    await churn(objects, 3);
    for (let n = 0; n < 20; n += 1) t.equal(String(await objects.get(`new-${n}`)), `value ${n}`);
  }
  await using again = await open(dir);
  for (let n = 0; n < 20; n += 1) t.equal(String(await again.get(`new-${n}`)), `value ${n}`);
});

t.test('a damaged record that nobody needs hides nothing behind it', async (t) => {
  const dir = t.testdir();
  await using objects = await open(dir);
  await put(objects, 'replaced', 'the old content of it');
  for (let n = 0; n < 10; n += 1) await put(objects, `behind-${n}`, `value ${n}`);
  await put(objects, 'replaced', 'new');
  rot(dir, 'the old content of it');
  await churn(objects, 1);
  t.ok((objects.log.first ?? 0) > 1, 'its segment was cleaned');
  for (let n = 0; n < 10; n += 1) t.equal(String(await objects.get(`behind-${n}`)), `value ${n}`);
});

t.test('a damaged record that is needed keeps its segment, and is told as such', async (t) => {
  const dir = t.testdir();
  await using objects = await open(dir);
  for (let n = 0; n < 10; n += 1) await put(objects, `key-${n}`, `the content of ${n} is here`);
  rot(dir, 'the content of 4 is here');
  await churn(objects, 1);
  t.equal(objects.log.first, 1);
  t.equal(await objects.held('key-4'), 'damaged');
  await t.rejects(objects.purgeDamage(), { code: 'store.corrupt' });
  t.equal(objects.log.first, 1, 'nothing is thrown away');
  // A resync brings it again; then the damage goes.
  await put(objects, 'key-4', 'the content of 4 is back');
  t.equal(await objects.purgeDamage(), true);
  t.ok((objects.log.first ?? 0) > 1);
  await objects[Symbol.asyncDispose]();
  await using again = await open(dir);
  t.equal(String(await again.get('key-4')), 'the content of 4 is back');
  t.equal(again.size, 11);
});
