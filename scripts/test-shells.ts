/**
 * `npm run test:shells`: the completions in a real zsh and a real fish. Shells that this machine
 * lacks are fetched from its Debian archive and unpacked into `build/shells`, so nothing is
 * installed. Then test/cli/completion.test.ts runs with them. Imports the runner of test files.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UpdateError } from '../src/core/errors.ts';
import { BUILD_DIR, PROJECT_DIR } from './build.ts';
import { runFiles } from './test-files.ts';

const run = promisify(execFile);
const DIR = join(BUILD_DIR, 'shells');
const ROOT = join(DIR, 'root');
const BIN = join(DIR, 'bin');

/** Debian packages of each shell, with the library that a small system lacks. */
const SHELLS: readonly (readonly [tool: string, program: string, packages: readonly string[]])[] = [
  ['zsh', 'bin/zsh', ['zsh', 'zsh-common']],
  ['fish', 'usr/bin/fish', ['fish', 'fish-common', 'libpcre2-32-0']],
];

const isThere = (tool: string): Promise<boolean> =>
  run(tool, ['--version']).then(
    () => true,
    () => false,
  );

/** Unpacks the packages and leaves a program of that name in `BIN`. */
async function bring(tool: string, program: string, packages: readonly string[]): Promise<void> {
  await run('apt-get', ['download', ...packages], { cwd: DIR }).catch((cause: Error) => {
    const message = `apt-get (Debian package apt) cannot fetch ${tool}: ${cause.message}`;
    throw new UpdateError('tool.failed', message, { cause });
  });
  const files = (await readdir(DIR)).filter((name) => {
    return name.endsWith('.deb') && packages.some((one) => name.startsWith(`${one}_`));
  });
  for (const file of files) await run('dpkg-deb', ['-x', join(DIR, file), ROOT]);
  const libraries = join(ROOT, 'usr/lib/x86_64-linux-gnu');
  const start = `LD_LIBRARY_PATH='${libraries}' exec '${join(ROOT, program)}' "$@"`;
  await writeFile(join(BIN, tool), `#!/bin/sh\n${start}\n`);
  await chmod(join(BIN, tool), 0o755);
}

await mkdir(BIN, { recursive: true });
process.env['PATH'] = `${process.env['PATH']}:${BIN}`;
for (const [tool, program, packages] of SHELLS) {
  if (!(await isThere(tool))) await bring(tool, program, packages);
}
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const counts = await runFiles(['test/cli/completion.test.ts'], { root: `${PROJECT_DIR}/`, say });
say(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed + counts.skipped === 0 ? 0 : 1;
