/**
 * Reads the head of a bundle in the depot: the signature is verified again each time, so that a
 * file which was changed on the disk is no entry any more. Imports bundle.
 */
import { open } from 'node:fs/promises';
import { openBundle } from '../bundle/reader.ts';
import { fileSource } from '../bundle/source.ts';
import { loadTrustRoot } from '../bundle/trust.ts';
import type { Manifest } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';

/** A reader of heads that trusts the keys of this root. */
export function readDepotHead(
  trustRoot: string,
): (path: string) => Promise<{ readonly bundle: Sha256; readonly manifest: Manifest }> {
  return async (path) => {
    await using handle = await open(path, 'r');
    const root = await loadTrustRoot(trustRoot);
    const { bundle, manifest } = await openBundle(await fileSource(handle), root);
    return { bundle, manifest };
  };
}
