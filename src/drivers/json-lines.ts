/**
 * Requests and answers as JSON lines between processes of one node: the storage software's socket
 * and the workload's standard streams. A request carries an `id`; its answer has the same `id` and
 * `ok`, with `result` or `error`; lines without `id` are news. Always holds: no line is longer than
 * `LINE_BYTES_MAX`, no answer is given twice, and every call ends, at the latest with its signal or
 * with the connection. Imports core and node: only.
 */
import { connect, type Socket } from 'node:net';
import { UpdateError, type ErrorDetail } from '../core/errors.ts';

/** An object of 1 MiB in base64 with its key and some room. */
export const LINE_BYTES_MAX = 1_572_864;

/** First and longest pause between two attempts to reach a socket that nobody listens on. */
const RETRY_MS = { first: 10, longest: 250 } as const;

/**
 * Splits a byte stream into lines and hands each parsed value to `onValue`. The returned function
 * throws `usage.invalid` for a line that is too long or not JSON; the stream is of no use then.
 */
export function jsonLineReader(onValue: (value: unknown) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let bytes = 0;
  return (chunk) => {
    let rest = chunk;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      parts.push(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      const line = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      parts = [];
      bytes = 0;
      if (line.length > LINE_BYTES_MAX) throw tooLong();
      if (line.length > 0) onValue(parseLine(line));
    }
    bytes += rest.length;
    if (bytes > LINE_BYTES_MAX) throw tooLong();
    if (rest.length > 0) parts.push(rest);
  };
}

function tooLong(): UpdateError {
  return new UpdateError('usage.invalid', `a line is longer than ${LINE_BYTES_MAX} bytes`);
}

function parseLine(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch (cause) {
    throw new UpdateError('usage.invalid', 'a line is not JSON', { cause });
  }
}

/** One line for `value`, with its end. */
export function jsonLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/** Calls that wait for their answers. */
export interface Calls {
  /**
   * Sends `request` with an id and waits for the answer's `result`. Rejects with the error of the
   * answer, or with `lost` (its code and text) when the signal aborts first.
   */
  call(request: object, signal: AbortSignal): Promise<unknown>;
  /** Takes a message; true when it was the answer to a call. */
  settle(message: unknown): boolean;
  /** Ends every open call with this error. */
  fail(error: UpdateError): void;
}

/** Calls over any stream of lines; `lost` makes the error of a call that its signal ended. */
export function createCalls(
  write: (line: string) => void,
  lost: (request: object) => UpdateError,
): Calls {
  let nextId = 1;
  const open = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  return {
    async call(request, signal) {
      if (signal.aborted) throw lost(request);
      const id = nextId++;
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      const onAbort = () => reject(lost(request));
      open.set(id, { resolve, reject });
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        write(jsonLine({ id, ...request }));
        return await promise;
      } finally {
        open.delete(id);
        signal.removeEventListener('abort', onAbort);
      }
    },
    settle(message) {
      const answer = message as Answer | null;
      if (typeof answer !== 'object' || typeof answer?.id !== 'number') return false;
      const waiting = open.get(answer.id);
      if (answer.ok === true) waiting?.resolve(answer.result);
      else waiting?.reject(UpdateError.from(answer.error ?? NO_ERROR));
      return true;
    },
    fail(error) {
      for (const waiting of open.values()) waiting.reject(error);
    },
  };
}

interface Answer {
  readonly id?: unknown;
  readonly ok?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: string; readonly message: string; detail?: ErrorDetail };
}

const NO_ERROR = { code: 'internal.bug', message: 'an answer without result and without error' };

/** Calls to a process that listens on a unix socket, through its restarts. */
export interface SocketCalls extends AsyncDisposable {
  /** As `Calls.call`; connects first, and waits for that until the signal aborts. */
  call(request: object, signal: AbortSignal): Promise<unknown>;
  /** True while connected. */
  readonly up: boolean;
}

/** What a `SocketCalls` tells. */
export interface SocketCallsOptions {
  readonly path: string;
  /** Connected; calls may be made from here. */
  readonly onUp?: () => void;
  /** Was connected and is not any more. */
  readonly onDown?: () => void;
  /** A line that is not an answer. */
  readonly onNews?: (value: unknown) => void;
}

/**
 * Connects to `path` and stays connected: after a loss, and while nobody listens, it tries again
 * after 10 ms, growing to 250 ms; a call tries at once. Open calls end with `store.unreachable` at
 * a loss.
 */
export function openSocketCalls(options: SocketCallsOptions): SocketCalls {
  return new ReconnectingCalls(options);
}

class ReconnectingCalls implements SocketCalls {
  readonly #options: SocketCallsOptions;
  readonly #calls: Calls;
  #socket: Socket | null = null;
  #up = false;
  #closed = false;
  #retryMs: number = RETRY_MS.first;
  #timer: NodeJS.Timeout | null = null;
  #whenUp = Promise.withResolvers<void>();

  constructor(options: SocketCallsOptions) {
    this.#options = options;
    this.#calls = createCalls(
      (line) => this.#socket?.write(line),
      (request) => unreachable(options.path, `no answer in time to ${nameOf(request)}`),
    );
    this.#connect();
  }

  get up(): boolean {
    return this.#up;
  }

  async call(request: object, signal: AbortSignal): Promise<unknown> {
    if (this.#closed) throw unreachable(this.#options.path, 'the connection was closed');
    if (!this.#up) {
      this.#retryMs = RETRY_MS.first;
      this.#connect();
      await this.#untilUp(signal);
    }
    return await this.#calls.call(request, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const socket = this.#socket;
    if (!socket || socket.closed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.once('close', () => resolve());
    socket.destroy();
    await promise;
  }

  async #untilUp(signal: AbortSignal): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(unreachable(this.#options.path, 'nobody listens there'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await Promise.race([this.#whenUp.promise, promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #connect(): void {
    if (this.#closed || this.#socket) return;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const socket = connect(this.#options.path);
    this.#socket = socket;
    const feed = jsonLineReader((value) => {
      if (!this.#calls.settle(value)) this.#options.onNews?.(value);
    });
    socket.on('data', (chunk) => {
      try {
        feed(chunk);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.once('connect', () => {
      this.#up = true;
      this.#retryMs = RETRY_MS.first;
      this.#whenUp.resolve();
      this.#options.onUp?.();
    });
    // The reason is told by 'close', which follows every error.
    socket.on('error', () => undefined);
    socket.once('close', () => this.#lost());
  }

  #lost(): void {
    const wasUp = this.#up;
    this.#socket = null;
    this.#up = false;
    if (wasUp) {
      this.#whenUp = Promise.withResolvers<void>();
      this.#calls.fail(unreachable(this.#options.path, 'the connection was lost'));
      this.#options.onDown?.();
    }
    if (this.#closed) return;
    this.#timer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS.longest);
  }
}

function unreachable(path: string, why: string): UpdateError {
  return new UpdateError('store.unreachable', `${path}: ${why}`, { detail: { socket: path } });
}

/** The word of a request that stands for it in messages. */
function nameOf(request: object): string {
  const { op } = request as { op?: unknown };
  return typeof op === 'string' ? op : 'a request';
}
