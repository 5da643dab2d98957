/**
 * A client of the daemon's control socket, for the command line, scripts and the console. Always
 * holds: a daemon that does not answer is `daemon.unreachable`, an answer that it gave is its own
 * error; a follower that loses its connection connects again and resumes by sequence number, so it
 * shows every event once. Imports core and its own folder.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import type { ActAnswer, AuditEntry, PrecheckReport, TakeoverView } from '../core/operator.ts';
import type { PowerViews } from '../core/power.ts';
import type { PrepareAnswer, PrepareRequest, PrepareView } from '../core/prepare-view.ts';
import type { ChangePreview } from '../core/preview.ts';
import type { RolloutRecord } from '../core/records.ts';
import type { ReplaceOffer } from '../core/replace.ts';
import type { AutomationView, ScheduleView } from '../core/schedule-read.ts';
import type { SettingAnswer, SettingsView } from '../core/settings.ts';
import type {
  JobStatus,
  PairStatus,
  SlotStatus,
  TandemEvent,
  ValidateReport,
} from '../core/status.ts';
import type { StorageView } from '../core/store.ts';
import type { SupportArchive, SupportView } from '../core/support.ts';
import { AccessCalls, type CallOptions } from './access-client.ts';
import type { ActRequest, BundleSource, JobRequest, PrecheckOptions } from './backend.ts';
import type { ReplaceRequest } from './backend.ts';
import type { SettingRequest, StagedBundle } from './backend.ts';
import { receiveBytes } from './bytes.ts';
import { requestJson, streamObjects } from './http.ts';
import { API, HISTORY_DEFAULT } from './protocol.ts';
import { ID_PATTERN } from './query.ts';
import type { ScheduleRequest, ScheduleWord } from './schedule-protocol.ts';

/** Answers from memory come at once. */
const ANSWER_MS = 15_000;
/** A bundle of many gigabytes is read as a whole before its answer. */
const BUNDLE_MS = 30 * 60_000;
const RETRY_MS = [100, 250, 500, 1_000] as const;

/** Which events are given, and until when. */
export interface FollowOptions {
  /** Events with a higher sequence number are given. */
  readonly since?: number;
  /** Only events of this job. */
  readonly job?: string;
  readonly signal?: AbortSignal;
}

/** The same over restarts of the daemon. */
export interface ReconnectOptions extends FollowOptions {
  /** The daemon went away; called once until it is back. */
  readonly onLost?: (error: UpdateError) => void;
  /** The daemon answers again. */
  readonly onBack?: () => void;
}

/** Who calls, and with which promise. */
export interface ClientOptions {
  /**
   * The name that the audit log shows of a caller on the control socket; it proves nothing. On the
   * console socket the name is that of the session.
   */
  readonly caller?: string | undefined;
  /** Every change of this client is the one of this idempotency key, so it can make only one. */
  readonly key?: string | undefined;
}

const ID = new RegExp(ID_PATTERN);

/** The id as a part of a path; what no daemon gives out is known to none. */
function idOf(what: 'job' | 'schedule', id: string): string {
  if (ID.test(id)) return id;
  throw new UpdateError(`${what}.unknown`, `there is no ${what} ${id.slice(0, 128)}`);
}

/** Whether a daemon that answers so may be asked again in a moment. */
export function passes({ code }: UpdateError): boolean {
  return code === 'daemon.unreachable' || code === 'daemon.busy' || code === 'daemon.rate_limited';
}

/** Typed calls on the control socket; a connection per call, so there is nothing to close. */
export class ControlClient {
  readonly socketPath: string;
  /** Logins, users and the right to change; a login is carried by every later call. */
  readonly access: AccessCalls;
  #headers: Readonly<Record<string, string>>;

