/**
 * `npm run search`: all searches, each in a process of its own, with a line for each, a table at
 * the end, and exit status 0 only if every one was whole and found nothing wrong. Results are kept
 * in `build/search/results.ndjson`: a run that was killed goes on with the next search, unless the
 * code has changed.
 *
 * `--only TEXT` (searches whose name has it), `--faults N` (default 3; more take hours), `--jobs
 * N` (processes side by side, default 1; the memory limit is shared), `--again` (results that are
 * there do not count), `--deep` (single faults in every order that take hours, too), `--list`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { realCore } from './core.ts';
import { addResult, codeDigest, lineOf, readResults, type Result } from './results.ts';
import { search } from './scenario.ts';
import { everything, type Setting } from './settings.ts';

const SELF = fileURLToPath(import.meta.url);
const MEMORY_MB = 16_000;
/** Of it, what the tables of states take outside of the heap, at most. */
const TABLES = 0.6;
/** Bytes of the tables for one state with its steps, at most. */
const STATE_BYTES = 120;

const { values: told } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    faults: { type: 'string', default: '3' },
    jobs: { type: 'string', default: '1' },
    file: { type: 'string', default: 'build/search/results.ndjson' },
    again: { type: 'boolean', default: false },
    deep: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    one: { type: 'string' },
  },
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function numberOf(option: 'faults' | 'jobs'): number {
  const value = Number(told[option]);
  if (Number.isInteger(value) && value >= 1 && value <= 9) return value;
  say(`--${option} is a number from 1 to 9, not ${told[option]}`);
  process.exit(2);
}

/** Searches that run now; they end with this process. */
const children = new Set<ChildProcess>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of children) if (child.pid !== undefined) child.kill('SIGKILL');
    process.exit(1);
  });
}

/** In the process of one search: does it, and prints the result as JSON. */
async function one(setting: Setting): Promise<void> {
  const found = search(await realCore(), setting);
  const { byFaults, edges, quiet, seconds, states, violation, whole } = found;
  const memoryMb = Math.round(process.resourceUsage().maxRSS / 1000);
  const { name } = setting;
  const plain = { byFaults, edges, quiet, seconds, states, violation, whole };
  const result: Result = { name, code: codeDigest(), memoryMb, ...plain };
  process.stdout.write(JSON.stringify(result));
}

/** Runs one search in a process of its own; throws when that ends without a result. */
async function inProcess(setting: Setting, memoryMb: number): Promise<Result> {
  const heapMb = Math.round(memoryMb * (1 - TABLES));
  const statesMax = Math.round((memoryMb * TABLES * 1e6) / STATE_BYTES);
  const args = [`--max-old-space-size=${heapMb}`, SELF, '--one'];
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn(process.execPath, [...args, JSON.stringify({ statesMax, ...setting })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  child.on('error', reject);
  child.on('close', (status, signal) => {
    children.delete(child);
    if (status === 0) resolve(text);
    else reject(new Error(`${setting.name}: the search ended with ${signal ?? status}`));
  });
  return JSON.parse(await promise) as Result;
}

async function main(): Promise<void> {
  const [faults, jobs] = [numberOf('faults'), numberOf('jobs')];
  const settings = everything(faults, told.deep).filter(({ name }) => name.includes(told.only));
  if (told.list) {
    for (const { name } of settings) say(name);
    return;
  }
  const code = codeDigest();
  const done = new Map<string, Result>();
  const known = told.again ? [] : readResults(told.file, code);
  for (const result of known) done.set(result.name, result);
  const open = settings.filter(({ name }) => !done.has(name));
  say(`${settings.length} searches, ${settings.length - open.length} of them done before`);
  let crashed = 0;
  const lane = async (): Promise<void> => {
    for (let next = open.shift(); next !== undefined; next = open.shift()) {
      try {
        const result = await inProcess(next, Math.floor(MEMORY_MB / jobs));
        addResult(told.file, result);
        done.set(result.name, result);
        say(lineOf(result));
        for (const step of result.violation?.trace ?? []) say(`    ${step}`);
      } catch (error) {
        crashed++;
        say(error instanceof Error ? error.message : String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: jobs }, lane));
  const results = settings.flatMap(({ name }) => done.get(name) ?? []);
  report(results, crashed);
}

/** The table at the end, and the exit status. */
function report(results: readonly Result[], crashed: number): void {
  const sum = { states: 0, edges: 0, quiet: 0, seconds: 0 };
  say('');
  for (const result of results) {
    say(lineOf(result));
    for (const key of ['states', 'edges', 'quiet', 'seconds'] as const) sum[key] += result[key];
  }
  const wrong = results.filter(({ violation, whole }) => violation !== null || !whole).length;
  const { edges, quiet, seconds, states } = sum;
  const numbers = `${states} states, ${edges} steps, ${quiet} quiet ends, ${seconds.toFixed(0)} s`;
  const failed = wrong + crashed;
  say(`${results.length} searches: ${numbers}; ${failed} not well`);
  process.exitCode = failed === 0 && results.length > 0 ? 0 : 1;
}

await (told.one === undefined ? main() : one(JSON.parse(told.one) as Setting));
