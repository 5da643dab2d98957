/**
 * Signs of life and the health check of the storage software on DRBD: a real look at the disk, the
 * connection and the objects. Always holds: it changes nothing but its own probe file; a primary
 * that is frozen is well; it reads a few objects at most. An image may hold `fail-health` beside
 * the program, as that of copies in directories. Imports core and the copy.
 */
import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import { checkDisk } from '../storage/health.ts';
import type { ReplicationLink } from '../storage/link.ts';
import type { Copy } from './copy.ts';
import type { Tender } from './tender.ts';

const FAIL_CHARS_MAX = 500;
const SAMPLES = 16;
/** A write or a sync of the disk that takes longer than this will not end; slow disks take less. */
const DISK_STUCK_MS = 10_000;

/** What the health check looks at. */
export interface HealthOptions {
  readonly copy: Copy;
  readonly link: ReplicationLink;
  readonly tender: Tender;
  /** Directory on the data partition. */
  readonly dataDir: string;
  /** Directory of the program. */
  readonly programDir: string;
}

/** Tells for how long the disk has kept a write, not counting the time for which it was frozen. */
export class Pulse {
  readonly #copy: Copy;
  #thawedMs = 0;

  constructor(copy: Copy) {
    this.#copy = copy;
  }

  /** A sign of life; throws `store.io` when the disk gives none. Touches nothing. */
  check(): void {
    const { store, frozen, options } = this.#copy;
    const nowMs = performance.now();
    if (frozen) this.#thawedMs = nowMs;
    const logMs = frozen ? 0 : (store?.objects.log.busyMs ?? 0);
    const busyMs = Math.max(Math.min(logMs, nowMs - this.#thawedMs), options.state.busyMs);
    if (busyMs < DISK_STUCK_MS) return;
    const text = `the disk has not ended a write for ${Math.round(busyMs / 1000)} s`;
    throw new UpdateError('store.io', text);
  }
}

/** Throws `health.storage`, or the code of what was found. */
export async function checkHealth(options: HealthOptions): Promise<void> {
  const { copy, link, tender, dataDir, programDir } = options;
  const text = await readFile(join(programDir, 'fail-health'), 'utf8').catch(() => null);
  if (text !== null) throw new UpdateError('health.storage', text.trim().slice(0, FAIL_CHARS_MAX));
  if (copy.splitBrain) throw copy.splitBrain;
  if (link.error?.code === 'pair.protocol' || link.error?.code === 'pair.wrong_peer') {
    throw link.error;
  }
  if (tender.refusal) throw tender.refusal;
  const { disk } = copy.kernelState;
  if (disk === null || disk === 'Diskless' || disk === 'Failed' || disk === 'Detaching') {
    throw new UpdateError('store.io', `DRBD has no disk for this copy: ${disk ?? 'not attached'}`);
  }
  const failure = copy.store?.objects.log.failure;
  if (failure) throw failure;
  await checkDisk(dataDir);
  await checkObjects(copy);
}

/** Reads objects from a random place on and checks them against their hashes. */
async function checkObjects({ store, frozen }: Copy): Promise<void> {
  if (store === null || frozen) return;
  const { objects } = store;
  const skip = randomInt(Math.max(objects.size - SAMPLES, 0) + 1);
  const keys = [...objects.liveKeys().drop(skip).take(SAMPLES)];
  for (const key of keys) await objects.get(key);
}
