/**
 * The storage software in memory: slots with a release each, and a switch that makes it fail.
 * Imports core and ports.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { Release, Slot } from '../../src/core/model.ts';
import type { StorageSoftware } from '../../src/ports.ts';

/** What a storage slot holds here. */
export interface MemoryStorageImage {
  readonly release: Release;
  /** Set: the health check fails with this reason. */
  readonly unhealthy?: string;
  /** Set: it cannot be started, for this reason. */
  readonly broken?: string;
}

export class MemoryStorageSoftware implements StorageSoftware {
  /** Content of the storage slots; a test changes it. */
  readonly images: Record<Slot, MemoryStorageImage | null>;
  /** Starts so far. */
  starts = 0;
  readonly #onRunning: (running: boolean) => void;
  readonly #listeners: ((reason: string) => void)[] = [];
  #running: Slot | null = null;

  /** `onRunning` follows the process, e.g. `(up) => pair.setRunning('A', up)`. */
  constructor(
    images: Record<Slot, MemoryStorageImage | null>,
    onRunning: (running: boolean) => void = () => undefined,
  ) {
    this.images = images;
    this.#onRunning = onRunning;
  }

  running(): { readonly slot: Slot; readonly release: Release } | null {
    const slot = this.#running;
    const image = slot && this.images[slot];
    return slot && image ? { slot, release: image.release } : null;
  }

  onExit(listener: (reason: string) => void): void {
    this.#listeners.push(listener);
  }

  async start(slot: Slot, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running === slot) return;
    await this.stop();
    const image = this.images[slot];
    if (!image) throw new UpdateError('slot.unpack', `storage slot ${slot} holds no image`);
    if (image.broken !== undefined) throw new UpdateError('health.storage', image.broken);
    this.#running = slot;
    this.starts += 1;
    this.#onRunning(true);
  }

  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = null;
    this.#onRunning(false);
  }

  async health(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const image = this.#running && this.images[this.#running];
    if (!image) throw new UpdateError('health.storage', 'the storage software does not run');
    if (image.unhealthy !== undefined) throw new UpdateError('health.storage', image.unhealthy);
  }

  /** It ends without having been asked to. */
  crash(reason: string): void {
    if (!this.#running) return;
    this.#running = null;
    this.#onRunning(false);
    for (const listener of this.#listeners) listener(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
