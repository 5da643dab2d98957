/**
 * One emulated machine: power, serial line, monitor, network cables, watchdog, over all its boots.
 * Always holds: it has its folder alone; its operations on power follow one another; what is said
 * of it (`power`, events) is said after the process is gone or runs; its processes end with the
 * harness, however that ends. Imports core and the lock of a folder.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { lockState } from '../../src/drivers/state-lock.ts';
import { commandLine, streamsOf, type MachineSpec } from './command-line.ts';
import { Emulator, type ProcessEnd } from './emulator.ts';
import { EventLog, type EndCause } from './event-log.ts';
import type { JsonObject } from './qmp.ts';
import { SerialLog } from './serial-log.ts';

export type { DiskSpec, MachineSpec, NicSpec, PortSpec } from './command-line.ts';
export { EventLog, type EndCause, type MachineEvent } from './event-log.ts';
export { SerialLog } from './serial-log.ts';
export type { WaitOptions } from './waiters.ts';

/** File of the machine's folder with everything that it printed, over all boots. */
export const SERIAL_FILE = 'serial.log';

/** One process of the machine and what is known of it. */
interface Boot {
  readonly number: number;
  emulator: Emulator | null;
  /** Why the harness ends it; null = it does not. */
  wanted: 'power-cut' | 'quit' | null;
  watchdogFired: boolean;
  /** QEMU's reason of the shutdown. */
  reason: string | null;
}

/** A machine; see the head of this file. */
export class Machine implements AsyncDisposable {
  readonly spec: MachineSpec;
  readonly serial: SerialLog;
  readonly events: EventLog;
  readonly #lock: AsyncDisposable;
  readonly #logs: string[] = [];
  /** Names of cables that are cut; a cut lasts over boots. */
  readonly #cut = new Set<string>();
  /** Ports that the kernel chose, by guest port; they stay over boots. */
  #forwards: ReadonlyMap<number, number> = new Map();
  #boots = 0;
  #boot: Boot | null = null;
  /** Whether the machine shall run: a respawn is given up once this is false. */
  #shallRun = false;
  /** The last operation on power; the next one begins after it. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(spec: MachineSpec, lock: AsyncDisposable) {
    this.spec = spec;
    this.#lock = lock;
    this.serial = new SerialLog(spec.name);
    this.events = new EventLog(spec.name);
  }

  /**
   * Makes the folder, takes its lock and switches the machine on. Throws `state.locked` with the
   * process id when another harness works in the folder, `tool.missing` with the Debian package,
   * `tool.failed` with QEMU's words, `usage.invalid` for a specification that cannot work.
   */
  static async start(spec: MachineSpec): Promise<Machine> {
    const machine = await Machine.prepare(spec);
    try {
      await machine.powerOn();
      return machine;
    } catch (error) {
      await machine[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** As `start`, but the machine stays off. */
  static async prepare(spec: MachineSpec): Promise<Machine> {
    commandLine(spec, { serialFile: '', writeLog: null, loadSnapshot: null, forwards: new Map() });
    await mkdir(spec.dir, { recursive: true });
    const machine = new Machine(spec, await lockState(spec.dir));
    await writeFile(machine.serialFile, '');
    return machine;
  }

  /** `off` also while nothing runs between a reset and the process after it. */
  get power(): 'on' | 'off' {
    return this.#boot?.emulator == null ? 'off' : 'on';
  }

  /**
   * Whether the machine has power: true also between a reset and the process after it, when `power`
   * is `off` but the machine comes back by itself.
   */
  get isSwitchedOn(): boolean {
    return this.#shallRun;
  }

  /** Port on this computer's loopback interface that leads to a port of the guest. */
  forwardedPort(guestPort: number): number {
    const port = this.#forwards.get(guestPort);
    if (port !== undefined) return port;
    const message = `Machine ${this.spec.name} forwards nothing to port ${guestPort}, or never ran`;
    throw new UpdateError('usage.invalid', message);
  }

  /** Process id of the QEMU that runs; null when the machine is off. */
  get pid(): number | null {
    return this.#boot?.emulator?.pid ?? null;
  }

  /** How often the machine was started, resets included. */
  get boots(): number {
    return this.#boots;
  }

  /** The file with everything that was printed. */
  get serialFile(): string {
    return join(this.spec.dir, SERIAL_FILE);
  }

  /** Logs of the disk's writes, one per boot, oldest first; empty unless `disk.logWrites`. */
  get writeLogs(): readonly string[] {
    return this.#logs;
  }

  /**
   * Runs a command of QEMU's monitor. Throws `usage.invalid` when the machine is off, `tool.failed`
   * with QEMU's words.
   */
  async qmp(command: string, args?: JsonObject): Promise<unknown> {
    return this.#running().qmp.execute(command, args);
  }

  /** Switches the machine on; nothing happens when it runs. Throws as `start`. */
  powerOn(): Promise<void> {
    this.#shallRun = true;
    return this.#next(async () => {
      if (this.power === 'off' && this.#shallRun) await this.#start();
    });
  }

  /**
   * Cuts the power: kills the process at once, whatever it does, and returns when it is gone; the
   * disk keeps what the emulator had written. Nothing happens when the machine is off.
   */
  cutPower(): Promise<void> {
    return this.#end('power-cut', (emulator) => emulator.kill());
  }

  /** Ends the machine in an orderly way: QEMU flushes the disk, the guest knows nothing. */
  quit(): Promise<void> {
    return this.#end('quit', async (emulator) => {
      // The answer and the end of the connection race.
      await emulator.qmp.execute('quit').catch(() => undefined);
      return emulator.ended;
    });
  }

