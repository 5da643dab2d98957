/**
 * The kernel's own way out of a boot: one letter to /proc/sysrq-trigger restarts the machine or
 * switches it off, whatever init, disks and processes do. Root may always write there, whatever
 * `kernel.sysrq` says. Always holds: the files are open from the start, so that nothing has to be
 * looked up on a disk that hangs. Source: kernel, Documentation/admin-guide/sysrq.rst. Imports
 * core, node.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { UpdateError } from '../core/errors.ts';

/** `b` restarts at once, `o` switches off, `s` syncs the disks, `u` makes them read-only. */
export type SysrqKey = 'b' | 'o' | 's' | 'u';

/** Longest line for the kernel's log. */
const LINE_CHARS_MAX = 900;

/** The kernel's trigger and its log. */
export interface Sysrq {
  /** Returns when the kernel has taken the key, after `b` never. Throws plain errors. */
  press(key: SysrqKey): void;
  /** A line for the kernel's log, which reaches its console; never throws. */
  say(line: string): void;
}

/**
 * Opens both; `logPath` is the kernel's log (/dev/kmsg). Throws `config.invalid` when the trigger
 * is not there or may not be written: such a machine cannot be restarted when it has to be.
 */
export function openSysrq(triggerPath: string, logPath: string): Sysrq {
  const flags = constants.O_WRONLY | constants.O_NONBLOCK;
  let trigger: number;
  try {
    trigger = openSync(triggerPath, flags);
  } catch (cause) {
    const message = `${triggerPath} cannot be opened, by which the kernel restarts the machine`;
    throw new UpdateError('config.invalid', message, { cause });
  }
  let log: number | null = null;
  try {
    log = openSync(logPath, flags | constants.O_APPEND);
  } catch {
    // It is for people; the standard error output has the same line.
  }
  return {
    press: (key) => void writeSync(trigger, key),
    say: (line) => {
      const text = `tandem: ${line.replaceAll(/\p{Cc}/gu, ' ').slice(0, LINE_CHARS_MAX)}\n`;
      for (const fd of [2, log]) {
        try {
          // Priority 2: critical, which every console shows.
          if (fd !== null) writeSync(fd, fd === 2 ? text : `<2>${text}`);
        } catch {
          // Nobody reads any more.
        }
      }
    },
  };
}
