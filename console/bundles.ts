/**
 * Looks for bundles that a person may choose: files on removable media of this node, and what was
 * installed before and may still be in the depot. Always holds: it reads names and sizes and opens
 * nothing; it looks at a bounded number of folders and files. Imports core and Node.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { bytes } from '../src/cli/render.ts';
import type { StagedBundle } from '../src/control/backend.ts';
import type { RolloutRecord } from '../src/core/records.ts';
import type { BundleChoice } from './state.ts';

/** Where removable media are mounted. */
export const MEDIA: readonly string[] = ['/media', '/run/media', '/mnt'];
/** Folders below a mount point that are looked into. */
const DEPTH_MAX = 3;
/** Folders in all, and bundles in all. */
const FOLDERS_MAX = 200;
const FOUND_MAX = 50;
/** A file in a depot: its own SHA-256. */
const DEPOT_NAME = /^[0-9a-f]{64}\.bin$/;

/** Bundle files below these folders, by path; a folder that cannot be read has none. */
export async function bundleFiles(roots: readonly string[]): Promise<readonly BundleChoice[]> {
  const found: BundleChoice[] = [];
  const queue = roots.map((folder) => ({ folder, depth: 0 }));
  for (
    let seen = 0;
    queue.length > 0 && seen < FOLDERS_MAX && found.length < FOUND_MAX;
    seen += 1
  ) {
    const { folder, depth } = queue.shift()!;
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && depth < DEPTH_MAX) queue.push({ folder: path, depth: depth + 1 });
      if (!entry.isFile() || !entry.name.endsWith('.bin')) continue;
      // What is staged is named by version in a list of its own.
      if (basename(folder) === 'depot' && DEPOT_NAME.test(entry.name)) continue;
      const size = await stat(path).then(
        (one) => bytes(one.size),
        () => null,
      );
      if (size !== null) found.push({ source: { path }, name: path, note: size });
    }
  }
  return found.slice(0, FOUND_MAX);
}

/** Bundles of earlier updates, newest first, each once. */
export function earlierBundles(rollouts: readonly RolloutRecord[]): readonly BundleChoice[] {
  const seen = new Set<string>();
  return rollouts.flatMap(({ kind, to }) => {
    if (kind !== 'update' || seen.has(to.bundle)) return [];
    seen.add(to.bundle);
    const name = `${to.version}  ${to.bundle.slice(0, 12)}`;
    return [
      { source: { bundle: to.bundle }, name, note: 'installed before, if still in the depot' },
    ];
  });
}

/** Bundles that are staged, with the nodes that hold them; one that only the peer has is none. */
export function stagedBundles(bundles: readonly StagedBundle[]): readonly BundleChoice[] {
  return bundles.flatMap(({ bundle, version, bytes: size, nodes }) => {
    // An update starts from the depot of the node that is asked.
    if (version === null || size === null) return [];
    const where = nodes.length > 1 ? 'both nodes' : `node ${nodes[0] ?? '?'}`;
    const name = `${version}  ${bundle.slice(0, 12)}`;
    return [{ source: { bundle }, name, note: `${bytes(size)}, staged on ${where}` }];
  });
}
