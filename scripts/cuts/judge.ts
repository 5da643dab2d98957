/**
 * The verdict on a cut disk: what the boot loader makes of it, and whether anything that counted is
 * lost. Always holds: what boots follows from the same rules as in the product (core/boot.ts, as
 * the tests of the boot loader have it); every rule of the order of writes is one row here, and a
 * disk is good only when no row complains. Pure; imports core, the firmware's rules and the facts.
 */
import { committedTrial, stateFromSeals, verdictOf, type BootState } from '../../src/core/boot.ts';
import { SLOT_CLASSES, type Slot, type SlotClass } from '../../src/core/model.ts';
import { compareWriter, type NodeRecord, type RolloutRecord } from '../../src/core/records.ts';
import { chooseSlot, type Choice } from '../supervisor/policy.ts';
import type { DiskFacts, SlotFacts } from './facts.ts';

/** What can be wrong with a disk. */
export const PROBLEMS = {
  'state-lost': 'neither copy of the boot state counts',
  'state-back': 'the boot state is older than one that was durable',
  'boots-nothing': 'no slot can be booted',
  'half-written': 'the slot that boots holds no whole image',
  'not-sealed': 'the slot that boots is not sealed',
  'default-lost': 'the default slot is not whole and sealed',
  'seal-lies': 'a seal speaks of an image that is not there whole',
  'mark-early': 'a seal is marked with a commit that the boot state does not know',
  'marks-astray': 'without the boot state, the seals lead to a slot that is not whole',
  'counter-lost': 'a trial is armed and its attempts cannot be counted',
  'file-system': 'the data partition needs a person',
  'journal-damaged': 'the journal is damaged',
  'journal-back': 'the journal lacks a record that was durable',
  'floor-back': 'the release floor went down',
  'trial-unrecorded': 'the boot state knows of a trial that the journal does not',
  'trial-lost': 'the journal counts on a trial that the boot state does not know',
  'verdict-unrecorded': 'a verdict on a trial stands that the journal did not decide',
  'installed-lost': 'the journal counts on an image that is not in its slot',
  'storage-lost': 'the slot of the storage software is not whole and sealed',
  'store-damaged': 'the store is damaged',
  'store-back': 'the store forgot an epoch that was durable',
  'write-lost': 'a write that was acknowledged is not in the store',
} as const satisfies Readonly<Record<string, string>>;
/** Name of what is wrong with a disk. */
export type ProblemCode = keyof typeof PROBLEMS;

/** One thing that is wrong. */
export interface Problem {
  readonly code: ProblemCode;
  /** What was found. */
  readonly found: string;
}

/** What was durable at some earlier moment and may never be lost. */
export interface Floor {
  readonly state: BootState | null;
  readonly journalSeq: number;
  readonly writer: RolloutRecord['writer'] | null;
  readonly releaseFloor: number;
  readonly storeEpoch: number;
}

/** Nothing is known yet. */
export const NO_FLOOR: Floor = {
  state: null,
  journalSeq: 0,
  writer: null,
  releaseFloor: 0,
  storeEpoch: 0,
};

/** A write of a client, by key: SHA-256 of the value that was acknowledged last. */
export type Acknowledged = ReadonlyMap<string, string>;

/** What is made of a disk. */
export interface Verdict {
  /** What boots; null = nothing, and a reset. */
  readonly boots: Choice | null;
  /** Version of the image in the slot that boots. */
  readonly version: string | null;
  /** Version that the appliance would go back to, or is on already. */
  readonly committed: string | null;
  readonly problems: readonly Problem[];
}

/** What a disk without unflushed writes adds to what may never be lost. */
export function raise(floor: Floor, { state, data }: DiskFacts): Floor {
  const { node, rollout, seq } = data.journal;
  return {
    state: state !== null && state.seq >= (floor.state?.seq ?? 0) ? state : floor.state,
    journalSeq: Math.max(floor.journalSeq, seq),
    writer: newer(floor.writer, rollout?.writer ?? null),
    releaseFloor: Math.max(floor.releaseFloor, node?.releaseFloor ?? 0),
    storeEpoch: Math.max(floor.storeEpoch, data.store.epoch),
  };
}

