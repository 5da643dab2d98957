/**
 * A daemon in memory behind the control server: what it answers is set by the test, what it was
 * asked is kept. Always holds: it decides nothing by itself. Imports core and the interface that it
 * implements.
 */
import type {
  ActRequest,
  BundleSource,
  PrecheckOptions,
  Caller,
  ControlBackend,
  JobRequest,
  ReplaceRequest,
  SettingRequest,
  StagedBundle,
} from '../../src/control/backend.ts';
import { NO_COUNTERS, type Counters } from '../../src/control/metrics.ts';
import type { ScheduleRequest, ScheduleWord } from '../../src/control/schedule-protocol.ts';
import type { AutomationView, ScheduleView } from '../../src/core/schedule-read.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type {
  ActAnswer,
  AuditEntry,
  PrecheckReport,
  TakeoverView,
} from '../../src/core/operator.ts';
import type { PowerViews } from '../../src/core/power.ts';
import { prepareView } from '../../src/core/prepare-view.ts';
import type { PrepareAnswer, PrepareRequest, PrepareView } from '../../src/core/prepare-view.ts';
import type { Preparation } from '../../src/core/prepare.ts';
import type { ChangePreview } from '../../src/core/preview.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import type {
  JobStatus,
  PairStatus,
  SlotStatus,
  TandemEvent,
  ValidateReport,
} from '../../src/core/status.ts';
import type { ReplaceOffer } from '../../src/core/replace.ts';
import { withSetting } from '../../src/core/settings.ts';
import type { SettingAnswer, SettingsView } from '../../src/core/settings.ts';
import type { StorageView } from '../../src/core/store.ts';
import type { SupportArchive, SupportView } from '../../src/core/support.ts';

import {
  AT,
  jobStatus,
  pairStatus,
  powerViews,
  precheckReport,
  settingsView,
  supportView,
  takeoverView,
  validateReport,
} from './views.ts';

export * from './views.ts';

