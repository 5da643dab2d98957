/**
 * What the daemon answers to its clients: status, checks, and changes that become jobs. Any node
 * takes any request: what only the driver may do is handed to it over the link. Imports core, the
 * updater and the contracts of control.
 */
import { randomBytes } from 'node:crypto';
import { CODES } from '../core/codes.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { NodeId, Sha256 } from '../core/model.ts';
import { canCancel } from '../core/phases.ts';
import { judgeBundle } from '../core/policy.ts';
import type { Policy, Reason, RolloutRecord } from '../core/records.ts';
import { serves } from '../core/role.ts';
import { me, other, peerReport, running, type NodeState } from '../core/state.ts';
import type { JobStatus, PairStatus, SlotStatus, TandemEvent } from '../core/status.ts';
import type { ValidateReport } from '../core/status.ts';
import type { Caller, ControlBackend, JobRequest } from '../control/backend.ts';
import type { InstallerRequest, VerifyResult } from '../install/protocol.ts';
import type { Depot, Hooks, Host } from '../ports.ts';
import type { EventLog } from '../updater/events.ts';
import { pause, type Pause } from '../updater/effects.ts';
import type { Executor } from '../updater/execute.ts';
import { reportOf } from '../updater/report.ts';
import type { Runner } from '../updater/runner.ts';
import { pairStatus, reformItems, slotStatuses, type LastHeard } from '../updater/status.ts';
import type { History } from './history.ts';
import { commitId, Jobs } from './jobs.ts';
import { policyView, rollbackRecord, updateRecord, type Identity } from './plan.ts';
import type { DriverRequests } from './requests.ts';

/** How often the peer is looked at while it pulls a bundle, and how long it may be silent. */
const PEER_LOOK_MS = 100;
const PEER_SILENT_MS = 10_000;

/** What the backend answers from. */
export interface BackendParts {
  readonly runner: Runner;
  readonly executor: Executor;
  readonly events: EventLog;
  readonly history: History;
  readonly requests: DriverRequests;
  readonly depot: Depot;
  readonly hooks: Hooks;
  readonly host: Host;
  readonly identity: Identity;
  readonly policy: Policy;
  readonly trustRoot: string;
  readonly depotDir: string;
  readonly lastHeard: () => LastHeard | null;
  /** Why the peer is not heard. */
  readonly linkTroubles: () => readonly Reason[];
  /** How time passes between looks at the peer; real time unless a test says otherwise. */
  readonly pause?: Pause;
}

/** The node behind the control socket, made of the parts of this daemon. */
export class Backend implements ControlBackend {
  readonly #parts: BackendParts;
  readonly #jobs: Jobs;

  constructor(parts: BackendParts) {
    this.#parts = parts;
    const rollouts = (): readonly RolloutRecord[] => parts.history.with(this.#state.rollout);
    this.#jobs = new Jobs(rollouts, () => this.#at());
  }

  get #state(): NodeState {
    return this.#parts.runner.state;
  }

  #at(): string {
    return new Date(this.#parts.host.nowMs()).toISOString();
  }

