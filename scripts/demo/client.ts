/**
 * A client of the appliance's service that works all the time: it writes a record, reads one back,
 * and goes on. Always holds: what was acknowledged is remembered and checked at the end; a write
 * that got no answer is sent again under the same name until it gets one; the gap is measured on
 * the monotonic clock, from one success to the next. Where the service address cannot be reached as
 * such, a client is given one way to it through each node, and uses the one that answers. Imports
 * Node only.
 */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the client saw. */
export interface ClientResult {
  readonly writes: number;
  readonly reads: number;
  /** Requests that failed and were sent again. */
  readonly retries: number;
  /** Longest time between two requests that succeeded. */
  readonly longestGapMs: number;
  /** When that gap began, since the client started; null before the first success. */
  readonly longestGapAtMs: number | null;
  /** Acknowledged records that were read back at the end. */
  readonly checked: number;
  /** Names of acknowledged records that are gone or say something else. */
  readonly lost: readonly string[];
  /** Answers in between that denied an acknowledged record or told another text. */
  readonly misreads: number;
}

/** How fast a client works. */
export interface ClientPace {
  /** Pause after each record, milliseconds. */
  readonly pauseMs: number;
  /** Longest wait for an answer, milliseconds; then the request is sent again. */
  readonly requestMs: number;
}

const PACE: ClientPace = { pauseMs: 20, requestMs: 1000 };
const RETRY_MS = 20;
/** How long the check at the end tries to reach the service. */
const CHECK_MS_MAX = 60_000;
const ANSWER_BYTES_MAX = 64 * 1024;
/** How long the way that answered last has for an answer before the others are tried as well. */
const HEDGE_MS = 100;
/** After so long without an answer the same way is tried once more, beside the first attempt. */
const AGAIN_MS = 300;

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One client; it is idle until `start`. */
export class DemoClient {
  /** Ways to the service, the one that answered last first. */
  #bases: readonly string[];
  readonly #label: string;
  readonly #pace: ClientPace;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8, maxFreeSockets: 1 });
  readonly #acknowledged = new Map<string, string>();
  readonly #stop = new AbortController();
  #done: Promise<void> = Promise.resolve();
  #reads = 0;
  #retries = 0;
  #misreads = 0;
  #startedMs = 0;
  #lastMs: number | null = null;
  #gapMs = 0;
  #gapAtMs: number | null = null;

  /**
   * `serviceUrl` is `http://host:port` of the service address, or one for each way to it; records
   * are named after `label`, so that a second client of the same service needs another one;
   * `pace` is for a service that is slower than a real one.
   */
  constructor(serviceUrl: string | readonly string[], label = 'demo', pace: ClientPace = PACE) {
    this.#pace = pace;
    this.#bases = typeof serviceUrl === 'string' ? [serviceUrl] : serviceUrl;
    this.#label = label;
  }

  start(): void {
    this.#startedMs = performance.now();
    this.#done = this.#work();
  }

  /** Successful requests so far. */
  get successes(): number {
    return this.#acknowledged.size + this.#reads;
  }

