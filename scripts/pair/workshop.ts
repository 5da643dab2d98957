/**
 * What a pair on the bench is made from: images, bundles, keys, and the disks as a factory delivers
 * them, kept below `build/pair`. Always holds: what is taken from there was made from the same
 * content by the same scripts, because its folder is named by a digest of both; a file in it is
 * complete; the keys are made on the spot, belong to one such folder and to nobody's product.
 * Imports core, bundle, the makers of images and the factory.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeBundle, signBundle } from '../../src/bundle/builder.ts';
import {
  generateSigningKey,
  loadSigningKey,
  writeSigningKey,
  type SigningKey,
} from '../../src/bundle/keys.ts';
import type { Config } from '../../src/config.ts';
import type { NodeId, Release } from '../../src/core/model.ts';
import { writeFileAtomic } from '../../src/drivers/fs-atomic.ts';
import type { FactoryImage } from '../appliance.ts';
import { makePairDisks, type FactoryPair } from '../appliance/factory.ts';
import { needHostTools } from '../appliance/host-tools.ts';
import { MIB } from '../appliance/layout.ts';
import { makeApplianceImage } from '../appliance/make.ts';
import { BUILD_DIR, buildProgram, type Programs } from '../build.ts';
import { bundleSpec } from '../image/bundle-spec.ts';
import { kept, makersDigest, openKept } from '../image/kept.ts';
import { runTool } from '../image/tools.ts';
import { trustRootOf } from '../image/trust-root.ts';
import { makeStorageImage, type StorageKind } from '../make-image.ts';
import { HARDWARE, PRODUCT, type PairRelease } from './releases.ts';

/** Where everything of the bench is kept. */
export const PAIR_DIR = join(BUILD_DIR, 'pair');
/** What decides the content of images, bundles and disks, beside the programs and the release. */
const MAKERS = [
  'images/appliance',
  'images/boot',
  'images/console',
  'images/system',
  'images/units',
  'scripts/appliance',
  'scripts/image',
  'scripts/make-image.ts',
  'scripts/pair/workshop.ts',
  'src/bundle',
  'package-lock.json',
  'build/debian/packages.json',
];
/** A folder of other content that was used within this time may still be in use by another run. */
const IN_USE_MS = 60 * 60_000;
/** Fast and good enough for a bundle of the bench; releases take a higher level. */
const LEVEL = 1;
/** Slots with room for larger releases, a depot for two bundles beside the one that is pushed. */
const SIZES = {
  systemBytes: 80 * MIB,
  storageBytes: 8 * MIB,
  dataBytes: 512 * MIB,
  storeBytes: 64 * MIB,
};
const PAIRING_MS = 120_000;
/**
 * On a busy computer an emulated appliance stands still for seconds, and that is no loss of it; a
 * takeover comes within ten seconds all the same.
 */
const LINK_SILENT_MS = 5000;
const HEAD_START_S = 4;

/** What differs between the pairs of the bench. */
export interface PairSettings {
  readonly first: PairRelease;
  readonly policy: Partial<Config['policy']>;
  readonly fence: Config['fence']['policy'];
  /** Kind of the storage software that the disks have. */
  readonly storage: StorageKind;
  /** What runs on the console line of the appliances. */
  readonly console: 'root-shell' | 'tandem-console';
  /** Seconds until a system that stands still is reset. */
  readonly watchdogS: number;
}

/** Disks of a pair that never ran; they are never written to. */
export interface PairDisks {
  /** Folder of these disks alone; snapshots of the pair that ran from them lie there too. */
  readonly dir: string;
  readonly disks: Readonly<Record<NodeId, string>>;
  /** Private key with which root may log in. */
  readonly rootKey: string;
}

/** The network on which this computer is the only client: QEMU's user network. */
export const CLIENT_NETWORK = {
  interface: 'eth1',
  own: { A: '10.0.2.15', B: '10.0.2.15' },
  service: '10.0.2.100:8080',
} as const;

/** How a bundle may be spoiled after it was made. */
export type Spoiling = 'damage' | 'foreign-key';

/** The workshop of one content. */
export class PairWorkshop {
  readonly programs: Programs;
  /** Folder of this content. */
  readonly dir: string;
  /** Digest of the content: results of scenarios are kept by it. */
  readonly digest: string;
  readonly #key: SigningKey;
  readonly #say: (line: string) => void;

  private constructor(
    programs: Programs,
    digest: string,
    dir: string,
    key: SigningKey,
    say: (line: string) => void,
  ) {
    this.programs = programs;
    this.digest = digest;
    this.dir = dir;
    this.#key = key;
    this.#say = say;
  }

  /**
   * Builds the programs and opens the folder of what is made with them. Throws `tool.missing` with
   * every missing tool of this computer and its Debian package, before anything is made.
   */
  static async open(say: (line: string) => void = () => undefined): Promise<PairWorkshop> {
    await needHostTools(['image', 'disk', 'bench']);
    const programs = await buildProgram(BUILD_DIR);
    const digest = await makersDigest(programs, MAKERS);
    const dir = await openKept(PAIR_DIR, digest, IN_USE_MS);
    const keyFile = join(dir, 'bench.key');
    if ((await stat(keyFile).catch(() => null)) === null) {
      // Two benches that begin at once agree on the first one's.
      await writeSigningKey(dir, 'bench').catch(() => undefined);
    }
    return new PairWorkshop(programs, digest, dir, await loadSigningKey(keyFile), say);
  }

