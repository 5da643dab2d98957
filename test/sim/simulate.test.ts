/**
 * The long run of the simulator (`npm run simulate`): it goes on where it ended, its counts add up,
 * a batch that did not end counts for nothing, and another tree begins anew.
 */
import t, { type Test } from 'tap';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { batch, simulate, type Plan, type Result } from './simulate.ts';
import { noTally, type Tally } from './tally.ts';

const SIZE = 10;

/** A batch of which every seed came to rest after two power cuts. */
const good = (tree: string, failed: Result['failed'] = []): Result => {
  const seeds = SIZE - failed.length;
  return { tree, sum: { ...noTally(), seeds, cuts: 2 * seeds }, failed, cpuMs: 1 };
};

interface Told {
  readonly lines: string[];
  readonly ran: number[];
}

function planIn(dir: string, told: Told, change: Partial<Plan> = {}): Plan {
  return {
    file: join(dir, 'progress.json'),
    tree: 'one',
    goal: 10 * SIZE,
    batch: SIZE,
    jobs: 1,
    goesOn: () => true,
    run: async (from) => {
      told.ran.push(from);
      return Promise.resolve(good('one'));
    },
    say: (line) => void told.lines.push(line),
    ...change,
  };
}

async function killedAt21(from: number): Promise<Result> {
  if (from === 21) throw new Error('killed');
  return Promise.resolve(good('one'));
}

const ofTwo = async (): Promise<Result> => Promise.resolve(good('two'));

const fresh = (): Told => ({ lines: [], ran: [] });
const kept = (dir: string): { sum: Tally; batches: number[] } =>
  JSON.parse(readFileSync(join(dir, 'progress.json'), 'utf8')) as never;

function has(t: Test, { lines }: Told, text: string): void {
  t.ok(
    lines.some((line) => line.includes(text)),
    `says "${text}"`,
  );
}

t.test('a run that ended goes on, and every batch is played once', async (t) => {
  const dir = t.testdir();
  const told = fresh();
  t.equal(await simulate(planIn(dir, told, { goesOn: () => told.ran.length < 4 })), true);
  t.strictSame(told.ran, [1, 11, 21, 31]);
  has(t, told, '60 seeds are left');
  const rest = fresh();
  t.equal(await simulate(planIn(dir, rest, { jobs: 3 })), true);
  t.strictSame(rest.ran, [41, 51, 61, 71, 81, 91]);
  has(t, rest, 'the goal is reached');
  t.match(kept(dir), { sum: { seeds: 100, cuts: 200 } });
  const none = fresh();
  await simulate(planIn(dir, none));
  t.strictSame(none.ran, []);
});

t.test('a batch that did not end counts for nothing and is played again', async (t) => {
  const dir = t.testdir();
  const told = fresh();
  await simulate(planIn(dir, told, { run: killedAt21 }));
  has(t, told, 'stopped: killed');
  t.match(kept(dir), { sum: { seeds: 20 }, batches: [1, 11] });
  const again = fresh();
  await simulate(planIn(dir, again));
  t.equal(again.ran[0], 21);
});

t.test('seeds that failed are told, and count as played', async (t) => {
  const dir = t.testdir();
  const told = fresh();
  const failed = [{ seed: 3, message: 'SEED=3: I1 two nodes serve' }];
  const run = async (from: number): Promise<Result> =>
    Promise.resolve(good('one', from === 1 ? failed : []));
  t.equal(await simulate(planIn(dir, told, { run })), false);
  has(t, told, 'I1 two nodes serve');
  has(t, told, 'failed: SEED=3');
  t.equal(kept(dir).sum.seeds, 99);
  t.equal(await simulate(planIn(dir, fresh())), false, 'nor is it forgotten');
});

t.test('another tree, or counts that do not add up, begin anew', async (t) => {
  const dir = t.testdir();
  await simulate(planIn(dir, fresh()));
  const other = fresh();
  await simulate(planIn(dir, other, { tree: 'two', run: ofTwo }));
  has(t, other, 'the tree has changed since 100 seeds were run: a new count begins');
  t.equal(kept(dir).batches.length, 10);
  const changed = fresh();
  await simulate(planIn(dir, changed, { tree: 'three', run: ofTwo }));
  has(t, changed, 'stopped: the tree has changed in the meantime');
  const file = join(dir, 'progress.json');
  const found = kept(dir);
  writeFileSync(file, JSON.stringify({ ...found, batches: [1] }));
  const odd = fresh();
  await simulate(planIn(dir, odd, { tree: 'two', run: ofTwo }));
  has(t, odd, 'does not add up');
});

t.test('a batch plays its seeds, the same each time', async (t) => {
  const [one, same] = [batch(7, 4), batch(7, 4)];
  t.strictSame(one.sum, same.sum);
  t.equal(one.sum.seeds + one.failed.length, 4);
});
