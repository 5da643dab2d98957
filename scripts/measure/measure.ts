/**
 * Measures commands from outside: wall and processor seconds as the shell counts them, peak
 * resident memory from /proc. Always holds: rows that are compared run in turn (A B C A B C ...),
 * and what is told is the median with the extremes. Linux only. Imports node:.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';

/** How often the peak of the memory is looked at; it only grows, so little is missed. */
const LOOK_MS = 10;

/** One run of one command. */
export interface Measured {
  readonly wallS: number;
  /** User and system time of the command and everything that it waited for. */
  readonly cpuS: number;
  /** Sum of the peaks of the processes that ran side by side. */
  readonly peakMiB: number;
  readonly stdout: string;
}

/** A row of the table. */
export interface Row {
  readonly name: string;
  /** Not measured; before every run. */
  readonly prepare?: () => Promise<void>;
  readonly command: readonly [string, ...string[]];
  /** Measures a run in another way than by starting the command: a service that runs already. */
  readonly measure?: () => Promise<Measured>;
  /** Given to the command; its standard input then stays open until it ends. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Throws when the output is not that of a success. */
  readonly check?: (stdout: string) => void;
}

/** Median and extremes of several runs. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** A row after all of its runs. */
export interface RowResult {
  readonly name: string;
  readonly runs: number;
  readonly wallS: Spread;
  readonly cpuS: Spread;
  readonly peakMiB: Spread;
}

/** Runs the rows `runs` times, in turn; `tell` hears of each run. */
export async function alternate(
  rows: readonly Row[],
  runs: number,
  tell: (line: string) => void,
): Promise<readonly RowResult[]> {
  const all = new Map<string, Measured[]>(rows.map((row) => [row.name, []]));
  for (let i = 0; i < runs; i += 1) {
    for (const row of rows) {
      await row.prepare?.();
      const measured = await (row.measure?.() ?? measure(row));
      row.check?.(measured.stdout);
      all.get(row.name)?.push(measured);
      tell(`${i + 1}/${runs} ${row.name}: ${measured.wallS.toFixed(2)} s`);
    }
  }
  return [...all].map(([name, measured]) => ({
    name,
    runs: measured.length,
    wallS: spreadOf(measured.map((one) => one.wallS)),
    cpuS: spreadOf(measured.map((one) => one.cpuS)),
    peakMiB: spreadOf(measured.map((one) => one.peakMiB)),
  }));
}

/** Median, least and greatest of some numbers. */
export function spreadOf(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (i: number): number => sorted[i] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  const median = (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2;
  return { median, min: at(0), max: at(sorted.length - 1) };
}

/** Runs the command of a row once. Throws when it fails. */
export async function measure(row: Row): Promise<Measured> {
  const script = `TIMEFORMAT='TIME %R %U %S'; time "$@"`;
  const child = spawn('bash', ['-c', script, 'bash', ...row.command], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...row.env },
  });
  const closed = once(child, 'close');
  child.stdin.on('error', () => undefined);
  if (row.input === undefined) child.stdin.end();
  else child.stdin.write(row.input);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const ended = { yes: false };
  const watched = watch(child.pid ?? 0, ended);
  const [status] = (await closed) as [number | null];
  ended.yes = true;
  const peakMiB = await watched;
  const time = /TIME ([\d.]+) ([\d.]+) ([\d.]+)/.exec(stderr);
  if (status !== 0 || time === null) throw new Error(`${row.name} failed: ${stderr}${stdout}`);
  const [wallS, userS, systemS] = time.slice(1).map(Number) as [number, number, number];
  return { wallS, cpuS: userS + systemS, peakMiB, stdout };
}

/** Peak of the resident memory of everything below the shell, in MiB. */
async function watch(shell: number, ended: { yes: boolean }): Promise<number> {
  const peaks = new Map<number, number>();
  while (!ended.yes) {
    for (const pid of await descendants(shell)) {
      const kib = await peakKib(pid);
      if (kib !== null) peaks.set(pid, kib);
    }
    await setTimeout(LOOK_MS);
  }
  return [...peaks.values()].reduce((sum, kib) => sum + kib, 0) / 1024;
}

async function descendants(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const children = text.trim().split(' ').filter(Boolean).map(Number);
  const below = await Promise.all(children.map((child) => descendants(child)));
  return [...children, ...below.flat()];
}

async function peakKib(pid: number): Promise<number | null> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(text);
  return found === null ? null : Number(found[1]);
}

/** `median [least-greatest]` with that many digits. */
export function spreadText({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} [${min.toFixed(digits)}-${max.toFixed(digits)}]`;
}

/** The rows as a table of text. */
export function tableOf(results: readonly RowResult[]): string {
  const lines = results.map(({ name, wallS, cpuS, peakMiB }) => [
    name,
    spreadText(wallS, 2),
    spreadText(cpuS, 2),
    spreadText(peakMiB, 0),
  ]);
  const all = [['', 'wall s', 'cpu s', 'peak MiB'], ...lines];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((l) => l[column]?.length ?? 0)));
  return all
    .map((line) => line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}
