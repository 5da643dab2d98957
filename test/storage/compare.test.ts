/**
 * A comparison whose other side is the test: what changes between question and answer is compared
 * again and never a difference, what never stands still is told as such, and few digests are asked
 * for while all is equal. Imports tap and the storage.
 */
import t, { type Test } from 'tap';
import { bucketCount, Buckets } from '../../images/storage/buckets.ts';
import { Comparison } from '../../images/storage/compare.ts';
import { Objects } from '../../images/storage/objects.ts';
import { hashOf } from '../../images/storage/record.ts';
import type { Question } from '../../images/storage/wire.ts';

let version = 0;

async function put(objects: Objects, key: string, text: string): Promise<void> {
  const value = Buffer.from(text);
  version += 1;
  const place = { version, run: '00112233aabbccdd', copy: false };
  objects.show(await objects.append({ key, value, hash: hashOf(value), ...place }));
}

const hash = (text: string): string => hashOf(Buffer.from(text));

/** Compares `objects` with a side that answers for single keys as `onKeys` says. */
async function compare(
  objects: Objects,
  onKeys: (round: number) => Promise<string | null>,
  isOpen: (round: number) => boolean = () => false,
) {
  const found: string[] = [];
  let round = 0;
  const answer = async (question: Question): Promise<object | null> => {
    if (question.do === 'bucket') return { digest: 'x', records: 1, bytes: 1, damaged: false };
    if (question.do === 'items') return { items: [], more: false };
    if (question.do !== 'keys') return null;
    round += 1;
    const theirs = await onKeys(round);
    return { items: [[question.keys[0], theirs, 1]] };
  };
  const counts = await new Comparison({
    objects,
    ask: async <T extends object | null>(question: Question) => (await answer(question)) as T,
    content: true,
    rateBps: Infinity,
    isOpen: () => isOpen(round),
    check: () => undefined,
    onProgress: () => undefined,
    onDifference: ({ key }) => found.push(key),
  }).run();
  return { found, round, again: counts.again, unsettled: counts.unsettled };
}

async function open(t: Test): Promise<Objects> {
  const objects = await Objects.open({ dir: t.testdir(), formatLevel: () => 1 });
  await put(objects, 'key', 'one');
  return objects;
}

t.test('a key that stands still differs, or not', async (t) => {
  await using objects = await open(t);
  const differs = await compare(objects, async () => hash('two'));
  t.strictSame(differs, { found: ['key'], round: 1, again: 1, unsettled: 0 });
  const gone = await compare(objects, async () => null);
  t.strictSame(gone.found, ['key']);
  const equal = await compare(objects, async () => hash('one'));
  t.strictSame(equal, { found: [], round: 1, again: 1, unsettled: 0 });
});

t.test('a key that is written between question and answer is asked for again', async (t) => {
  await using objects = await open(t);
  const result = await compare(objects, async (round) => {
    if (round === 1) await put(objects, 'key', 'two');
    return hash(round === 1 ? 'one' : 'two');
  });
  t.strictSame(result, { found: [], round: 2, again: 1, unsettled: 0 });
});

t.test('a key with a write on its way is asked for again', async (t) => {
  await using objects = await open(t);
  const result = await compare(
    objects,
    async (round) => hash(round < 4 ? 'two' : 'one'),
    (round) => round < 3,
  );
  t.strictSame(result, { found: [], round: 4, again: 1, unsettled: 0 });
});

t.test('a key that never stands still is no difference, and is told', async (t) => {
  await using objects = await open(t);
  const result = await compare(objects, async (round) => {
    await put(objects, 'key', `round ${round}`);
    return hash('other');
  });
  t.strictSame(result, { found: [], round: 8, again: 1, unsettled: 1 });
});

t.test('both sides sort their keys alike, and few digests stand for many records', async (t) => {
  t.strictSame([0, 256, 257, 100_000, 1e9].map(bucketCount), [1, 1, 2, 512, 65_536]);
  await using one = await Objects.open({ dir: t.testdir({ a: {} }), formatLevel: () => 1 });
  await using two = await Objects.open({ dir: `${t.testdirName}/a`, formatLevel: () => 1 });
  const keys = Array.from({ length: 600 }, (_, n) => `key-${n}`);
  for (const key of keys) await put(one, key, 'value');
  for (const key of keys.toReversed()) await put(two, key, 'value');
  const [a, b] = await Promise.all([one, two].map((from) => Buckets.of(from, 4, true)));
  let records = 0;
  for (let n = 0; n < 4; n += 1) {
    const digest = await a!.digest(n);
    t.strictSame(digest, await b!.digest(n));
    records += digest.records;
  }
  t.equal(records, 600);
});
