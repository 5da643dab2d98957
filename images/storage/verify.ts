/**
 * The on-line verify: the primary compares its copy with the peer's, record by record from the disk
 * on both sides, while writes go on. Always holds: one at a time; it writes to neither copy; both
 * sides keep the newest report, also over a restart, so that a difference that was found is shown
 * by whichever node is asked until a resync made it good. Imports core, compare, and the replica.
 */
import { join } from 'node:path';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { Held, StoreDifference, VerifyBrief, VerifyReport } from '../../src/core/store.ts';
import { Comparison, type CompareCounts, type Difference } from './compare.ts';
import { DIFFERENCES_MAX, VERIFY_RATE_BPS } from './limits.ts';
import { DAMAGED } from './objects.ts';
import type { Replica } from './replica.ts';
import type { Session } from './session.ts';
import { briefOf, keepReport, keptReport, newReport } from './verify-report.ts';
import { readReport, REPORT_FILE } from './verify-report.ts';
import type { HeldItem } from './wire.ts';

/** The status shows where it stands this often. */
const SHOW_MS = 100;
/** The peer is told where it stands this often. */
const TELL_MS = 500;
/** Time after which a rate means something. */
const RATE_FROM_MS = 300;

const heldOf = ([, hash]: HeldItem): Held =>
  hash === null ? 'absent' : hash === DAMAGED ? 'damaged' : 'present';

/** A difference as it is told, whichever side found it. */
export function toldDifference(node: NodeId, { key, mine, theirs }: Difference): StoreDifference {
  const [own, other] = [heldOf(mine), heldOf(theirs)];
  return node === 'A' ? { key, A: own, B: other } : { key, A: other, B: own };
}

/** The verify of one copy: what runs, and the newest report. */
export class Verifier {
  readonly #replica: Replica;
  readonly #path: string;
  #report: VerifyReport | null = null;
  /** The newest one whose differences were not made good, whatever was begun since. */
  #open: VerifyReport | null = null;
  #cancelled = false;
  /** One runs here, and not on the peer. */
  #running = false;
  #toldMs = 0;
  #shownMs = 0;

  private constructor(replica: Replica, path: string) {
    this.#replica = replica;
    this.#path = path;
  }