  constructor(socketPath: string, { caller, key }: ClientOptions = {}) {
    this.socketPath = socketPath;
    const named = {
      ...(caller === undefined ? {} : { 'x-tandem-caller': caller }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
    };
    this.#headers = named;
    this.access = new AccessCalls(
      (method, path, asked) => this.#call(method, path, asked),
      (token) => {
        this.#headers = token === null ? named : { ...named, authorization: `Bearer ${token}` };
      },
    );
  }

  async status(signal?: AbortSignal): Promise<PairStatus> {
    return this.#call<PairStatus>('GET', '/status', { signal });
  }

  async slots(signal?: AbortSignal): Promise<Readonly<Record<NodeId, readonly SlotStatus[]>>> {
    return this.#call('GET', '/slots', { signal });
  }

  /** Rollouts, newest first. */
  async history(limit = HISTORY_DEFAULT, signal?: AbortSignal): Promise<readonly RolloutRecord[]> {
    const path = `/history?limit=${limit}`;
    const { rollouts } = await this.#call<{ rollouts: RolloutRecord[] }>('GET', path, { signal });
    return rollouts;
  }

  async jobs(signal?: AbortSignal): Promise<readonly JobStatus[]> {
    const { jobs } = await this.#call<{ jobs: JobStatus[] }>('GET', '/jobs', { signal });
    return jobs;
  }

  /** Throws `job.unknown`. */
  async job(id: string, signal?: AbortSignal): Promise<JobStatus> {
    return this.#call<JobStatus>('GET', `/jobs/${idOf('job', id)}`, { signal });
  }

  /** Every check of the bundle at this absolute path, as the daemon sees the path. */
  async validate(path: string, signal?: AbortSignal): Promise<ValidateReport> {
    return this.#call('POST', '/validate', { body: { path }, signal, timeoutMs: BUNDLE_MS });
  }

  /** The running job of an accepted change; throws the refusal. */
  async start(request: JobRequest, signal?: AbortSignal): Promise<JobStatus> {
    return this.#call('POST', '/jobs', { body: request, signal, timeoutMs: BUNDLE_MS });
  }

  /** What a job or a word of an operator would do; changes nothing. */
  async preview(request: JobRequest | ActRequest, signal?: AbortSignal): Promise<ChangePreview> {
    const path = 'kind' in request ? '/jobs/preview' : '/acts/preview';
    return this.#call('POST', path, { body: request, signal, timeoutMs: BUNDLE_MS });
  }

  /** `reason` stands in the audit log. */
  async cancel(id: string, signal?: AbortSignal, reason?: string): Promise<JobStatus> {
    const body = reason === undefined ? {} : { reason };
    return this.#call('POST', `/jobs/${idOf('job', id)}/cancel`, { body, signal });
  }

  /** Says a word of an operator; throws the refusal. */
  async act(request: ActRequest, signal?: AbortSignal): Promise<ActAnswer> {
    return this.#call('POST', '/acts', { body: request, signal });
  }

  /** Waits for a node that takes the peer's place, as a job; throws the refusal. */
  async replace(request: ReplaceRequest, signal?: AbortSignal): Promise<ReplaceOffer> {
    return this.#call('POST', '/pair/replace', { body: request, signal });
  }

  /** What the word that the peer is off would do on this node, and what it costs. */
  async takeover(signal?: AbortSignal): Promise<TakeoverView> {
    return this.#call<TakeoverView>('GET', '/takeover', { signal });
  }

  /** The prepared update as the node knows it. */
  async prepared(signal?: AbortSignal): Promise<PrepareView> {
    return this.#call<PrepareView>('GET', '/prepare', { signal });
  }

  /** Says a word about it; throws the refusal. */
  async sayPrepare(request: PrepareRequest, signal?: AbortSignal): Promise<PrepareAnswer> {
    return this.#call('POST', '/prepare', { body: request, signal });
  }

  /** What the storage software knows of both copies. */
  async storage(signal?: AbortSignal): Promise<StorageView> {
    return this.#call<StorageView>('GET', '/storage', { signal, timeoutMs: BUNDLE_MS });
  }

  /** What a restart and a shutdown of the node would do now, and what they cost. */
  async power(signal?: AbortSignal): Promise<PowerViews> {
    return this.#call<PowerViews>('GET', '/power', { signal });
  }

  /** The support archives that the node keeps. */
  async support(signal?: AbortSignal): Promise<SupportView> {
    return this.#call<SupportView>('GET', '/support', { signal });
  }

  /** The metrics of the node, OpenMetrics text. */
  async metrics(signal?: AbortSignal): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of this.#bytes('GET', '/metrics', undefined, signal)) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  }

  /** The bytes of a kept archive; throws `file.not_found`, and when they break off. */
  supportArchive(name: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    return this.#bytes('GET', `/support/${encodeURIComponent(name)}`, undefined, signal);
  }

  /** The bytes of a new archive, of which the node keeps nothing. */
  supportStream(reason?: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    return this.#bytes('POST', '/support', reason === undefined ? {} : { reason }, signal);
  }

  /** Deletes a kept archive and returns what it was; throws `file.not_found`. */
  async deleteSupport(name: string, signal?: AbortSignal): Promise<SupportArchive> {
    const path = `/support/${encodeURIComponent(name)}/delete`;
    return this.#call('POST', path, { body: {}, signal });
  }

  /** What operators asked this node for, newest first. */
  async audit(limit = HISTORY_DEFAULT, signal?: AbortSignal): Promise<readonly AuditEntry[]> {
    const path = `/audit?limit=${limit}`;
    const { entries } = await this.#call<{ entries: AuditEntry[] }>('GET', path, { signal });
    return entries;
  }

  /** The settings of the node, and its network. */
  async settings(signal?: AbortSignal): Promise<SettingsView> {
    return this.#call<SettingsView>('GET', '/settings', { signal });
  }

  /** Sets one of them; throws the refusal. */
  async set(request: SettingRequest, signal?: AbortSignal): Promise<SettingAnswer> {
    return this.#call('POST', '/settings', { body: request, signal });
  }

  /** Scheduled updates, and what holds updates up. */
  async automation(signal?: AbortSignal): Promise<AutomationView> {
    return this.#call<AutomationView>('GET', '/schedules', { signal });
  }

  /** Schedules an update on both nodes; throws the refusal. */
  async schedule(request: ScheduleRequest, signal?: AbortSignal): Promise<ScheduleView> {
    const options = { body: request, signal, timeoutMs: BUNDLE_MS };
    return this.#call('POST', '/schedules', options);
  }

  /** What a person says to a scheduled update; throws the refusal. */
  async answerSchedule(
    id: string,
    word: ScheduleWord,
    signal?: AbortSignal,
  ): Promise<ScheduleView> {
    const path = `/schedules/${idOf('schedule', id)}/answer`;
    return this.#call('POST', path, { body: word, signal });
  }

  /** Bundles that are staged, newest first. */
  async bundles(signal?: AbortSignal): Promise<readonly StagedBundle[]> {
    const path = '/bundles';
    const { bundles } = await this.#call<{ bundles: StagedBundle[] }>('GET', path, { signal });
    return bundles;
  }

  /** Every check that an update would have to pass, with an estimate; changes nothing. */
  async precheck(
    source: BundleSource,
    signal?: AbortSignal,
    options: PrecheckOptions = {},
  ): Promise<PrecheckReport> {
    const body = { source, ...options };
    return this.#call('POST', '/precheck', { body, signal, timeoutMs: BUNDLE_MS });
  }

  /** Kept events, oldest first. */
  async *events(options: FollowOptions = {}): AsyncGenerator<TandemEvent, void, void> {
    yield* this.#stream(options, false);
  }

  /**
   * Kept events, then every new one, until `signal` aborts; then it returns. Connects again for as
   * long as the daemon is away, also at the start. Throws only what the daemon refuses.
   */
  async *follow(options: ReconnectOptions = {}): AsyncGenerator<TandemEvent, void, void> {
    const { signal } = options;
    let since = options.since ?? 0;
    let failures = 0;
    for (;;) {
      if (signal?.aborted) return;
      try {
        const connected = (): void => {
          if (failures > 0) options.onBack?.();
          failures = 0;
        };
        for await (const event of this.#stream({ ...options, since }, true, connected)) {
          since = event.seq;
          yield event;
        }
      } catch (error) {
        if (signal?.aborted) return;
        const lost = asUpdateError(error);
        if (!passes(lost)) throw lost;
        if (failures === 0) options.onLost?.(lost);
        const waitMs = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)];
        await sleep(waitMs, undefined, signal ? { signal } : {}).catch(() => {});
      }
    }
  }

  async *#stream(
    { since = 0, job, signal }: FollowOptions,
    follow: boolean,
    onOpen?: () => void,
  ): AsyncGenerator<TandemEvent, void, void> {
    const query = new URLSearchParams({ since: String(since) });
    if (follow) query.set('follow', '1');
    if (job !== undefined) query.set('job', job);
    const path = `${API}/events?${query.toString()}`;
    const headers = this.#headers;
    for await (const event of streamObjects(this.socketPath, path, { headers, signal, onOpen })) {
      yield event as TandemEvent;
    }
    if (!follow) return;
    const message = `the daemon on ${this.socketPath} ended the event stream`;
    throw new UpdateError('daemon.unreachable', message);
  }

  #bytes(
    method: 'GET' | 'POST',
    path: string,
    body: object | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void, void> {
    const asked = { method, path: API + path, headers: this.#headers, body, signal };
    return receiveBytes(this.socketPath, asked);
  }

  async #call<T>(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    options: CallOptions,
  ): Promise<T> {
    return (await requestJson(this.socketPath, {
      method,
      path: API + path,
      headers: this.#headers,
      body: options.body,
      signal: options.signal,
      timeoutMs: options.timeoutMs ?? ANSWER_MS,
    })) as T;
  }
}
