/**
 * The service address in memory: one address that two nodes share, and a record of who ever held
 * it together (rule I1). Imports core and ports.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { ServiceAddress } from '../../src/ports.ts';

/** The one address of a pair. */
export class MemoryServiceNetwork {
  /** Nodes that hold the address now; more than one breaks rule I1. */
  readonly holders = new Set<NodeId>();
  /** Most nodes that ever held it at the same time. */
  mostHolders = 0;
  /** Set: the self-test of this node fails with this reason. */
  readonly failing = new Map<NodeId, string>();
  readonly #addresses: Readonly<Record<NodeId, MemoryServiceAddress>>;

  constructor() {
    this.#addresses = {
      A: new MemoryServiceAddress('A', this),
      B: new MemoryServiceAddress('B', this),
    };
  }

  /** The port of this node. */
  address(node: NodeId): MemoryServiceAddress {
    return this.#addresses[node];
  }

  /** The node that serves, when it is one. */
  server(): NodeId | null {
    return this.holders.size === 1 ? (NODES.find((node) => this.holders.has(node)) ?? null) : null;
  }
}

export class MemoryServiceAddress implements ServiceAddress {
  readonly #node: NodeId;
  readonly #network: MemoryServiceNetwork;
  /** Epoch of the last `acquire`; null when it is not held. */
  epoch: number | null = null;

  constructor(node: NodeId, network: MemoryServiceNetwork) {
    this.#node = node;
    this.#network = network;
  }

  held(): boolean {
    return this.epoch !== null;
  }

  async acquire(epoch: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.epoch = epoch;
    const { holders } = this.#network;
    holders.add(this.#node);
    this.#network.mostHolders = Math.max(this.#network.mostHolders, holders.size);
  }

  async release(): Promise<void> {
    this.epoch = null;
    this.#network.holders.delete(this.#node);
  }

  /** The node lost its power: nothing is held any more. */
  powerCut(): void {
    this.epoch = null;
    this.#network.holders.delete(this.#node);
  }

  async selfTest(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const reason = this.#network.failing.get(this.#node);
    if (reason !== undefined) throw new UpdateError('health.check', reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}
