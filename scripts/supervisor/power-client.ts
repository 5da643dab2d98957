/**
 * The control socket of a supervisor seen from outside: what can be asked and what is answered, one
 * JSON object a line. Always holds: an answer is waited for no longer than told, and is read up to
 * a limit. Imports core.
 */
import { connect } from 'node:net';
import type { BootInfo } from '../../src/core/boot.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';

/**
 * `off` cuts the power, `reset` cuts and restores it, `fence` cuts it and proves that the node is
 * dead, `restore` gives back at once what a fence took, `keep` lets the supervisor outlive the
 * process that started it, `quit` ends it.
 */
export const POWER_VERBS = [
  'status',
  'on',
  'off',
  'reset',
  'fence',
  'restore',
  'keep',
  'quit',
] as const;
/** A command of the control socket. */
export type PowerVerb = (typeof POWER_VERBS)[number];

/** A command with what belongs to it. */
export interface PowerRequest {
  readonly do: PowerVerb;
  /** The node that is meant; a supervisor of another one refuses. */
  readonly node?: NodeId;
  /** Epoch of whoever fences, for the log. */
  readonly epoch?: number;
  /**
   * What follows a fence of a node that was on: `on` gives the power back a few seconds later.
   * Default `stay-off`.
   */
  readonly after?: 'on' | 'stay-off';
}

/** State of an appliance's power. */
export interface PowerStatus {
  readonly node: string;
  readonly power: 'on' | 'off';
  /** Id of the supervisor's process. */
  readonly supervisor: number;
  /** Id of the program's process; null while nothing runs. */
  readonly pid: number | null;
  /** The present boot; null before the first and while no slot can be loaded. */
  readonly boot: BootInfo | null;
  /** Boots and restarts after crashes since the supervisor started. */
  readonly boots: number;
  readonly restarts: number;
}

/** Every answer; `fence` is there for that verb alone: `failed` = the node may still live. */
export type PowerReply =
  | { readonly ok: true; readonly status: PowerStatus; readonly fence?: 'off' | 'failed' }
  | { readonly ok: false; readonly error: string };

/** Longest line that either side reads. */
export const LINE_BYTES_MAX = 64 * 1024;

/** Asks a supervisor. Throws `daemon.unreachable` when none answers in time. */
export async function askPower(
  socket: string,
  verb: PowerVerb,
  timeoutMs = 30_000,
): Promise<PowerReply> {
  return new Promise((done, fail) => {
    const connection = connect(socket);
    let text = '';
    const end = (error: UpdateError | null, reply?: PowerReply): void => {
      clearTimeout(timer);
      connection.destroy();
      if (error === null && reply !== undefined) done(reply);
      else fail(error ?? unreachable('it closed the connection'));
    };
    const unreachable = (why: string): UpdateError =>
      new UpdateError('daemon.unreachable', `the supervisor at ${socket} does not answer: ${why}`);
    const timer = setTimeout(() => end(unreachable('time is up')), timeoutMs);
    connection.setEncoding('utf8');
    connection.on('error', (error) => end(unreachable(error.message)));
    connection.on('close', () => end(null));
    connection.on('data', (part: string) => {
      text += part;
      if (text.length > LINE_BYTES_MAX) end(unreachable('its answer is too long'));
      const stop = text.indexOf('\n');
      if (stop >= 0) end(null, JSON.parse(text.slice(0, stop)) as PowerReply);
    });
    connection.write(`${JSON.stringify({ do: verb })}\n`);
  });
}
