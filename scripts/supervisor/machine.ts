/**
 * One appliance as a machine with a power switch: boot loader, program, crash restarts, power cut.
 * Always holds: the program that runs is the one that was unpacked from the slot of this very boot;
 * one boot at a time; when `off` has returned true, no process of the appliance lives. The drivers
 * come in as functions, so that tests need no real slots. Imports core and its own parts.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BootCounter, BootInfo, BootState, CommitMarks } from '../../src/core/boot.ts';
import type { Slot } from '../../src/core/model.ts';
import type { BoundedLog } from './log.ts';
import { afterEnd, chooseSlot, type Choice, type ProgramEnd } from './policy.ts';
import type { PowerStatus } from './power-client.ts';
import { killFamily } from './processes.ts';
import { checkRoot, COMPILE_CACHE, startProgram } from './program.ts';
import type { SupervisorSettings } from './settings.ts';

/** What the machine needs from the drivers and from its logs. */
export interface MachineParts {
  /** Boot files as they are on disk; null = cannot be read. */
  readonly readBoot: () => Promise<{
    readonly state: BootState | null;
    readonly counter: BootCounter | null;
  }>;
  /** Saves and confirms the counter; throws when it is not on disk afterwards. */
  readonly saveCounter: (counter: BootCounter) => Promise<void>;
  /** Unpacks an image into an empty folder; throws when it is not a whole file system. */
  readonly unpack: (image: string, target: string, signal: AbortSignal) => Promise<void>;
  /** Commits of the system slots by their seals; asked only when the boot state is lost. */
  readonly commitMarks: () => Promise<CommitMarks>;
  readonly log: BoundedLog;
  readonly console: BoundedLog;
}

/** Time until a boot is tried again when no slot could be loaded. */
const NO_BOOT_RETRY_MS = 2000;

/** A machine; it is off when it is made. */
export class Machine {
  readonly #settings: SupervisorSettings;
  /** Marks the processes of this appliance and must be nobody else's. */
  readonly #token: string;
  readonly #parts: MachineParts;
  #running: { readonly stop: AbortController; readonly ended: Promise<void> } | null = null;
  #pid: number | null = null;
  #boot: BootInfo | null = null;
  #boots = 0;
  #restarts = 0;

  constructor(settings: SupervisorSettings, token: string, parts: MachineParts) {
    this.#settings = settings;
    this.#token = token;
    this.#parts = parts;
  }

