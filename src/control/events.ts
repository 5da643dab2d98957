/**
 * One reader of the event stream: kept events first, then every new one, as NDJSON. Always holds:
 * what a slow reader has not taken yet stays with the daemon's kept events and is not queued here,
 * so a stalled client costs one buffer, and after a while its connection. Imports core and
 * protocol.
 */
import type { ServerResponse } from 'node:http';
import type { TandemEvent } from '../core/status.ts';
import type { ControlBackend } from './backend.ts';

/** Which events one reader gets, and when it counts as gone. */
export interface StreamOptions {
  /** Events with a higher sequence number are sent. */
  readonly since: number;
  /** Only events of this job. */
  readonly job: string | null;
  /** Stay, and send what comes. */
  readonly follow: boolean;
  readonly heartbeatMs: number;
  readonly stallMs: number;
}

/** Sends events until the reader leaves, stalls, or, without `follow`, has all kept ones. */
export async function streamEvents(
  backend: ControlBackend,
  response: ServerResponse,
  options: StreamOptions,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  response.flushHeaders();
  const reader = new EventReader(backend, response, options);
  await reader.run();
}

class EventReader {
  readonly #backend: ControlBackend;
  readonly #response: ServerResponse;
  readonly #options: StreamOptions;
  #last: number;
  #full = false;
  #stall: NodeJS.Timeout | undefined;

  constructor(backend: ControlBackend, response: ServerResponse, options: StreamOptions) {
    this.#backend = backend;
    this.#response = response;
    this.#options = options;
    this.#last = options.since;
  }

  async run(): Promise<void> {
    const response = this.#response;
    const { follow, heartbeatMs } = this.#options;
    const closed = new Promise<void>((resolve) => response.once('close', resolve));
    const leave = follow ? this.#backend.onEvent(() => this.#pump()) : () => {};
    const beat = follow ? setInterval(() => this.#beat(), heartbeatMs) : undefined;
    response.on('drain', () => this.#drained());
    try {
      this.#pump();
      await closed;
    } finally {
      leave();
      clearInterval(beat);
      clearTimeout(this.#stall);
    }
  }

  /** Sends kept events from the last one on, as long as the connection takes them. */
  #pump(): void {
    if (this.#full || this.#response.destroyed) return;
    for (const event of this.#backend.eventsSince(this.#last)) {
      this.#last = event.seq;
      if (!this.#wanted(event)) continue;
      if (!this.#response.write(`${JSON.stringify(event)}\n`)) {
        this.#hold();
        return;
      }
    }
    if (!this.#options.follow) this.#response.end();
  }

  #wanted(event: TandemEvent): boolean {
    return this.#options.job === null || event.job === this.#options.job;
  }

  #beat(): void {
    if (this.#full || this.#response.destroyed) return;
    if (!this.#response.write('\n')) this.#hold();
  }

  #hold(): void {
    this.#full = true;
    this.#stall = setTimeout(() => this.#response.destroy(), this.#options.stallMs);
  }

  #drained(): void {
    this.#full = false;
    clearTimeout(this.#stall);
    this.#pump();
  }
}
