/**
 * The disks of a pair as a factory delivers them: boot loader, first release in slot A of both
 * classes, sealed, and a data partition with configuration, trust root and the keys of the pairing.
 * Always holds: the two nodes are paired by the same functions as in the field, and what stands in
 * a seal was computed from the image that lies in the slot. Imports core, bundle, drivers and the
 * parts beside it.
 */
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/config.ts';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import { keysDirOf } from '../../src/drivers/keys.ts';
import { pairInit, pairJoin } from '../../src/drivers/pairing.ts';
import { encodeSealBlock } from '../../src/drivers/seal-block.ts';
import { sealOf, type FactoryImage } from '../appliance.ts';
import { freePort } from '../demo/ports.ts';
import type { ImageFile } from '../image/ext4.ts';
import { filesIn, makeDataImage } from './data.ts';
import { makeDisk } from './disk.ts';
import type { DiskSizes } from './layout.ts';

/** A pair that is to be delivered. */
export interface FactoryPair {
  /** Folder for the disks, `A.img` and `B.img`. */
  readonly dir: string;
  readonly product: string;
  readonly hardware: string;
  readonly systemImage: FactoryImage;
  readonly storageImage: FactoryImage;
  /** File with the keys that may sign bundles. */
  readonly trustRoot: string;
  readonly sizes: DiskSizes;
  readonly policy?: Partial<Config['policy']>;
  readonly fence?: Config['fence']['policy'];
  /** Words for the kernel, `console=ttyS0,115200` for one. */
  readonly kernelArguments?: readonly string[];
  /** Lines with a shell of root in the place of the console; for test benches. */
  readonly rootShells?: readonly string[];
  /** Public keys that may log in as root, as in authorized_keys; default: there are none. */
  readonly rootKeys?: string;
  /** The command that asks the power controller; default: there is no fencer. */
  readonly fenceCommand?: readonly string[];
  /** Seconds that a standby waits before it fences; default: that of the configuration. */
  readonly fenceHeadStartS?: number;
  /** Silence of the peer until a channel counts as lost; default: that of the configuration. */
  readonly linkSilentMs?: number;
  /** Serial line to the peer as the second channel of the link, `/dev/ttyS1` for one. */
  readonly serialLine?: string;
  /** Where clients are; default: on the cable between the nodes. */
  readonly clients?: ClientNetwork;
}

/** A network of its own for clients, with a prefix of 24 bits. */
export interface ClientNetwork {
  readonly interface: string;
  /** Address of each node's own. */
  readonly own: Readonly<Record<NodeId, string>>;
  /** Address and port of whichever node serves. */
  readonly service: string;
}

/** Interface of the cable between the nodes. */
const LINK_INTERFACE = 'eth0';
const PREFIX_BITS = 24;
/** Large packets on the cable, where nothing else is: a bundle takes half the processor time. */
const LINK_MTU = 9000;
const ADDRESS: Readonly<Record<NodeId, string>> = { A: '10.9.0.1', B: '10.9.0.2' };
/** Address that clients use, of the node that serves. */
const SERVICE_ADDRESS = '10.9.0.9:8080';
/** Longest wait for the power controller, which has to end a machine. */
const FENCE_TIMEOUT_S = 20;

/** The configuration of a node, with all drivers of a real machine. */
function configText(node: NodeId, pair: FactoryPair): string {
  const ends = (port: number): object => {
    return { listen: `${ADDRESS[node]}:${port}`, peer: `${ADDRESS[peerOf(node)]}:${port}` };
  };
  const { serialLine, clients, fenceCommand: command, fenceHeadStartS: headStartS } = pair;
  const fencer =
    command === undefined
      ? {}
      : { fencer: { kind: 'command', command, timeoutS: FENCE_TIMEOUT_S } };
  const config = {
    node,
    product: pair.product,
    hardware: pair.hardware,
    stateDir: '/data/tandem',
    runDir: '/run/tandem',
    rootDir: '/',
    link: {
      ...ends(7400),
      ...(serialLine === undefined ? {} : { serial: serialLine }),
      ...(pair.linkSilentMs === undefined ? {} : { silentMs: pair.linkSilentMs }),
    },
    storage: ends(7401),
    service: {
      address: clients?.service ?? SERVICE_ADDRESS,
      interface: clients?.interface ?? LINK_INTERFACE,
      prefix: PREFIX_BITS,
      program: 'opt/workload/records.mjs',
    },
    slots: { driver: 'partition' },
    boot: { driver: 'grub' },
    host: { driver: 'machine', watchdog: '/dev/watchdog' },
    power: { restart: ['/sbin/reboot'], shutdown: ['/sbin/poweroff'] },
    policy: pair.policy ?? {},
    fence: {
      policy: pair.fence ?? 'manual',
      ...fencer,
      ...(headStartS === undefined ? {} : { headStartS }),
    },
  };
  const title = `// Node ${node}. "tandem config example" explains every setting.`;
  return `${title}\n${JSON.stringify(config, null, 2)}\n`;
}

