/**
 * RAUC of Debian as a contender: keys, a bundle of the payload, its service on a bus of its own, an
 * install by its client. The settings and why they are fair: scripts/bench-peers.md. Always holds:
 * service and bus end with the bench; both slots are the loop devices that are given. Imports the
 * files beside it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, link, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { UpdateError } from '../../src/core/errors.ts';
import { measure, type Measured, type Row } from './measure.ts';
import { cpuSeconds, output, peakMiB } from './shell.ts';

/** Debian packages that this contender needs. */
export const RAUC_PACKAGES = ['rauc', 'rauc-service', 'squashfs-tools', 'dbus', 'openssl'] as const;

const BACKEND = `#!/bin/sh
# One line of state per slot: enough for a boot chooser that never boots.
d=$(dirname "$0")
case "$1" in
get-primary) cat "$d/primary" ;;
get-current) echo A ;;
set-primary) echo "$2" >"$d/primary" ;;
get-state) cat "$d/state-$2" 2>/dev/null || echo good ;;
set-state) echo "$3" >"$d/state-$2" ;;
esac
`;
const READY_MS = 20_000;
const LOOK_MS = 50;

/** Paths of what RAUC needs. */
export interface RaucSetup {
  readonly dir: string;
  readonly conf: string;
  readonly bundle: string;
  readonly cert: string;
}

/** Keys, configuration and bundle below `dir`; what is there is used again, but for devices. */
export async function setUpRauc(
  dir: string,
  raw: string,
  slots: { readonly a: string; readonly b: string },
): Promise<RaucSetup> {
  await mkdir(dir, { recursive: true });
  const at = (name: string): string => join(dir, name);
  const setup = { dir, conf: at('system.conf'), bundle: at('update.raucb'), cert: at('cert.pem') };
  await writeFile(at('backend.sh'), BACKEND);
  await chmod(at('backend.sh'), 0o755);
  await writeFile(at('primary'), 'A\n');
  await writeFile(
    setup.conf,
    [
      '[system]',
      'compatible=tandem-bench',
      'bootloader=custom',
      'bundle-formats=plain',
      `statusfile=${at('status')}`,
      '[keyring]',
      `path=${setup.cert}`,
      '[handlers]',
      `bootloader-custom-backend=${at('backend.sh')}`,
      ...['A', 'B'].flatMap((name, i) => [
        `[slot.rootfs.${i}]`,
        `device=${name === 'A' ? slots.a : slots.b}`,
        'type=raw',
        `bootname=${name}`,
      ]),
      '',
    ].join('\n'),
  );
  const there = await stat(setup.bundle).then(
    () => true,
    () => false,
  );
  if (!there) await makeBundle(setup, raw);
  return setup;
}

async function makeBundle({ dir, bundle, cert }: RaucSetup, raw: string): Promise<void> {
  const key = join(dir, 'key.pem');
  const subject = ['-subj', '/CN=bench', '-days', '3650', '-nodes'];
  const files = ['-keyout', key, '-out', cert];
  await output('openssl', ['req', '-x509', '-newkey', 'rsa:4096', ...files, ...subject]);
  const content = join(dir, 'content');
  await rm(content, { recursive: true, force: true });
  await mkdir(content);
  await link(raw, join(content, 'rootfs.img'));
  const manifest = ['[update]', 'compatible=tandem-bench', 'version=2', '[bundle]', 'format=plain'];
  const image = ['[image.rootfs]', 'filename=rootfs.img', ''];
  await writeFile(join(content, 'manifest.raucm'), [...manifest, ...image].join('\n'));
  const squash = '--mksquashfs-args=-comp zstd -Xcompression-level 3';
  await output('rauc', ['bundle', `--cert=${cert}`, `--key=${key}`, squash, content, bundle]);
}

/** RAUC's service, running on its own bus. */
export class RaucService implements AsyncDisposable {
  readonly #setup: RaucSetup;
  readonly #children: ChildProcess[] = [];
  #env: NodeJS.ProcessEnv = {};

  private constructor(setup: RaucSetup) {
    this.#setup = setup;
  }

  /** Starts bus and service and waits until it answers. Throws `tool.failed`. */
  static async start(setup: RaucSetup): Promise<RaucService> {
    const service = new RaucService(setup);
    try {
      await service.#start();
      return service;
    } catch (error) {
      await service[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const bus = this.#spawn('dbus-daemon', ['--session', '--nofork', '--print-address=1']);
    const lines = createInterface({ input: bus.stdout! });
    const [address] = (await once(lines, 'line')) as [string];
    this.#env = {
      ...process.env,
      DBUS_SYSTEM_BUS_ADDRESS: address,
      DBUS_SESSION_BUS_ADDRESS: address,
      DBUS_STARTER_BUS_TYPE: 'system',
    };
    this.#spawn('rauc', [`--conf=${this.#setup.conf}`, '--override-boot-slot=A', 'service']);
    for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
      const up = await output('rauc', ['status'], { env: this.#env }).then(
        () => true,
        () => false,
      );
      if (up) return;
      if (waitedMs > READY_MS)
        throw new UpdateError('tool.failed', 'the service of rauc is not up');
      await setTimeout(LOOK_MS);
    }
  }

  #spawn(program: string, args: readonly string[]): ChildProcess {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'], env: this.#env });
    child.on('error', () => undefined);
    if (program === 'rauc') child.stdout.resume();
    this.#children.push(child);
    return child;
  }

  /** A row that installs by the client; time and memory are those of client and service. */
  installRow(name: string): Row {
    const command = ['rauc', 'install', this.#setup.bundle] as const;
    const env = Object.fromEntries(
      Object.entries(this.#env).filter((one): one is [string, string] => one[1] !== undefined),
    );
    const row: Row = { name, command, env };
    return { ...row, measure: () => this.#measured(row) };
  }

  async #measured(row: Row): Promise<Measured> {
    const pid = this.#children[1]?.pid;
    if (pid === undefined) throw new UpdateError('tool.failed', 'rauc could not be started');
    await writeFile(`/proc/${pid}/clear_refs`, '5');
    const before = await cpuSeconds(pid);
    const client = await measure(row);
    const cpuS = client.cpuS + (await cpuSeconds(pid)) - before;
    return { ...client, cpuS, peakMiB: await peakMiB(pid) };
  }

  /** `rauc info`: signature and every byte, no service. */
  infoRow(name: string): Row {
    const { conf, cert, bundle } = this.#setup;
    return { name, command: ['rauc', `--conf=${conf}`, `--keyring=${cert}`, 'info', bundle] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.toReversed()) {
      if (child.pid === undefined || child.exitCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'close');
    }
  }
}
