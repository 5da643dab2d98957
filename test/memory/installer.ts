/**
 * The port Installer in memory: the same requests, results and errors as the real process, on the
 * memory depot and slots, with a hook at every place where a node can lose its power. Imports core,
 * ports, the installer's protocol and its neighbours here.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { Manifest, ManifestImage } from '../../src/core/manifest.ts';
import type { Sha256 } from '../../src/core/model.ts';
import type {
  InstallerRequest,
  InstallResult,
  InstallTarget,
  VerifyResult,
} from '../../src/install/protocol.ts';
import type { Installer } from '../../src/ports.ts';
import { memoryDepot, type DepotDisk } from './depot.ts';
import type { SlotsDisk } from './slots.ts';

/** A bundle as a file somewhere on a node. */
export interface MemoryBundle {
  readonly bundle: Sha256;
  readonly bytes: number;
  readonly manifest: Manifest;
  /** What verifying it finds wrong. */
  readonly fault?: UpdateError;
}

/** Everything that the installer of one node works on. */
export interface InstallerWorld {
  /** Bundle files outside the depot, by path. */
  readonly files: Map<string, MemoryBundle>;
  readonly depot: DepotDisk;
  readonly slots: SlotsDisk;
  /** What is served, by `host:port`; shared by the two nodes. */
  readonly bulk: Map<string, MemoryBundle>;
  /**
   * Called before each durable change and wherever the real one waits; may wait, throw, or never
   * return.
   */
  readonly pause?: (place: string) => Promise<void>;
}

type Options = Parameters<Installer['run']>[1];

/** The installer of one node. */
export function memoryInstaller(world: InstallerWorld): Installer {
  return {
    run: async <T>(request: object, options: Options): Promise<T> => {
      options.signal.throwIfAborted();
      const aborted = Promise.withResolvers<never>();
      const abort = (): void => aborted.reject(options.signal.reason);
      options.signal.addEventListener('abort', abort, { once: true });
      const work = perform(world, request as InstallerRequest, options);
      try {
        const result = await Promise.race([work, aborted.promise]);
        options.signal.throwIfAborted();
        return result as T;
      } finally {
        options.signal.removeEventListener('abort', abort);
        work.catch(() => undefined);
      }
    },
  };
}

async function perform(
  world: InstallerWorld,
  request: InstallerRequest,
  options: Options,
): Promise<VerifyResult | InstallResult | null> {
  const pause = async (place: string): Promise<void> => {
    await world.pause?.(place);
    options.signal.throwIfAborted();
  };
  switch (request.do) {
    case 'verify':
      return resultOf(checked(find(world, request.path)), options);
    case 'stage':
      return await toDepot(world, checked(find(world, request.path)), options, pause);
    case 'serve': {
      const { host, port } = request.listen;
      world.bulk.set(`${host}:${port}`, find(world, request.path));
      options.onListening?.(port);
      try {
        await new Promise((resolve) => {
          options.signal.addEventListener('abort', resolve, { once: true });
        });
        return null;
      } finally {
        world.bulk.delete(`${host}:${port}`);
      }
    }
    case 'fetch': {
      await pause('fetch');
      const place = `${request.from.host}:${request.from.port}`;
      const served = world.bulk.get(place);
      if (!served) throw new UpdateError('pair.peer_unreachable', `${place}: nobody serves`);
      if (served.bundle !== request.bundle || served.bytes !== request.bytes) {
        throw new UpdateError('bundle.damaged', `the peer offers bundle ${served.bundle}`);
      }
      return await toDepot(world, checked(served), options, pause);
    }
    case 'install':
      return await install(world, request, options, pause);
    default:
      throw new UpdateError('usage.invalid', 'there is no such request');
  }
}

function find(world: InstallerWorld, path: string): MemoryBundle {
  const stored = world.depot.files.get(path);
  if (stored?.holds) return { ...stored.holds, bytes: stored.bytes };
  const file = world.files.get(path);
  if (!file) throw new UpdateError('file.not_found', `${path} does not exist`);
  return file;
}

function checked(file: MemoryBundle): MemoryBundle {
  if (file.fault) throw file.fault;
  return file;
}

function resultOf({ bundle, bytes, manifest }: MemoryBundle, options: Options): VerifyResult {
  options.onProgress?.({ doneBytes: bytes, totalBytes: bytes });
  return { bundle, bytes, manifest };
}

async function toDepot(
  world: InstallerWorld,
  file: MemoryBundle,
  options: Options,
  pause: (place: string) => Promise<void>,
): Promise<VerifyResult> {
  const depot = memoryDepot(world.depot);
  const { bundle, manifest } = file;
  if ((await depot.list()).some((entry) => entry.bundle === bundle)) {
    return resultOf(file, options);
  }
  await pause('reserve');
  const reserved = world.depot.files.get(await depot.reserve(bundle, file.bytes));
  options.onProgress?.({ doneBytes: 0, totalBytes: file.bytes });
  await pause('fill');
  if (reserved) reserved.holds = { bundle, manifest };
  await pause('admit');
  await depot.admit(bundle);
  return resultOf(file, options);
}

async function install(
  world: InstallerWorld,
  request: Extract<InstallerRequest, { do: 'install' }>,
  options: Options,
  pause: (place: string) => Promise<void>,
): Promise<InstallResult> {
  const { manifest } = checked(find(world, request.path));
  const plans = request.targets.map((target) => ({ target, image: fitting(manifest, target) }));
  const totalBytes = plans.reduce((sum, { image }) => sum + image.rawBytes, 0);
  const images: InstallResult['images'][number][] = [];
  let doneBytes = 0;
  for (const { target, image } of plans) {
    options.onProgress?.({ doneBytes, totalBytes });
    const same = !request.format && world.slots.content.get(target.device) === image.imageId;
    await pause(`write ${target.class}`);
    if (!same) world.slots.content.delete(target.device);
    await pause(`read back ${target.class}`);
    world.slots.content.set(target.device, image.imageId);
    images.push(outcome(manifest, target, image, same));
    doneBytes += image.rawBytes;
  }
  options.onProgress?.({ doneBytes, totalBytes });
  return { images };
}

function fitting(manifest: Manifest, target: InstallTarget): ManifestImage {
  const image = manifest.images.find((each) => each.name === target.image);
  if (image?.class !== target.class) {
    throw new UpdateError('internal.bug', `there is no image ${target.image} of that class`);
  }
  const missingBytes = image.rawBytes - target.sizeBytes;
  if (missingBytes <= 0) return image;
  throw new UpdateError('space.slot', `${missingBytes} bytes are missing`, {
    detail: { missingBytes },
  });
}

function outcome(
  { product }: Manifest,
  target: InstallTarget,
  image: ManifestImage,
  same: boolean,
): InstallResult['images'][number] {
  const { version, counter, formatLevel, rawBytes, rawSha256, imageId, runsWith } = image;
  const release = { product, class: image.class, version, counter };
  return {
    class: target.class,
    slot: target.slot,
    imageId,
    rawBytes,
    rawSha256,
    release: formatLevel === undefined ? release : { ...release, formatLevel },
    runsWith,
    writtenBytes: same ? 0 : rawBytes,
    skippedBytes: same ? rawBytes : 0,
    resumedBytes: 0,
  };
}