  /** Restores the power; returns at once, the boot goes on by itself. Idempotent. */
  on(): void {
    if (this.#running !== null) return;
    const stop = new AbortController();
    const ended = this.#live(stop.signal).catch((error: unknown) => {
      this.#parts.log.line(`the firmware failed: ${wordsOf(error)}`);
    });
    this.#running = { stop, ended };
  }

  /**
   * Cuts the power: every process of the node is killed. Returns true when a look at the system
   * found none of them any more, false when one survived. Idempotent.
   */
  async off(): Promise<boolean> {
    const was = this.#running;
    was?.stop.abort();
    await killFamily({ token: this.#token, leader: this.#pid });
    await was?.ended;
    const dead = await killFamily({ token: this.#token, leader: null });
    if (was !== null && this.#running === was) {
      this.#running = null;
      this.#boot = null;
      this.#parts.log.line(dead ? 'power off' : 'power off, but a process of the node survived');
    }
    return dead;
  }

  status(): PowerStatus {
    return {
      node: this.#settings.node,
      power: this.#running === null ? 'off' : 'on',
      supervisor: process.pid,
      pid: this.#pid,
      boot: this.#boot,
      boots: this.#boots,
      restarts: this.#restarts,
    };
  }

  async #live(signal: AbortSignal): Promise<void> {
    this.#parts.log.line('power on');
    while (!signal.aborted) {
      const choice = await this.#choose(signal);
      if (signal.aborted) break;
      if (choice === null) {
        this.#boot = null;
        this.#parts.log.line('no slot can be loaded: reboot');
        await pause(NO_BOOT_RETRY_MS, signal);
        continue;
      }
      if ((await this.#oneBoot(choice, signal)) === 'off') {
        this.#offByItself(signal);
        return;
      }
      await pause(this.#settings.postMs, signal);
    }
  }

  /** Off until `on` is called: a node that was shut down has no way to switch itself on. */
  #offByItself(signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#running = null;
    this.#boot = null;
    this.#parts.log.line('power off');
  }

  async #choose(signal: AbortSignal): Promise<Choice | null> {
    const { readBoot, saveCounter, commitMarks, log } = this.#parts;
    try {
      const load = async (slot: Slot): Promise<boolean> => this.#load(slot, signal);
      const io = { save: saveCounter, load, log: (text: string) => log.line(text) };
      return await chooseSlot(await readBoot(), commitMarks, io);
    } catch (error) {
      if (!signal.aborted) log.line(`the boot loader failed: ${wordsOf(error)}`);
      return null;
    }
  }

  async #load(slot: Slot, signal: AbortSignal): Promise<boolean> {
    const { runDir, slots } = this.#settings;
    try {
      await emptyFolder(runDir);
      const root = join(runDir, `root-${slot}`);
      await mkdir(root);
      await this.#parts.unpack(slots[slot], root, signal);
      await checkRoot(root);
      await symlink(`root-${slot}`, join(runDir, 'root'));
      return true;
    } catch (error) {
      // A power cut is no verdict on the slot: the loader must not go on to spend the attempts.
      signal.throwIfAborted();
      this.#parts.log.line(`slot ${slot} cannot be loaded: ${wordsOf(error)}`);
      return false;
    }
  }

  async #oneBoot(choice: Choice, signal: AbortSignal): Promise<'next' | 'off'> {
    const { log } = this.#parts;
    const boot: BootInfo = { bootId: randomUUID(), ...choice };
    this.#boot = boot;
    this.#boots += 1;
    const attempt = choice.attempt > 0 ? `, attempt ${String(choice.attempt)}` : '';
    log.line(`boot ${boot.bootId}: slot ${choice.slot}, ${choice.reason}${attempt}`);
    let crashesMs: readonly number[] = [];
    for (;;) {
      const end = await this.#runOnce(boot, signal);
      if (signal.aborted) return 'next';
      if (end.bitten) {
        log.line('the watchdog was not fed: power cycle');
        return 'next';
      }
      const next = afterEnd(crashesMs, end, performance.now());
      log.line(`${next.why}: ${next.do}`);
      if (next.do !== 'restart') return next.do === 'off' ? 'off' : 'next';
      ({ crashesMs } = next);
      this.#restarts += 1;
      await pause(this.#settings.restartMs, signal);
      if (signal.aborted) return 'next';
    }
  }

  async #runOnce(
    boot: BootInfo,
    signal: AbortSignal,
  ): Promise<ProgramEnd & { readonly bitten: boolean }> {
    const root = join(this.#settings.runDir, `root-${boot.slot}`);
    const { console, log } = this.#parts;
    const program = await startProgram(this.#settings, root, boot, this.#token, console);
    this.#pid = program.pid;
    const family = { token: this.#token, leader: program.pid };
    // A power cut while the program was being started found nothing to kill yet.
    if (signal.aborted) await killFamily(family);
    const end = await program.ended;
    // What the program left behind dies with it, as a service manager would have it.
    const dead = await killFamily(family);
    if (!dead) log.line('a process of the node cannot be killed');
    this.#pid = null;
    return end;
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch {
    // Cut short by a power cut, which the caller sees on the signal.
  }
}

async function emptyFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  for (const name of await readdir(dir)) {
    if (name !== COMPILE_CACHE) await rm(join(dir, name), { recursive: true, force: true });
  }
}
