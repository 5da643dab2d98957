/**
 * The port Host in memory: a boot that a test describes, a clock that stands still until the test
 * moves it. `reboot` and `hardReset` throw Rebooted after they have told the test, since they must
 * not return. Imports core and ports.
 */
import type { BootInfo } from '../../src/core/boot.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { Host } from '../../src/ports.ts';

/** The boot has ended; nothing but the simulation may catch it. */
export class Rebooted extends Error {
  override readonly name = 'Rebooted';
}

/** One boot of a node. */
export class MemoryHost implements Host {
  /** Why reboots were asked for. */
  readonly reboots: string[] = [];
  /** Why its power was to be cut. */
  readonly resets: string[] = [];
  /** Why it was to be switched off. */
  readonly offs: string[] = [];
  fed = 0;
  /** What `checkWritable` complains about; null = it can be written. */
  readOnly: string | null = null;
  #nowMs: number;
  #monotonicMs = 0;
  readonly #boot: BootInfo;

  constructor(boot: BootInfo, nowMs = Date.UTC(2026, 0, 1)) {
    this.#boot = boot;
    this.#nowMs = nowMs;
  }

  boot(): BootInfo {
    return this.#boot;
  }

  async reboot(reason: string): Promise<never> {
    await Promise.resolve();
    this.reboots.push(reason);
    throw new Rebooted(reason);
  }

  async powerOff(reason: string): Promise<never> {
    await Promise.resolve();
    this.offs.push(reason);
    throw new Rebooted(reason);
  }

  hardReset(reason: string): never {
    this.resets.push(reason);
    throw new Rebooted(reason);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  /** Lets time go by. */
  advance(ms: number): void {
    this.#nowMs += ms;
    this.#monotonicMs += ms;
  }

  feedWatchdog(): void {
    this.fed += 1;
  }

  async checkWritable(signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal.throwIfAborted();
    if (this.readOnly !== null) throw new UpdateError('health.check', this.readOnly);
  }
}