  /** Presses the power button; what follows is the guest's affair. */
  async pressPowerButton(): Promise<void> {
    await this.qmp('system_powerdown');
  }

  /** Presses the reset button: a reset that the guest did not ask for, with `resets` as usual. */
  async pressReset(): Promise<void> {
    await this.qmp('system_reset');
  }

  /** Freezes the whole machine with its clocks and watchdog; cables stay up. */
  async freeze(): Promise<void> {
    await this.qmp('stop');
  }

  /** The machine goes on after `freeze`. */
  async unfreeze(): Promise<void> {
    await this.qmp('cont');
  }

  /** Cuts the cable of a network card: no carrier, over boots too, until it is restored. */
  async cutLink(nic: string): Promise<void> {
    await this.#setLink(nic, false);
  }

  /** Restores the cable of a network card. */
  async restoreLink(nic: string): Promise<void> {
    await this.#setLink(nic, true);
  }

  /** Puts cables as they shall be after a snapshot has brought those of its own time. */
  async reconnect(): Promise<void> {
    await this.#connectNics(this.#running());
  }

  /** Switches the machine off as a power cut does, and frees its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.cutPower();
    const error = new UpdateError('usage.invalid', `Machine ${this.spec.name} is gone`);
    this.serial.fail(error);
    this.events.fail(error);
    await this.#lock[Symbol.asyncDispose]();
  }

  #running(): Emulator {
    const emulator = this.#boot?.emulator;
    if (emulator != null) return emulator;
    throw new UpdateError('usage.invalid', `Machine ${this.spec.name} is off`);
  }

  async #setLink(nic: string, up: boolean): Promise<void> {
    if (this.spec.nics?.some(({ name }) => name === nic) !== true) {
      const message = `Machine ${this.spec.name} has no network card ${nic}`;
      throw new UpdateError('usage.invalid', message);
    }
    if (up) this.#cut.delete(nic);
    else this.#cut.add(nic);
    await this.#boot?.emulator?.qmp.execute('set_link', { name: nic, up });
  }

  /** Puts an operation after those that were asked for before. */
  #next<T>(operation: () => Promise<T>): Promise<T> {
    const result = this.#last.then(operation);
    this.#last = result.catch(() => undefined);
    return result;
  }

  #end(
    wanted: 'power-cut' | 'quit',
    how: (emulator: Emulator) => Promise<ProcessEnd>,
  ): Promise<void> {
    this.#shallRun = false;
    return this.#next(async () => {
      const boot = this.#boot;
      if (boot?.emulator == null) return;
      boot.wanted = wanted;
      await how(boot.emulator);
      this.#finish(boot, await boot.emulator.ended);
    });
  }

  async #start(): Promise<void> {
    this.#boots += 1;
    const number = this.#boots;
    const boot: Boot = { number, emulator: null, wanted: null, watchdogFired: false, reason: null };
    this.#boot = boot;
    const { disk } = this.spec;
    const streams = streamsOf(this.spec);
    const writeLog = disk?.logWrites === true ? join(this.spec.dir, `writes-${number}.log`) : null;
    if (writeLog !== null) {
      // QEMU takes what it finds for a log to append to.
      await writeFile(writeLog, '');
      this.#logs.push(writeLog);
    }
    // A snapshot has the disk of its moment too: loaded again it would undo what was written since.
    const loadSnapshot = number === 1 ? (this.spec.loadSnapshot ?? null) : null;
    const { serialFile } = this;
    const forwards = this.#forwards;
    const args = commandLine(this.spec, { serialFile, writeLog, loadSnapshot, forwards });
    const emulator = await Emulator.start(args, streams.length, (name, data) =>
      this.#onEvent(boot, name, data),
    );
    boot.emulator = emulator;
    this.serial.attach(emulator.serial);
    this.events.add({ boot: number, name: 'BOOT', data: { pid: emulator.pid } });
    void emulator.ended.then((end) => this.#onEnd(boot, end));
    for (const [i, stream] of emulator.streams.entries()) streams[i]?.serve(stream);
    await this.#connectNics(emulator);
    await emulator.qmp.execute('cont');
  }

  /** Cables as they shall be (a snapshot brings those of its own time), and the forwarded ports. */
  async #connectNics({ qmp }: Emulator): Promise<void> {
    for (const { name } of this.spec.nics ?? []) {
      await qmp.execute('set_link', { name, up: !this.#cut.has(name) });
    }
    if (this.spec.nics?.some(({ kind }) => kind === 'user') !== true) return;
    const command = { 'command-line': 'info usernet' };
    this.#forwards = forwardsOf(String(await qmp.execute('human-monitor-command', command)));
  }

  #onEvent(boot: Boot, name: string, data: JsonObject): void {
    if (name === 'WATCHDOG') boot.watchdogFired = true;
    if (name === 'SHUTDOWN') boot.reason = String(data['reason']);
    this.events.add({ boot: boot.number, name, data });
  }

  /** A process ended; one that the harness ended is finished where that was asked for. */
  #onEnd(boot: Boot, end: ProcessEnd): void {
    if (boot.emulator === null || boot.wanted !== null) return;
    const cause = this.#finish(boot, end);
    const reset = cause === 'guest-reset' || cause === 'watchdog';
    if (cause === 'died') {
      const message = `QEMU of machine ${this.spec.name} died: ${end.words || 'no word from it'}`;
      this.#fail(new UpdateError('tool.failed', message));
    } else if (reset && (this.spec.resets ?? 'respawn') === 'respawn') this.#respawn();
    else this.#shallRun = false;
  }

  #respawn(): void {
    const start = async (): Promise<void> => {
      if (this.#shallRun && this.power === 'off') await this.#start();
    };
    this.#next(start).catch((error: unknown) => this.#fail(asUpdateError(error)));
  }

  #fail(error: UpdateError): void {
    this.#shallRun = false;
    this.serial.fail(error);
    this.events.fail(error);
  }

  /** Says once that a process is gone, and why. */
  #finish(boot: Boot, end: ProcessEnd): EndCause {
    const cause = boot.wanted ?? causeOf(boot);
    if (boot.emulator !== null) {
      boot.emulator = null;
      const { status, signal } = end;
      this.events.add({ boot: boot.number, name: 'END', data: { cause, status, signal } });
    }
    return cause;
  }
}

/** Guest port and host port of each line of QEMU's `info usernet` about a forwarded port. */
function forwardsOf(text: string): ReadonlyMap<number, number> {
  const lines = text.matchAll(/HOST_FORWARD\]\s+\d+\s+[\d.]+\s+(\d+)\s+[\d.]+\s+(\d+)/g);
  return new Map([...lines].map(([, host, guest]) => [Number(guest), Number(host)]));
}

/** Why a process ended that the harness did not end. */
function causeOf({ reason, watchdogFired }: Boot): EndCause {
  if (reason === 'guest-reset' || reason === 'host-qmp-system-reset') {
    return watchdogFired ? 'watchdog' : 'guest-reset';
  }
  return reason === 'guest-shutdown' ? 'guest-shutdown' : 'died';
}
