/**
 * Changes that only the driver of a rollout may make, asked for on either node: done here when this
 * node serves, else handed to the peer over the link and answered by it. Imports core and the
 * updater.
 */
import { randomUUID } from 'node:crypto';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { RolloutRecord } from '../core/records.ts';
import { readRollout, type PairMessage } from '../core/report.ts';
import { serves } from '../core/role.ts';
import { other, peerReport } from '../core/state.ts';
import type { PeerLink } from '../ports.ts';
import { pause, type Pause } from '../updater/effects.ts';
import type { Runner } from '../updater/runner.ts';

/** How long the peer may take to answer. */
const ANSWER_MS = 5000;
/** How often it is looked for a node that serves. */
const LOOK_MS = 100;
const NEVER = new AbortController().signal;

/** A change that only the driver may make. */
export type DriverRequest =
  | { readonly do: 'start'; readonly record: RolloutRecord }
  | { readonly do: 'cancel'; readonly by: string; readonly reason: string }
  | { readonly do: 'finalize' };

interface Pending {
  readonly resolve: () => void;
  readonly reject: (error: UpdateError) => void;
}

/** Asks for such changes, here or at the peer. */
export class DriverRequests {
  readonly #runner: Runner;
  readonly #link: PeerLink;
  readonly #pause: Pause;
  readonly #pending = new Map<string, Pending>();

  constructor(runner: Runner, link: PeerLink, wait: Pause = pause) {
    this.#runner = runner;
    this.#link = link;
    this.#pause = wait;
  }

  /**
   * Resolves when the change is durable on the driver; throws its refusal. In the moments of a
   * handover, when neither node serves, it waits for the one that will.
   */
  async ask(request: DriverRequest): Promise<void> {
    for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
      const s = this.#runner.state;
      if (serves(s)) return this.#do(request);
      if (peerReport(s)?.serving === true) return this.#hand(request);
      if (waitedMs >= ANSWER_MS) {
        const message = `neither this node nor node ${other(s)} serves now`;
        throw new UpdateError('pair.not_healthy', message);
      }
      await this.#pause(LOOK_MS, NEVER);
    }
  }

  async #hand(request: DriverRequest): Promise<void> {
    const id = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.set(id, { resolve, reject });
    const over = new AbortController();
    this.#link.send({ type: 'request', id, request });
    try {
      await Promise.race([promise, this.#silence(request, over.signal)]);
    } finally {
      over.abort();
      this.#pending.delete(id);
    }
  }

  /** No answer in time: it may have been lost on its way while the change itself was made. */
  async #silence(request: DriverRequest, signal: AbortSignal): Promise<void> {
    await this.#pause(ANSWER_MS, signal);
    const s = this.#runner.state;
    if (signal.aborted || isMade(request, s.rollout)) return;
    throw new UpdateError('pair.peer_unreachable', `node ${other(s)} did not answer`);
  }

  /** Messages of the peer that are not for the machine. */
  onMessage(message: PairMessage): void {
    if (message.type === 'request') void this.#answer(message.id, message.request);
    if (message.type === 'answer') this.#settle(message.id, message.answer);
  }

  async #answer(id: string, request: object): Promise<void> {
    try {
      await this.#do(request as DriverRequest);
      this.#link.send({ type: 'answer', id, answer: {} });
    } catch (error) {
      this.#link.send({ type: 'answer', id, answer: { error: asUpdateError(error).report() } });
    }
  }

  #settle(id: string, answer: { error?: { code: string; message: string } }): void {
    const pending = this.#pending.get(id);
    if (answer.error === undefined) pending?.resolve();
    else pending?.reject(UpdateError.from(answer.error));
  }

  async #do(request: DriverRequest): Promise<void> {
    const taken = await this.#dispatch(request);
    if (!taken) {
      const { rollout } = this.#runner.state;
      const phase = rollout?.phase ?? 'none';
      throw new UpdateError('job.busy', `${request.do} is not possible in phase ${phase}`);
    }
  }

  async #dispatch(request: DriverRequest): Promise<boolean> {
    switch (request.do) {
      case 'start': {
        const record = readRollout(request.record);
        if (record !== null) return this.#runner.dispatch({ type: 'start', record });
        const message = 'the record of the rollout is not one that this node understands';
        throw new UpdateError('pair.bad_message', message);
      }
      case 'cancel':
        return this.#runner.dispatch({
          type: 'cancel',
          by: request.by,
          reason: request.reason,
        });
      case 'finalize':
        return this.#runner.dispatch({ type: 'finalize' });
      default:
        // A newer peer asks for something that this program does not know.
        return false;
    }
  }
}

/** Whether the record that this node holds shows the change already. */
function isMade(request: DriverRequest, rollout: RolloutRecord | null): boolean {
  switch (request.do) {
    case 'start':
      return rollout?.id === request.record.id;
    case 'cancel':
      return rollout !== null && rollout.abort !== null;
    case 'finalize':
      return rollout?.phase === 'FINALIZE' || rollout?.finalized === true;
  }
}
