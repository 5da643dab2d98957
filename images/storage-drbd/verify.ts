/**
 * The on-line comparison of both copies, done by DRBD block by block while writes go on. Always
 * holds: it writes to neither copy; both sides keep the newest report, also over a restart; what
 * differs is counted in blocks of 4 KiB, since DRBD knows nothing of records. DRBD cannot end one
 * early: one that was cancelled goes on in the kernel, and its result does not count. Imports core,
 * the copy and the peer.
 */
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import type { VerifyBrief, VerifyReport } from '../../src/core/store.ts';
import { briefOf, keepReport, keptReport } from '../storage/verify-report.ts';
import { newReport, readReport, REPORT_FILE } from '../storage/verify-report.ts';
import type { Copy } from './copy.ts';
import type { DrbdState } from './events.ts';
import { isConnected, peerIsCurrent, takesSync, sendsSync, verifies } from './view.ts';

const BLOCK_BYTES = 4096;
/** How often progress is read and the peer is told. */
const LOOK_MS = 1000;
/** How long the kernel may take to begin. */
const BEGIN_MS = 5000;

/** The comparison of one copy: what runs, and the newest report. */
export class Verifier implements Disposable {
  readonly #copy: Copy;
  readonly #path: string;
  #report: VerifyReport | null = null;
  /** One runs here, and not on the peer. */
  #timer: NodeJS.Timeout | null = null;

  private constructor(copy: Copy, path: string) {
    this.#copy = copy;
    this.#path = path;
  }

  /** Reads the report that was kept in `dir`; one that cannot be read is as none. */
  static async open(copy: Copy, dir: string): Promise<Verifier> {
    const verifier = new Verifier(copy, join(dir, REPORT_FILE));
    verifier.#report = await keptReport(verifier.#path);
    return verifier;
  }

  get report(): VerifyReport | null {
    return this.#report;
  }

  /** What the status tells of it. */
  get brief(): VerifyBrief | null {
    return this.#report === null ? null : briefOf(this.#report);
  }

  /** Begins on the primary, with the peer current; returns the report as it begins. */
  async start(): Promise<VerifyReport> {
    const copy = this.#copy;
    const { kernel, watcher, node } = copy.options;
    if (!copy.leads) throw new UpdateError('store.read_only', 'the other node is active');
    if (this.#timer !== null || verifies(copy.kernelState)) {
      throw new UpdateError('store.busy', 'a verify is running already');
    }
    if (!peerIsCurrent(copy.kernelState)) {
      throw new UpdateError('pair.not_healthy', 'the copy of the other node is not level with it');
    }
    await kernel.verify();
    await watcher.until((state) => verifies(state), BEGIN_MS);
    const report = newReport(node, 0);
    this.#set(report);
    this.#timer = setInterval(() => void this.#follow().catch(() => undefined), LOOK_MS);
    return report;
  }

  /** The result of the one that runs here does not count any more. */
  cancel(): void {
    if (this.#timer === null || this.#report === null) return;
    this.#end({ ...this.#report, state: 'cancelled' });
  }

  /** The peer tells how its comparison goes. */
  async adopt(report: object): Promise<void> {
    const told = readReport(report);
    if (told === null || this.#timer !== null) return;
    this.#report = told;
    this.#copy.changed();
    if (told.state !== 'running') await keepReport(this.#path, told);
  }

  /** A resync has made good what the newest comparison found. */
  heard(now: DrbdState, before: DrbdState): void {
    const synced = (sendsSync(before) || takesSync(before)) && peerIsCurrent(now);
    if (!synced || this.#report?.state !== 'differs') return;
    this.#end({ ...this.#report, state: 'repaired', differences: 0 });
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  async #follow(): Promise<void> {
    const copy = this.#copy;
    const { kernel } = copy.options;
    const report = this.#report;
    if (this.#timer === null || report === null) return;
    if (verifies(copy.kernelState)) {
      const progress = await kernel.progress();
      if (progress === null || this.#timer === null) return;
      const { doneBytes, totalBytes, rateBps = null, etaS = null } = progress;
      const records = Math.floor(doneBytes / BLOCK_BYTES);
      this.#set({ ...report, records, bytes: doneBytes, totalBytes, rateBps, etaS });
      return;
    }
    if (!isConnected(copy.kernelState)) {
      const why = { code: 'pair.peer_unreachable', message: 'the peer of the store was lost' };
      this.#end({ ...report, state: 'failed', ...why });
      return;
    }
    const differences = Math.ceil((await kernel.outOfSyncBytes()) / BLOCK_BYTES);
    const { totalBytes } = report;
    this.#end({
      ...report,
      state: differences === 0 ? 'equal' : 'differs',
      records: Math.floor(totalBytes / BLOCK_BYTES),
      bytes: totalBytes,
      differences,
    });
  }

  #end(report: VerifyReport): void {
    this[Symbol.dispose]();
    const ended = { ...report, endedAt: new Date().toISOString(), rateBps: null, etaS: null };
    this.#set(ended);
    void keepReport(this.#path, ended).catch(() => undefined);
  }

  #set(report: VerifyReport): void {
    this.#report = report;
    this.#copy.changed();
    // It is told again with the next news, and a peer that is not there needs none.
    void this.#copy.peer?.ask({ do: 'verify', report }).catch(() => undefined);
  }
}
