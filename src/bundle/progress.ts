/**
 * Progress with rate and time to go, for the long steps of this room. Always holds: rate and ETA
 * are absent until they mean something. Imports core types.
 */
import type { Progress } from '../core/model.ts';

/** Below this time a rate is only noise. */
const SETTLE_MS = 500;

/** Called now and then with the bytes that are done. */
export type OnProgress = (progress: Progress) => void;

/** Function that is called with the bytes that were just done, and reports the sum. */
export function progressMeter(
  totalBytes: number,
  onProgress: OnProgress | undefined,
): (bytes: number) => void {
  const startMs = performance.now();
  let doneBytes = 0;
  return (bytes) => {
    doneBytes += bytes;
    if (onProgress === undefined) return;
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs < SETTLE_MS) {
      onProgress({ doneBytes, totalBytes });
      return;
    }
    const rateBps = (doneBytes * 1000) / elapsedMs;
    const etaS = Math.ceil((totalBytes - doneBytes) / rateBps);
    onProgress({ doneBytes, totalBytes, rateBps: Math.round(rateBps), etaS });
  };
}
