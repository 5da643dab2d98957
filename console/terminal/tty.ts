/**
 * The terminal of this process as a channel: raw input, output that never blocks, the size that the
 * system knows, the speed of a serial line. Always holds: a terminal that stalls does not stop this
 * process; its mode is put back at the end. Imports Node and the shape of a channel.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { ReadStream, WriteStream } from 'node:tty';
import type { Channel, ChannelEvents, FlowControl, OpenChannel, Size } from './channel.ts';

/** What a size is believed to be. */
const SANE = { min: 4, max: 500 } as const;

/** Opens standard input and output as they are; `flow` is left to the system when it is null. */
export function ownTerminal(flow: FlowControl | null): OpenChannel {
  return (events) => new OwnTerminal(events, flow);
}

class OwnTerminal implements Channel {
  readonly #input = new ReadStream(0);
  readonly #output = new WriteStream(1);
  /** Node looks at the size by itself only for its own standard streams. */
  readonly #onSizeSignal = (): void => refreshSize(this.#output);

  constructor(events: ChannelEvents, flow: FlowControl | null) {
    unblock(this.#output);
    this.#input.setRawMode(true);
    // The raw mode of Node takes XON and XOFF for keys; a terminal that needs them would lose text.
    if (flow !== null) stty(flowWords(flow));
    this.#input.on('data', (bytes: Buffer) => events.onBytes(bytes));
    for (const event of ['end', 'close', 'error'] as const) {
      this.#input.on(event, () => events.onHangUp());
    }
    this.#output.on('error', () => events.onHangUp());
    this.#output.on('drain', () => events.onFree());
    this.#output.on('resize', () => events.onResize());
    process.on('SIGWINCH', this.#onSizeSignal);
    this.#input.resume();
  }

  get size(): Size | null {
    const { rows, columns } = this.#output;
    return sane({ rows, columns });
  }

  get waiting(): boolean {
    return this.#output.writableLength > 0;
  }

  send(bytes: string | Uint8Array, taken: () => void): void {
    if (!this.#output.destroyed) this.#output.write(bytes, taken);
  }

  tellSize({ rows, columns }: Size): void {
    stty(['rows', String(rows), 'cols', String(columns)]);
  }

  release(clean: boolean): void {
    process.off('SIGWINCH', this.#onSizeSignal);
    // The system waits for the line before it changes the mode, and a stalled one would hold this
    // process; there Node puts the mode back at its end, without waiting.
    if (clean && !this.#input.destroyed) this.#input.setRawMode(false);
    this.#input.destroy();
    this.#output.destroy();
  }
}

/** A terminal blocks the whole process when it stalls, unless it is told not to. */
function unblock(output: WriteStream): void {
  const { _handle: handle } = output as unknown as {
    readonly _handle?: { readonly setBlocking?: (on: boolean) => void };
  };
  handle?.setBlocking?.(false);
}

/** Asks the system for the size anew; the stream tells when it is another one. */
function refreshSize(output: WriteStream): void {
  (output as unknown as { readonly _refreshSize?: () => void })._refreshSize?.();
}

/** The size when it is one that a terminal may have, else null. */
export function sane(size: Size): Size | null {
  return isSane(size.rows) && isSane(size.columns) ? size : null;
}

function isSane(count: number): boolean {
  return count >= SANE.min && count <= SANE.max;
}

/** Any key goes on after XOFF, so that a Ctrl-S by mistake freezes nothing. */
function flowWords(flow: FlowControl): readonly string[] {
  switch (flow) {
    case 'none':
      return ['-ixon', '-ixoff', '-crtscts'];
    case 'xonxoff':
      return ['ixon', 'ixoff', 'ixany', '-crtscts'];
    case 'rtscts':
      return ['-ixon', '-ixoff', 'crtscts'];
  }
}

/** Changes this terminal with the system's own program; where there is none it stays as it is. */
function stty(words: readonly string[]): void {
  spawn('stty', words, { stdio: ['inherit', 'ignore', 'ignore'] }).on('error', () => {});
}

/** Speed of the line in bits per second; null where standard input is no serial line. */
export async function lineSpeed(): Promise<number | null> {
  const device = terminalPath();
  if (device === null || !/^\/dev\/tty[A-Z]/.test(device)) return null;
  const said = await new Promise<string>((resolve) => {
    const child = spawn('stty', ['speed'], { stdio: ['inherit', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    child.on('error', () => resolve(''));
    child.on('close', () => resolve(text));
  });
  const speed = Number(said.trim());
  return speed >= 50 ? speed : null;
}

/** Tells the system whether it shows what is typed; done when it returns, before the next key. */
export function hideTyping(on: boolean): void {
  spawnSync('stty', [on ? '-echo' : 'echo'], { stdio: ['inherit', 'ignore', 'ignore'] });
}

/** Path of the terminal on standard input; null where the system does not say it. */
export function terminalPath(): string | null {
  try {
    return readlinkSync('/proc/self/fd/0');
  } catch {
    return null;
  }
}
