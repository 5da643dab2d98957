/**
 * `npm test`: format check, lint and types side by side, then the tests; seconds per step, what
 * failed in full, and as the last line `N passed, N failed` (assertions, plus one for each step
 * that failed without any). Arguments are test files: then only these run. `--with-appliances` adds
 * the emulated appliances that CI runs. The exit status is 0 only when nothing failed. Imports
 * node: and the runner of test files.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EMULATOR_LIMITS, runFiles, testFiles, type Counts } from './test-files.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NODE_MAJOR = 24;
const WITH_APPLIANCES = '--with-appliances';
/** What CI runs of the tests with emulated appliances, in at most 8 minutes. */
const APPLIANCE_FILES = [
  'test/vm/machine.qemu.ts',
  'test/vm/disks.qemu.ts',
  'test/vm/pair.qemu.ts',
  'test/boot/story.qemu.ts',
  'scripts/bench-pair.ts --select ci --junit build/pair/junit.xml',
];
const FOLDERS = ['src', 'console', 'scripts', 'images', 'test'];

interface Step {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const secondsSince = (startMs: number): number => (performance.now() - startMs) / 1000;

/** Runs a tool of node_modules/.bin to its end and keeps what it said. */
function check(name: string, tool: string, args: readonly string[]): Promise<Step> {
  const startMs = performance.now();
  return new Promise((resolve) => {
    const child = spawn(`${ROOT}node_modules/.bin/${tool}`, args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: process.stdout.isTTY ? process.env : { ...process.env, NO_COLOR: '1' },
    });
    let output = '';
    const keep = (chunk: string): void => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', keep);
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

/** The result of a step; what it printed only when it failed. */
function report(step: Step): void {
  say(`${step.ok ? 'ok    ' : 'FAILED'}  ${step.seconds.toFixed(1).padStart(6)} s  ${step.name}`);
  if (!step.ok && step.output.trim() !== '') say(step.output.trimEnd());
}

const isEmulated = (file: string): boolean => /\.(qemu|chroot)\.ts$|bench-pair\.ts /.test(file);

/** Emulated appliances take both cores and their time: one file after the other, after the rest. */
async function runTests(files: readonly string[]): Promise<Counts> {
  const plain = await runFiles(
    files.filter((file) => !isEmulated(file)),
    { root: ROOT, say },
  );
  const emulated = await runFiles(files.filter(isEmulated), {
    root: ROOT,
    say,
    limits: EMULATOR_LIMITS,
    lanes: 1,
  });
  return {
    passed: plain.passed + emulated.passed,
    failed: plain.failed + emulated.failed,
    skipped: plain.skipped + emulated.skipped,
  };
}

/** Everything but the tests; returns how many steps failed. */
async function checks(): Promise<number> {
  const folders = FOLDERS.filter((folder) => existsSync(`${ROOT}${folder}`));
  const running = [
    check('format', 'prettier', ['--check', '--log-level=warn', '.']),
    check('lint', 'oxlint', ['--type-aware', '--deny-warnings', '--format=unix', ...folders]),
    check('types', 'tsc', []),
  ];
  let failed = 0;
  for (const step of running) {
    const done = await step;
    report(done);
    if (!done.ok) failed += 1;
  }
  return failed;
}

async function main(args: readonly string[]): Promise<void> {
  const asked = args.filter((arg) => arg !== WITH_APPLIANCES);
  const { node } = process.versions;
  if (Number(node.split('.')[0]) < NODE_MAJOR) {
    say(`Node ${NODE_MAJOR} or newer is needed and this is ${node}: run it as \`npm test\`.`);
    say('0 passed, 1 failed');
    process.exitCode = 1;
    return;
  }
  const startMs = performance.now();
  const failedSteps = asked.length === 0 ? await checks() : 0;
  say('tests (result, seconds, assertions that passed, file):');
  const testsMs = performance.now();
  const more = args.includes(WITH_APPLIANCES) ? APPLIANCE_FILES : [];
  const counts = await runTests([...(asked.length === 0 ? testFiles(ROOT) : asked), ...more]);
  // A run in which nothing was tested must not look like a good one.
  const empty = counts.passed + counts.failed === 0 ? 1 : 0;
  const ok = counts.failed + empty === 0;
  report({ name: 'tests', ok, seconds: secondsSince(testsMs), output: '' });
  const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`;
  say(`${secondsSince(startMs).toFixed(1)} s in all on Node ${node}${skipped}`);
  const failed = counts.failed + failedSteps + empty;
  say(`${counts.passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main(process.argv.slice(2));