/** The daemon in memory. */
export class FakeBackend implements ControlBackend {
  pair: PairStatus = pairStatus();
  report: ValidateReport = validateReport();
  rollouts: RolloutRecord[] = [];
  jobTable = new Map<string, JobStatus>();
  kept: TandemEvent[] = [];
  /** Thrown by the next change. */
  refusal: Error | null = null;
  view: TakeoverView = takeoverView();
  copies: StorageView = { verify: null, split: null };
  checks: PrecheckReport = precheckReport();
  counted: Counters = NO_COUNTERS;
  preview: Omit<ChangePreview, 'change'> = {
    refusal: null,
    changes: true,
    does: 'does it',
    estimateS: 90,
  };
  powers: PowerViews = powerViews();
  supports: SupportView = supportView();
  /** Chunks of every archive that is asked for; an error among them breaks it off. */
  archive: readonly (Uint8Array | Error)[] = [new TextEncoder().encode('archive')];
  /** What is prepared; the words that are said of it are kept. */
  preparation: Preparation | null = null;
  words: PrepareRequest[] = [];
  acts: AuditEntry[] = [];
  automated: AutomationView = { schedules: [], window: null, inhibited: null, clock: null };
  staged: StagedBundle[] = [];
  settled: SettingsView = settingsView();
  /** How the next word of an operator is answered. */
  answer: Partial<ActAnswer> = {};
  /** Called after a word of an operator was taken. */
  onAct: (request: ActRequest) => void = () => {};
  /** Waited for before a validation answers. */
  gate: Promise<void> = Promise.resolve();
  /** Waited for before a change is answered. */
  beforeStart: () => Promise<void> = async () => {};
  aborted = 0;
  readonly asked: {
    readonly what: string;
    readonly value: unknown;
    readonly by?: string;
    readonly reason?: string;
    readonly options?: PrecheckOptions;
  }[] = [];
  readonly #listeners = new Set<(event: TandemEvent) => void>();
  #seq = 0;
  #ids = 0;

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Keeps an event and tells it to every listener, or to nobody yet when it is `late`. */
  emit(changes: Partial<TandemEvent> = {}, late = false): TandemEvent {
    const event: TandemEvent = {
      v: 1,
      seq: ++this.#seq,
      ts: AT,
      job: 'r1',
      node: 'A',
      phase: 'INSTALL1',
      state: 'running',
      pct: null,
      eta_s: null,
      msg: `event ${this.#seq}`,
      code: null,
      ...changes,
    };
    this.kept.push(event);
    if (!late) for (const listener of this.#listeners) listener(event);
    return event;
  }

  /** Puts a job into the table. */
  put(changes: Partial<JobStatus> = {}): JobStatus {
    const job = jobStatus(changes);
    this.jobTable.set(job.id, job);
    return job;
  }

  status(): PairStatus {
    return this.pair;
  }

  async slots(): Promise<Readonly<Record<NodeId, readonly SlotStatus[]>>> {
    const [A, B] = NODES.map((node) => this.pair.nodes[node].slots);
    return { A: A!, B: B! };
  }

  async history(limit: number): Promise<readonly RolloutRecord[]> {
    return this.rollouts.slice(0, limit);
  }

  async validate(path: string, signal: AbortSignal): Promise<ValidateReport> {
    this.asked.push({ what: 'validate', value: path });
    signal.addEventListener('abort', () => void this.aborted++, { once: true });
    await this.gate;
    return this.report;
  }

  async start(request: JobRequest, caller: Caller): Promise<JobStatus> {
    this.asked.push({ what: 'start', value: request, by: caller.name });
    await this.beforeStart();
    if (this.refusal) throw this.refusal;
    const { job: id } = caller;
    return this.put({ kind: request.kind, ...(id === undefined ? {} : { id }) });
  }

  counters(): Counters {
    return this.counted;
  }

  async previewJob({ kind: change }: JobRequest): Promise<ChangePreview> {
    return { ...this.preview, change };
  }

  async previewAct({ act: change }: ActRequest): Promise<ChangePreview> {
    return { ...this.preview, change };
  }

  newJobId(kind: string): string {
    return `${kind}-${String(++this.#ids)}`;
  }

  jobs(): readonly JobStatus[] {
    return [...this.jobTable.values()];
  }

  job(id: string): JobStatus {
    const job = this.jobTable.get(id);
    if (job === undefined) throw new UpdateError('job.unknown', `there is no job ${id}`);
    return job;
  }

  async cancel(id: string, caller: Caller, reason?: string): Promise<JobStatus> {
    const why = reason === undefined ? {} : { reason };
    this.asked.push({ what: 'cancel', value: id, by: caller.name, ...why });
    return this.job(id);
  }

  prepared(): PrepareView {
    return prepareView('A', this.preparation, null);
  }

  async sayPrepare(request: PrepareRequest): Promise<PrepareAnswer> {
    if (this.refusal !== null) throw this.refusal;
    const { preparation } = this;
    if (preparation === null) throw new UpdateError('prepare.unknown', 'no update is prepared');
    this.words.push(request);
    const { id } = preparation.order;
    const said = { do: request.do, id, changed: true, message: `${request.do} is said` };
    return Promise.resolve({ ...said, preparation });
  }

  async act(request: ActRequest, caller: Caller): Promise<ActAnswer> {
    this.asked.push({ what: 'act', value: request, by: caller.name });
    if (this.refusal) throw this.refusal;
    const serving = this.pair.nodes.A.serving ? 'A' : 'B';
    const message = `${request.act} is done`;
    this.onAct(request);
    return { act: request.act, changed: true, message, serving, ...this.answer };
  }

  async replace(request: ReplaceRequest, caller: Caller): Promise<ReplaceOffer> {
    this.asked.push({ what: 'replace', value: request, by: caller.name });
    if (this.refusal) throw this.refusal;
    const job = this.put({ id: 'replace-1', kind: 'replace' });
    const where = { host: '192.0.2.1', port: 7412 };
    const code = '0000-0000-0000-0000-0000-0000-0000';
    return { job, code, ...where, validS: 600, tries: 5, node: request.node, version: '2.0.0' };
  }

  automation(): AutomationView {
    return this.automated;
  }

  async schedule(request: ScheduleRequest, caller: Caller): Promise<ScheduleView> {
    this.asked.push({ what: 'schedule', value: request, by: caller.name });
    if (this.refusal) throw this.refusal;
    const [view] = this.automated.schedules;
    if (view === undefined) throw new UpdateError('schedule.unknown', 'there is no schedule');
    return view;
  }

  async answerSchedule(id: string, word: ScheduleWord, caller: Caller): Promise<ScheduleView> {
    this.asked.push({ what: 'answer', value: { id, ...word }, by: caller.name });
    if (this.refusal) throw this.refusal;
    const view = this.automated.schedules.find((one) => one.id === id);
    if (view === undefined) throw new UpdateError('schedule.unknown', `there is no schedule ${id}`);
    return view;
  }

  storage(): Promise<StorageView> {
    return Promise.resolve(this.copies);
  }

  takeover(): TakeoverView {
    return this.view;
  }

  async precheck(
    source: BundleSource,
    _signal: AbortSignal,
    options: PrecheckOptions = {},
  ): Promise<PrecheckReport> {
    const more = Object.keys(options).length === 0 ? {} : { options };
    this.asked.push({ what: 'precheck', value: source, ...more });
    return this.checks;
  }

  settings(): Promise<SettingsView> {
    return Promise.resolve(this.settled);
  }

  async set(request: SettingRequest, caller: Caller): Promise<SettingAnswer> {
    this.asked.push({ what: 'set', value: request, by: caller.name });
    if (this.refusal) throw this.refusal;
    const { key, value } = request;
    const settings = withSetting(this.settled.settings, key, value);
    if (settings !== null) this.settled = { ...this.settled, settings };
    return { key, changed: true, message: `${key} is ${value} now` };
  }

  async bundles(): Promise<readonly StagedBundle[]> {
    return this.staged;
  }

  power(): PowerViews {
    return this.powers;
  }

  support(): Promise<SupportView> {
    return Promise.resolve(this.supports);
  }

  async supportArchive(name: string): Promise<AsyncIterable<Uint8Array>> {
    this.asked.push({ what: 'archive', value: name });
    this.#archiveOf(name);
    return Promise.resolve(this.#archive());
  }

  async supportStream(
    caller: Caller,
    reason: string | undefined,
  ): Promise<AsyncIterable<Uint8Array>> {
    const why = reason === undefined ? {} : { reason };
    this.asked.push({ what: 'stream', value: null, by: caller.name, ...why });
    if (this.refusal) throw this.refusal;
    return Promise.resolve(this.#archive());
  }

  async deleteSupport(name: string, caller: Caller): Promise<SupportArchive> {
    this.asked.push({ what: 'delete', value: name, by: caller.name });
    return Promise.resolve(this.#archiveOf(name));
  }

  #archiveOf(name: string): SupportArchive {
    const found = this.supports.archives.find((one) => one.name === name);
    if (found === undefined) throw new UpdateError('file.not_found', `there is no archive ${name}`);
    return found;
  }

  async *#archive(): AsyncGenerator<Uint8Array, void, void> {
    for (const chunk of this.archive) {
      await Promise.resolve();
      if (chunk instanceof Error) throw chunk;
      yield chunk;
    }
  }

  async audit(limit: number): Promise<readonly AuditEntry[]> {
    return this.acts.slice(0, limit);
  }

  eventsSince(since: number): readonly TandemEvent[] {
    return this.kept.filter((event) => event.seq > since);
  }

  onEvent(listener: (event: TandemEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
