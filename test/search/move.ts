/**
 * One move of a node, and which faults a search lets happen. Only tests import it.
 */
import type { World } from '../../src/core/state.ts';
import type { Site } from './site.ts';

/** Something that the search found and that must never be. */
export class Broken extends Error {}

/** What kind of thing a node does by itself. */
export type OwnKind = 'decide' | 'write' | 'work' | 'news' | 'check' | 'again' | 'boot' | 'time';

/** What a move is besides. */
export interface Extra {
  readonly fault?: boolean;
  readonly with?: 'promote' | 'kill';
  readonly epoch?: number;
}

/** One move of a node. What comes of it is found out when it is asked for, once. */
export class Move {
  readonly say: string;
  /** A fault or an operator: taken from the budget. */
  readonly fault: boolean;
  readonly kind: OwnKind;
  /** The move also touches the peer; then `next` is the node if the peer agrees. */
  readonly with: 'promote' | 'kill' | null;
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

/** Faults and operators that a search lets happen. */
export interface Faults {
  /** One node or both lose power. */
  readonly crash: boolean;
  /** The cable is cut. */
  readonly link: boolean;
  /** In prompt order: something takes longer than everything else. */
  readonly slow: boolean;
  /** A trial or its storage is not healthy, does not boot, or serves badly. */
  readonly health: boolean;
  /** A trial hears nothing of its driver for its dead-man time. */
  readonly deadman: boolean;
  /** The other slot cannot be written. */
  readonly install: boolean;
  /** A fence fails, or works and its result is not known. */
  readonly fence: boolean;
  /** An operator cancels. */
  readonly cancel: boolean;
}

/** Under what a pair is searched. */
export interface Rules {
  readonly takeover: World['takeover'];
  readonly faults: Faults;
}
