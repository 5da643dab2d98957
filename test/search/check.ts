/**
 * What is checked in every state of the pair (I1 to I8 of docs/ARCHITECTURE.md, as far as they are
 * about states), and what a quiet end is. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import type { Core } from './core.ts';
import { LINKED, JOINED, type PairState } from './pair.ts';
import type { Site } from './site.ts';

/** What a search is about. */
export interface Bundle {
  /** Which systems the new storage software runs under; null = no storage in the bundle. */
  readonly storageRunsWith: string | null;
}

const served = (x: Site): boolean => x.serves;
const systemOf = (x: Site): number => x.seals.system[x.boot.default]?.release.counter ?? 0;
const storageOf = (x: Site): number =>
  x.seals.storage[x.record.storage.current]?.release.counter ?? 0;

/** What must never be, in words; null when the state is sound. */
export function broken(a: Site, b: Site, bundle: Bundle): string | null {
  if (a.serves && b.serves) return 'I1 two nodes serve';
  if (a.copy.ahead && b.copy.ahead) return 'I2 both copies were written alone';
  return one(a, b, bundle) ?? one(b, a, bundle) ?? records(a, b);
}

function one(x: Site, y: Site, bundle: Bundle): string | null {
  const { node, world } = x;
  if (served(x)) {
    if (y.copy.ahead || x.copy.stale) return `I2 node ${node} serves without all that was written`;
    const theirs = y.record.role;
    if (theirs.epoch > x.record.role.epoch && theirs.holder !== node) {
      return `I5 node ${node} serves and the holder of a higher epoch is its peer`;
    }
    if (world !== null && world.boot.slot !== x.boot.default)
      return `I8 node ${node} serves on trial`;
  }
  if (world !== null && x.storage !== null && bundle.storageRunsWith === '>=2.0.0') {
    const storage = x.seals.storage[x.storage]?.release.counter ?? 0;
    if (storage >= 2 && (world.system?.counter ?? 0) < 2) {
      return `I7 node ${node} runs the new storage software under the old system`;
    }
  }
  if (x.boot.trial !== null && x.boot.trial === x.boot.default) return 'I4 default slot on trial';
  return null;
}

function records(a: Site, b: Site): string | null {
  const [mine, theirs] = [a.record.role, b.record.role];
  if (mine.epoch === theirs.epoch && mine.holder !== theirs.holder) {
    return 'I5 one epoch, two holders';
  }
  if (a.record.standDown !== null && b.record.standDown !== null) return 'I6 both stood down';
  if (a.boot.trial !== null && b.boot.trial !== null) return 'I3 two trials at once';
  return untouched(a, b) ?? untouched(b, a) ?? uncounted(a, b) ?? uncounted(b, a);
}

/** R4, R6: whoever may take over by itself is never counted on not to; else both would serve. */
function uncounted(x: Site, y: Site): string | null {
  const { world, record } = x;
  if (world === null || world.takeover !== 'fence' || !world.admitted) return null;
  const { role } = y.record;
  const counts =
    role.holder === y.node && role.epoch === record.role.epoch && !role.peerMayTakeOver;
  return counts
    ? `R6 node ${x.node} may take over, and node ${y.node} counts on it that not`
    : null;
}

/** I3: the second node is untouched until the first is committed, unless the pair rolls back. */
function untouched(x: Site, first: Site): string | null {
  const { rollout } = x;
  if (rollout === null || rollout.first === x.node) return null;
  const { update } = x.record;
  const done = systemOf(first) === rollout.to.counter;
  if (update.state === 'idle' || update.rollout !== rollout.id || done) return null;
  const back = [rollout, first.rollout].some(
    (one) => one !== null && (one.phase.startsWith('RB_') || BACK.has(one.phase)),
  );
  return back ? null : `I3 node ${x.node} was touched before node ${first.node} was committed`;
}

const BACK: ReadonlySet<string> = new Set(['ROLLED_BACK', 'HOLD_MIXED']);

/** Ends at which both nodes have what they had before. */
const UNCHANGED: ReadonlySet<string> = new Set(['FAILED', 'CANCELLED', 'ROLLED_BACK']);

/** At a quiet end: what the nodes run must be what the end says; null when it is so. */
export function falseEnd(a: Site, b: Site): string | null {
  const { rollout } = a;
  if (rollout === null) return null;
  const { phase, to, first } = rollout;
  const after = to.counter;
  const before = 3 - after;
  const [one, two] = first === 'A' ? [a, b] : [b, a];
  const runs = [systemOf(one), systemOf(two)];
  const want = phase === 'DONE' ? [after, after] : phase === 'HOLD_MIXED' ? [after, before] : null;
  const good = want ?? (UNCHANGED.has(phase) ? [before, before] : []);
  const told = `the end ${phase} of ${rollout.id}`;
  if (runs.join() !== good.join()) return `${told} with systems ${runs.join(' and ')}`;
  const storages = [storageOf(one), storageOf(two)];
  const wanted = rollout.to.images.some((image) => image.class === 'storage') ? 2 : 1;
  const level = rollout.kind === 'update' && phase === 'DONE';
  if (level && storages.some((counter) => counter !== wanted)) {
    return `${told} with storage ${storages.join(' and ')}`;
  }
  return null;
}

/** Nothing moves any more: an end, both know it, one serves, the other may take over. */
export function quiet(a: Site, b: Site, p: PairState, core: Core): boolean {
  const linked = (p.flags & LINKED) !== 0 && (p.flags & JOINED) !== 0;
  if (!linked || a.busy || b.busy || p.toA !== 0 || p.toB !== 0) return false;
  if (a.rollout !== b.rollout || core.state.running(a.rollout)) return false;
  if (a.serves === b.serves) return false;
  return a.serves ? formed(a, b) : formed(b, a);
}

function formed(active: Site, standby: Site): boolean {
  const { world } = standby;
  if (world === null || active.world === null || !active.world.linkUp) return false;
  const may = active.record.role.peerMayTakeOver && world.admitted && world.linkUp;
  const rests = [active, standby].every((site) => {
    return site.boot.trial === null && site.world?.boot.slot === site.boot.default;
  });
  const whole = !active.copy.stale && !standby.copy.stale && !active.copy.ahead;
  const same = active.record.role.epoch === standby.record.role.epoch;
  return may && rests && whole && same && standby.record.standDown === null;
}

/** Node that serves, for readers. */
export const serverOf = (a: Site, b: Site): NodeId | null =>
  a.serves ? 'A' : b.serves ? 'B' : null;
