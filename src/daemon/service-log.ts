/**
 * The log of the service: lines on standard error, which the init system keeps. Always holds: where
 * that is the journal of systemd, each line says how bad it is, as `<N>` in front (sd-daemon(3));
 * anywhere else a line is as it was given. Imports the contract of a log and node.
 */
import { fstatSync } from 'node:fs';
import type { LogLevel, ServiceLog } from '../ports.ts';

/** Priorities of syslog(3). */
const PRIORITY: Readonly<Record<LogLevel, number>> = { error: 3, warning: 4, info: 6 };
const STDERR = 2;

/** The text, each of its lines with the priority of this level. */
export function withPriority(text: string, level: LogLevel): string {
  return text.replaceAll(/^(?=[^\n])/gm, `<${PRIORITY[level]}>`);
}

/**
 * Whether what is written to the descriptor goes to the journal: JOURNAL_STREAM names its device
 * and inode (systemd.exec(5)), which are others once somebody has redirected it.
 */
export function isJournal(stream: string | undefined, fd: number = STDERR): boolean {
  if (stream === undefined || stream === '') return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** Where a log goes; for tests. */
export interface LogTarget {
  readonly journal: boolean;
  readonly write: (text: string) => void;
}

/** The log of this process. */
export function serviceLog(target: LogTarget = ownTarget()): ServiceLog {
  return (line, level = 'warning') => {
    const text = `${line}\n`;
    target.write(target.journal ? withPriority(text, level) : text);
  };
}

function ownTarget(): LogTarget {
  return {
    journal: isJournal(process.env['JOURNAL_STREAM']),
    write: (text) => void process.stderr.write(text),
  };
}
