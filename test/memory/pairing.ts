/**
 * The pairing of a daemon in memory: a code that waits until the test says that a node has joined.
 * Imports the contracts of the daemon and core.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { PairingParts } from '../../src/daemon/replace.ts';
import type { PairInitOptions, PairResult } from '../../src/drivers/pairing.ts';

const OLD = '11'.repeat(32);

/** The pairing of one node. */
export class MemoryPairing implements PairingParts {
  readonly keysDir = '/none';
  readonly listen = { host: '127.0.0.1', port: 7412 };
  readonly keys = { peerSpkiSha256: OLD, refresh: (): Promise<void> => this.#refresh() };
  /** Offers that were opened. */
  readonly offers: PairInitOptions[] = [];
  #joined = Promise.withResolvers<PairResult>();
  #next = OLD;
  refreshed = 0;

  readonly open: PairingParts['open'] = (options) => {
    this.offers.push(options);
    this.#joined = Promise.withResolvers();
    this.#joined.promise.catch(() => undefined);
    const cancelled = (): void =>
      this.#joined.reject(new UpdateError('pair.cancelled', 'cancelled'));
    options.signal?.addEventListener('abort', cancelled, { once: true });
    const code = '0000-0000-0000-0000-0000-0000-0000';
    const address = options.listen;
    const done = this.#joined.promise;
    return Promise.resolve({ code, address, validMs: 600_000, tries: 5, done });
  };

  /** A node joins with this key; throws what the offer would refuse it with. */
  join(node: NodeId, spkiSha256: string): void {
    const options = this.offers.at(-1)!;
    options.replace?.check();
    this.#next = spkiSha256;
    this.#joined.resolve({ pair: '0'.repeat(32), node: options.node, peer: { node, spkiSha256 } });
  }

  #refresh(): Promise<void> {
    this.refreshed += 1;
    this.keys.peerSpkiSha256 = this.#next;
    return Promise.resolve();
  }
}
