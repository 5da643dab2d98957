/**
 * What the tests of this folder share: sources that log their reads, a key with its root, and the
 * expectation of a code. Imports the bundle room.
 */
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import { openBundle } from '../../src/bundle/reader.ts';
import type { ByteSource } from '../../src/bundle/source.ts';
import { parseTrustRoot } from '../../src/bundle/trust.ts';
import { rootOf, testKey } from './craft.ts';

/** The key that signs in most tests, and the root that trusts it. */
export const KEY = testKey();
export const ROOT = parseTrustRoot(Buffer.from(JSON.stringify(rootOf([KEY]))));

export interface LoggedSource extends ByteSource {
  readonly reads: readonly (readonly [offset: number, length: number])[];
}

/** Source over bytes in memory; a read outside of them fails the test. */
export function memorySource(bytes: Uint8Array, sizeBytes = bytes.length): LoggedSource {
  const reads: [number, number][] = [];
  return {
    sizeBytes,
    reads,
    readAt: (offset, length, signal) => {
      signal?.throwIfAborted();
      reads.push([offset, length]);
      const inside = offset >= 0 && length >= 0 && offset + length <= bytes.length;
      if (!inside) throw new Error(`read of ${length} bytes at ${offset} is out of bounds`);
      return Promise.resolve(Uint8Array.from(bytes.subarray(offset, offset + length)));
    },
  };
}

/** What an attempt ends with: the error's code, or `ok`; anything but an UpdateError is told. */
export async function outcome(work: () => unknown): Promise<string> {
  return (await failure(work))?.code ?? 'ok';
}

/** The UpdateError of an attempt; undefined when it succeeds. Other errors are thrown on. */
export async function failure(work: () => unknown): Promise<UpdateError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof UpdateError) return error;
    throw error;
  }
}

/** What opening these bytes ends with. */
export async function opened(bytes: Uint8Array): Promise<string> {
  return await outcome(() => openBundle(memorySource(bytes), ROOT));
}

/** Work that opens these bytes, for a row of `codes`. */
export function opening(bytes: Uint8Array): () => Promise<unknown> {
  return async () => await openBundle(memorySource(bytes), ROOT);
}

/** One assertion per row: the code that the row's work ends with. */
export async function codes(
  name: string,
  rows: readonly (readonly [row: string, expected: string, work: () => unknown])[],
): Promise<void> {
  await t.test(name, async (sub) => {
    for (const [row, expected, work] of rows) sub.equal(await outcome(work), expected, row);
  });
}
