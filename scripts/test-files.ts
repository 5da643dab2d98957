/**
 * Runs test files, each as the plain program that it is: `node FILE`, its TAP output read here. Not
 * by tap's own command, because that puts a loader into every process that a test starts, and the
 * daemons of the tests must be what they are in the field. Always holds: a file that ends badly in
 * any way (exit status, signal, time limit, missing plan) counts at least one failure; a process
 * that outlives the limit is ended with all that it started. Imports node: and tap-parser.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Readable } from 'node:stream';
import { Parser, type FinalResults } from 'tap-parser';

/** How long a file may take, and its output may stay open after its end. */
export interface Limits {
  /** Seconds of a test in a file, 0 = no limit; tap reports which one took too long. */
  readonly testS: number;
  readonly fileMs: number;
  readonly graceMs: number;
}

const LIMITS: Limits = { testS: 120, fileMs: 240_000, graceMs: 5000 };
/** Of files that run emulated appliances: each of their waits has a limit of its own. */
export const EMULATOR_LIMITS: Limits = { testS: 0, fileMs: 3_600_000, graceMs: 15_000 };
/** A failed comparison of two long texts must not bury the next failure. */
const DIAGNOSTIC_LINES_MAX = 40;
/** What a failed file said last. */
const STDERR_CHARS_MAX = 16_384;

type ChildByStdio = ChildProcess & { readonly stdout: Readable; readonly stderr: Readable };

/** Assertions of a file or of all of them. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Paths of all test files below a folder, in their order, relative to the root. */
export function testFiles(root: string): readonly string[] {
  return readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `test/${name}`)
    .toSorted();
}

/** What a failed assertion knows about itself, in lines that fit a terminal. */
function diagnosticLines(diag: unknown): readonly string[] {
  if (typeof diag !== 'object' || diag === null) return [];
  const { at, diff, stack, source, ...rest } = diag as Record<string, unknown>;
  const lines: string[] = [];
  if (typeof at === 'object' && at !== null) {
    const { fileName, lineNumber, columnNumber } = at as Record<string, unknown>;
    lines.push(`at ${String(fileName)}:${String(lineNumber)}:${String(columnNumber)}`);
  } else if (typeof stack === 'string') {
    lines.push(...stack.trimEnd().split('\n'));
  }
  for (const [key, value] of Object.entries(rest)) {
    lines.push(`${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`);
  }
  if (typeof diff === 'string') lines.push(...diff.trimEnd().split('\n'));
  else if (typeof source === 'string') lines.push(...source.trimEnd().split('\n'));
  return lines;
}

function failure(path: readonly string[], details: readonly string[]): string[] {
  const shown = details.slice(0, DIAGNOSTIC_LINES_MAX);
  const more = details.length - shown.length;
  const rest = more === 0 ? [] : [`(${more} more lines)`];
  return [
    `  not ok  ${path.join(' > ')}`,
    ...[...shown, ...rest].map((line) => `          ${line}`),
  ];
}

/** Counts the assertions below a test and keeps what is to be said of those that failed. */
function watch(parser: Parser, path: readonly string[], counts: Counts, said: string[]): void {
  parser.on('child', (child: Parser) => watch(child, [...path, child.name], counts, said));
  parser.on('assert', (result) => {
    // The line that closes a subtest only repeats what its own assertions have said.
    if (result.closingTestPoint) return;
    if (result.skip !== false || result.todo !== false) counts.skipped += 1;
    else if (result.ok) counts.passed += 1;
    else {
      counts.failed += 1;
      said.push(...failure([...path, result.name], diagnosticLines(result.diag)));
    }
  });
}

/** Ends a file's process and everything in its process group. */
function kill(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}

/** Why a file counts as failed although no assertion did, or null when it does not. */
function otherwise(results: FinalResults, ended: string | null): string | null {
  if (results.bailout !== false) return `bailed out: ${String(results.bailout)}`;
  if (ended !== null) return ended;
  return results.ok ? null : (results.failures[0]?.tapError ?? 'its output is not complete');
}

