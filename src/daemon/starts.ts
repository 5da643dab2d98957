/**
 * Changes that become jobs: each is judged first, then begun. Always holds: judging changes
 * nothing, so that a dry run and the change itself are judged by the same lines; what took long to
 * judge is judged again before it begins. Imports core, the contracts of control and its folder.
 */
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import type { PreparedPlan } from '../core/prepare-plan.ts';
import type { ChangePreview } from '../core/preview.ts';
import type { Policy, RolloutRecord } from '../core/records.ts';
import { serves } from '../core/role.ts';
import { connected, other, peerReport, type NodeState } from '../core/state.ts';
import type { JobKind, JobStatus } from '../core/status.ts';
import type { JobRequest } from '../control/backend.ts';
import type { VerifyResult } from '../install/protocol.ts';
import type { Runner } from '../updater/runner.ts';
import type { ArchiveDesk } from './archive-desk.ts';
import type { Asked } from './audit.ts';
import { stagedWords, type Bundles } from './bundles.ts';
import type { Checked, Checks } from './dry-run.ts';
import type { History } from './history.ts';
import type { JobDesk } from './job-desk.ts';
import { commitId, newId, type Jobs } from './jobs.ts';
import { commitRecord, firstNode, policyView, rollbackRecord, updateRecord } from './plan.ts';
import type { Identity } from './plan.ts';
import type { Prepared } from './prepared.ts';
import type { DriverRequests } from './requests.ts';
import type { StorageCare } from './storage-care.ts';
import { assertNew } from './update-gate.ts';
import { UpdateWait, type WaitingRun } from './update-wait.ts';
import type { Upkeep } from './upkeep.ts';

/** What changes are judged and begun with. */
export interface StartParts {
  readonly runner: Runner;
  readonly requests: DriverRequests;
  readonly history: History;
  readonly policy: Policy;
  readonly identity: Identity;
  readonly jobs: Jobs;
  readonly desk: JobDesk;
  readonly bundles: Bundles;
  readonly checks: Checks;
  readonly care: StorageCare;
  readonly upkeep: Upkeep;
  readonly archives: ArchiveDesk;
  readonly prepared: Prepared;
  /** Keeps an update that has to wait before it begins. */
  readonly keep: (run: WaitingRun) => Promise<void>;
  /** Wall-clock time, for people. */
  readonly now: () => string;
}

/** A change that was judged and may begin. */
interface Judged {
  /** What it will do, one sentence. */
  readonly does: string;
  /** False when it is so already. */
  readonly changes: boolean;
  readonly begin: () => Promise<JobStatus>;
  /** Seconds that it will take, as far as that is known. */
  readonly estimateS?: number | null;
  /** Throws what a begin would wait for, since it may be a matter of moments. */
  readonly now?: () => void;
}

/** Judges and begins changes. */
export class Starts {
  readonly #parts: StartParts;

  constructor(parts: StartParts) {
    this.#parts = parts;
  }

