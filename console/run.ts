/**
 * One console at one place, from its first screen until the person leaves, the line hangs up, or
 * the input ends. Always holds: when the line is busy the newest picture waits and older ones are
 * never sent; a terminal that is too small for screens gets lines; the session is ended before the
 * terminal is given back. Imports the parts of the console and the values of the command line.
 */
import type { Readable } from 'node:stream';
import type { CliIo } from '../src/cli/verb.ts';
import type { ControlClient } from '../src/control/client.ts';
import { isWatching } from './access.ts';
import { MEDIA } from './bundles.ts';
import type { OpenShell, Seat } from './carry-out.ts';
import { bodyRows, picture, SIZE_MIN } from './layout.ts';
import { PLAIN_ROWS, PlainView } from './plain.ts';
import { Session, type SessionOptions } from './session.ts';
import type { Access } from './state.ts';
import { Canvas } from './terminal/canvas.ts';
import type { OpenChannel, Size } from './terminal/channel.ts';
import type { Kind } from './terminal/kinds.ts';
import { TerminalLine } from './terminal/line.ts';

/** How a console is asked for, wherever it is shown. */
export interface ConsoleOptions {
  readonly client: ControlClient;
  readonly io: CliIo;
  readonly readonly: boolean;
  /** A folder in which bundles are looked for, beside removable media. */
  readonly bundles: string | undefined;
  /** Told with every change whether somebody is logged in. */
  readonly onAccess?: (at: Access['at']) => void;
}

/** Lines in and text out, for the plain mode. */
export interface LinePlace extends Disposable {
  readonly input: Readable;
  readonly print: (text: string) => void;
  /** While it is on, what is typed is not shown: it is a password. */
  readonly hide: (on: boolean) => void;
}

/** Where a console is shown. */
export interface Place {
  /** What the terminal can do; null for lines only. */
  readonly kind: Kind | null;
  /** The terminal surely shows Unicode. */
  readonly unicode: boolean;
  /** Columns of lines where there are no screens. */
  readonly columns: number;
  /** Path of the terminal, for the list of who is logged in; null where there is none. */
  readonly tty: string | null;
  /** Bits per second, where they are known. */
  readonly baud: number | null;
  readonly open: OpenChannel;
  readonly openLines: () => LinePlace;
  /** Aborted when the console has to end. */
  readonly signal: AbortSignal;
}

/** Runs one console until its end. */
export async function runAt(place: Place, options: ConsoleOptions): Promise<void> {
  if (place.kind === null) return runPlain(place, options);
  const small = await runScreen(place, place.kind, options);
  if (small === null) return;
  const { columns, rows } = small;
  const words =
    `This terminal has ${columns}x${rows}, ${SIZE_MIN.columns}x${SIZE_MIN.rows} is needed for ` +
    'screens: the console goes on line by line.\n';
  return runPlain(place, options, words);
}

type Wanted = Pick<SessionOptions, 'onChange' | 'onLeave' | 'onRedraw' | 'openShell'>;

function openSession(
  { tty }: Place,
  { client, readonly, bundles, io, onAccess }: ConsoleOptions,
  wanted: Wanted,
): Session {
  const bundleRoots = bundles === undefined ? MEDIA : [bundles, ...MEDIA];
  const seat = seatOf(tty, io.env['SSH_CONNECTION']);
  const session = new Session({
    client,
    readonly,
    bundleRoots,
    seat,
    ...wanted,
    onChange: (cause) => {
      onAccess?.(session.state.access.at);
      wanted.onChange(cause);
    },
  });
  return session;
}

/** What the daemon takes as the name of a terminal or an address. */
const PLACE = /^[!-~]{1,64}$/;

/** Where the person sits, for other people: the terminal, and where an SSH client is. */
export function seatOf(tty: string | null, ssh: string | undefined): Seat {
  const remote = ssh?.split(' ')[0] ?? '';
  return {
    ...(tty !== null && PLACE.test(tty) ? { tty } : {}),
    ...(PLACE.test(remote) ? { remote } : {}),
  };
}

async function runPlain(place: Place, options: ConsoleOptions, words = ''): Promise<void> {
  const { unicode, columns } = place;
  const over = new AbortController();
  const signal = AbortSignal.any([place.signal, over.signal]);
  let view: PlainView | null = null;
  using lines = place.openLines();
  if (words !== '') lines.print(words);
  await using session = openSession(place, options, {
    onChange: (cause) => view?.show(session.state, cause),
    onLeave: () => over.abort(),
    onRedraw: () => view?.show(session.state, 'answer'),
  });
  const { input, print: out, hide } = lines;
  const outside = { input, out, hide, options: { columns, unicode } };
  view = new PlainView(outside, session.state);
  session.start();
  await view.read((key) => session.press(key, PLAIN_ROWS), signal);
}

/** Runs the screens; returns the size of a terminal that is too small for them, else null. */
async function runScreen(place: Place, kind: Kind, options: ConsoleOptions): Promise<Size | null> {
  const { baud, unicode, open, signal } = place;
  const { client, io } = options;
  const over = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => over.resolve(), { once: true });
  if (signal.aborted) return null;
  // The drawing library would print a stack over the screen; this way the terminal is given back.
  using _mistakes = catchMistakes((error) => over.reject(error));
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
    open,
    baud,
    onKey: (key) => session.press(key, bodyRows(line.size.rows)),
    onResize: resize,
    onFree: show,
    onHangUp: () => over.resolve(),
  });
  let endShell: (() => void) | null = null;
  const openShell: OpenShell = async (reason, signal) => {
    const { gateOf, runShell } = await import('./shell.ts');
    const left = new AbortController();
    endShell = () => left.abort();
    const until = AbortSignal.any([signal, left.signal]);
    const shell = { gate: gateOf(client), reason, line, kind, env: io.env, signal: until };
    return runShell({ ...shell, onActivity: () => session.typed() }).finally(resize);
  };
  await using session = openSession(place, options, {
    onChange: () => {
      // Whoever left a shell alone for too long finds no shell.
      if (isWatching(session.state)) endShell?.();
      show();
    },
    onLeave: () => over.resolve(),
    onRedraw: () => void line.renew().then(resize),
    openShell,
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
