/**
 * Emulated machines by hand: `npm run vm -- run DISK` boots a disk with its serial line on this
 * terminal, `pair` boots two of them with a cable between them and takes orders, `log` lists what a
 * machine wrote to its disk, `replay` makes the disk of a power cut from that. Always holds: the
 * disks that are named for `run` and `pair` are not changed (an overlay takes the writes) unless
 * `--write` is given. Imports core and scripts/vm.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { parseArgs } from 'node:util';
import { asUpdateError, UpdateError } from '../src/core/errors.ts';
import { isNode, NODES, type NodeId } from '../src/core/model.ts';
import { makeOverlay } from './vm/disks.ts';
import { Machine, type DiskSpec } from './vm/machine.ts';
import { Pair, type NodeSpec } from './vm/pair.ts';
import { replayWrites, type Unflushed } from './vm/replay.ts';
import { readWriteLog } from './vm/write-log.ts';

const HELP = `Usage:
  npm run vm -- run DISK [--format qcow2] [--memory MIB] [--dir DIR] [--write [--log-writes]]
  npm run vm -- pair DISK_A DISK_B [--format qcow2] [--memory MIB] [--dir DIR] [--write]
  npm run vm -- log FILE
  npm run vm -- replay START TARGET LOG... [--count N] [--unflushed keep|drop|SEED]

run     the serial line is this terminal; Ctrl-] cuts the power and ends
pair    orders: on|cut|freeze|unfreeze|reset A|B, link cut|restore, type A|B TEXT, end
log     entries of a log of writes
replay  the raw disk TARGET as a power cut after N entries of the last LOG may leave it
--dir   where serial logs, overlays and logs of writes stay; default: nowhere
`;
/** Control and the closing bracket, as telnet has it. */
const ESCAPE = 0x1d;
const OPTIONS = {
  format: { type: 'string', default: 'raw' },
  memory: { type: 'string', default: '256' },
  dir: { type: 'string' },
  write: { type: 'boolean', default: false },
  'log-writes': { type: 'boolean', default: false },
  count: { type: 'string' },
  unflushed: { type: 'string', default: 'drop' },
  help: { type: 'boolean', default: false },
} as const;
type Options = ReturnType<typeof parse>['values'];

/** Where machines have their files, and what ends them from outside. */
interface Place {
  readonly dir: string;
  readonly signal: AbortSignal;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const wrong = (message: string): UpdateError => new UpdateError('usage.invalid', message);

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw wrong(asUpdateError(error).message);
  }
}

function numberOf(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw wrong(`${name} is ${text} and must be a number`);
}

/** The disk itself, or an overlay in `dir` that takes the writes. */
async function diskOf(
  path: string,
  name: string,
  dir: string,
  options: Options,
): Promise<DiskSpec> {
  const { format, write } = options;
  if (format !== 'raw' && format !== 'qcow2') throw wrong(`The format ${format} is not known`);
  if (!write) return makeOverlay({ path, format }, join(dir, `${name}.qcow2`));
  return options['log-writes'] ? { path, format, logWrites: true } : { path, format };
}

async function run(disks: readonly string[], place: Place, options: Options): Promise<void> {
  const [path, ...rest] = disks;
  if (path === undefined || rest.length > 0) throw wrong('run takes one disk');
  if (options['log-writes'] && !options.write) throw wrong('--log-writes needs --write');
  const { dir, signal } = place;
  const disk = await diskOf(path, 'disk', dir, options);
  const memoryMiB = numberOf('--memory', options.memory);
  await using machine = await Machine.prepare({
    name: 'vm',
    dir: join(dir, 'vm'),
    disk,
    memoryMiB,
  });
  machine.serial.listen((bytes) => void process.stdout.write(bytes));
  const { stdin } = process;
  const ended = new Promise<void>((resolve) => {
    stdin.on('data', (bytes: Buffer) => {
      const end = bytes.indexOf(ESCAPE);
      const typed = end < 0 ? bytes : bytes.subarray(0, end);
      machine.serial.write(typed).catch(() => undefined);
      if (end >= 0) resolve();
    });
    stdin.once('end', resolve);
    signal.addEventListener('abort', () => resolve());
  });
  if (stdin.isTTY) stdin.setRawMode(true);
  try {
    await machine.powerOn();
    await ended;
    await machine.cutPower();
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.destroy();
  }
  say('');
  for (const log of machine.writeLogs) say(`log of writes: ${log}`);
}

