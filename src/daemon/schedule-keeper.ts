/**
 * The schedules of a node, the same as those of its peer as far as the two have talked: on its disk
 * in its book, told to the peer, merged with what the peer tells. Always holds: one change after
 * the other, each durable when it resolves; a schedule that is over is forgotten only when the peer
 * knows that it is over, so that nothing comes back. Imports core, ports and its folder.
 */
import { isoOf } from '../core/dates.ts';
import type { Reason } from '../core/records.ts';
import { SCHEDULES_MAX } from '../core/schedule-read.ts';
import { changed, merged, type Schedule } from '../core/schedule.ts';
import type { NodeId } from '../core/model.ts';
import type { Host, Inhibitor } from '../ports.ts';
import type { EventLog } from '../updater/events.ts';
import type { ScheduleBook } from './schedule-book.ts';
import { ScheduleClock } from './schedule-clock.ts';
import { PeerWord, type ScheduleHalf } from './schedule-exchange.ts';
import { found } from './schedule-rules.ts';

/** Schedules that are over are kept for people, so many. */
export const OVER_MAX = 10;

/** What the keeper is made of. */
export interface KeeperParts {
  readonly node: NodeId;
  readonly book: ScheduleBook;
  readonly host: Pick<Host, 'nowMs' | 'monotonicMs'>;
  readonly events: Pick<EventLog, 'emit'>;
  readonly inhibitor: Inhibitor;
  /** Tells the peer and returns what it holds; throws when it cannot. */
  readonly exchange: (own: ScheduleHalf) => Promise<ScheduleHalf>;
}

/** The schedules of one node. */
export class ScheduleKeeper {
  readonly #parts: KeeperParts;
  readonly peer = new PeerWord();
  readonly clock: ScheduleClock;
  /** Why what is due does not begin, by schedule, when this node serves. */
  readonly holds = new Map<string, Reason>();
  /** What jobs of this node say that are to become claimed runs, by schedule. */
  works: () => Readonly<Record<string, string>> = () => ({});
  /** The file that stops updates on this node, when it was looked last. */
  inhibited: string | null = null;
  #writes: Promise<void> = Promise.resolve();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    this.clock = new ScheduleClock(parts, this.peer);
  }

  get all(): readonly Schedule[] {
    return this.#parts.book.content.schedules;
  }

  /** Those that are not over. */
  get open(): readonly Schedule[] {
    return this.all.filter(({ state }) => state !== 'ended');
  }

  /** Resolves when every change is on the disk. */
  async rest(): Promise<void> {
    await this.#writes;
  }

  /** One change after the other; durable when it resolves. */
  change(change: (all: readonly Schedule[]) => readonly Schedule[]): Promise<void> {
    return this.#write(async () => {
      const { book } = this.#parts;
      const next = this.#kept(change(this.all));
      if (JSON.stringify(next) === JSON.stringify(this.all)) return;
      await book.write({ schedules: next, seenMs: this.clock.seenMs() });
    });
  }

  /** Changes a schedule that is still as it was; one that somebody changed meanwhile stays. */
  set(schedule: Schedule, change: Partial<Schedule>): Promise<void> {
    return this.change((all) => {
      const now = found(all, schedule.id);
      return now.rev === schedule.rev ? merged(all, [changed(now, this.#parts.node, change)]) : all;
    });
  }

  #write(work: () => Promise<void>): Promise<void> {
    const done = this.#writes.then(work);
    this.#writes = done.catch(() => undefined);
    return done;
  }

  /** Without the oldest of those that are over on both nodes. */
  #kept(all: readonly Schedule[]): readonly Schedule[] {
    const over = all.filter((one) => one.state === 'ended' && this.peer.holds(one));
    const old = over.toSorted((a, b) => overAt(b).localeCompare(overAt(a))).slice(OVER_MAX);
    return all.filter((one) => !old.includes(one)).slice(0, SCHEDULES_MAX);
  }

  /** So that a clock that goes back over a restart is found out. */
  async noteTime(): Promise<void> {
    if (!this.clock.isNoteDue()) return;
    await this.#write(async () => {
      const { book } = this.#parts;
      await book.write({ ...book.content, seenMs: this.clock.seenMs() });
    });
  }

  /** Looks for a file that stops updates. */
  async lookForFiles(): Promise<void> {
    this.inhibited = await this.#parts.inhibitor.inhibited();
  }

  /** Both nodes hold the same afterwards, `more` too; throws when the peer does not answer. */
  async compare(
    more: readonly Schedule[] = [],
    wish: Pick<ScheduleHalf, 'cancel'> = {},
  ): Promise<void> {
    const half = await this.#parts.exchange({ ...this.#own(more), ...wish });
    this.#take(half);
    await this.change((all) => merged(all, half.schedules));
  }

  /** What the peer tells; returns what this node holds then, on its disk. */
  async hear(half: ScheduleHalf): Promise<ScheduleHalf> {
    this.#take(half);
    await this.change((all) => merged(all, half.schedules));
    return this.#own([]);
  }

  #take(half: ScheduleHalf): void {
    this.peer.take(half, this.#parts.host.monotonicMs());
  }

  #own(more: readonly Schedule[]): ScheduleHalf {
    const { host } = this.#parts;
    const schedules = merged(this.all, more);
    const holds = Object.fromEntries(this.holds);
    const works = this.works();
    return { schedules, nowMs: host.nowMs(), inhibited: this.inhibited, holds, works };
  }
}

/** When it was over. */
const overAt = ({ last }: Schedule): string => last?.at ?? isoOf(0);