/** Addresses that a node has all the time, by interface, with the MTU where it is set. */
function addressesOf(node: NodeId, { clients }: FactoryPair): Readonly<Record<string, string>> {
  const cable = { [LINK_INTERFACE]: `${ADDRESS[node]}/${PREFIX_BITS} ${LINK_MTU}` };
  if (clients === undefined) return cable;
  return { ...cable, [clients.interface]: `${clients.own[node]}/${PREFIX_BITS}` };
}

/** Files of the data partition beside the settings. */
async function filesOf(state: string, { rootKeys }: FactoryPair): Promise<readonly ImageFile[]> {
  const files = await filesIn(state, '/tandem');
  if (rootKeys === undefined) return files;
  return [...files, { path: '/admin/.ssh/authorized_keys', mode: 0o600, text: rootKeys }];
}

/** The state of both nodes, paired, below a folder of its own for each. */
async function pairStates(work: string, trustRoot: string, signal: AbortSignal) {
  const dirs = { A: join(work, 'A'), B: join(work, 'B') };
  for (const dir of [dirs.A, dirs.B]) {
    await mkdir(join(dir, 'trust'), { recursive: true, mode: 0o700 });
    await copyFile(trustRoot, join(dir, 'trust/root.json'));
  }
  const port = await freePort();
  const listen = { host: '127.0.0.1', port };
  const offer = await pairInit({ keysDir: keysDirOf(dirs.A), node: 'A', listen, signal });
  const { address, code } = offer;
  const joined = pairJoin({ keysDir: keysDirOf(dirs.B), node: 'B', address, code, signal });
  await Promise.all([offer.done, joined]);
  return dirs;
}

/**
 * Makes the disks of both nodes and returns their files, raw and sparse. Throws what `makeDisk`
 * throws, `tool.missing` and `tool.failed`, and the signal's reason.
 */
export async function makePairDisks(
  pair: FactoryPair,
  signal: AbortSignal,
): Promise<Readonly<Record<NodeId, string>>> {
  const work = await mkdtemp(join(tmpdir(), 'tandem-factory-'));
  try {
    const states = await pairStates(work, pair.trustRoot, signal);
    const system = encodeSealBlock('system', 'A', await sealOf(pair.systemImage));
    const storage = encodeSealBlock('storage', 'A', await sealOf(pair.storageImage));
    const disks = { A: join(pair.dir, 'A.img'), B: join(pair.dir, 'B.img') };
    for (const node of ['A', 'B'] as const) {
      signal.throwIfAborted();
      const data = join(work, `${node}.data`);
      await makeDataImage({
        out: data,
        sizeBytes: pair.sizes.dataBytes,
        hostname: `node-${node.toLowerCase()}`,
        addresses: addressesOf(node, pair),
        config: configText(node, pair),
        rootShells: pair.rootShells ?? [],
        files: await filesOf(states[node], pair),
      });
      await makeDisk({
        path: disks[node],
        sizes: pair.sizes,
        images: {
          'tandem-system-a': pair.systemImage.file,
          'tandem-storage-a': pair.storageImage.file,
          'tandem-data': data,
        },
        seals: { 'tandem-system-a': system, 'tandem-storage-a': storage },
        boot: { default: 'A', otherOk: false },
        kernelArguments: pair.kernelArguments ?? [],
      });
    }
    return disks;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
