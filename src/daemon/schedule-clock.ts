/**
 * The wall clock as scheduled updates may use it. Always holds: a clock that is not set, that went
 * back, or that the peer's clock contradicts decides nothing, and it is said why; one that was set
 * while the daemon runs is told as an event. Imports core, ports and its folder.
 */
import { clockTrouble } from '../core/schedule.ts';
import { zonedText } from '../core/zone-time.ts';
import type { Host } from '../ports.ts';
import type { EventLog } from '../updater/events.ts';
import type { ScheduleBook } from './schedule-book.ts';
import type { PeerWord } from './schedule-exchange.ts';

/** The time of the wall clock is noted this often. */
const NOTE_MS = 3_600_000;
/** A wall clock that runs this far from the monotonic one was set. */
const SET_MS = 60_000;

/** What it looks at. */
export interface ScheduleClockParts {
  readonly book: ScheduleBook;
  readonly host: Pick<Host, 'nowMs' | 'monotonicMs'>;
  readonly events: Pick<EventLog, 'emit'>;
}

/** The clock of one node. */
export class ScheduleClock {
  readonly #parts: ScheduleClockParts;
  readonly #peer: PeerWord;
  #before: { readonly wallMs: number; readonly ms: number } | null = null;

  constructor(parts: ScheduleClockParts, peer: PeerWord) {
    this.#parts = parts;
    this.#peer = peer;
  }

  /** Why it is not to be believed, or null. */
  trouble(): string | null {
    const { host, book } = this.#parts;
    const peerMs = this.#peer.clockMs(host.monotonicMs());
    return clockTrouble(host.nowMs(), book.content.seenMs, peerMs);
  }

  /** The latest time to note: that of the clock, unless it is not to be believed. */
  seenMs(): number {
    return this.trouble() === null ? this.#parts.host.nowMs() : this.#parts.book.content.seenMs;
  }

  /** Whether the time should be noted, so that a clock that goes back is found out. */
  isNoteDue(): boolean {
    const { seenMs } = this.#parts.book.content;
    return Math.abs(this.seenMs() - seenMs) >= NOTE_MS;
  }

  /** Tells of a clock that was set; what that means for what is due is found anew each time. */
  watch(): void {
    const { host, events } = this.#parts;
    const [wallMs, ms] = [host.nowMs(), host.monotonicMs()];
    const before = this.#before;
    this.#before = { wallMs, ms };
    if (before === null) return;
    const expectedMs = before.wallMs + ms - before.ms;
    if (Math.abs(wallMs - expectedMs) < SET_MS) return;
    const [from, to] = [zonedText(expectedMs, 'UTC'), zonedText(wallMs, 'UTC')];
    const msg = `the clock was set from ${from} to ${to}`;
    events.emit({ job: null, phase: null, state: 'clock', msg });
  }
}
