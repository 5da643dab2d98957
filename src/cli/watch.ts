/**
 * Looking at the status again and again: `--watch` and `--wait-ready`. Always holds: a daemon that
 * restarts, or that hangs, is waited for and said so, and what is shown meanwhile is unknown, never
 * the last good picture. Imports core, the control client and its own folder.
 */
import { EXIT } from '../core/codes.ts';
import { asUpdateError, type UpdateError } from '../core/errors.ts';
import type { PairStatus } from '../core/status.ts';
import { passes, type ControlClient } from '../control/client.ts';
import { canvas } from './follow.ts';
import { isReady, waitsFor } from './render-status.ts';
import { stamp, wrap } from './render.ts';
import { clockOf, Silence, silentWords } from './silence.ts';
import { flag, printJson, printLines, renderOptions, waitSignal } from './values.ts';
import type { CliIo, VerbOption, VerbValues } from './verb.ts';

/** The option of the verbs that can go on looking. */
export const WATCH_OPTION = {
  watch: {
    type: 'boolean',
    help: 'Show it again and again until Ctrl-C; with --json an object a second.',
  },
} as const satisfies Record<string, VerbOption>;

const POLL_MS = 500;
const WATCH_MS = 1000;

/** What is shown of each status, and how. */
export interface Picture {
  readonly lines: (status: PairStatus) => readonly string[];
  readonly json: (status: PairStatus) => object;
}

/** Where the news go. */
interface Viewer {
  status(status: PairStatus): void;
  /** Why nothing is known; told again and again while that lasts. */
  unknown(words: string, quietS: number | null): void;
  end(): void;
}

/**
 * Looks until Ctrl-C, or until the pair is ready where that was asked for; 0 in both cases. Throws
 * `wait.timed_out` by `--timeout`, `wait.detached` for Ctrl-C before the pair was ready.
 */
export async function watchStatus(
  client: Pick<ControlClient, 'status'>,
  picture: Picture,
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const untilReady = flag(values, 'wait-ready');
  const viewer = viewerFor(picture, values, io);
  using wait = waitSignal(values, io, untilReady ? 'the pair is not ready' : 'still watching');
  try {
    await look(client, viewer, io, {
      everyMs: WATCH_MS,
      signal: wait.signal,
      until: (status) => untilReady && isReady(status),
    });
    return EXIT.done;
  } catch (error) {
    const end = wait.end(asUpdateError(error));
    if (!untilReady && end.code === 'wait.detached') return EXIT.done;
    throw end;
  } finally {
    viewer.end();
  }
}

/**
 * The first status in which the pair is ready; what it waits for goes to standard error. Throws as
 * `watchStatus` does.
 */
export async function waitReady(
  client: Pick<ControlClient, 'status'>,
  values: VerbValues,
  io: CliIo,
): Promise<PairStatus> {
  const options = { everyMs: POLL_MS, waits: 'the pair is not ready', until: isReady };
  return await waitUntil(client, options, values, io, wordsViewer(io, missing));
}

/**
 * Looks until `until` is true, or throws; without a viewer only that the daemon is silent or away
 * is said, on standard error. `waits` says what has not come yet when the wait ends first. Throws
 * as `watchStatus` does.
 */
export async function waitUntil(
  client: Pick<ControlClient, 'status'>,
  { waits, everyMs, until }: Omit<Look, 'signal'> & { readonly waits: string },
  values: VerbValues,
  io: CliIo,
  viewer: Viewer = wordsViewer(io, () => ''),
): Promise<PairStatus> {
  using wait = waitSignal(values, io, waits);
  const options = { everyMs, signal: wait.signal, until };
  return await look(client, viewer, io, options).catch((error: unknown) => {
    throw wait.end(asUpdateError(error));
  });
}

interface Look {
  readonly everyMs: number;
  readonly signal: AbortSignal;
  readonly until: (status: PairStatus) => boolean;
}

