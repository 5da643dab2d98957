/**
 * What a person or a script sees while a job runs: NDJSON on standard output, a view that is
 * redrawn in place on a terminal, or plain lines with time stamps elsewhere. Always holds: a line
 * is never wider than the terminal, nothing is redrawn that did not change, and plain output has at
 * most eleven lines per step for progress. Imports core, the control client and the views.
 */
import type { JobKind, JobStatus, PairStatus, TandemEvent } from '../core/status.ts';
import { renderEvent, renderJob } from './render-records.ts';
import { renderActivities, renderRollout } from './render-rollout.ts';
import { stamp, wrap } from './render.ts';
import { silentWords } from './silence.ts';
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
  /** For so many seconds nothing came of the daemon; null = it speaks again. */
  silent(quietS: number | null): void;
  /** The wait is over; what is drawn stays. */
  end(): void;
}

/** Nothing but notes: a wait without `--follow`. */
export function quietFollower(io: CliIo): Follower {
  let told = false;
  return {
    wantsStatus: false,
    event: () => {},
    status: () => {},
    note: (text) => io.err(`${text}\n`),
    silent: (quietS) => {
      if (quietS === null) io.err('The daemon speaks again.\n');
      else if (!told) io.err(`${capital(silentWords(quietS))}; the job goes on or resumes.\n`);
      told = quietS !== null;
    },
    end: () => {},
  };
}

const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

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

/** Lines that stand in one place on standard error and are drawn again when they change. */
export interface Canvas {
  draw(lines: readonly string[]): void;
  /** Takes what is drawn away and prints a line of its own in its place. */
  note(text: string): void;
  /** What is drawn stays. */
  leave(): void;
}

/** A canvas on the terminal of this outside. */
export function canvas(io: CliIo): Canvas {
  let drawn: readonly string[] = [];
  return {
    draw: (all) => {
      // What has scrolled away cannot be reached by moving up.
      const lines = all.slice(0, Math.max(1, (io.rows || 24) - 1));
      if (lines.join('\n') === drawn.join('\n')) return;
      const text = lines.map((line) => `${line}${CLEAR_LINE}\n`).join('');
      io.err(`${UP(drawn.length)}\r${text}${CLEAR_BELOW}`);
      drawn = lines;
    },
    note: (text) => {
      const clear = drawn.length === 0 ? '' : `${UP(drawn.length)}\r${CLEAR_BELOW}`;
      io.err(`${clear}${text}\n`);
      drawn = [];
    },
    leave: () => {
      drawn = [];
    },
  };
}

/** The view of both nodes, redrawn in place on standard error. */
export function terminalFollower(io: CliIo): Follower {
  const view = canvas(io);
  let known = '';
  return {
    wantsStatus: true,
    event: () => {},
    status: (job, status) => {
      const options = renderOptions(io);
      const own = status?.rollout?.id === job.id;
      const before = [...renderJob(job, options), ...renderActivities(status, options)];
      const lines = own ? renderRollout(status, options) : before;
      const at = status === null ? '' : ` at ${stamp(status.at)}`;
      known = `Last known${at}: ${lines[0] ?? ''}`;
      view.draw(job.state === 'running' ? [...lines, '', DETACH_HINT] : lines);
    },
    note: (text) => view.note(text),
    silent: (quietS) => {
      if (quietS === null) return;
      const { columns } = renderOptions(io);
      const head = `${capital(silentWords(quietS))}: what the job does now is UNKNOWN.`;
      const last = known === '' ? [] : wrap(known, columns);
      view.draw([...wrap(head, columns), ...last, '', DETACH_HINT]);
    },
    end: () => view.leave(),
  };
}
