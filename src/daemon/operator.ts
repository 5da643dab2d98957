/**
 * Does what an operator asks for at once: exchange of roles, takeover, stand-down, pause, resume.
 * Always holds: what the driver of the pair must do goes to the node that serves; a takeover and a
 * stand-down count on the node that was asked and are never handed on; each act, a refused one too,
 * is in the audit log and is an event. Imports core and the updater.
 */
import type { ActRequest, Caller } from '../control/backend.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import type { ActAnswer, AuditEntry, TakeoverView } from '../core/operator.ts';
import { restPoint } from '../core/pause.ts';
import type { ChangePreview } from '../core/preview.ts';
import { me, other, peerReport, running, type Event, type NodeState } from '../core/state.ts';
import type { Host } from '../ports.ts';
import type { EventLog } from '../updater/events.ts';
import type { Runner } from '../updater/runner.ts';
import type { LastHeard } from '../updater/status.ts';
import type { AuditLog } from './audit.ts';
import { isPaused, pauseRefusal, standDownRefusal, standsDown } from './operator-rules.ts';
import { switchoverRefusal, takeoverNeedless, takeoverRefusal } from './operator-rules.ts';
import type { DriverRequests } from './requests.ts';

/** What the operator's words reach. */
export interface OperatorParts {
  readonly runner: Runner;
  readonly requests: DriverRequests;
  readonly events: EventLog;
  readonly audit: AuditLog;
  readonly host: Host;
  readonly lastHeard: () => LastHeard | null;
  /** Throws `job.unknown` for the id of no job. */
  readonly checkJob: (id: string) => void;
}

/** The words of an operator that are no jobs. */
export class Operator {
  readonly #parts: OperatorParts;

  constructor(parts: OperatorParts) {
    this.#parts = parts;
  }

