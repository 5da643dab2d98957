/**
 * A bundle on its way to the peer, on one machine: our two processes over mutual TLS 1.3, which
 * verify and sync what arrives, beside an rsync daemon in plain text. Always holds: both write to
 * the same file system and end when the file is on the disk; servers end with the bench, and listen
 * on the loopback interface alone. Imports drivers and the files beside it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { INSTALLER_ROLE } from '../../src/core/program-roles.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { INSTALLER_FLAGS } from '../../src/drivers/installer-process.ts';
import { createKeys, PAIR_SCHEMA, writePairRecord } from '../../src/drivers/keys.ts';
import { freePort } from '../demo/ports.ts';
import { measure, type Measured, type Row } from './measure.ts';
import { cpuSeconds } from './shell.ts';

/** Debian packages that the plain-text contender needs. */
export const RSYNC_PACKAGES = ['rsync'] as const;

const READY_MS = 10_000;

/** A server that runs, and how long it has worked. */
export interface Served extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

const pinOf = (node: 'A' | 'B', spkiSha256: string) => ({ node, spkiSha256 });

/** Ours, as the daemon starts it, with the keys of a pair made for it. */
export async function serveBundle(
  dir: string,
  program: string,
  bundle: string,
): Promise<{ readonly served: Served; readonly keysDir: string }> {
  const keys = { a: join(dir, 'keys-a'), b: join(dir, 'keys-b') };
  for (const keysDir of Object.values(keys)) await rm(keysDir, { recursive: true, force: true });
  const [a, b] = [await createKeys(keys.a, 'A'), await createKeys(keys.b, 'B')];
  const pair = { schema: PAIR_SCHEMA, pair: '0123456789abcdef0123456789abcdef' };
  await writePairRecord(keys.a, { ...pair, node: 'A', peer: pinOf('B', b.spkiSha256) });
  await writePairRecord(keys.b, { ...pair, node: 'B', peer: pinOf('A', a.spkiSha256) });
  const child = spawn(process.execPath, [...INSTALLER_FLAGS, program, INSTALLER_ROLE], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const listen = { host: '127.0.0.1', port: 0, keysDir: keys.a };
  child.stdin.write(`${JSON.stringify({ do: 'serve', path: bundle, listen })}\n`);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const said = JSON.parse(line) as { type: string; port?: number };
  if (said.port === undefined || child.pid === undefined) {
    child.kill();
    throw new UpdateError('tool.failed', `the bundle is not served: ${line}`);
  }
  return { served: ending(child, said.port), keysDir: keys.b };
}

/** An rsync daemon with one module, the folder of the bundle. */
export async function serveRsync(dir: string, folder: string): Promise<Served> {
  const port = await freePort();
  const conf = join(dir, 'rsyncd.conf');
  const globals = ['use chroot = no', 'address = 127.0.0.1', `port = ${port}`];
  const module = ['[bench]', `path = ${folder}`, 'read only = yes', 'uid = root', 'gid = root'];
  const own = process.getuid?.() === 0 ? module : module.slice(0, 3);
  await writeFile(conf, `${[...globals, ...own].join('\n')}\n`);
  const child = spawn('rsync', ['--daemon', '--no-detach', `--config=${conf}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  for (let waitedMs = 0; !(await answers(port)); waitedMs += 50) {
    if (waitedMs > READY_MS) throw new UpdateError('tool.failed', 'the rsync daemon is not up');
    await setTimeout(50);
  }
  return ending(child, port);
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const up = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return up;
}

function ending(child: ChildProcess, port: number): Served {
  return {
    pid: child.pid ?? 0,
    port,
    [Symbol.asyncDispose]: async () => {
      if (child.pid === undefined || child.exitCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'close');
    },
  };
}

/** A row whose processor time is that of both ends. */
export function bothEnds(row: Row, { pid }: Served): Row {
  const measured = async (): Promise<Measured> => {
    const before = await cpuSeconds(pid);
    const client = await measure(row);
    return { ...client, cpuS: client.cpuS + (await cpuSeconds(pid)) - before };
  };
  return { ...row, measure: measured };
}

/** Takes the file into an empty folder; it is on the disk when the row ends. */
export function rsyncRow(name: string, { port }: Served, file: string, into: string): Row {
  const from = `rsync://127.0.0.1:${port}/bench/${file}`;
  const copy = `rsync --whole-file "$0" "$1/" && sync "$1/${file}"`;
  return {
    name,
    prepare: () => emptied(into),
    command: ['bash', '-c', copy, from, into],
  };
}

/** An empty folder. */
export async function emptied(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
}
