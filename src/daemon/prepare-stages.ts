/**
 * The stages of a prepared update on one node. Always holds: no slot is written; what a stage left
 * when it was stopped is used again by the next try; what is said to be done was looked at after it
 * was done. Imports core, the updater's executor and its own folder.
 */
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { peerOf, type NodeId } from '../core/model.ts';
import { judgeBundle } from '../core/policy.ts';
import { makePlan, misfit, planMismatch } from '../core/prepare-plan.ts';
import type { PreparedPlan } from '../core/prepare-plan.ts';
import { openOf } from '../core/prepare-order.ts';
import { runningStage, type Preparation, type PrepareOrder } from '../core/prepare.ts';
import type { PrepareStage } from '../core/prepare.ts';
import { connected, me, peerReport, type NodeState } from '../core/state.ts';
import type { ValidateReport } from '../core/status.ts';
import type { InstallerRequest, VerifyResult } from '../install/protocol.ts';
import type { DepotEntry, Hooks, Host } from '../ports.ts';
import { pause, type Pause } from '../updater/effects.ts';
import type { Executor } from '../updater/execute.ts';
import type { Runner } from '../updater/runner.ts';
import type { Bundles } from './bundles.ts';
import type { Checks } from './dry-run.ts';
import type { History } from './history.ts';
import { policyView, type Identity } from './plan.ts';
import { planText, type PrepareDisk } from './prepare-disk.ts';
import type { PrepareUpdater } from './prepare-updater.ts';
import type { PrepareWork, StageEnd, StageTask } from './prepare-work.ts';

/** How often it is looked whether the bundle has come from the peer. */
const LOOK_MS = 250;
/** A peer that is silent for this long fails the stage; what has come is kept. */
const SILENT_MS = 60_000;
/** Hooks that take longer are given up. */
const HOOKS_MS = 600_000;

/** What the stages work with. */
export interface StageParts {
  readonly disk: PrepareDisk;
  readonly runner: Runner;
  readonly executor: Executor;
  readonly depot: { list(): Promise<readonly DepotEntry[]> };
  readonly bundles: Bundles;
  readonly checks: Checks;
  readonly hooks: Hooks;
  readonly host: Pick<Host, 'checkWritable' | 'nowMs'>;
  readonly history: Pick<History, 'estimateS'>;
  readonly identity: Identity;
  readonly trustRoot: string;
  /** How this node takes the updater of a bundle; null where it cannot. */
  readonly updater: PrepareUpdater | null;
  readonly pause?: Pause;
}

/** The stages of this node. */
export class PrepareStages implements PrepareWork {
  readonly #parts: StageParts;
  /** Whether this desk has asked for what the peer is to fetch. */
  #offers = false;

  constructor(parts: StageParts) {
    this.#parts = parts;
  }

  run(stage: PrepareStage, task: StageTask): Promise<StageEnd> {
    switch (stage) {
      case 'checks':
        return this.#checks(task);
      case 'replicate':
        return this.#replicate(task);
      case 'updater':
        return this.#updater(task);
      case 'plan':
        return this.#plan(task);
      case 'finalize':
        return this.#finalize(task);
    }
  }

  readonly #send: Runner['dispatch'] = (event) => this.#parts.runner.dispatch(event);