function newer(a: Floor['writer'], b: Floor['writer']): Floor['writer'] {
  if (a === null || b === null) return a ?? b;
  return compareWriter(a, b) < 0 ? b : a;
}

/** Judges a disk. */
export async function judge(
  facts: DiskFacts,
  floor: Floor,
  acknowledged: Acknowledged,
): Promise<Verdict> {
  const { state, slots } = facts;
  const boots = await choiceOf(facts);
  const booted = boots === null ? null : slots.system[boots.slot];
  const fallback = state === null ? null : slots.system[state.default];
  return {
    boots,
    version: booted?.image?.version ?? null,
    committed: fallback?.image?.version ?? null,
    problems: [
      ...bootProblems(facts, floor, boots),
      ...slotProblems(facts),
      ...trialProblems(facts),
      ...dataProblems(facts, floor),
      ...storeProblems(facts, floor, acknowledged),
    ],
  };
}

/** The boot loader's choice; a slot without a whole image cannot be counted on to load. */
async function choiceOf({ state, counter, slots }: DiskFacts): Promise<Choice | null> {
  const { A, B } = slots.system;
  const found = { state, counter };
  return chooseSlot(found, async () => Promise.resolve({ A: A.mark, B: B.mark }), {
    save: async () => Promise.resolve(),
    // What is in the default slot may load or not: it must never be asked.
    load: async (slot) => Promise.resolve(slots.system[slot].image !== null),
    log: () => undefined,
  });
}

const words = (value: unknown): string => JSON.stringify(value);
const problem = (code: ProblemCode, found: string): Problem => ({ code, found });

function bootProblems(facts: DiskFacts, floor: Floor, boots: Choice | null): readonly Problem[] {
  const { state, counter, slots } = facts;
  const found: Problem[] = [];
  const before = floor.state;
  if (state === null) found.push(problem('state-lost', 'two copies that do not count'));
  const same = state?.seq === before?.seq;
  if (
    before !== null &&
    (state === null || state.seq < before.seq || (same && !equal(state, before)))
  )
    found.push(problem('state-back', `${words(state)} after ${words(before)}`));
  if (boots === null) found.push(problem('boots-nothing', words(state)));
  const armed = state?.trial ?? null;
  // A trial that cannot be loaded goes back to the default at once: what it holds counts here.
  const tried = boots?.reason === 'trial' || armed === null ? boots?.slot : armed;
  if (tried !== undefined) {
    const { image, seal } = slots.system[tried];
    if (image === null) found.push(problem('half-written', `slot ${tried}`));
    if (seal === null) found.push(problem('not-sealed', `slot ${tried}`));
  }
  if (state !== null && !isWhole(slots.system[state.default])) {
    found.push(problem('default-lost', `slot ${state.default}`));
  }
  const sound = counter !== null && counter.trialId <= (state?.trialId ?? 0);
  if (armed !== null && !sound) found.push(problem('counter-lost', words(counter)));
  return found;
}

function equal(a: BootState, b: BootState): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function isWhole({ seal, image }: SlotFacts): boolean {
  return seal !== null && image !== null && seal.rawSha256 === image.sha256;
}

function slotProblems({ state, slots, data }: DiskFacts): readonly Problem[] {
  const found: Problem[] = [];
  for (const cls of SLOT_CLASSES) {
    for (const slot of ['A', 'B'] as const) {
      const one = slots[cls][slot];
      if (one.seal !== null && !isWhole(one)) {
        found.push(problem('seal-lies', `${cls} slot ${slot}, ${one.seal.release.version}`));
      }
      if (state !== null && !markFits(state, cls, slot, one.mark)) {
        found.push(problem('mark-early', `${cls} slot ${slot} has ${one.mark}: ${words(state)}`));
      }
    }
  }
  const { A, B } = slots.system;
  const stand = stateFromSeals({ A: A.mark, B: B.mark });
  if (stand === null || !isWhole(slots.system[stand.default])) {
    found.push(problem('marks-astray', words({ A: A.mark, B: B.mark })));
  }
  const current = data.journal.node?.storage.current;
  if (current !== undefined && !isWhole(slots.storage[current])) {
    found.push(problem('storage-lost', `slot ${current}`));
  }
  return found;
}

