/**
 * What the daemon answers to its clients: status, checks, and changes that become jobs. Any node
 * takes any request: what only the driver may do is handed to it over the link. Imports core, the
 * updater and the contracts of control.
 */
import type { NodeId, Sha256 } from '../core/model.ts';
import type { ActAnswer, AuditEntry, PrecheckReport, TakeoverView } from '../core/operator.ts';
import type { PowerViews } from '../core/power.ts';
import type { PrepareAnswer, PrepareRequest, PrepareView } from '../core/prepare-view.ts';
import type { ChangePreview } from '../core/preview.ts';
import type { RolloutRecord } from '../core/records.ts';
import type { ReplaceOffer } from '../core/replace.ts';
import type { SettingAnswer, SettingsView } from '../core/settings.ts';
import { me, type NodeState } from '../core/state.ts';
import type { ChannelStatus, JobStatus, PairStatus, SlotStatus } from '../core/status.ts';
import type { TandemEvent, ValidateReport } from '../core/status.ts';
import type { StorageView } from '../core/store.ts';
import type { SupportArchive, SupportView } from '../core/support.ts';
import type { ActRequest, BundleSource, Caller, StagedBundle } from '../control/backend.ts';
import type { PrecheckOptions } from '../control/backend.ts';
import type { ControlBackend, JobRequest, ReplaceRequest } from '../control/backend.ts';
import type { SettingRequest } from '../control/backend.ts';
import { NO_COUNTERS, type Counters } from '../control/metrics.ts';
import type { ScheduleRequest, ScheduleWord } from '../control/schedule-protocol.ts';
import type { AutomationView, ScheduleView } from '../core/schedule-read.ts';
import type { ServiceAddress, StorageSoftware, StoreCare } from '../ports.ts';
import type { Pause } from '../updater/effects.ts';
import type { EventLog, LineLog } from '../updater/events.ts';
import { ArchiveDesk } from './archive-desk.ts';
import { AuditLog, type Asked } from './audit.ts';
import { Bundles, refusal } from './bundles.ts';
import { Checks, type CheckParts } from './dry-run.ts';
import type { JobBook } from './job-book.ts';
import { cancelJob } from './job-cancel.ts';
import { JobDesk } from './job-desk.ts';
import { Jobs, newId } from './jobs.ts';
import { Operator } from './operator.ts';
import type { PowerNotes } from './power-note.ts';
import { Prepared, type PreparedParts } from './prepared.ts';
import { Replacement, type PairingParts } from './replace.ts';
import { changeSetting, type SettingsFile } from './settings.ts';
import type { ScheduleDesk } from './schedule-desk.ts';
import { auditSchedule, deskOf, NOTHING_SCHEDULED, withResult } from './schedules.ts';
import { withStaged, withWaiting, type RunJobs } from './schedules.ts';
import { Starts } from './starts.ts';
import { StatusDesk, type StatusDeskParts } from './status-desk.ts';
import { StorageCare } from './storage-care.ts';
import type { Support } from './support.ts';
import { liveSources } from './support-live.ts';
import { Upkeep } from './upkeep.ts';

/** What the backend answers from. */
export interface BackendParts extends Omit<CheckParts, 'channels' | 'localJob'>, StatusDeskParts {
  readonly events: EventLog;
  /** Where the audit log is kept. */
  readonly audit: LineLog;
  readonly settings: Pick<SettingsFile, 'view' | 'set'>;
  /** The two copies of the store, as people compare and repair them. */
  readonly care: StoreCare;
  readonly service: ServiceAddress;
  readonly storage: StorageSoftware;
  readonly notes: PowerNotes;
  readonly book?: JobBook;
  /** What this node counts; nothing when absent. */
  readonly tally?: { readonly counters: Counters };
  readonly support: Support;
  readonly pause?: Pause;
  /** How this node pairs, for a node that is replaced. */
  readonly pairing: PairingParts;
  /** Where prepared updates are kept, and how their updaters are taken. */
  readonly prepare: Pick<PreparedParts, 'disk' | 'updater' | 'log'>;
}

type Archive = AsyncIterable<Uint8Array>;

/** The node behind the control socket, made of the parts of this daemon. */
export class Backend implements ControlBackend, RunJobs, AsyncDisposable {
  readonly #parts: BackendParts;
  readonly #status: StatusDesk;
  readonly #jobs: Jobs;
  readonly #desk: JobDesk;
  readonly #audit: AuditLog;
  readonly #bundles: Bundles;
  readonly #checks: Checks;
  readonly #operator: Operator;
  readonly #care: StorageCare;
  readonly #upkeep: Upkeep;
  readonly #archives: ArchiveDesk;
  readonly #starts: Starts;
  readonly #prepared: Prepared;
  readonly #replacement: Replacement;
  /** The desk of scheduled updates; set by whoever opens it. */
  schedules: ScheduleDesk | null = null;

