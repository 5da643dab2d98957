/**
 * What can be asked of a copy on DRBD, by the names of the socket's API, which is that of copies in
 * directories (images/storage/README.md). Imports core, the copy and its parts.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { isNode, type Release } from '../../src/core/model.ts';
import type { Operations } from '../storage/api.ts';
import { bytesOf, epochOf, limitOf, lineOf, textOf } from '../storage/fields.ts';
import { checkKey } from '../storage/limits.ts';
import type { Question } from '../storage/wire.ts';
import type { Copy } from './copy.ts';
import type { Pulse } from './health.ts';
import { factsOf, resolveSplit, splitView, yieldCopy, type SplitOptions } from './split.ts';
import type { Verifier } from './verify.ts';
import { isConnected, peerIsCurrent } from './view.ts';

/** What the operations answer from. */
export interface OperationsOptions {
  readonly copy: Copy;
  readonly release: Release;
  readonly verifier: Verifier;
  readonly pulse: Pulse;
  readonly split: SplitOptions;
  readonly health: () => Promise<void>;
}

/** How long the peer's copy may take to count as stale once DRBD was told. */
const STALE_MS = 4000;

/** Everything that can be asked. */
export function operationsOf(options: OperationsOptions): Operations {
  const { copy, release, verifier, pulse, split, health } = options;
  return {
    alive: async () => pulse.check(),
    promote: async ({ epoch }) => await copy.promote(epochOf(epoch)),
    demote: async () => await copy.demote(),
    goAlone: async ({ epoch }) => await copy.goAlone(epochOf(epoch)),
    finalizeFormat: async () => ({ level: await copy.finalizeFormat() }),
    health: async () => await health(),
    verify: async () => await verifier.start(),
    cancelVerify: async () => verifier.cancel(),
    verifyReport: async () => verifier.report,
    resync: async () => await resync(copy),
    split: async () => await splitView(split),
    resolve: async ({ keep, by, reason }) => {
      if (!isNode(keep)) throw new UpdateError('usage.invalid', 'keep is A or B');
      return await resolveSplit(split, keep, { by: lineOf(by), reason: lineOf(reason) });
    },
    info: async () => {
      const { all } = factsOf(copy);
      const { formatLevel } = copy.options.state.now;
      const { lastSync } = copy.options.meter;
      const logBytes = copy.store?.objects.log.bytes ?? 0;
      const droppedBytes = copy.store?.objects.log.droppedBytes ?? 0;
      const sizes = { objects: all.records, storeBytes: all.bytes, logBytes, droppedBytes };
      return { release, formatLevel, ...sizes, lastSync, kernel: copy.kernelState };
    },
    put: async ({ key, value }) => {
      await copy.write(checkKey(key), bytesOf(value));
    },
    delete: async ({ key }) => ({ found: await copy.write(checkKey(key), null) }),
    get: async ({ key }) => {
      const value = await copy.readable().objects.get(checkKey(key));
      return value === null ? null : value.toString('base64');
    },
    list: async ({ prefix, after, limit }) =>
      copy.readable().objects.keys(textOf(prefix), textOf(after), limitOf(limit)),
  };
}

/** Answers the other storage process. */
export async function answerPeer(
  { verifier, split, copy }: Pick<OperationsOptions, 'verifier' | 'split' | 'copy'>,
  question: Question,
): Promise<object | null> {
  switch (question.do) {
    case 'facts':
      return factsOf(copy);
    case 'yield':
      return await yieldCopy(split, question);
    case 'verify':
      await verifier.adopt(question.report);
      return null;
    default:
      throw new UpdateError('pair.protocol', 'a question that storage on DRBD does not answer');
  }
}

/** Everything is sent to the peer anew; resolves when its copy durably counts as stale. */
async function resync(copy: Copy): Promise<void> {
  const { kernel, watcher } = copy.options;
  if (!copy.leads) throw new UpdateError('store.read_only', 'the other node is active');
  if (!isConnected(copy.kernelState)) {
    throw new UpdateError('pair.not_healthy', 'the storage of the other node is not connected');
  }
  const damage = copy.store?.objects.damage;
  if (damage) throw damage;
  await copy.inTurn(() => kernel.invalidateRemote());
  await watcher.until((state) => !peerIsCurrent(state), STALE_MS);
}
