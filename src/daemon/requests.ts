/**
 * Changes that only the driver of a rollout may make, asked for on either node: done here when this
 * node serves, else handed to the peer over the link and answered by it. Imports core and the
 * updater.
 */
import { randomUUID } from 'node:crypto';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { RolloutRecord } from '../core/records.ts';
import type { PairMessage } from '../core/report.ts';
import { serves } from '../core/role.ts';
import { other, peerReport } from '../core/state.ts';
import type { PeerLink } from '../ports.ts';
import type { Runner } from '../updater/runner.ts';

/** How long the peer may take to answer. */
const ANSWER_MS = 5000;

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
  readonly #pending = new Map<string, Pending>();

  constructor(runner: Runner, link: PeerLink) {
    this.#runner = runner;
    this.#link = link;
  }

  /** Resolves when the change is durable on the driver; throws its refusal. */
  async ask(request: DriverRequest): Promise<void> {
    const s = this.#runner.state;
    if (serves(s)) return this.#do(request);
    if (peerReport(s)?.serving !== true) {
      throw new UpdateError(
        'pair.not_healthy',
        `neither this node nor node ${other(s)} serves now`,
      );
    }
    const id = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.set(id, { resolve, reject });
    const timer = setTimeout(() => {
      reject(new UpdateError('pair.peer_unreachable', `node ${other(s)} did not answer`));
    }, ANSWER_MS);
    this.#link.send({ type: 'request', id, request });
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#pending.delete(id);
    }
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

  #dispatch(request: DriverRequest): Promise<boolean> {
    switch (request.do) {
      case 'start':
        return this.#runner.dispatch({ type: 'start', record: request.record });
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
        return Promise.resolve(false);
    }
  }
}
