/**
 * A client of QEMU's machine protocol (QMP: JSON lines; QEMU's docs/interop/qmp-spec): greeting,
 * capabilities, commands with ids, events. Always holds: every command ends, with its answer, its
 * time limit or the end of the connection; QEMU's refusals are `tool.failed` with its own words.
 * Imports core and the reader of JSON lines.
 */
import type { Duplex } from 'node:stream';
import { UpdateError } from '../../src/core/errors.ts';
import { jsonLine, jsonLineReader } from '../../src/drivers/json-lines.ts';

/** A plain object of JSON. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** How long QEMU may take to answer a command when nobody said otherwise. */
const COMMAND_TIMEOUT_MS = 60_000;

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: UpdateError) => void;
  readonly timer: NodeJS.Timeout;
}

/** One connection to the monitor of one QEMU. */
export class QmpClient {
  readonly #stream: Duplex;
  readonly #onEvent: (name: string, data: JsonObject) => void;
  readonly #pending = new Map<number, Pending>();
  readonly #greeting = Promise.withResolvers<void>();
  #nextId = 1;
  #closed: UpdateError | null = null;

  private constructor(stream: Duplex, onEvent: (name: string, data: JsonObject) => void) {
    this.#stream = stream;
    this.#onEvent = onEvent;
    const read = jsonLineReader((value) => this.#take(value));
    stream.on('data', (chunk: Buffer) => {
      try {
        read(chunk);
      } catch (error) {
        const message = 'QEMU said something that is not QMP';
        this.#close(new UpdateError('tool.failed', message, { cause: error }));
        stream.destroy();
      }
    });
    // The end follows as 'close' and says the same.
    stream.on('error', () => undefined);
    stream.once('close', () => this.#close(new UpdateError('tool.failed', 'QEMU has ended')));
  }

  /**
   * Greets QEMU over a connected stream; events go to `onEvent` from the first one on. Throws
   * `tool.failed` when QEMU ends or says nothing within the time limit.
   */
  static async connect(
    stream: Duplex,
    onEvent: (name: string, data: JsonObject) => void,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<QmpClient> {
    const client = new QmpClient(stream, onEvent);
    const limitMs = options.timeoutMs ?? COMMAND_TIMEOUT_MS;
    const late = (): void =>
      client.#close(new UpdateError('tool.failed', `QEMU did not greet within ${limitMs} ms`));
    const timer = setTimeout(late, limitMs);
    try {
      await client.#greeting.promise;
    } finally {
      clearTimeout(timer);
    }
    await client.execute('qmp_capabilities');
    return client;
  }

  /** Runs a command; returns what QEMU returned. Throws `tool.failed` with QEMU's words. */
  execute(
    command: string,
    args?: JsonObject,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<unknown> {
    if (this.#closed !== null) return Promise.reject(this.#closed);
    const id = this.#nextId++;
    const limitMs = options.timeoutMs ?? COMMAND_TIMEOUT_MS;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        const message = `QEMU did not answer ${command} within ${limitMs} ms`;
        reject(new UpdateError('tool.failed', message, { detail: { command } }));
      }, limitMs);
      this.#pending.set(id, { command, resolve, reject, timer });
      const extra = args === undefined ? {} : { arguments: args };
      this.#stream.write(jsonLine({ execute: command, id, ...extra }));
    });
  }

  #take(value: unknown): void {
    if (typeof value !== 'object' || value === null) return;
    const message = value as JsonObject;
    if ('QMP' in message) this.#greeting.resolve();
    else if (typeof message['event'] === 'string') {
      this.#onEvent(message['event'], (message['data'] ?? {}) as JsonObject);
    } else this.#answer(message);
  }

  #answer(message: JsonObject): void {
    const id = Number(message['id']);
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if (!('error' in message)) return pending.resolve(message['return']);
    const { class: kind, desc } = message['error'] as { class: string; desc: string };
    const { command } = pending;
    const detail = { command, class: kind };
    pending.reject(new UpdateError('tool.failed', `QEMU refused ${command}: ${desc}`, { detail }));
  }

  #close(error: UpdateError): void {
    this.#closed ??= error;
    this.#greeting.reject(error);
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
  }
}
