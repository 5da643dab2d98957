/**
 * Tells the watchers of the store what changed. Always holds: a watcher hears a status only when
 * it differs from the last one, and hears the newest one; changes of one turn are told together.
 * Imports core types.
 */
import type { StoreStatus } from '../../src/core/store.ts';

/** Watchers of one status. */
export class StatusFeed {
  readonly #read: () => StoreStatus;
  readonly #listeners = new Set<(status: StoreStatus) => void>();
  #told = '';
  #due = false;

  /** `read` gives the status as it is now. */
  constructor(read: () => StoreStatus) {
    this.#read = read;
  }

  /** Calls `listener` after every change; returns the function that ends that. */
  on(listener: (status: StoreStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Something that the status shows may have changed. */
  changed(): void {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => this.tell());
  }

  /** Tells the listeners now, if there is something new. */
  tell(): void {
    this.#due = false;
    const status = this.#read();
    const told = JSON.stringify(status);
    if (told === this.#told) return;
    this.#told = told;
    for (const listener of this.#listeners) listener(status);
  }
}
