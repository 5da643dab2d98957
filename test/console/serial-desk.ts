/**
 * A technician at a serial port that the real program has opened by itself: the port is one end of
 * a pseudo terminal, its other end a terminal in memory, with a cable that can be pulled. Always
 * holds: programs are ended by their own ids. Imports the terminals and the daemon in memory.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ControlOptions } from '../../src/control/server.ts';
import { openBench, type Bench } from '../control/harness.ts';
import { hangUp, openPty, type Pty } from '../drivers/pty-cable.ts';
import { Glass } from './glass.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** How long a screen may take to come before the test gives up; no figure is asserted. */
const PATIENCE_MS = 20_000;

/** Why there can be no terminals here, or false. */
export async function noTerminals(): Promise<string | false> {
  try {
    await hangUp(await openPty());
    return false;
  } catch (error) {
    return `no pseudo terminals here: ${String(error)}`;
  }
}

export interface SerialDeskOptions {
  readonly args?: readonly string[];
  readonly rows?: number;
  readonly columns?: number;
  /** A terminal that answers nothing. */
  readonly mute?: boolean;
  /** How the daemon's server is started. */
  readonly control?: Partial<ControlOptions>;
  /** There is no port yet. */
  readonly unplugged?: boolean;
}

export class SerialDesk implements AsyncDisposable {
  readonly bench: Bench;
  readonly path: string;
  readonly glass: Glass;
  readonly #folder: string;
  readonly #program: ChildProcess;
  readonly #mute: boolean;
  #pty: Pty | null = null;
  #writes: Promise<void> = Promise.resolve();
  #stalled = false;
  /** Everything that came over the line, and what the program said to its log. */
  text = '';
  log = '';

  private constructor(bench: Bench, folder: string, options: SerialDeskOptions) {
    this.bench = bench;
    this.#folder = folder;
    this.path = join(folder, 'ttyS9');
    this.#mute = options.mute ?? false;
    this.glass = new Glass(options.rows, options.columns);
    const { args = ['--term', 'vt220', '--baud', '115200'] } = options;
    const words = ['console', '--socket', bench.socketPath, '--serial', this.path, ...args];
    this.#program = spawn(process.execPath, [MAIN, ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        LANG: 'C.UTF-8',
        TZ: 'UTC',
        USER: 'tech',
        // At a serial port the console socket is taken; this daemon in memory knows no logins.
        TANDEM_CONSOLE_SOCKET: bench.socketPath,
      },
    });
    this.#program.stderr!.on('data', (chunk: Buffer) => {
      this.log += chunk.toString();
    });
  }

  static async open(options: SerialDeskOptions = {}): Promise<SerialDesk> {
    const bench = await openBench(options.control);
    const folder = await mkdtemp(join(tmpdir(), 'tandem-serial-'));
    const desk = new SerialDesk(bench, folder, options);
    if (options.unplugged !== true) await desk.plug();
    return desk;
  }

  /** A port appears at the path, as an adapter that is plugged in. */
  async plug(): Promise<void> {
    const pty = await openPty();
    this.#pty = pty;
    pty.process.stdout!.on('data', (bytes: Buffer) => {
      this.text += bytes.toString('latin1');
      this.#writes = this.#show(this.#writes, bytes);
    });
    if (!this.#stalled) pty.process.stdout!.resume();
    await symlink(pty.path, `${this.path}.new`);
    await rename(`${this.path}.new`, this.path);
  }

  /** The adapter is pulled. */
  async unplug(): Promise<void> {
    await rm(this.path, { force: true });
    if (this.#pty !== null) await hangUp(this.#pty);
    this.#pty = null;
  }

  async #show(before: Promise<void>, bytes: Buffer): Promise<void> {
    await before;
    await this.glass.write(bytes);
    if (!this.#mute && this.glass.said !== '') this.send(this.glass.said);
    this.glass.said = '';
  }

  send(text: string): void {
    this.#pty?.process.stdin!.write(Buffer.from(text, 'latin1'));
  }

  stall(): void {
    this.#stalled = true;
    this.#pty?.process.stdout!.pause();
  }

  release(): void {
    this.#stalled = false;
    this.#pty?.process.stdout!.resume();
  }

  async until(wanted: () => boolean): Promise<void> {
    const endMs = performance.now() + PATIENCE_MS;
    while (!wanted()) {
      await this.#writes;
      if (performance.now() > endMs) {
        throw new Error(`never held:\n${this.glass.lines().join('\n')}\n${this.log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async untilShown(words: string): Promise<void> {
    await this.until(() => this.glass.lines().some((line) => line.includes(words)));
  }

  async untilSaid(words: string): Promise<void> {
    await this.until(() => this.text.includes(words));
  }

  async untilLogged(words: string): Promise<void> {
    await this.until(() => this.log.includes(words));
  }

  /** Ends the program as a service manager does; its exit status. */
  async end(): Promise<number | null> {
    this.#program.kill('SIGTERM');
    const [code] = (await once(this.#program, 'exit')) as [number | null];
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode, pid } = this.#program;
    if (exitCode === null && signalCode === null && pid !== undefined) {
      const ended = once(this.#program, 'exit');
      this.#program.kill('SIGKILL');
      await ended;
    }
    await this.unplug();
    await this.bench[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
