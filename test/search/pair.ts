/**
 * The searched pair: two nodes, one message on the way in each direction, the link, and the session
 * of the store; and in which order things happen. Always holds: sending, the way and receiving are
 * moves of their own; a lost connection is noticed by each end on its own, and a new one comes only
 * after both have noticed. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import type { Move, OwnKind, Rules } from './move.ts';
import { DECIDES, told, type Moves } from './moves.ts';
import { mayBeOvertaken, unheard } from './meeting.ts';
import { Post } from './post.ts';
import { isCounted, outdated, outspoken, promised, unaware } from './promises.ts';
import { detached, meet, promote, synced, type Replica } from './replica.ts';
import type { Over, Site, Sites } from './site.ts';

/** A state of the pair, as numbers. */
export interface PairState {
  readonly a: number;
  readonly b: number;
  /** Message on the way to A and to B; 0 = none. */
  readonly toA: number;
  readonly toB: number;
  readonly flags: number;
}

/** The cable is in. */
export const WIRED = 1;
/** The nodes have a connection. */
export const LINKED = 2;
/** The copies of the store have a session. */
export const JOINED = 4;
/** Where the flags keep what is slow: the rank of a kind of moves, or 0. */
const SLOW_SHIFT = 3;
const SLOW = 63 << SLOW_SHIFT;

/** Takes a next state; `say` makes its words when they are wanted. */
export type Emit = (next: PairState, fault: boolean, say: () => string) => void;

/**
 * Kinds of moves in the order in which they come when nothing is slow: a node's own work first,
 * then the post, then what takes seconds, then what takes minutes.
 */
const KINDS = [
  'decide',
  'write',
  'work',
  'news',
  'check',
  'receive',
  'send',
  'session',
  'link',
  'meet',
  'connect',
  'sync',
  'again',
  'time',
  'boot',
  'operator',
  'cable',
] as const satisfies readonly (OwnKind | PairKind)[];
type PairKind = 'receive' | 'send' | 'session' | 'link' | 'meet' | 'connect' | 'sync' | 'cable';
type Kind = (typeof KINDS)[number];
const RANKS = new Map(KINDS.map((kind, index) => [kind, index * 2 + 1]));
/** Kind and node as one number; the lowest comes first. */
const rank = (kind: Kind, node: NodeId): number =>
  (RANKS.get(kind) as number) + (node === 'A' ? 0 : 1);
/** Writes of a client may come or not, at no cost. */
const WRITE_RANK = rank('write', 'B');
const DECIDE_RANK = rank('decide', 'B');

/** Something that can happen now; what comes of it is found out when it is asked for. */
interface Candidate {
  readonly rank: number;
  readonly fault: boolean;
  readonly next: () => PairState;
  readonly say: (next: PairState) => string;
}

/** All moves of a pair. */
export class PairMoves {
  readonly sites: Sites;
  readonly #moves: Moves;
  readonly #rules: Rules;
  readonly #post: Post;
  /** Every order of moves instead of the prompt one. */
  readonly #anyOrder: boolean;

  constructor(sites: Sites, moves: Moves, rules: Rules, anyOrder = false) {
    this.sites = sites;
    this.#moves = moves;
    this.#rules = rules;
    this.#post = new Post(sites);
    this.#anyOrder = anyOrder;
  }

