/**
 * The program in parts, as an appliance has it: it does what the one file does, with the code that
 * was made of it, and without it; the same sources give the same bytes. Imports the pack's maker.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { makePack, makeStarter } from '../../scripts/appliance/pack.ts';
import { PROJECT_DIR, SERIALPORT_FILE, serialPortFile } from '../../scripts/build.ts';

const run = promisify(execFile);
const ENTRY = join(PROJECT_DIR, 'src/main-roles.ts');
const NO_CODE = '--optimize-for-size';

const dir = t.testdir();
const program = join(dir, 'tandem.mjs');
const pack = await makePack(ENTRY, process.execPath, PROJECT_DIR);
await writeFile(program, await makeStarter(PROJECT_DIR));
await writeFile(join(dir, 'tandem.parts'), pack);

const tandem = async (flags: readonly string[], ...args: string[]) =>
  run(process.execPath, [...flags, program, ...args], {
    cwd: dir,
    env: { ...process.env, TANDEM_DEBUG: '1', TANDEM_SOCKET: join(dir, 'none.sock') },
  });

t.test('it runs with the code that was made of it', async (t) => {
  const text = await readFile(join(PROJECT_DIR, 'package.json'), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  const told = await tandem([], '--version');
  t.equal(told.stdout, `${version}\n`);
  t.equal(told.stderr, '', 'all code is taken');
  const example = await tandem([], 'config', 'example');
  await writeFile(join(dir, 'tandem.jsonc'), example.stdout);
  t.match((await tandem([], 'config', 'check', 'tandem.jsonc')).stdout, /valid/);
  await t.rejects(tandem([], 'status'), { code: 50, stderr: /daemon\.unreachable/ });
  await t.rejects(tandem([], 'daemon', '--config', 'none.jsonc'), { code: 2 });
});

t.test('code that is not taken costs time and nothing else', async (t) => {
  const told = await tandem([NO_CODE], '--version');
  t.match(told.stderr, /the code of main is not taken/);
  t.match(told.stdout, /^\d+\.\d+\.\d+\n$/);
});

t.test('packages that are loaded when they are needed have their names', async (t) => {
  const index = Number(pack.subarray(0, 8).toString());
  const parts = JSON.parse(pack.subarray(8, 8 + index).toString()) as Record<string, number[]>;
  const port = Object.keys(parts).find((name) => name.startsWith('serialport-'));
  t.ok(port, 'the serial port is a part of its own');
  const [at = 0, size = 0] = parts[port ?? ''] ?? [];
  t.match(pack.subarray(at, at + size).toString(), /SerialPort:\(\)=>/);
  // And under them is what opens a port: the words are those of its native part.
  await copyFile(serialPortFile(), join(dir, SERIALPORT_FILE));
  const words = ['console', '--serial', join(dir, 'none'), '--socket', join(dir, 'none.sock')];
  const console_ = spawn(process.execPath, [program, ...words], { cwd: dir, stdio: 'pipe' });
  t.teardown(() => console_.pid !== undefined && console_.kill('SIGKILL'));
  const [said] = (await once(console_.stderr, 'data')) as [Buffer];
  t.match(said.toString(), /No such file or directory, cannot open/);
});

t.test('a pack that ends too early is refused', async (t) => {
  await writeFile(join(dir, 'tandem.parts'), pack.subarray(0, 100));
  await t.rejects(tandem([], '--version'), /the parts of the program end too early/);
  await writeFile(join(dir, 'tandem.parts'), pack);
});

t.test('the same sources give the same bytes', async (t) => {
  // A small entry; the whole program is made twice by same.qemu.ts.
  const small = join(PROJECT_DIR, 'src/config-check.ts');
  const first = await makePack(small, process.execPath, PROJECT_DIR);
  t.ok(first.equals(await makePack(small, process.execPath, PROJECT_DIR)));
});
