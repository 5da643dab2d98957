/**
 * What the release before this one wrote is read by this tree: messages, journal, boot files,
 * seals, store, bundle, status. It was recorded from the commit that package.json pins, so that no
 * history is needed here; `npm run record:versions` makes it again when the pin moves.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { PROJECT_DIR } from '../../scripts/build.ts';
import { pinOf } from '../../scripts/previous.ts';
import { readAll } from './readers.ts';
import { RECORDED, type Recorded } from './record.ts';
import { loadTree } from './tree.ts';

const recorded = JSON.parse(await readFile(RECORDED, 'utf8')) as Recorded;

t.test('the recording is that of the pinned release', async (t) => {
  const { version, commit } = recorded;
  t.strictSame({ version, commit }, await pinOf(PROJECT_DIR), 'npm run record:versions');
});

t.test('everything in it is read', async (t) => {
  const dir = join(t.testdir(), 'read');
  await readAll(t, await loadTree(PROJECT_DIR), recorded.artifacts, dir);
});
