/**
 * Makes an ext4 image from real files without root and without a loop device: mke2fs for the empty
 * file system, debugfs for its content. Always holds: the same files, label and size give the same
 * bytes, on any day and from any directory, because every identity, time and order is set here; and
 * an image that this returns was checked with e2fsck. Imports core and the tools.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import { runTool } from './tools.ts';

/** One file of the image; `path` is absolute inside it, parents are made with mode 0755. */
export type ImageFile =
  | { readonly path: string; readonly mode: number; readonly from: string }
  | { readonly path: string; readonly mode: number; readonly text: string };

/** What an image is made from. */
export interface Ext4Spec {
  readonly out: string;
  /** At most 16 characters, the volume label. */
  readonly label: string;
  readonly files: readonly ImageFile[];
  /**
   * Size of the image in bytes, a multiple of 4096; default: as the content needs, with reserve.
   */
  readonly sizeBytes?: number;
  /** For a file system that is written to later; one that is only read has none. Default false. */
  readonly journal?: boolean;
}

const BLOCK_BYTES = 4096;
const MIB = 1024 * 1024;
/**
 * Every time stamp in an image: 2026-01-01T00:00:00Z. Times of files are nobody's business here.
 */
const IMAGE_TIME_S = 1_767_225_600;
/** Features are named one by one: the defaults of mke2fs differ between systems. */
const FEATURES =
  'none,extent,filetype,sparse_super,large_file,flex_bg,dir_nlink,extra_isize,metadata_csum,64bit';
/** Stands in for the machine's mke2fs.conf, whose defaults would leak into the image. */
const MKE2FS_CONF = `[defaults]
\tbase_features = none
\tblocksize = ${String(BLOCK_BYTES)}
\tinode_size = 256
\tinode_ratio = 65536
[fs_types]
\text4 = {
\t}
\ttandem = {
\t}
`;

/** Characters that debugfs takes between double quotes without a meaning of its own. */
const SAFE_PATH = /^[\w./+ @:=,~-]+$/;

/** Directories that must exist for the files, parents first, in a fixed order. */
export function directoriesOf(files: readonly ImageFile[]): string[] {
  const all = new Set<string>();
  for (const file of files) {
    for (let dir = dirname(file.path); dir !== '/'; dir = dirname(dir)) all.add(dir);
  }
  return [...all].toSorted();
}

/** A UUID that follows from the words it is made of. */
function uuidOf(words: string): string {
  const hex = createHash('sha256').update(words).digest('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`];
  return [...parts, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
}

/** Content rounded up to blocks, a reserve for the file system's own blocks, in whole 4 MiB. */
function defaultSize(contentBytes: readonly number[]): number {
  const blocks = contentBytes.map((bytes) => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES);
  const content = blocks.reduce((sum, bytes) => sum + bytes, 0);
  return Math.ceil((content * 1.04 + 2 * MIB) / (4 * MIB)) * 4 * MIB;
}

function quoted(path: string): string {
  if (!SAFE_PATH.test(path)) {
    throw new UpdateError('usage.invalid', `a path of an image has unusual characters: ${path}`);
  }
  return `"${path}"`;
}

/** The debugfs commands that fill the image; the order decides inode numbers and block places. */
function fillScript(files: readonly { path: string; mode: number; from: string }[]): string {
  const lines: string[] = [];
  const dirs = directoriesOf(files);
  for (const dir of dirs) lines.push(`mkdir ${quoted(dir)}`, `sif ${quoted(dir)} mode 040755`);
  for (const file of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    lines.push(`write ${quoted(file.from)} ${quoted(file.path)}`);
    lines.push(`sif ${quoted(file.path)} mode 0100${file.mode.toString(8).padStart(3, '0')}`);
  }
  return `${lines.join('\n')}\n`;
}

/** debugfs ends with 0 whatever happens: everything but its banner on standard error is a fault. */
function refuseComplaints(stderr: string): void {
  const complaints = stderr.split('\n').filter((line) => line !== '' && !/^debugfs \d/.test(line));
  if (complaints.length > 0) {
    throw new UpdateError('tool.failed', `debugfs: ${complaints.slice(0, 3).join('; ')}`);
  }
}

/** Makes the image; returns its size in bytes. `out` appears only when it is complete. */
export async function makeExt4(spec: Ext4Spec): Promise<number> {
  const part = join(dirname(spec.out), `.${basename(spec.out)}.${String(process.pid)}.part`);
  const work = await mkdtemp(join(dirname(spec.out), '.image-'));
  try {
    const sources: { path: string; mode: number; from: string; bytes: number }[] = [];
    for (const [at, file] of spec.files.entries()) {
      const from = 'from' in file ? file.from : join(work, `text-${String(at)}`);
      if ('text' in file) await writeFile(from, file.text);
      sources.push({ path: file.path, mode: file.mode, from, bytes: (await stat(from)).size });
    }
    const sizeBytes = spec.sizeBytes ?? defaultSize(sources.map((file) => file.bytes));
    await makeEmpty(part, sizeBytes, spec, work);
    const times = { E2FSPROGS_FAKE_TIME: String(IMAGE_TIME_S) };
    const input = fillScript(sources);
    const filled = await runTool('debugfs', ['-w', '-f', '-', part], { input, env: times });
    refuseComplaints(filled.stderr);
    await runTool('e2fsck', ['-fn', part], { env: times });
    await rename(part, spec.out);
    return sizeBytes;
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(part, { force: true });
  }
}

async function makeEmpty(
  file: string,
  bytes: number,
  { label, journal = false }: Ext4Spec,
  work: string,
): Promise<void> {
  const conf = join(work, 'mke2fs.conf');
  await writeFile(conf, MKE2FS_CONF);
  const handle = await open(file, 'w');
  await handle.truncate(bytes);
  await handle.close();
  const hashSeed = uuidOf(`hash seed of ${label}`);
  const extended = `hash_seed=${hashSeed},lazy_itable_init=0,nodiscard,root_owner=0:0`;
  const fixed = ['-U', uuidOf(label), '-L', label, '-E', extended];
  const features = journal ? `${FEATURES},has_journal` : FEATURES;
  const shape = ['-t', 'ext4', '-T', 'tandem', '-b', String(BLOCK_BYTES), '-m', '0'];
  await runTool('mke2fs', ['-q', '-F', ...shape, '-O', features, ...fixed, file], {
    env: {
      MKE2FS_CONFIG: conf,
      E2FSPROGS_FAKE_TIME: String(IMAGE_TIME_S),
      SOURCE_DATE_EPOCH: String(IMAGE_TIME_S),
    },
  });
}
