/**
 * The fencer that runs an external program, for power controllers of every make: IPMI tools, a
 * switched socket, an enclosure. The program is called with the arguments of the configuration, in
 * which {node} stands for the node to switch, {epoch} for the epoch of whoever fences (0 where
 * there is none) and {action} for one of:
 *
 * - `off`: cut the power, of a node that is off already too;
 * - `on`: restore it;
 * - `status`: print `on` or `off`, nothing else;
 * - `self-test`: try the way to the controller without touching the node.
 *
 * Exit status 0 = done, 1 = not done; anything else, a signal and the time limit = not known.
 * Always holds: `off` is believed only after `status`, asked after `off` had returned, said so.
 * Imports core, ports and node.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import type { Fencer, FenceOrder, FenceOutcome } from '../ports.ts';
import { runProgram, type RunEnd } from './run-program.ts';
import { throwIfStopped } from './stopped.ts';

/** What the fencer needs to know. */
export interface CommandFencerOptions {
  readonly peer: NodeId;
  /** Program, as an absolute path, and its arguments with placeholders. */
  readonly command: readonly string[];
  /** Time limit of a whole fence, and of every other action. */
  readonly timeoutMs: number;
  /** Whether a peer that was cut gets its power back. */
  readonly afterFence: 'on' | 'stay-off';
  /** Time between two looks at the status of a peer that was switched off; default 250 ms. */
  readonly lookMs?: number;
}

type Action = 'off' | 'on' | 'status' | 'self-test';

const LOOK_MS = 250;

/** The fencer of kind `command`. */
export function commandFencer(options: CommandFencerOptions): Fencer {
  return new CommandFencer(options);
}

class CommandFencer implements Fencer {
  readonly kind = 'command';
  readonly #options: CommandFencerOptions;

  constructor(options: CommandFencerOptions) {
    this.#options = options;
  }

  async selfTest(signal: AbortSignal): Promise<void> {
    const { peer } = this.#options;
    for (const action of ['self-test', 'status'] as const) {
      const limited = this.#limited(signal);
      const { done, why, end } = await this.#act(action, 0, limited);
      throwIfStopped(signal);
      const power = action === 'status' && done === 'yes' ? powerOf(end) : null;
      if (done === 'yes' && power !== 'unknown') continue;
      const found = power === 'unknown' ? 'printed neither on nor off' : why;
      const message = `The fence command, action ${action}, for node ${peer} ${found}`;
      throw new UpdateError('fence.self_test', message, { detail: { action, peer } });
    }
  }

  async fence(order: FenceOrder, signal: AbortSignal): Promise<FenceOutcome> {
    if (order.peer !== this.#options.peer) return 'failed';
    const limited = this.#limited(signal);
    const { done } = await this.#act('off', order.epoch, limited);
    if (done === 'no') return 'failed';
    if (done === 'unknown') return 'unknown';
    // Some controllers answer before the power is gone.
    let last: 'on' | 'unknown' = 'unknown';
    while (!limited.aborted) {
      const power = await this.#status(order.epoch, limited);
      if (power === 'off') return 'off';
      if (!limited.aborted) last = power;
      await pause(this.#options.lookMs ?? LOOK_MS, limited);
    }
    return last === 'on' && !signal.aborted ? 'failed' : 'unknown';
  }

  async restore(order: FenceOrder, signal: AbortSignal): Promise<void> {
    const { peer, afterFence } = this.#options;
    if (afterFence === 'stay-off' || order.peer !== peer) return;
    const { done, why } = await this.#act('on', order.epoch, this.#limited(signal));
    throwIfStopped(signal);
    if (done === 'yes') return;
    const message = `The fence command, action on, for node ${peer} ${why}`;
    throw new UpdateError('fence.failed', message, { detail: { action: 'on', peer } });
  }

  async power(signal: AbortSignal): Promise<'on' | 'off' | 'unknown'> {
    return this.#status(0, this.#limited(signal));
  }

  #limited(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, AbortSignal.timeout(this.#options.timeoutMs)]);
  }

  async #status(epoch: number, signal: AbortSignal): Promise<'on' | 'off' | 'unknown'> {
    const { done, end } = await this.#act('status', epoch, signal);
    return done === 'yes' ? powerOf(end) : 'unknown';
  }

  /** Runs one action; `why` says how it ended, for people. */
  async #act(
    action: Action,
    epoch: number,
    signal: AbortSignal,
  ): Promise<{
    readonly done: 'yes' | 'no' | 'unknown';
    readonly why: string;
    readonly end: RunEnd | null;
  }> {
    try {
      const argv = this.#argv(action, epoch);
      const end = await runProgram({ argv, env: environment(), signal });
      const words = end.complaint === '' ? '' : `: ${end.complaint}`;
      // A program that was ended by the limit may have done anything.
      if (signal.aborted) return { done: 'unknown', why: `took too long${words}`, end };
      const why =
        end.status === null
          ? `was ended by a signal${words}`
          : `ended with status ${end.status}${words}`;
      const done = end.status === 0 ? 'yes' : end.status === 1 ? 'no' : 'unknown';
      return { done, why, end };
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      return { done: 'unknown', why: `cannot be run: ${words}`, end: null };
    }
  }

  #argv(action: Action, epoch: number): [string, ...string[]] {
    const { command, peer } = this.#options;
    const values: Readonly<Record<string, string>> = {
      '{node}': peer,
      '{epoch}': String(epoch),
      '{action}': action,
    };
    const [program, ...args] = command;
    const fill = (text: string): string =>
      text.replaceAll(/\{(?:node|epoch|action)\}/g, (name) => values[name] ?? name);
    return [program ?? '', ...args.map(fill)];
  }
}

/** What a status said; anything but exactly one of the two words is no answer. */
function powerOf(end: RunEnd | null): 'on' | 'off' | 'unknown' {
  const word = end === null || end.flooded ? '' : end.output.trim();
  return word === 'on' || word === 'off' ? word : 'unknown';
}

/** No more than a program needs, and the mark by which a power cut of this node finds it. */
function environment(): NodeJS.ProcessEnv {
  const { PATH, TANDEM_POWER } = process.env;
  const mark = TANDEM_POWER === undefined ? {} : { TANDEM_POWER };
  return { ...mark, PATH, LANG: 'C.UTF-8' };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    // Cut short by the limit, which the caller sees on the signal.
  }
}