  status(): PairStatus {
    const { host, lastHeard, linkTroubles } = this.#parts;
    const status = pairStatus(this.#state, lastHeard(), host.monotonicMs(), this.#at());
    // The reason that the link knows says more than that the peer does not answer.
    const troubles = linkTroubles().map((one) => ({ ...one, node: me(this.#state) }));
    const codes = new Set(troubles.map((one) => one.code));
    const others = status.alarms.filter((one) => !codes.has(one.code));
    return { ...status, alarms: [...others, ...troubles] };
  }

  slots(): Promise<Readonly<Record<NodeId, readonly SlotStatus[]>>> {
    const s = this.#state;
    const peer = peerReport(s);
    const own = slotStatuses(reportOf(s, 0));
    const theirs = peer === null ? [] : slotStatuses(peer);
    return Promise.resolve(me(s) === 'A' ? { A: own, B: theirs } : { A: theirs, B: own });
  }

  history(limit: number): Promise<readonly RolloutRecord[]> {
    return Promise.resolve(this.#parts.history.with(this.#state.rollout).slice(0, limit));
  }

  async validate(path: string, signal: AbortSignal): Promise<ValidateReport> {
    try {
      const { report } = await this.#judge(path, signal);
      return report;
    } catch (cause) {
      return refusal(cause);
    }
  }

  jobs(): readonly JobStatus[] {
    return this.#jobs.list();
  }

  job(id: string): JobStatus {
    return this.#jobs.get(id);
  }

  eventsSince(since: number): readonly TandemEvent[] {
    return this.#parts.events.since(since);
  }

  onEvent(listener: (event: TandemEvent) => void): () => void {
    return this.#parts.events.onEvent(listener);
  }

  async start(request: JobRequest, caller: Caller): Promise<JobStatus> {
    const { events } = this.#parts;
    const said = { job: null, phase: null, state: 'request' };
    events.emit({ ...said, msg: `${request.kind} asked for by ${caller.name}` });
    switch (request.kind) {
      case 'stage':
        return this.#startStage(request.path);
      case 'update':
        return this.#startUpdate(request);
      case 'rollback':
        return this.#startRollback();
      case 'commit':
        return this.#startCommit();
    }
  }

  async cancel(id: string, caller: Caller): Promise<JobStatus> {
    const { rollout } = this.#state;
    if (running(rollout) && rollout.id === id) {
      if (!canCancel(rollout)) {
        const message = `job ${id} is in phase ${rollout.phase}`;
        throw new UpdateError('job.not_cancellable', message);
      }
      await this.#parts.requests.ask({ do: 'cancel', by: caller.name, reason: 'asked for' });
      return this.#jobs.get(id);
    }
    const job = this.#jobs.get(id);
    if (!this.#jobs.abort(id)) {
      throw new UpdateError('job.not_cancellable', `job ${id} has ended already`);
    }
    return job;
  }

  /** Reads the whole bundle and judges it against this pair; writes nothing. */
  async #judge(
    path: string,
    signal: AbortSignal,
  ): Promise<{ readonly report: ValidateReport; readonly found: VerifyResult }> {
    const { trustRoot, identity, executor } = this.#parts;
    const request: InstallerRequest = { do: 'verify', path, trustRoot };
    const dispatch = (event: Parameters<Runner['dispatch']>[0]): Promise<boolean> =>
      this.#parts.runner.dispatch(event);
    const found = await executor.work<VerifyResult>(request, 'checking', null, dispatch, signal);
    const bundle = { digest: found.bundle, bytes: found.bytes };
    const report = judgeBundle(found.manifest, policyView(this.#state, identity, bundle));
    return { report, found };
  }

  async #accepted(path: string, signal: AbortSignal): Promise<VerifyResult> {
    const { report, found } = await this.#judge(path, signal);
    if (report.code !== null) throw new UpdateError(report.code, report.message);
    return found;
  }

  /** Both nodes hold the bundle at the end; no slot is written. */
  async #startStage(path: string): Promise<JobStatus> {
    const found = await this.#accepted(path, new AbortController().signal);
    const id = newId('stage');
    return this.#begin(id, 'stage', async (signal) => {
      await this.#stage(id, path, found, signal);
      const { bundle, bytes } = found;
      const { runner } = this.#parts;
      await runner.dispatch({ type: 'staging', staging: { bundle, bytes } });
      try {
        await this.#untilPeerHas(bundle, signal);
      } finally {
        await runner.dispatch({ type: 'staging', staging: null });
      }
      return `bundle ${bundle} is staged on both nodes`;
    });
  }

  /** Waits while the peer pulls the bundle; its trouble, or its absence, is the job's failure. */
  async #untilPeerHas(bundle: Sha256, signal: AbortSignal): Promise<void> {
    for (let silentMs = 0; silentMs < PEER_SILENT_MS;) {
      signal.throwIfAborted();
      const peer = peerReport(this.#state);
      if (peer?.depot.includes(bundle) === true) return;
      const trouble = peer?.troubles['fetch'];
      if (trouble !== undefined) throw new UpdateError(trouble.code, trouble.message);
      silentMs = peer === null ? silentMs + PEER_LOOK_MS : 0;
      await (this.#parts.pause ?? pause)(PEER_LOOK_MS, signal);
    }
    const message = `the bundle is staged on node ${me(this.#state)} only: its peer does not answer`;
    throw new UpdateError('pair.not_replicated', message);
  }

  #begin(
    id: string,
    kind: JobStatus['kind'],
    work: (signal: AbortSignal) => Promise<string>,
  ): JobStatus {
    return this.#jobs.begin(id, kind, work, (status) => {
      const { code, message } = status;
      const state = status.state === 'done' ? 'ended' : 'failed';
      this.#parts.events.emit({ job: id, phase: null, state, msg: message, code });
    });
  }

  async #stage(job: string, path: string, found: VerifyResult, signal: AbortSignal): Promise<void> {
    const { depot, executor, trustRoot, depotDir, runner } = this.#parts;
    const dispatch = (event: Parameters<Runner['dispatch']>[0]): Promise<boolean> =>
      runner.dispatch(event);
    const staged = await depot.list();
    if (!staged.some((entry) => entry.bundle === found.bundle)) {
      await executor.makeRoom(found.bundle, found.bytes);
      const request: InstallerRequest = { do: 'stage', path, trustRoot, depotDir };
      await executor.work(request, 'staging', job, dispatch, signal);
    }
    await executor.observeDepot(dispatch);
  }

