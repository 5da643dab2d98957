/**
 * A temporary folder with a short path, for unix sockets: their paths have at most 107 bytes, and a
 * clone may lie deep. Imports tap's Test type and node.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Makes the folder; it goes with the test. */
export function shortDir(t: { teardown(action: () => void): void }): string {
  const dir = mkdtempSync(join(tmpdir(), 'tandem-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
