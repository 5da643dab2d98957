/**
 * The storage software as a process run from the content of a storage slot. The composition root
 * says how a slot becomes a directory (`unpack`); this driver runs `/opt/storage/storage.mjs` of
 * it and reads its release from `/etc/tandem-release` of the same directory. Always holds: at most
 * one such process; the release told is that of the content that runs; an end that was not asked
 * for is told once. Imports core, ports, json-lines and managed-child.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError, asUpdateError } from '../core/errors.ts';
import {
  parseRelease,
  RELEASE_BYTES_MAX,
  RELEASE_FILE,
  type NodeId,
  type Release,
  type Slot,
} from '../core/model.ts';
import type { StorageSoftware } from '../ports.ts';
import { jsonLineReader, openSocketCalls } from './json-lines.ts';
import { startChild, type ManagedChild } from './managed-child.ts';

/** Program of the storage software inside its image. */
export const STORAGE_PROGRAM = '/opt/storage/storage.mjs';
/** Longest wait for the software to open its store and listen. */
const START_MS = 60_000;
/** Time to end in good order before it is killed; every acknowledged write is durable anyway. */
const STOP_GRACE_MS = 3000;
/** Longest health check. */
const HEALTH_MS = 5000;

/** What the storage software of this node is told, and how a slot becomes a directory. */
export interface StorageProcessOptions {
  readonly node: NodeId;
  /** Id of the pair. */
  readonly pair: string;
  /** `host:port` on which node B listens and which node A dials. */
  readonly listen: string;
  readonly peer: string;
  /** Unix socket of its API. */
  readonly socket: string;
  readonly dataDir: string;
  readonly keysDir: string;
  readonly logFile: string;
  /** Puts the content of the storage slot into a directory of its own and returns its path. */
  readonly unpack: (slot: Slot, signal: AbortSignal) => Promise<string>;
  /** The Node program that runs it; the one of this process when it is not given. */
  readonly execPath?: string;
}

/** The storage software with the id of its process. */
export interface StorageProcess extends StorageSoftware {
  /** Process id while it runs; null otherwise. */
  readonly pid: number | null;
}

/**
 * The storage software of this node. `start` throws `health.storage` when it ends or does not
 * answer within 60 s, and what `unpack` throws.
 */
export function createStorageProcess(options: StorageProcessOptions): StorageProcess {
  return new ChildStorage(options);
}

interface Running {
  readonly slot: Slot;
  readonly release: Release;
  readonly child: ManagedChild;
}

class ChildStorage implements StorageProcess {
  readonly #options: StorageProcessOptions;
  readonly #listeners: ((reason: string) => void)[] = [];
  #running: Running | null = null;
  /** Starts and stops happen one after the other. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: StorageProcessOptions) {
    this.#options = options;
  }

  get pid(): number | null {
    return this.#running?.child.pid ?? null;
  }

  running(): { readonly slot: Slot; readonly release: Release } | null {
    if (!this.#running) return null;
    const { slot, release } = this.#running;
    return { slot, release };
  }

  onExit(listener: (reason: string) => void): void {
    this.#listeners.push(listener);
  }

  async start(slot: Slot, signal: AbortSignal): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#running?.slot === slot) return;
      await this.#stop();
      const dir = await this.#options.unpack(slot, signal);
      signal.throwIfAborted();
      const release = await readRelease(join(dir, RELEASE_FILE));
      await this.#run(slot, release, dir, signal);
    });
  }

  async stop(): Promise<void> {
    await this.#inTurn(() => this.#stop());
  }

  async health(signal: AbortSignal): Promise<void> {
    if (!this.#running) throw unhealthy('the storage software does not run');
    await using calls = openSocketCalls({ path: this.#options.socket });
    try {
      await calls.call({ op: 'health' }, AbortSignal.any([signal, AbortSignal.timeout(HEALTH_MS)]));
    } catch (cause) {
      throw unhealthy(asUpdateError(cause).message, cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #run(slot: Slot, release: Release, dir: string, signal: AbortSignal): Promise<void> {
    const { node, pair, listen, peer, socket, dataDir, keysDir } = this.#options;
    const releaseFile = join(dir, RELEASE_FILE);
    const setting = { node, pair, listen, peer, socket, dataDir, keysDir, releaseFile };
    const ready = Promise.withResolvers<void>();
    const feed = jsonLineReader((value) => {
      if ((value as { ready?: unknown } | null)?.ready === true) ready.resolve();
    });
    const child: ManagedChild = startChild({
      execPath: this.#options.execPath ?? process.execPath,
      program: join(dir, STORAGE_PROGRAM),
      args: [JSON.stringify({ ...setting, followStdin: true })],
      logFile: this.#options.logFile,
      onOutput: (chunk) => {
        try {
          feed(chunk);
        } catch (error) {
          ready.reject(error);
        }
      },
      onExit: (reason) => {
        ready.reject(unhealthy(`the storage software ${reason}`));
        if (this.#running?.child !== child) return;
        this.#running = null;
        for (const listener of this.#listeners) listener(reason);
      },
    });
    try {
      await untilReady(ready, signal);
    } catch (error) {
      await child.stop(STOP_GRACE_MS);
      throw error;
    }
    if (child.ended !== null) throw unhealthy(`the storage software ${child.ended}`);
    this.#running = { slot, release, child };
  }

  async #stop(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    await running?.child.stop(STOP_GRACE_MS);
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

async function untilReady(ready: PromiseWithResolvers<void>, signal: AbortSignal): Promise<void> {
  const onAbort = () => ready.reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(
    () => ready.reject(unhealthy(`it was not ready within ${START_MS / 1000} s`)),
    START_MS,
  );
  if (signal.aborted) onAbort();
  try {
    await ready.promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** Release from a file of at most `RELEASE_BYTES_MAX` bytes. */
async function readRelease(path: string): Promise<Release> {
  let text: string;
  try {
    await using file = await open(path, 'r');
    const buffer = Buffer.alloc(RELEASE_BYTES_MAX + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    if (bytesRead > RELEASE_BYTES_MAX) throw new Error(`longer than ${RELEASE_BYTES_MAX} bytes`);
    text = buffer.toString('utf8', 0, bytesRead);
  } catch (cause) {
    throw new UpdateError('slot.unpack', `cannot read ${path}: ${(cause as Error).message}`, {
      cause,
    });
  }
  return parseRelease(text);
}

function unhealthy(text: string, cause?: unknown): UpdateError {
  return new UpdateError('health.storage', text, cause === undefined ? undefined : { cause });
}
