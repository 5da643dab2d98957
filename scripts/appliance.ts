/**
 * Lays out the appliances of a pair on this machine as a factory would: slots with the first
 * release in slot A, boot files, configuration, data partition, trust root, supervisor. Always
 * holds: what stands beside a slot (its seal) was computed from the bytes that were written into
 * it, and the two nodes are paired by the same functions as in the field. Imports core, bundle and
 * drivers.
 */
import { createHash } from 'node:crypto';
import { copyFile, mkdir, open, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { imageIdOf } from '../src/bundle/index-codec.ts';
import type { Config } from '../src/config.ts';
import { UpdateError } from '../src/core/errors.ts';
import { peerOf, type NodeId, type Release, type Sha256 } from '../src/core/model.ts';
import { createBoot } from '../src/drivers/boot-file.ts';
import { keysDirOf } from '../src/drivers/keys.ts';
import { pairInit, pairJoin } from '../src/drivers/pairing.ts';
import { createSlots, openSlots } from '../src/drivers/slots-file.ts';
import type { Slots, SlotSeal } from '../src/ports.ts';
import { freePorts } from './demo/ports.ts';
import { SETTINGS_FILE } from './supervisor/settings.ts';

/** An image as a factory installs it. */
export interface FactoryImage {
  readonly file: string;
  readonly release: Release;
  /** Version range of the other class that it runs with. */
  readonly runsWith: string;
}

/** Ports of one node; the service port is the same for both. */
export interface NodePorts {
  readonly link: number;
  readonly storage: number;
}

/** What an appliance is made from. */
export interface ApplianceSpec {
  readonly dir: string;
  readonly node: NodeId;
  readonly ports: Readonly<Record<NodeId, NodePorts>> & { readonly service: number };
  readonly product: string;
  readonly hardware: string;
  readonly policy: Partial<Config['policy']>;
  /** Socket of the peer's supervisor, which can switch it off; default: there is no fencer. */
  readonly peerPowerSocket?: string;
  /** What a standby does when the active is lost; default `manual`. */
  readonly fencePolicy?: Config['fence']['policy'];
  readonly systemImage: FactoryImage;
  readonly storageImage: FactoryImage;
  /** File with the keys that may sign bundles. */
  readonly trustRoot: string;
  /** Size of the slots per class; default: as the images are, with room for growth. */
  readonly slotBytes?: { readonly system: number; readonly storage: number };
}

/** Where the parts of an appliance lie. */
export interface Appliance {
  readonly node: NodeId;
  readonly dir: string;
  readonly config: string;
  readonly controlSocket: string;
  readonly powerSocket: string;
  readonly stateDir: string;
  readonly bootLog: string;
  readonly consoleLog: string;
}

const MIB = 1024 * 1024;
const CHUNK_BYTES = MIB;
/** Path limit of a unix socket without its final zero (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;

/** The paths inside an appliance's folder; throws when they are too long for a socket. */
export function applianceAt(dir: string, node: NodeId): Appliance {
  const controlSocket = join(dir, 'run/control.sock');
  if (Buffer.byteLength(join(dir, 'run/storage.sock.part')) > SOCKET_PATH_BYTES_MAX) {
    const message = `${dir} is too long for the sockets in it; set TMPDIR to a shorter folder`;
    throw new UpdateError('usage.invalid', message);
  }
  return {
    node,
    dir,
    config: join(dir, 'tandem.jsonc'),
    controlSocket,
    powerSocket: join(dir, 'power.sock'),
    stateDir: join(dir, 'state'),
    bootLog: join(dir, 'boot.log'),
    consoleLog: join(dir, 'console.log'),
  };
}

/** What the seal of a slot must say that has this image; `each` is told every part of it. */
export async function sealOf(
  image: FactoryImage,
  each: (part: Buffer, offset: number) => Promise<unknown> = async () => undefined,
): Promise<SlotSeal> {
  await using source = await open(image.file, 'r');
  const whole = createHash('sha256');
  const records: { rawSha256: Sha256 }[] = [];
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let rawBytes = 0;
  for (;;) {
    const { bytesRead } = await source.read(chunk, 0, CHUNK_BYTES, rawBytes);
    if (bytesRead === 0) break;
    const part = chunk.subarray(0, bytesRead);
    await each(part, rawBytes);
    whole.update(part);
    const rawSha256 = createHash('sha256').update(part).digest('hex') as Sha256;
    records.push({ rawSha256 });
    rawBytes += bytesRead;
  }
  const { release, runsWith } = image;
  const imageId = imageIdOf({ rawBytes, chunkBytes: CHUNK_BYTES }, records);
  const rawSha256 = whole.digest('hex') as Sha256;
  return { imageId, rawBytes, rawSha256, release, runsWith, committed: 0 };
}

/** Copies an image into a slot, synced, and tells what its seal must say. */
async function writeSlot(device: string, image: FactoryImage): Promise<SlotSeal> {
  await using target = await open(device, 'r+');
  const seal = await sealOf(image, (part, at) => target.write(part, 0, part.length, at));
  await target.sync();
  return seal;
}

/** Room for later releases: a quarter more than the first one needs, in whole MiB. */
async function slotSize(image: FactoryImage): Promise<number> {
  await using file = await open(image.file, 'r');
  const { size } = await file.stat();
  return Math.ceil((size * 1.25) / MIB) * MIB;
}

async function installFirst(slots: Slots, cls: 'system' | 'storage', image: FactoryImage) {
  const { path, sizeBytes } = slots.device(cls, 'A');
  await using file = await open(image.file, 'r');
  const { size } = await file.stat();
  if (size > sizeBytes) {
    const message = `the ${cls} image has ${String(size)} bytes, its slot ${String(sizeBytes)}`;
    throw new UpdateError('space.slot', message);
  }
  await slots.seal(cls, 'A', await writeSlot(path, image));
}

/** Makes the appliance's folder; it must not exist. The node is not paired yet. */
export async function createAppliance(spec: ApplianceSpec): Promise<Appliance> {
  const appliance = applianceAt(spec.dir, spec.node);
  await mkdir(spec.dir, { mode: 0o700 });
  await mkdir(join(appliance.stateDir, 'trust'), { recursive: true, mode: 0o700 });
  await mkdir(join(spec.dir, 'run'), { mode: 0o700 });
  await copyFile(spec.trustRoot, join(appliance.stateDir, 'trust/root.json'));
  const sizes = spec.slotBytes ?? {
    system: await slotSize(spec.systemImage),
    storage: await slotSize(spec.storageImage),
  };
  const slotsDir = join(spec.dir, 'slots');
  await createSlots(slotsDir, sizes);
  const slots = await openSlots(slotsDir);
  await installFirst(slots, 'system', spec.systemImage);
  await installFirst(slots, 'storage', spec.storageImage);
  await createBoot(join(spec.dir, 'boot'), { default: 'A' });
  await writeFile(appliance.config, configText(spec));
  const settings = {
    node: spec.node,
    config: 'tandem.jsonc',
    bootDir: 'boot',
    slotsDir: 'slots',
    slots: { A: slots.device('system', 'A').path, B: slots.device('system', 'B').path },
    runDir: 'run',
    stateDir: 'state',
    powerSocket: 'power.sock',
    bootLog: 'boot.log',
    consoleLog: 'console.log',
    postMs: 300,
    restartMs: 200,
    watchdogMs: 15_000,
  };
  await writeFile(join(spec.dir, SETTINGS_FILE), `${JSON.stringify(settings, null, 2)}\n`);
  return appliance;
}

/** A loopback address as it stands in the configuration. */
const at = (port: number): string => JSON.stringify(`127.0.0.1:${String(port)}`);

/** The way to the peer's power switch, relative like every path of the configuration. */
function fencerText({ dir, peerPowerSocket }: ApplianceSpec): string {
  if (peerPowerSocket === undefined) return '{ "kind": "none" }';
  return `{ "kind": "power", "socket": ${JSON.stringify(relative(dir, peerPowerSocket))} }`;
}

/** The configuration file, with a comment where a reader would ask. */
function configText(spec: ApplianceSpec): string {
  const { node, ports, product, hardware, policy, fencePolicy = 'manual' } = spec;
  const own = ports[node];
  const peer = ports[peerOf(node)];
  const rules = Object.entries(policy).map(([name, value]) => {
    return `    ${JSON.stringify(name)}: ${JSON.stringify(value)},`;
  });
  return `// Node ${node} of a pair on one machine. "tandem config example" explains every setting.
{
  "node": "${node}",
  "product": ${JSON.stringify(product)},
  "hardware": ${JSON.stringify(hardware)},

  // Relative paths are taken from the folder of this file. The boot loader unpacks the booted slot
  // below run/ and points run/root to it; state/ is the data partition, outside all slots.
  "stateDir": "state",
  "runDir": "run",
  "rootDir": "run/root",

  "link": { "listen": ${at(own.link)}, "peer": ${at(peer.link)} },
  "storage": { "listen": ${at(own.storage)}, "peer": ${at(peer.storage)} },

  // Only the active node binds this address.
  "service": { "address": ${at(ports.service)}, "program": "opt/workload/records.mjs" },

  "slots": { "driver": "file", "dir": "slots" },
  "boot": { "driver": "file", "dir": "boot" },

  "policy": {
${rules.join('\n')}
  },

  "fence": {
    "policy": ${JSON.stringify(fencePolicy)},
    "fencer": ${fencerText(spec)},
  },
}
`;
}

/** What both appliances of a pair have in common. */
export type PairSpec = Omit<ApplianceSpec, 'dir' | 'node' | 'ports' | 'peerPowerSocket'> & {
  readonly dir: string;
};

/** A pair that is laid out and paired, and does not run yet. */
export interface AppliancePair {
  readonly nodes: Readonly<Record<NodeId, Appliance>>;
  readonly serviceUrl: string;
}

/** Two appliances below `spec.dir`, on free loopback ports, paired with each other. */
export async function createPair(spec: PairSpec, signal: AbortSignal): Promise<AppliancePair> {
  const [linkA, linkB, storageA, storageB, service, pairing] = (await freePorts(6)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const ports = {
    A: { link: linkA, storage: storageA },
    B: { link: linkB, storage: storageB },
    service,
  };
  const make = async (node: NodeId): Promise<Appliance> => {
    signal.throwIfAborted();
    const peer = peerOf(node);
    const { powerSocket } = applianceAt(join(spec.dir, peer), peer);
    const dir = join(spec.dir, node);
    return createAppliance({ ...spec, node, ports, dir, peerPowerSocket: powerSocket });
  };
  const nodes = { A: await make('A'), B: await make('B') };
  const address = { host: '127.0.0.1', port: pairing };
  const keysDir = keysDirOf(nodes.A.stateDir);
  const offer = await pairInit({ keysDir, node: 'A', listen: address, signal });
  const joined = pairJoin({
    keysDir: keysDirOf(nodes.B.stateDir),
    node: 'B',
    address: offer.address,
    code: offer.code,
    signal,
  });
  await Promise.all([offer.done, joined]);
  return { nodes, serviceUrl: `http://127.0.0.1:${String(service)}` };
}
