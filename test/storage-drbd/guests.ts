/**
 * Two emulated appliances whose storage software is started by hand: the real system image and the
 * real disks, the kernel booted past the boot loader, and a program of the test in the place of
 * init, so that nothing runs but what a test starts. Always holds: everything lies below the folder
 * of the test. Imports the scripts.
 */
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpioOf } from '../../scripts/appliance/cpio.ts';
import { makePairDisks } from '../../scripts/appliance/factory.ts';
import { makeInitramfs } from '../../scripts/appliance/initramfs.ts';
import { layoutOf, MIB, partitionOf, type DiskSizes } from '../../scripts/appliance/layout.ts';
import { prepareMaterial, type Material } from '../../scripts/appliance/material.ts';
import { makeApplianceImage } from '../../scripts/appliance/make.ts';
import { completeTree } from '../../scripts/appliance/tree.ts';
import { BUILD_DIR, buildProgram } from '../../scripts/build.ts';
import { trustRootOf } from '../../scripts/image/trust-root.ts';
import { makeStorageImage } from '../../scripts/make-image.ts';
import type { PortSpec } from '../../scripts/vm/machine.ts';
import { Pair } from '../../scripts/vm/pair.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import type { NodeId, Release } from '../../src/core/model.ts';
import type { StoreStatus } from '../../src/core/store.ts';

/** Limit of one wait, some ten times what an idle machine takes. */
export const WAIT = { timeoutMs: 180_000 };
const PAIRING_MS = 120_000;
const WORDS = { product: 'tandem-demo', version: '1.0.0', counter: 1, formatLevel: 2 };
const SIZES: DiskSizes = {
  systemBytes: 80 * MIB,
  storageBytes: 8 * MIB,
  dataBytes: 96 * MIB,
  storeBytes: 64 * MIB,
};

/** Takes the place of the initramfs' program: as it, and then a shell instead of init. */
const INIT = `#!/bin/sh
PATH=/bin
mount -t devtmpfs -o mode=0755,nosuid dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
while read -r module; do insmod "/modules/$module.ko"; done </modules/order
until grep -qsx PARTNAME=tandem-system-a /sys/class/block/vda4/uevent; do usleep 50000; done
mount -t squashfs -o ro,nodev /dev/vda4 /slot
cat /bridge.mjs >/dev/bridge.mjs
for dir in dev proc sys; do mount --move "/$dir" "/slot/$dir"; done
exec switch_root /slot /bin/sh -c '
  PATH=/usr/sbin:/usr/bin
  export PATH
  /usr/lib/tandem/rc
  mkdir /tmp/slot
  mount -t ext4 -o ro /dev/vda6 /tmp/slot
  while :; do node /dev/bridge.mjs </dev/null; sleep 1; done
'
`;

async function initrdWithShell(material: Material, out: string): Promise<void> {
  // Of two archives behind each other the kernel takes the later file.
  const own = completeTree([
    { path: '/init', mode: 0o755, text: INIT },
    { path: '/bridge.mjs', mode: 0o644, from: join(import.meta.dirname, 'bridge.mjs') },
  ]);
  await writeFile(out, Buffer.concat([await makeInitramfs(material), await cpioOf(own)]));
}

/** The id of the pair, from the record of the pairing on the data partition. */
async function pairIdOf(disk: string): Promise<string> {
  const { startBytes, sizeBytes } = partitionOf(layoutOf(SIZES), 'tandem-data');
  await using file = await open(disk, 'r');
  const bytes = Buffer.alloc(sizeBytes);
  await file.read(bytes, 0, sizeBytes, startBytes);
  const match = /"pair": ?"([0-9a-f]{32})"/.exec(bytes.toString('latin1'));
  if (match?.[1] === undefined) throw new Error('the disk holds no record of a pairing');
  return match[1];
}

/** Files that guests are started from. */
export interface Workshop {
  readonly dir: string;
  readonly material: Material;
  readonly initrd: string;
  readonly disks: Readonly<Record<NodeId, string>>;
  /** Id of the pair that the disks were made for. */
  readonly pairId: string;
}

/** Makes system image, storage image, disks of a pair and the initramfs below \`dir\`. */
export async function workshop(dir: string, say: (line: string) => void): Promise<Workshop> {
  await mkdir(dir, { recursive: true });
  const material = await prepareMaterial(BUILD_DIR, say);
  const programs = await buildProgram();
  const system = await makeApplianceImage({ ...WORDS, out: join(dir, 'sys.img'), programs, say });
  const storage = join(dir, 'storage.img');
  await makeStorageImage({ ...WORDS, out: storage, programs, kind: 'drbd' });
  const root = join(dir, 'root.json');
  await writeFile(root, JSON.stringify(trustRootOf(generateSigningKey(), 'test')));
  const release: Release = { ...WORDS, class: 'storage' };
  const disks = await makePairDisks(
    {
      dir,
      product: WORDS.product,
      hardware: 'virtual',
      trustRoot: root,
      systemImage: { file: system.file, release: system.release, runsWith: '*' },
      storageImage: { file: storage, release, runsWith: '*' },
      sizes: SIZES,
      kernelArguments: ['console=ttyS0,115200'],
      rootShells: ['ttyS0'],
    },
    AbortSignal.timeout(PAIRING_MS),
  );
  const initrd = join(dir, 'initrd');
  await initrdWithShell(material, initrd);
  return { dir, material, initrd, disks, pairId: await pairIdOf(disks.A) };
}

