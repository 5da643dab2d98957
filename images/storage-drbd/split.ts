/**
 * A split brain of DRBD: what an operator has to know, and what happens when one of the copies
 * gives way. Always holds: nothing is written before an operator has named the copy that is kept;
 * all records of the other one are in a synced file on its node before DRBD may overwrite it; until
 * then a power cut leaves the split as it was. DRBD compares blocks and not records, so which of
 * them differ is not known. Imports core, the copy, the peer and the saving of records.
 */
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { Amount, SavedRecords, SplitSide, SplitView } from '../../src/core/store.ts';
import { saveRecords } from '../storage/split.ts';
import type { Copy } from './copy.ts';
import { readOnce } from './promotion.ts';
import type { Tender } from './tender.ts';
import { isStandAlone } from './view.ts';

/** Who resolves it and why, for the file and the logs. */
export interface Why {
  readonly by: string;
  readonly reason: string;
}

/** What a split is resolved with. */
export interface SplitOptions {
  readonly copy: Copy;
  readonly tender: Tender;
  readonly pair: string;
  /** Directory on the data partition. */
  readonly dataDir: string;
}

/** What one side says of its copy. */
interface SideFacts {
  readonly epoch: number;
  readonly aloneSince: string | null;
  readonly all: Amount;
}

/** DRBD's words for copies that have no id in common; drbd_receiver.c. */
const UNRELATED = /Unrelated data/;
const NONE: Amount = { records: 0, bytes: 0 };

/** What is known of this copy; of one that is not primary, what it held when it last was. */
export function factsOf({ options, store }: Copy): SideFacts {
  const { epoch, aloneSince = null, counted = NONE } = options.state.now;
  return { epoch, aloneSince, all: store?.amount ?? counted };
}

function needSplit({ splitBrain }: Copy): void {
  if (splitBrain !== null) return;
  throw new UpdateError('store.not_split', 'the two copies are not known to be split');
}

/** Both copies beside each other. Throws `store.not_split` or `pair.peer_unreachable`. */
export async function splitView({ copy }: SplitOptions): Promise<SplitView> {
  needSplit(copy);
  const theirs = (await copy.peer?.ask<SideFacts>({ do: 'facts' })) ?? lost();
  // Each may differ in all that it has: nothing smaller can be promised.
  const side = (facts: SideFacts): SplitSide => ({ ...facts, only: facts.all, other: NONE });
  const [mine, other] = [side(factsOf(copy)), side(theirs)];
  const sides = copy.options.node === 'A' ? { A: mine, B: other } : { A: other, B: mine };
  return { ...sides, keys: [] };
}

/**
 * The copy that is not `keep` gives way, here or there; resolves when it may be overwritten. The
 * one that is kept hears of it over the channel and connects again.
 */
export async function resolveSplit(
  options: SplitOptions,
  keep: NodeId,
  why: Why,
): Promise<SavedRecords> {
  const { copy } = options;
  needSplit(copy);
  if (keep === copy.options.node) {
    return (await copy.peer?.ask<SavedRecords>({ do: 'yield', ...why })) ?? lost();
  }
  // The other side must be there: it is the one that this copy takes everything from.
  await copy.peer?.ask({ do: 'facts' });
  return await yieldCopy(options, why);
}

/** This copy gives way: its records are saved, then DRBD may take the other one's content. */
export async function yieldCopy(
  { copy, tender, pair, dataDir }: SplitOptions,
  { by, reason }: Why,
): Promise<SavedRecords> {
  needSplit(copy);
  const { node, state } = copy.options;
  tender.paused = true;
  try {
    return await copy.inTurn(async () => {
      await copy.stepDown('an operator gave up this copy');
      const { epoch } = state.now;
      const { generation } = copy;
      const saved = await readOnce(copy.options, async ({ objects, amount }) => {
        const head = { node, pair, epoch, generation, by, reason };
        const keys = [...objects.liveKeys()].toSorted();
        const folder = join(dataDir, 'saved');
        const file = await saveRecords({ objects, keys, bytes: amount.bytes, folder, head });
        return { node, file, ...amount };
      });
      await giveUpContent(copy);
      await state.change({ aloneSince: null });
      copy.splitEnded();
      return saved;
    });
  } finally {
    tender.paused = false;
  }
}

/** From now on DRBD may overwrite this copy with the other one's content. */
async function giveUpContent(copy: Copy): Promise<void> {
  const { kernel, state } = copy.options;
  if (UNRELATED.test(copy.splitBrain?.message ?? '')) {
    // Ids without anything in common are joined by nothing but a copy without any.
    await state.change({ metaData: 'begun' });
    await kernel.down();
    await kernel.makeMetaData();
    await kernel.up();
    await state.change({ metaData: 'made' });
    return;
  }
  if (!isStandAlone(copy.kernelState)) await kernel.disconnect();
  await kernel.connect(true);
}

function lost(): never {
  const message = 'the storage software of the other node does not answer';
  throw new UpdateError('pair.peer_unreachable', message);
}
