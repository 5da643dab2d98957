/**
 * Tells the machine whether this node may act alone after fencing its peer: only once the fencer
 * has passed its self-test, which is repeated, so that a broken way to the peer's power is known
 * before it is needed (docs/ARCHITECTURE.md, R3). A test that fails later, and once more right
 * after, is an alarm and takes the permission back; one answer that was late does not, because a
 * standby whose peer dies before it has heard of the permission anew never takes over by itself.
 * Imports core and ports.
 */
import { asUpdateError } from '../core/errors.ts';
import type { Reason } from '../core/records.ts';
import type { Event, TakeoverPolicy } from '../core/state.ts';
import type { Fencer, ServiceLog } from '../ports.ts';
import { pause, type Pause } from '../updater/effects.ts';

/** Pause between self-tests that pass, before the second try of one that failed, and after it. */
const GOOD_MS = 60_000;
const AGAIN_MS = 1_000;
const BAD_MS = 5_000;
/** Time limit of one self-test. */
const TEST_MS = 10_000;

/** Tests the fencer of this node as long as it lives. */
export class FenceWatch implements AsyncDisposable {
  readonly #fencer: Fencer;
  readonly #dispatch: (event: Event) => Promise<boolean>;
  readonly #log: ServiceLog;
  readonly #pause: Pause;
  readonly #stop = new AbortController();
  #policy: TakeoverPolicy = 'manual';
  #done: Promise<void> = Promise.resolve();
  /** Why the node may not fence although its configuration wants it to; null = all is well. */
  trouble: Reason | null = null;

  constructor(
    fencer: Fencer,
    dispatch: (event: Event) => Promise<boolean>,
    log: ServiceLog,
    wait: Pause = pause,
  ) {
    this.#fencer = fencer;
    this.#dispatch = dispatch;
    this.#log = log;
    this.#pause = wait;
  }

  /** Begins to test; nothing is tested with policy `manual`. */
  start(configured: TakeoverPolicy): void {
    if (configured === 'fence') this.#done = this.#watch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      let trouble = await this.#test(signal);
      if (trouble !== null && this.#policy === 'fence') {
        await this.#pause(AGAIN_MS, signal);
        trouble = await this.#test(signal);
      }
      if (signal.aborted) return;
      if (trouble?.message !== this.trouble?.message) {
        if (trouble === null) this.#log('the fencer passed its self-test', 'info');
        else this.#log(trouble.message);
      }
      this.trouble = trouble;
      await this.#tell(trouble === null ? 'fence' : 'manual');
      await this.#pause(trouble === null ? GOOD_MS : BAD_MS, signal);
    }
  }

  async #test(signal: AbortSignal): Promise<Reason | null> {
    try {
      await this.#fencer.selfTest(AbortSignal.any([signal, AbortSignal.timeout(TEST_MS)]));
      return null;
    } catch (cause) {
      const { code, message } = asUpdateError(cause);
      return { code, message };
    }
  }

  async #tell(takeover: TakeoverPolicy): Promise<void> {
    if (takeover === this.#policy) return;
    this.#policy = takeover;
    await this.#dispatch({ type: 'takeover-policy', takeover });
  }
}
