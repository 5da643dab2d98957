/**
 * A release after this one, made from this tree: its records have a higher schema, its feature
 * level and its pair protocol are higher, and everything else is the same. It stands for what a
 * later release must be able to do to a pair. Always holds: nothing in this tree is changed.
 * Imports the scripts.
 */
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PROJECT_DIR } from '../../scripts/build.ts';
import { buildTree, type BuiltRelease } from '../../scripts/previous.ts';

const PARTS = ['src', 'console', 'images', 'scripts', 'package.json', 'package-lock.json'];
const RECORDS = 'src/core/records.ts';
/** What is different, as it stands in the source and as the release after has it. */
const CHANGES: readonly (readonly [from: RegExp, to: string])[] = [
  [/(?<=RECORD_SCHEMA = )1(?=;)/, '2'],
  [/(?<=PROTOCOL: .* = )\[1, 1\](?=;)/, '[1, 2]'],
];

/** The release after this one, built in `dir`, which is empty. */
export async function openNext(dir: string): Promise<BuiltRelease> {
  for (const part of PARTS) {
    await cp(join(PROJECT_DIR, part), join(dir, part), { recursive: true });
  }
  await symlink(join(PROJECT_DIR, 'node_modules'), join(dir, 'node_modules'));
  let text = await readFile(join(dir, RECORDS), 'utf8');
  for (const [from, to] of CHANGES) {
    const changed = text.replace(from, to);
    if (changed === text) throw new Error(`${RECORDS} has no ${from.source}`);
    text = changed;
  }
  await writeFile(join(dir, RECORDS), text);
  return buildTree(dir);
}
