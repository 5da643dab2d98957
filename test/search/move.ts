/**
 * One move of a node, and which faults a search lets happen. Only tests import it.
 */
import type { RolloutRecord } from '../../src/core/records.ts';
import type { World } from '../../src/core/state.ts';
import type { Site } from './site.ts';

/** Something that the search found and that must never be. */
export class Broken extends Error {}

/** What kind of thing a node does by itself. */
export type OwnKind =
  'decide' | 'write' | 'work' | 'news' | 'check' | 'again' | 'boot' | 'time' | 'operator';

/** What the peer has to do with a move: its store answers, it loses power, or it must be off. */
export type Peer = 'promote' | 'kill' | 'off';

/** What a move is besides. */
export interface Extra {
  readonly fault?: boolean;
  readonly with?: Peer;
  readonly epoch?: number;
}

/** One move of a node. What comes of it is found out when it is asked for, once. */
export class Move {
  readonly say: string;
  /** A fault or an operator: taken from the budget. */
  readonly fault: boolean;
  readonly kind: OwnKind;
  /** The move also touches the peer; then `next` is the node if the peer agrees. */
  readonly with: Peer | null;
  readonly epoch: number;
  readonly #make: () => Site;
  #next: Site | null = null;

  constructor(say: string, kind: OwnKind, make: () => Site, more: Extra = {}) {
    this.say = say;
    this.kind = kind;
    this.#make = make;
    this.fault = more.fault ?? false;
    this.with = more.with ?? null;
    this.epoch = more.epoch ?? 0;
  }

  /** The node after it. */
  get next(): Site {
    this.#next ??= this.#make();
    return this.#next;
  }
}

/** Faults, and words of an operator; each that happens is taken from the budget of a search. */
export const KINDS = [
  /** One node or both lose power. */
  'crash',
  /** The daemon ends, with all that it runs, and starts again in the same boot. */
  'restart',
  /** The cable is cut. */
  'link',
  /** What a second, serial channel adds: one side alone finds it silent for a while; the rollout
   * comes before the report that was sent with it. */
  'serial',
  /** In prompt order: something takes longer than everything else. */
  'slow',
  /** A trial or its storage is not healthy, does not boot, or serves badly. */
  'health',
  /** A trial hears nothing of its driver for its dead-man time. */
  'deadman',
  /** The other slot cannot be written. */
  'install',
  /** A fence fails, or works and its result is not known. */
  'fence',
  /** Words of an operator; pauses and promises are ended by one more word, at no cost. */
  'cancel',
  'pause',
  'start',
  'finalize',
  'switchover',
  'stand-down',
  /** The word that the peer is off, while it is, and holds nothing that this node lacks; nothing
   * else goes wrong until a peer that counts on nobody has heard of it. */
  'takeover',
] as const;

/** One kind of fault. */
export type FaultKind = (typeof KINDS)[number];

/** Under what a pair is searched. */
export interface Rules {
  readonly takeover: World['takeover'];
  readonly faults: ReadonlySet<FaultKind>;
  /** What an operator may start; null when nothing more is started. */
  readonly start: RolloutRecord | null;
}