async function pair(disks: readonly string[], place: Place, options: Options): Promise<void> {
  const { dir, signal } = place;
  const [a, b, ...rest] = disks;
  if (a === undefined || b === undefined || rest.length > 0) throw wrong('pair takes two disks');
  const memoryMiB = numberOf('--memory', options.memory);
  const nodeOf = async (node: NodeId, path: string): Promise<NodeSpec> => {
    return { disk: await diskOf(path, node, dir, options), memoryMiB };
  };
  const nodes = { A: await nodeOf('A', a), B: await nodeOf('B', b) };
  await using both = await Pair.prepare({ dir: join(dir, 'pair'), nodes });
  for (const node of NODES) {
    const lines = createInterface({ input: streamOf(both.machines[node]) });
    lines.on('line', (line) => say(`${node}| ${line}`));
  }
  await both.powerOn();
  for await (const line of createInterface({ input: process.stdin, signal })) {
    if (line.trim() === 'end') break;
    await order(both, line.trim()).catch((error: unknown) => say(asUpdateError(error).message));
  }
}

/** What a machine prints, as a stream. */
function streamOf(machine: Machine): PassThrough {
  const stream = new PassThrough();
  machine.serial.listen((bytes) => void stream.write(bytes));
  return stream;
}

async function order(both: Pair, line: string): Promise<void> {
  const [, verb = '', word = '', text = ''] = /^(\S+)\s+(\S+)(?:\s(.*))?$/.exec(line) ?? [];
  if (verb === 'link' && word === 'cut') return both.cutLink();
  if (verb === 'link' && word === 'restore') return both.restoreLink();
  if (!isNode(word)) throw wrong(`This order is not known: ${line}`);
  const machine = both.machines[word];
  const orders: Readonly<Record<string, () => Promise<void>>> = {
    on: () => machine.powerOn(),
    cut: () => machine.cutPower(),
    freeze: () => machine.freeze(),
    unfreeze: () => machine.unfreeze(),
    reset: () => machine.pressReset(),
    type: () => machine.serial.write(`${text}\n`),
  };
  const known = orders[verb];
  if (known === undefined) throw wrong(`This order is not known: ${line}`);
  await known();
}

async function log([path, ...rest]: readonly string[]): Promise<void> {
  if (path === undefined || rest.length > 0) throw wrong('log takes one file');
  const { entries, tornBytes, hasGap } = await readWriteLog(path);
  for (const [i, { kind, offsetBytes, sizeBytes, isForced }] of entries.entries()) {
    const where = sizeBytes === 0 ? '' : ` ${sizeBytes} bytes at ${offsetBytes}`;
    say(`${i + 1} ${kind}${where}${isForced ? ' forced' : ''}`);
  }
  if (tornBytes > 0)
    say(`${tornBytes} bytes at the end are no whole entry${hasGap ? ': gap' : ''}`);
}

async function replay(args: readonly string[], options: Options): Promise<void> {
  const [start, target, ...logs] = args;
  if (start === undefined || target === undefined || logs.length === 0) {
    throw wrong('replay takes the disk of the start, the disk that is made, and one log or more');
  }
  const { unflushed: text, count } = options;
  const unflushed: Unflushed =
    text === 'keep' || text === 'drop' ? text : { seed: numberOf('--unflushed', text) };
  const limit = count === undefined ? {} : { count: numberOf('--count', count) };
  const made = await replayWrites({ start, target, logs, unflushed, ...limit });
  say(`${made.entries} entries: ${made.whole} whole, ${made.torn} torn, ${made.dropped} dropped`);
}

/** Runs `work` in the folder that was named, or in one that is gone afterwards. */
async function inFolder(
  dir: string | undefined,
  work: (place: Place) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  const { signal } = stop;
  if (dir !== undefined) {
    await mkdir(dir, { recursive: true });
    return work({ dir, signal });
  }
  const own = await mkdtemp(join(tmpdir(), 'tandem-vm-'));
  try {
    await work({ dir: own, signal });
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parse(process.argv.slice(2));
  const [verb, ...args] = positionals;
  if (values.help) return void process.stdout.write(HELP);
  if (verb === 'run') return inFolder(values.dir, (place) => run(args, place, values));
  if (verb === 'pair') return inFolder(values.dir, (place) => pair(args, place, values));
  if (verb === 'log') return log(args);
  if (verb === 'replay') return replay(args, values);
  throw wrong(`There is no verb ${verb ?? ''}; see npm run vm -- --help`);
}

try {
  await main();
} catch (error) {
  const failure = asUpdateError(error);
  process.stderr.write(`${failure.message}\n${failure.report().next}\n`);
  process.exitCode = failure.exit;
}
