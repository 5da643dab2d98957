/**
 * The way into a running appliance of the bench: commands of root over SSH, and the daemon's
 * control socket as a socket of this computer. Always holds: both follow the machine, they are
 * there at each boot once the appliance lets root in, or has its daemon, and are gone when the
 * machine goes; while there is no daemon there is no socket, as on an appliance that is down; its
 * processes end with it. Imports core, the machine and the tools.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UpdateError } from '../../src/core/errors.ts';
import { needTool } from '../image/tools.ts';
import type { Machine } from '../vm/machine.ts';
import { BRIDGE_PORTS, BRIDGE_READY, START_BRIDGE } from './bridge.ts';

const SSH_PORT = 22;
/** Ports of the guest that the door needs. */
export const DOOR_PORTS = [SSH_PORT, ...BRIDGE_PORTS] as const;
const [BRIDGE_PORT, CANARY_PORT] = BRIDGE_PORTS;
const LOGGED_IN = 'root is in';
/** Time for a greeting; a system that boots does not answer at all. */
const GREETING_MS = 3000;
const LOOK_AGAIN_MS = 200;
const OUTPUT_CHARS_MAX = 8 * 1024 * 1024;

/** What a command of root gave back. */
export interface RootResult {
  /** Exit status; 255 when the connection broke. */
  readonly status: number;
  /** Both outputs, as they came. */
  readonly output: string;
}

/** The door of one appliance; it is at work until it is disposed of. */
export class Door implements AsyncDisposable {
  /** The control socket of the appliance's daemon on this computer, while that has one. */
  readonly controlSocket: string;
  readonly #machine: Machine;
  readonly #ssh: string;
  readonly #key: string;
  readonly #master: string;
  readonly #stop = new AbortController();
  readonly #connections = new Set<Socket>();
  readonly #waiting = new Set<() => void>();
  readonly #children = new Set<ChildProcess>();
  readonly #work: Promise<unknown>;
  #isOpen = false;
  #isShut = false;