  /** Ends the work and reads every acknowledged record back. */
  async finish(signal: AbortSignal): Promise<ClientResult> {
    await this.stop();
    const lost: string[] = [];
    for (const [name, text] of this.#acknowledged) {
      if ((await this.#readBack(name, signal)) !== text) lost.push(name);
    }
    this.#agent.destroy();
    return {
      writes: this.#acknowledged.size,
      reads: this.#reads,
      retries: this.#retries,
      longestGapMs: Math.round(this.#gapMs),
      longestGapAtMs: this.#gapAtMs === null ? null : Math.round(this.#gapAtMs),
      checked: this.#acknowledged.size,
      lost,
      misreads: this.#misreads,
    };
  }

  /** Ends the work; idempotent. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #work(): Promise<void> {
    const { signal } = this.#stop;
    for (let at = 1; !signal.aborted; at += 1) {
      const name = `${this.#label}-${String(at).padStart(6, '0')}`;
      const text = `record ${String(at)} of ${this.#label}`;
      const wrote = await this.#untilAnswered(name, text, signal);
      if (!wrote) return;
      this.#acknowledged.set(name, text);
      this.#success();
      const answer = await this.#ask('GET', name).catch(() => null);
      if (answer?.status === 200 && answer.text === text) {
        this.#reads += 1;
        this.#success();
      } else if (answer?.status === 200 || answer?.status === 404) {
        this.#misreads += 1;
      }
      await sleep(this.#pace.pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** The same write again until it is acknowledged; false when the client was stopped before. */
  async #untilAnswered(name: string, text: string, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      const answer = await this.#ask('PUT', name, text).catch(() => null);
      if (answer !== null && answer.status >= 200 && answer.status < 300) return true;
      if (signal.aborted) return false;
      this.#retries += 1;
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** The record's text, or null when the service says that there is none. */
  async #readBack(name: string, signal: AbortSignal): Promise<string | null> {
    const endMs = performance.now() + CHECK_MS_MAX;
    for (;;) {
      signal.throwIfAborted();
      const answer = await this.#ask('GET', name).catch(() => null);
      if (answer?.status === 200) return answer.text;
      if (answer?.status === 404 || performance.now() > endMs) return null;
      await sleep(RETRY_MS, undefined, { signal });
    }
  }

  #success(): void {
    const nowMs = performance.now();
    if (this.#lastMs !== null && nowMs - this.#lastMs > this.#gapMs) {
      this.#gapMs = nowMs - this.#lastMs;
      this.#gapAtMs = this.#lastMs - this.#startedMs;
    }
    this.#lastMs = nowMs;
  }

  /** The first answer of any way that is not a refusal for the moment; else the last refusal. */
  async #ask(method: 'GET' | 'PUT', name: string, body?: string): Promise<Answer> {
    const [first = '', ...others] = this.#bases;
    if (others.length === 0) return this.#askAt(first, method, name, body);
    const answered = Promise.withResolvers<Answer>();
    const ended = new AbortController();
    const { signal } = ended;
    let refusal: Answer | null = null;
    const attempt = async (base: string): Promise<void> => {
      const answer = await this.#askAt(base, method, name, body, signal);
      if (answer.status < 500) {
        this.#bases = [base, ...this.#bases.filter((one) => one !== base)];
        answered.resolve(answer);
      } else {
        refusal = answer;
      }
    };
    // A way that hangs, since the address behind it has just gone, says nothing of the other one,
    // and a connection that was begun before the address came may wait for long.
    const tryAt = async (base: string, afterMs: number): Promise<void> => {
      await sleep(afterMs, undefined, { signal });
      for (;;) {
        await Promise.race([attempt(base), sleep(AGAIN_MS, undefined, { signal })]).catch(() => 0);
        await sleep(RETRY_MS, undefined, { signal });
      }
    };
    const limit = setTimeout(() => {
      if (refusal === null) answered.reject(new Error('no answer'));
      else answered.resolve(refusal);
    }, this.#pace.requestMs);
    const ways = [tryAt(first, 0), ...others.map((one) => tryAt(one, HEDGE_MS))];
    try {
      return await answered.promise;
    } finally {
      clearTimeout(limit);
      ended.abort();
      await Promise.allSettled(ways);
    }
  }

  async #askAt(
    base: string,
    method: 'GET' | 'PUT',
    name: string,
    body?: string,
    signal?: AbortSignal,
  ): Promise<Answer> {
    const limit = AbortSignal.timeout(this.#pace.requestMs);
    return new Promise((done, fail) => {
      const call = request(`${base}/records/${name}`, {
        method,
        agent: this.#agent,
        headers: body === undefined ? {} : { 'content-length': Buffer.byteLength(body) },
        signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
      });
      call.once('error', fail);
      call.once('response', (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('error', fail);
        response.on('data', (part: string) => {
          text += part;
          if (text.length > ANSWER_BYTES_MAX) response.destroy(new Error('answer too long'));
        });
        response.on('end', () => done({ status: response.statusCode ?? 0, text }));
      });
      call.end(body);
    });
  }
}
