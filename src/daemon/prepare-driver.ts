/**
 * What the node that serves notes of a prepared update by itself: that all is ready, how an install
 * ended, that the pair is not any more what it was prepared for. Always holds: it only says what is
 * due, each once as far as the record goes; an install that nobody knows of is given up after a
 * while. Imports core and its own folder.
 */
import { END_PHASES, type RolloutRecord } from '../core/records.ts';
import type { PrepareAct } from '../core/prepare-order.ts';
import type { Preparation } from '../core/prepare.ts';
import { serves } from '../core/role.ts';
import { running, type NodeState } from '../core/state.ts';
import type { PrepareWork } from './prepare-work.ts';

/** An install that nobody knows of after this time did not begin. */
const BEGUN_MS = 120_000;

/** What it looks at. */
export interface PrepareDriverParts {
  readonly work: Pick<PrepareWork, 'misfit'>;
  readonly runner: { readonly state: NodeState };
  /** Finished rollouts, newest first, with the one of this moment. */
  readonly rollouts: () => readonly RolloutRecord[];
  readonly monotonicMs: () => number;
  /** Wall-clock time, for people. */
  readonly now: () => string;
}

type Ended = Extract<PrepareAct, { readonly do: 'installed' }>;

/** The driver's part of the desk. */
export class PrepareDriver {
  readonly #parts: PrepareDriverParts;
  /** An install that no rollout is known of, and since when. */
  #orphan: { readonly job: string; readonly sinceMs: number } | null = null;

  constructor(parts: PrepareDriverParts) {
    this.#parts = parts;
  }

  /** The words that are due now; none on a node that does not serve. */
  due({ order, ...rest }: Preparation): readonly PrepareAct[] {
    if (!serves(this.#parts.runner.state)) return [];
    const at = this.#parts.now();
    const ready: readonly PrepareAct[] = order.readyAt === null ? [{ do: 'ready', at }] : [];
    const { install } = order;
    if (install === null || install.result !== null) {
      return [...ready, ...this.#misfit({ order, ...rest }, at)];
    }
    const result = this.#endOf(install.job);
    const { job } = install;
    return result === null ? ready : [...ready, { do: 'installed', job, at, result }];
  }

  /** Whether the pair is still what it was prepared for; not asked while that is on the move. */
  #misfit(open: Preparation, at: string): readonly PrepareAct[] {
    if (running(this.#parts.runner.state.rollout)) return [];
    const why = this.#parts.work.misfit(open);
    const known = open.order.outdated?.message ?? null;
    return why === undefined || why === known ? [] : [{ do: 'outdated', why, at }];
  }

  #endOf(job: string): Ended['result'] | null {
    const rollout = this.#parts.rollouts().find(({ id }) => id === job);
    if (rollout !== undefined) {
      this.#orphan = null;
      const { phase, result } = rollout;
      const good = phase === 'DONE' || phase === 'FINALIZE';
      if (!good && !END_PHASES.has(phase)) return null;
      const message = good ? 'both nodes run it' : (result?.message ?? `it ended in ${phase}`);
      return { good, code: result?.code ?? 'internal.bug', message };
    }
    const nowMs = this.#parts.monotonicMs();
    if (this.#orphan?.job !== job) this.#orphan = { job, sinceMs: nowMs };
    if (nowMs - this.#orphan.sinceMs < BEGUN_MS) return null;
    return { good: false, code: 'job.lost', message: 'it never began and changed nothing' };
  }
}