  private constructor(machine: Machine, dir: string, key: string, ssh: string) {
    this.#machine = machine;
    this.#ssh = ssh;
    this.#key = key;
    this.controlSocket = join(dir, `control-${machine.spec.name}.sock`);
    this.#master = join(dir, `ssh-${machine.spec.name}`);
    this.#work = Promise.all([
      this.#again(() => this.#holdShell()),
      this.#again(() => this.#holdControl()),
    ]);
  }

  /** `dir` gets the sockets; `key` is root's. Throws `tool.missing`. */
  static async open(machine: Machine, dir: string, key: string): Promise<Door> {
    return new Door(machine, dir, key, await needTool('ssh'));
  }

  /** Whether commands can be run now. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Waits until root may run commands. Throws `wait.timed_out`. */
  async opened(timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!this.#isOpen) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0 || this.#stop.signal.aborted) {
        const message = `Root could not log in to node ${this.#machine.spec.name} in time`;
        throw new UpdateError('wait.timed_out', message);
      }
      await Promise.race([
        new Promise<void>((resolve) => this.#waiting.add(resolve)),
        sleep(Math.min(leftMs, LOOK_AGAIN_MS)),
      ]);
    }
  }

  /** Runs a command of the shell as root; waits for the door first, `timeoutMs` in all. */
  async run(command: string, timeoutMs: number): Promise<RootResult> {
    const endMs = performance.now() + timeoutMs;
    await this.opened(timeoutMs);
    const child = this.#start(['-S', this.#master, '-o', 'ControlMaster=no'], command);
    let output = '';
    const keep = (text: string): void => {
      if (output.length < OUTPUT_CHARS_MAX) output += text;
    };
    child.stdout?.setEncoding('utf8').on('data', keep);
    child.stderr?.setEncoding('utf8').on('data', keep);
    child.stdin?.end();
    const timer = setTimeout(() => end(child), Math.max(1, endMs - performance.now()));
    const [status] = (await once(child, 'close')) as [number | null];
    clearTimeout(timer);
    return { status: status ?? 255, output };
  }

  /**
   * Shuts the door or lets it open again: while it is shut nobody is in, so that a snapshot holds
   * no connection that its guest would wait on for ever.
   */
  async shut(isShut: boolean): Promise<void> {
    this.#isShut = isShut;
    if (!isShut) return;
    for (const child of this.#children) end(child);
    for (const socket of this.#connections) socket.destroy();
    while (this.#isOpen || this.#connections.size > 0) await sleep(LOOK_AGAIN_MS / 10);
  }

  /** Closes the door for good. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.shut(true);
    await this.#work;
  }

  async #again(hold: () => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      if (!this.#isShut && this.#machine.power === 'on') await hold();
      await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #start(options: readonly string[], command: string): ChildProcess {
    const port = String(this.#machine.forwardedPort(SSH_PORT));
    const words = [
      ['-F', 'none', '-i', this.#key, '-p', port, '-T'],
      ['-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes', '-o', 'LogLevel=ERROR'],
      ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
      options,
      ['root@127.0.0.1', command],
    ];
    const child = spawn(this.#ssh, words.flat(), { stdio: ['pipe', 'pipe', 'pipe'] });
    child.on('error', () => undefined);
    child.stdin.on('error', () => undefined);
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    return child;
  }

  /** A connection to a port of the guest that has said `words`, or null. */
  async #greeted(guestPort: number, words: string): Promise<Socket | null> {
    const socket = connect({ port: this.#machine.forwardedPort(guestPort), host: '127.0.0.1' });
    this.#connections.add(socket);
    socket.once('close', () => this.#connections.delete(socket));
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), GREETING_MS);
    socket.once('data', (bytes) => resolve(bytes.toString('latin1').startsWith(words)));
    socket.on('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    const found = await promise;
    clearTimeout(timer);
    if (found) return socket;
    socket.destroy();
    return null;
  }

  /** One session of SSH that every command uses; it starts the bridge, once in a boot. */
  async #holdShell(): Promise<void> {
    const probe = await this.#greeted(SSH_PORT, 'SSH-').catch(() => null);
    probe?.destroy();
    if (probe === null || this.#isShut) return;
    await rm(this.#master, { force: true });
    const command = `echo ${LOGGED_IN}; ${START_BRIDGE} exec cat >/dev/null`;
    const child = this.#start(['-M', '-S', this.#master], command);
    let words = '';
    child.stderr?.resume();
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-200);
      if (this.#isOpen || !words.includes(LOGGED_IN)) return;
      this.#isOpen = true;
      for (const tell of this.#waiting) tell();
      this.#waiting.clear();
    });
    await once(child, 'close');
    this.#isOpen = false;
  }

  /** The control socket as long as the bridge in the guest lives. */
  async #holdControl(): Promise<void> {
    const canary = await this.#greeted(CANARY_PORT, BRIDGE_READY).catch(() => null);
    if (canary === null) return;
    const gone = once(canary, 'close');
    canary.resume();
    await rm(this.controlSocket, { force: true });
    const server = this.#listen();
    await gone;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#connections) socket.destroy();
    await closed;
  }

  #listen(): Server {
    const server = createServer({ allowHalfOpen: true }, (client) => {
      const port = this.#machine.forwardedPort(BRIDGE_PORT);
      const guest = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      for (const [one, other] of [[client, guest] as const, [guest, client] as const]) {
        this.#connections.add(one);
        one.pipe(other);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          this.#connections.delete(one);
          other.destroy();
        });
      }
    });
    server.on('error', () => undefined);
    return server.listen(this.controlSocket);
  }
}

/** Ends a process that was started. */
function end(child: ChildProcess): void {
  if (child.pid !== undefined) child.kill('SIGKILL');
}
