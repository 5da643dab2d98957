/**
 * The program in parts, as an appliance has it: one pack with the parts that the program loads one
 * by one, each with the code that V8 made of it. A start reads what it needs and compiles nothing,
 * which makes the first start of a version as quick as a later one; Node's own cache is only there
 * after a start, and not for the CPU of another machine. Always holds: the same sources and the
 * same Node give the same bytes. Imports core, esbuild and the plugins.
 *
 * Format: eight digits, the length of the index; the index as JSON, `{ NAME: [at, size, codeAt,
 * codeSize] }` with positions in the file; then sources (ASCII) and code. A source is an
 * expression: a function of `module`, `require`, a file name and a URL, as
 * `images/appliance/program.ts` calls it.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { build, transform, type OutputFile, type Plugin } from 'esbuild';
import { UpdateError } from '../../src/core/errors.ts';
import { pluginsFor } from '../build-plugins.ts';
import { AJV_ENTRY } from '../precompiled.ts';

const run = promisify(execFile);

/** The file that makes code, run by the Node that will take it. */
const CODE_MAKER = 'scripts/appliance/code.ts';
const CODE_MS = 60_000;
/** What starts a pack, in the project. */
const STARTER = 'images/appliance/program.ts';
/** Name of the part that is loaded first. */
const MAIN = 'main';
/** Name of the part with the checker of schemas, which a start does not need. */
const AJV = 'ajv-whole';
/** What the source of a part may use. */
const HEAD = '(function (module, require, __filename, __url) {';
const TAIL = '\n})';
const HEAD_DIGITS = 8;

/** A part before it is packed. */
interface Part {
  readonly name: string;
  readonly source: string;
  readonly code: Buffer;
}

/** The parts of an entry as ES modules that import one another. */
async function split(entry: string, projectDir: string): Promise<readonly OutputFile[]> {
  const made = await build({
    entryPoints: { [MAIN]: entry, [AJV]: AJV_ENTRY },
    absWorkingDir: projectDir,
    outdir: '/parts',
    write: false,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    mainFields: ['module', 'main'],
    minify: true,
    keepNames: true,
    legalComments: 'none',
    chunkNames: '[name]-[hash]',
    define: { __dirname: '"/"' },
    plugins: [NAMED, ...pluginsFor(projectDir, AJV)],
    external: ['node-pty'],
    logLevel: 'silent',
  });
  return made.outputFiles;
}

/** A module's text as the function of a part. */
async function partOf(text: string): Promise<string> {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    minify: true,
    // Parts are there at once; only packages beside the program are left to Node.
    supported: { 'dynamic-import': false },
    define: { 'import.meta.filename': '__filename', 'import.meta.url': '__url' },
    charset: 'ascii',
    legalComments: 'none',
  });
  return `${HEAD}${code.replaceAll(/\brequire\("\.\/([\w-]+)\.js"\)/g, 'require("$1")')}${TAIL}`;
}

/**
 * A package in CommonJS form that is imported when it is needed has its names told: between ES
 * modules it would have one export, the default.
 */
const NAMED: Plugin = {
  name: 'named',
  setup(builder) {
    const namespace = 'named';
    builder.onResolve({ filter: /^serialport$/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path, namespace } : undefined,
    );
    builder.onLoad({ filter: /./, namespace }, ({ path }) => ({
      contents: `import * as all from '${path}';\nexport const { SerialPort } = all;\n`,
      resolveDir: builder.initialOptions.absWorkingDir ?? '',
    }));
  },
};

/** The small file that starts a pack, as it lies in an image. */
export async function makeStarter(projectDir: string): Promise<Buffer> {
  const made = await build({
    entryPoints: [join(projectDir, STARTER)],
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minify: true,
    legalComments: 'none',
    logLevel: 'silent',
  });
  return Buffer.from(made.outputFiles[0]!.contents);
}

/** The pack of `entry`, whose module exports `runRole`, for this Node. Throws `tool.failed`. */
export async function makePack(entry: string, node: string, projectDir: string): Promise<Buffer> {
  const files = await split(entry, projectDir);
  const sources = await Promise.all(
    files.map(async ({ path, text }) => {
      return { name: basename(path, '.js'), source: await partOf(text) };
    }),
  );
  sources.sort((a, b) => (a.name < b.name ? -1 : 1));
  const codes = await codeOf(sources, node, projectDir);
  return packOf(sources.map((one, i) => ({ ...one, code: codes[i]! })));
}

/**
 * The code of each source, made by the Node that will take it. The seed makes the hashes of strings
 * in it the same each time; it is not among the flags that the code must be made with.
 */
async function codeOf(
  sources: readonly { source: string }[],
  node: string,
  projectDir: string,
): Promise<Buffer[]> {
  const dir = await mkdtemp('/tmp/tandem-code-');
  try {
    for (const [i, { source }] of sources.entries()) {
      await writeFile(join(dir, `${String(i)}.js`), source);
    }
    const args = ['--random-seed=1', join(projectDir, CODE_MAKER), dir, String(sources.length)];
    await run(node, args, { timeout: CODE_MS, env: {} });
    return await Promise.all(sources.map((_, i) => readFile(join(dir, `${String(i)}.code`))));
  } catch (cause) {
    const words = (cause as { stderr?: string }).stderr ?? String(cause);
    throw new UpdateError('tool.failed', `${node} made no code: ${words.slice(-500)}`, { cause });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The bytes of a pack. */
function packOf(parts: readonly Part[]): Buffer {
  const index = (base: number): Buffer => {
    let at = base;
    const rows = parts.map(({ name, source, code }) => {
      const row = [at, source.length, at + source.length, code.length];
      at += source.length + code.length;
      return [name, row];
    });
    return Buffer.from(JSON.stringify(Object.fromEntries(rows)));
  };
  // Positions are as long as their digits: the index is made until its length is its own.
  let head = index(0);
  for (let size = -1; size !== head.length;) {
    size = head.length;
    head = index(HEAD_DIGITS + size);
  }
  const digits = Buffer.from(String(head.length).padStart(HEAD_DIGITS, '0'));
  const bodies = parts.flatMap(({ source, code }) => [Buffer.from(source, 'latin1'), code]);
  return Buffer.concat([digits, head, ...bodies]);
}