  get #state(): NodeState {
    return this.#parts.runner.state;
  }

  /** Begins it; throws the refusal. */
  async start(request: JobRequest, asked: Asked): Promise<JobStatus> {
    const judged = await this.#judge(request, asked);
    return judged.begin();
  }

  /** What it would do; changes nothing and throws no refusal. */
  async preview(request: JobRequest, asked: Asked): Promise<ChangePreview> {
    const { kind: change } = request;
    try {
      const { does, changes, now, estimateS = null } = await this.#judge(request, asked);
      now?.();
      return { change, refusal: null, changes, does, estimateS };
    } catch (error) {
      const refusal = asUpdateError(error).report();
      return { change, refusal, changes: false, does: null, estimateS: null };
    }
  }

  async #judge(request: JobRequest, asked: Asked): Promise<Judged> {
    switch (request.kind) {
      case 'stage':
        return this.#stage(request.path, asked);
      case 'prepare':
        return this.#prepare(request, asked);
      case 'update':
        return this.#update(request, asked);
      case 'rollback':
        return this.#rollback(asked);
      case 'commit':
        return this.#commit(asked);
      case 'verify':
        return this.#verify(asked);
      case 'resync':
        return this.#resync(asked);
      case 'resolve':
        return this.#resolve(request.keep, asked);
      case 'support':
        return this.#support(asked);
      case 'restart':
      case 'shutdown':
        return this.#leave(request, asked);
    }
  }

  async #accepted(path: string): Promise<Checked> {
    const { signal } = new AbortController();
    const checked = await this.#parts.checks.judge(path, signal);
    const { code, message, version } = checked.report;
    const detail = version === null ? {} : { version };
    if (code !== null) throw new UpdateError(code, message, { detail });
    return checked;
  }

  /** Both nodes hold the bundle at the end; no slot is written. */
  async #stage(path: string, asked: Asked): Promise<Judged> {
    const { bundles, desk, checks } = this.#parts;
    const checked = await this.#accepted(path);
    const { found } = checked;
    const listed = await bundles.listing();
    const there = listed.find(({ bundle }) => bundle === found.bundle)?.nodes.length === 2;
    const what = `bundle ${found.bundle} (${found.manifest.version})`;
    return {
      changes: !there,
      does: there ? `${what} is on both nodes already` : `copies ${what} to both nodes`,
      estimateS: checks.stageS(checked),
      begin: () => {
        const id = asked.job ?? newId('stage');
        const job = desk.begin(id, 'stage', asked, async (signal) => {
          await checks.agree(checked, desk, id, { later: false }, signal);
          await bundles.stage(id, path, found, signal);
          await bundles.replicate(found, signal);
          return stagedWords(found.bundle);
        });
        return Promise.resolve(job);
      },
    };
  }

  /** Both nodes have all that an install needs at the end; no slot is written. */
  async #prepare(request: JobRequest & { kind: 'prepare' }, asked: Asked): Promise<Judged> {
    const { bundles, prepared, policy, checks } = this.#parts;
    const { source, order = policy.order } = request;
    const { onSecondFailure = policy.onSecondFailure } = request;
    const checked = await this.#accepted(await bundles.pathOf(source));
    const { found } = checked;
    const { version } = found.manifest;
    const there = prepared.isPrepared(found.bundle, version);
    const what = `${version} (bundle ${found.bundle.slice(0, 12)})`;
    const does = there ? `${what} is being prepared` : `prepares ${what} on both nodes`;
    const id = asked.job ?? newId('prepare');
    const path = 'path' in source ? source.path : null;
    const draft = { id, found, path, options: { order, onSecondFailure } };
    const estimateS = checks.stageS(checked, { prepared: true });
    return { changes: !there, does, estimateS, begin: () => prepared.begin(draft, asked) };
  }

  async #update(request: JobRequest & { kind: 'update' }, asked: Asked): Promise<Judged> {
    const { checks, bundles, identity, requests, desk, now, prepared, history } = this.#parts;
    checks.idle();
    const plan = await this.#planned(request);
    const path = await bundles.pathOf(request.source);
    const checked = await this.#accepted(path);
    checks.healthy(checked.facts);
    const { ignoreWindow = false, formatTarget = false } = request;
    await checks.mayBegin(checked.facts, ignoreWindow);
    const { later } = await checks.hooks(checked);
    const { order, onSecondFailure } = plan?.options ?? request;
    const policy: Policy = {
      ...this.#parts.policy,
      ...(order === undefined ? {} : { order }),
      ...(onSecondFailure === undefined ? {} : { onSecondFailure }),
    };
    const { found } = checked;
    const first = firstNode(this.#state, policy);
    const begin = async (): Promise<JobStatus> => {
      const id = asked.job ?? newId('update');
      const wait = await this.#waitOf(id, request, found, asked);
      // Another one may have begun while this bundle was read; from here on nothing is waited for.
      checks.idle();
      const job = desk.begin(id, 'update', asked, async (signal) => {
        const { waitedMs } = asked;
        await checks.agree(checked, wait, id, { later: later !== undefined, waitedMs }, signal);
        await bundles.stage(id, path, found, signal);
        checks.healthy();
        const bundle = { digest: found.bundle, bytes: found.bytes };
        const view = policyView(this.#state, identity, bundle);
        const { totalS: estimateS } = checks.estimate(checked);
        const draft = { id, at: now(), policy, estimateS };
        const made = updateRecord(this.#state, found.manifest, view, draft);
        const options = {
          ...(formatTarget ? { formatTarget } : {}),
          ...(ignoreWindow ? { ignoreWindow } : {}),
        };
        const record = Object.keys(options).length === 0 ? made : { ...made, options };
        assertNew(id, history.with(this.#state.rollout));
        signal.throwIfAborted();
        const start = (): Promise<void> => requests.ask({ do: 'start', record });
        await (plan === null ? start() : prepared.install(id, asked.by, start));
        return 'the rollout has begun';
      });
      if (later !== undefined) await wait.keep();
      return job;
    };
    const waits = later === undefined ? '' : `; it waits first: ${later}`;
    const does = `updates the pair to ${found.manifest.version}, node ${first} first${waits}`;
    return { changes: true, does, begin, estimateS: checks.estimate(checked).totalS };
  }

  /** What becomes of it if it has to wait; a bundle that both nodes have needs its file no more. */
  async #waitOf(
    job: string,
    request: JobRequest & { kind: 'update' },
    { bundle, manifest }: VerifyResult,
    { by, reason }: Asked,
  ): Promise<UpdateWait> {
    const { bundles, desk, keep } = this.#parts;
    const listed = await bundles.listing();
    const both = listed.find((one) => one.bundle === bundle)?.nodes.length === 2;
    const source = 'path' in request.source && both ? { bundle } : request.source;
    const { version } = manifest;
    return new UpdateWait(
      desk,
      { job, request: { ...request, source }, version, by, reason },
      keep,
    );
  }

  /** The plan of a prepared update; throws what its install waits for. Null for any other one. */
  async #planned(request: JobRequest & { kind: 'update' }): Promise<PreparedPlan | null> {
    const { source, order, onSecondFailure } = request;
    if (!('prepared' in source)) return null;
    if (order === undefined && onSecondFailure === undefined) {
      return this.#parts.prepared.plan(source.prepared);
    }
    const message = 'a prepared update has its options already; see `tandem prepare configure`';
    throw new UpdateError('usage.invalid', message);
  }

  #rollback(asked: Asked): Promise<Judged> {
    const { checks, history, policy, requests, desk, now } = this.#parts;
    checks.idle();
    const id = asked.job ?? newId('rollback');
    const draft = { id, at: now(), policy, estimateS: history.estimateS('rollback') };
    const record = rollbackRecord(this.#state, draft);
    checks.healthy();
    const does = `returns the pair to ${record.to.version}, node ${record.first} first`;
    const begin = async (): Promise<JobStatus> => {
      await requests.ask({ do: 'start', record });
      return desk.begin(record.id, 'rollback', asked, () =>
        Promise.resolve('the rollback has begun'),
      );
    };
    return Promise.resolve({ changes: true, does, begin, estimateS: draft.estimateS });
  }

  #commit(asked: Asked): Promise<Judged> {
    const { checks, history, requests, desk, jobs, now } = this.#parts;
    const { rollout } = this.#state;
    if (rollout?.finalized === true) {
      const does = `${rollout.to.version} is permanent on both nodes already`;
      const begin = (): Promise<JobStatus> => Promise.resolve(jobs.get(commitId(rollout)));
      return Promise.resolve({ changes: false, does, begin });
    }
    const open = rollout?.phase === 'DONE' && rollout.kind === 'update';
    if (!open) checks.idle();
    const record: RolloutRecord | null = open
      ? rollout
      : commitRecord(this.#state, history.with(rollout), now());
    if (record === null) {
      const message = 'there is no update that waits for its commit';
      throw new UpdateError('rollback.unavailable', message);
    }
    checks.healthy();
    const does = `makes ${record.to.version} permanent on both nodes; the old one is given up`;
    const begin = async (): Promise<JobStatus> => {
      await requests.ask(open ? { do: 'finalize' } : { do: 'start', record });
      return desk.begin(commitId(record), 'commit', asked, () =>
        Promise.resolve('the commit has begun'),
      );
    };
    return Promise.resolve({ changes: true, does, begin });
  }

  #verify(asked: Asked): Promise<Judged> {
    const { care } = this.#parts;
    const does = 'compares both copies of the storage; writes to neither';
    const begin = async (): Promise<JobStatus> => {
      await care.beginVerify();
      return this.#followed('verify', asked, (tell, signal) => care.followVerify(tell, signal));
    };
    return Promise.resolve({ changes: true, does, begin, now: () => this.#served() });
  }

  #resync(asked: Asked): Promise<Judged> {
    const { care, checks } = this.#parts;
    checks.idle();
    const does = "makes the standby's copy of the storage equal to the active's";
    const begin = async (): Promise<JobStatus> => {
      await care.beginResync();
      return this.#followed('resync', asked, (tell, signal) => care.followResync(tell, signal));
    };
    return Promise.resolve({ changes: true, does, begin, now: () => this.#served() });
  }

  #served(): void {
    const s = this.#state;
    if (!connected(s)) {
      throw new UpdateError('pair.peer_unreachable', `node ${other(s)} does not answer`);
    }
    if (serves(s) || peerReport(s)?.serving === true) return;
    const message = `neither this node nor node ${other(s)} serves now`;
    throw new UpdateError('pair.not_healthy', message);
  }

  #followed(
    kind: JobKind,
    asked: Asked,
    follow: (tell: ReturnType<JobDesk['progressOf']>, signal: AbortSignal) => Promise<string>,
  ): JobStatus {
    const { desk } = this.#parts;
    const id = asked.job ?? newId(kind);
    const tell = desk.progressOf(id, kind);
    return desk.begin(id, kind, asked, (signal) => follow(tell, signal));
  }

  async #resolve(keep: NodeId, asked: Asked): Promise<Judged> {
    const { care, desk } = this.#parts;
    await care.checkResolve(keep);
    const because = { by: asked.by, reason: asked.reason ?? '' };
    const does = `keeps the copy of node ${keep}; the other one saves what only it has`;
    const begin = (): Promise<JobStatus> =>
      Promise.resolve(
        desk.begin(asked.job ?? newId('resolve'), 'resolve', asked, () =>
          care.resolve(keep, because),
        ),
      );
    return { changes: true, does, begin };
  }

  #support(asked: Asked): Promise<Judged> {
    const { archives } = this.#parts;
    archives.idle();
    const does = 'makes an archive for support and keeps it on this node';
    const begin = (): Promise<JobStatus> => Promise.resolve(archives.start(asked));
    return Promise.resolve({ changes: true, does, begin });
  }

  #leave(request: JobRequest & { kind: 'restart' | 'shutdown' }, asked: Asked): Promise<Judged> {
    const { upkeep } = this.#parts;
    upkeep.check(request);
    const { does } = upkeep.views()[request.kind];
    const begin = (): Promise<JobStatus> => Promise.resolve(upkeep.start(request, asked));
    return Promise.resolve({ changes: true, does, begin });
  }
}
