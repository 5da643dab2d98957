/**
 * A pair at release 1 and a bundle of release 2 to vary in tests of policy. Imports core.
 */
import type { Manifest, ManifestImage } from '../../src/core/manifest.ts';
import { parseSha256, type Release, type SlotClass } from '../../src/core/model.ts';
import type { NodeView, PolicyView } from '../../src/core/policy.ts';

/** Stands for every digest: policy never looks at one. */
export const DIGEST = parseSha256('0123456789abcdef'.repeat(4));

/** Version words follow the counters, so that a table row needs only the counter. */
export const versionOf = (counter: number): string => `${counter}.0.0`;

/** What a node says that it runs. */
export function release(cls: SlotClass, counter: number, version = versionOf(counter)): Release {
  return { product: 'store-1', class: cls, version, counter };
}

/** An image of a class at a release counter. */
export function image(
  cls: SlotClass,
  counter: number,
  more: Partial<ManifestImage> = {},
): ManifestImage {
  return {
    name: cls,
    class: cls,
    version: versionOf(counter),
    counter,
    rawBytes: 1000,
    chunkBytes: 1 << 20,
    chunks: 1,
    compressedBytes: 100,
    indexBytes: 88,
    indexSha256: DIGEST,
    rawSha256: DIGEST,
    imageId: DIGEST,
    runsWith: '*',
    ...more,
  };
}

/** Brings release 2 of both classes. */
export const MANIFEST: Manifest = {
  format: 1,
  product: 'store-1',
  hardware: ['board-1', 'board-2'],
  version: '2.0.0',
  releaseCounter: 2,
  from: '>=1.0.0 <3.0.0',
  blocked: [],
  minUpdater: '0.1.0',
  pair: { protocol: [1, 1], sideBySide: '>=1.0.0 <3.0.0' },
  requires: [],
  images: [image('system', 2), image('storage', 2)],
};

/** A node that runs these release counters. */
export function nodeView(system: number, storage: number, more: Partial<NodeView> = {}): NodeView {
  return {
    system: release('system', system),
    storage: release('storage', storage),
    floor: 0,
    reachable: true,
    ...more,
  };
}

/** Both nodes at release 1. */
export const VIEW: PolicyView = {
  product: 'store-1',
  hardware: 'board-1',
  updaterVersion: '0.1.0',
  protocol: [1, 1],
  nodes: { A: nodeView(1, 1), B: nodeView(1, 1) },
  requiresKnown: [],
  bundle: DIGEST,
  bundleBytes: 500,
};
