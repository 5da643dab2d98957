/**
 * Power cuts that lose the write cache, in every write of one recorded update: `npm run test:cuts`.
 * Records the update when there is no recording of what the tree makes now, checks the disks that
 * hundreds of cuts leave without booting them, and boots some of them. Always holds: what was done
 * is kept under build/cuts and not done again for the same seed and the same checker; the exit
 * status is 1 when any disk lost something, or when a count is missed. Imports core and the parts
 * in scripts/cuts.
 */
import { createHash } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { asUpdateError, UpdateError } from '../src/core/errors.ts';
import { NODES, type NodeId } from '../src/core/model.ts';
import { writeFileAtomic } from '../src/drivers/fs-atomic.ts';
import { bootCut, type BootCase, type BootResult } from './cuts/boots.ts';
import { checkNode } from './cuts/check.ts';
import { bootCases, bootWords, countRows, planOf, type Plan, type Verdicts } from './cuts/plan.ts';
import { recordUpdate, type Kept } from './cuts/record.ts';
import { loadRecording, readNodes, type NodeTimeline } from './cuts/recording.ts';
import { PairWorkshop } from './pair/workshop.ts';

const HELP = `Usage: npm run test:cuts -- [--seed N] [--points N] [--boots N] [--pairs N]
                              [--recording DIR] [--for MINUTES]

--seed       draws cuts and boots; default: a new one each day. Printed as SEED
--points     different disks of each kind on each node; default 200
--boots      disks that are booted; default 30, 0 = none
--pairs      how many of them are booted with their peer, to the end; default 6
--recording  takes this folder in the place of the recording of this tree
--for        begins no further boot after so many minutes; a later run goes on
`;
const OPTIONS = {
  seed: { type: 'string', default: process.env['SEED'] ?? '' },
  points: { type: 'string', default: '200' },
  boots: { type: 'string', default: '30' },
  pairs: { type: 'string', default: '6' },
  recording: { type: 'string' },
  for: { type: 'string', default: '100000' },
  help: { type: 'boolean', default: false },
} as const;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function optionsOf(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values;
  } catch (error) {
    throw new UpdateError('usage.invalid', asUpdateError(error).message);
  }
}

function numberOf(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UpdateError('usage.invalid', `--${name} is ${text} and must be a number`);
}

/** A digest of what judges: results of another checker are not this one's. */
async function checkerDigest(): Promise<string> {
  const sum = createHash('sha256');
  for (const folder of [
    'cuts',
    'supervisor',
    '../src/core',
    '../src/drivers',
    '../images/storage',
  ]) {
    const dir = join(import.meta.dirname, folder);
    for (const name of (await readdir(dir)).toSorted()) {
      if (name.endsWith('.ts')) sum.update(name).update(await readFile(join(dir, name)));
    }
  }
  return sum.digest('hex').slice(0, 12);
}

/** Everything of one run. */
interface Run {
  readonly kept: Kept;
  readonly nodes: Readonly<Record<NodeId, NodeTimeline>>;
  readonly plan: Plan;
  readonly seed: number;
  /** Begin of the names of the files with results. */
  readonly results: string;
}

