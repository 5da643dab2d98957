/**
 * The port Fencer in memory: a power switch that a test or a simulation provides, and faults that
 * it can be given. Always holds: `off` is said only after the peer was cut. Imports core and ports.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { FenceOrder, FenceOutcome, Fencer } from '../../src/ports.ts';

/** The power switch of the peer. */
export interface MemorySwitch {
  readonly power: () => 'on' | 'off';
  readonly cut: () => Promise<void> | void;
  readonly on: () => Promise<void> | void;
}

/** What is wrong: `mute` = it cuts and does not answer, `gone` = neither, `fails` = it says no. */
export type FencerFault = 'mute' | 'gone' | 'fails';

/** A fencer of kind `power`. */
export class MemoryFencer implements Fencer {
  readonly kind = 'power';
  fault: FencerFault | null = null;
  /** Fences that were asked for, in order. */
  readonly orders: FenceOrder[] = [];
  readonly #peer: NodeId;
  readonly #switch: MemorySwitch;
  readonly #afterFence: 'on' | 'stay-off';

  constructor(peer: NodeId, power: MemorySwitch, afterFence: 'on' | 'stay-off' = 'on') {
    this.#peer = peer;
    this.#switch = power;
    this.#afterFence = afterFence;
  }

  async selfTest(signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal.throwIfAborted();
    if (this.fault !== null) throw new UpdateError('fence.self_test', `the fencer: ${this.fault}`);
  }

  async fence(order: FenceOrder, signal: AbortSignal): Promise<FenceOutcome> {
    this.orders.push(order);
    if (order.peer !== this.#peer || this.fault === 'fails') return 'failed';
    if (this.fault === 'gone' || signal.aborted) return 'unknown';
    await this.#switch.cut();
    return this.fault === 'mute' ? 'unknown' : 'off';
  }

  async restore(order: FenceOrder, signal: AbortSignal): Promise<void> {
    if (this.#afterFence === 'stay-off' || order.peer !== this.#peer) return;
    signal.throwIfAborted();
    if (this.fault !== null) throw new UpdateError('fence.failed', `the fencer: ${this.fault}`);
    await this.#switch.on();
  }

  async power(signal: AbortSignal): Promise<'on' | 'off' | 'unknown'> {
    await Promise.resolve();
    return this.fault !== null || signal.aborted ? 'unknown' : this.#switch.power();
  }
}
