/**
 * Specs, image files and tools for the tests of the maker. Imports the bundle room's types.
 */
import { spawnSync } from 'node:child_process';
import type { BundleSpec } from '../../src/bundle/builder.ts';
import type { SigningKey } from '../../src/bundle/keys.ts';
import { parseTrustRoot, type TrustRoot } from '../../src/bundle/trust.ts';
import { CHUNK } from './craft.ts';

/** A spec that fits `sampleImages()`. */
export function sampleSpec(change: Partial<BundleSpec> = {}): BundleSpec {
  return {
    product: 'tandem-test',
    hardware: ['bench-1'],
    version: '2.0.0',
    releaseCounter: 20,
    from: '>=1.0.0',
    blocked: ['1.3.7'],
    minUpdater: '0.1.0',
    pair: { protocol: [1, 2], sideBySide: '>=1.0.0' },
    chunkBytes: CHUNK,
    images: [
      { name: 'system', class: 'system', version: '2.0.0', counter: 20, runsWith: '*' },
      {
        name: 'storage',
        class: 'storage',
        version: '1.4.0',
        counter: 14,
        runsWith: '>=1.0.0',
        formatLevel: 3,
      },
    ],
    ...change,
  };
}

/** Root that asks for signatures of `threshold` of these keys. */
export function trusting(keys: readonly SigningKey[], threshold = 1): TrustRoot {
  const entries = keys.map((key) => ({
    keyid: key.keyid,
    scheme: 'ed25519',
    public: key.public,
  }));
  const root = { schema: 1, version: 1, threshold, keys: entries };
  return parseTrustRoot(Buffer.from(JSON.stringify(root)));
}

/** Output of a program, or undefined where it is not installed. */
export function run(program: string, args: readonly string[], cwd: string): Buffer | undefined {
  const done = spawnSync(program, args, { cwd, maxBuffer: 64 * 1024 * 1024 });
  if (done.error && 'code' in done.error && done.error.code === 'ENOENT') return undefined;
  if (done.status !== 0) throw new Error(`${program}: ${done.stderr.toString()}`);
  return done.stdout;
}
