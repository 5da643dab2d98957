/**
 * Installs images of a depot bundle into slots. Always holds: the bundle is opened once, and the
 * descriptor whose head was verified is the one that every chunk is read from; no slot is written
 * before the signature, the index and every size were checked; one installer at a time works on a
 * slot; the result names only slots whose every chunk was hashed in the slot, or before it was
 * written where read-back is off. The caller invalidates the slots before and seals them after.
 * Imports core, bundle, drivers and the files of this room.
 */
import { availableParallelism } from 'node:os';
import { openBundle } from '../bundle/reader.ts';
import { openFileSource } from '../bundle/source.ts';
import { loadTrustRoot } from '../bundle/trust.ts';
import { UpdateError } from '../core/errors.ts';
import { proveBase } from './base-slot.ts';
import { Helper } from './crew.ts';
import { Hints } from './hint.ts';
import { lockPath } from './lock.ts';
import { Meter, type OnProgress } from './meter.ts';
import { planTarget, type Plan } from './plan.ts';
import type { InstallerRequest, InstallResult } from './protocol.ts';
import { installSlot, usableHint } from './slot-install.ts';

/** The part of the protocol that is served here. */
export type InstallRequest = Extract<InstallerRequest, { do: 'install' }>;

/** How an install reports, ends early and shares its work. */
export interface InstallOptions {
  readonly signal: AbortSignal;
  readonly onProgress: OnProgress;
  /** The program's entry file, for the worker thread; null = all work in this thread. */
  readonly entry: string | null;
}

/**
 * Installs, and resumes by itself where the progress file knows slot and image. Throws `bundle.*`,
 * `trust.*`, `space.slot` and `bundle.wrong_base` (before the first write), `slot.io`,
 * `slot.readback`, `slot.base_damaged`, `state.locked`, `state.io`, and the reason of the signal.
 */
export async function installImages(
  request: InstallRequest,
  options: InstallOptions,
): Promise<InstallResult> {
  const root = await loadTrustRoot(request.trustRoot);
  await using source = await openFileSource(request.path);
  const bundle = await openBundle(source, root, options.signal);
  const plans: Plan[] = [];
  for (const target of request.targets) {
    plans.push(await planTarget(bundle, target, request.format));
  }
  // It starts while this thread goes on; a delta leaves no room for it.
  const alone = plans.some(({ base }) => base !== null);
  await using helper = !alone && wantsHelper(options.entry) ? new Helper(options.entry) : null;
  await using locks = new AsyncDisposableStack();
  for (const { target } of plans) locks.use(await lockSlot(target.device, options.signal));
  await using hints = await Hints.open(request.progressFile);

  const passes = request.readBack ? 2 : 1;
  const { format } = request;
  // Slots that hold the image already need nothing of a base, unless they turn out not to.
  const deltas = plans.filter((plan) => usableHint(plan, { hints, format })?.complete !== true);
  const baseBytes = deltas.reduce((sum, { base }) => sum + (base?.rawBytes ?? 0), 0);
  const totalBytes = plans.reduce((sum, plan) => sum + plan.bytes * passes, baseBytes);
  const meter = new Meter(totalBytes, options.onProgress);
  await proveBases(deltas, meter, options.signal);
  const images: InstallResult['images'][number][] = [];
  let beforeBytes = baseBytes;
  for (const plan of plans) {
    const { readBack } = request;
    const shared = { signal: options.signal, bundleFd: source.handle.fd, helper, hints, meter };
    const proven = deltas.includes(plan);
    images.push(await installSlot(plan, { ...shared, proven, readBack, format, beforeBytes }));
    beforeBytes += plan.bytes * passes;
  }
  meter.at(totalBytes);
  meter.tell();
  return { images };
}

/** All of them, before the first write to any slot. */
async function proveBases(plans: readonly Plan[], meter: Meter, signal: AbortSignal) {
  let doneBytes = 0;
  for (const { base: job, opened } of plans) {
    const { base } = opened.image;
    if (job === null || base === undefined) continue;
    await proveBase(base, job, { signal, onBytes: (bytes) => meter.at(doneBytes + bytes) });
    doneBytes += job.rawBytes;
  }
}

async function lockSlot(device: string, signal: AbortSignal): Promise<AsyncDisposable> {
  try {
    return await lockPath(device, signal);
  } catch (cause) {
    if (!(cause instanceof UpdateError) || cause.code !== 'file.not_found') throw cause;
    throw new UpdateError('slot.io', `there is no slot ${device}`, { cause, detail: { device } });
  }
}

/** On a machine with one processor a second thread only costs memory. */
function wantsHelper(entry: string | null): entry is string {
  return entry !== null && availableParallelism() > 1;
}
