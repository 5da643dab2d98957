/**
 * The data partition of an appliance as an image, ext4 with a journal: what belongs to this one
 * appliance and to no slot. Always holds: everything in it belongs to root, and the same files give
 * the same bytes. Which files the system looks for is in images/appliance/README.md. Imports
 * scripts/image.
 */
import { readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { makeExt4, type ImageFile } from '../image/ext4.ts';

/** What lies on a data partition when an appliance leaves the factory. */
export interface DataSpec {
  /** The image file that is written. */
  readonly out: string;
  /** Whole partition, a multiple of 4096. */
  readonly sizeBytes: number;
  readonly hostname: string;
  /** Address with the length of its prefix, and the MTU where it is set, by interface. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Text of the configuration. */
  readonly config: string;
  /** Lines with a shell of root in the place of the console; for test benches. */
  readonly rootShells?: readonly string[];
  /** More files, paths from the root of the partition. */
  readonly files: readonly ImageFile[];
}

/** The files below a folder with their modes, as they are to lie below `at` on the partition. */
export async function filesIn(folder: string, at: string): Promise<readonly ImageFile[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = found
    .filter((one) => one.isFile())
    .map(async (one): Promise<ImageFile> => {
      const from = join(one.parentPath, one.name);
      const { mode } = await stat(from);
      return { path: join(at, relative(folder, from)), mode: mode & 0o777, from };
    });
  return Promise.all(files);
}

const lines = (all: readonly string[]): string => all.map((line) => `${line}\n`).join('');

function text(path: string, content: string): ImageFile {
  return { path, mode: 0o644, text: content };
}

/** Makes the image. Throws `tool.missing`, `tool.failed`. */
export async function makeDataImage(spec: DataSpec): Promise<void> {
  const { out, sizeBytes, hostname, addresses, config, rootShells = [], files } = spec;
  const pairs = Object.entries(addresses).map(([name, address]) => `${name} ${address}`);
  const all: readonly ImageFile[] = [
    text('/etc/hostname', `${hostname}\n`),
    text('/etc/addresses', lines(pairs)),
    text('/etc/tandem.jsonc', config),
    ...(rootShells.length === 0 ? [] : [text('/etc/root-shell', lines(rootShells))]),
    ...files,
  ];
  await makeExt4({
    out,
    sizeBytes,
    label: `data ${hostname}`.slice(0, 16),
    files: all,
    journal: true,
  });
}
