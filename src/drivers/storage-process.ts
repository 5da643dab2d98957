/**
 * The storage software as a process run from the content of a storage slot. The composition root
 * says how a slot becomes a directory (`unpack`); this driver runs `/opt/storage/storage.mjs` of
 * it and reads its release from `/etc/tandem-release` of the same directory. Always holds: at most
 * one such process; the release told is that of the content that runs; an end that was not asked
 * for is told once; one that gives no sign of life is ended, and told as ended only when gone.
 * Imports core, ports, json-lines, pulse and managed-child.
 */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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
import { Pulse } from './pulse.ts';

/** Program of the storage software inside its image. */
export const STORAGE_PROGRAM = '/opt/storage/storage.mjs';
/** Longest wait for the software to open its store and listen. */
const START_MS = 60_000;
/** Time to end in good order before it is killed; every acknowledged write is durable anyway. */
const STOP_GRACE_MS = 3000;
/** Longest health check. */
const HEALTH_MS = 5000;

/** How often a sign of life is asked for. */
const BEAT_MS = 500;
/** Beats without one after which it is told as hanging, and after which it is ended. */
const QUIET_BEATS = 5;
const HUNG_BEATS = 12;
/** Software that was killed and is still there after this time hangs in the kernel. */
const STUCK_MS = 10_000;
/** Pauses before it is started again after its second hang, doubled with each one. */
const PAUSE_MS = { first: 2000, longest: 60_000 } as const;
/** Software that ran so long without hanging begins anew with its pauses. */
const CALM_MS = 600_000;

/**
 * `quiet`: no sign of life for so long; `ending`: it is ended for that, and started again by
 * whoever wants it; `stuck`: not even SIGKILL ends it; `well`: it gives signs of life again.
 */
export interface Hang {
  readonly state: 'quiet' | 'ending' | 'stuck' | 'well';
  readonly quietMs: number;
  /** How often in a row it was ended for it, this time included. */
  readonly count: number;
}

/** What the storage software of this node is told, and how a slot becomes a directory. */
export interface StorageProcessOptions {
  readonly node: NodeId;
  /** Id of the pair. */
  readonly pair: string;
  /** `host:port` on which node B listens and which node A dials. */
  readonly listen: string;
  readonly peer: string;
  /** Silence after which the peer counts as lost, in milliseconds; default: the software's own. */
  readonly silentMs?: number;
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
  /** Called at every change of it. */
  onHang(listener: (hang: Hang) => void): void;
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
  readonly watch: AsyncDisposable;
}

class ChildStorage implements StorageProcess {
  readonly #options: StorageProcessOptions;
  readonly #listeners: ((reason: string) => void)[] = [];
  readonly #hangListeners: ((hang: Hang) => void)[] = [];
  #running: Running | null = null;
  /** Slot whose software hung, how often in a row, and when it was started last. */
  #hangs: { readonly slot: Slot; readonly count: number; startedMs: number } | null = null;
  #hangTold = false;
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

  onHang(listener: (hang: Hang) => void): void {
    this.#hangListeners.push(listener);
  }

  async start(slot: Slot, signal: AbortSignal): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#running?.slot === slot) return;
      await this.#stop();
      await this.#rest(slot, signal);
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
    const { node, pair, listen, peer, silentMs, socket, dataDir, keysDir } = this.#options;
    const releaseFile = join(dir, RELEASE_FILE);
    const setting = { node, pair, listen, peer, silentMs, socket, dataDir, keysDir, releaseFile };
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
        const running = this.#running;
        if (running?.child !== child) return;
        this.#running = null;
        void running.watch[Symbol.asyncDispose]();
        const hung = this.#hangTold ? `${reason}, after it gave no sign of life` : reason;
        for (const listener of this.#listeners) listener(hung);
      },
    });
    try {
      await untilReady(ready, signal);
    } catch (error) {
      await child.stop(STOP_GRACE_MS);
      throw error;
    }
    if (child.ended !== null) throw unhealthy(`the storage software ${child.ended}`);
    this.#running = { slot, release, child, watch: this.#watch(slot, child) };
  }

  async #stop(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    await running?.watch[Symbol.asyncDispose]();
    await running?.child.stop(STOP_GRACE_MS);
  }

  /** Software that hangs again and again is started less and less often. */
  async #rest(slot: Slot, signal: AbortSignal): Promise<void> {
    const hangs = this.#hangs;
    if (hangs?.slot !== slot) this.#hangs = null;
    else if (hangs.count > 1) {
      const ms = Math.min(PAUSE_MS.first * 2 ** (hangs.count - 2), PAUSE_MS.longest);
      await sleep(ms, undefined, { signal });
    }
    if (this.#hangs) this.#hangs.startedMs = performance.now();
  }

  /** Asks the software that runs for signs of life; ends it when it gives none for long. */
  #watch(slot: Slot, child: ManagedChild): AsyncDisposable {
    const calls = openSocketCalls({ path: this.#options.socket });
    let ending = false;
    const onBeat = (quietBeats: number): void => {
      const quietMs = quietBeats * BEAT_MS;
      if (ending) return;
      if (quietBeats === 0 && this.#hangTold) this.#tellHang('well', quietMs);
      if (quietBeats === QUIET_BEATS) this.#tellHang('quiet', quietMs);
      if (quietBeats < HUNG_BEATS) return;
      ending = true;
      void this.#endHung(slot, child, quietMs);
    };
    const pulse = new Pulse({ calls, beatMs: BEAT_MS, onBeat });
    return {
      async [Symbol.asyncDispose]() {
        pulse[Symbol.dispose]();
        await calls[Symbol.asyncDispose]();
      },
    };
  }

  async #endHung(slot: Slot, child: ManagedChild, quietMs: number): Promise<void> {
    const last = this.#hangs;
    const calm = last !== null && performance.now() - last.startedMs > CALM_MS;
    const count = last === null || calm ? 1 : last.count + 1;
    this.#hangs = { slot, count, startedMs: performance.now() };
    const stuck = setTimeout(() => this.#tellHang('stuck', quietMs), STUCK_MS);
    this.#tellHang('ending', quietMs);
    await child.stop(0);
    clearTimeout(stuck);
  }

  #tellHang(state: Hang['state'], quietMs: number): void {
    this.#hangTold = state !== 'well';
    const hang = { state, quietMs, count: this.#hangs?.count ?? 0 };
    for (const listener of this.#hangListeners) listener(hang);
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
