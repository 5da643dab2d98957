/**
 * The checks that a build makes beforehand: the bundled program reads a configuration and a bundle
 * without compiling a schema, and finds the same faults as from source. Imports the build.
 */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { bundleEntry, PROJECT_DIR } from '../../scripts/build.ts';
import { checkConfig } from '../../src/config-check.ts';

const run = promisify(execFile);

/** In a process with this a schema cannot be compiled: ajv makes its functions from text. */
const NO_COMPILER = '--disallow-code-generation-from-strings';

const SPEC = `{
  "product": "p", "hardware": ["h"], "version": "2.0.0", "releaseCounter": 2,
  "from": ">=1.0.0", "blocked": [], "minUpdater": "0.1.0",
  "pair": { "protocol": [1, 1], "sideBySide": ">=1.0.0" },
  "images": [
    { "name": "system", "class": "system", "version": "2.0.0", "counter": 2,
      "runsWith": ">=1.0.0", "file": "image" },
  ],
}
`;

interface Ended {
  readonly code?: number;
  readonly stdout: string;
  readonly stderr: string;
}

t.test('what a start reads is checked without the compiler', async (t) => {
  const dir = t.testdir({ image: 'x'.repeat(100_000), 'spec.jsonc': SPEC });
  const program = join(dir, 'tandem.mjs');
  await bundleEntry(join(PROJECT_DIR, 'src/main.ts'), program);
  const tandem = async (flags: readonly string[], ...args: string[]): Promise<Ended> =>
    run(process.execPath, [...flags, program, ...args], { cwd: dir }).catch(
      (error: unknown) => error as Ended,
    );

  const example = await tandem([], 'config', 'example');
  await writeFile(join(dir, 'good.jsonc'), example.stdout);
  t.match((await tandem([NO_COMPILER], 'config', 'check', 'good.jsonc')).stdout, /valid/);

  await tandem([], 'bundle', 'keygen', '--out', '.', '--root', 'root.json');
  await tandem([], 'bundle', 'make', 'spec.jsonc', '--out', 'update.bin', '--key', 'release.key');
  const verified = await tandem(
    [NO_COMPILER],
    'bundle',
    'verify',
    'update.bin',
    '--root',
    'root.json',
  );
  t.equal(verified.code, undefined, verified.stderr);

  const bad = '{ "node": "C", "policy": { "order": 3, "colour": 1 }, "link": {} }';
  await writeFile(join(dir, 'bad.jsonc'), bad);
  const found = await tandem([NO_COMPILER], 'config', 'check', 'bad.jsonc');
  const expected = await checkConfig(bad, 'bad.jsonc').catch((error: unknown) => error as Error);
  t.ok(expected instanceof Error);
  t.match(found.stderr, (expected as Error).message);
  t.match(found.stderr, /colour/);
});

t.test('a schema that is not in the list is compiled when it is met', async (t) => {
  const dir = t.testdir({ 'spec.jsonc': SPEC, image: 'x' });
  const program = join(dir, 'tandem.mjs');
  await bundleEntry(join(PROJECT_DIR, 'src/bundle/spec.ts'), program);
  const text = `const { checkSpec } = await import(${JSON.stringify(program)});
    try { checkSpec({ product: 3 }); } catch ({ message }) { console.log(message); }`;
  const file = join(dir, 'check.mjs');
  await writeFile(file, text);
  t.match((await run(process.execPath, [file])).stdout, /the spec/);
  const without = await run(process.execPath, [NO_COMPILER, file]);
  t.match(without.stdout, /Code generation from strings/);
});
