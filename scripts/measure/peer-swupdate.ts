/**
 * SWUpdate of Debian as a contender: a key, an update file of the payload, an install. It ends with
 * a loop that sleeps for a second between two looks at its own state, so its time is taken twice:
 * as a user sees it, and up to the moment at which it lets go of the slot. The settings and why
 * they are fair: scripts/bench-peers.md. Imports the files beside it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, readdir, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { UpdateError } from '../../src/core/errors.ts';
import { output } from './shell.ts';
import { measure, type Measured, type Row } from './measure.ts';

/** Debian packages that this contender needs. */
export const SWUPDATE_PACKAGES = ['swupdate', 'cpio', 'openssl'] as const;

/** How often its open files are looked at; so much its net time may be too long. */
const LOOK_MS = 2;

/** An update file, and what it is installed with. */
export interface SwupdateSetup {
  readonly file: string;
  readonly cert: string;
  readonly device: string;
}

/** Makes it below `dir`. The device stands in the signed part: it is made anew every time. */
export async function setUpSwupdate(
  dir: string,
  payload: { readonly zst: string },
  device: string,
): Promise<SwupdateSetup> {
  await mkdir(dir, { recursive: true });
  const at = (name: string): string => join(dir, name);
  const [cert, key] = [at('cert.pem'), at('key.pem')];
  const there = await stat(cert).catch(() => null);
  if (there === null) {
    const usage = ['-addext', 'extendedKeyUsage=emailProtection', '-subj', '/CN=bench'];
    const more = ['-days', '3650', '-nodes', '-keyout', key, '-out', cert, ...usage];
    await output('openssl', ['req', '-x509', '-newkey', 'rsa:4096', ...more]);
  }
  await copyFile(payload.zst, at('rootfs.zst'));
  const sha256 = (await output('sha256sum', [at('rootfs.zst')])).split(' ')[0];
  const image = `filename = "rootfs.zst"; device = "${device}"; type = "raw"; compressed = "zstd"`;
  const more = `sha256 = "${sha256}"; installed-directly = true`;
  const software = `version = "2.0"; hardware-compatibility: [ "1.0" ]`;
  await writeFile(
    at('sw-description'),
    `software = { ${software}; images: ( { ${image}; ${more}; } ); }\n`,
  );
  const input = ['-in', at('sw-description'), '-out', at('sw-description.sig')];
  const signer = ['-signer', cert, '-inkey', key, '-outform', 'DER', '-nosmimecap', '-binary'];
  await output('openssl', ['cms', '-sign', ...input, ...signer]);
  const files = 'sw-description\\nsw-description.sig\\nrootfs.zst\\n';
  const pack = `printf '${files}' | cpio --quiet -o -H crc > update.swu`;
  await output('sh', ['-c', pack], { cwd: dir });
  return { file: at('update.swu'), cert, device };
}

const argsOf = ({ file, cert }: SwupdateSetup): readonly string[] => {
  return ['-H', 'bench:1.0', '-k', cert, '-i', file];
};

/** As a user sees it, with the wait at its end. */
export function swupdateRow(name: string, setup: SwupdateSetup): Row {
  return { name, command: ['swupdate', ...argsOf(setup)] };
}

/** The same up to the last moment at which it had the slot open. */
export function swupdateNetRow(name: string, setup: SwupdateSetup): Row {
  const row = swupdateRow(name, setup);
  return { ...row, measure: () => netOf(row, setup) };
}

async function netOf(row: Row, setup: SwupdateSetup): Promise<Measured> {
  const startMs = performance.now();
  const child = spawn('swupdate', argsOf(setup), { stdio: 'ignore' });
  const closed = once(child, 'close');
  const { pid } = child;
  if (pid === undefined) throw new UpdateError('tool.failed', 'swupdate could not be started');
  const ended = { yes: false };
  const watched = lastOpen(pid, setup.device, ended);
  const [status] = (await closed) as [number | null];
  ended.yes = true;
  const lastMs = await watched;
  if (status !== 0 || lastMs === 0) {
    throw new UpdateError('tool.failed', `swupdate ended with ${String(status)}`);
  }
  // Processor time and memory come from a run that nobody watches.
  const whole = await measure(row);
  return { ...whole, wallS: (lastMs - startMs) / 1000 };
}

async function lastOpen(pid: number, device: string, ended: { yes: boolean }): Promise<number> {
  let lastMs = 0;
  while (!ended.yes) {
    if (await holds(pid, device)) lastMs = performance.now();
    await setTimeout(LOOK_MS);
  }
  return lastMs;
}

async function holds(pid: number, device: string): Promise<boolean> {
  const fds = await readdir(`/proc/${pid}/fd`).catch((): string[] => []);
  const links = fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).includes(device);
}
