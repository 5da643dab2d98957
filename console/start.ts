/**
 * Opens a console on a terminal and waits until the person leaves, the line hangs up, or the input
 * ends. Always holds: the way it is shown follows from the terminal alone unless it was asked for.
 * Imports the control client and the parts of the console.
 */
import { renderOptions } from '../src/cli/values.ts';
import type { CliIo } from '../src/cli/verb.ts';
import type { ControlClient } from '../src/control/client.ts';
import { MEDIA } from './bundles.ts';
import { PLAIN_ROWS, PlainView } from './plain.ts';
import { Session } from './session.ts';

/** How a console is asked for. */
export interface ConsoleOptions {
  readonly client: ControlClient;
  readonly io: CliIo;
  readonly readonly: boolean;
  /** A folder in which bundles are looked for, beside removable media. */
  readonly bundles: string | undefined;
}

/** Runs a console in plain mode on standard input and output until it ends. */
export async function runPlainConsole(options: ConsoleOptions): Promise<void> {
  const { client, io, bundles } = options;
  const over = new AbortController();
  const signal = AbortSignal.any([io.signal, over.signal]);
  let view: PlainView | null = null;
  await using session = new Session({
    client,
    readonly: options.readonly,
    bundleRoots: bundles === undefined ? MEDIA : [bundles, ...MEDIA],
    onChange: (cause) => view?.show(session.state, cause),
    onLeave: () => over.abort(),
    onRedraw: () => view?.show(session.state, 'answer'),
  });
  const outside = { input: process.stdin, out: io.out, options: renderOptions(io) };
  view = new PlainView(outside, session.state);
  session.start();
  await view.read((key) => session.press(key, PLAIN_ROWS), signal);
}