async function checkAll({ kept, nodes, plan, results }: Run): Promise<Verdicts> {
  const verdictsOf = async (node: NodeId) => {
    // In memory where that is possible: some thousand copies of a data partition are made.
    const shared = await mkdtemp('/dev/shm/tandem-cuts-').catch(() => null);
    const work = shared ?? (await mkdtemp(join(tmpdir(), 'tandem-cuts-')));
    const startedMs = performance.now();
    try {
      const found = await checkNode(node, kept.recording, nodes[node], plan[node], {
        work,
        results: `${results}-checked.ndjson`,
        progress: (done, all) => {
          const seconds = Math.round((performance.now() - startedMs) / 1000);
          if (done % 100 === 0) say(`# node ${node}: ${done} of ${all} disks, ${seconds} s`);
        },
      });
      return new Map([...found].filter(([key]) => plan[node].some((one) => one.key === key)));
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  };
  const [A, B] = await Promise.all([verdictsOf('A'), verdictsOf('B')]);
  return { A, B };
}

/** Tells the counts; returns whether all is well. */
function tellChecks({ plan }: Run, verdicts: Verdicts, wanted: number): boolean {
  let good = true;
  for (const row of countRows(plan, verdicts)) {
    const { node, kind, disks, decisive, kept, lost, some, torn, bad, boots } = row;
    const enough = disks >= wanted ? '' : ` (fewer than ${wanted})`;
    const words = Object.entries(boots).map(([what, count]) => `${count} x ${what}`);
    say(
      `node ${node} ${kind.padEnd(6)} ${disks} disks${enough}, ${decisive} decisive: ${kept} kept,`,
    );
    say(`  ${lost} lost, ${some} some, ${torn} torn; ${words.join(', ')}; ${bad} BAD`);
    good &&= bad === 0 && disks >= wanted;
  }
  for (const node of NODES) {
    const bad = plan[node].filter(({ key }) => verdicts[node].get(key)?.problems.length !== 0);
    for (const { key, kind, point } of bad.slice(0, 10)) {
      const problems = verdicts[node].get(key)?.problems ?? [];
      say(`BAD node ${node} ${kind} ${JSON.stringify(point)} ${key}`);
      for (const { code, found } of problems) say(`  ${code}: ${found}`);
    }
  }
  return good;
}

async function bootAll(
  { kept, nodes, results }: Run,
  cases: readonly BootCase[],
  pairs: number,
  untilMs: number,
): Promise<boolean> {
  if (cases.length === 0) return true;
  const file = `${results}-booted.ndjson`;
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  const done = new Map(
    lines
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as BootResult)
      .map((one) => [`${one.node} ${one.key}`, one]),
  );
  const workshop = await PairWorkshop.open(say);
  let good = true;
  for (const [index, one] of cases.entries()) {
    const { node, point, verdict } = one;
    const name = `${node} ${point.key}`;
    let result = done.get(name);
    if (result === undefined) {
      if (performance.now() > untilMs) {
        say(`# ${cases.length - index} boots are left for a later run`);
        return false;
      }
      const work = await mkdtemp(join(tmpdir(), 'tandem-cuts-'));
      try {
        const bench = { dir: kept.dir, recording: kept.recording, nodes, workshop, work };
        result = await bootCut(bench, one, index < pairs);
      } finally {
        await rm(work, { recursive: true, force: true });
      }
      if (result.wrong.length === 0) await appendFile(file, `${JSON.stringify(result)}\n`);
    }
    const { booted, version, end, wrong, seconds } = result;
    good &&= wrong.length === 0;
    const ok = wrong.length === 0 ? 'ok' : 'BAD';
    const both = end === null ? '' : `, in the end A ${end.A}, B ${end.B}`;
    say(`${ok} ${index + 1} node ${node} ${point.kind} ${JSON.stringify(point.point)}:`);
    say(`  foretold ${bootWords(verdict)}; ${booted}, ${version}${both}; ${seconds} s`);
    for (const text of wrong) say(`  ${text}`);
  }
  return good;
}

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOf(args);
  if (options.help) {
    say(HELP);
    return 0;
  }
  const today = Math.floor(Date.now() / 86_400_000);
  const seed = options.seed === '' ? today : numberOf('seed', options.seed);
  const wanted = numberOf('points', options.points);
  const untilMs = performance.now() + numberOf('for', options.for) * 60_000;
  say(`SEED=${seed}`);
  const kept = await keptAt(options.recording);
  const nodes = await readNodes(kept.dir, kept.recording);
  const plan = planOf(nodes, wanted, seed);
  say(`# ${kept.dir}: ${kept.recording.title}`);
  const results = join(kept.dir, `${seed}-${wanted}-${await checkerDigest()}`);
  await mkdir(kept.dir, { recursive: true });
  const run: Run = { kept, nodes, plan, seed, results };
  const verdicts = await checkAll(run);
  const rows = countRows(plan, verdicts);
  await writeFileAtomic(`${results}-counts.json`, `${JSON.stringify(rows, null, 2)}\n`);
  const checked = tellChecks(run, verdicts, wanted);
  const cases = bootCases(plan, verdicts, numberOf('boots', options.boots), seed);
  const booted = await bootAll(run, cases, numberOf('pairs', options.pairs), untilMs);
  const disks = rows.reduce((sum, row) => sum + row.disks, 0);
  say(`${disks} disks checked, ${cases.length} to boot: ${checked && booted ? 'ok' : 'NOT OK'}`);
  return checked && booted ? 0 : 1;
}

async function keptAt(dir: string | undefined): Promise<Kept> {
  if (dir === undefined) return recordUpdate((line) => say(`# ${line}`));
  const recording = await loadRecording(dir);
  if (recording !== null) return { dir, recording };
  throw new UpdateError('file.not_found', `${dir} holds no recording`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const failed = asUpdateError(error);
  say(`${failed.code}: ${failed.message}`);
  process.exitCode = 1;
}
