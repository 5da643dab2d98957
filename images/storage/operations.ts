/**
 * What can be asked of a copy that is kept in a directory, by the names of the socket's API (README
 * beside this file). Imports core and the replica.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { isNode, type Release } from '../../src/core/model.ts';
import type { Operations } from './api.ts';
import { bytesOf, epochOf, limitOf, lineOf, textOf } from './fields.ts';
import { checkAlive } from './health.ts';
import { checkKey } from './limits.ts';
import type { Replica } from './replica.ts';
import { resolveSplit, splitView } from './split.ts';

/** What the operations answer from. */
export interface OperationsOptions {
  readonly replica: Replica;
  readonly release: Release;
  readonly health: () => Promise<void>;
}

/** Everything that can be asked of a copy in a directory. */
export function operationsOf({ replica, release, health }: OperationsOptions): Operations {
  const { objects } = replica;
  return {
    alive: async () => checkAlive(replica),
    promote: async ({ epoch }) => await replica.promote(epochOf(epoch)),
    demote: async () => await replica.demote(),
    goAlone: async ({ epoch }) => await replica.goAlone(epochOf(epoch)),
    finalizeFormat: async () => ({ level: await replica.finalizeFormat() }),
    health: async () => await health(),
    verify: async () => replica.verifier?.start(),
    cancelVerify: async () => replica.verifier?.cancel(),
    verifyReport: async () => replica.verifier?.report ?? null,
    resync: async () => await replica.resync(),
    split: async () => await splitView(replica),
    resolve: async ({ keep, by, reason }) => {
      if (!isNode(keep)) throw new UpdateError('usage.invalid', 'keep is A or B');
      return await resolveSplit(replica, keep, { by: lineOf(by), reason: lineOf(reason) });
    },
    info: async () => ({
      release,
      formatLevel: replica.state.now.formatLevel,
      objects: objects.size,
      storeBytes: objects.valueBytes,
      logBytes: objects.log.bytes,
      droppedBytes: objects.log.droppedBytes,
      lastSync: replica.lastSync,
    }),
    put: async ({ key, value }) => {
      await replica.write(checkKey(key), bytesOf(value));
    },
    delete: async ({ key }) => ({ found: await replica.write(checkKey(key), null) }),
    get: async ({ key }) => {
      const value = await objects.get(checkKey(key));
      return value === null ? null : value.toString('base64');
    },
    list: async ({ prefix, after, limit }) =>
      objects.keys(textOf(prefix), textOf(after), limitOf(limit)),
  };
}
