/**
 * Two emulated appliances whose storage software is started by hand: the real system image and the
 * real disks, the kernel booted past the boot loader, and a shell of root in the place of init, so
 * that nothing runs but what a test starts. Always holds: everything lies below the folder of the
 * test. Imports the scripts.
 */
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cpioOf } from '../../scripts/appliance/cpio.ts';
import { makePairDisks } from '../../scripts/appliance/factory.ts';
import { makeInitramfs } from '../../scripts/appliance/initramfs.ts';
import { layoutOf, MIB, partitionOf, type DiskSizes } from '../../scripts/appliance/layout.ts';
import { prepareMaterial, type Material } from '../../scripts/appliance/material.ts';
import { makeApplianceImage } from '../../scripts/appliance/make.ts';
import { completeTree } from '../../scripts/appliance/tree.ts';
import { BUILD_DIR, buildProgram } from '../../scripts/build.ts';
import { makeStorageImage } from '../../scripts/make-image.ts';
import type { Machine } from '../../scripts/vm/machine.ts';
import { Pair } from '../../scripts/vm/pair.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import { ROOT_SCHEMA, type RootFile } from '../../src/bundle/trust.ts';
import type { NodeId, Release } from '../../src/core/model.ts';

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
for dir in dev proc sys; do mount --move "/$dir" "/slot/$dir"; done
exec switch_root /slot /bin/sh -c '
  PATH=/usr/sbin:/usr/bin
  export PATH
  /usr/lib/tandem/rc
  echo the-guest-is-up
  while :; do setsid cttyhack sh -l; done
'
`;

async function trustRoot(out: string): Promise<void> {
  const { keyid, public: text } = generateSigningKey();
  const root: RootFile = {
    schema: ROOT_SCHEMA,
    version: 1,
    threshold: 1,
    keys: [{ keyid, scheme: 'ed25519', public: text, name: 'test' }],
  };
  await writeFile(out, JSON.stringify(root));
}

async function initrdWithShell(material: Material, out: string): Promise<void> {
  // Of two archives behind each other the kernel takes the later file.
  const own = completeTree([{ path: '/init', mode: 0o755, text: INIT }]);
  await writeFile(out, Buffer.concat([await makeInitramfs(material), await cpioOf(own)]));
}

/** Files that guests are started from. */
export interface Workshop {
  readonly dir: string;
  readonly material: Material;
  readonly initrd: string;
  readonly disks: Readonly<Record<NodeId, string>>;
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
  await trustRoot(root);
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
  return { dir, material, initrd, disks };
}

/** Puts another storage image into slot A of both disks; the guests must be off. */
export async function replaceStorage(shop: Workshop, image: Buffer): Promise<void> {
  const { startBytes } = partitionOf(layoutOf(SIZES), 'tandem-storage-a');
  for (const path of Object.values(shop.disks)) {
    await using file = await open(path, 'r+');
    await file.write(image, 0, image.length, startBytes);
  }
}

/** Both guests, switched off. */
export async function guests(shop: Workshop): Promise<Pair> {
  const append = 'console=ttyS0,115200 quiet nokaslr panic=2 tandem.watchdog=0';
  const node = (path: string) => ({
    disk: { path, format: 'raw' as const },
    watchdog: false,
    memoryMiB: 320,
    kernel: { image: shop.material.kernel, initrd: shop.initrd, append },
  });
  const nodes = { A: node(shop.disks.A), B: node(shop.disks.B) };
  return await Pair.prepare({ dir: join(shop.dir, 'vm'), nodes });
}

/** The shell of a guest. */
export class Shell {
  readonly #machine: Machine;
  #commands = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Waits for a boot to come to its shell. */
  async open(): Promise<void> {
    await this.#machine.serial.waitFor(/the-guest-is-up/, WAIT);
    await this.#machine.serial.waitFor(/root@node-\w:\S*# /, WAIT);
    await this.#machine.serial.write('stty -echo; PS1= PS2=\n');
    await this.run(':');
  }

  /** What a command prints, both outputs; throws when its exit status is another one. */
  async run(command: string, wanted = 0): Promise<string> {
    const { serial } = this.#machine;
    const word = `end-${String((this.#commands += 1))}`;
    // The word is in two pieces in what is typed, so that an echo is not taken for the answer.
    await serial.write(`{ ${command}\n} 2>&1; echo "${word.slice(0, 3)}""${word.slice(3)}=$?="\n`);
    const pattern = new RegExp(`([^]*?)${word}=(\\d+)=\r?\n`);
    const [, output = '', status = ''] = await serial.waitFor(pattern, WAIT);
    if (Number(status) === wanted) return output.replaceAll('\r', '');
    throw new Error(`"${command}" ended with ${status}, expected ${String(wanted)}: ${output}`);
  }
}
