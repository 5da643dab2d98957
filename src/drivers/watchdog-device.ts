/**
 * The hardware watchdog as the kernel shows it: what it is, and after how long it resets the
 * machine. Without native code its time cannot be set from here: it is the driver's own (module
 * parameter, kernel command line), and only looked at. Always holds: looking does not start it.
 *
 * What is decided about it: from its opening on, the device is open until the process ends, and
 * `V`, which would switch it off (the "magic close"), is never written. So a daemon that dies, that
 * hangs, and also one that is stopped in good order leaves a watchdog that runs: unless a daemon
 * feeds it again in time, the machine restarts. A node without a daemon neither answers nor can be
 * counted on, and nobody has to remember to switch protection on again. Who needs the daemon to be
 * stopped for longer feeds the watchdog meanwhile: `busybox watchdog /dev/watchdog`. Imports core,
 * node and the files of the kernel.
 */
import { basename, join } from 'node:path';
import { UpdateError } from '../core/errors.ts';
import { readKernelFile } from './kernel-file.ts';

/** A daemon that is busy feeds it a second late, one that starts on a slow machine some seconds. */
export const WATCHDOG_S_MIN = 10;

/** What the kernel says of a watchdog; null = it does not say. */
export interface WatchdogFacts {
  /** Name of the hardware, e.g. `i6300ESB timer`. */
  readonly identity: string | null;
  /** Seconds without a sign of life after which it resets the machine. */
  readonly timeoutS: number | null;
}

/**
 * What is known of the watchdog at `path` (/dev/watchdog, /dev/watchdog1 ...); `sys` is /sys.
 * Throws `config.invalid` when its time is too short for a daemon to be counted on. Source: kernel,
 * Documentation/ABI/testing/sysfs-class-watchdog.
 */
export async function watchdogFacts(path: string, sys: string): Promise<WatchdogFacts> {
  // The first one has two names, of which sysfs knows the one with the number.
  const name = basename(path) === 'watchdog' ? 'watchdog0' : basename(path);
  const read = (file: string): Promise<string | null> =>
    readKernelFile(join(sys, 'class/watchdog', name, file)).catch(() => null);
  const [identity, timeout] = [await read('identity'), await read('timeout')];
  const timeoutS = timeout !== null && /^[0-9]{1,9}$/.test(timeout) ? Number(timeout) : null;
  if (timeoutS !== null && timeoutS < WATCHDOG_S_MIN) {
    const found = `the watchdog ${path} resets the machine after ${timeoutS} s`;
    const message = `${found}, expected at least ${WATCHDOG_S_MIN} s: set it for its driver`;
    throw new UpdateError('config.invalid', message, { detail: { path, timeoutS } });
  }
  return { identity, timeoutS };
}