  async #startUpdate(request: JobRequest & { kind: 'update' }): Promise<JobStatus> {
    this.#checkIdle();
    const path = await this.#pathOf(request.source);
    const found = await this.#accepted(path, new AbortController().signal);
    this.#checkHealthy();
    await this.#checkHooks(found);
    const policy: Policy = {
      ...this.#parts.policy,
      ...(request.order === undefined ? {} : { order: request.order }),
      ...(request.onSecondFailure === undefined
        ? {}
        : { onSecondFailure: request.onSecondFailure }),
    };
    // Another one may have begun while this bundle was read.
    this.#checkIdle();
    const id = newId('update');
    return this.#begin(id, 'update', async (signal) => {
      await this.#stage(id, path, found, signal);
      this.#checkHealthy();
      const bundle = { digest: found.bundle, bytes: found.bytes };
      const view = policyView(this.#state, this.#parts.identity, bundle);
      const estimateS = this.#parts.history.estimateS('update');
      const draft = { id, at: this.#at(), policy, estimateS };
      const record = updateRecord(this.#state, found.manifest, view, draft);
      signal.throwIfAborted();
      await this.#parts.requests.ask({ do: 'start', record });
      return 'the rollout has begun';
    });
  }

  async #pathOf(source: { path: string } | { bundle: string }): Promise<string> {
    if ('path' in source) return source.path;
    const entries = await this.#parts.depot.list();
    const entry = entries.find((one) => one.bundle === (source.bundle as Sha256));
    if (entry !== undefined) return entry.path;
    const message = `bundle ${source.bundle} is not staged on node ${me(this.#state)}`;
    throw new UpdateError('file.not_found', message);
  }

  async #startRollback(): Promise<JobStatus> {
    this.#checkIdle();
    const estimateS = this.#parts.history.estimateS('rollback');
    const draft = { id: newId('rollback'), at: this.#at(), policy: this.#parts.policy, estimateS };
    const record = rollbackRecord(this.#state, draft);
    this.#checkHealthy();
    await this.#parts.requests.ask({ do: 'start', record });
    return this.#begin(record.id, 'rollback', () => Promise.resolve('the rollback has begun'));
  }

  async #startCommit(): Promise<JobStatus> {
    const { rollout } = this.#state;
    if (rollout?.finalized === true) return this.#jobs.get(commitId(rollout));
    const open = rollout?.phase === 'DONE' && rollout.kind === 'update';
    if (!open) {
      this.#checkIdle();
      const message = 'there is no update that waits for its commit';
      throw new UpdateError('rollback.unavailable', message);
    }
    this.#checkHealthy();
    await this.#parts.requests.ask({ do: 'finalize' });
    return this.#begin(commitId(rollout), 'commit', () => Promise.resolve('the commit has begun'));
  }

  #checkIdle(): void {
    const { rollout } = this.#state;
    const local = this.#jobs.list().find((job) => job.state === 'running' && job.kind !== 'stage');
    if (running(rollout) || local !== undefined) {
      const id = running(rollout) ? rollout.id : local?.id;
      throw new UpdateError('job.busy', `${id} is running`, { detail: { job: id ?? '' } });
    }
  }

  /** PRECHECK of the pair: a rollout begins only where it could be taken back at once. */
  #checkHealthy(): void {
    const s = this.#state;
    if (peerReport(s) === null) {
      throw new UpdateError('pair.peer_unreachable', `node ${other(s)} does not answer`);
    }
    const waiting = reformItems(s).filter(
      (item) => item.state !== 'ok' && item.name !== 'versions',
    );
    if (waiting.length > 0) {
      const text = waiting.map((item) => `${item.name}: ${item.text}`).join('; ');
      throw new UpdateError('pair.not_healthy', text);
    }
  }

  async #checkHooks(found: VerifyResult): Promise<void> {
    const input = { bundle: found.bundle, version: found.manifest.version };
    const { retry } = await this.#parts.hooks.run('check', input, AbortSignal.timeout(600_000));
    if (retry) throw new UpdateError('hook.veto', 'a check hook asks to try again later');
  }

  /** True when this node may write the rollout itself. */
  drives(): boolean {
    return serves(this.#state);
  }
}

/** A refusal of the reader in the form of a report. */
function refusal(cause: unknown): ValidateReport {
  const error = asUpdateError(cause);
  if (error.code === 'internal.bug') throw error;
  const { code, message } = error;
  return {
    ok: false,
    bundle: null,
    product: null,
    version: null,
    lagging: [],
    checks: [{ name: 'bundle', ok: false, code, detail: message }],
    code,
    message,
    next: CODES[code].next,
  };
}

/** Ids that people can read over the phone and that sort by kind. */
function newId(kind: string): string {
  return `${kind}-${randomBytes(5).toString('hex')}`;
}