  /** Reads the report that was kept in `dir`; one that cannot be read is as none. */
  static async open(replica: Replica, dir: string): Promise<Verifier> {
    const verifier = new Verifier(replica, join(dir, REPORT_FILE));
    const report = await keptReport(verifier.#path);
    verifier.#report = report;
    verifier.#open = report?.state === 'differs' ? report : null;
    return verifier;
  }

  get report(): VerifyReport | null {
    return this.#report;
  }

  /** Records of a node that the newest result says cannot be read there. */
  damagedOn(node: NodeId): number {
    return this.#open?.damaged[node] ?? 0;
  }

  /** What the status tells of it. */
  get brief(): VerifyBrief | null {
    const report = this.#report;
    if (report === null) return null;
    const open = this.#open ?? (report.state === 'repaired' ? { differences: 0 } : report);
    return briefOf(report, open.differences);
  }

  /** Begins on the primary, with the peer current; returns the report as it begins. */
  start(): VerifyReport {
    const { role, session, state, objects } = this.#replica;
    if (role !== 'primary') throw new UpdateError('store.read_only', 'the other node is active');
    if (this.#running) throw new UpdateError('store.busy', 'a verify is running already');
    if (!session?.current) {
      throw new UpdateError('pair.not_healthy', 'the copy of the other node is not level with it');
    }
    session.talk.need();
    this.#cancelled = false;
    this.#shownMs = 0;
    this.#report = newReport(state.now.node, objects.valueBytes);
    this.#tell(session, true);
    this.#running = true;
    void this.#run(session);
    return this.#report;
  }

  /** Ends the one that runs, if one does here. */
  cancel(): void {
    this.#cancelled = true;
  }

  /** The peer tells where its verify stands. */
  async adopt(value: object): Promise<void> {
    const report = readReport(value);
    if (report === null || this.#running) return;
    await this.#take(report);
  }

  /** The connection on which the peer told has ended. */
  lost(): void {
    if (this.#running || this.#report?.state !== 'running') return;
    const lost = { code: 'pair.peer_unreachable', message: 'the peer was lost' };
    void this.#end({ state: 'failed', ...lost });
  }

  /** A resync ended: what the newest report found is made good. */
  async repaired(session: Session): Promise<void> {
    if (this.#open === null) return;
    await this.#take({ ...this.#open, state: 'repaired' });
    this.#tell(session, true);
  }

  async #run(session: Session): Promise<void> {
    const { objects } = this.#replica;
    const startMs = performance.now();
    try {
      const comparison = new Comparison({
        objects,
        ask: (question) => session.talk.ask(question),
        content: true,
        rateBps: VERIFY_RATE_BPS,
        isOpen: (key) => this.#replica.writes.has(key),
        check: () => this.#check(session),
        onDifference: (one) => this.#found(one),
        onProgress: (counts) => {
          this.#count(counts, performance.now() - startMs);
          this.#tell(session, false);
        },
      });
      this.#count(await comparison.run(), performance.now() - startMs);
      const differences = this.#report?.differences ?? 0;
      await this.#end({ state: differences > 0 ? 'differs' : 'equal' });
    } catch (cause) {
      const { code, message } = asUpdateError(cause);
      if (code === 'job.cancelled') await this.#end({ state: 'cancelled' });
      else await this.#end({ state: 'failed', code, message });
    }
    this.#tell(session, true);
  }

  #check(session: Session): void {
    if (this.#cancelled) throw new UpdateError('job.cancelled', 'the verify was cancelled');
    if (this.#replica.session === session && session.current) return;
    throw new UpdateError('pair.peer_unreachable', 'the copies are not joined any more');
  }

  #found(difference: Difference): void {
    const report = this.#report;
    if (report === null) return;
    const one = toldDifference(report.node, difference);
    const { A, B } = report.damaged;
    const damaged = { A: A + (one.A === 'damaged' ? 1 : 0), B: B + (one.B === 'damaged' ? 1 : 0) };
    const full = report.keys.length >= DIFFERENCES_MAX;
    const keys = full ? report.keys : [...report.keys, one];
    this.#report = { ...report, differences: report.differences + 1, keys, damaged };
  }

  #count({ records, bytes, again, unsettled }: CompareCounts, elapsedMs: number): void {
    if (this.#report === null) return;
    const totalBytes = Math.max(this.#report.totalBytes, bytes);
    const known = elapsedMs >= RATE_FROM_MS && bytes > 0;
    const rateBps = known ? Math.round((bytes * 1000) / elapsedMs) : null;
    const etaS = rateBps === null ? null : Math.ceil((totalBytes - bytes) / Math.max(rateBps, 1));
    const counts = { records, bytes, totalBytes, again, unsettled, rateBps, etaS };
    this.#report = { ...this.#report, ...counts };
    if (elapsedMs - this.#shownMs < SHOW_MS) return;
    this.#shownMs = elapsedMs;
    this.#replica.changed();
  }

  async #end(end: Pick<VerifyReport, 'state'> & Partial<VerifyReport>): Promise<void> {
    const report = this.#report;
    if (report === null) return;
    await this.#take({ ...report, ...end, etaS: null, endedAt: new Date().toISOString() });
  }

  /** Shows a report; one with a result is on disk by then, if the disk takes it. */
  async #take(report: VerifyReport): Promise<void> {
    const { state } = report;
    const open = state === 'differs' ? report : this.#open;
    this.#open = state === 'equal' || state === 'repaired' ? null : open;
    if (state !== 'running') {
      await keepReport(this.#path, this.#open ?? report).catch(() => undefined);
    }
    this.#running &&= state === 'running';
    this.#report = report;
    this.#replica.changed();
  }

  #tell(session: Session, now: boolean): void {
    if (now) this.#replica.changed();
    const ms = performance.now();
    if (this.#report === null || (!now && ms - this.#toldMs < TELL_MS)) return;
    this.#toldMs = ms;
    // A peer that is gone hears of it at the next verify.
    void session.talk.ask({ do: 'verify', report: this.#report }).catch(() => undefined);
  }
}
