/**
 * The bundled program does what the program from source does, without any file beside it but the
 * native part of the serial port: packages that hide their parts from a bundler would fail only
 * when a verb needs them.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import {
  bundleEntry,
  PROJECT_DIR,
  programVersion,
  SERIALPORT_FILE,
  serialPortFile,
} from '../../scripts/build.ts';

const run = promisify(execFile);

t.test('one file is the whole program', async (t) => {
  const dir = t.testdir({ image: 'x'.repeat(100_000) });
  const program = join(dir, 'tandem.mjs');
  await bundleEntry(join(PROJECT_DIR, 'src/main.ts'), program);
  const text = await readFile(join(PROJECT_DIR, 'package.json'), 'utf8');
  t.match(await programVersion(program), (JSON.parse(text) as { version: string }).version);
  const tandem = async (...args: string[]) =>
    run(process.execPath, [program, ...args], { cwd: dir });

  const example = await tandem('config', 'example');
  await writeFile(join(dir, 'tandem.jsonc'), example.stdout);
  t.match((await tandem('config', 'check', 'tandem.jsonc')).stdout, /valid/);

  await writeFile(join(dir, 'spec.jsonc'), SPEC);
  await tandem('bundle', 'keygen', '--out', '.', '--root', 'root.json');
  await tandem('bundle', 'make', 'spec.jsonc', '--out', 'update.bin', '--key', 'release.key');
  await t.resolves(tandem('bundle', 'verify', 'update.bin', '--root', 'root.json'));

  await t.rejects(tandem('daemon', '--config', 'none.jsonc'), { code: 2 });
});

t.test('the serial port needs its native part, and only when it is opened', async (t) => {
  const dir = t.testdir({
    'open.mjs':
      "const { openSerialPort } = await import(new URL('port.mjs', import.meta.url));\n" +
      "await openSerialPort('/dev/null', 9600).catch(({ message }) => console.log(message));\n",
  });
  await bundleEntry(join(PROJECT_DIR, 'src/drivers/serial-port.ts'), join(dir, 'port.mjs'));
  const open = async () => (await run(process.execPath, [join(dir, 'open.mjs')])).stdout;
  t.match(await open(), "Cannot find module './serialport.node'");
  await copyFile(serialPortFile(), join(dir, SERIALPORT_FILE));
  t.match(await open(), '/dev/null is no serial port: ');
});

t.test('a service shell needs node-pty beside the program', async (t) => {
  // Outside of this project, whose packages would be found.
  const dir = await mkdtemp(join(tmpdir(), 'tandem-build-'));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await bundleEntry(join(PROJECT_DIR, 'console/shell.ts'), join(dir, 'shell.mjs'));
  const text =
    "const { runShell } = await import(new URL('shell.mjs', import.meta.url));\n" +
    "const gate = { begin: () => Promise.reject(new Error('it was asked for')) };\n" +
    'await runShell({ gate }).catch(({ message }) => console.log(message));\n';
  await writeFile(join(dir, 'open.mjs'), text);
  const open = async () => (await run(process.execPath, [join(dir, 'open.mjs')])).stdout;
  t.match(await open(), 'node-pty, which is not installed here');
  await mkdir(join(dir, 'node_modules'));
  const here = join(PROJECT_DIR, 'node_modules/node-pty');
  await symlink(here, join(dir, 'node_modules/node-pty'));
  t.match(await open(), 'it was asked for');
});

t.test('a program that says no version is refused', async (t) => {
  const dir = t.testdir({ 'mute.mjs': '', 'broken.mjs': 'process.exit(3)' });
  await t.rejects(programVersion(join(dir, 'mute.mjs')), /printed nothing/);
  await t.rejects(programVersion(join(dir, 'broken.mjs')), { code: 3 });
});

const SPEC = `{
  // The least that a bundle says.
  "product": "p", "hardware": ["h"], "version": "2.0.0", "releaseCounter": 2,
  "from": ">=1.0.0", "blocked": [], "minUpdater": "0.1.0",
  "pair": { "protocol": [1, 1], "sideBySide": ">=1.0.0" },
  "images": [
    { "name": "system", "class": "system", "version": "2.0.0", "counter": 2,
      "runsWith": ">=1.0.0", "file": "image" },
  ],
}
`;
