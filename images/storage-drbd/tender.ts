/**
 * What has to be done for a copy without being asked for: two new copies agree, a promotion that
 * waited for the peer is made good, a connection that DRBD gave up is begun again, ids and progress
 * are read. Always holds: one round at a time, a round that fails is tried again; a split brain is
 * left alone. Imports core, the copy and the kernel.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { Copy } from './copy.ts';
import type { DrbdState, HelperCall } from './events.ts';
import { isConnected, isFresh, isStandAlone, sendsSync, takesSync, verifies } from './view.ts';

/** Rounds without news of the kernel, in which progress is read. */
const ROUND_MS = 1000;
/** Rounds between two attempts to connect again. */
const RECONNECT_ROUNDS = 3;
/** DRBD's words for copies that it does not join; drbd_receiver.c, drbd_sync_handshake. */
const SPLIT = /Split-Brain detected but unresolved|Unrelated data, aborting/;
const MEETING = /Handshake successful/;

/** Tends a copy until it is disposed of. */
export class Tender implements AsyncDisposable {
  readonly #copy: Copy;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;
  #again = false;
  #closed = false;
  #standAlone = 0;
  /** Set while somebody works on the connection by hand. */
  paused = false;
  /** Why DRBD gave up the connection; null while it did not. */
  refusal: UpdateError | null = null;

  constructor(copy: Copy) {
    this.#copy = copy;
  }

  /** Begins; from now on `heard` counts. */
  start(): void {
    this.#timer = setInterval(() => this.#look(), ROUND_MS);
    this.#look();
  }

  /** The kernel has said something new. */
  heard(): void {
    this.#look();
  }

  /** The kernel calls a helper, or it has ended. */
  helper({ helper, status }: HelperCall): void {
    if (helper === 'split-brain' && status === null) this.#copy.foundSplit('here');
  }

  /** The other copy gave way: this one meets it again. */
  async rejoin(): Promise<void> {
    const copy = this.#copy;
    await copy.inTurn(async () => {
      copy.splitEnded();
      if (isStandAlone(copy.kernelState)) await copy.options.kernel.connect();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#round;
  }

  #look(): void {
    if (this.#closed) return;
    if (this.#round !== null) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#round = this.#tend()
      // The next round meets the same fault and tries again.
      .catch(() => undefined)
      .finally(() => {
        this.#round = null;
        if (this.#again) this.#look();
      });
  }

  async #tend(): Promise<void> {
    const copy = this.#copy;
    const { kernel, node, meter } = copy.options;
    const now = copy.kernelState;
    await copy.learnIds();
    if (sendsSync(now) || takesSync(now) || verifies(now)) {
      const progress = await kernel.progress();
      if (sendsSync(copy.kernelState) || takesSync(copy.kernelState)) {
        meter.progress = progress ?? meter.progress;
      }
    }
    copy.changed();
    if (node === 'A' && this.#bothFresh(now)) {
      await copy.inTurn(async () => {
        if (this.#bothFresh(copy.kernelState)) await kernel.agree();
      });
    }
    await this.#reconnect(now);
    if (copy.waitsForPeer && isConnected(copy.kernelState)) await copy.openWithPeer();
  }

  /** Two copies that met and that nothing was ever written to; DRBD sees no reason to sync them. */
  #bothFresh(now: DrbdState): boolean {
    const { disk, peerDisk, replication, role, peerRole } = now;
    const idle = replication === 'Established' && role === 'Secondary' && peerRole === 'Secondary';
    const empty = disk === 'Inconsistent' && peerDisk === 'Inconsistent';
    return idle && empty && isConnected(now) && isFresh(this.#copy.generation);
  }

  /** DRBD gives up a connection for good when something does not fit: why, and once more. */
  async #reconnect(now: DrbdState): Promise<void> {
    const copy = this.#copy;
    if (!isStandAlone(now) || this.paused) {
      this.#standAlone = 0;
      if (isConnected(now)) this.refusal = null;
      return;
    }
    this.#standAlone += 1;
    if (this.#standAlone === 1) await this.#learnWhy();
    if (copy.splitBrain !== null || this.#standAlone % RECONNECT_ROUNDS !== 0) return;
    await copy.inTurn(async () => {
      if (isStandAlone(copy.kernelState) && !this.paused) await copy.options.kernel.connect();
    });
  }

  async #learnWhy(): Promise<void> {
    const lines = await this.#copy.options.kernel.messages();
    const since = lines.findLastIndex((line) => MEETING.test(line));
    const words = lines.slice(Math.max(0, since));
    const split = words.find((line) => SPLIT.test(line));
    if (split !== undefined) this.#copy.foundSplit('here', split);
    const last = words.at(-1) ?? 'no reason was told';
    this.refusal = new UpdateError('pair.peer_unreachable', `DRBD gave up connecting: ${last}`);
  }
}