  /** The next states that this search looks at. */
  each(from: PairState, budget: boolean, emit: Emit): void {
    const calm = unheard(this.#site(from.a), this.#site(from.b));
    const open = (from.flags & SLOW) === 0 ? from : { ...from, flags: from.flags & ~SLOW };
    const [p, faults] = calm ? [open, false] : [from, budget];
    const found = this.#all(open, faults);
    const put = (one: Candidate): boolean => {
      const next = one.next();
      if (same(next, open)) return false;
      const kept = { ...next, flags: next.flags | (p.flags & SLOW) };
      emit(kept, one.fault, () => one.say(next));
      return true;
    };
    for (const one of found) {
      const always = one.fault || this.#anyOrder || isWrite(one.rank);
      if (always) put(one);
    }
    if (!this.#anyOrder) this.#prompt(p, open, faults, found, put, emit);
  }

  /**
   * The next states when everything is prompt: the first kind of moves that is possible, in all its
   * ways. Something slow counts like a fault: that kind of moves on that node waits, while all
   * others go on, until any later time or until nothing else is left to do.
   */
  #prompt(
    p: PairState,
    open: PairState,
    faults: boolean,
    found: readonly Candidate[],
    put: (one: Candidate) => boolean,
    emit: Emit,
  ): void {
    const slow = (p.flags & SLOW) >> SLOW_SHIFT;
    const plain = found
      .filter((one) => !one.fault && one.rank !== slow && !isWrite(one.rank))
      .toSorted((a, b) => a.rank - b.rank);
    let first = 0;
    let others = false;
    for (const one of plain) {
      // What fails is tried again and again, and must not hold up what takes longer.
      const retries = first !== 0 && KINDS[(first - 1) >> 1] === 'again';
      if (first !== 0 && one.rank !== first && !retries) {
        others = true;
        break;
      }
      if (put(one)) first = one.rank;
    }
    if (slow !== 0) emit(open, false, () => 'what was slow goes on');
    else if (faults && this.#rules.faults.has('slow') && others && first > DECIDE_RANK) {
      const words = `${KINDS[(first - 1) >> 1]} of node ${first % 2 === 1 ? 'A' : 'B'} is slow`;
      emit({ ...p, flags: p.flags | (first << SLOW_SHIFT) }, true, () => words);
    }
  }

  /**
   * Everything that can happen. Reduction: while a node takes its decisions nothing can reach it
   * but a power cut, and nobody sees it before it rests; so its decisions commute with all that its
   * peer and the store do, and are taken before those. A cut is tried before and after each.
   */
  #all(p: PairState, faults: boolean): Candidate[] {
    const found: Candidate[] = [];
    const [a, b] = [this.#site(p.a), this.#site(p.b)];
    if (a.busy || b.busy) {
      const [first, second] = a.busy ? [a, b] : [b, a];
      this.#own(p, first, second, faults, found);
      if (!second.busy) this.#own(p, second, first, faults, found, true);
    } else {
      this.#own(p, a, b, faults, found);
      this.#own(p, b, a, faults, found);
      this.#mail(p, a, b, faults, found);
      this.#mail(p, b, a, faults, found);
      this.#between(p, a, b, faults, found);
    }
    if (faults && this.#rules.faults.has('crash')) this.#crashes(p, a, b, found);
    if (faults && this.#rules.faults.has('restart')) {
      this.#restart(p, a, b, found);
      this.#restart(p, b, a, found);
    }
    return found;
  }

  #site(id: number): Site {
    return this.sites.list[id] as Site;
  }

  /** Puts two nodes in their places; what stood between them stands only while both are there. */
  #put(p: PairState, x: Site, y: Site, toX = toOf(p, x), toY = toOf(p, y)): PairState {
    if (isCounted(x)) return this.#promised(p, x, y, toX, toY);
    const [a, b] = x.node === 'A' ? [x, y] : [y, x];
    const [toA, toB] = x.node === 'A' ? [toX, toY] : [toY, toX];
    let { flags } = p;
    if (a.world === null || b.world === null) flags &= ~LINKED;
    if (!a.copy.met || !b.copy.met) flags &= ~JOINED;
    return { a: a.id, b: b.id, toA, toB, flags };
  }

  /** The state after one more promise of `x`: whatever others know of its promises is old. */
  #promised(p: PairState, x: Site, y: Site, toX: number, toY: number): PairState {
    const [mine, theirs] = [promised(this.sites, x), unaware(this.sites, y)];
    const [toMe, toThem] = [this.#post.changed(toX, outspoken), this.#post.changed(toY, outdated)];
    return this.#put(p, mine, theirs, toMe, toThem);
  }