/** The answer of a guest to one line. */
interface Answer {
  readonly id?: number;
  readonly up?: boolean;
  readonly ok?: boolean;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

/** One guest with its storage software; what it is asked goes over a port of its own. */
export class Guest {
  readonly #node: NodeId;
  readonly #pair: string;
  #stream: Duplex | null = null;
  #up = Promise.withResolvers<void>();
  #next = 1;
  readonly #open = new Map<number, PromiseWithResolvers<Answer>>();

  constructor(node: NodeId, pair: string) {
    this.#node = node;
    this.#pair = pair;
  }

  /** The port, for the machine. */
  readonly port: PortSpec = {
    name: 'tandem.test',
    serve: (stream) => {
      this.#stream = stream;
      this.#up = Promise.withResolvers();
      this.lost();
      let rest = '';
      stream.on('data', (chunk: Buffer) => {
        const lines = `${rest}${chunk.toString('utf8')}`.split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.#hear(JSON.parse(line) as Answer);
      });
      stream.on('error', () => undefined);
    },
  };

  /** The power was cut: nothing that is open is answered any more. */
  lost(): void {
    for (const open of this.#open.values()) open.resolve({ error: LOST });
    this.#open.clear();
  }

  /** The boot has come so far that commands are obeyed. */
  async up(): Promise<void> {
    await this.#up.promise;
  }

  /** Starts the storage software; resolves with its process id when it is ready. */
  async start(): Promise<number> {
    const [own, peer] = this.#node === 'A' ? ['10.9.0.1', '10.9.0.2'] : ['10.9.0.2', '10.9.0.1'];
    const start = {
      node: this.#node,
      pair: this.#pair,
      listen: `${own}:7401`,
      peer: `${peer}:7401`,
      socket: '/run/tandem/storage.sock',
      dataDir: '/data/tandem/store',
      keysDir: '/data/tandem/keys',
      releaseFile: '/tmp/slot/etc/tandem-release',
    };
    const { ok, result } = await this.#ask({ start });
    const { pid, words } = result as { pid: number; words: string };
    if (ok !== true) throw new Error(`the storage software of ${this.#node} ended: ${words}`);
    return pid;
  }

  /** What a command of the shell prints; throws for a status that is not 0. */
  async sh(command: string): Promise<string> {
    const { status, text } = (await this.#ask({ sh: command })).result as ShellEnd;
    if (status === 0) return text;
    throw new Error(`"${command}" on ${this.#node}: status ${status}, ${text}`);
  }

  /** The result of a request; throws an Error whose message is the code. */
  async call(op: string, fields: object = {}): Promise<unknown> {
    const { error, result } = await this.#ask({ op, ...fields });
    if (error === undefined) return result;
    throw new Error(error.code, { cause: error.message });
  }

  /** The code that a request is refused with; null when it is not. */
  async codeOf(op: string, fields: object = {}): Promise<string | null> {
    return (await this.#ask({ op, ...fields })).error?.code ?? null;
  }

  async put(key: string, value: string): Promise<void> {
    await this.call('put', { key, value: Buffer.from(value).toString('base64') });
  }

  async get(key: string): Promise<string | null> {
    const value = (await this.call('get', { key })) as string | null;
    return value === null ? null : Buffer.from(value, 'base64').toString('utf8');
  }

  async status(): Promise<StoreStatus> {
    return (await this.call('status')) as StoreStatus;
  }

  /** The first status that is good. */
  async until(what: string, good: (status: StoreStatus) => boolean): Promise<StoreStatus> {
    const untilMs = performance.now() + WAIT.timeoutMs;
    let last: StoreStatus | null = null;
    while (performance.now() < untilMs) {
      last = await this.status().catch(() => null);
      if (last !== null && good(last)) return last;
      await sleep(300);
    }
    throw new Error(`${this.#node}: never ${what}, last ${JSON.stringify(last)}`);
  }

  #hear(answer: Answer): void {
    if (answer.up === true) this.#up.resolve();
    if (answer.id === undefined) return;
    this.#open.get(answer.id)?.resolve(answer);
    this.#open.delete(answer.id);
  }

  async #ask(request: object): Promise<Answer> {
    const id = (this.#next += 1);
    const open = Promise.withResolvers<Answer>();
    this.#open.set(id, open);
    this.#stream?.write(`${JSON.stringify({ id, ...request })}\n`);
    return await open.promise;
  }
}

interface ShellEnd {
  readonly status: number;
  readonly text: string;
}

const LOST = { code: 'power.cut', message: 'the guest lost its power' };

/** Both guests, switched off, and what they are asked through. */
export async function guests(shop: Workshop): Promise<{ pair: Pair; A: Guest; B: Guest }> {
  const [A, B] = [new Guest('A', shop.pairId), new Guest('B', shop.pairId)];
  const append = 'console=ttyS0,115200 quiet nokaslr panic=2 tandem.watchdog=0';
  const node = (guest: Guest, path: string) => ({
    disk: { path, format: 'raw' as const },
    watchdog: false,
    memoryMiB: 320,
    kernel: { image: shop.material.kernel, initrd: shop.initrd, append },
    ports: [guest.port],
  });
  const nodes = { A: node(A, shop.disks.A), B: node(B, shop.disks.B) };
  return { pair: await Pair.prepare({ dir: join(shop.dir, 'vm'), nodes }), A, B };
}
