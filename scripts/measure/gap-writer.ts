/**
 * A client that writes all the time and measures how long it got no acknowledgement. Always holds:
 * a write that got no answer is sent again, the same one, until it gets one, so every gap has two
 * ends; what was acknowledged is remembered, and right after each gap it is read back what the
 * service says of the newest of it. The clock is monotonic. Imports node.
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Records that are written round and round. */
const KEYS = 256;
/** An answer that takes longer is not waited for, so that a dead server costs no more. */
const ANSWER_MS = 250;
const PACE_MS = 2;
const RETRY_MS = 5;
/** A gap after which the newest acknowledged writes are read back. */
const CHECKED_GAP_MS = 100;
/** How many of them. */
const CHECKED = 32;
/** How long one record is tried to be read in a check at the end. */
const READ_MS_MAX = 30_000;

/** What a client saw in all. */
export interface WriterTotals {
  readonly writes: number;
  /** Reads that were compared with what was acknowledged. */
  readonly checked: number;
  /** Acknowledged writes that were missing when they were read back. */
  readonly lost: readonly string[];
}

/** One client; it is idle until `start`. */
export class GapWriter {
  readonly #base: string;
  readonly #label: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #readers = new Agent({ keepAlive: true, maxSockets: 4 });
  readonly #acknowledged = new Map<string, number>();
  readonly #stop = new AbortController();
  readonly #lost = new Set<string>();
  readonly #checks = new Set<Promise<void>>();
  #writes = 0;
  #checked = 0;
  #lastMs: number | null = null;
  #gapMs = 0;
  #paused: PromiseWithResolvers<void> | null = null;
  #resting = Promise.withResolvers<void>();
  #done: Promise<void> = Promise.resolve();

  /** `serviceUrl` is `http://host:port`; records are named after `label`. */
  constructor(serviceUrl: string, label: string) {
    this.#base = serviceUrl;
    this.#label = label;
  }

  start(): void {
    this.#done = this.#work();
  }

  /** Acknowledged writes so far. */
  get writes(): number {
    return this.#writes;
  }

  /** The longest gap since the last call, the one that is open now included, in milliseconds. */
  takeGap(): number {
    const nowMs = performance.now();
    const open = this.#lastMs === null ? 0 : nowMs - this.#lastMs;
    const gapMs = Math.max(this.#gapMs, open);
    this.#gapMs = 0;
    return gapMs;
  }

  /** Writes nothing more until `resume`; resolves when the last write is acknowledged. */
  async pause(): Promise<void> {
    this.#paused ??= Promise.withResolvers<void>();
    await this.#resting.promise;
  }

  resume(): void {
    this.#lastMs = null;
    this.#resting = Promise.withResolvers<void>();
    this.#paused?.resolve();
    this.#paused = null;
  }

  /** Ends the writing and reads everything back; the service must be there. */
  async finish(): Promise<WriterTotals> {
    await this.stop();
    await this.#check([...this.#acknowledged]);
    this.#readers.destroy();
    return { writes: this.#writes, checked: this.#checked, lost: [...this.#lost] };
  }

  /** Ends the writing; idempotent. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#paused?.resolve();
    await this.#done;
    await Promise.all(this.#checks);
    this.#agent.destroy();
  }

  async #work(): Promise<void> {
    const { signal } = this.#stop;
    for (let value = 1; !signal.aborted; value += 1) {
      if (this.#paused !== null) {
        this.#resting.resolve();
        await this.#paused.promise;
        continue;
      }
      const key = `${this.#label}-${String(value % KEYS)}`;
      if (!(await this.#untilAnswered(key, value))) break;
      this.#acknowledged.set(key, value);
      this.#answered();
      await sleep(PACE_MS);
    }
    this.#resting.resolve();
  }

  async #untilAnswered(key: string, value: number): Promise<boolean> {
    while (!this.#stop.signal.aborted) {
      const answer = await this.#ask('PUT', key, ANSWER_MS, String(value));
      if (answer !== null && answer.status >= 200 && answer.status < 300) return true;
      await sleep(RETRY_MS);
    }
    return false;
  }

  #answered(): void {
    const nowMs = performance.now();
    const gapMs = this.#lastMs === null ? 0 : nowMs - this.#lastMs;
    this.#writes += 1;
    this.#lastMs = nowMs;
    this.#gapMs = Math.max(this.#gapMs, gapMs);
    if (gapMs < CHECKED_GAP_MS) return;
    const newest = [...this.#acknowledged].toSorted((a, b) => b[1] - a[1]).slice(0, CHECKED);
    const check = this.#check(newest).finally(() => this.#checks.delete(check));
    this.#checks.add(check);
  }

  /** A record holds what was acknowledged, or something that was written later. */
  async #check(expected: readonly (readonly [string, number])[]): Promise<void> {
    for (const [key, value] of expected) {
      const found = await this.#read(key);
      if (found === undefined) continue;
      this.#checked += 1;
      if (found === null || found < value) this.#lost.add(`${key} ${String(value)}`);
    }
  }

  /** Null = the service says that there is none; undefined = it could not be asked. */
  async #read(key: string): Promise<number | null | undefined> {
    const endMs = performance.now() + READ_MS_MAX;
    while (performance.now() < endMs) {
      const answer = await this.#ask('GET', key, 1000);
      if (answer?.status === 200) return Number(answer.text);
      if (answer?.status === 404) return null;
      await sleep(RETRY_MS);
    }
    return undefined;
  }

  async #ask(method: 'GET' | 'PUT', key: string, limitMs: number, body?: string) {
    return new Promise<{ readonly status: number; readonly text: string } | null>((done) => {
      const agent = method === 'PUT' ? this.#agent : this.#readers;
      const signal = AbortSignal.timeout(limitMs);
      const call = request(`${this.#base}/records/${key}`, { method, agent, signal });
      call.once('error', () => done(null));
      call.once('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('error', () => done(null));
        response.on('end', () => done({ status: response.statusCode ?? 0, text }));
      });
      call.end(body);
    });
  }
}
