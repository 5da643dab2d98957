/**
 * What the service tells the init system that started it: that it is ready, that it is alive, that
 * it ends (the protocol of sd_notify(3), which other init systems speak too). Always holds: nothing
 * is said unless somebody asked to be told, and a word that does not get through stops nothing, as
 * a watchdog that hears nothing does the right thing by itself. A sign of life is sent by the event
 * loop alone, together with the one for the hardware watchdog, so that one that is stuck sends
 * none.
 *
 * Node opens no datagram sockets of the unix kind. The starter of the unit therefore brings one
 * that is open and connected (TANDEM_NOTIFY=fd:N), and a word is a single write that never waits.
 * Where there is none the program `systemd-notify` is started for every word. Imports the port Host
 * and node.
 */
import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
import type { Host, ServiceLog } from '../ports.ts';

/** `fd:N`, the descriptor of a datagram socket that is connected to NOTIFY_SOCKET. */
export const NOTIFY_VARIABLE = 'TANDEM_NOTIFY';
const PROGRAM = 'systemd-notify';
/** Of the time within which a sign of life must come, so that two of them may be lost. */
const FEEDS = 3;
const STATUS_CHARS_MAX = 200;

/** Variables that are for this process alone, and are kept from the programs that it starts. */
const OWN_VARIABLES = [NOTIFY_VARIABLE, 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const;

/** The init system, as the service talks to it. No word ever throws. */
export interface InitNotes {
  /** The doors are open; `status` is a sentence for people. */
  ready(status: string): void;
  /** The event loop turns; may be said as often as one likes. */
  alive(): void;
  /** The end has begun. */
  stopping(): void;
}

/** Parts that a test puts something else in place of. */
export interface NotifyParts {
  readonly pid: number;
  readonly monotonicMs: () => number;
  readonly log: ServiceLog;
  /** Writes a whole datagram, or throws as the system does. */
  readonly write: (fd: number, text: string) => void;
  /** Starts the program; its failure is told to `onError`. */
  readonly start: (
    program: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    onError: (error: Error) => void,
  ) => void;
}

const ownParts = (log: ServiceLog): NotifyParts => ({
  pid: process.pid,
  monotonicMs: () => performance.now(),
  log,
  write: (fd, text) => void writeSync(fd, text),
  start: (program, args, env, onError) => {
    const child = spawn(program, args, { env, stdio: 'ignore' });
    child.once('error', onError);
    child.unref();
  },
});

/**
 * The init system that the variables of `env` tell of; they are taken out of it. Says nothing where
 * there is none.
 */
export function openNotes(
  env: NodeJS.ProcessEnv,
  log: ServiceLog,
  parts: NotifyParts = ownParts(log),
): InitNotes {
  const [way, socket, usec, pid] = OWN_VARIABLES.map((name) => env[name] ?? '');
  for (const name of OWN_VARIABLES) delete env[name];
  const fd = /^fd:(\d{1,4})$/.exec(way ?? '')?.[1];
  const asked = socket !== undefined && socket !== '';
  if (!asked) return { ready: () => {}, alive: () => {}, stopping: () => {} };
  const forUs = pid === '' || pid === String(parts.pid);
  const limitMs = forUs && /^[1-9]\d{0,15}$/.test(usec ?? '') ? Number(usec) / 1000 : null;
  const send = new Sender(fd === undefined ? null : Number(fd), { ...env, NOTIFY_SOCKET: socket });
  return new Notes(limitMs, (words) => send.send(words, parts), parts);
}

class Notes implements InitNotes {
  readonly #limitMs: number | null;
  readonly #send: (words: readonly string[]) => void;
  readonly #parts: NotifyParts;
  #fedMs: number | null = null;

  constructor(
    limitMs: number | null,
    send: (words: readonly string[]) => void,
    parts: NotifyParts,
  ) {
    this.#limitMs = limitMs;
    this.#send = send;
    this.#parts = parts;
  }

  ready(status: string): void {
    // A word ends with its line, so that nothing in a sentence can be taken for a word.
    const sentence = status.replaceAll(/\s+/g, ' ').slice(0, STATUS_CHARS_MAX);
    this.#send(['READY=1', `STATUS=${sentence}`]);
  }

  alive(): void {
    if (this.#limitMs === null) return;
    const now = this.#parts.monotonicMs();
    if (this.#fedMs !== null && now - this.#fedMs < this.#limitMs / FEEDS) return;
    this.#fedMs = now;
    this.#send(['WATCHDOG=1']);
  }

  stopping(): void {
    this.#send(['STOPPING=1', 'STATUS=The service ends']);
  }
}

/** The two ways of a word. */
class Sender {
  readonly #env: NodeJS.ProcessEnv;
  #fd: number | null;
  #told = false;

  constructor(fd: number | null, env: NodeJS.ProcessEnv) {
    this.#fd = fd;
    this.#env = env;
  }

  send(words: readonly string[], parts: NotifyParts): void {
    if (this.#fd !== null) {
      try {
        parts.write(this.#fd, words.join('\n'));
        return;
      } catch (error) {
        // Init is busy and has words of us to read; the next sign of life comes soon.
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return;
        parts.log(`the init system hears nothing on its socket: ${(error as Error).message}`);
        this.#fd = null;
      }
    }
    parts.start(PROGRAM, words, this.#env, (error) => {
      if (!this.#told) parts.log(`${PROGRAM} cannot be started: ${error.message}`);
      this.#told = true;
    });
  }
}

/** The host, whose sign of life for the hardware watchdog is one for the init system too. */
export function alsoAlive(host: Host, notes: Pick<InitNotes, 'alive'>): Host {
  return {
    boot: () => host.boot(),
    reboot: (reason) => host.reboot(reason),
    powerOff: (reason) => host.powerOff(reason),
    hardReset: (reason) => host.hardReset(reason),
    nowMs: () => host.nowMs(),
    monotonicMs: () => host.monotonicMs(),
    feedWatchdog: () => {
      host.feedWatchdog();
      notes.alive();
    },
    checkWritable: (signal) => host.checkWritable(signal),
  };
}
