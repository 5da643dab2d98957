/**
 * No fencer: what a pair has whose nodes cannot switch each other off (policy `manual`). Always
 * holds: it never says that the peer is off. Imports core and ports.
 */
import { UpdateError } from '../core/errors.ts';
import type { Fencer } from '../ports.ts';

/** The fencer of kind `none`: its self-test fails, and so does every fence. */
export function noFencer(): Fencer {
  return {
    kind: 'none',
    selfTest: async (signal) => {
      signal.throwIfAborted();
      const message = 'No fencer is configured; without one only the policy manual is possible';
      return Promise.reject(new UpdateError('fence.self_test', message));
    },
    fence: async () => Promise.resolve('failed'),
    restore: async () => Promise.resolve(),
    power: async () => Promise.resolve('unknown'),
  };
}
