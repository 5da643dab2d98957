/**
 * A program that has just been started yields the processor to the service that started it and to
 * whoever asks that service, who would otherwise wait for workload and storage software to load.
 * Always holds: it yields for a moment only, all of its threads do, and only where the environment
 * says that this computer runs nothing else; where this process may not give the priority back it
 * takes none. Imports node: only.
 */
import { readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/** Set where the service of an appliance is started, by the script `service` of its image. */
export const YIELD_VARIABLE = 'TANDEM_YIELD';

/** Longer than a start takes, even where processors are emulated. */
const START_MS = 20_000;

/**
 * Lowers the priority of a child until it has started. Returns what must be called when it ends
 * before: its number may belong to another process then.
 */
export function yieldWhileStarting(pid: number, startMs: number = START_MS): () => void {
  // Only root may raise what is low.
  if (process.env[YIELD_VARIABLE] !== '1' || process.getuid?.() !== 0) return () => undefined;
  setAll(pid, constants.priority.PRIORITY_LOW);
  const timer = setTimeout(() => setAll(pid, constants.priority.PRIORITY_NORMAL), startMs);
  timer.unref();
  return () => clearTimeout(timer);
}

/** Of every thread: a thread begins with the priority of the one that made it. */
function setAll(pid: number, priority: number): void {
  try {
    for (const thread of readdirSync(`/proc/${String(pid)}/task`)) {
      setPriority(Number(thread), priority);
    }
  } catch {
    // It ended meanwhile; whoever started it is told.
  }
}