  get #state(): NodeState {
    return this.#parts.runner.state;
  }

  /** Does it, or throws the refusal; noted either way. */
  async act(request: ActRequest, caller: Caller): Promise<ActAnswer> {
    const { events, audit } = this.#parts;
    const reason = request.reason ?? null;
    const asked = { act: wordOf(request), by: caller.name, via: caller.via, reason };
    return audit.around(
      asked,
      async () => {
        const value = await this.#act(request, caller);
        const result = value.changed ? 'done' : 'unchanged';
        return { value, noted: { result, message: value.message, job: jobOf(this.#state) } };
      },
      (entry) => {
        const { rollout } = this.#state;
        const said = { job: jobOf(this.#state), phase: rollout?.phase ?? null, state: 'operator' };
        events.emit({ ...said, msg: sentence(entry), code: entry.code });
      },
    );
  }

  async #act(request: ActRequest, caller: Caller): Promise<ActAnswer> {
    switch (request.act) {
      case 'switchover':
        return this.#switchover();
      case 'takeover':
        return this.#takeover(request.peer);
      case 'stand-down':
        return this.#standDown(request.on);
      case 'pause':
      case 'resume':
        return this.#pause(request, caller);
    }
  }

  /** What it would do now; changes nothing and throws no refusal. */
  preview(request: ActRequest): ChangePreview {
    const { act: change } = request;
    try {
      return { change, refusal: null, ...this.#judge(request), estimateS: null };
    } catch (error) {
      const refusal = asUpdateError(error).report();
      return { change, refusal, changes: false, does: null, estimateS: null };
    }
  }

  #judge(request: ActRequest): { readonly changes: boolean; readonly does: string } {
    const s = this.#state;
    const [own, peer] = [`node ${me(s)}`, `node ${other(s)}`];
    switch (request.act) {
      case 'switchover': {
        const from = serving(s);
        passes(from === me(s) ? switchoverRefusal(s) : null);
        const to = from === me(s) ? peer : own;
        return { changes: true, does: `${to} takes the service over; clients see a short gap` };
      }
      case 'takeover': {
        this.#checkPeer(request.peer);
        if (takeoverNeedless(s)) return { changes: false, does: `${own} needs no word` };
        passes(takeoverRefusal(s));
        return { changes: true, does: `${own} serves without ${peer}` };
      }
      case 'stand-down': {
        const changes = standsDown(s) !== request.on;
        if (changes) passes(standDownRefusal(s, request.on));
        const word = request.on ? 'promises not to take over' : 'may take over again';
        return { changes, does: `${own} ${word}` };
      }
      case 'pause':
      case 'resume': {
        const on = request.act === 'pause';
        this.#checkPausable(request.job);
        passes(pauseRefusal(s, on));
        const does = on ? 'the update rests at its next safe point' : 'the update goes on';
        return { changes: isPaused(s) !== on, does };
      }
    }
  }

  async #switchover(): Promise<ActAnswer> {
    const { runner, requests } = this.#parts;
    const from = serving(runner.state);
    // Judged here too: also where nobody serves, the reason is better than that alone.
    passes(from === me(runner.state) ? switchoverRefusal(runner.state) : null);
    await requests.ask({ do: 'switchover' });
    const to = from === me(runner.state) ? other(runner.state) : me(runner.state);
    const message = `node ${to} takes the service over`;
    return { act: 'switchover', changed: true, message, serving: serving(runner.state), to };
  }

  async #takeover(peer: NodeId): Promise<ActAnswer> {
    const s = this.#state;
    this.#checkPeer(peer);
    const act = 'takeover';
    if (takeoverNeedless(s)) {
      const message = `node ${me(s)} needs no word: node ${peer} cannot take over`;
      return { act, changed: false, message, serving: serving(s) };
    }
    await this.#dispatch({ type: 'peer-off', word: 'operator' }, takeoverRefusal);
    const { epoch } = this.#state.record.role;
    const message = `node ${me(s)} goes on without node ${peer} (epoch ${epoch})`;
    return { act, changed: true, message, serving: serving(this.#state) };
  }

  #checkPeer(peer: NodeId): void {
    const s = this.#state;
    if (peer === other(s)) return;
    const message = `the word is that node ${peer} is off, but this is node ${me(s)}`;
    throw new UpdateError('usage.invalid', message);
  }

  async #standDown(on: boolean): Promise<ActAnswer> {
    const s = this.#state;
    const changed = standsDown(s) !== on;
    if (changed) await this.#dispatch({ type: 'stand-down', on }, (at) => standDownRefusal(at, on));
    const word = on ? 'has promised not to take over' : 'has no promise of an operator any more';
    const message = `node ${me(s)} ${word}`;
    return { act: 'stand-down', changed, message, serving: serving(this.#state) };
  }

  async #pause(
    request: ActRequest & { act: 'pause' | 'resume' },
    caller: Caller,
  ): Promise<ActAnswer> {
    const on = request.act === 'pause';
    const { requests } = this.#parts;
    const s = this.#state;
    this.#checkPausable(request.job);
    passes(pauseRefusal(s, on));
    const changed = isPaused(s) !== on;
    if (changed) await requests.ask({ do: 'pause', by: on ? caller.name : null });
    const { rollout } = this.#state;
    const restsAfter = on && running(rollout) ? restPoint(rollout) : null;
    const message = on ? `the update rests at the end of ${restsAfter}` : 'the update goes on';
    return { act: request.act, changed, message, serving: serving(this.#state), restsAfter };
  }

  #checkPausable(job: string | undefined): void {
    const { rollout } = this.#state;
    if (job === undefined || (running(rollout) && rollout.id === job)) return;
    this.#parts.checkJob(job);
    throw new UpdateError('job.not_pausable', `job ${job} is no update that is running`);
  }

  /** An event of the machine, with the reason when it has no meaning now. */
  async #dispatch(event: Event, refusalOf: (s: NodeState) => UpdateError | null): Promise<void> {
    const before = refusalOf(this.#state);
    if (before !== null) throw before;
    if (await this.#parts.runner.dispatch(event)) return;
    const message = 'the pair changed in the meantime';
    throw refusalOf(this.#state) ?? new UpdateError('pair.not_healthy', message);
  }

  /** What the word that the peer is off would do, and what it costs. */
  takeoverView(): TakeoverView {
    const s = this.#state;
    const [node, peer] = [me(s), other(s)];
    const { host, lastHeard } = this.#parts;
    const last = lastHeard();
    const agoMs = last === null ? null : Math.max(0, host.monotonicMs() - last.atMs);
    const heard = agoMs === null ? null : new Date(host.nowMs() - agoMs).toISOString();
    const refusal = takeoverRefusal(s)?.report() ?? null;
    return {
      node,
      peer,
      refusal,
      needless: refusal === null && takeoverNeedless(s),
      lastHeardAt: heard,
      lastHeardS: agoMs === null ? null : Math.round(agoMs / 1000),
      does: `node ${node} serves without node ${peer}`,
      costs: costsOf(s, heard),
      word: `${peer} is off`,
    };
  }
}

/** Throws the refusal, if there is one. */
function passes(refusal: UpdateError | null): void {
  if (refusal !== null) throw refusal;
}

function costsOf(s: NodeState, heard: string | null): readonly string[] {
  const [node, peer] = [me(s), other(s)];
  const since = heard === null ? 'since an unknown time (it was never heard)' : `since ${heard}`;
  const holds = s.record.role.holder === node;
  const lost =
    holds && s.world.serving !== null
      ? `Writes that node ${peer} acknowledged, if it took over ${since}, are lost.`
      : `Writes that only node ${peer} has acknowledged ${since} are lost.`;
  return [
    lost,
    `If node ${peer} still runs, or is switched on again while the link to it is down, both ` +
      'nodes serve: a split brain that only a person can resolve.',
    `There is no high availability until node ${peer} is back and its storage is synced.`,
  ];
}

function wordOf(request: ActRequest): string {
  return request.act === 'stand-down' && !request.on ? 'stand-down --end' : request.act;
}

const jobOf = ({ rollout }: NodeState): string | null => (running(rollout) ? rollout.id : null);

/** The node that serves now, as far as this one knows. */
function serving(s: NodeState): NodeId | null {
  if (s.world.serving !== null) return me(s);
  return peerReport(s)?.serving === true ? other(s) : null;
}

/** An entry of the audit log as the sentence of an event. */
function sentence({ act, by, reason, result, message }: AuditEntry): string {
  const why = reason === null ? '' : ` (${reason})`;
  return `${act} asked for by ${by}${why}: ${result === 'refused' ? 'refused, ' : ''}${message}`;
}
