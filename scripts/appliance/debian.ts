/**
 * Debian packages as material for an image: downloaded by name, verified and unpacked, never
 * installed. Always holds: a file of the cache has the SHA-256 that apt's signed lists name; which
 * versions an image is made from is a record of its own, and the same record gives the same files,
 * without a network once they are in the cache. Imports core and the tools.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar';
import { UpdateError } from '../../src/core/errors.ts';
import { needTool, runTool } from '../image/tools.ts';

/** One package of one version, as the record beside an image has it. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly sizeBytes: number;
  /** Of the .deb file, lower case hex. */
  readonly sha256: string;
}

/** What `unpack` takes of a package; paths are relative, as in `usr/bin/busybox`. */
export type Wanted = (path: string) => boolean;

const RECORD_BYTES_MAX = 256 * 1024;
const NAME = /^[a-z0-9][a-z0-9+.-]{0,99}$/;
const VERSION = /^[A-Za-z0-9][A-Za-z0-9.+~:-]{0,99}$/;
const SHA256 = /^[0-9a-f]{64}$/;

/** The fields of the first paragraph of a package list, continuation lines left out. */
export function parseParagraph(text: string): ReadonlyMap<string, string> {
  const [first = ''] = text.trimStart().split('\n\n');
  const fields = [...first.matchAll(/^([A-Za-z0-9-]+):[ \t]*(.*)$/gm)];
  return new Map(fields.map(([, name = '', value = '']) => [name, value.trim()]));
}

/** The package that a paragraph of apt's lists describes; throws `tool.failed` for any other. */
export function packageOf(name: string, text: string): DebianPackage {
  const fields = parseParagraph(text);
  return checked({
    name,
    version: fields.get('Version') ?? '',
    architecture: fields.get('Architecture') ?? '',
    sizeBytes: Number(fields.get('Size')),
    sha256: fields.get('SHA256') ?? '',
  });
}

function checked(one: DebianPackage): DebianPackage {
  const good =
    NAME.test(one.name) &&
    VERSION.test(one.version) &&
    /^[a-z0-9]{1,20}$/.test(one.architecture) &&
    Number.isSafeInteger(one.sizeBytes) &&
    SHA256.test(one.sha256);
  if (good) return one;
  const message = `found no version, size and SHA-256 of the Debian package ${one.name}`;
  throw new UpdateError('tool.failed', message, { detail: { ...one } });
}

/** The records of a text; throws `tool.failed` when it is none. */
export function parseRecord(text: string, file: string): readonly DebianPackage[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UpdateError('tool.failed', `${file} is not JSON`, { cause });
  }
  if (!Array.isArray(value)) throw new UpdateError('tool.failed', `${file} is no list`);
  return value.map((one: Partial<DebianPackage>) =>
    checked({
      name: String(one.name),
      version: String(one.version),
      architecture: String(one.architecture),
      sizeBytes: Number(one.sizeBytes),
      sha256: String(one.sha256),
    }),
  );
}

/** The text of a record: one package a line, in the order of their names. */
export function recordText(packages: readonly DebianPackage[]): string {
  const sorted = packages.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const lines = sorted.map((one) => {
    const { name, version, architecture, sizeBytes, sha256 } = one;
    return `  ${JSON.stringify({ name, version, architecture, sizeBytes, sha256 })}`;
  });
  return `[\n${lines.join(',\n')}\n]\n`;
}

/** What apt would install of this name now. Throws `tool.failed` when it knows none. */
async function candidate(name: string): Promise<DebianPackage> {
  const { stdout } = await runTool('apt-cache', ['show', '--no-all-versions', name]);
  return packageOf(name, stdout);
}

/**
 * The kernel package that a meta package such as linux-image-amd64 leads to today: its name carries
 * the version of the kernel's interface.
 */
async function behindMeta(name: string): Promise<string> {
  const { stdout } = await runTool('apt-cache', ['show', '--no-all-versions', name]);
  const depends = parseParagraph(stdout).get('Depends') ?? '';
  const found = /^(linux-image-\d\S*)/.exec(depends)?.[1];
  if (found !== undefined) return found;
  const message = `the Debian package ${name} depends on "${depends}", expected one linux-image`;
  throw new UpdateError('tool.failed', message);
}

/** What is looked up: packages by name, and a meta package that stands for a kernel. */
export interface PackageNames {
  readonly kernel: string;
  readonly names: readonly string[];
  /** Packages that belong to one kernel package, which must be there then. */
  readonly beside?: (kernel: string) => readonly string[];
}

/** Whether a kernel package has the flavour of a meta package, as linux-image-amd64 names one. */
export function isFlavour(name: string, meta: string): boolean {
  return name.startsWith(KERNEL_PREFIX) && name.endsWith(`-${meta.slice(KERNEL_PREFIX.length)}`);
}

const KERNEL_PREFIX = 'linux-image-';

