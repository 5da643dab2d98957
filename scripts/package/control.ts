/**
 * The control files of the Debian package and its changelog, as texts. Always holds: sizes and sums
 * are those of the tree that is packed. Imports core, the tree and the names of the package.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PROJECT_DIR } from '../build.ts';
import { contentOf, type Tree, type TreeEntry } from '../appliance/tree.ts';
import { architecture, changelogDate, PACKAGE } from './version.ts';

/** Folder with the scripts of the package and what is said of lintian's remarks. */
export const DEBIAN_DIR = join(PROJECT_DIR, 'images/debian');

/**
 * What the program needs: the runtime's libraries (`objdump -T` of the pinned Node names the oldest
 * versions), debugfs for storage software, ip for the service address.
 */
const DEPENDS = [
  'libc6 (>= 2.28)',
  'libgcc-s1 (>= 3.4)',
  'libstdc++6 (>= 5.2)',
  'adduser',
  'debianutils (>= 2.17)',
  'e2fsprogs',
  'iproute2',
];
/** For `invoke-rc.d --skip-systemd-native` in the scripts of the package. */
const PRE_DEPENDS = ['init-system-helpers (>= 1.54~)'];
const SUGGESTS = ['bash-completion', 'drbd-utils', 'openssh-server'];
const KIB = 1024;
/** A folder, a link, and what a file takes beside its content, as dpkg counts. */
const ENTRY_KIB = 1;
const CHANGELOG_COLUMNS = 78;

const isFile = (entry: TreeEntry): boolean =>
  'from' in entry || 'text' in entry || 'bytes' in entry;

/** The installed size of a tree in KiB. */
export async function installedKib(tree: Tree): Promise<number> {
  let kib = 0;
  for (const entry of tree) {
    kib += isFile(entry) ? Math.ceil((await contentOf(entry)).length / KIB) : ENTRY_KIB;
  }
  return kib;
}

/** The text of `md5sums`, which `dpkg --verify` reads. */
export async function md5sums(tree: Tree): Promise<string> {
  const lines: string[] = [];
  for (const entry of tree) {
    if (!isFile(entry)) continue;
    const sum = createHash('md5')
      .update(await contentOf(entry))
      .digest('hex');
    lines.push(`${sum}  ${entry.path.slice(1)}\n`);
  }
  return lines.join('');
}

/** What a package says of itself. */
export interface PackageWords {
  /** Debian version. */
  readonly version: string;
  /** Who answers for it: name and address. */
  readonly maintainer: string;
  /** Time of every file, seconds since 1970. */
  readonly dateS: number;
}

/** The text of `control`. */
export async function control(
  tree: Tree,
  { version, maintainer }: Omit<PackageWords, 'dateS'>,
): Promise<string> {
  const fields = {
    Package: PACKAGE,
    Version: version,
    Architecture: architecture(),
    Maintainer: maintainer,
    'Installed-Size': String(await installedKib(tree)),
    'Pre-Depends': PRE_DEPENDS.join(', '),
    Depends: DEPENDS.join(', '),
    Suggests: SUGGESTS.join(', '),
    Section: 'non-free/admin',
    Priority: 'optional',
    Description: 'firmware updates of appliances that work in pairs',
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  const more = [
    'One signed file updates both appliances of a pair, one active and one standby,',
    'while the service they give goes on; whatever fails on the way, the pair ends',
    'highly available on a version that works.',
    '',
    'This package has the service of a node, its command line and maintenance',
    'console, with a Node of its own. A node that has no configuration yet does not',
    'start: see /usr/share/doc/tandem/examples and tandem(1).',
  ];
  const rest = more.map((line) => (line === '' ? ' .\n' : ` ${line}\n`));
  return [...lines, ...rest].join('');
}

/** The text of `conffiles`: every file below /etc, which belongs to the administrator. */
export function conffiles(tree: Tree): string {
  const files = tree.filter((entry) => isFile(entry) && entry.path.startsWith('/etc/'));
  return files.map((entry) => `${entry.path}\n`).join('');
}

/** Words in lines of so many columns; the first one begins with `first`, the others with `rest`. */
function wrapped(text: string, first: string, rest: string): string[] {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(/\s+/).filter((one) => one !== '')) {
    if (line !== first && line !== rest && line.length + word.length >= CHANGELOG_COLUMNS) {
      lines.push(line.trimEnd());
      line = rest;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()];
}

/** The newest section of CHANGELOG.md as a Debian changelog of one entry. */
export async function changelog({ version, maintainer, dateS }: PackageWords): Promise<string> {
  const text = await readFile(join(PROJECT_DIR, 'CHANGELOG.md'), 'utf8');
  const section = text.split(/^## .*$/m)[1] ?? '';
  const items = section
    .replaceAll('`', '')
    .split(/\n\n|\n(?=- )/)
    .map((one) => one.trim().replace(/^- /, ''))
    .filter((one) => one !== '');
  const lines = items.flatMap((one) => wrapped(one, '  * ', '    '));
  const head = `${PACKAGE} (${version}) unstable; urgency=medium`;
  return [head, '', ...lines, '', ` -- ${maintainer}  ${changelogDate(dateS)}`, ''].join('\n');
}
