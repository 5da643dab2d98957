/**
 * The event log of a node: what people and scripts see as a stream, kept over restarts and shared
 * with the peer, so that a follower can go on after a failover. Sequence numbers grow on both nodes
 * together (a hybrid logical clock: wall milliseconds times 1024, never backwards, also with a
 * clock at 1970), and on each node in the order in which events came to it: an event of the peer
 * that comes late, because the link was down, gets a new number here, or no follower would see it.
 * Imports only core.
 */
import type { Code } from '../core/codes.ts';
import type { NodeId } from '../core/model.ts';
import type { TandemEvent } from '../core/status.ts';

/** Events kept in memory for `--since-seq`. */
export const EVENTS_MAX = 2000;
const PER_MS = 1024;
/** Highest number taken from a clock or a peer (the year 2248), with room to count on from it. */
const SEQ_MAX = 2 ** 53 - 2 ** 40;

/** Where events are kept over restarts; bounded by the driver. */
export interface LineLog {
  append(line: string): void;
  read(): Promise<readonly string[]>;
}

/** What the one who tells of an event knows of it. */
export interface NewEvent {
  readonly job: string | null;
  readonly phase: string | null;
  readonly state: string;
  readonly msg: string;
  readonly pct?: number | null;
  readonly etaS?: number | null;
  readonly code?: Code | null;
  readonly node?: NodeId | null;
}

/** The events of both nodes in one order. */
export class EventLog {
  readonly #node: NodeId;
  readonly #nowMs: () => number;
  readonly #log: LineLog;
  readonly #listeners = new Set<(event: TandemEvent) => void>();
  #events: TandemEvent[] = [];
  #last = 0;

  constructor(node: NodeId, nowMs: () => number, log: LineLog) {
    this.#node = node;
    this.#nowMs = nowMs;
    this.#log = log;
  }

  /** Reads what was kept; a damaged line is left out. */
  async load(): Promise<void> {
    const kept = (await this.#log.read()).slice(-EVENTS_MAX);
    for (const line of kept) {
      const event = parseEvent(line);
      if (event !== null) this.#insert(event);
    }
  }

  /** A new event of this node. Progress is shown but not kept over a restart. */
  emit(event: NewEvent): TandemEvent {
    const seq = this.#number(Math.floor(this.#nowMs()) * PER_MS);
    const full: TandemEvent = {
      v: 1,
      seq,
      ts: new Date(this.#nowMs()).toISOString(),
      job: event.job,
      node: event.node === undefined ? this.#node : event.node,
      phase: event.phase,
      state: event.state,
      pct: event.pct ?? null,
      eta_s: event.etaS ?? null,
      msg: event.msg,
      code: event.code ?? null,
    };
    this.#take(full);
    return full;
  }

  /** An event of the peer; its number moves ours forward. One that is known is dropped. */
  adopt(value: unknown): void {
    const event = toEvent(value);
    if (event === null || this.#events.some((one) => same(one, event))) return;
    this.#take({ ...event, seq: this.#number(event.seq) });
  }

  /** The newest events of this node, oldest first: what a peer that was away may have missed. */
  own(count: number): readonly TandemEvent[] {
    const own = this.#events.filter(({ node, state }) => {
      return node === this.#node && state !== 'progress';
    });
    return own.slice(-count);
  }

  /** Kept events with a higher number, oldest first. */
  since(seq: number): readonly TandemEvent[] {
    return this.#events.filter((event) => event.seq > seq);
  }

  /** Hears every new event of both nodes; returns how to stop that. */
  onEvent(listener: (event: TandemEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The next number: a wished one, unless it does not grow or could not be counted on from. */
  #number(wished: number): number {
    return wished > this.#last && wished <= SEQ_MAX ? wished : this.#last + 1;
  }

  #take(event: TandemEvent): void {
    this.#insert(event);
    if (event.state !== 'progress') this.#log.append(JSON.stringify(event));
    for (const listener of this.#listeners) listener(event);
  }

  #insert(event: TandemEvent): void {
    this.#last = Math.max(this.#last, event.seq);
    this.#events.push(event);
    if (this.#events.length > EVENTS_MAX) this.#events = this.#events.slice(-EVENTS_MAX);
  }
}

/** The same event, whatever number it has on this node. */
function same(a: TandemEvent, b: TandemEvent): boolean {
  return a.node === b.node && a.ts === b.ts && a.state === b.state && a.msg === b.msg;
}

function parseEvent(line: string): TandemEvent | null {
  try {
    return toEvent(JSON.parse(line));
  } catch {
    // A torn last line after a power cut is expected; the event is lost, nothing else is.
    return null;
  }
}

function toEvent(value: unknown): TandemEvent | null {
  const event = value as Partial<TandemEvent> | null;
  const good =
    typeof event === 'object' &&
    event !== null &&
    event.v === 1 &&
    Number.isSafeInteger(event.seq) &&
    typeof event.state === 'string' &&
    typeof event.msg === 'string';
  return good ? (event as TandemEvent) : null;
}
