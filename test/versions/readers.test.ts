/**
 * Both trees write everything that two releases share, and each reads what the other wrote. Only
 * with VERSIONS_ALL=1 (`npm run test:versions`), because it builds the commit that is pinned.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { PROJECT_DIR } from '../../scripts/build.ts';
import { openPrevious } from '../../scripts/previous.ts';
import { artifactsOf } from './artifacts.ts';
import { VERSIONS } from './judge.ts';
import { keepGrown, readAll, readGrown } from './readers.ts';
import { loadTree } from './tree.ts';

t.setTimeout(200_000);

t.test('each of two releases reads what the other one wrote', VERSIONS, async (t) => {
  const previous = await loadTree((await openPrevious()).dir);
  const present = await loadTree(PROJECT_DIR);
  const dir = t.testdir();
  await mkdir(join(dir, 'write'));
  const older = await artifactsOf(previous, join(dir, 'write'));
  const newer = await artifactsOf(present, join(dir, 'write'));
  await t.test('the older one reads the newer one', async (t) => {
    await readAll(t, previous, newer, join(dir, 'older'));
    readGrown(t, previous, newer);
    await keepGrown(t, previous, newer, join(dir, 'grown'));
  });
  await t.test('the newer one reads the older one', async (t) => {
    await readAll(t, present, older, join(dir, 'newer'));
  });
});
