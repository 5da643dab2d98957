/**
 * Writes test/versions/recorded.json: what the pinned release leaves for others to read. Run it
 * after the pin in package.json was moved: `npm run record:versions`. Imports the bench.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPrevious } from '../../scripts/previous.ts';
import { artifactsOf, type Artifacts } from './artifacts.ts';
import { loadTree } from './tree.ts';

/** The file with its head. */
export interface Recorded {
  /** The release that wrote it. */
  readonly version: string;
  readonly commit: string;
  readonly artifacts: Artifacts;
}

/** Where it lies. */
export const RECORDED = join(import.meta.dirname, 'recorded.json');

if (import.meta.main) {
  const { version, commit, dir: tree } = await openPrevious();
  const dir = await mkdtemp(join(tmpdir(), 'tandem-record-'));
  try {
    const artifacts = await artifactsOf(await loadTree(tree), dir);
    const recorded: Recorded = { version, commit, artifacts };
    await writeFile(RECORDED, `${JSON.stringify(recorded)}\n`);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
