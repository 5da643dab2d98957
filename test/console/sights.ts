/**
 * What is looked at in tests and pictures: each screen of the console in the states that matter,
 * and the kinds of terminals. Imports the console and the worlds.
 */
import { picture } from '../../console/layout.ts';
import { Canvas } from '../../console/terminal/canvas.ts';
import { entering, kindOf } from '../../console/terminal/kinds.ts';
import { precheckReport, takeoverView } from '../memory/backend.ts';
import { Glass } from './glass.ts';
import { daemonGone, Led, SHEET, WORLDS } from './worlds.ts';

const source = { path: '/media/usb/update-2.0.0.bin' };

/** A console that has just been told the checks of a bundle. */
function checked(failed: boolean): Led {
  const led = new Led(WORLDS.well).press('u', 't', source.path, 'enter');
  const report = precheckReport({
    ok: !failed,
    message: failed ? 'node B does not answer' : 'every check passed; nothing was changed',
    next: failed ? 'Bring node B back, then check again.' : null,
    code: failed ? 'pair.peer_unreachable' : null,
    checks: [
      { name: 'idle', result: 'ok', code: null, detail: 'no update is running', fix: null },
      failed
        ? {
            name: 'link',
            result: 'failed',
            code: 'pair.peer_unreachable',
            detail: 'node B does not answer',
            fix: 'check its power and the cable between the nodes',
          }
        : { name: 'link', result: 'ok', code: null, detail: 'node B answers', fix: null },
      {
        name: 'clock',
        result: 'warning',
        code: null,
        detail: 'the clocks are 90 s apart',
        fix: 'set them; the update does not need it',
      },
    ],
  });
  return led.take({ id: led.asks.at(-1)!.id, answer: { kind: 'checks', source, report } });
}

function choosing(): Led {
  const led = new Led(WORLDS.well).press('u');
  const bundles = ['2.0.0', '2.1.0', '3.0.0-rc1'].map((version) => ({
    source: { path: `/media/usb/update-${version}.bin` },
    name: `/media/usb/update-${version}.bin`,
    note: '319 MiB',
  }));
  return led.take({ id: 1, answer: { kind: 'bundles', bundles } });
}

function takingOver(): Led {
  const led = new Led(WORLDS.frozen).press('r', 't');
  return led.take({ id: 1, answer: { kind: 'takeover', view: takeoverView() } });
}

/** What is looked at: each screen in the states that matter. */
export const SIGHTS: Readonly<Record<string, () => Led>> = {
  'asking the daemon': () => new Led(null),
  'daemon gone': () => new Led(WORLDS.well).take(daemonGone(12_000)),
  overview: () => new Led(WORLDS.well),
  'overview, peer silent': () => new Led(WORLDS.silent),
  'overview, frozen, read-only': () => new Led(WORLDS.frozen, true),
  'overview, safe mode': () => new Led(WORLDS.safeMode),
  'overview, node on trial': () => new Led(WORLDS.trial),
  'overview, scheduled and prepared': () => new Led(WORLDS.scheduled),
  'overview, a question': () => new Led(WORLDS.asking),
  'scheduled and prepared': () => new Led(WORLDS.asking).press('t'),
  'put it off': () => new Led(WORLDS.scheduled).press('t', 'd', 'clear', '90m', 'enter', 'enter'),
  'details, scheduled': () => new Led(WORLDS.scheduled).press('v', 'pagedown'),
  details: () => new Led(WORLDS.updated).press('v'),
  'details, second page': () => new Led(WORLDS.updated).press('v', 'pagedown'),
  'cluster, syncing': () => new Led(WORLDS.syncing).press('c'),
  'cluster, ready': () => new Led(WORLDS.well).press('c'),
  'choose a bundle': () => choosing().press('down'),
  'checks passed': () => checked(false),
  'checks failed': () => checked(true),
  'confirm an update': () => checked(false).press('s', '2.0.0', 'enter', 'fans are l'),
  'update, installing': () => new Led(WORLDS.installing).press('u'),
  'update, on trial': () => new Led(WORLDS.trial).press('u'),
  'update, failed': () => new Led(WORLDS.failed).press('u', 'p'),
  'update, done': () => new Led(WORLDS.updated).press('u', 'p'),
  slots: () => new Led(WORLDS.updated).press('s'),
  'confirm a rollback, wrong word': () => new Led(WORLDS.updated).press('s', 'b', '2', 'enter'),
  roles: () => new Led(WORLDS.well).press('r'),
  'confirm a takeover': takingOver,
  help: () => new Led(WORLDS.well).press('?'),
  'leave the console': () => new Led(WORLDS.well).press('q'),
};

/** Kinds that look alike, under the name of the file with their screens. */
export const LOOKS: Readonly<
  Record<string, readonly (readonly [term: string, noColour?: boolean])[]>
> = {
  mono: [['vt100'], ['vt102'], ['vt220'], ['unknown-3000'], ['xterm', true]],
  colour: [['ansi'], ['linux'], ['xterm'], ['xterm-256color'], ['screen'], ['putty'], ['tmux']],
};

/** The screen as the terminal shows it. */
export async function seen(
  term: string,
  noColour: boolean,
  led: Led,
  unicode: boolean,
): Promise<Glass> {
  const kind = kindOf(term, { noColour })!;
  using canvas = new Canvas(kind, SHEET, unicode);
  const glass = new Glass();
  await glass.write(entering(kind));
  await glass.write(canvas.draw(picture(led.state, { ...SHEET, unicode })));
  return glass;
}
