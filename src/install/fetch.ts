/**
 * Takes a bundle from the peer into the depot. Always holds: the head is verified against this
 * node's own trust root before anything is reserved, so the peer is not believed but its key is;
 * each chunk is verified before it is written; a run that was interrupted goes on where it was.
 * Imports core, bundle and the files of this room.
 */
import { openBundle } from '../bundle/reader.ts';
import { loadTrustRoot } from '../bundle/trust.ts';
import { UpdateError } from '../core/errors.ts';
import { depotFor, fillDepot, inDepot } from './fill.ts';
import { lockPath } from './lock.ts';
import type { InstallerRequest, VerifyResult } from './protocol.ts';
import { openRemote } from './remote-source.ts';
import { resultOf, type WorkOptions } from './verify.ts';

/** Ranges under way at a time: enough to hide the way to the peer and back. */
const DEPTH = 8;

/**
 * Fetches. Returns at once (after hashing it) when the depot has the bundle already. Throws
 * `pair.*`, `bundle.*`, `trust.*`, `space.depot`, `state.locked`, the reason of the signal.
 */
export async function fetchBundle(
  request: Extract<InstallerRequest, { do: 'fetch' }>,
  options: WorkOptions,
): Promise<VerifyResult> {
  const root = await loadTrustRoot(request.trustRoot);
  const depot = await depotFor(request.depotDir, root);
  await using locks = new AsyncDisposableStack();
  locks.use(await lockPath(request.depotDir, options.signal));
  const target = { depot, root };
  const there = await inDepot(target, request.bundle, options);
  if (there !== null) return resultOf(there);
  await using source = await openRemote(request.from, options.signal);
  const bundle = await openBundle(source, root, options.signal);
  if (bundle.bundle !== request.bundle || bundle.sizeBytes !== request.bytes) {
    throw new UpdateError(
      'bundle.damaged',
      `the peer offers bundle ${bundle.bundle} of ${bundle.sizeBytes} bytes, ` +
        `expected ${request.bundle} of ${request.bytes}`,
      { detail: { found: bundle.bundle, expected: request.bundle } },
    );
  }
  await fillDepot(source, bundle, target, { ...options, depth: DEPTH });
  return resultOf(bundle);
}