  get #state(): NodeState {
    return this.#parts.runner.state;
  }

  get #node(): NodeId {
    return me(this.#state);
  }

  /** The node with the file judges the bundle; both look at themselves and ask their hooks. */
  async #checks({ preparation, signal }: StageTask): Promise<StageEnd> {
    const { checks, hooks, host } = this.#parts;
    const { order } = preparation;
    await host.checkWritable(signal);
    const isSource = order.source.node === this.#node;
    if (isSource) {
      const checked = await checks.judge(await this.#pathOf(order), signal);
      const { code, message } = checked.report;
      if (code !== null) throw new UpdateError(code, message);
      sameBundle(checked.found, order);
      checks.healthy(checked.facts);
    }
    const input = { bundle: order.bundle, version: order.version };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(HOOKS_MS)]);
    let ran = 0;
    for (const point of ['check', 'pre-prepare']) {
      const answer = await hooks.run(point, input, limit);
      const { later = `a ${point} hook asks to try later` } = answer;
      if (answer.retry) throw new UpdateError('hook.later', later);
      ran += answer.ran;
    }
    const judged = isSource ? 'the bundle fits the pair, ' : '';
    const agreed = ran === 0 ? 'there are no hooks' : `${ran} hooks agree`;
    return { message: `${judged}the data partition is writable, ${agreed}` };
  }

  async #replicate({ preparation, signal }: StageTask): Promise<StageEnd> {
    const { order } = preparation;
    if (order.source.node === this.#node) {
      await this.#stage(order, signal);
    } else if ((await this.#entry(order)) === null) {
      await this.#arrival(order, signal);
    }
    if ((await this.#entry(order)) === null) throw this.#missing(order);
    return { message: `${order.bytes} bytes are in the depot` };
  }

  /** Copies the file that was named; without it and the depot's copy nothing can be prepared. */
  async #stage(order: PrepareOrder, signal: AbortSignal): Promise<void> {
    const { id, bundle, bytes, source } = order;
    if (source.path === null && (await this.#entry(order)) === null) throw this.#gone(order);
    const path = await this.#pathOf(order);
    try {
      await this.#parts.bundles.stage(id, path, { bundle, bytes }, signal);
    } catch (cause) {
      throw asUpdateError(cause).code === 'file.not_found' ? this.#gone(order) : cause;
    }
  }

  /** The peer offers the bundle while this stage runs here; the machine of the node fetches it. */
  async #arrival({ bundle }: PrepareOrder, signal: AbortSignal): Promise<void> {
    for (let silentMs = 0; silentMs < SILENT_MS;) {
      signal.throwIfAborted();
      const s = this.#state;
      if (s.world.depot.includes(bundle)) return;
      const trouble = s.world.troubles['fetch'];
      if (trouble !== undefined) throw new UpdateError(trouble.code, trouble.message);
      const offered = peerReport(s)?.staging?.bundle === bundle;
      silentMs = offered && connected(s) ? 0 : silentMs + LOOK_MS;
      await (this.#parts.pause ?? pause)(LOOK_MS, signal);
    }
    const message = `node ${peerOf(this.#node)} does not offer the bundle; what has come is kept`;
    throw new UpdateError('pair.not_replicated', message);
  }

  async #updater({ preparation, signal }: StageTask): Promise<StageEnd> {
    const { updater } = this.#parts;
    const entry = await this.#entry(preparation.order);
    if (entry === null) throw this.#missing(preparation.order);
    const { updater: brings } = entry.manifest;
    if (brings === undefined) return { message: 'the bundle brings no updater; nothing to do' };
    if (updater === null) return { message: 'this node takes no updater of a bundle' };
    const message = await updater.take(entry, brings, signal);
    return { message };
  }

  async #plan({ planned }: StageTask): Promise<StageEnd> {
    const { order } = await planned();
    if (order.plan === null) throw new UpdateError('internal.bug', 'there is no plan');
    const { digest, content } = order.plan;
    await this.#parts.disk.writePlan(content, digest);
    return { message: `the plan ${digest.slice(0, 12)} lies on this node`, plan: digest };
  }

  /** Everything that an install needs is read once more from this node's own disk. */
  async #finalize({ preparation, signal }: StageTask): Promise<StageEnd> {
    const { executor, trustRoot, disk } = this.#parts;
    const { order } = preparation;
    if (order.plan === null) throw new UpdateError('prepare.plan_lost', 'there is no plan');
    const plan = await disk.readPlan(order.plan.digest);
    const entry = await this.#entry(order);
    if (entry === null) throw this.#missing(order);
    const request: InstallerRequest = { do: 'verify', path: entry.path, trustRoot };
    const name = 'checking';
    const found = await executor.work<VerifyResult>(request, name, order.id, this.#send, signal);
    sameBundle(found, order);
    const own = plan.nodes[this.#node];
    const writes = own.skip ? 'nothing' : own.images.map((image) => image.name).join(' and ');
    return { message: `bundle and plan are verified here; an install writes ${writes}` };
  }

  async lost(
    preparation: Preparation,
  ): Promise<{ readonly stage: PrepareStage; readonly message: string } | null> {
    const { order, nodes } = preparation;
    const { stages, plan } = nodes[this.#node];
    const entry = await this.#entry(order);
    if (stages.replicate.state === 'done' && entry === null) {
      // The machine of the node has to know it too, or it would never fetch it again.
      await this.#parts.executor.observeDepot(this.#send);
      return { stage: 'replicate', message: 'the bundle is not in the depot any more' };
    }
    const { updater } = this.#parts;
    const brings = entry?.manifest.updater;
    if (stages.updater.state === 'done' && brings !== undefined && updater !== null) {
      const gone = updater.lacks(brings);
      if (gone !== null) return { stage: 'updater', message: gone };
    }
    if (stages.plan.state !== 'done' || plan === null) return null;
    try {
      await this.#parts.disk.readPlan(plan);
      return null;
    } catch (cause) {
      return { stage: 'plan', message: asUpdateError(cause).message };
    }
  }

  async plan({ order }: Preparation): Promise<NonNullable<PrepareOrder['plan']>> {
    const content = await this.#planOf(order, 'judge');
    return { digest: planText(content).digest, content };
  }

  misfit({ order }: Preparation): string | null | undefined {
    if (peerReport(this.#state) === null) return undefined;
    return misfit(order, policyView(this.#state, this.#parts.identity, null));
  }

  async #planOf(order: PrepareOrder, judge?: 'judge'): Promise<PreparedPlan> {
    const { identity, history } = this.#parts;
    const entry = await this.#entry(order);
    if (entry === null) throw this.#missing(order);
    const { bundle, bytes, id, options } = order;
    if (peerReport(this.#state) === null) {
      const message = `node ${peerOf(this.#node)} does not answer, so its versions are not known`;
      throw new UpdateError('pair.peer_unreachable', message);
    }
    const view = policyView(this.#state, identity, { digest: bundle, bytes });
    // The pair may have been updated by other means since the checks.
    const wrong = judge && judgeBundle(entry.manifest, view).checks.find(isOfVersion);
    if (wrong !== undefined) throw new UpdateError('prepare.outdated', wrong.detail);
    const estimateS = history.estimateS('update');
    const at = new Date(this.#parts.host.nowMs()).toISOString();
    return makePlan(entry.manifest, view, { id, bundle, bytes, options, estimateS, at });
  }

  /** The frozen plan of this node, which fits the pair as it is; throws why it does not. */
  async frozen({ order }: Preparation): Promise<PreparedPlan> {
    if (order.plan === null) throw new UpdateError('prepare.not_ready', 'there is no plan yet');
    const frozen = await this.#parts.disk.readPlan(order.plan.digest);
    const why = planMismatch(frozen, await this.#planOf(order));
    if (why !== null) throw new UpdateError('prepare.outdated', why);
    return frozen;
  }

  waits(stage: PrepareStage, { order, nodes }: Preparation): boolean {
    const { source, bundle } = order;
    if (stage !== 'replicate' || source.node === this.#node) return false;
    if (this.#state.world.depot.includes(bundle)) return false;
    return nodes[source.node].stages.replicate.state !== 'done' || !connected(this.#state);
  }

  /** The bundle is offered while the peer fetches it; the updater goes with its preparation. */
  async follow(preparation: Preparation | null): Promise<void> {
    const { runner, updater } = this.#parts;
    const open = openOf(preparation);
    const { world } = this.#state;
    const fetches =
      open !== null &&
      open.order.source.node === this.#node &&
      open.order.ignored[peerOf(this.#node)] === null &&
      runningStage(open.nodes[peerOf(this.#node)]) === 'replicate' &&
      world.depot.includes(open.order.bundle);
    if (fetches && world.staging === null) {
      const { bundle, bytes } = open.order;
      this.#offers = true;
      await runner.dispatch({ type: 'staging', staging: { bundle, bytes } });
    }
    if (!fetches && this.#offers) {
      this.#offers = false;
      await runner.dispatch({ type: 'staging', staging: null });
    }
    if (updater !== null) await updater.keepFor(open?.order.bundle ?? null);
  }

  /** The depot's own copy as soon as there is one, else the file that was named. */
  async #pathOf(order: PrepareOrder): Promise<string> {
    const entry = await this.#entry(order);
    if (entry !== null) return entry.path;
    if (order.source.path !== null) return order.source.path;
    throw this.#missing(order);
  }

  async #entry({ bundle }: PrepareOrder): Promise<DepotEntry | null> {
    return (await this.#parts.depot.list()).find((one) => one.bundle === bundle) ?? null;
  }

  #gone({ source }: PrepareOrder): UpdateError {
    const file = source.path === null ? '' : ` and from ${source.path}`;
    const message = `the bundle is gone from the depot of node ${this.#node}${file}`;
    return new UpdateError('prepare.outdated', message);
  }

  #missing({ bundle }: PrepareOrder): UpdateError {
    const message = `node ${this.#node} does not hold bundle ${bundle.slice(0, 12)}`;
    return new UpdateError('pair.not_replicated', message);
  }
}

/** A check that has failed because of what the nodes run, so that no further try helps. */
function isOfVersion({ code }: ValidateReport['checks'][number]): boolean {
  return code !== null && code.startsWith('version.');
}

/** The file may have been replaced since it was named. */
function sameBundle(found: VerifyResult, { bundle }: PrepareOrder): void {
  if (found.bundle === bundle) return;
  const message = `the file holds bundle ${found.bundle}, expected ${bundle}`;
  throw new UpdateError('bundle.damaged', message);
}
