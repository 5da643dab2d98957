/**
 * Bounded log files: one file and one predecessor. Always holds: the two together never grow beyond
 * twice the limit, and a log that cannot be written never stops the appliance. Imports Node only.
 */
import { appendFileSync, renameSync, statSync } from 'node:fs';

/** A log that is written at once, so that its last line survives the writer. */
export interface BoundedLog {
  /** Appends the text as it is. */
  write(text: string): void;
  /** Appends one line with the time in front. */
  line(text: string): void;
}

/** Opens the log `path`, whose predecessor is `path`.1; `limitBytes` is the size of each. */
export function boundedLog(path: string, limitBytes: number): BoundedLog {
  let bytes = sizeOf(path);
  const write = (text: string): void => {
    const kept = Buffer.from(text).subarray(0, limitBytes);
    try {
      if (bytes > 0 && bytes + kept.length > limitBytes) {
        renameSync(path, `${path}.1`);
        bytes = 0;
      }
      appendFileSync(path, kept, { mode: 0o640 });
      bytes += kept.length;
    } catch {
      // A full disk or a folder that is gone: the appliance goes on without its log.
    }
  };
  return { write, line: (text) => write(`${new Date().toISOString()} ${text}\n`) };
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}
