/**
 * The real program on a real pseudo terminal, before a daemon in memory: what it sends is shown by
 * a terminal in memory, which answers as a real one does. Always holds: the program is ended by its
 * own id when the desk is left. Imports the pty and the terminal.
 */
import { spawn, type IPty } from 'node-pty';
import { fileURLToPath } from 'node:url';
import type { ControlOptions } from '../../src/control/server.ts';
import { openBench, type Bench } from '../control/harness.ts';
import { Glass } from './glass.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** How long a screen may take to come before the test gives up; no figure is asserted. */
const PATIENCE_MS = 20_000;

export interface DeskOptions {
  readonly term: string;
  readonly rows?: number;
  readonly columns?: number;
  readonly lang?: string;
  /** The system does not know the size, as on a serial line. */
  readonly noSize?: boolean;
  /** A terminal that answers nothing. */
  readonly mute?: boolean;
  readonly args?: readonly string[];
  /** How the daemon's server is started. */
  readonly control?: Partial<ControlOptions>;
}

/** A technician's desk. */
export class Desk implements AsyncDisposable {
  readonly bench: Bench;
  readonly glass: Glass;
  readonly #pty: IPty;
  readonly exit: Promise<{ readonly exitCode: number; readonly signal?: number | undefined }>;
  #ended = false;
  #writes: Promise<void> = Promise.resolve();
  /** Everything that came, for the plain mode. */
  text = '';

  private constructor(bench: Bench, options: DeskOptions) {
    const { term, rows = 24, columns = 80, lang = 'C', noSize = false, args = [] } = options;
    this.bench = bench;
    this.glass = new Glass(rows, columns);
    const words = [MAIN, 'console', '--socket', bench.socketPath, ...args];
    const command = [process.execPath, ...words].map((word) => `'${word}'`).join(' ');
    const before = noSize ? 'stty rows 0 cols 0; ' : '';
    this.#pty = spawn('/bin/sh', ['-c', `${before}exec ${command}`], {
      name: term,
      rows,
      cols: columns,
      env: { PATH: process.env['PATH'] ?? '', TERM: term, LANG: lang, TZ: 'UTC', USER: 'tech' },
      encoding: null,
    });
    this.exit = new Promise((resolve) => {
      this.#pty.onExit((end) => {
        this.#ended = true;
        resolve(end);
      });
    });
    this.#pty.onData((data) => {
      const bytes = data as unknown as Buffer;
      this.text += bytes.toString('utf8');
      this.#writes = this.#show(this.#writes, bytes, options.mute ?? false);
    });
  }

  async #show(before: Promise<void>, bytes: Buffer, mute: boolean): Promise<void> {
    await before;
    await this.glass.write(bytes);
    if (!mute && this.glass.said !== '') this.send(this.glass.said);
    this.glass.said = '';
  }

  static async open(options: DeskOptions, prepare: (bench: Bench) => void = () => {}) {
    const bench = await openBench(options.control);
    prepare(bench);
    return new Desk(bench, options);
  }

  /** Types bytes. */
  send(text: string): void {
    if (!this.#ended) this.#pty.write(text);
  }

  /** Waits until the screen is as wanted; fails with the screen. */
  async until(wanted: (lines: readonly string[]) => boolean): Promise<readonly string[]> {
    const endMs = performance.now() + PATIENCE_MS;
    for (;;) {
      await this.#writes;
      const lines = this.glass.lines();
      if (wanted(lines)) return lines;
      if (performance.now() > endMs) throw new Error(`not shown:\n${lines.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits until a line has the words. */
  async untilShown(words: string | RegExp): Promise<readonly string[]> {
    const found = (line: string): boolean =>
      typeof words === 'string' ? line.includes(words) : words.test(line);
    return this.until((lines) => lines.some(found));
  }

  /** Waits until what came has the words. */
  async untilSaid(words: string): Promise<void> {
    await this.until(() => this.text.includes(words));
  }

  /** The terminal takes nothing any more, as a line that is stopped. */
  stall(): void {
    this.#pty.pause();
  }

  /** It takes again. */
  release(): void {
    this.#pty.resume();
  }

  resize(rows: number, columns: number): void {
    this.glass.resize(rows, columns);
    this.#pty.resize(columns, rows);
  }

  /** The line is cut. */
  hangUp(): void {
    this.#pty.kill('SIGHUP');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.#pty.kill('SIGKILL');
    await this.exit;
    await this.bench[Symbol.asyncDispose]();
  }
}
