/**
 * Prepared updates as the backend offers them: begin one, say a word about it, look at it, and pass
 * its gates with an install. Always holds: each word stands in the audit log with who said it and
 * why, and a refused one too; an install takes its options from the plan on this node's disk and
 * uses up one authorisation. Imports core, the contracts of control and its own folder.
 */
import type { Caller } from '../control/backend.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { peerOf, type Sha256 } from '../core/model.ts';
import type { PreparedPlan, PrepareOptions } from '../core/prepare-plan.ts';
import { installRefusal, noSuch, openOf, type PrepareAct } from '../core/prepare-order.ts';
import { prepareBrief, stuckAlarm, stuckStages } from '../core/prepare-brief.ts';
import type { PreparedBrief } from '../core/prepare-brief.ts';
import { prepareJob, prepareView } from '../core/prepare-view.ts';
import type { PrepareAnswer, PrepareRequest, PrepareView } from '../core/prepare-view.ts';
import type { Preparation, PrepareOrder, PrepareWord } from '../core/prepare.ts';
import { me, type NodeState } from '../core/state.ts';
import type { Alarm, JobStatus } from '../core/status.ts';
import type { VerifyResult } from '../install/protocol.ts';
import type { Asked, AuditLog } from './audit.ts';
import { PrepareDesk, type PrepareDeskParts } from './prepare-desk.ts';
import { PrepareStages, type StageParts } from './prepare-stages.ts';

/** What prepared updates are made of. */
export type PreparedParts = Omit<PrepareDeskParts, 'work' | 'ended'> &
  StageParts & { readonly auditLog: AuditLog };

/** A bundle that was judged and may be prepared. */
export interface PrepareDraft {
  readonly id: string;
  readonly found: VerifyResult;
  /** Where the file is on this node; null = in its depot. */
  readonly path: string | null;
  readonly options: PrepareOptions;
}

/** The prepared update of this pair, on this node. */
export class Prepared implements AsyncDisposable {
  readonly #parts: PreparedParts;
  readonly #stages: PrepareStages;
  readonly #desk: PrepareDesk;

  constructor(parts: PreparedParts) {
    this.#parts = parts;
    this.#stages = new PrepareStages(parts);
    const { auditLog } = parts;
    const ended = (act: string, { id, asked }: PrepareOrder, good: boolean, message: string) => {
      const { by, reason } = asked;
      auditLog.note({ act, by, reason }, { result: good ? 'done' : 'failed', message, job: id });
    };
    this.#desk = new PrepareDesk({ ...parts, work: this.#stages, ended });
  }

  /** After each step of the runner. */
  look(s: NodeState): void {
    this.#desk.look(s);
  }

  /** Bundles that the depot keeps beside those of rollouts. */
  kept(): readonly Sha256[] {
    return this.#desk.kept();
  }

  jobs(): readonly JobStatus[] {
    const { preparation } = this.#desk;
    return preparation === null ? [] : [prepareJob(preparation)];
  }

