/**
 * Changes that only the driver of a rollout may make, asked for on either node: done here when this
 * node serves, else handed to the peer over the link and answered by it. Imports core and the
 * updater.
 */
import { randomUUID } from 'node:crypto';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { Sha256 } from '../core/model.ts';
import type { PrepareAct, PrepareChange } from '../core/prepare-order.ts';
import type { Preparation } from '../core/prepare.ts';
import type { RolloutRecord } from '../core/records.ts';
import { readRollout, type PairMessage } from '../core/report.ts';
import { serves } from '../core/role.ts';
import { me, other, peerReport, type NodeState } from '../core/state.ts';
import type { PeerLink } from '../ports.ts';
import { pause, type Pause } from '../updater/effects.ts';
import type { Runner } from '../updater/runner.ts';
import { readFacts, type NodeFacts } from './facts.ts';
import { readHalf, type ScheduleHalf } from './schedule-exchange.ts';
import { isPaused, pauseRefusal, switchoverRefusal } from './operator-rules.ts';

/** How long the peer may take to answer. */
const ANSWER_MS = 5000;
/** How long it may look for facts: its fencer tests itself meanwhile. */
const FACTS_MS = 25_000;
/** How often it is looked for a node that serves. */
const LOOK_MS = 100;
/** What is shown of a word that this program does not know. */
const WORD_CHARS_MAX = 40;
const NEVER = new AbortController().signal;

/** A change that only the driver may make. */
export type DriverRequest =
  | { readonly do: 'start'; readonly record: RolloutRecord }
  | { readonly do: 'cancel'; readonly by: string; readonly reason: string }
  | { readonly do: 'finalize' }
  | { readonly do: 'switchover' }
  /** `by` null resumes. */
  | { readonly do: 'pause'; readonly by: string | null }
  | { readonly do: Exclude<StorageRequest, 'keep-copy'> };

/** What the storage software of one certain node is to do. */
export type StorageRequest = 'verify' | 'verify-cancel' | 'resync' | 'keep-copy';

/** The peer's copy of a split brain is kept: it becomes the holder. */
interface KeepRequest {
  readonly do: 'keep-copy';
}

/** A question to the peer, whoever serves. */
interface FactsRequest {
  readonly do: 'facts';
  readonly bundle: Sha256 | null;
}

/** What is said about a prepared update: a change for the driver, or a copy of the record. */
type PrepareRequest =
  | { readonly do: 'prepare'; readonly act: PrepareAct }
  | { readonly do: 'prepare-copy'; readonly copy: Preparation };

/** The desk of prepared updates of a node. */
export interface PrepareHandler {
  readonly change: (act: PrepareAct) => Promise<PrepareChange>;
  readonly join: (copy: unknown) => Promise<Preparation | null>;
}

type AnyRequest = DriverRequest | FactsRequest | KeepRequest | PrepareRequest | SchedulesRequest;

/** What the two nodes tell each other of scheduled updates, whoever serves. */
interface SchedulesRequest {
  readonly do: 'schedules';
  readonly half: ScheduleHalf;
}

interface Answer {
  readonly prepared?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
  readonly facts?: NodeFacts;
  readonly half?: ScheduleHalf;
}

interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: UpdateError) => void;
}

/** Asks for such changes, here or at the peer. */
export class DriverRequests {
  readonly #runner: Runner;
  readonly #link: PeerLink;
  readonly #pause: Pause;
  readonly #pending = new Map<string, Pending>();
  /** What this node's storage does when it is asked to; set by whoever cares for it. */
  storage: ((request: StorageRequest) => Promise<void>) | null = null;
  /** What this node answers when the peer asks for facts; set by whoever knows them. */
  facts: ((bundle: Sha256 | null) => Promise<NodeFacts>) | null = null;
  /** What this node does with the schedules of its peer, and answers; set by their desk. */
  schedules: ((half: ScheduleHalf) => Promise<ScheduleHalf>) | null = null;