/** A mark is written after the commit that it tells of. */
function markFits(state: BootState, cls: SlotClass, slot: Slot, mark: number | null): boolean {
  if (mark === null || mark === 0) return true;
  if (cls === 'storage' || mark > state.trialId) return false;
  if (mark < state.trialId) return true;
  const committed = committedTrial(state);
  return committed?.id === mark && committed.slot === slot;
}

/** States of a node's update in which each verdict of the boot chooser may stand. */
const STATES_OF = {
  'never-armed': ['arming', 'reverting', 'reverted'],
  armed: ['arming', 'rebooting', 'trial', 'healthy', 'committing', 'reverting'],
  committed: ['committing', 'committed'],
  reverted: ['reverting', 'reverted'],
} as const;

function trialProblems({ state, slots, data }: DiskFacts): readonly Problem[] {
  const { node } = data.journal;
  if (node === null) return [];
  const found: Problem[] = [];
  const { update } = node;
  if (state !== null && state.trialId > node.lastTrialId) {
    const text = `trial ${state.trialId}, the journal knows ${node.lastTrialId}`;
    found.push(problem('trial-unrecorded', text));
  }
  const mine = 'trial' in update ? update.trial : null;
  if (state !== null && mine !== null && mine.id >= state.trialId) {
    const verdict = verdictOf(state, mine);
    const allowed: readonly string[] = STATES_OF[verdict];
    if (!allowed.includes(update.state)) {
      const code = verdict === 'never-armed' ? 'trial-lost' : 'verdict-unrecorded';
      found.push(problem(code, `${verdict} in ${update.state}`));
    }
  } else if (state !== null && state.trial !== null) {
    found.push(problem('trial-unrecorded', `${state.trialId} armed in ${update.state}`));
  }
  for (const [cls, slot] of countedOn(node)) {
    if (isWhole(slots[cls][slot])) continue;
    found.push(problem('installed-lost', `${cls} slot ${slot} in ${update.state}`));
  }
  return found;
}

/** Slots that the record says are installed. */
function countedOn({ update }: NodeRecord): readonly (readonly [SlotClass, Slot])[] {
  if (update.state === 'idle' || update.state === 'installing' || update.state === 'failed') {
    return [];
  }
  return update.targets.map((target) => [target.class, target.slot]);
}

function dataProblems({ data }: DiskFacts, floor: Floor): readonly Problem[] {
  const { journal } = data;
  const found: Problem[] = [];
  if (data.problem !== null) found.push(problem('file-system', data.problem));
  if (journal.problem !== null) found.push(problem('journal-damaged', journal.problem));
  if (journal.seq < floor.journalSeq) {
    found.push(problem('journal-back', `record ${journal.seq} after ${floor.journalSeq}`));
  }
  const writer = journal.rollout?.writer ?? null;
  if (floor.writer !== null && (writer === null || compareWriter(writer, floor.writer) < 0)) {
    found.push(problem('journal-back', `rollout ${words(writer)} after ${words(floor.writer)}`));
  }
  const lowest = journal.node?.releaseFloor ?? 0;
  if (lowest < floor.releaseFloor) {
    found.push(problem('floor-back', `${lowest} after ${floor.releaseFloor}`));
  }
  return found;
}

function storeProblems(
  { data }: DiskFacts,
  floor: Floor,
  acknowledged: Acknowledged,
): readonly Problem[] {
  const { store } = data;
  const found: Problem[] = [];
  if (store.problem !== null) found.push(problem('store-damaged', store.problem));
  if (store.epoch < floor.storeEpoch) {
    found.push(problem('store-back', `epoch ${store.epoch} after ${floor.storeEpoch}`));
  }
  const lost = [...acknowledged].filter(([key, hash]) => store.objects.get(key)?.hash !== hash);
  const [first] = lost;
  if (first !== undefined) {
    found.push(problem('write-lost', `${lost.length} of ${acknowledged.size}, one is ${first[0]}`));
  }
  return found;
}
