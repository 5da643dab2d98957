/**
 * A short run of every fuzz target, and that the harness finds what it is there to find. FUZZ_RUNS
 * makes it longer; what a long run was is in the notes of a release. Long ones by hand: `npm run
 * fuzz`.
 */
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import { deeperThan } from '../../src/core/json-depth.ts';
import { Finding, fuzz, promise, type Target, type Trial } from './engine.ts';
import { bentJson, mutated } from './mutate.ts';
import { Random } from './random.ts';
import { TARGETS } from './targets.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 60);
const SEED = 1;

for (const target of TARGETS) {
  t.test(`${target.name}: ${target.reads}`, async (t) => {
    const { endings, worst } = await fuzz(target, { seed: SEED, runs: RUNS });
    const words = [...endings].map(([word, count]) => `${word} ${count}`);
    t.comment(words.join(', '));
    t.ok(worst.steps <= 1 && worst.buffers <= 1);
    t.equal(
      [...endings.values()].reduce((sum, count) => sum + count, 0),
      RUNS,
    );
  });
}

t.test('names are there once', async (t) => {
  t.equal(new Set(TARGETS.map(({ name }) => name)).size, TARGETS.length);
});

/** A target whose input is a draw below 100. */
function targetOf(judge: (draw: number) => ReturnType<Trial['judge']>): Target {
  return {
    name: 'sample',
    reads: 'a number',
    limits: { steps: { base: 2000, perByte: 0 }, buffers: { base: 1000, perByte: 0 } },
    open: () =>
      Promise.resolve({
        make: (random) => {
          const draw = random.below(100);
          return { sizeBytes: 1, judge: () => judge(draw) };
        },
      }),
  };
}

/** The run that a finding names. */
async function foundAt(target: Target, from = 0, runs = 300): Promise<number> {
  try {
    await fuzz(target, { seed: SEED, from, runs });
    return -1;
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    return Number(/--target sample --seed 1 --from (\d+) --runs 1/.exec(error.message)?.[1]);
  }
}

t.test('what is found, and found again by its number alone', async (t) => {
  const findings: readonly (readonly [string, (draw: number) => string | Promise<string>])[] = [
    ['a broken promise', (draw) => (promise(draw !== 37, 'thirty-seven'), 'ok')],
    ['an error that is none of ours', (draw) => lengthOf(draw === 37 ? undefined : 'ok')],
    [
      'a bug that the program admits',
      (draw) => {
        if (draw === 37) throw new UpdateError('internal.bug', 'oops');
        return 'ok';
      },
    ],
    ['too much memory', (draw) => `${Buffer.alloc(draw === 37 ? 1001 : 10).length}`],
    ['too many steps', (draw) => (draw === 37 ? busy() : 'ok')],
  ];
  for (const [name, judge] of findings) {
    const run = await foundAt(targetOf(judge));
    t.ok(run >= 0, name);
    t.equal(await foundAt(targetOf(judge), run, 1), run, `${name}: again`);
    t.equal(await foundAt(targetOf(judge), run + 1, 1), -1, `${name}: the next one is good`);
  }
});

/** A mistake that the types do not see. */
const lengthOf = (text: unknown): string => `${(text as string).length}`;

/** Some thousand steps in a file that is counted. */
function busy(): string {
  const wide = Array.from({ length: 3000 }, () => [0]);
  return String(deeperThan(wide, 5));
}

const draws = (seed: number, run: number): string => {
  const random = new Random(seed, run);
  const text = bentJson(random, { a: [1, 'two', { three: null }], b: 'x'.repeat(50) });
  return `${mutated(random, text).toString('hex')} ${random.word()}`;
};

t.test('the same draws for the same seed and number', async (t) => {
  const all = new Set<string>();
  for (const seed of [0, 1, 2 ** 31]) {
    for (let run = 0; run < 50; run += 1) {
      t.equal(draws(seed, run), draws(seed, run));
      all.add(draws(seed, run));
    }
  }
  t.equal(all.size, 150);
});
