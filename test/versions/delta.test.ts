/**
 * The release before this one refuses a delta bundle by name, before it looks at anything of it,
 * and says what to do. Only with VERSIONS_ALL=1 (`npm run test:versions`), because it builds the
 * commit that is pinned.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import { openPrevious } from '../../scripts/previous.ts';
import { makeReleases } from '../install/delta-sample.ts';
import { VERSIONS } from './judge.ts';

t.setTimeout(200_000);
const run = promisify(execFile);

interface Failed {
  readonly code: number;
  readonly stdout: string;
}

t.test('the release before this one refuses a delta bundle by name', VERSIONS, async (t) => {
  const { programs } = await openPrevious();
  const { paths, rootPath } = await makeReleases(t.testdir());
  const tandem = async (...words: readonly string[]): Promise<Failed> => {
    const done = await run(process.execPath, [programs.tandem, 'bundle', ...words]).catch(
      (error: unknown) => error as Failed,
    );
    return { code: 'code' in done ? done.code : 0, stdout: done.stdout };
  };
  t.equal((await tandem('verify', paths.full, '--root', rootPath, '--json')).code, 0);
  for (const words of [['verify', '--root', rootPath], ['show']] as const) {
    const [verb, ...more] = words;
    const { code, stdout } = await tandem(verb, paths.delta, ...more, '--json');
    t.equal(code, 10, verb);
    t.match(JSON.parse(stdout), {
      error: { code: 'bundle.delta_unsupported', next: /^Use the full bundle of the same release/ },
    });
  }
});