/**
 * The packages of these names: as `recordFile` has them, or, when there is no such file yet, as apt
 * offers them now, and then the file is written. Throws `tool.missing`, `tool.failed` (a package
 * that apt does not know, a record of other packages).
 */
export async function choosePackages(
  wanted: PackageNames,
  recordFile: string,
): Promise<readonly DebianPackage[]> {
  const old = await readRecord(recordFile);
  const packages = old ?? (await lookUp(wanted));
  for (const name of namesIn(wanted, packages)) {
    if (packages.some((one) => one.name === name)) continue;
    const message = `${recordFile} lacks the package ${name}; remove the file to look all up anew`;
    throw new UpdateError('tool.failed', message);
  }
  if (old === null) {
    await mkdir(dirname(recordFile), { recursive: true });
    await writeFile(recordFile, recordText(packages));
  }
  return packages;
}

/** Chooses packages as `choosePackages` does and downloads them. */
export async function fetchPackages(
  wanted: PackageNames,
  cacheDir: string,
  recordFile: string,
  say: (line: string) => void,
): Promise<readonly DebianPackage[]> {
  const packages = await choosePackages(wanted, recordFile);
  await downloadPackages(packages, cacheDir, say);
  return packages;
}

/**
 * Downloads what the cache does not have. Throws `tool.missing`, `tool.failed` (a download that
 * fails, a hash that differs).
 */
export async function downloadPackages(
  packages: readonly DebianPackage[],
  cacheDir: string,
  say: (line: string) => void,
): Promise<void> {
  await mkdir(cacheDir, { recursive: true });
  for (const one of packages) await download(one, cacheDir, say);
}

async function readRecord(file: string): Promise<readonly DebianPackage[] | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  if (text.length > RECORD_BYTES_MAX) throw new UpdateError('tool.failed', `${file} is too long`);
  return parseRecord(text, file);
}

function namesIn(
  { kernel, names, beside }: PackageNames,
  packages: readonly DebianPackage[],
): readonly string[] {
  if (beside === undefined) return names;
  const found = packages.find(({ name }) => isFlavour(name, kernel))?.name ?? kernel;
  return [found, ...names, ...beside(found)];
}

async function lookUp({ kernel, names, beside }: PackageNames): Promise<readonly DebianPackage[]> {
  const first = await candidate(await behindMeta(kernel));
  const all: DebianPackage[] = [first];
  for (const name of [...names, ...(beside?.(first.name) ?? [])]) all.push(await candidate(name));
  return all;
}

/** Where the cache keeps a package; the name carries its hash, so two versions can be there. */
export function cachedFile(one: DebianPackage, cacheDir: string): string {
  return join(cacheDir, `${one.name}_${one.sha256.slice(0, 16)}.deb`);
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** Leaves the package in the cache, verified each time: a damaged file is loaded again. */
async function download(
  one: DebianPackage,
  cacheDir: string,
  say: (line: string) => void,
): Promise<void> {
  const file = cachedFile(one, cacheDir);
  const found = await sha256Of(file).catch(() => null);
  if (found === one.sha256) return;
  say(`downloading ${one.name} ${one.version}, ${String(Math.ceil(one.sizeBytes / 1024))} KiB`);
  const dir = await mkdtemp(join(cacheDir, '.download-'));
  try {
    await runTool('apt-get', ['-q', 'download', `${one.name}=${one.version}`], { cwd: dir });
    const [name] = (await readdir(dir)).filter((entry) => entry.endsWith('.deb'));
    if (name === undefined) {
      throw new UpdateError('tool.failed', `apt-get downloaded no file for ${one.name}`);
    }
    const got = await sha256Of(join(dir, name));
    if (got !== one.sha256) {
      const message = `${one.name} ${one.version} has SHA-256 ${got}, expected ${one.sha256}`;
      throw new UpdateError('tool.failed', message);
    }
    await rename(join(dir, name), file);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/**
 * Unpacks what is wanted of a package below `targetDir`, beside what is there already; nobody's
 * ownership is taken over. Throws `tool.failed` when the package cannot be read.
 */
export async function unpack(debFile: string, targetDir: string, wanted: Wanted): Promise<void> {
  await access(debFile);
  const path = await needTool('dpkg-deb');
  const child = spawn(path, ['--fsys-tarfile', debFile], { stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-2000);
  });
  const ended = new Promise<number | null>((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done(code));
  });
  const sink = extract({
    cwd: targetDir,
    preserveOwner: false,
    filter: (entry) => wanted(entry.replace(/^\.\//, '')),
  });
  const [status] = await Promise.all([ended, pipeline(child.stdout, sink)]);
  if (status !== 0) {
    const message = `dpkg-deb ended with status ${String(status)} at ${debFile}: ${words.trim()}`;
    throw new UpdateError('tool.failed', message);
  }
}
