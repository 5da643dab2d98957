/**
 * HTTP over a unix socket, the client's half: one JSON answer, or a stream of lines. Always holds:
 * an answer and a line have a maximum length, and every failure of the transport is an UpdateError
 * that names the socket. Imports core and protocol.
 */
import { request, type ClientRequest, type IncomingMessage } from 'node:http';
import { asUpdateError, UpdateError, type ErrorReport } from '../core/errors.ts';
import { ANSWER_BYTES_MAX, EVENT_BYTES_MAX, SILENCE_MS } from './protocol.ts';

/** One request of a client. */
export interface JsonRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object | undefined;
  readonly signal: AbortSignal | undefined;
  /** Longest silence of the daemon. */
  readonly timeoutMs: number;
}

/**
 * The JSON of a good answer. Throws the daemon's own error, or `daemon.unreachable` and
 * `permission.denied` for a socket that cannot be used; the signal's reason when it aborted.
 */
export async function requestJson(socketPath: string, options: JsonRequest): Promise<unknown> {
  const { method, path, headers, signal, timeoutMs } = options;
  const body = options.body === undefined ? '' : JSON.stringify(options.body);
  const sent = request({
    socketPath,
    method,
    path,
    agent: false,
    headers: {
      ...headers,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    },
    ...(signal ? { signal } : {}),
  });
  try {
    const response = await send(sent, body, timeoutMs, socketPath);
    const text = await readText(response, socketPath);
    return parseAnswer(response.statusCode ?? 0, text, socketPath);
  } catch (error) {
    throw transportError(error, socketPath, signal);
  } finally {
    sent.destroy();
  }
}

/**
 * The objects of a streamed answer, one a line, until the daemon ends it; empty lines are its
 * heartbeat. Throws like `requestJson`, also after a silence that is longer than the heartbeat
 * allows.
 */
export async function* streamObjects(
  socketPath: string,
  path: string,
  options: {
    readonly headers?: Readonly<Record<string, string>>;
    readonly signal?: AbortSignal | undefined;
    readonly onOpen?: (() => void) | undefined;
  },
): AsyncGenerator<object, void, void> {
  const { signal, onOpen, headers = {} } = options;
  const sent = request({ socketPath, path, headers, agent: false, ...(signal ? { signal } : {}) });
  try {
    const response = await send(sent, '', SILENCE_MS, socketPath);
    if (response.statusCode !== 200) await refused(response, socketPath);
    onOpen?.();
    response.setEncoding('utf8');
    let rest = '';
    for await (const chunk of response as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      if (rest.length > EVENT_BYTES_MAX) throw garbled(socketPath, 'a line without an end');
      for (const line of lines) if (line !== '') yield parseLine(line, socketPath);
    }
    if (rest !== '') throw garbled(socketPath, 'half a line');
  } catch (error) {
    throw transportError(error, socketPath, signal);
  } finally {
    sent.destroy();
  }
}

/** Sends the body and waits for the head of the answer; `timeoutMs` also ends a silent body. */
export async function send(
  sent: ClientRequest,
  body: string,
  timeoutMs: number,
  socketPath: string,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.on('response', resolve);
    sent.on('error', reject);
    sent.setTimeout(timeoutMs, () => {
      const message = `the daemon on ${socketPath} was silent for ${timeoutMs / 1000} s`;
      sent.destroy(new UpdateError('daemon.unreachable', message));
    });
    sent.end(body);
  });
}

/** Throws the error of an answer that is not the stream that was asked for. */
export async function refused(response: IncomingMessage, socketPath: string): Promise<never> {
  const text = await readText(response, socketPath);
  parseAnswer(response.statusCode ?? 0, text, socketPath);
  throw garbled(socketPath, 'an answer that is no stream');
}

async function readText(response: IncomingMessage, socketPath: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw garbled(socketPath, 'an answer that is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseAnswer(status: number, text: string, socketPath: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw garbled(socketPath, `status ${status} without JSON`);
  }
  if (typeof value !== 'object' || value === null) throw garbled(socketPath, 'no JSON object');
  if (status >= 200 && status < 300) return value;
  const report = (value as { error?: ErrorReport }).error;
  if (typeof report?.code !== 'string' || typeof report.message !== 'string') {
    throw garbled(socketPath, `status ${status} without an error report`);
  }
  throw UpdateError.from(report);
}

function parseLine(line: string, socketPath: string): object {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw garbled(socketPath, 'a line that is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw garbled(socketPath, 'not an event');
  return value;
}

function garbled(socketPath: string, found: string): UpdateError {
  const message = `what answers on ${socketPath} is not a Tandem daemon: found ${found}`;
  return new UpdateError('daemon.unreachable', message);
}

/** A failure on the way to the daemon, or the reason of the signal, as an error of its own. */
export function transportError(
  error: unknown,
  socketPath: string,
  signal: AbortSignal | undefined,
): UpdateError {
  if (error instanceof UpdateError) return error;
  if (signal?.aborted) {
    if (signal.reason instanceof UpdateError) return signal.reason;
    return new UpdateError('wait.detached', 'the command was interrupted', { cause: error });
  }
  const { code, message, cause } = error as NodeJS.ErrnoException;
  if (cause instanceof UpdateError) return cause;
  if (code === 'EACCES' || code === 'EPERM') {
    const text = `the control socket ${socketPath} may not be used by this user`;
    return new UpdateError('permission.denied', text, { cause: error });
  }
  if (code !== undefined) {
    const text = `nobody answers on the control socket ${socketPath}: ${REASONS[code] ?? message}`;
    return new UpdateError('daemon.unreachable', text, { cause: error });
  }
  return asUpdateError(error);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nobody listens on it',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ENOTSOCK: 'it is not a socket',
};
