/**
 * The fencer of the embedded default: the supervisor of the peer, which is its power switch, asked
 * on its socket with one JSON object a line, one connection per question. A fence names the node
 * that is meant, and a supervisor of another one refuses it; the supervisor kills every process of
 * the node, waits until the lock on its state falls, says so, and restores the power by itself a
 * few seconds later if it was asked to. Always holds: only an answer that is complete, in time, of
 * the right node and without contradiction counts as a proof. Imports core, ports and node.
 */
import { connect } from 'node:net';
import { UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import type { Fencer, FenceOrder, FenceOutcome } from '../ports.ts';
import { throwIfStopped } from './stopped.ts';

/** What the fencer needs to know. */
export interface PowerFencerOptions {
  readonly peer: NodeId;
  /** Socket of the peer's supervisor. */
  readonly socket: string;
  /** Present boot of this node: a supervisor that runs this very boot is not that of the peer. */
  readonly bootId: string;
  /** Whether a peer that was cut gets its power back. */
  readonly afterFence: 'on' | 'stay-off';
  /** Time limit of a fence, default 15 s; a third of it for every other question. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 15_000;
const ANSWER_BYTES_MAX = 64 * 1024;

/** What was understood of an answer; fields that are missing or of the wrong kind are null. */
interface Answer {
  readonly ok: boolean;
  readonly error: string;
  readonly fence: unknown;
  readonly node: unknown;
  readonly power: unknown;
  readonly pid: unknown;
  readonly bootId: unknown;
}

/** The fencer of kind `power`. */
export function powerFencer(options: PowerFencerOptions): Fencer {
  return new PowerFencer(options);
}

class PowerFencer implements Fencer {
  readonly kind = 'power';
  readonly #options: PowerFencerOptions;
  readonly #timeoutMs: number;

  constructor(options: PowerFencerOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  async selfTest(signal: AbortSignal): Promise<void> {
    const { peer, socket, bootId } = this.#options;
    let answer: Answer;
    try {
      answer = await this.#ask({ do: 'status' }, this.#timeoutMs / 3, signal);
    } catch (cause) {
      throwIfStopped(signal);
      const message = `The supervisor at ${socket} does not answer: ${wordsOf(cause)}`;
      throw new UpdateError('fence.self_test', message, { cause });
    }
    const refuse = (found: string): never => {
      const message = `${socket} ${found}, expected the power of node ${peer}`;
      throw new UpdateError('fence.self_test', message, { detail: { socket, peer } });
    };
    if (!answer.ok) refuse(`refuses to tell its status (${answer.error})`);
    if (answer.node !== peer) refuse(`switches the power of node ${shown(answer.node)}`);
    if (answer.bootId === bootId) refuse('switches the power of this very node');
    if (answer.power !== 'on' && answer.power !== 'off') refuse('does not tell a state of power');
  }

  async fence(order: FenceOrder, signal: AbortSignal): Promise<FenceOutcome> {
    const { peer, afterFence } = this.#options;
    if (order.peer !== peer) return 'failed';
    const request = { do: 'fence', node: peer, epoch: order.epoch, after: afterFence };
    try {
      const answer = await this.#ask(request, this.#timeoutMs, signal);
      if (!answer.ok || answer.fence === 'failed') return 'failed';
      const dead = answer.node === peer && answer.power === 'off' && answer.pid === null;
      return answer.fence === 'off' && dead ? 'off' : 'unknown';
    } catch {
      return 'unknown';
    }
  }

  async restore(order: FenceOrder, signal: AbortSignal): Promise<void> {
    const { peer, afterFence } = this.#options;
    if (afterFence === 'stay-off' || order.peer !== peer) return;
    const refuse = (why: string, cause?: unknown): never => {
      const message = `The power of node ${peer} cannot be restored: ${why}`;
      throw new UpdateError('fence.failed', message, { cause });
    };
    try {
      const answer = await this.#ask({ do: 'restore', node: peer }, this.#timeoutMs / 3, signal);
      if (!answer.ok) refuse(answer.error);
    } catch (cause) {
      throwIfStopped(signal);
      if (cause instanceof UpdateError) throw cause;
      refuse(wordsOf(cause), cause);
    }
  }

  async power(signal: AbortSignal): Promise<'on' | 'off' | 'unknown'> {
    try {
      const answer = await this.#ask({ do: 'status' }, this.#timeoutMs / 3, signal);
      if (!answer.ok || answer.node !== this.#options.peer) return 'unknown';
      return answer.power === 'on' || answer.power === 'off' ? answer.power : 'unknown';
    } catch {
      return 'unknown';
    }
  }

  async #ask(request: object, timeoutMs: number, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    const limit = AbortSignal.timeout(timeoutMs);
    const line = await exchange(
      this.#options.socket,
      JSON.stringify(request),
      AbortSignal.any([signal, limit]),
    );
    return answerOf(line);
  }
}

/** Sends one line and reads one; rejects with plain errors, of the signal too. */
function exchange(path: string, request: string, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(path);
  let text = '';
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  socket.setEncoding('utf8');
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('it closed the connection')));
  socket.on('data', (part: string) => {
    text += part;
    const stop = text.indexOf('\n');
    if (stop >= 0) resolve(text.slice(0, stop));
    else if (text.length > ANSWER_BYTES_MAX) reject(new Error('its answer is too long'));
  });
  socket.write(`${request}\n`);
  return promise.finally(() => {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  });
}

/** Throws for what is not a JSON object. */
function answerOf(line: string): Answer {
  const value = objectOf(JSON.parse(line));
  if (value === null) throw new Error('its answer is not an object');
  const status = objectOf(value['status']) ?? {};
  const { error } = value;
  return {
    ok: value['ok'] === true,
    error: typeof error === 'string' ? error.slice(0, 200) : 'no reason given',
    fence: value['fence'],
    node: status['node'],
    power: status['power'],
    pid: status['pid'],
    bootId: objectOf(status['boot'])?.['bootId'],
  };
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 20) : 'that it does not name';
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
