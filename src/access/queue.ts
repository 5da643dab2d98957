/**
 * One piece of work at a time, the others wait in their order. Always holds: not more than a
 * bounded number waits, so that a flood of logins costs one thread and a little memory; a piece
 * that fails does not stop the next. Imports core.
 */
import { UpdateError } from '../core/errors.ts';

/** One piece of work at a time. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();
  #open = 0;

  /**
   * Does the work after everything that was asked for before it. Throws `daemon.busy` when
   * `waitingMax` pieces are open already.
   */
  async run<T>(work: () => Promise<T>, waitingMax = Infinity): Promise<T> {
    if (this.#open >= waitingMax) {
      throw new UpdateError('daemon.busy', `${this.#open} logins wait already; try again`);
    }
    this.#open++;
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      this.#open--;
    }
  }
}
