/**
 * What the Debian package holds, file by file: the program in one bundle with its own Node, units,
 * init script, hooks, the way to the console, man page, completions, documents. Always holds: the
 * files are those of an appliance, at the places that Debian has for them, and no file names a
 * place that an appliance alone has. Imports the makers of images.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';
import { PROJECT_DIR, SERIALPORT_FILE, serialPortFile } from '../build.ts';
import { SHARED_FILES } from '../image/content.ts';
import {
  completeTree,
  contentOf,
  filesBelow,
  type Tree,
  type TreeEntry,
} from '../appliance/tree.ts';
import { exampleConfig } from '../../src/config-example.ts';
import { changelog, DEBIAN_DIR, type PackageWords } from './control.ts';
import { copyright } from './copyright.ts';
import { PACKAGE } from './version.ts';

const LIB = '/usr/lib/tandem';
const DOC = '/usr/share/doc/tandem';
const EXAMPLES = `${DOC}/examples`;
const MAN = '/usr/share/man/man1';
const ENTRY = 'src/main.ts';

/** Where an appliance has what the package has in folders of its own. */
const MOVED: readonly (readonly [from: RegExp, to: string])[] = [
  [/\/usr\/bin\/node\b/g, `${LIB}/node`],
  [/\/opt\/tandem\/tandem\.mjs\b/g, `${LIB}/tandem.mjs`],
  [/\/opt\/tandem\b/g, LIB],
];
/** Points at which hooks run; a folder for each is there to begin with. */
const HOOK_POINTS = [
  'check',
  'pre-prepare',
  'pre-switch',
  'post-switch',
  'health',
  'pre-commit',
  'on-fail',
  'notify',
];

const COMMAND = `#!/bin/sh
# The program by its name.
exec ${LIB}/node ${LIB}/tandem.mjs "$@"
`;

/** Text that is packed as gzip -9 would without a name and a time. */
const zipped = (path: string, text: Buffer | string): TreeEntry => ({
  path: `${path}.gz`,
  mode: 0o644,
  bytes: gzipSync(text, { level: constants.Z_BEST_COMPRESSION, memLevel: 9 }),
});

/** The entry with the places of an appliance replaced. */
async function moved(entry: TreeEntry, path: string, mode?: number): Promise<TreeEntry> {
  let text = (await contentOf(entry)).toString('utf8');
  for (const [from, to] of MOVED) text = text.replaceAll(from, to);
  return { path, text, mode: mode ?? ('mode' in entry ? entry.mode : 0o644) };
}

/** Where a file of the way to the console lies in the package. */
function consolePlace(path: string): string {
  // On a machine of any kind somebody else logs in on the serial lines.
  if (path.includes('/serial-getty@.service.d/')) return `${EXAMPLES}/serial-getty-console.conf`;
  if (path.startsWith('/usr/share/doc/tandem-console/')) {
    return `${EXAMPLES}/console-${path.slice(path.lastIndexOf('/') + 1)}`;
  }
  return path.replace('/usr/lib/systemd/', '/lib/systemd/');
}

async function consoleFiles(): Promise<TreeEntry[]> {
  const found = await filesBelow(join(PROJECT_DIR, 'images/console'));
  const files = found.filter(({ path }) => path !== '/README.md');
  return Promise.all(files.map((entry) => moved(entry, consolePlace(entry.path))));
}

async function healthHooks(): Promise<TreeEntry[]> {
  const found = await filesBelow(join(PROJECT_DIR, 'images/system/health.d'));
  return Promise.all(
    found.map((entry) => moved(entry, `/etc/tandem/hooks.d/health.d${entry.path}`, 0o755)),
  );
}

/** Man page and the like, which `npm run docs` makes; manual pages are packed. */
async function sharedFiles(): Promise<TreeEntry[]> {
  return Promise.all(
    Object.entries(SHARED_FILES).map(async ([path, from]) => {
      const file = { path, mode: 0o644, from: join(PROJECT_DIR, from) };
      return path.startsWith(MAN) ? zipped(path, await contentOf(file)) : file;
    }),
  );
}

async function documents(words: PackageWords): Promise<TreeEntry[]> {
  return [
    { path: `${DOC}/copyright`, mode: 0o644, text: await copyright(ENTRY) },
    zipped(`${DOC}/changelog`, await changelog(words)),
    { path: `${EXAMPLES}/tandem.jsonc`, mode: 0o644, text: exampleConfig() },
    {
      path: `/usr/share/lintian/overrides/${PACKAGE}`,
      mode: 0o644,
      from: join(DEBIAN_DIR, 'lintian-overrides'),
    },
    { path: `${MAN}/tandem-console.1.gz`, link: 'tandem.1.gz' },
  ];
}

/** It is started by `/usr/bin/tandem`, with the Node beside it and no other one. */
async function withoutInterpreter(program: string): Promise<string> {
  return (await readFile(program, 'utf8')).replace(/^#!.*\n/, '');
}

/** What the package is made from. */
export interface PackageSpec extends PackageWords {
  /** The program in one bundle. */
  readonly program: string;
  /** The Node runtime. */
  readonly node: string;
}

/** The whole tree of the package. */
export async function packageTree(spec: PackageSpec): Promise<Tree> {
  const { program, node } = spec;
  return completeTree([
    { path: `${LIB}/tandem.mjs`, mode: 0o644, text: await withoutInterpreter(program) },
    { path: `${LIB}/${SERIALPORT_FILE}`, mode: 0o644, from: serialPortFile() },
    { path: `${LIB}/node`, mode: 0o755, from: node },
    { path: '/usr/bin/tandem', mode: 0o755, text: COMMAND },
    ...(await filesBelow(join(PROJECT_DIR, 'images/units'))).filter(
      ({ path }) => path !== '/README.md',
    ),
    ...(await consoleFiles()),
    ...(await healthHooks()),
    ...(await sharedFiles()),
    ...(await documents(spec)),
    ...HOOK_POINTS.map((point) => ({
      path: `/etc/tandem/hooks.d/${point}.d`,
      dir: true as const,
      mode: 0o755,
    })),
    { path: '/var/lib/tandem', dir: true, mode: 0o700 },
    { path: '/var/cache/tandem', dir: true, mode: 0o755 },
  ]);
}
