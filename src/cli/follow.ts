/**
 * What a person or a script sees while a job runs: NDJSON on standard output, a view that is
 * redrawn in place on a terminal, or plain lines with time stamps elsewhere. Always holds: a line
 * is never wider than the terminal, nothing is redrawn that did not change, and plain output has at
 * most eleven lines per step for progress. Imports core, the control client and the views.
 */
import type { JobKind, JobStatus, PairStatus, TandemEvent } from '../core/status.ts';
import { renderEvent, renderJob } from './render-records.ts';
import { renderActivities, renderRollout } from './render-rollout.ts';
import { printJson, renderOptions } from './values.ts';
import type { CliIo } from './verb.ts';

/** Where the news of a job go. */
export interface Follower {
  /** True when it wants to be told the status again and again. */
  readonly wantsStatus: boolean;
  event(event: TandemEvent): void;
  status(job: JobStatus, status: PairStatus | null): void;
  /** A sentence of the wait itself, e.g. that the daemon restarts. */
  note(text: string): void;
  /** The wait is over; what is drawn stays. */
  end(): void;
}

/** Nothing but notes: a wait without `--follow`. */
export function quietFollower(io: CliIo): Follower {
  return {
    wantsStatus: false,
    event: () => {},
    status: () => {},
    note: (text) => io.err(`${text}\n`),
    end: () => {},
  };
}

/** Every event as one JSON object on a line of standard output. */
export function jsonFollower(io: CliIo): Follower {
  return { ...quietFollower(io), event: (event) => printJson(io, event) };
}

/** Lines with time stamps on standard error; progress in steps of ten percent. */
export function lineFollower(kind: JobKind | null, io: CliIo): Follower {
  const shown = new Map<string, number>();
  return {
    ...quietFollower(io),
    event: (event) => {
      const step = `${event.node} ${event.phase} ${event.msg}`;
      const tenth = event.pct === null ? null : Math.floor(event.pct / 10);
      if (tenth !== null && shown.get(step) === tenth) return;
      if (tenth === null) shown.clear();
      else shown.set(step, tenth);
      io.err(`${renderEvent(event, kind, renderOptions(io))}\n`);
    },
  };
}

const UP = (lines: number): string => (lines === 0 ? '' : `\x1b[${lines}A`);
const CLEAR_LINE = '\x1b[K';
const DETACH_HINT = 'Ctrl-C detaches; the job goes on.';
const CLEAR_BELOW = '\x1b[J';

/** The view of both nodes, redrawn in place on standard error. */
export function terminalFollower(io: CliIo): Follower {
  let drawn: readonly string[] = [];
  const draw = (all: readonly string[]): void => {
    // What has scrolled away cannot be reached by moving up.
    const lines = all.slice(0, Math.max(1, (io.rows ?? 24) - 1));
    if (lines.join('\n') === drawn.join('\n')) return;
    const text = lines.map((line) => `${line}${CLEAR_LINE}\n`).join('');
    io.err(`${UP(drawn.length)}\r${text}${CLEAR_BELOW}`);
    drawn = lines;
  };
  return {
    wantsStatus: true,
    event: () => {},
    status: (job, status) => {
      const options = renderOptions(io);
      const own = status?.rollout?.id === job.id;
      const before = [...renderJob(job, options), ...renderActivities(status, options)];
      const lines = own ? renderRollout(status, options) : before;
      draw(job.state === 'running' ? [...lines, '', DETACH_HINT] : lines);
    },
    note: (text) => {
      io.err(`${text}\n`);
      drawn = [];
    },
    end: () => {
      drawn = [];
    },
  };
}
