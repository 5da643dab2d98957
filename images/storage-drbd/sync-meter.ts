/**
 * How resyncs go, and what the newest one sent. Always holds: a sync counts as the newest one only
 * when it came to its end. The bytes are those that DRBD knew to differ when it began, in blocks of
 * 4 KiB; writes that came meanwhile are not among them. Imports core, ports types and the view.
 */
import type { Progress } from '../../src/core/model.ts';
import type { StoreStatus } from '../../src/ports.ts';
import type { DrbdState } from './events.ts';
import { peerIsCurrent, sendsSync, takesSync } from './view.ts';

const syncs = (state: DrbdState): boolean => sendsSync(state) || takesSync(state);

/** The meter of one copy. */
export class SyncMeter {
  /** Of the sync that runs. */
  progress: Progress | null = null;
  lastSync: StoreStatus['lastSync'] = null;
  #bytes = 0;

  /** The kernel has said something new; `storeBytes` are those of all values. */
  follow(now: DrbdState, before: DrbdState, storeBytes: number): void {
    const bytes = now.outOfSyncBytes ?? 0;
    if (syncs(now)) {
      this.#bytes = syncs(before) ? Math.max(this.#bytes, bytes) : bytes;
      this.progress ??= { doneBytes: 0, totalBytes: this.#bytes };
      return;
    }
    this.progress = null;
    if (!syncs(before)) return;
    if (sendsSync(before) && peerIsCurrent(now)) {
      this.lastSync = { sentBytes: this.#bytes, storeBytes };
    }
  }
}
