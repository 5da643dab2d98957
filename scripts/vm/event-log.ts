/**
 * What happened to a machine: the events that QEMU reports (names in capitals, QEMU's QMP
 * reference) and two of our own, `BOOT` and `END`. Always holds: the memory is bounded, and
 * `waitFor` never finds the same event twice. Imports core.
 */
import type { UpdateError } from '../../src/core/errors.ts';
import { Waiters, type WaitOptions } from './waiters.ts';

/**
 * Why the process of a machine ended: `guest-reset` = the guest reset itself; `watchdog` = its
 * watchdog did; `guest-shutdown` = it powered off; `power-cut` and `quit` = the harness; `died` =
 * nobody wanted that.
 */
export type EndCause =
  'guest-reset' | 'watchdog' | 'guest-shutdown' | 'power-cut' | 'quit' | 'died';

/** One event. */
export interface MachineEvent {
  /** Which boot of the machine it belongs to, from 1. */
  readonly boot: number;
  /** QEMU's name, or `BOOT` = a process began to run, `END` = it ended (`data.cause`). */
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const EVENTS_MAX = 10_000;

/** The events of one machine, oldest first. */
export class EventLog {
  readonly #waiters = new Waiters();
  readonly #machine: string;
  #all: MachineEvent[] = [];
  #from = 0;

  constructor(machine: string) {
    this.#machine = machine;
  }

  /** Every event so far, at most the last 10,000. */
  get all(): readonly MachineEvent[] {
    return this.#all;
  }

  /** Why each process so far ended, oldest first. */
  get ends(): readonly EndCause[] {
    return this.#all
      .filter(({ name }) => name === 'END')
      .map(({ data }) => data['cause'] as EndCause);
  }

  /**
   * The first event of that name (and for which `fits`, if given, is true) after the last one that
   * was found. Throws `wait.timed_out` with the last names, the signal's reason, or why the machine
   * failed.
   */
  waitFor(
    name: string,
    options: WaitOptions & { readonly fits?: (event: MachineEvent) => boolean },
  ): Promise<MachineEvent> {
    const fits = options.fits ?? (() => true);
    const look = (): MachineEvent | null => {
      const index = this.#all.findIndex(
        (event, i) => i >= this.#from && event.name === name && fits(event),
      );
      if (index < 0) return null;
      this.#from = index + 1;
      return this.#all[index] ?? null;
    };
    const describe = (): string => {
      const last = this.#all.slice(-8).map((event) => event.name);
      return (
        `Machine ${this.#machine} reported no ${name} within ${options.timeoutMs} ms; ` +
        `its last events: ${last.join(', ') || 'none'}`
      );
    };
    return this.#waiters.wait(look, describe, options);
  }

  /** Adds an event; the machine calls it. */
  add(event: MachineEvent): void {
    if (event.name === 'BOOT') this.#waiters.revive();
    this.#all.push(event);
    if (this.#all.length > EVENTS_MAX) {
      this.#all.shift();
      this.#from = Math.max(0, this.#from - 1);
    }
    this.#waiters.poke();
  }

  /** No more events will come; the machine calls it. */
  fail(error: UpdateError): void {
    this.#waiters.fail(error);
  }
}
