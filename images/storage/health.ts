/**
 * The health check of the storage software: a real look at disk, log and peer, not a ping. Always
 * holds: it changes nothing but its own probe file; it reads at most 4 MiB of objects. An image may
 * hold `fail-health` beside the program: then the check fails with that text, which is how sample
 * images that must fail are made; the file is part of the signed image and nothing else reads it.
 * Imports core, objects, link and replica.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { preallocate } from '../../src/drivers/preallocate.ts';
import type { ReplicationLink } from './link.ts';
import type { Replica } from './replica.ts';
import { ioFailure } from './segments.ts';

const PROBE_BYTES = 512;
const SAMPLES = 16;
const SAMPLE_BYTES_MAX = 4 * 1024 * 1024;
const FAIL_CHARS_MAX = 500;
/** A write or a sync of the disk that takes longer than this will not end; slow disks take less. */
const DISK_STUCK_MS = 10_000;

/** What the health check looks at. */
export interface HealthOptions {
  readonly replica: Replica;
  readonly link: ReplicationLink;
  readonly dataDir: string;
  /** Directory of the program. */
  readonly programDir: string;
}

/** What a sign of life needs to know: for how long writes on the disk have been under way. */
interface Busy {
  readonly objects: { readonly log: { readonly busyMs: number } };
  readonly state: { readonly busyMs: number };
}

/** A sign of life; throws `store.io` when the disk gives none. Touches nothing. */
export function checkAlive({ objects, state }: Busy): void {
  const busyMs = Math.max(objects.log.busyMs, state.busyMs);
  if (busyMs < DISK_STUCK_MS) return;
  const text = `the disk has not ended a write for ${Math.round(busyMs / 1000)} s`;
  throw new UpdateError('store.io', text);
}

/** Throws `health.storage`, or the code of what was found. */
export async function checkHealth(options: HealthOptions): Promise<void> {
  const { replica, link, dataDir, programDir } = options;
  const text = await readFile(join(programDir, 'fail-health'), 'utf8').catch(() => null);
  if (text !== null) throw new UpdateError('health.storage', text.trim().slice(0, FAIL_CHARS_MAX));
  const { failure } = replica.objects.log;
  if (failure) throw failure;
  if (replica.splitBrain) throw replica.splitBrain;
  if (link.error?.code === 'pair.protocol' || link.error?.code === 'pair.wrong_peer') {
    throw link.error;
  }
  await checkDisk(dataDir);
  await checkObjects(replica);
}

/** Allocates what the check writes, so that a full disk is no sick one; without room it waits. */
export async function prepareProbe(dataDir: string): Promise<void> {
  await preallocate(join(dataDir, 'probe'), PROBE_BYTES).catch((error: unknown) => {
    if (asUpdateError(error).code !== 'space.depot') throw error;
  });
}

/** Writes, syncs and reads back a few bytes, in place; throws `store.io`, `store.full`. */
export async function checkDisk(dataDir: string): Promise<void> {
  try {
    const path = join(dataDir, 'probe');
    await using file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    const written = randomBytes(PROBE_BYTES);
    await file.write(written, 0, PROBE_BYTES, 0);
    await file.datasync();
    const read = Buffer.alloc(PROBE_BYTES);
    await file.read(read, 0, PROBE_BYTES, 0);
    if (!read.equals(written)) throw new Error(`${path} does not hold what was written to it`);
  } catch (error) {
    throw ioFailure(error);
  }
}

/** Reads objects from a random place on and checks them against their hashes. */
async function checkObjects(replica: Replica): Promise<void> {
  const { objects } = replica;
  const skip = randomInt(Math.max(objects.size - SAMPLES, 0) + 1);
  const keys: string[] = [];
  let index = 0;
  for (const [key, entry] of objects.changedSince(0)) {
    if (keys.length >= SAMPLES) break;
    if (entry.hash !== null && index++ >= skip) keys.push(key);
  }
  let bytes = 0;
  for (const key of keys) {
    bytes += (await objects.get(key))?.length ?? 0;
    if (bytes > SAMPLE_BYTES_MAX) return;
  }
}
