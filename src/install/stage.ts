/**
 * Takes a bundle file of this machine into the depot. Always holds: the file is opened once, and
 * what is copied is what was verified (no moment between check and use, CVE-2020-25860); a run that
 * was interrupted goes on where it was. Imports core, bundle and the files of this room.
 */
import { openBundle } from '../bundle/reader.ts';
import { openFileSource } from '../bundle/source.ts';
import { loadTrustRoot } from '../bundle/trust.ts';
import { depotFor, fillDepot, inDepot } from './fill.ts';
import { lockPath } from './lock.ts';
import type { InstallerRequest, VerifyResult } from './protocol.ts';
import { resultOf, type WorkOptions } from './verify.ts';

/** Reads under way at a time: one is checked and written while the next one is read. */
const DEPTH = 2;

/**
 * Stages. Returns at once (after hashing it) when the depot has the bundle already. Throws
 * `bundle.*`, `trust.*`, `file.*`, `space.depot`, `state.locked`, the reason of the signal.
 */
export async function stageFile(
  request: Extract<InstallerRequest, { do: 'stage' }>,
  options: WorkOptions,
): Promise<VerifyResult> {
  const root = await loadTrustRoot(request.trustRoot);
  await using source = await openFileSource(request.path);
  const bundle = await openBundle(source, root, options.signal);
  const depot = await depotFor(request.depotDir, root);
  await using locks = new AsyncDisposableStack();
  locks.use(await lockPath(request.depotDir, options.signal));
  const target = { depot, root };
  const there = await inDepot(target, bundle.bundle, options);
  if (there === null) await fillDepot(source, bundle, target, { ...options, depth: DEPTH });
  return resultOf(bundle);
}