  /** The system image of a release. */
  async systemImage({ version, counter, system = 'good' }: PairRelease): Promise<FactoryImage> {
    const file = await this.#kept(`system-${version}-${system}.img`, async (out) => {
      const spec = { product: PRODUCT, version, counter, out, programs: this.programs };
      await makeApplianceImage({ ...spec, variant: system, say: this.#say });
      await rm(`${out}.json`, { force: true });
    });
    const release: Release = { product: PRODUCT, class: 'system', version, counter };
    return { file, release, runsWith: '>=1.0.0' };
  }

  /** The storage image of a release. */
  async storageImage(release: PairRelease, kind: StorageKind = 'directory'): Promise<FactoryImage> {
    const { version, counter, storage: variant = 'good', storageRunsWith: runsWith } = release;
    const formatLevel = 1;
    const title = kind === 'directory' ? 'storage' : `storage-${kind}`;
    const file = await this.#kept(`${title}-${version}-${variant}.img`, async (out) => {
      const spec = { product: PRODUCT, version, counter, out, programs: this.programs };
      await makeStorageImage({ ...spec, formatLevel, variant, kind });
    });
    const words: Release = { product: PRODUCT, class: 'storage', version, counter, formatLevel };
    return { file, release: words, runsWith };
  }

  /** The signed bundle of a release, or one that no appliance may accept. */
  async bundle(
    release: PairRelease,
    spoiling?: Spoiling,
    kind: StorageKind = 'directory',
  ): Promise<string> {
    const images = {
      system: (await this.systemImage(release)).file,
      storage: (await this.storageImage(release, kind)).file,
    };
    const notes = `Release ${release.version} of the bench.`;
    const spec = bundleSpec({ ...release, product: PRODUCT, hardware: HARDWARE, notes });
    const sum = createHash('sha256').update(JSON.stringify([spec, images]));
    const name = `bundle-${sum.digest('hex').slice(0, 12)}`;
    const unsigned = await this.#kept(`${name}.unsigned`, async (out) => {
      await makeBundle(spec, images, out, { level: LEVEL });
    });
    return this.#kept(`${name}-${spoiling ?? 'good'}.bin`, async (out) => {
      await copyFile(unsigned, out);
      await signBundle(out, [spoiling === 'foreign-key' ? generateSigningKey() : this.#key]);
      if (spoiling === 'damage') await flipBit(out);
    });
  }

  /** The disks of a pair; made once for the same settings. */
  async disks(settings: PairSettings): Promise<PairDisks> {
    const sum = createHash('sha256').update(JSON.stringify(settings));
    const dir = await this.#kept(`disks-${sum.digest('hex').slice(0, 12)}`, (out) =>
      this.#makeDisks(settings, out),
    );
    const disks = { A: join(dir, 'A.img'), B: join(dir, 'B.img') };
    return { dir, disks, rootKey: join(dir, 'root.key') };
  }

  async #makeDisks(settings: PairSettings, dir: string): Promise<void> {
    const { first, policy, fence, watchdogS } = settings;
    this.#say('making the disks of the pair');
    await mkdir(dir, { recursive: true });
    const rootKey = join(dir, 'root.key');
    await runTool('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'bench', '-f', rootKey]);
    const trustRoot = join(dir, 'root.json');
    const pair: FactoryPair = {
      dir,
      product: PRODUCT,
      hardware: HARDWARE,
      systemImage: await this.systemImage(first),
      storageImage: await this.storageImage(first, settings.storage),
      trustRoot,
      sizes: SIZES,
      policy,
      fence,
      fenceCommand: ['/usr/lib/tandem/fence', '{action}', '{node}', '{epoch}'],
      fenceHeadStartS: HEAD_START_S,
      linkSilentMs: LINK_SILENT_MS,
      serialLine: '/dev/ttyS1',
      clients: CLIENT_NETWORK,
      rootKeys: await readFile(`${rootKey}.pub`, 'utf8'),
      rootShells: settings.console === 'root-shell' ? ['ttyS0'] : [],
      kernelArguments: [
        'console=ttyS0,115200',
        'quiet',
        'nokaslr',
        // Its check of the clock fails on a busy computer, and the other clock is slow to read.
        'tsc=reliable',
        `tandem.watchdog=${String(watchdogS)}`,
      ],
    };
    await writeFileAtomic(trustRoot, JSON.stringify(trustRootOf(this.#key, 'bench')));
    await makePairDisks(pair, AbortSignal.timeout(PAIRING_MS));
  }

  #kept(name: string, make: (out: string) => Promise<void>): Promise<string> {
    return kept(this.dir, name, make);
  }
}

/** Flips one bit in the middle of a file, as a bad medium does. */
async function flipBit(file: string): Promise<void> {
  await using handle = await open(file, 'r+');
  const at = Math.floor((await handle.stat()).size / 2);
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
}
