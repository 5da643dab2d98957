/**
 * The verbs of support archives against a daemon in memory, and without one: an archive is whole or
 * not there, nothing is overwritten, bytes go to no terminal.
 */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { EXIT } from '../../src/core/codes.ts';
import { openBench } from '../control/harness.ts';
import { run } from './harness.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const NAME = 'support-A-20261121T113548Z-0a1b.tar.gz';

t.test('--out: a file with narrow rights, in a folder under its own name', async (t) => {
  await using bench = await openBench();
  const dir = t.testdir();
  const verb = ['support', '--socket', bench.socketPath];
  bench.backend.archive = [bytes('first '), bytes('second')];
  const file = join(dir, 'a.tar.gz');
  const made = await run([...verb, '--out', file, '--reason', 'ticket 7', '--json']);
  t.match(made.json(), { path: file, bytes: 12 });
  t.equal(await readFile(file, 'utf8'), 'first second');
  t.equal((await stat(file)).mode & 0o777, 0o600);
  t.match(bench.backend.asked.at(-1), { what: 'stream', reason: 'ticket 7' });
  t.match(await run([...verb, '--out', file]), { exit: EXIT.usage, err: /exists already/ });
  await mkdir(join(dir, 'usb'));
  t.match(await run([...verb, '--out', join(dir, 'usb')]), { exit: 0, out: /has 12 B/ });
  t.match(await readdir(join(dir, 'usb')), [/^support-A-\d{8}T\d{6}Z\.tar\.gz$/]);
});

t.test('an archive that breaks off is not there', async (t) => {
  await using bench = await openBench();
  const dir = t.testdir();
  const verb = ['support', '--socket', bench.socketPath, '--out', join(dir, 'a')];
  bench.backend.archive = [bytes('half'), new Error('the disk is dead')];
  t.match(await run(verb), { exit: EXIT.daemonUnreachable, err: /--offline/ });
  t.strictSame(await readdir(dir), []);
  await writeFile(join(dir, 'a.part'), 'of somebody else');
  bench.backend.archive = [bytes('whole')];
  t.match(await run(verb), { exit: EXIT.usage, err: /EEXIST/ });
  t.strictSame(await readdir(dir), ['a.part']);
});

t.test('standard output: bytes alone, and not to a terminal', async (t) => {
  await using bench = await openBench();
  const verb = ['support', '--socket', bench.socketPath, '--out', '-'];
  const got: Uint8Array[] = [];
  const outBytes = async (chunk: Uint8Array): Promise<void> => void got.push(chunk);
  t.match(await run(verb, { outBytes }), { exit: 0, out: '', err: '' });
  t.equal(Buffer.concat(got).toString(), 'archive');
  t.match(await run(verb), { exit: EXIT.usage, err: /terminal/ });
  t.match(await run([...verb, '--json'], { outBytes }), { exit: EXIT.usage });
});

t.test('kept ones: made as a job, listed, copied, deleted', async (t) => {
  await using bench = await openBench();
  const dir = t.testdir();
  const socket = ['--socket', bench.socketPath];
  t.match(await run(['support', '--detach', ...socket]), { exit: 0, out: 'r1\n' });
  for (const words of [['--wait'], ['--out', 'x'], ['--timeout', '5']]) {
    t.equal((await run(['support', '--detach', ...words, ...socket])).exit, 2, words.join(' '));
  }
  bench.backend.beforeStart = async () => {
    const message = 'support archive /x has 7 bytes';
    const done = { kind: 'support', state: 'done', exit: 0, message } as const;
    setImmediate(() => bench.backend.put(done));
  };
  t.match(await run(['support', ...socket]), { exit: 0, out: /support archive \/x/ });
  t.match(await run(['support', 'list', ...socket]), { exit: 0, out: /0a1b\.tar\.gz +121 KiB/ });
  t.match((await run(['support', 'list', '--json', ...socket])).json(), { keptMax: 5 });
  const get = ['support', 'get', NAME, '--out', dir, ...socket];
  t.match(await run(get), { exit: 0 });
  t.equal(await readFile(join(dir, NAME), 'utf8'), 'archive');
  const gone = await run(['support', 'delete', NAME, ...socket]);
  t.match(gone, { exit: 0, out: `${NAME} is deleted.\n` });
  for (const verb of ['get', 'delete']) {
    const none = await run(['support', verb, '../../etc/passwd', ...socket]);
    t.match(none, { exit: EXIT.usage, err: /there is no support archive/ });
  }
});

t.test('without a daemon the way without one is named', async (t) => {
  const dir = t.testdir();
  const lost = await run(['support', '--socket', join(dir, 'none')]);
  t.match(lost, { exit: EXIT.daemonUnreachable, err: /tandem support --offline --out FILE/ });
  const nowhere = ['--config', join(dir, 'none.jsonc'), '--out', join(dir, 'a')];
  t.match(await run(['support', '--offline', ...nowhere]), { exit: 2, err: /--state-dir DIR/ });
  const wrong = ['--state-dir', join(dir, 'none'), ...nowhere];
  t.match(await run(['support', '--offline', ...wrong]), { exit: 2, err: /no state directory/ });
  t.match(await run(['support', '--state-dir', dir]), { exit: 2, err: /--offline/ });
});
