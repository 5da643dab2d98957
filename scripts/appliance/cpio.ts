/**
 * Writes a cpio archive in the format "newc", which the kernel takes as an initramfs. Always holds:
 * the same tree gives the same bytes: owner 0, one fixed time, inodes counted in the order of the
 * paths. Format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst. Imports tree.
 */
import { contentOf, type Tree, type TreeEntry } from './tree.ts';

const ALIGN = 4;
const TRAILER = 'TRAILER!!!';
const TYPE = { file: 0o100000, dir: 0o040000, link: 0o120000, device: 0o020000 } as const;
/** 2026-01-01T00:00:00Z: times of files are nobody's business here. */
const TIME_S = 1_767_225_600;

interface Header {
  readonly inode: number;
  readonly mode: number;
  readonly links: number;
  readonly timeS: number;
  readonly bytes: number;
  readonly major: number;
  readonly minor: number;
}

function padded(...parts: readonly Buffer[]): Buffer {
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([...parts, Buffer.alloc((ALIGN - (bytes % ALIGN)) % ALIGN)]);
}

function header(name: string, head: Header): Buffer {
  const { inode, mode, links, timeS, bytes, major, minor } = head;
  const nameBytes = Buffer.byteLength(name) + 1;
  const fields = [inode, mode, 0, 0, links, timeS, bytes, 0, 0, major, minor, nameBytes, 0];
  const text = fields.map((field) => field.toString(16).toUpperCase().padStart(8, '0')).join('');
  return padded(Buffer.from(`070701${text}${name}\0`));
}

function kindOf(entry: TreeEntry): keyof typeof TYPE {
  if ('link' in entry) return 'link';
  if ('dir' in entry) return 'dir';
  return 'device' in entry ? 'device' : 'file';
}

/** The archive of a complete tree. Names in it are relative, as the kernel wants them. */
export async function cpioOf(tree: Tree): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const [index, entry] of tree.entries()) {
    const kind = kindOf(entry);
    const content =
      'link' in entry
        ? Buffer.from(entry.link)
        : kind === 'file'
          ? await contentOf(entry)
          : Buffer.alloc(0);
    const device = 'device' in entry ? entry.device : { major: 0, minor: 0 };
    const mode = TYPE[kind] | ('mode' in entry ? entry.mode : 0o777);
    const links = kind === 'dir' ? 2 : 1;
    const head = { inode: index + 1, mode, links, timeS: TIME_S, bytes: content.length };
    parts.push(header(entry.path.slice(1), { ...head, ...device }), padded(content));
  }
  const end = { inode: 0, mode: 0, links: 1, timeS: 0, bytes: 0, major: 0, minor: 0 };
  parts.push(header(TRAILER, end));
  return Buffer.concat(parts);
}