  /** What a node does by itself, with the help of its peer where it needs it. */
  #own(
    p: PairState,
    x: Site,
    y: Site,
    faults: boolean,
    found: Candidate[],
    killsOnly = false,
  ): void {
    const reachable = !this.#anyOrder && (p.flags & WIRED) !== 0;
    for (const move of this.#moves.of(x)) {
      if ((move.fault && !faults) || (killsOnly && move.with !== 'kill')) continue;
      if (move.with === 'off' && !mayBeOvertaken(y, x, reachable)) continue;
      const say = (next: PairState): string => {
        const after = this.#site(x.node === 'A' ? next.a : next.b);
        return `node ${x.node} ${move.say === DECIDES ? told(x, after) : move.say}`;
      };
      const next = (): PairState => this.#after(p, x, y, move);
      found.push({ rank: rank(move.kind, x.node), fault: move.fault, next, say });
    }
  }

  #after(p: PairState, x: Site, y: Site, move: Move): PairState {
    if (move.with === 'promote') return this.#promoted(p, x, y, move);
    const { next } = move;
    if (move.with === 'kill' && y.world !== null) return this.#dead(p, this.sites.off(y), next);
    return next.world === null ? this.#dead(p, next, y) : this.#put(p, next, y);
  }

  /** The state with `x` off: its boot is over for everybody. */
  #dead(p: PairState, x: Site, y: Site, over: Over = 'boot'): PairState {
    const other = this.sites.aged(y, x.node, over);
    const toY = other.world === null ? 0 : this.#post.aged(toOf(p, y), x.node, over);
    return this.#put(p, x, other, 0, toY);
  }

  /** The daemon of `x` ends and starts again: its connection is gone, too. */
  #restart(p: PairState, x: Site, y: Site, found: Candidate[]): void {
    if (x.world === null) return;
    const next = (): PairState => {
      const after = this.#dead(p, this.sites.restarted(x), y, 'run');
      return { ...after, flags: after.flags & ~LINKED };
    };
    const say = (): string => `the daemon of node ${x.node} starts again`;
    found.push({ rank: rank('boot', x.node), fault: true, next, say });
  }

  #promoted(p: PairState, x: Site, y: Site, move: Move): PairState {
    const joined = (p.flags & JOINED) !== 0;
    const name = `promote ${move.epoch} ${joined}`;
    const copies = this.sites.copies(name, x.copy, y.copy, (one, two) =>
      promote(one, two, move.epoch, joined),
    );
    const [mine, theirs] = copies ?? [x.copy, y.copy];
    const peer = this.sites.withCopy(y, theirs);
    if (copies !== null && mine.role === 'primary') {
      return this.#put(p, this.sites.withCopy(move.next, mine), peer);
    }
    const { service } = x.ops;
    const failed =
      service === null || service.aborted ? null : { ...service, stage: 'failed' as const };
    const ops = { ...x.ops, service: failed };
    return this.#put(p, this.sites.worked({ ...x, copy: mine, ops }), peer);
  }

  /** Sending, receiving, and noticing that the link or the session of the store came or went. */
  #mail(p: PairState, x: Site, y: Site, faults: boolean, found: Candidate[]): void {
    if (x.world === null) return;
    const { node } = x;
    const add = (
      kind: PairKind,
      words: string | ((next: PairState) => string),
      next: () => PairState,
      fault = false,
    ) => {
      const say = typeof words === 'string' ? () => words : words;
      found.push({ rank: rank(kind, node), fault, next, say });
    };
    const toX = toOf(p, x);
    const linked = (p.flags & LINKED) !== 0;
    if (toX !== 0) {
      const words = `node ${node} receives${this.#post.words(toX, true)}`;
      add('receive', words, () =>
        this.#put(p, this.#post.received(x, toX), y, this.#post.rest(toX)),
      );
    }
    if (linked && x.world.linkUp) {
      const out = this.#post.sent(x, y, toOf(p, y));
      const words = (): string => `node ${node} sends${this.#post.words(out)}`;
      if (out !== toOf(p, y)) add('send', words, () => this.#put(p, x, y, toX, out));
    } else if (linked !== x.world.linkUp || (!linked && toX !== 0)) {
      const words = `node ${node} finds the link ${linked ? 'up' : 'down'}`;
      const left = linked ? toX : 0;
      add('link', words, () => this.#put(p, this.#post.linked(x, linked), y, left));
    }
    if (faults && this.#rules.faults.has('serial')) this.#serial(p, x, y, add);
    if (x.copy.met && (p.flags & JOINED) === 0) {
      add('session', `the store of node ${node} finds its session lost`, () =>
        this.#put(p, this.sites.withCopy(x, detached(x.copy)), y),
      );
    }
  }

  /** What a second channel adds: see `serial` in move.ts. */
  #serial(
    p: PairState,
    x: Site,
    y: Site,
    add: (kind: PairKind, words: string, next: () => PairState, fault: boolean) => void,
  ): void {
    const toX = toOf(p, x);
    const linked = (p.flags & LINKED) !== 0;
    if (linked && x.world?.linkUp === true) {
      const words = `node ${x.node} hears nothing for a while`;
      add('link', words, () => this.#put(p, this.#post.linked(x, false), y), true);
    }
    const parts = this.#post.parts(toX);
    if (parts === null) return;
    const words = `node ${x.node} receives${this.#post.words(parts.rollout)} before its report`;
    const next = (): PairState =>
      this.#put(p, this.#post.received(x, parts.rollout), y, parts.report);
    add('receive', words, next, true);
  }

  /** The cable, the connection, the session of the store and its sync. */
  #between(p: PairState, a: Site, b: Site, faults: boolean, found: Candidate[]): void {
    const [wired, linked, joined] = [WIRED, LINKED, JOINED].map((flag) => (p.flags & flag) !== 0);
    const add = (kind: PairKind, words: string, next: () => PairState, fault = false): void => {
      found.push({ rank: rank(kind, 'A'), fault, next, say: () => words });
    };
    if (wired !== true) add('cable', 'the cable is back', () => ({ ...p, flags: p.flags | WIRED }));
    else if (faults && this.#rules.faults.has('link')) {
      add('cable', 'the cable is cut', () => ({ ...p, flags: 0 }), true);
    }
    if (a.world === null || b.world === null) return;
    const unaware = a.world.linkUp || b.world.linkUp || p.toA !== 0 || p.toB !== 0;
    if (wired === true && linked !== true && !unaware) {
      add('connect', 'the nodes connect', () => ({ ...p, flags: p.flags | LINKED }));
    }
    const change = (
      name: string,
      make: (x: Replica, y: Replica) => readonly [Replica, Replica],
    ) => {
      const [x, y] = this.sites.copies(name, a.copy, b.copy, make) ?? [a.copy, b.copy];
      const flags = x.met && y.met ? p.flags | JOINED : p.flags;
      return this.#put({ ...p, flags }, this.sites.withCopy(a, x), this.sites.withCopy(b, y));
    };
    const apart = wired === true && joined !== true && !a.copy.met && !b.copy.met;
    if (apart && a.storage !== null && b.storage !== null) {
      add('meet', 'the copies of the store meet', () => change('meet', meet));
    }
    if (joined === true && a.copy.view === 'syncing') {
      add('sync', 'the store of node B is in sync', () => change('sync B', synced));
    }
    if (joined === true && b.copy.view === 'syncing') {
      add('sync', 'the store of node A is in sync', () => change('sync A', turnedSync));
    }
  }

  #crashes(p: PairState, a: Site, b: Site, found: Candidate[]): void {
    const add = (words: string, next: () => PairState): void => {
      found.push({ rank: rank('boot', 'A'), fault: true, next, say: () => words });
    };
    if (a.world !== null) add('node A loses power', () => this.#dead(p, this.sites.off(a), b));
    if (b.world !== null) add('node B loses power', () => this.#dead(p, this.sites.off(b), a));
    if (a.world === null || b.world === null) return;
    add('both nodes lose power', () => {
      const one = this.#dead(p, this.sites.off(a), b);
      return this.#dead(one, this.sites.off(this.#site(one.b)), this.#site(one.a));
    });
  }

  /** The rollout record that is on the way to a node, for a trace. */
  rolloutOnTheWay(mail: number): RolloutRecord | null {
    return this.#post.mail(mail).rollout;
  }
}

/** The sync of the first copy has ended. */
const turnedSync = (x: Replica, y: Replica): readonly [Replica, Replica] => {
  const [two, one] = synced(y, x);
  return [one, two];
};

const toOf = (p: PairState, site: Site): number => (site.node === 'A' ? p.toA : p.toB);
const isWrite = (at: number): boolean => at === WRITE_RANK || at === WRITE_RANK - 1;

/** Whether two states are the same one. */
export function same(x: PairState, y: PairState): boolean {
  const nodes = x.a === y.a && x.b === y.b;
  return nodes && x.toA === y.toA && x.toB === y.toB && x.flags === y.flags;
}
