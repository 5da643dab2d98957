/**
 * Opens a console on a terminal and waits until the person leaves, the line hangs up, or the input
 * ends. Always holds: how it is shown follows from the terminal alone unless it was asked for; when
 * the line is busy the newest picture waits and older ones are never sent. Imports the control
 * client and the parts of the console.
 */
import { isatty } from 'node:tty';
import { renderOptions } from '../src/cli/values.ts';
import type { CliIo } from '../src/cli/verb.ts';
import type { ControlClient } from '../src/control/client.ts';
import { MEDIA } from './bundles.ts';
import { bodyRows, picture, SIZE_MIN } from './layout.ts';
import { PLAIN_ROWS, PlainView } from './plain.ts';
import { Session, type SessionOptions } from './session.ts';
import { Canvas } from './terminal/canvas.ts';
import { kindOf, type Kind } from './terminal/kinds.ts';
import { lineSpeed, TerminalLine } from './terminal/line.ts';

/** How a console is asked for. */
export interface ConsoleOptions {
  readonly client: ControlClient;
  readonly io: CliIo;
  readonly readonly: boolean;
  /** Line by line, whatever the terminal can do. */
  readonly plain: boolean;
  /** Speed of the line in bits per second, where the system does not know it. */
  readonly baud: number | undefined;
  /** A folder in which bundles are looked for, beside removable media. */
  readonly bundles: string | undefined;
}

/** Runs a console on standard input and output until it ends. */
export async function runConsole(options: ConsoleOptions): Promise<void> {
  const { env } = options.io;
  const noColour = (env['NO_COLOR'] ?? '') !== '';
  const kind = isatty(0) && isatty(1) ? kindOf(env['TERM'], { noColour }) : null;
  if (options.plain || kind === null) return runPlain(options);
  const small = await runScreen(options, kind);
  if (small === null) return;
  const { columns, rows } = small;
  options.io.out(
    `This terminal has ${columns}x${rows}, ${SIZE_MIN.columns}x${SIZE_MIN.rows} is needed for ` +
      'screens: the console goes on line by line.\n',
  );
  return runPlain(options);
}

type Wanted = Pick<SessionOptions, 'onChange' | 'onLeave' | 'onRedraw'>;

function openSession({ client, readonly, bundles }: ConsoleOptions, wanted: Wanted): Session {
  const bundleRoots = bundles === undefined ? MEDIA : [bundles, ...MEDIA];
  return new Session({ client, readonly, bundleRoots, ...wanted });
}

async function runPlain(options: ConsoleOptions): Promise<void> {
  const { io } = options;
  const over = new AbortController();
  const signal = AbortSignal.any([io.signal, over.signal]);
  let view: PlainView | null = null;
  await using session = openSession(options, {
    onChange: (cause) => view?.show(session.state, cause),
    onLeave: () => over.abort(),
    onRedraw: () => view?.show(session.state, 'answer'),
  });
  const outside = { input: process.stdin, out: io.out, options: renderOptions(io) };
  view = new PlainView(outside, session.state);
  session.start();
  await view.read((key) => session.press(key, PLAIN_ROWS), signal);
}

/** Runs the screens; returns the size of a terminal that is too small for them, else null. */
async function runScreen(
  options: ConsoleOptions,
  kind: Kind,
): Promise<{ readonly rows: number; readonly columns: number } | null> {
  const over = Promise.withResolvers<void>();
  options.io.signal.addEventListener('abort', () => over.resolve(), { once: true });
  if (options.io.signal.aborted) return null;
  // The drawing library would print a stack over the screen; this way the terminal is given back.
  using _mistakes = catchMistakes((error) => over.reject(error));
  const { unicode } = renderOptions(options.io);
  let canvas: Canvas | null = null;
  const show = (): void => {
    // A busy line says when it is free; what is shown then is the newest state.
    if (canvas === null || line.busy) return;
    line.write(canvas.draw(picture(session.state, { ...line.size, unicode })));
  };
  const resize = (): void => {
    canvas?.resize(line.size);
    show();
  };
  await using line = new TerminalLine({
    kind,
    baud: options.baud ?? (await lineSpeed()),
    onKey: (key) => session.press(key, bodyRows(line.size.rows)),
    onResize: resize,
    onFree: show,
    onHangUp: () => over.resolve(),
  });
  await using session = openSession(options, {
    onChange: show,
    onLeave: () => over.resolve(),
    onRedraw: () => void line.askSize().then(resize),
  });
  await line.enter();
  const first = line.size;
  if (first.rows < SIZE_MIN.rows || first.columns < SIZE_MIN.columns) return first;
  using drawn = new Canvas(kind, first, unicode);
  canvas = drawn;
  session.start();
  show();
  await over.promise;
  return null;
}

/** Hands what nobody has caught to `onMistake`, until it is disposed of. */
function catchMistakes(onMistake: (error: Error) => void): Disposable {
  process.on('uncaughtException', onMistake);
  return { [Symbol.dispose]: () => void process.off('uncaughtException', onMistake) };
}
