/**
 * `npm run bench:console -- [--keys N] [--stall S] [--dialogs N] [--json]`: the figures of the
 * console in real time, on the bundled program: key to paint on a modelled line of 9600 baud, bytes
 * of each event, a line that stalls, memory. Always holds: what is a time stands beside the same
 * thing without the line, measured in the same run; the exit status is 1 when a figure is missed.
 * Run by hand; its parts have a test.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BenchDaemon } from './bench-daemon.ts';
import { LineBench } from './bench-line.ts';
import { dice, soakDialogs, soakNoise } from './soak.ts';

const BAUD = 9600;
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** As the login program starts it. */
const LEAN = ['--max-semi-space-size=1', '--optimize-for-size'] as const;
const ARENA = { MALLOC_ARENA_MAX: '1' } as const;
const BUNDLES = 12;

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '60' },
    stall: { type: 'string', default: '60' },
    dialogs: { type: 'string', default: '10000' },
    json: { type: 'boolean', default: false },
  },
});

interface Row {
  readonly name: string;
  readonly found: number;
  readonly unit: string;
  /** The same without what is measured, and the ratio to it. */
  readonly control: number | null;
  readonly target: number | null;
}

const rows: Row[] = [];

function keep(
  name: string,
  found: number,
  unit: string,
  { control = null, target = null }: { control?: number | null; target?: number | null } = {},
): void {
  rows.push({ name, found, unit, control, target });
  process.stderr.write(`${name}: ${found.toFixed(1)} ${unit}\n`);
}

const at = (all: readonly number[], part: number): number =>
  all.toSorted((a, b) => a - b)[Math.ceil(all.length * part) - 1] ?? NaN;

/** One bench: a folder with bundles, the program in one file, a daemon. */
class Hall {
  readonly daemon: BenchDaemon;
  readonly folder: string;
  readonly program: string;

  constructor(daemon: BenchDaemon, folder: string, program: string) {
    this.daemon = daemon;
    this.folder = folder;
    this.program = program;
  }

  open(
    baud: number,
    flags: readonly string[] = LEAN,
    env: Readonly<Record<string, string>> = ARENA,
  ) {
    const speed = Number.isFinite(baud) ? ['--baud', String(baud)] : [];
    const where = ['--socket', this.daemon.socketPath, '--bundles', this.folder];
    const command = [process.execPath, ...flags, this.program, 'console', ...where, ...speed];
    return new LineBench({ command, baud, env });
  }

  /** Arrow keys in the list of bundles; milliseconds of each, to the last byte it paints. */
  async arrows(baud: number, updating: boolean, keys: number): Promise<readonly number[]> {
    const roll = dice(7);
    await this.daemon.show('well');
    await using line = this.open(baud);
    await line.untilShown('HEALTHY');
    line.send('u');
    await line.untilShown('update-3.0.0.bin');
    await sleep(1000);
    const first = line.glass.cursor.row;
    if (updating) await this.daemon.show('installing', true);
    await sleep(2500);
    const tooks: number[] = [];
    const wireMs = Number.isFinite(baud) ? (3 * 10_000) / baud : 0;
    for (let key = 0; key < keys; key += 1) {
      await sleep(150 + roll(400));
      // Four down, four up; where the cursor is now may be the middle of a frame.
      const up = key % 8 > 3;
      line.send(up ? '\x1b[A' : '\x1b[B');
      const row = first + (up ? 7 - (key % 8) : (key % 8) + 1);
      tooks.push(wireMs + (await line.until(({ cursor }) => cursor.row === row)));
    }
    return tooks;
  }
}

async function keyToPaint(hall: Hall, keys: number): Promise<void> {
  for (const [name, updating, target] of [
    ['an arrow key, idle', false, 150],
    ['an arrow key during an update', true, 300],
  ] as const) {
    const control = at(await hall.arrows(Infinity, updating, keys), 0.95);
    const tooks = await hall.arrows(BAUD, updating, keys);
    keep(`${name}, to its last byte, p95`, at(tooks, 0.95), 'ms', { control, target });
    keep(`${name}, median`, at(tooks, 0.5), 'ms');
  }
}

async function bytesOf(hall: Hall): Promise<void> {
  await hall.daemon.show('well');
  await using line = hall.open(Infinity);
  const { glass } = line;
  await line.untilShown('HEALTHY');
  await sleep(500);
  let before = 0;
  const spent = (): number => {
    const bytes = glass.bytes - before;
    before = glass.bytes;
    return bytes;
  };
  keep('first paint with what prepares the terminal', spent(), 'bytes', { target: 2200 });
  await sleep(10_000);
  keep('ten seconds idle', spent(), 'bytes', { target: 0 });
  line.send('q');
  await line.untilShown('Leave the console?');
  keep('a dialog opens', spent(), 'bytes', { target: 650 });
  line.send('\x1b');
  await line.until(() => !glass.lines().join('').includes('Leave the console?'));
  keep('a dialog closes', spent(), 'bytes', { target: 650 });
  line.send('u');
  await line.untilShown('update-3.0.0.bin');
  spent();
  const { row } = glass.cursor;
  line.send('\x1b[B');
  await line.until(({ cursor }) => cursor.row === row + 1);
  await sleep(100);
  keep('an arrow key', spent(), 'bytes', { target: 100 });
  await hall.daemon.show('installing', true);
  line.send('\x1b');
  await line.untilShown('UPDATING');
  line.send('u');
  await line.untilShown('images installed');
  await sleep(2000);
  spent();
  await sleep(10_000);
  keep('a second of an update', spent() / 10, 'bytes', { target: 80 });
}

