/**
 * Pairs that are ready at once: a booted pair that had found itself is saved the first time, beside
 * the disks that it ran from, and every later one goes on from there. Always holds: a snapshot
 * belongs to one content of the images and one set of settings; it was taken while the pair was
 * highly available and nobody was logged in; what is done to a pair never reaches its snapshot.
 * Imports core, the pair and the machines.
 */
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NODES } from '../../src/core/model.ts';
import { copyDisk } from '../vm/disks.ts';
import { AppliancePair, type PairOptions } from './appliance-pair.ts';
import { PairWorkshop } from './workshop.ts';

/** Name of the snapshot inside the disks. */
export const READY_TAG = 'ready';
/** How long a pair is left alone before it is saved: what started with it has then ended. */
const QUIET_MS = 5000;

const exists = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => null)) !== null;

/** Boots a pair until it is highly available, and saves both of its disks into `folder`. */
async function saveReady(options: PairOptions, folder: string): Promise<void> {
  const part = `${folder}.${String(process.pid)}.part`;
  await using pair = await AppliancePair.open({ ...options, dir: undefined, disks: 'overlay' });
  options.say?.('booting the pair, for the snapshot');
  await pair.powerOn();
  await pair.waitAvailable();
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  await pair.waitAvailable();
  // Fewer pages to save, and to load each time.
  for (const node of NODES) await pair.shell(node, 'sync; echo 3 >/proc/sys/vm/drop_caches');
  await Promise.all(NODES.map((node) => pair.nodes[node].door.shut(true)));
  await pair.vms.saveSnapshot(READY_TAG);
  await pair.vms.quit();
  try {
    await mkdir(part, { recursive: true });
    for (const node of NODES) {
      const { disk } = pair.nodes[node].machine.spec;
      await copyDisk(disk?.path ?? '', join(part, `${node}.qcow2`));
    }
    await rename(part, folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error;
    });
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

/**
 * A pair that runs and is highly available, from a snapshot, which is made when there is none.
 * Takes what `AppliancePair.open` takes, but its disks are always overlays.
 */
export async function openReady(options: PairOptions = {}): Promise<AppliancePair> {
  const workshop = options.workshop ?? (await PairWorkshop.open(options.say));
  const whole = { ...options, workshop };
  const made = await AppliancePair.disksOf(whole);
  const folder = join(made.dir, `${READY_TAG}-${String(options.memoryMiB ?? 'usual')}`);
  if (!(await exists(folder))) await saveReady(whole, folder);
  const pair = await AppliancePair.open({ ...whole, snapshot: { folder, tag: READY_TAG } });
  try {
    await pair.powerOn();
    await pair.waitAvailable();
    // The guests' clocks stand where the snapshot was taken.
    await Promise.all(
      NODES.map((node) => pair.shell(node, `date -s @${String(Math.round(Date.now() / 1000))}`)),
    );
    return pair;
  } catch (error) {
    await pair[Symbol.asyncDispose]();
    throw error;
  }
}
