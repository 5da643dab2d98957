/**
 * Opens a console on the terminal of this process, or serves one on a serial port. Always holds:
 * how it is shown follows from the terminal alone unless it was asked for. Imports the control
 * client and the parts of the console.
 */
import { isatty } from 'node:tty';
import { renderOptions } from '../src/cli/values.ts';
import { runAt, type ConsoleOptions, type Place } from './run.ts';
import type { FlowControl } from './terminal/channel.ts';
import { kindOf } from './terminal/kinds.ts';
import { hideTyping, lineSpeed, ownTerminal, terminalPath } from './terminal/tty.ts';

/** How and where a console is asked for. */
export interface StartOptions extends ConsoleOptions {
  /** Line by line, whatever the terminal can do. */
  readonly plain: boolean;
  /** Path of a serial port on which consoles are served; else the terminal of this process. */
  readonly serial: string | undefined;
  /** The word for the terminal, where TERM does not say it. */
  readonly term: string | undefined;
  /** Speed of the line in bits per second, where the system does not know it. */
  readonly baud: number | undefined;
  /** Flow control of the line; as the system has it where this is not said. */
  readonly flow: FlowControl | undefined;
}

/** Runs a console until it ends; on a serial port one after the other, until `io.signal`. */
export async function runConsole(options: StartOptions): Promise<void> {
  const { serial, baud, flow, io } = options;
  const noColour = (io.env['NO_COLOR'] ?? '') !== '';
  if (serial !== undefined) {
    const kind = options.plain ? null : kindOf(options.term ?? 'vt100', { noColour });
    const { runSerial } = await import('./serial.ts');
    return runSerial({ ...options, path: serial, kind, baud, flow: flow ?? 'none' });
  }
  const terminal = isatty(0) && isatty(1);
  const kind = kindOf(options.term ?? io.env['TERM'], { noColour });
  const { unicode, columns } = renderOptions(io);
  const place: Place = {
    kind: terminal && !options.plain ? kind : null,
    unicode,
    columns,
    tty: terminal ? terminalPath() : null,
    baud: baud ?? (terminal ? await lineSpeed() : null),
    open: ownTerminal(flow ?? null),
    openLines: () => ({
      input: process.stdin,
      print: io.out,
      hide: isatty(0) ? hideTyping : () => {},
      [Symbol.dispose]: () => {},
    }),
    signal: io.signal,
  };
  return runAt(place, options);
}
