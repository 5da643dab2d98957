/**
 * The files that make a system image, whatever kind of image it becomes: program, workload, Node
 * runtime, health hooks, the way to the console, man page and completions, release file. Always
 * holds: the variants differ from the good image in what their word says and in nothing else.
 * Imports core and the build.
 */
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { RELEASE_FILE, type Release } from '../../src/core/model.ts';
import { PROJECT_DIR, SERIALPORT_FILE, serialPortFile, type Programs } from '../build.ts';
import type { ImageFile } from './ext4.ts';

/** Which system image is made; every word but `good` fails on purpose. */
export type SystemVariant = 'good' | 'crash' | 'unhealthy' | 'unhealthy-on-B';
/** System images that can be asked for, the good one first. */
export const SYSTEM_VARIANTS: readonly SystemVariant[] = [
  'good',
  'crash',
  'unhealthy',
  'unhealthy-on-B',
];

const HOOKS_DIR = '/etc/tandem/hooks.d/health.d';
const SYSTEM_DIR = join(PROJECT_DIR, 'images/system');
const CONSOLE_DIR = join(PROJECT_DIR, 'images/console');

/** What `npm run docs` makes for those who use an appliance: where it lies there, and here. */
export const SHARED_FILES: Readonly<Record<string, string>> = {
  '/usr/share/man/man1/tandem.1': 'docs/tandem.1',
  '/usr/share/bash-completion/completions/tandem': 'docs/completion/tandem.bash',
  '/usr/share/zsh/vendor-completions/_tandem': 'docs/completion/_tandem',
  '/usr/share/fish/vendor_completions.d/tandem.fish': 'docs/completion/tandem.fish',
  '/usr/share/doc/tandem/openapi.json': 'docs/openapi.json',
};

/** The file in which an image says what it is. */
export function releaseFile(release: Release): ImageFile {
  return { path: RELEASE_FILE, mode: 0o644, text: `${JSON.stringify(release)}\n` };
}

async function healthHooks(variant: SystemVariant): Promise<ImageFile[]> {
  const from = join(SYSTEM_DIR, 'health.d');
  const names = (await readdir(from)).toSorted();
  const hooks: ImageFile[] = names.map((name) => {
    return { path: `${HOOKS_DIR}/${name}`, mode: 0o755, from: join(from, name) };
  });
  if (variant === 'unhealthy' || variant === 'unhealthy-on-B') {
    const bad = join(SYSTEM_DIR, 'variants', variant.toLowerCase());
    hooks.push({ path: `${HOOKS_DIR}/50-self-test`, mode: 0o755, from: bad });
  }
  return hooks;
}

/** The way to the console, laid out as on an appliance; programs are executable. */
async function consoleFiles(): Promise<ImageFile[]> {
  const found = await readdir(CONSOLE_DIR, { recursive: true, withFileTypes: true });
  const paths = found
    .filter((one) => one.isFile() && one.parentPath !== CONSOLE_DIR)
    .map((one) => relative(CONSOLE_DIR, join(one.parentPath, one.name)));
  return paths.toSorted().map((path) => {
    const mode = path.startsWith('usr/bin/') ? 0o755 : 0o644;
    return { path: `/${path}`, mode, from: join(CONSOLE_DIR, path) };
  });
}

/** What the files of a system image are taken from. */
export interface SystemContent {
  readonly release: Release;
  readonly programs: Programs;
  /** The Node runtime. */
  readonly node: string;
  readonly variant: SystemVariant;
}

/** All of them but the shared libraries that the runtime loads. */
export async function systemFiles(content: SystemContent): Promise<readonly ImageFile[]> {
  const { release, programs, node, variant } = content;
  const crash = join(SYSTEM_DIR, 'variants/crash.mjs');
  const program = variant === 'crash' ? crash : programs.tandem;
  return [
    releaseFile(release),
    { path: '/usr/bin/node', mode: 0o755, from: node },
    { path: '/opt/tandem/tandem.mjs', mode: 0o755, from: program },
    { path: `/opt/tandem/${SERIALPORT_FILE}`, mode: 0o644, from: serialPortFile() },
    { path: '/opt/workload/records.mjs', mode: 0o644, from: programs.workload },
    ...Object.entries(SHARED_FILES).map(([path, from]) => {
      return { path, mode: 0o644, from: join(PROJECT_DIR, from) };
    }),
    ...(await healthHooks(variant)),
    ...(await consoleFiles()),
  ];
}