  /** What the status of the pair says of it. */
  brief(): PreparedBrief | null {
    return prepareBrief(this.#desk.preparation);
  }

  /** One for each stage that fails again and again. */
  alarms(): readonly Alarm[] {
    const { preparation } = this.#desk;
    const version = preparation?.order.version ?? '';
    return stuckStages(preparation).map((stuck) => stuckAlarm(version, stuck));
  }

  view(): PrepareView {
    const { preparation } = this.#desk;
    return prepareView(me(this.#parts.runner.state), preparation, this.#desk.retryInS());
  }

  /** Whether just this bundle is being prepared; throws `prepare.busy` for another one. */
  isPrepared(bundle: Sha256, version: string): boolean {
    const open = openOf(this.#desk.preparation);
    if (open === null) return false;
    if (open.order.bundle === bundle) return true;
    const { id, version: other } = open.order;
    throw new UpdateError('prepare.busy', `${id} prepares ${other}, not ${version}`);
  }

  /** Begins it on both nodes, or finds that it was begun; the job of it. */
  async begin({ id, found, path, options }: PrepareDraft, asked: Asked): Promise<JobStatus> {
    const { bundle, bytes, manifest } = found;
    const order: PrepareOrder = {
      id,
      bundle,
      bytes,
      product: manifest.product,
      version: manifest.version,
      counter: manifest.releaseCounter,
      updater: manifest.updater?.version ?? null,
      source: { node: me(this.#parts.runner.state), path },
      options,
      asked: this.#word(asked),
      retry: 0,
      plan: null,
      ignored: { A: null, B: null },
      authorized: null,
      configured: null,
      readyAt: null,
      install: null,
      ended: null,
      writer: { epoch: 0, seq: 0 },
    };
    const { preparation } = await this.#desk.ask({ do: 'begin', order });
    return prepareJob(preparation);
  }

  /** Does what a person says of it, or throws the refusal; noted either way. */
  say(request: PrepareRequest, { name: by, via }: Caller): Promise<PrepareAnswer> {
    const reason = request.reason ?? null;
    const asked: Asked = { act: `prepare ${request.do}`, by, via, reason };
    return this.#parts.auditLog.around(
      asked,
      async () => {
        const open = this.#open(request.id ?? null);
        const { changed, message, preparation } = await this.#desk.ask(
          actOf(request, this.#word(asked)),
        );
        const value = { do: request.do, id: open.order.id, changed, message, preparation };
        const result = changed ? 'done' : 'unchanged';
        return { value, noted: { result, message, job: open.order.id } };
      },
      ({ message, code, job }) => {
        const msg = `prepare ${request.do} by ${by}: ${message}`;
        this.#parts.events.emit({ job, phase: null, state: 'operator', msg, code });
      },
    );
  }

  /** Gives it up by its job. */
  async cancel(id: string, asked: Asked): Promise<JobStatus> {
    this.#open(id);
    const { preparation } = await this.#desk.ask({ do: 'cancel', word: this.#word(asked) });
    return prepareJob(preparation);
  }

  /** The bundle of the one with this id; throws `prepare.unknown`. */
  bundleOf(id: string): Sha256 {
    return this.#open(id).order.bundle;
  }

  /** The plan on this node's disk, when an install may begin; throws why it may not. */
  async plan(id: string): Promise<PreparedPlan> {
    const { preparation } = this.#desk;
    const refusal = installRefusal(preparation, id);
    if (refusal !== null) throw refusal;
    const open = this.#open(id);
    const node = me(this.#parts.runner.state);
    if (open.order.ignored[node] === null) return this.#stages.frozen(open);
    const message = `node ${node} is ignored and was not prepared; ask node ${peerOf(node)}`;
    throw new UpdateError('pair.not_replicated', message);
  }

  /** An install runs `start`: one authorisation is used up, and its failure is kept. */
  async install(job: string, by: string, start: () => Promise<void>): Promise<void> {
    await this.#desk.ask({ do: 'install', job, by, at: this.#parts.now() });
    try {
      await start();
    } catch (cause) {
      const { code, message } = asUpdateError(cause);
      const result = { good: false, code, message };
      const at = this.#parts.now();
      await this.#desk.ask({ do: 'installed', job, at, result }).catch(() => undefined);
      throw cause;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#desk[Symbol.asyncDispose]();
  }

  #open(id: string | null): Preparation {
    const { preparation } = this.#desk;
    const open = openOf(preparation);
    if (open === null || (id !== null && open.order.id !== id)) throw noSuch(preparation, id);
    return open;
  }

  #word({ by, reason }: Asked): PrepareWord {
    return { by, reason, at: this.#parts.now() };
  }
}

function actOf(request: PrepareRequest, word: PrepareWord): PrepareAct {
  switch (request.do) {
    case 'ignore':
    case 'heed':
      return { do: request.do, node: request.node, word };
    case 'configure': {
      const { order, onSecondFailure } = request;
      const options = {
        ...(order === undefined ? {} : { order }),
        ...(onSecondFailure === undefined ? {} : { onSecondFailure }),
      };
      return { do: 'configure', options, word };
    }
    case 'authorize':
    case 'retry':
    case 'cancel':
      return { do: request.do, word };
  }
}
