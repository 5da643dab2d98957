/**
 * The service address and the workload behind it as one child process (`images/workload`): it is
 * started at once, in standby, and told on its standard input to serve or to release, so that a
 * switchover costs no process start. Always holds: the address is bound only between an answered
 * `serve` and the answer to `release`, or the end of the process; a workload that ends while the
 * address is held is started again and takes it again, at most five times in 60 s. Imports core,
 * ports, json-lines and managed-child.
 */
import { UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import type { ServiceAddress } from '../ports.ts';
import { createCalls, jsonLineReader, type Calls } from './json-lines.ts';
import { startChild, type ManagedChild } from './managed-child.ts';

/** Longest wait for an answer of the workload, when the caller has none of its own. */
const ANSWER_MS = 5000;
const STOP_GRACE_MS = 1000;
/** Restarts within the window, after which the workload stays down until it is needed. */
const RESTARTS_MAX = 5;
const RESTART_WINDOW_MS = 60_000;

/** What the workload is run with. */
export interface ServiceProcessOptions {
  readonly node: NodeId;
  /** The workload's program, inside the booted system. */
  readonly program: string;
  /** `host:port` of the service address. */
  readonly address: string;
  /** Unix socket of the storage software. */
  readonly storageSocket: string;
  /** Release file of the booted system, which the workload reports. */
  readonly releaseFile: string;
  readonly logFile: string;
  /** Called when the workload ended without having been asked to. */
  readonly onExit?: (reason: string) => void;
  /** The Node program that runs it; the one of this process when it is not given. */
  readonly execPath?: string;
}

/** The service address with the id of the workload's process. */
export interface WorkloadProcess extends ServiceAddress {
  /** Process id while it runs; null otherwise. */
  readonly pid: number | null;
}

/**
 * Starts the workload in standby and returns at once. `acquire` and `release` throw
 * `service.failed`, `selfTest` throws `health.check` with the reason.
 */
export function startServiceProcess(options: ServiceProcessOptions): WorkloadProcess {
  return new ServiceProcess(options);
}

interface Workload {
  readonly child: ManagedChild;
  readonly calls: Calls;
}

class ServiceProcess implements WorkloadProcess {
  readonly #options: ServiceProcessOptions;
  #workload: Workload | null = null;
  /** Epoch to serve for; null = standby. */
  #epoch: number | null = null;
  #held = false;
  #closed = false;
  #restarts: number[] = [];
  #turn: Promise<void> = Promise.resolve();

  constructor(options: ServiceProcessOptions) {
    this.#options = options;
    this.#workload = this.#spawn();
  }

  get pid(): number | null {
    return this.#workload?.child.pid ?? null;
  }

  held(): boolean {
    return this.#held;
  }

  async acquire(epoch: number, signal: AbortSignal): Promise<void> {
    this.#epoch = epoch;
    await this.#inTurn(() => this.#serve(epoch, signal));
  }

  async release(): Promise<void> {
    this.#epoch = null;
    await this.#inTurn(async () => {
      if (!this.#held) return;
      const workload = this.#workload;
      if (workload) {
        try {
          await workload.calls.call({ release: {} }, AbortSignal.timeout(ANSWER_MS));
        } catch {
          // A workload that does not answer must not go on serving: without it nothing is served.
          this.#workload = null;
          await workload.child.stop(0);
        }
      }
      this.#held = false;
    });
  }

  async selfTest(signal: AbortSignal): Promise<void> {
    try {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
      await this.#running().calls.call({ selfTest: {} }, limited);
    } catch (cause) {
      throw new UpdateError('health.check', `self-test of the workload: ${textOf(cause)}`, {
        cause,
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const workload = this.#workload;
    this.#workload = null;
    this.#epoch = null;
    this.#held = false;
    await workload?.child.stop(STOP_GRACE_MS);
  }

  async #serve(epoch: number, signal: AbortSignal): Promise<void> {
    if (this.#epoch !== epoch) throw failed('the address was released while it was acquired');
    const { address } = this.#options;
    try {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
      await this.#running().calls.call({ serve: { epoch, address } }, limited);
    } catch (cause) {
      throw failed(`cannot serve on ${address}: ${textOf(cause)}`, cause);
    }
    this.#held = true;
  }

  #running(): Workload {
    if (this.#closed) throw failed('the workload was stopped for good');
    this.#workload ??= this.#spawn();
    return this.#workload;
  }

  #spawn(): Workload {
    const { node, storageSocket, releaseFile } = this.#options;
    const feed = jsonLineReader((value) => void calls.settle(value));
    const calls: Calls = createCalls(
      (line) => child.write(line),
      () => failed('the workload does not answer in time'),
    );
    const child: ManagedChild = startChild({
      execPath: this.#options.execPath ?? process.execPath,
      program: this.#options.program,
      args: [JSON.stringify({ node, storageSocket, releaseFile })],
      logFile: this.#options.logFile,
      onOutput: (chunk) => {
        try {
          feed(chunk);
        } catch (error) {
          calls.fail(failed((error as Error).message));
        }
      },
      onExit: (reason) => {
        calls.fail(failed(`the workload ${reason}`));
        if (this.#workload?.child === child) this.#ended(reason);
      },
    });
    return { child, calls };
  }

  #ended(reason: string): void {
    this.#workload = null;
    const wasHeld = this.#held;
    this.#held = false;
    this.#options.onExit?.(reason);
    const now = performance.now();
    this.#restarts = this.#restarts.filter((at) => now - at < RESTART_WINDOW_MS);
    if (this.#closed || this.#restarts.length >= RESTARTS_MAX) return;
    this.#restarts.push(now);
    this.#workload = this.#spawn();
    const epoch = this.#epoch;
    if (!wasHeld || epoch === null) return;
    void this.#inTurn(async () => {
      if (this.#epoch === epoch) await this.#serve(epoch, AbortSignal.timeout(ANSWER_MS));
    }).catch(() => undefined);
  }

  async #inTurn(action: () => Promise<void>): Promise<void> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      await action();
    } finally {
      resolve();
    }
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function failed(text: string, cause?: unknown): UpdateError {
  return new UpdateError('service.failed', text, cause === undefined ? undefined : { cause });
}
