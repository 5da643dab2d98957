/**
 * Ended rollouts, newest first, kept in a bounded file over restarts. Imports core and the
 * updater's log interface.
 */
import { endedAt } from '../core/phases.ts';
import { END_PHASES, type RolloutKind, type RolloutRecord } from '../core/records.ts';
import type { LineLog } from '../updater/events.ts';

/** Rollouts that are kept. */
export const HISTORY_MAX = 200;

/** The ended rollouts of this pair, as this node saw them. */
export class History {
  readonly #log: LineLog;
  #records: RolloutRecord[] = [];

  constructor(log: LineLog) {
    this.#log = log;
  }

  /** Reads what was kept; a damaged line is left out. */
  async load(): Promise<void> {
    for (const line of await this.#log.read()) {
      const record = parse(line);
      if (record !== null) this.#put(record);
    }
  }

  /** Keeps a rollout that has ended; the newest word on an id counts. */
  add(record: RolloutRecord): void {
    if (!END_PHASES.has(record.phase)) return;
    this.#put(record);
    this.#log.append(JSON.stringify(record));
  }

  /** All of them with the current one, newest first. */
  with(current: RolloutRecord | null): readonly RolloutRecord[] {
    if (current === null) return this.#records;
    return [current, ...this.#records.filter((one) => one.id !== current.id)];
  }

  /** Seconds that the newest successful rollout of this kind took, as an estimate for the next. */
  estimateS(kind: RolloutKind): number | null {
    const last = this.#records.find((one) => one.kind === kind && one.phase === 'DONE');
    if (last === undefined) return null;
    const tookS = (Date.parse(endedAt(last) ?? '') - Date.parse(last.startedAt)) / 1000;
    return Number.isFinite(tookS) && tookS > 0 ? Math.round(tookS) : null;
  }

  #put(record: RolloutRecord): void {
    const others = this.#records.filter((one) => one.id !== record.id);
    this.#records = [record, ...others].slice(0, HISTORY_MAX);
  }
}

function parse(line: string): RolloutRecord | null {
  try {
    const record = JSON.parse(line) as Partial<RolloutRecord> | null;
    const good = typeof record?.id === 'string' && typeof record.phase === 'string';
    return good ? (record as RolloutRecord) : null;
  } catch {
    // A torn last line after a power cut: the journal still has the newest rollout.
    return null;
  }
}
