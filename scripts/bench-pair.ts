/**
 * Command line of the bench: plays scenarios without a person, as TAP and JUnit XML, or starts a
 * pair and lets a person work with it. Always holds: the exit status is 0 only when every scenario
 * was good; Ctrl-C ends the pair. Imports core and scripts/pair.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { asUpdateError, UpdateError } from '../src/core/errors.ts';
import { writeFileAtomic } from '../src/drivers/fs-atomic.ts';
import { BUILD_DIR } from './build.ts';
import { AppliancePair } from './pair/appliance-pair.ts';
import { workWith } from './pair/menu.ts';
import { openReady } from './pair/snapshot.ts';
import { controlSeconds } from './pair/meter.ts';
import { junitOf, ResultStore, tapOf } from './pair/report.ts';
import {
  loadScenario,
  runScenario,
  type NamedScenario,
  type ScenarioResult,
} from './pair/runner.ts';
import { SCENARIOS, SELECTIONS } from './pair/selections.ts';
import { PAIR_DIR, PairWorkshop } from './pair/workshop.ts';

const USAGE = `Usage: scripts/bench --scenario FILE... | --select NAME
                     [--seed WORD] [--junit FILE] [--resume]
       scripts/bench --list
       scripts/bench [--dir DIR] [--root-shell] [--new]

  --scenario FILE  play this scenario (a file, or a name from --list)
  --select NAME    play a selection: ci (at most 8 minutes), test (25), all (90)
  --seed WORD      draws the same moments as the run that printed it
  --junit FILE     write the results as JUnit XML, too
  --resume         leave out what was good already with these images, and keep to the last seed
  --list           names and titles of all scenarios

Without a scenario it starts a pair, from a snapshot when there is one, and offers what can be done
to it: power, link, hangs, panics, bundles, either node's console.

  --dir DIR        where it works, one bench at a time; default build/pair/bench
  --root-shell     a shell of root on the serial lines, in the place of the maintenance console
  --new            boot the pair from its first disks, with no snapshot
`;
/** Images, disks and snapshots, and a pair that works on copies. */
const ROOM_BYTES = 4 * 1024 ** 3;
const GIB = 1024 ** 3;

const OPTIONS = {
  scenario: { type: 'string', multiple: true },
  select: { type: 'string' },
  seed: { type: 'string' },
  junit: { type: 'string' },
  resume: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
  dir: { type: 'string', default: join(PAIR_DIR, 'bench') },
  'root-shell': { type: 'boolean', default: false },
  new: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const print = (text: string): void => void process.stdout.write(text);
const complain = (line: string): void => void process.stderr.write(`${line}\n`);
const comment = (line: string): void => print(`# ${line}\n`);

function parse() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    throw new UpdateError('usage.invalid', asUpdateError(error).message);
  }
}

/** The scenarios that were asked for: by name, by file, by the name of a selection. */
async function scenariosOf(
  words: readonly string[],
  select: string | undefined,
): Promise<readonly NamedScenario[]> {
  const chosen = select === undefined ? [] : SELECTIONS.get(select);
  if (chosen === undefined) {
    const known = [...SELECTIONS.keys()].join(', ');
    throw new UpdateError('usage.invalid', `--select is "${select ?? ''}"; accepted: ${known}`);
  }
  const found = [...words, ...chosen].map(async (name): Promise<NamedScenario> => {
    const scenario = SCENARIOS.get(name);
    if (scenario !== undefined) return { name, scenario };
    if (existsSync(name)) return loadScenario(resolve(name));
    const message = `there is no scenario "${name}" and no file of that name; --list names them`;
    throw new UpdateError('usage.invalid', message);
  });
  return Promise.all(found);
}

/** A full disk in the middle of a run looks like a fault of the appliance. */
async function needRoom(): Promise<void> {
  for (const dir of [BUILD_DIR, tmpdir()]) {
    const { bavail, bsize } = await statfs(dir).catch(() => statfs('.'));
    const free = bavail * bsize;
    if (free >= ROOM_BYTES) continue;
    const found = `${(free / GIB).toFixed(1)} GiB`;
    const message = `${dir} has ${found} left, the bench needs ${String(ROOM_BYTES / GIB)} GiB`;
    throw new UpdateError('usage.invalid', message);
  }
}

function list(): void {
  for (const [name, { title }] of SCENARIOS) print(`${name.padEnd(22)}${title}\n`);
}

async function controlOnce(): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'tandem-control-'));
  try {
    return await controlSeconds(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Plays scenarios; returns the exit status. */
async function play(
  scenarios: readonly NamedScenario[],
  values: ReturnType<typeof parse>,
): Promise<number> {
  print('TAP version 14\n');
  const workshop = await PairWorkshop.open(comment);
  const earlier = values.resume ? await ResultStore.lastSeed(workshop.digest) : null;
  const seed = values.seed ?? earlier ?? randomBytes(4).toString('hex');
  if (!/^[\w-]{1,40}$/.test(seed)) throw new UpdateError('usage.invalid', `the seed ${seed}`);
  comment(`seed ${seed}; --seed ${seed} draws the same moments again`);
  const store = await ResultStore.open(workshop.digest, seed);
  const controlS = await controlOnce();
  comment(`control: kernel and initramfs are up after ${controlS.toFixed(1)} s of processor`);
  const { signal } = stopSignal();
  const results: ScenarioResult[] = [];
  for (const one of scenarios) {
    if (signal.aborted) break;
    const known = values.resume ? store.done(one.name) : null;
    if (known === null) comment(`${one.name}: ${one.scenario.title}`);
    const context = { workshop, seed, say: comment, controlS, signal };
    const result = known ?? (await runScenario(one, context));
    await store.keep(result);
    results.push(result);
    print(tapOf(result, results.length, controlS));
  }
  print(`1..${String(results.length)}\n`);
  if (values.junit !== undefined) await writeFileAtomic(resolve(values.junit), junitOf(results));
  return results.length === scenarios.length && results.every((result) => result.ok) ? 0 : 1;
}

/** Aborted by Ctrl-C, or when this process is asked to end. */
function stopSignal(): AbortController {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  return stop;
}

/** Starts a pair for a person. */
async function work(values: ReturnType<typeof parse>): Promise<number> {
  const dir = resolve(values.dir);
  const stop = stopSignal();
  const settings = { console: values['root-shell'] ? 'root-shell' : 'tandem-console' } as const;
  const options = { dir, say: complain, settings };
  await using pair = await (values.new ? AppliancePair.open(options) : openReady(options));
  if (values.new) await pair.powerOn();
  await workWith(pair, stop.signal);
  return 0;
}

async function main(): Promise<number> {
  const values = parse();
  if (values.help) {
    print(USAGE);
    return 0;
  }
  if (values.list) {
    list();
    return 0;
  }
  await needRoom();
  const scenarios = await scenariosOf(values.scenario ?? [], values.select);
  return scenarios.length === 0 ? work(values) : play(scenarios, values);
}

try {
  process.exitCode = await main();
} catch (error) {
  const failure = asUpdateError(error);
  process.stderr.write(`${failure.message}\n${failure.report().next}\n`);
  process.exitCode = failure.exit;
}
