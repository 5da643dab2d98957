/**
 * `npm test`: format check, lint and types side by side, then the tests; seconds per step, what
 * failed in full, and as the last line `N passed, N failed` (assertions, plus one for each step
 * that failed without any). Arguments are test files: then only these run. The exit status is 0
 * only when nothing failed. Imports node: and tap-parser.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Parser } from 'tap-parser';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NODE_MAJOR = 24;
const FOLDERS = ['src', 'console', 'scripts', 'images', 'test'];
/** A failed comparison of two long texts must not bury the next failure. */
const DIAGNOSTIC_LINES_MAX = 40;

interface Step {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const secondsSince = (startMs: number): number => (performance.now() - startMs) / 1000;

/**
 * Runs a tool of node_modules/.bin to its end. Its standard output goes to `onOutput` piece by
 * piece; what it says besides is kept in the result.
 */
function run(
  name: string,
  tool: string,
  args: readonly string[],
  onOutput?: (chunk: string) => void,
): Promise<Step> {
  const startMs = performance.now();
  return new Promise((resolve) => {
    const child = spawn(`${ROOT}node_modules/.bin/${tool}`, args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk: string): void => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', onOutput ?? keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const end = (ok: boolean): void =>
      resolve({ name, ok, seconds: secondsSince(startMs), output });
    child.on('error', (error) => {
      output += `${error.message}\n`;
      end(false);
    });
    child.on('close', (status) => end(status === 0));
  });
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
  return lines.length <= DIAGNOSTIC_LINES_MAX
    ? lines
    : [...lines.slice(0, DIAGNOSTIC_LINES_MAX), `(${lines.length - DIAGNOSTIC_LINES_MAX} more)`];
}

function sayFailure(path: readonly string[], diag: unknown): void {
  say(`  not ok  ${path.join(' > ')}`);
  for (const line of diagnosticLines(diag)) say(`          ${line}`);
}

/** Counts the assertions below a test, and shows those that failed. */
function watch(parser: Parser, path: readonly string[], counts: Counts): void {
  parser.on('child', (child: Parser) => watch(child, [...path, child.name], counts));
  parser.on('assert', (result) => {
    // The line that closes a subtest only repeats what its own assertions have said.
    if (result.closingTestPoint) return;
    if (result.skip !== false || result.todo !== false) counts.skipped += 1;
    else if (result.ok) counts.passed += 1;
    else {
      counts.failed += 1;
      sayFailure([...path, result.name], result.diag);
    }
  });
  parser.on('bailout', (reason) => {
    if (path.length > 0) return;
    counts.failed += 1;
    say(`  bailed out: ${reason}`);
  });
}

/** Reads the stream of all test files: a line for each file, its failures above it. */
function fileReader(counts: Counts): Parser {
  const root = new Parser();
  let file: Counts = { passed: 0, failed: 0, skipped: 0 };
  root.on('child', (child: Parser) => {
    file = { passed: 0, failed: 0, skipped: 0 };
    watch(child, [child.name], file);
  });
  root.on('assert', (result) => {
    // A file may fail without a failed assertion: by its exit status, a signal, or the time limit.
    if (!result.ok && file.failed === 0) {
      file.failed = 1;
      sayFailure([result.name], result.diag);
    }
    counts.passed += file.passed;
    counts.failed += file.failed;
    counts.skipped += file.skipped;
    const seconds = ((result.time ?? 0) / 1000).toFixed(1).padStart(6);
    const word = result.ok ? 'ok    ' : 'not ok';
    say(`  ${word}  ${seconds} s  ${String(file.passed).padStart(5)}  ${result.name}`);
    file = { passed: 0, failed: 0, skipped: 0 };
  });
  root.on('bailout', (reason) => {
    counts.failed += 1;
    say(`  bailed out: ${reason}`);
  });
  return root;
}

/** The result of a step; what it printed only when it failed. */
function report(step: Step): void {
  say(`${step.ok ? 'ok    ' : 'FAILED'}  ${step.seconds.toFixed(1).padStart(6)} s  ${step.name}`);
  if (!step.ok && step.output.trim() !== '') say(step.output.trimEnd());
}

async function checks(): Promise<readonly Step[]> {
  const folders = FOLDERS.filter((folder) => existsSync(`${ROOT}${folder}`));
  const running = [
    run('format', 'prettier', ['--check', '--log-level=warn', '.']),
    run('lint', 'oxlint', ['--type-aware', '--deny-warnings', ...folders]),
    run('types', 'tsc', []),
  ];
  const steps: Step[] = [];
  for (const step of running) {
    const done = await step;
    report(done);
    steps.push(done);
  }
  return steps;
}

async function tests(files: readonly string[], counts: Counts): Promise<Step> {
  say('tests (result, seconds, assertions that passed, file):');
  const reader = fileReader(counts);
  const step = await run('tests', 'tap', ['run', '-R', 'tap', ...files], (chunk) => {
    reader.write(chunk);
  });
  reader.end();
  report(step);
  return step;
}

async function main(files: readonly string[]): Promise<void> {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < NODE_MAJOR) {
    say(
      `Node ${NODE_MAJOR} or newer is needed and this is ${process.versions.node}: run npm test.`,
    );
    say('0 passed, 1 failed');
    process.exitCode = 1;
    return;
  }
  const startMs = performance.now();
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  const checked = files.length === 0 ? await checks() : [];
  const tested = await tests(files, counts);
  counts.failed += checked.filter((step) => !step.ok).length;
  // Whatever else tap may object to must not be lost because no assertion failed.
  if (!tested.ok && counts.failed === 0) counts.failed = 1;
  if (counts.passed === 0 && counts.failed === 0) counts.failed = 1;
  const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`;
  say(`${secondsSince(startMs).toFixed(1)} s in all on Node ${process.versions.node}${skipped}`);
  say(`${counts.passed} passed, ${counts.failed} failed`);
  process.exitCode = counts.failed === 0 ? 0 : 1;
}

await main(process.argv.slice(2));