async function stalled(hall: Hall, stallS: number): Promise<void> {
  await hall.daemon.show('installing', true);
  await sleep(2000);
  await hall.daemon.lag();
  await sleep(stallS * 1000);
  const idle = await hall.daemon.lag();
  await using line = hall.open(BAUD);
  await line.untilShown('UPDATING');
  line.send('v');
  await line.untilShown('Details');
  await sleep(2000);
  await hall.daemon.lag();
  line.stalled = true;
  await sleep(stallS * 1000);
  const during = await hall.daemon.lag();
  keep(`daemon's loop, worst, ${stallS} s of a stalled line`, during.maxMs, 'ms', {
    control: idle.maxMs,
  });
  // A machine with other work is late by itself.
  const more = Math.max(0, during.maxMs - idle.maxMs);
  keep(`daemon's loop, worst, beyond that without a console`, more, 'ms', { target: 50 });
  keep(`daemon's loop, p99, ${stallS} s of a stalled line`, during.p99Ms, 'ms', {
    control: idle.p99Ms,
    target: 50,
  });
  await hall.daemon.show('silent');
  await sleep(1500);
  const { bytes } = line.glass;
  line.stalled = false;
  const took = await line.untilShown('UNKNOWN');
  keep('newest screen after the release', took / 1000, 's', { target: 3 });
  keep('bytes until then', line.glass.bytes - bytes, 'bytes');
}

async function memory(hall: Hall): Promise<void> {
  const ways = [
    ['as the login program starts it', LEAN, ARENA, 80],
    ['without any flag', [], {}, null],
    ['a small nursery', [LEAN[0]], {}, null],
    ['a small nursery, one arena', [LEAN[0]], ARENA, null],
  ] as const;
  await hall.daemon.show('installing', true);
  const bare = new LineBench({
    command: [process.execPath, '-e', 'setTimeout(() => {}, 60000)'],
    baud: Infinity,
  });
  await sleep(2000);
  const control = bare.memory().residentMiB;
  await bare[Symbol.asyncDispose]();
  for (const [name, flags, env, target] of ways) {
    await using line = hall.open(Infinity, flags, env);
    await line.untilShown('UPDATING');
    for (const key of 's\x1bv\x1bm\x1bl\x1b?\x1bu\x1b\x0cs\x1bv\x1bm\x1bl\x1b?\x1bu\x1b') {
      line.send(key);
      await sleep(300);
    }
    await sleep(3000);
    const { residentMiB, ownMiB } = line.memory();
    keep(`resident memory, ${name}`, residentMiB, 'MiB', { control, target });
    keep(`its own part, ${name}`, ownMiB, 'MiB');
  }
}

function table(): string {
  const shown = rows.map(({ name, found, unit, control, target }) => {
    const digits = unit === 'bytes' ? 0 : unit === 's' ? 2 : 1;
    const ratio = control === null || control <= 0 ? '' : `${(found / control).toFixed(1)}x`;
    return [
      name,
      `${found.toFixed(digits)} ${unit}`,
      control === null ? '' : control.toFixed(digits),
      ratio,
      target === null ? '' : `${target} ${unit}`,
      target !== null && found > target ? 'MISSED' : '',
    ];
  });
  const all = [['', 'found', 'control', 'ratio', 'at most', ''], ...shown];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const cell = (text: string, column: number): string =>
    column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!);
  return all.map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}

async function main(): Promise<number> {
  const { bundleEntry } = await import('../../scripts/build.ts');
  const folder = await mkdtemp(join(tmpdir(), 'tandem-bench-console-'));
  try {
    const program = join(folder, 'tandem.mjs');
    await bundleEntry(MAIN, program);
    for (let version = 1; version <= BUNDLES; version += 1) {
      await writeFile(join(folder, `update-${version}.0.0.bin`), 'x');
    }
    await using daemon = await BenchDaemon.start();
    const hall = new Hall(daemon, folder, program);
    await keyToPaint(hall, Number(values.keys));
    await bytesOf(hall);
    await stalled(hall, Number(values.stall));
    await memory(hall);
    const dialogs = Number(values.dialogs);
    keep(`heap growth over ${dialogs} dialogs`, soakDialogs(dialogs) / 2 ** 20, 'MiB', {
      target: 5,
    });
    const { changes } = soakNoise(dialogs);
    keep(`changes asked for by ${dialogs} heaps of noise`, changes, 'times', { target: 0 });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? '?'}, Node ${process.version}`;
  const load = loadavg()[0] ?? 0;
  const text = values.json ? JSON.stringify({ machine, load, rows }) : `${table()}\n\n${machine}`;
  process.stdout.write(`${text}${values.json ? '' : `, load ${load.toFixed(1)}`}\n`);
  return rows.some(({ found, target }) => target !== null && found > target) ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main();