interface End {
  readonly results: FinalResults;
  /** What was wrong with the process itself, or null. */
  readonly problem: string | null;
  readonly stderr: string;
}

/** Waits for the end of a file's process and of its output, whatever it or its children do. */
async function endOf(child: ChildByStdio, parser: Parser, limits: Limits): Promise<End> {
  let problem: string | null = null;
  const complete = new Promise<FinalResults>((resolve) => parser.on('complete', resolve));
  const late = setTimeout(() => {
    problem = `it did not end within ${limits.fileMs / 1000} s`;
    kill(child);
  }, limits.fileMs);
  let open: NodeJS.Timeout | undefined;
  const ended = new Promise<void>((resolve) => {
    child.on('error', (error) => {
      problem = error.message;
      resolve();
    });
    child.on('exit', (status, signal) => {
      if (status !== 0) problem ??= signal === null ? `exit status ${status}` : `died of ${signal}`;
      open = setTimeout(() => {
        problem ??= 'a process that it started lives on and holds its output';
        child.stdout.unpipe(parser).destroy();
        child.stderr.destroy();
        parser.end();
      }, limits.graceMs);
      resolve();
    });
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr = (stderr + chunk).slice(-STDERR_CHARS_MAX);
  });
  let spoke = false;
  child.stdout.once('data', () => {
    spoke = true;
  });
  child.stdout.pipe(parser);
  const closed = new Promise((resolve) => child.stderr.once('close', resolve));
  const [results] = await Promise.all([complete, ended, closed]);
  clearTimeout(late);
  clearTimeout(open);
  // The parser takes silence for a plan of nothing, which would be a success.
  if (!spoke) problem ??= 'it has no test';
  return { results, problem, stderr };
}

async function runFile(
  path: string,
  options: RunOptions,
  running: Set<ChildProcess>,
): Promise<Counts> {
  const startMs = performance.now();
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  const said: string[] = [];
  const { limits = LIMITS } = options;
  const child = spawn(process.execPath, path.split(' '), {
    cwd: options.root,
    // A group of its own, so that the time limit reaches what it started.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TAP_TIMEOUT: String(limits.testS) },
  });
  running.add(child);
  const parser = new Parser();
  watch(parser, [path], counts, said);
  const { results, problem, stderr } = await endOf(child, parser, limits);
  running.delete(child);
  const why = otherwise(results, problem);
  if (why !== null && counts.failed === 0) {
    counts.failed = 1;
    said.push(...failure([path, why], stderr.trim() === '' ? [] : stderr.trimEnd().split('\n')));
  }
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1).padStart(6);
  const word = counts.failed === 0 ? 'ok    ' : 'not ok';
  const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`;
  said.push(`  ${word}  ${seconds} s  ${String(counts.passed).padStart(5)}  ${path}${skipped}`);
  options.say(said.join('\n'));
  return counts;
}

/** Where files are, who hears of them, and how long they may take. */
export interface RunOptions {
  readonly root: string;
  readonly say: (text: string) => void;
  readonly limits?: Limits;
  /** Files that run side by side; default: as many as there are cores. */
  readonly lanes?: number;
}

/** Runs the files, each with the arguments after it, and says of each how it went. */
export async function runFiles(paths: readonly string[], options: RunOptions): Promise<Counts> {
  const sum: Counts = { passed: 0, failed: 0, skipped: 0 };
  const queue = [...paths];
  const running = new Set<ChildProcess>();
  const stop = (): never => {
    for (const child of running) kill(child);
    process.exit(1);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const lane = async (): Promise<void> => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      const counts = await runFile(path, options, running);
      sum.passed += counts.passed;
      sum.failed += counts.failed;
      sum.skipped += counts.skipped;
    }
  };
  await Promise.all(Array.from({ length: options.lanes ?? availableParallelism() }, lane));
  process.off('SIGINT', stop).off('SIGTERM', stop);
  return sum;
}
