/**
 * Makes the .deb of a tree. Always holds: the same tree, scripts and date give the same bytes,
 * whoever builds it where; the file appears only when it is complete. Imports core and the tools.
 */
import {
  chmod,
  copyFile,
  lutimes,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { writeTree, type Tree } from '../appliance/tree.ts';
import { runTool } from '../image/tools.ts';
import { conffiles, control, DEBIAN_DIR, md5sums, type PackageWords } from './control.ts';

const SCRIPTS = ['postinst', 'prerm', 'postrm'];

/** How much time is spent on a small file. */
export type Effort = 'release' | 'quick';

/** One thread: the number of threads would decide the bytes. */
const COMPRESSION: Readonly<Record<Effort, readonly string[]>> = {
  release: ['-Zxz', '-z6', '--threads-max=1'],
  quick: ['-Zxz', '-z0', '--threads-max=1'],
};

/** What a package file is made from. */
export interface DebSpec extends PackageWords {
  readonly tree: Tree;
  readonly effort: Effort;
}

async function controlFiles(dir: string, spec: DebSpec): Promise<void> {
  const { tree } = spec;
  await mkdir(dir);
  const texts = {
    control: await control(tree, spec),
    conffiles: conffiles(tree),
    md5sums: await md5sums(tree),
  };
  for (const [name, text] of Object.entries(texts)) {
    await writeFile(join(dir, name), text);
    await chmod(join(dir, name), 0o644);
  }
  for (const name of SCRIPTS) {
    await copyFile(join(DEBIAN_DIR, name), join(dir, name));
    await chmod(join(dir, name), 0o755);
  }
  await chmod(dir, 0o755);
}

/** Gives everything below a folder, and the folder, the same time; the innermost first. */
async function setTimes(dir: string, seconds: number): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) await setTimes(path, seconds);
    else await lutimes(path, seconds, seconds);
  }
  await lutimes(dir, seconds, seconds);
}

/** Makes the package at `out`. Throws `tool.missing` and `tool.failed`. */
export async function makeDeb(spec: DebSpec, out: string): Promise<void> {
  await mkdir(dirname(out), { recursive: true });
  const work = await mkdtemp(join(dirname(out), '.deb-'));
  const part = join(work, basename(out));
  const root = join(work, 'root');
  try {
    await mkdir(root);
    await writeTree(spec.tree, root);
    await controlFiles(join(root, 'DEBIAN'), spec);
    await setTimes(root, spec.dateS);
    const options = ['--root-owner-group', ...COMPRESSION[spec.effort]];
    const env = { SOURCE_DATE_EPOCH: String(spec.dateS) };
    await runTool('dpkg-deb', [...options, '--build', root, part], { env });
    await rename(part, out);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
