/**
 * The verbs of support archives. Always holds: an archive that is written by this command appears
 * under its name only when it is whole and on disk, and never in the place of another file; bytes
 * go to standard output only when it is no terminal; without a daemon everything that lies on disk
 * is still collected. Imports core, the control client, its own folder, and lazily the
 * configuration and the maker of archives.
 */
import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EXIT } from '../core/codes.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { SUPPORT_ENDING } from '../core/support.ts';
import type { SupportConfig } from '../daemon/support.ts';
import { REASON_OPTION, why } from './confirm.ts';
import { bytes, plain, stamp, table } from './render.ts';
import { CLIENT_OPTIONS, connect, flag, printJson, printLines } from './values.ts';
import { renderOptions, text } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';
import { VERSION } from './version.ts';
import { FOLLOW_OPTIONS, waitForJob, wantsWait } from './wait.ts';

/** An archive is told of on a terminal this often. */
const TELL_MS = 500;

type Bytes = AsyncIterable<Uint8Array>;

async function make(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const out = text(values, 'out');
  if (flag(values, 'offline')) return offline(out, values, io);
  if (text(values, 'state-dir') !== undefined) throw usage('--state-dir goes with --offline only');
  if (flag(values, 'detach')) {
    if (out !== undefined) throw usage('--detach does not go with --out: there is no job');
    wantsWait(values);
  }
  const client = await connect(values, io);
  try {
    const { reason } = why(values);
    if (out !== undefined) {
      const { node } = await client.support(io.signal);
      return await deliver(
        client.supportStream(reason, io.signal),
        out,
        `support-${node}`,
        values,
        io,
      );
    }
    const job = await client.start({ kind: 'support', ...why(values) }, io.signal);
    if (flag(values, 'detach')) {
      if (flag(values, 'json')) printJson(io, job);
      else printLines(io, [job.id]);
      return EXIT.done;
    }
    const follow = flag(values, 'follow') || (io.errIsTerminal && !flag(values, 'json'));
    const exit = await waitForJob(client, job, { ...values, wait: true, follow }, io);
    if (exit === EXIT.done) hint(io);
    return exit;
  } catch (error) {
    const lost = asUpdateError(error);
    if (lost.code !== 'daemon.unreachable') throw error;
    const message = `${lost.message}; without it: tandem support --offline --out FILE`;
    throw new UpdateError(lost.code, message, { cause: error });
  }
}

/** Reads the files by itself: for a daemon that does not run, or does not answer. */
async function offline(out: string | undefined, values: VerbValues, io: CliIo): Promise<number> {
  const { config, problem } = await configOf(values, io);
  const { makeArchive, streamArchive } = await import('../daemon/support-process.ts');
  const { RESERVE_BYTES, supportDir, supportId, supportRequest } =
    await import('../daemon/support.ts');
  if ((await stat(config.stateDir).catch(() => null)) === null) {
    throw new UpdateError('file.not_found', `there is no state directory ${config.stateDir}`);
  }
  const id = supportId(config.node, Date.now());
  const absent = ['status/: the daemon was not asked (--offline)'];
  const extras =
    problem === null
      ? []
      : [{ path: 'versions/configuration-problem.txt', from: 'its check', value: problem }];
  const request = supportRequest(id, config, VERSION, extras, absent);
  const run = { entry: process.argv[1] ?? '', signal: io.signal };
  if (out !== undefined) return deliver(streamArchive(request, run), out, id, values, io);
  const path = join(supportDir(config.stateDir), `${id}${SUPPORT_ENDING}`);
  const target = { path, freeBytes: RESERVE_BYTES };
  const done = await makeArchive({ ...request, out: target }, run);
  tell({ path, bytes: done.bytes, missing: done.missing }, values, io);
  return EXIT.done;
}

/** The configuration, or its defaults beside what is wrong with it: then most is found too. */
async function configOf(
  values: VerbValues,
  io: CliIo,
): Promise<{ readonly config: SupportConfig; readonly problem: string | null }> {
  const { CONFIG_PATH, loadConfig } = await import('../config.ts');
  const stateDir = text(values, 'state-dir');
  const file = text(values, 'config') ?? (io.env['TANDEM_CONFIG'] || CONFIG_PATH);
  try {
    const config = await loadConfig(file);
    return { config: stateDir === undefined ? config : moved(config, stateDir), problem: null };
  } catch (error) {
    const { message } = asUpdateError(error);
    if (stateDir === undefined) {
      const words = `${message}; say --state-dir DIR to collect without a configuration`;
      throw new UpdateError('config.invalid', words, { cause: error });
    }
    return { config: bare(resolve(stateDir)), problem: message };
  }
}

const moved = (config: SupportConfig, stateDir: string): SupportConfig => ({
  ...config,
  stateDir: resolve(stateDir),
});

/** What can be collected of a folder alone. */
function bare(stateDir: string): SupportConfig {
  const places = {
    node: null,
    stateDir,
    runDir: '/run/tandem',
    rootDir: '/',
    trustRoot: join(stateDir, 'trust/root.json'),
    slots: { driver: 'file', dir: join(stateDir, 'slots') },
    boot: { driver: 'file', dir: join(stateDir, 'boot') },
  };
  return places as unknown as SupportConfig;
}