  constructor(parts: BackendParts) {
    this.#parts = parts;
    const rollouts = (): readonly RolloutRecord[] => parts.history.with(this.#state.rollout);
    const now = (): string => this.#at();
    const others = (): readonly JobStatus[] => [
      ...this.#prepared.jobs(),
      ...(this.schedules?.jobs() ?? []),
    ];
    this.#status = new StatusDesk(parts, now, {
      automation: () => (this.schedules === null ? null : this.automation()),
      prepared: () => this.#prepared.brief(),
      alarms: () => this.#prepared.alarms(),
    });
    this.#jobs = new Jobs(rollouts, now, parts.book, others);
    this.#audit = new AuditLog(parts.audit, me(parts.runner.state), now);
    this.#desk = new JobDesk(this.#jobs, this.#audit, parts.events);
    this.#bundles = new Bundles(parts);
    const channels = (): readonly ChannelStatus[] => this.#status.channels();
    const localJob = (): string | null => this.#localJob();
    const kept = (): readonly Sha256[] => this.kept();
    this.#checks = new Checks({ ...parts, channels, localJob, kept }, this.#bundles);
    const { bundles, checks } = { bundles: this.#bundles, checks: this.#checks };
    const monotonicMs = (): number => parts.host.monotonicMs();
    const auditLog = this.#audit;
    const made = { bundles, checks, rollouts, monotonicMs, now, auditLog };
    this.#prepared = new Prepared({ ...parts, ...parts.prepare, ...made });
    bundles.prepared = (id) => this.#prepared.bundleOf(id);
    const checkJob = (id: string): void => void this.#jobs.get(id);
    this.#care = new StorageCare(parts);
    this.#operator = new Operator({ ...parts, audit: this.#audit, checkJob });
    this.#upkeep = new Upkeep({ ...parts, desk: this.#desk, localJob, now });
    this.#replacement = new Replacement({ ...parts, desk: this.#desk, localJob, now });
    const live = liveSources(this, parts.runner);
    this.#archives = new ArchiveDesk({ ...parts, desk: this.#desk, auditLog: this.#audit, live });
    this.#starts = new Starts({
      ...parts,
      jobs: this.#jobs,
      desk: this.#desk,
      bundles: this.#bundles,
      checks: this.#checks,
      care: this.#care,
      upkeep: this.#upkeep,
      archives: this.#archives,
      prepared: this.#prepared,
      keep: (run) => deskOf(this.schedules).keep(run),
      now,
    });
  }

  get #state(): NodeState {
    return this.#parts.runner.state;
  }

  #at(): string {
    return new Date(this.#parts.host.nowMs()).toISOString();
  }

  status(): PairStatus {
    return this.#status.status();
  }

  slots(): Promise<Readonly<Record<NodeId, readonly SlotStatus[]>>> {
    const { nodes } = this.status();
    return Promise.resolve({ A: nodes.A.slots, B: nodes.B.slots });
  }

  history(limit: number): Promise<readonly RolloutRecord[]> {
    return Promise.resolve(this.#parts.history.with(this.#state.rollout).slice(0, limit));
  }

  async validate(path: string, signal: AbortSignal): Promise<ValidateReport> {
    try {
      const { report } = await this.#checks.judge(path, signal);
      return report;
    } catch (cause) {
      return refusal(cause);
    }
  }

  jobs(): readonly JobStatus[] {
    return this.#jobs.list().map(withResult);
  }

  job(id: string): JobStatus {
    return withResult(this.#jobs.get(id));
  }

  begunJob(id: string): JobStatus | null {
    return this.#jobs.begun().find((job) => job.id === id) ?? null;
  }

  ownJob(id: string): JobStatus | null {
    return this.#jobs.own(id);
  }

  abortJob(id: string): boolean {
    return this.#jobs.abort(id);
  }

  automation(): AutomationView {
    return withWaiting(this.schedules?.view() ?? NOTHING_SCHEDULED, this.#jobs.begun());
  }

  schedule(request: ScheduleRequest, caller: Caller): Promise<ScheduleView> {
    const asked = this.#asked('schedule', caller, request.reason ?? null);
    return auditSchedule(this.#audit, asked, async () => {
      const desk = deskOf(this.schedules);
      const judged = desk.judge(request);
      const ready = await withStaged(request, this, caller, this.#parts.pause);
      return desk.add(ready, caller, judged);
    });
  }

  answerSchedule(id: string, word: ScheduleWord, caller: Caller): Promise<ScheduleView> {
    const asked = this.#asked(`schedule ${word.answer}`, caller, word.reason ?? null);
    return auditSchedule(this.#audit, asked, () => deskOf(this.schedules).answer(id, word, caller));
  }

  eventsSince(since: number): readonly TandemEvent[] {
    return this.#parts.events.since(since);
  }

  onEvent(listener: (event: TandemEvent) => void): () => void {
    return this.#parts.events.onEvent(listener);
  }

  async start(request: JobRequest, caller: Caller): Promise<JobStatus> {
    const { kind, reason = null } = request;
    const asked = this.#asked(kind, caller, reason);
    const why = reason === null ? '' : ` (${reason})`;
    const msg = `${kind} asked for by ${caller.name}${why}`;
    this.#parts.events.emit({ job: null, phase: null, state: 'request', msg });
    return this.#audited(asked, () => this.#starts.start(request, asked));
  }

  #asked(act: string, caller: Caller, reason: string | null): Asked {
    const { name: by, via, job, waitedMs } = caller;
    return { act, by, via, reason, job, waitedMs };
  }

  counters(): Counters {
    return this.#parts.tally?.counters ?? NO_COUNTERS;
  }

  newJobId(kind: string): string {
    return kind === 'support' ? this.#archives.newId() : newId(kind);
  }

  previewJob(request: JobRequest, caller: Caller): Promise<ChangePreview> {
    return this.#starts.preview(request, this.#asked(request.kind, caller, null));
  }

  previewAct(request: ActRequest): Promise<ChangePreview> {
    return Promise.resolve(this.#operator.preview(request));
  }

  /** Notes a change that was accepted as a job, or refused. */
  #audited(asked: Asked, work: () => Promise<JobStatus>): Promise<JobStatus> {
    return this.#audit.around(asked, async () => {
      const job = await this.#jobs.noted(work());
      return { value: job, noted: { result: 'accepted', message: job.message, job: job.id } };
    });
  }

  cancel(id: string, caller: Caller, reason?: string): Promise<JobStatus> {
    const asked = this.#asked('cancel', caller, reason ?? null);
    return this.#audited(asked, () => this.#cancel(id, asked));
  }

  #cancel(id: string, asked: Asked): Promise<JobStatus> {
    const { requests } = this.#parts;
    const desks = { jobs: this.#jobs, prepared: this.#prepared, upkeep: this.#upkeep };
    const parts = { ...desks, state: this.#state, requests, schedules: this.schedules };
    return cancelJob(parts, id, asked);
  }

  replace(request: ReplaceRequest, caller: Caller): Promise<ReplaceOffer> {
    const asked = this.#asked('pair replace', caller, request.reason ?? null);
    return this.#audit.around(asked, async () => {
      const offer = await this.#replacement.begin(request, asked);
      const message = `waits for the new node ${request.node}`;
      const noted = { result: 'accepted', message, job: offer.job.id } as const;
      await this.#jobs.noted(Promise.resolve(offer.job));
      return { value: offer, noted };
    });
  }

  act(request: ActRequest, caller: Caller): Promise<ActAnswer> {
    return this.#operator.act(request, caller);
  }

  prepared(): PrepareView {
    return this.#prepared.view();
  }

  sayPrepare(request: PrepareRequest, caller: Caller): Promise<PrepareAnswer> {
    return this.#prepared.say(request, caller);
  }

  takeover(): TakeoverView {
    return this.#operator.takeoverView();
  }

  storage(): Promise<StorageView> {
    return this.#care.view();
  }

  precheck(
    source: BundleSource,
    signal: AbortSignal,
    options: PrecheckOptions = {},
  ): Promise<PrecheckReport> {
    return this.#checks.report(source, signal, {
      ...options,
      plan: (id) => this.#prepared.plan(id),
      due: (times) => deskOf(this.schedules).judge(times),
    });
  }

  audit(limit: number): Promise<readonly AuditEntry[]> {
    return this.#audit.recent(limit);
  }

  settings(): Promise<SettingsView> {
    return Promise.resolve(this.#parts.settings.view());
  }

  set(request: SettingRequest, caller: Caller): Promise<SettingAnswer> {
    return changeSetting(this.#parts.settings, this.#audit, request, caller);
  }

  bundles(): Promise<readonly StagedBundle[]> {
    return this.#bundles.listing();
  }

  power(): PowerViews {
    return this.#upkeep.views();
  }

  support(): Promise<SupportView> {
    return this.#archives.view();
  }

  supportArchive(name: string): Promise<Archive> {
    return this.#archives.read(name);
  }

  supportStream(...asked: Parameters<ControlBackend['supportStream']>): Promise<Archive> {
    return this.#archives.stream(...asked);
  }

  deleteSupport(name: string, caller: Caller): Promise<SupportArchive> {
    return this.#archives.delete(name, caller);
  }

  /** After each step of the runner: goes on with what is prepared. */
  look(s: NodeState): void {
    this.#prepared.look(s);
  }

  /** Bundles that the depot keeps beside those of rollouts. */
  kept(): readonly Sha256[] {
    const scheduled = this.schedules?.bundles() ?? [];
    return [...this.#prepared.kept(), ...(scheduled as readonly Sha256[])];
  }

  /** Ends what runs beside the runner. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#prepared[Symbol.asyncDispose]();
  }

  /** After the start of the daemon: goes on with the job that ended the boot before. */
  resume(): void {
    this.#upkeep.resume();
  }

  /** A job of this process that must not run beside a change of the pair. */
  #localJob(): string | null {
    const found = this.#jobs
      .begun()
      .find((job) => job.state === 'running' && !BESIDE.has(job.kind));
    return this.#upkeep.leaving ?? found?.id ?? null;
  }
}

/**
 * Kinds of jobs beside which the pair may be changed. A node that is about to leave is asked for
 * otherwise; after its return nobody has to wait for the end of that job.
 */
const BESIDE: ReadonlySet<string> = new Set([
  'stage',
  'prepare',
  'verify',
  'support',
  'restart',
  'shutdown',
]);