  /** What this node does about prepared updates; set by their desk. */
  prepare: PrepareHandler | null = null;

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
    await this.#atDriver(
      () => this.#do(request),
      () => this.#hand(request),
    );
  }

  /** The same for a change of a prepared update: what the desk of the driver answers. */
  askPrepare(act: PrepareAct): Promise<unknown> {
    return this.#atDriver(
      () => this.#prepareHere({ do: 'prepare', act }),
      async () => {
        const { prepared } = await this.#send({ do: 'prepare', act }, gone);
        if (prepared !== undefined) return prepared;
        const message = `node ${other(this.#runner.state)} does not answer`;
        throw new UpdateError('pair.peer_unreachable', message);
      },
    );
  }

  /**
   * Gives the peer a copy and returns the peer's; null when it has gone. Throws its refusal:
   * `pair.protocol` of a program that knows nothing of prepared updates.
   */
  async sharePrepare(copy: Preparation): Promise<unknown> {
    return (await this.#send({ do: 'prepare-copy', copy }, gone)).prepared ?? null;
  }

  async #atDriver<T>(own: () => Promise<T>, handed: () => Promise<T>): Promise<T> {
    for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
      const s = this.#runner.state;
      if (serves(s)) return own();
      if (peerReport(s)?.serving === true) return handed();
      if (waitedMs >= ANSWER_MS) {
        const message = `neither this node nor node ${other(s)} serves now`;
        throw new UpdateError('pair.not_healthy', message);
      }
      await this.#pause(LOOK_MS, NEVER);
    }
  }

  /** Facts of the peer that its reports do not tell; null when it does not know the question. */
  async askFacts(bundle: Sha256 | null): Promise<NodeFacts | null> {
    if (peerReport(this.#runner.state) === null) return null;
    try {
      const answer = await this.#send({ do: 'facts', bundle }, gone, FACTS_MS);
      return readFacts(answer.facts);
    } catch {
      // An older program, or a link that broke: not known is an answer.
      return null;
    }
  }

  /** Tells the peer of scheduled updates and returns what it holds then; throws when it cannot. */
  async askSchedules(half: ScheduleHalf): Promise<ScheduleHalf> {
    if (peerReport(this.#runner.state) !== null) {
      const answer = await this.#send({ do: 'schedules', half }, gone);
      if (answer.half !== undefined) return readHalf(answer.half);
    }
    const message = `node ${other(this.#runner.state)} does not answer`;
    throw new UpdateError('pair.peer_unreachable', message);
  }

  /** Asks the peer for something that only it can do, whoever serves. */
  async askPeer(request: KeepRequest): Promise<void> {
    await this.#send(request, gone);
    if (peerReport(this.#runner.state) !== null) return;
    const message = `node ${other(this.#runner.state)} does not answer`;
    throw new UpdateError('pair.peer_unreachable', message);
  }

  async #hand(request: DriverRequest): Promise<void> {
    await this.#send(request, (s) => isMade(request, s));
  }

  /** The peer's answer; without one in time only what is over already is no error. */
  async #send(
    request: AnyRequest,
    over: (s: NodeState) => boolean,
    limitMs = ANSWER_MS,
  ): Promise<Answer> {
    const id = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#pending.set(id, { resolve, reject });
    const done = new AbortController();
    this.#link.send({ type: 'request', id, request });
    try {
      return await Promise.race([promise, this.#silence(over, limitMs, done.signal)]);
    } finally {
      done.abort();
      this.#pending.delete(id);
    }
  }

  /** No answer in time: it may have been lost on its way while the change itself was made. */
  async #silence(
    over: (s: NodeState) => boolean,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<Answer> {
    for (let waitedMs = 0; waitedMs < limitMs; waitedMs += ANSWER_MS) {
      await this.#pause(ANSWER_MS, signal);
      if (signal.aborted || over(this.#runner.state)) return {};
    }
    const message = `node ${other(this.#runner.state)} did not answer`;
    throw new UpdateError('pair.peer_unreachable', message);
  }

  /** Messages of the peer that are not for the machine. */
  onMessage(message: PairMessage): void {
    if (message.type === 'request') void this.#answer(message.id, message.request);
    if (message.type === 'answer') this.#settle(message.id, message.answer);
  }

  async #answer(id: string, request: object): Promise<void> {
    try {
      const answer = await this.#serve(request as AnyRequest);
      this.#link.send({ type: 'answer', id, answer });
    } catch (error) {
      this.#link.send({ type: 'answer', id, answer: { error: asUpdateError(error).report() } });
    }
  }

  async #serve(request: AnyRequest): Promise<Answer> {
    if (request.do === 'prepare' || request.do === 'prepare-copy') {
      return { prepared: await this.#prepareHere(request) };
    }
    if (request.do === 'keep-copy' && this.storage !== null) {
      await this.storage(request.do);
      return {};
    }
    if (request.do === 'schedules' && this.schedules !== null) {
      return { half: await this.schedules(readHalf(request.half)) };
    }
    if (request.do === 'facts' && this.facts !== null) {
      return { facts: await this.facts(request.bundle) };
    }
    await this.#do(request as DriverRequest);
    return {};
  }

  #prepareHere(request: PrepareRequest): Promise<unknown> {
    const desk = this.prepare;
    if (desk === null) throw new UpdateError('pair.protocol', 'nothing is prepared on this node');
    if (request.do === 'prepare-copy') return desk.join(request.copy);
    if (serves(this.#runner.state)) return desk.change(request.act);
    const message = `node ${me(this.#runner.state)} does not serve`;
    throw new UpdateError('pair.not_healthy', message);
  }

  #settle(id: string, answer: Answer): void {
    const pending = this.#pending.get(id);
    if (answer.error === undefined) pending?.resolve(answer);
    else pending?.reject(UpdateError.from(answer.error));
  }

  async #do(request: DriverRequest): Promise<void> {
    const refusal = refusalOf(request, this.#runner.state);
    if (refusal !== null) throw refusal;
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
      case 'switchover':
        return this.#runner.dispatch({ type: 'switchover' });
      case 'pause':
        return this.#runner.dispatch({ type: 'pause', by: request.by });
      case 'verify':
      case 'verify-cancel':
      case 'resync':
        await this.storage?.(request.do);
        return this.storage !== null;
      default: {
        const { do: word } = request as { readonly do?: unknown };
        const asked = JSON.stringify(word ?? null).slice(0, WORD_CHARS_MAX);
        const message = `the program of this node does not know the request ${asked} of its peer`;
        throw new UpdateError('pair.protocol', message);
      }
    }
  }
}

const gone = (s: NodeState): boolean => peerReport(s) === null;

/** Why an operator's word does not count now; what is part of a rollout the machine judges. */
function refusalOf(request: DriverRequest, s: NodeState): UpdateError | null {
  if (request.do === 'switchover') return switchoverRefusal(s);
  return request.do === 'pause' ? pauseRefusal(s, request.by !== null) : null;
}

/** Whether what this node holds shows the change already. */
function isMade(request: DriverRequest, s: NodeState): boolean {
  const { rollout } = s;
  switch (request.do) {
    case 'start':
      return rollout?.id === request.record.id;
    case 'cancel':
      return rollout !== null && rollout.abort !== null;
    case 'finalize':
      return rollout?.phase === 'FINALIZE' || rollout?.finalized === true;
    case 'switchover':
      return s.record.role.holder === me(s);
    case 'pause':
      return isPaused(s) === (request.by !== null);
    case 'verify':
      return s.world.store.verify?.state === 'running';
    case 'verify-cancel':
      return s.world.store.verify?.state !== 'running';
    case 'resync':
      return s.world.store.local === 'stale';
  }
}