/** Writes the bytes where they are wanted; a folder gets a file with the default name. */
async function deliver(
  archive: Bytes,
  out: string,
  name: string,
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  if (out === '-') {
    if (io.outBytes === undefined) throw usage('--out - does not write to a terminal');
    if (flag(values, 'json')) throw usage('--out - does not go with --json');
    for await (const chunk of archive) await io.outBytes(chunk);
    return EXIT.done;
  }
  const path = await target(resolve(out), name);
  const part = `${path}.part`;
  let written = 0;
  const counted = count(archive, (total) => (written = total), io);
  try {
    const sink = createWriteStream(part, { mode: 0o600, flags: 'wx', flush: true });
    await pipeline(Readable.from(counted), sink);
    await rename(part, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST') await rm(part, { force: true }).catch(() => undefined);
    throw writeError(error, path);
  }
  tell({ path, bytes: written }, values, io);
  return EXIT.done;
}

async function target(path: string, name: string): Promise<string> {
  const found = await stat(path).catch(() => null);
  if (found === null) return path;
  if (!found.isDirectory()) throw usage(`${path} exists already; nothing is overwritten`);
  const at = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return join(path, `${name.includes('T') ? name : `${name}-${at}`}${SUPPORT_ENDING}`);
}

async function* count(
  archive: Bytes,
  onTotal: (bytes: number) => void,
  io: CliIo,
): AsyncGenerator<Uint8Array, void, void> {
  let [total, toldMs] = [0, performance.now()];
  for await (const chunk of archive) {
    total += chunk.length;
    onTotal(total);
    if (io.errIsTerminal && performance.now() - toldMs > TELL_MS) {
      toldMs = performance.now();
      io.err(`\r${bytes(total)} `);
    }
    yield chunk;
  }
  if (io.errIsTerminal) io.err('\r');
}

function writeError(error: unknown, path: string): UpdateError {
  if (error instanceof UpdateError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === undefined) return asUpdateError(error);
  const full = code === 'ENOSPC' || code === 'EDQUOT';
  const words = `${path} cannot be written: ${message}`;
  return new UpdateError(full ? 'support.space' : 'file.unreadable', words, { cause: error });
}

function tell(
  made: { readonly path: string; readonly bytes: number; readonly missing?: readonly string[] },
  values: VerbValues,
  io: CliIo,
): void {
  if (flag(values, 'json')) {
    printJson(io, made);
    return;
  }
  hint(io);
  const lacks = (made.missing ?? []).map((one) => `Not in it: ${one}`);
  printLines(io, [`${made.path} has ${bytes(made.bytes)}.`, ...lacks]);
}

/** An archive knows the other node by what was heard of it alone. */
function hint(io: CliIo): void {
  if (io.errIsTerminal) io.err('The other node tells more of itself: make an archive there too.\n');
}

async function list(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const view = await (await connect(values, io)).support(io.signal);
  if (flag(values, 'json')) {
    printJson(io, view);
    return EXIT.done;
  }
  const options = renderOptions(io);
  const rows = view.archives.map((one) => [
    plain(one.name, options),
    bytes(one.bytes),
    stamp(one.at),
  ]);
  const none = [`Node ${view.node} keeps no support archive.`];
  printLines(io, rows.length === 0 ? none : [`In ${view.dir}:`, ...table(rows, options)]);
  return EXIT.done;
}

async function get([name = '']: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const out = text(values, 'out') ?? '.';
  const client = await connect(values, io);
  const { archives } = await client.support(io.signal);
  if (!archives.some((one) => one.name === name)) throw unknown(name);
  const archive = client.supportArchive(name, io.signal);
  return deliver(archive, out, name.slice(0, -SUPPORT_ENDING.length), values, io);
}

async function remove(
  [name = '']: readonly string[],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const client = await connect(values, io);
  const { archives } = await client.support(io.signal);
  if (!archives.some((one) => one.name === name)) throw unknown(name);
  const gone = await client.deleteSupport(name, io.signal);
  if (flag(values, 'json')) printJson(io, gone);
  else printLines(io, [`${plain(gone.name, renderOptions(io))} is deleted.`]);
  return EXIT.done;
}

function unknown(name: string): UpdateError {
  const message = `there is no support archive ${name}; see tandem support list`;
  return new UpdateError('file.not_found', message);
}

function usage(message: string): UpdateError {
  return new UpdateError('usage.invalid', message);
}

const OUT_OPTION = {
  out: {
    type: 'string',
    value: 'FILE|DIR|-',
    help: 'Where the archive goes; - = standard output.',
  },
} as const;

/** The verbs of support archives. */
export const supportVerbs: readonly Verb[] = [
  {
    name: 'support',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Make an archive for support: status, logs, journal; no secrets.',
    example: 'tandem support --out /media/usb',
    options: {
      ...CLIENT_OPTIONS,
      ...OUT_OPTION,
      offline: { type: 'boolean', help: 'Collect from the disk alone; no daemon is asked.' },
      'state-dir': {
        type: 'string',
        value: 'DIR',
        help: 'With --offline: the state directory, also when the configuration is damaged.',
      },
      wait: { type: 'boolean', help: 'Wait for the archive; this is the default.' },
      detach: { type: 'boolean', help: 'Print the id of the job and return.' },
      ...FOLLOW_OPTIONS,
      ...REASON_OPTION,
    },
    run: make,
  },
  {
    name: 'support list',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Show the support archives that this node keeps.',
    example: 'tandem support list --json',
    options: CLIENT_OPTIONS,
    run: list,
  },
  {
    name: 'support get',
    args: 'NAME',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Copy a kept support archive; here when nothing else is said.',
    example: 'tandem support get NAME --out /media/usb',
    options: { ...CLIENT_OPTIONS, ...OUT_OPTION },
    run: get,
  },
  {
    name: 'support delete',
    args: 'NAME',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Delete a kept support archive.',
    example: 'tandem support delete NAME',
    options: CLIENT_OPTIONS,
    run: remove,
  },
];
