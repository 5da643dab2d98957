/**
 * Consoles on a serial port without a login program: opens the port, waits until somebody presses
 * Enter, runs a console, waits again. Always holds: a port that is missing, locked or unplugged is
 * tried again at most once a second, and what is wrong with it is said once on standard error;
 * something else that lies at its path is refused and not tried again; a break ends the console
 * on it, so the next person finds none that is open. Imports the serial port and the parts of the
 * console.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { asUpdateError, UpdateError } from '../src/core/errors.ts';
import { openSerialPort } from '../src/drivers/serial-port.ts';
import { runAt, type ConsoleOptions, type Place } from './run.ts';
import type { FlowControl } from './terminal/channel.ts';
import { Keyboard } from './terminal/keyboard.ts';
import { leaving, type Kind } from './terminal/kinds.ts';
import { LineDesk } from './terminal/lines.ts';
import { Port } from './terminal/port.ts';

/** Between two tries to open a port. */
const RETRY_MS = 1000;
/** What a console port has that nobody set otherwise. */
const BAUD = 9600;
/** Columns of lines; the terminal at the other end is not asked in the plain mode. */
const COLUMNS = 79;

const GREETING = '\r\nTandem maintenance console. Press Enter.\r\n';
/** Rows of a terminal that nobody has asked yet. */
const ROWS = 24;

/** How consoles are served on a port. */
export interface SerialOptions extends ConsoleOptions {
  readonly path: string;
  readonly kind: Kind | null;
  readonly baud: number | undefined;
  readonly flow: FlowControl;
  /** Between two tries to open the port. */
  readonly retryMs?: number;
}

/** Serves consoles on a port until `io.signal` aborts; throws `console.no_port` where none is. */
export async function runSerial(options: SerialOptions): Promise<void> {
  const { io, path, baud = BAUD, flow, retryMs = RETRY_MS } = options;
  let said = '';
  const say = (words: string): void => {
    if (words !== said) io.err(`tandem console: ${words}\n`);
    said = words;
  };
  while (!io.signal.aborted) {
    try {
      await using port = new Port(await openSerialPort(path, baud, flow));
      say(`serves ${path} at ${baud} baud`);
      await servePort(port, { ...options, baud });
      if (port.gone && !io.signal.aborted) say(`${path} is gone; waiting until it is back`);
    } catch (error) {
      const { message, detail } = asUpdateError(error);
      if (detail?.['port'] === false) throw new UpdateError('console.no_port', message);
      say(`${message}; trying again until it can be opened`);
    }
    await sleep(retryMs, undefined, { signal: io.signal }).catch(() => {});
  }
}

/** One console after the other until the port is gone. */
async function servePort(
  port: Port,
  options: SerialOptions & { readonly baud: number },
): Promise<void> {
  const { io, kind, baud } = options;
  while (!io.signal.aborted && !port.gone) {
    if (!(await called(port, kind, io.signal))) continue;
    const over = new AbortController();
    const place: Place = {
      kind,
      // A wrong guess would be unreadable, and nothing on a port tells.
      unicode: false,
      columns: COLUMNS,
      tty: options.path,
      baud,
      open: port.open,
      openLines: () => {
        const desk = new LineDesk(port.open, () => over.abort());
        return {
          input: desk.input,
          print: (text) => desk.print(text),
          hide: (on) => desk.hide(on),
          [Symbol.dispose]: () => desk[Symbol.dispose](),
        };
      },
      signal: AbortSignal.any([io.signal, over.signal]),
    };
    await runAt(place, options);
  }
}

/** Greets, and waits for Enter; false when it did not come. */
async function called(port: Port, kind: Kind | null, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const stop = (): void => resolve(false);
  const keyboard = new Keyboard({
    onKey: (key) => {
      if ('name' in key && key.name === 'enter') resolve(true);
    },
    onPosition: () => {},
  });
  const channel = port.open({
    onBytes: (bytes) => keyboard.feed(bytes),
    onResize: () => {},
    onFree: () => {},
    onHangUp: () => {
      if (port.gone) stop();
    },
  });
  signal.addEventListener('abort', stop, { once: true });
  if (port.gone || signal.aborted) stop();
  // A break leaves the terminal as it was in the middle of a screen.
  else channel.send((kind === null ? '' : leaving(kind, ROWS)) + GREETING, () => {});
  const here = await promise;
  signal.removeEventListener('abort', stop);
  keyboard.end();
  channel.release(true);
  return here;
}
