/**
 * The way into a running appliance of the bench: commands of root over SSH, and the daemon's
 * control socket as a socket of this computer. Always holds: the door follows the machine, it opens
 * at each boot once the appliance lets root in and closes when the machine goes; while it is closed
 * there is no socket, as on an appliance that is down; its processes end with it. Imports core, the
 * machine and the tools.
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

/** Ports of the guest that the door needs: SSH, and the bridge to the control socket. */
export const DOOR_PORTS = [22, 7900] as const;
const [SSH_PORT, BRIDGE_PORT] = DOOR_PORTS;
const CONTROL_SOCKET = '/run/tandem/control.sock';
/** Address of the guest that the harness reaches and nobody else. */
const GUEST_ADDRESS = '10.0.2.15';
const LOGGED_IN = 'root is in';
const BRIDGE_READY = 'bridge ready';
/** Time for SSH's greeting; a system that boots does not answer at all. */
const GREETING_MS = 2000;
const LOOK_AGAIN_MS = 250;
const OUTPUT_CHARS_MAX = 8 * 1024 * 1024;

/** Runs in the guest as long as its input is open: each connection is one to the daemon. */
const BRIDGE = `
const net = require('node:net');
const server = net.createServer({ allowHalfOpen: true }, (client) => {
  const daemon = net.connect({ path: '${CONTROL_SOCKET}', allowHalfOpen: true });
  for (const [one, other] of [[client, daemon], [daemon, client]]) {
    one.pipe(other);
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
});
server.listen(${String(BRIDGE_PORT)}, '${GUEST_ADDRESS}', () => console.log('${BRIDGE_READY}'));
process.stdin.resume().on('end', () => process.exit(0));
`;
/** The daemon first: what it starts up with is not slowed down by the harness. */
const START_BRIDGE =
  `echo ${LOGGED_IN}; until [ -S ${CONTROL_SOCKET} ]; do usleep 200000; done; ` +
  `exec node --max-semi-space-size=1 -e '${BRIDGE.replaceAll("'", `'\\''`)}'`;

/** What a command of root gave back. */
export interface RootResult {
  /** Exit status; 255 when the connection broke. */
  readonly status: number;
  /** Both outputs, as they came. */
  readonly output: string;
}

/** The door of one appliance; it is at work until it is disposed of. */
export class Door implements AsyncDisposable {
  /** The control socket of the appliance's daemon on this computer, while the door is open. */
  readonly controlSocket: string;
  readonly #machine: Machine;
  readonly #ssh: string;
  readonly #key: string;
  readonly #master: string;
  readonly #stop = new AbortController();
  readonly #connections = new Set<Socket>();
  readonly #waiting = new Set<() => void>();
  readonly #work: Promise<void>;
  #isOpen = false;
  #children = new Set<ChildProcess>();

  private constructor(machine: Machine, dir: string, key: string, ssh: string) {
    this.#machine = machine;
    this.#ssh = ssh;
    this.#key = key;
    this.controlSocket = join(dir, `control-${machine.spec.name}.sock`);
    this.#master = join(dir, `ssh-${machine.spec.name}`);
    this.#work = this.#follow();
  }

  /** `dir` gets the sockets; `key` is root's. Throws `tool.missing`. */
  static async open(machine: Machine, dir: string, key: string): Promise<Door> {
    return new Door(machine, dir, key, await needTool('ssh'));
  }

  /** Whether commands can be run now; the control socket is there once the daemon has its own. */
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

  /** Closes the door for good. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const child of this.#children) end(child);
    await this.#work;
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

  /** From boot to boot: waits for SSH, then holds the bridge open as long as it stands. */
  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const greeted = this.#machine.power === 'on' && (await this.#greeted());
      if (signal.aborted) return;
      if (greeted) await this.#hold();
      await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Whether somebody speaks SSH. */
  async #greeted(): Promise<boolean> {
    let port: number;
    try {
      port = this.#machine.forwardedPort(SSH_PORT);
    } catch {
      return false;
    }
    const socket = connect({ port, host: '127.0.0.1' });
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), GREETING_MS);
    socket.once('data', (bytes) => resolve(bytes.toString('latin1').startsWith('SSH-')));
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    const found = await promise;
    clearTimeout(timer);
    socket.destroy();
    return found;
  }

  async #hold(): Promise<void> {
    await rm(this.#master, { force: true });
    await rm(this.controlSocket, { force: true });
    const child = this.#start(['-M', '-S', this.#master], START_BRIDGE);
    const ended = once(child, 'close');
    let server: Server | null = null;
    let words = '';
    child.stderr?.resume();
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-200);
      if (!this.#isOpen && words.includes(LOGGED_IN)) this.#tell();
      if (server !== null || !words.includes(BRIDGE_READY)) return;
      server = this.#listen();
    });
    await ended;
    this.#isOpen = false;
    const closing = server as Server | null;
    if (closing === null) return;
    const closed = once(closing, 'close');
    closing.close();
    for (const socket of this.#connections) socket.destroy();
    await closed;
  }

  #listen(): Server {
    const server = createServer({ allowHalfOpen: true }, (client) => {
      const port = this.#machine.forwardedPort(BRIDGE_PORT);
      const guest = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      const both = [client, guest] as const;
      for (const [one, other] of [both, [guest, client] as const]) {
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
    server.listen(this.controlSocket);
    return server;
  }

  #tell(): void {
    this.#isOpen = true;
    for (const tell of this.#waiting) tell();
    this.#waiting.clear();
  }
}

/** Ends a process that was started. */
function end(child: ChildProcess): void {
  if (child.pid !== undefined) child.kill('SIGKILL');
}
