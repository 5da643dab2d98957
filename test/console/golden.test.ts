/**
 * Every screen on every kind of terminal, cell by cell against the golden screens in the folder
 * beside: text that is reviewed like code. `GOLDEN=write` writes them anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { listing, picture } from '../../console/layout.ts';
import { Canvas } from '../../console/terminal/canvas.ts';
import { entering, kindOf } from '../../console/terminal/kinds.ts';
import { precheckReport, takeoverView } from '../memory/backend.ts';
import { Glass } from './glass.ts';
import { PEOPLE_SIGHTS } from './people.ts';
import { daemonGone, Led, SHEET, WORLDS } from './worlds.ts';

process.env['TZ'] = 'UTC';
const FOLDER = fileURLToPath(new URL('golden/', import.meta.url));

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
const SIGHTS: Readonly<Record<string, () => Led>> = {
  'asking the daemon': () => new Led(null),
  'daemon gone': () => new Led(WORLDS.well).take(daemonGone(12_000)),
  overview: () => new Led(WORLDS.well),
  'overview, peer silent': () => new Led(WORLDS.silent),
  'overview, frozen, read-only': () => new Led(WORLDS.frozen, true),
  'overview, safe mode': () => new Led(WORLDS.safeMode),
  'overview, node on trial': () => new Led(WORLDS.trial),
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

/** The screens about people, power, support and settings have files of their own. */
const SETS = { '': SIGHTS, 'people-': PEOPLE_SIGHTS } as const;

/** Kinds that look alike, under the name of the file with their screens. */
const LOOKS: Readonly<Record<string, readonly (readonly [term: string, noColour?: boolean])[]>> = {
  mono: [['vt100'], ['vt102'], ['vt220'], ['unknown-3000'], ['xterm', true]],
  colour: [['ansi'], ['linux'], ['xterm'], ['xterm-256color'], ['screen'], ['putty'], ['tmux']],
};

/** The screen as the terminal shows it. */
async function seen(term: string, noColour: boolean, led: Led, unicode: boolean): Promise<Glass> {
  const kind = kindOf(term, { noColour })!;
  using canvas = new Canvas(kind, SHEET, unicode);
  const glass = new Glass();
  await glass.write(entering(kind));
  await glass.write(canvas.draw(picture(led.state, { ...SHEET, unicode })));
  return glass;
}

const page = (name: string, lines: readonly string[]): string =>
  `==== ${name} ${'='.repeat(74 - name.length)}\n${lines.join('\n')}\n`;

const TASKS = Object.entries(SETS).flatMap(([set, sights]) =>
  Object.entries(LOOKS).map(([look, kinds]) => ({ name: `${set}${look}`, sights, kinds })),
);

for (const { name: look, sights, kinds } of TASKS) {
  t.test(`golden screens: ${look}`, async (t) => {
    const file = `${FOLDER}${look}.txt`;
    const shown = new Map<string, string>();
    for (const [term, noColour = false] of kinds) {
      // Kinds that differ in nothing but their name have the same bytes.
      const able = JSON.stringify({ ...kindOf(term, { noColour }), name: '' });
      const before = shown.get(able);
      if (before !== undefined) {
        t.pass(`${term} is drawn as ${before}`);
        continue;
      }
      shown.set(able, term);
      let text = '';
      let high = 0;
      for (const [name, make] of Object.entries(sights)) {
        const glass = await seen(term, noColour, make(), false);
        t.notOk(glass.scrolled);
        high += glass.high;
        text += page(name, glass.marked());
      }
      t.equal(high, 0, `${term}: nothing but ASCII`);
      if (process.env['GOLDEN'] === 'write') writeFileSync(file, text);
      t.equal(text, readFileSync(file, 'utf8'), term);
    }
  });
}

t.test('golden screens: Unicode', async (t) => {
  const file = `${FOLDER}unicode.txt`;
  let text = '';
  for (const name of [
    'cluster, syncing',
    'update, installing',
    'update, failed',
    'checks failed',
  ]) {
    const glass = await seen('xterm-256color', false, SIGHTS[name]!(), true);
    text += page(name, glass.marked());
  }
  if (process.env['GOLDEN'] === 'write') writeFileSync(file, text);
  t.equal(text, readFileSync(file, 'utf8'));
});

t.test('golden screens: line by line', async (t) => {
  const file = `${FOLDER}plain.txt`;
  let text = '';
  for (const [name, make] of Object.entries(PEOPLE_SIGHTS)) {
    text += page(name, listing(make().state, { columns: 79, unicode: false }));
  }
  if (process.env['GOLDEN'] === 'write') writeFileSync(file, text);
  t.equal(text, readFileSync(file, 'utf8'));
  t.notMatch(text, 'a wrong password', 'a password is never shown');
});

t.test('a larger terminal is used, and none is scrolled', async (t) => {
  const sheet = { rows: 50, columns: 132, unicode: false };
  using canvas = new Canvas(kindOf('vt220')!, sheet, false);
  const glass = new Glass(50, 132);
  for (const make of Object.values({ ...SIGHTS, ...PEOPLE_SIGHTS })) {
    const led = make();
    await glass.write(canvas.draw(picture(led.state, sheet)));
    t.strictSame(glass.lines(), led.text(sheet).split('\n'));
  }
  t.notOk(glass.scrolled);
});