/** Rounds until a status is what is waited for; rejects when the signal aborts. */
async function look(
  client: Pick<ControlClient, 'status'>,
  viewer: Viewer,
  io: CliIo,
  { everyMs, signal, until }: Look,
): Promise<PairStatus> {
  const clock = clockOf(io);
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const silence = new Silence(clock, (quietS) => {
    if (quietS !== null) viewer.unknown(silentWords(quietS), quietS);
  });
  const watching = silence.run(both);
  try {
    for (;;) {
      const found = await client.status(signal).catch((error: unknown) => gone(error, signal));
      if ('schema' in found) {
        silence.heard();
        viewer.status(found);
        if (until(found)) return found;
      } else viewer.unknown(found.message, null);
      await clock.sleep(everyMs, signal);
    }
  } finally {
    over.abort();
    await watching;
  }
}

/** A daemon that does not answer is waited for; every other failure ends the look. */
function gone(error: unknown, signal: AbortSignal): UpdateError {
  const lost = asUpdateError(error);
  if (!passes(lost)) throw lost;
  signal.throwIfAborted();
  return lost;
}

function viewerFor(picture: Picture, values: VerbValues, io: CliIo): Viewer {
  if (flag(values, 'json')) return jsonViewer(picture, io);
  return io.errIsTerminal ? terminalViewer(picture, io) : linesViewer(picture, io);
}

/** One object for each look; while nothing is known it says so, and nothing else. */
function jsonViewer(picture: Picture, io: CliIo): Viewer {
  return {
    status: (status) => printJson(io, picture.json(status)),
    unknown: (text, quietS) => {
      printJson(io, { ready: false, state: 'UNKNOWN', ha: { ok: false, text }, quiet_s: quietS });
    },
    end: () => {},
  };
}

const HINT = 'Ctrl-C ends the watch.';

function terminalViewer(picture: Picture, io: CliIo): Viewer {
  const view = canvas(io);
  let last = '';
  return {
    status: (status) => {
      last = `Last known at ${stamp(status.at)}: ${status.state}.`;
      view.draw([...picture.lines(status), '', HINT]);
    },
    unknown: (text) => {
      const { columns } = renderOptions(io);
      const known = last === '' ? [] : wrap(last, columns);
      view.draw([...wrap(`UNKNOWN: ${text}`, columns), ...known, '', HINT]);
    },
    end: () => view.leave(),
  };
}

/** The whole picture on standard output, when it is another one than before. */
function linesViewer(picture: Picture, io: CliIo): Viewer {
  let shown = '';
  const show = (key: string, lines: readonly string[]): void => {
    if (key === shown) return;
    shown = key;
    printLines(io, [...lines, '']);
  };
  return {
    status: (status) => {
      const { state, ha, reform, alarms } = status;
      const words = reform.map(({ name, state: word }) => `${name} ${word}`);
      const codes = alarms.map(({ code, node }) => `${code} ${node}`);
      show([state, ha.ok, ...words, ...codes].join(), picture.lines(status));
    },
    unknown: (text, quietS) => show(quietS === null ? text : 'silent', [`UNKNOWN: ${text}`]),
    end: () => {},
  };
}

/**
 * What `waits` finds missing, in a line on standard error for every change of it; a daemon that is
 * silent or away is told once, until it speaks again.
 */
function wordsViewer(io: CliIo, waits: (status: PairStatus) => string): Viewer {
  let told = '';
  const tell = (key: string, words: string): void => {
    if (key !== told) io.err(`${words}\n`);
    told = key;
  };
  return {
    status: (status) => {
      const words = waits(status);
      if (words !== '') tell(words, words);
      else told = '';
    },
    unknown: (text) => tell('unknown', text),
    end: () => {},
  };
}

function missing(status: PairStatus): string {
  if (isReady(status)) return '';
  const names = waitsFor(status).map((item) => item.name);
  return `waiting for: ${names.join(', ') || 'high availability'}`;
}
