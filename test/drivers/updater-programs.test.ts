/**
 * The choice between the node's own program and a newer updater: taken, tried out, given up, over
 * ends of the daemon in the middle, and with files that are not what they were. May import tap,
 * core and the driver.
 */
import { hash } from 'node:crypto';
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import type { Sha256 } from '../../src/core/model.ts';
import { openUpdaterPrograms, programVersion } from '../../src/drivers/updater-programs.ts';
import type { Installer } from '../../src/ports.ts';

const { signal } = new AbortController();
const BUNDLE = 'b'.repeat(64) as Sha256;

/** A program file of some version. */
function program(version: string, bundle = BUNDLE) {
  const bytes = Buffer.from(`console.log('${version}');\n`);
  return { version, bytes, bundle, sha256: hash('sha256', bytes, 'hex') as Sha256 };
}

/** Programs in a folder; what ran, and faults of the newer one, are the test's. */
async function openBench(t: Test, dir = join(t.testdir(), 'updater'), ownVersion = '1.0.0') {
  const ran: string[] = [];
  const told: string[] = [];
  const fault: { newer: UpdateError | null; early: boolean; version: string | null } = {
    newer: null,
    early: true,
    version: null,
  };
  const installer = (name: string): Installer => ({
    run: async <T>(_request: object, { onProgress }: Parameters<Installer['run']>[1]) => {
      ran.push(name);
      if (name !== 'own' && fault.newer !== null) {
        if (!fault.early) onProgress?.({ doneBytes: 1, totalBytes: 2 });
        throw fault.newer;
      }
      return Promise.resolve(name as T);
    },
  });
  const open = () =>
    openUpdaterPrograms({
      dir,
      own: installer('own'),
      ownVersion,
      installerOf: () => installer('newer'),
      versionOf: async (entry) => {
        const text = await readFile(entry, 'utf8');
        return fault.version ?? /'(.+)'/.exec(text)?.[1] ?? '';
      },
      tell: (line) => void told.push(line),
    });
  return { dir, ran, told, fault, open, programs: await open() };
}

const CRASH = new UpdateError('installer.crashed', 'ended with status 1');
const run = (programs: Installer): Promise<string> => programs.run<string>({}, { signal });
const healthy = async (installer: Installer): Promise<void> => void (await run(installer));
const failure = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (cause: unknown) => asUpdateError(cause).code,
  );

t.test('a newer one is tried out, then does the work, also after a restart', async (t) => {
  const { programs, open, ran, dir } = await openBench(t);
  t.equal(await run(programs), 'own');
  const newer = program('2.0.0');
  await programs.switchTo(newer, signal, healthy);
  t.match(programs.chosen(), { version: '2.0.0', bundle: BUNDLE });
  t.equal(await run(programs), 'newer');
  t.strictSame(ran, ['own', 'newer', 'newer']);
  const again = await open();
  t.equal(await run(again), 'newer');
  const third = program('3.0.0');
  await again.switchTo(third, signal, healthy);
  t.strictSame((await readdir(dir)).toSorted(), [`${third.sha256}.mjs`, 'choice.json'].toSorted());
  await again.giveUp();
  await again.giveUp();
  t.equal(await run(again), 'own');
  t.strictSame(await readdir(dir), []);
});

const refusing = (): Promise<void> => Promise.reject(CRASH);

t.test('one that does not pass changes nothing', async (t) => {
  const bench = await openBench(t);
  const { programs, fault, dir } = bench;
  for (const before of [null, program('1.5.0')]) {
    if (before !== null) await programs.switchTo(before, signal, healthy);
    const files = await readdir(dir).catch(() => []);
    fault.version = '9.9.9';
    t.equal(
      await failure(programs.switchTo(program('2.0.0'), signal, healthy)),
      'updater.unhealthy',
    );
    fault.version = null;
    t.equal(
      await failure(programs.switchTo(program('2.0.0'), signal, refusing)),
      'updater.unhealthy',
    );
    const other = { ...program('2.0.0'), sha256: 'a'.repeat(64) as Sha256 };
    t.equal(await failure(programs.switchTo(other, signal, healthy)), 'updater.unhealthy');
    const stop = new AbortController();
    const stopped = programs.switchTo(program('2.0.0'), stop.signal, () => {
      stop.abort(new UpdateError('job.busy', 'it gives way'));
      return refusing();
    });
    t.equal(await failure(stopped), 'job.busy');
    t.equal(programs.chosen()?.version, before?.version);
    t.strictSame(await readdir(dir), files, 'no file is left');
    t.equal((await bench.open()).chosen()?.version, before?.version, 'after a restart too');
  }
});

t.test('one that does not start gives way at once; a verdict of it counts', async (t) => {
  const { programs, fault, ran, told, open } = await openBench(t);
  await programs.switchTo(program('2.0.0'), signal, healthy);
  fault.newer = new UpdateError('bundle.damaged', 'chunk 7');
  t.equal(await failure(run(programs)), 'bundle.damaged');
  fault.newer = CRASH;
  fault.early = false;
  t.equal(await failure(run(programs)), 'installer.crashed', 'it had started');
  t.not(programs.chosen(), null);
  fault.early = true;
  ran.length = 0;
  t.equal(await run(programs), 'own');
  t.strictSame(ran, ['newer', 'own']);
  t.equal(programs.chosen(), null);
  t.match(told.at(-1), /2\.0\.0 is given up, it did not start/);
  t.equal((await open()).chosen(), null);
});

t.test('what lies on the disk is not believed', async (t) => {
  const newer = program('2.0.0');
  for (const spoil of ['file', 'choice', 'trial', 'words'] as const) {
    const { programs, dir, open, told } = await openBench(t, join(t.testdir(), spoil));
    await programs.switchTo(newer, signal, healthy);
    const choice = join(dir, 'choice.json');
    if (spoil === 'file') await appendFile(join(dir, `${newer.sha256}.mjs`), 'x');
    if (spoil === 'choice') await writeFile(choice, 'not JSON');
    if (spoil === 'words') await writeFile(choice, '{"v":1,"state":"chosen","sha256":"../x"}');
    if (spoil === 'trial') {
      const text = await readFile(choice, 'utf8');
      await writeFile(choice, text.replace('"chosen"', '"trial"'));
    }
    const again = await open();
    t.equal(again.chosen(), null, spoil);
    t.equal(await run(again), 'own');
    t.equal(told.length, 1);
    if (spoil === 'file') t.equal(await run(programs), 'own', 'nor in the same run of the daemon');
  }
});

t.test('it never outlives a program of the node that is as new', async (t) => {
  const { programs, dir } = await openBench(t);
  await programs.switchTo(program('2.0.0'), signal, healthy);
  for (const own of ['2.0.0', '2.1.0']) {
    const { programs: later, told } = await openBench(t, dir, own);
    t.equal(later.chosen(), null);
    t.strictSame(told, []);
  }
});

t.test('a real program says its version, or does not start', async (t) => {
  const dir = t.testdir({ 'good.mjs': "console.log('2.0.0');", 'bad.mjs': 'process.exit(3);' });
  t.equal(await programVersion(join(dir, 'good.mjs'), signal), '2.0.0');
  await t.rejects(programVersion(join(dir, 'bad.mjs'), signal));
});
