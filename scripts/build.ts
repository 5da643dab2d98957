/**
 * Makes the programs that an appliance runs: each is one minified ES module, so that an image needs
 * no `node_modules`. One file can lie beside it: `serialport.node`, the native part of the serial
 * port, which a program loads only for a serial line. Always holds: a program that this returns was
 * started once with `--version` and answered. `node scripts/build.ts [DIR]` builds into `build/`.
 * Imports esbuild and its plugins.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { BUILTINS, pluginsFor, SERIALPORT_FILE } from './build-plugins.ts';

export { SERIALPORT_FILE } from './build-plugins.ts';

const run = promisify(execFile);

/** Root directory of the project. */
export const PROJECT_DIR = dirname(dirname(fileURLToPath(import.meta.url)));

/** Where everything that is made goes unless the caller says otherwise; git ignores it. */
export const BUILD_DIR = join(PROJECT_DIR, 'build');

/** Paths of the programs. */
export interface Programs {
  /** Daemon, command line and installer. */
  readonly tandem: string;
  /** The storage software that keeps its copy in a directory. */
  readonly storage: string;
  /** The storage software on DRBD; absent in versions that had none. */
  readonly storageDrbd?: string;
  /** The sample workload. */
  readonly workload: string;
}

const ENTRIES = {
  tandem: 'src/main.ts',
  storage: 'images/storage/main.ts',
  storageDrbd: 'images/storage-drbd/main.ts',
  workload: 'images/workload/records.ts',
} as const satisfies Record<keyof Programs, string>;
const NAMES = ['tandem', 'storage', 'storageDrbd', 'workload'] as const;

/**
 * Packages in CommonJS form ask for built-in modules with `require`, which an ES module lacks: the
 * bundle brings its own.
 */
const BANNER =
  "import { createRequire as tandemRequire } from 'node:module';" +
  'const require = tandemRequire(import.meta.url);';

/** Path of the native part of the serial port for this machine, as its package brings it. */
export function serialPortFile(): string {
  const fromHere = createRequire(import.meta.url);
  const main = createRequire(fromHere.resolve('serialport')).resolve('@serialport/bindings-cpp');
  const find = createRequire(main)('node-gyp-build') as { path(dir: string): string };
  return find.path(dirname(dirname(main)));
}

/**
 * Bundles one entry into one ES module for Node 24. Start-up is fast with Node's compile cache: the
 * file has a stable path and content, and whoever starts it sets `NODE_COMPILE_CACHE` (the cache
 * cannot be switched on from inside the module that should come from it).
 */
export async function bundleEntry(entry: string, outFile: string): Promise<void> {
  const made = await build({
    entryPoints: [entry],
    outfile: outFile,
    write: false,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    // Some packages hide their parts from a bundler in their main file, and not in their ES
    // modules.
    mainFields: ['module', 'main'],
    minify: true,
    keepNames: true,
    legalComments: 'eof',
    banner: { js: BANNER },
    // The package wants to know where it lies before it asks for its native part.
    define: { __dirname: '"/"' },
    plugins: [BUILTINS, ...pluginsFor(PROJECT_DIR)],
    // Its native part cannot be in a bundle; a program that has it beside itself opens shells.
    external: ['node-pty'],
    logLevel: 'silent',
  });
  await replaceIfOther(outFile, made.outputFiles[0]!.contents);
}

/** A program that runs from the file meanwhile goes on with the old content, never with a half. */
async function replaceIfOther(file: string, content: Uint8Array): Promise<void> {
  const old = await readFile(file).catch(() => null);
  if (old?.equals(content) === true) return;
  const part = `${file}.${String(process.pid)}.part`;
  await writeFile(part, content);
  await rename(part, file);
}

/** What `FILE --version` prints, trimmed; throws with the program's own words when it fails. */
export async function programVersion(file: string): Promise<string> {
  const { stdout } = await run(process.execPath, [file, '--version'], { timeout: 120_000 });
  const version = stdout.trim();
  if (version === '') throw new Error(`${file} --version printed nothing`);
  return version;
}

/**
 * Builds the programs and what lies beside them into `outDir` and starts each program once
 * with `--version`.
 */
export async function buildProgram(outDir: string = BUILD_DIR): Promise<Required<Programs>> {
  await mkdir(outDir, { recursive: true });
  const programs: Required<Programs> = {
    tandem: join(outDir, 'tandem.mjs'),
    storage: join(outDir, 'storage.mjs'),
    storageDrbd: join(outDir, 'storage-drbd.mjs'),
    workload: join(outDir, 'workload.mjs'),
  };
  await replaceIfOther(join(outDir, SERIALPORT_FILE), await readFile(serialPortFile()));
  for (const name of NAMES) {
    await bundleEntry(join(PROJECT_DIR, ENTRIES[name]), programs[name]);
    await programVersion(programs[name]);
  }
  return programs;
}

if (import.meta.main) {
  const programs = await buildProgram(resolve(process.argv[2] ?? BUILD_DIR));
  for (const file of Object.values(programs)) {
    console.log(`${file}  ${await programVersion(file)}`);
  }
}
