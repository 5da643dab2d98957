/**
 * The previous release comes from the history: a tree without it, a shallow clone, one that lacks
 * the commit and a package.json without a pin are errors that say what to do, and the remedy works.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { needCommit, openPrevious, pinOf } from '../../scripts/previous.ts';

const run = promisify(execFile);
const NOWHERE = 'f'.repeat(40);

/** Runs git in a folder, as nobody in particular; null when it is not installed. */
async function git(cwd: string, ...args: readonly string[]): Promise<string | null> {
  const who = ['-c', 'user.name=t', '-c', 'user.email=t@example.invalid'];
  // Settings of whoever runs the tests must not matter, nor a repository around the folder.
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' };
  try {
    return (await run('git', [...who, ...args], { cwd, env })).stdout.trim();
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return null;
    throw error;
  }
}

/** A folder outside of every repository. */
async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'tandem-history-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const installed = (await git(tmpdir(), '--version')) !== null;
const needsGit = { skip: installed ? false : 'git is not installed' };

t.test('each clone without the commit is told what to do', needsGit, async (t) => {
  const origin = await folder();
  await git(origin, 'init', '-q');
  for (const text of ['one', 'two']) {
    await writeFile(join(origin, 'file'), text);
    await git(origin, 'add', 'file');
    await git(origin, 'commit', '-qm', text);
  }
  const first = (await git(origin, 'rev-parse', 'HEAD~1'))!;
  const pin = { version: '0.1.0', commit: first };
  await needCommit(origin, pin);

  const bare = await folder();
  await cp(join(origin, 'file'), join(bare, 'file'));
  await t.rejects(needCommit(bare, pin), {
    code: 'tool.failed',
    message: /is commit [0-9a-f]{12}, and these sources have no git history: work in a clone/,
  });

  const shallow = join(await folder(), 'clone');
  await git(tmpdir(), 'clone', '-q', '--depth', '1', `file://${origin}`, shallow);
  await t.rejects(needCommit(shallow, pin), {
    code: 'tool.failed',
    message: /this clone is shallow and does not have it: run `git fetch --unshallow`, then try/,
  });
  await git(shallow, 'fetch', '-q', '--unshallow');
  await needCommit(shallow, pin);

  const unknown = { version: '9.9.9', commit: NOWHERE };
  await t.rejects(needCommit(origin, unknown), {
    code: 'tool.failed',
    message: /previous release 9\.9\.9 .*this clone does not have it: run `git fetch origin`/,
  });
});

t.test('without git its package is named', async (t) => {
  const { PATH } = process.env;
  t.teardown(() => {
    process.env['PATH'] = PATH;
  });
  process.env['PATH'] = '/nonexistent';
  await t.rejects(needCommit(await folder(), { version: '1', commit: NOWHERE }), {
    code: 'tool.missing',
    message: 'git is not installed (Debian package git)',
  });
});

t.test('package.json has to name the commit, in full', async (t) => {
  const dir = await folder();
  const write = async (content: object): Promise<void> => {
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, 'package.json'), JSON.stringify(content));
  };
  const bad = { code: 'tool.failed', message: /names no commit under previousRelease/ };
  for (const pin of [{}, { version: '1' }, { version: '1', commit: 'abc' }, { commit: NOWHERE }]) {
    await write({ previousRelease: pin });
    await t.rejects(pinOf(dir), bad);
  }
  await write({});
  await t.rejects(openPrevious(dir), bad);
  await write({ previousRelease: { version: '1.2.3', commit: NOWHERE } });
  t.strictSame(await pinOf(dir), { version: '1.2.3', commit: NOWHERE });
});
