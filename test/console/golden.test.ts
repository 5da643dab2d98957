/**
 * Every screen on every kind of terminal, cell by cell against the golden screens in the folder
 * beside: text that is reviewed like code. `GOLDEN=write` writes them anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { listing, picture } from '../../console/layout.ts';
import { Canvas } from '../../console/terminal/canvas.ts';
import { kindOf } from '../../console/terminal/kinds.ts';
import { Glass } from './glass.ts';
import { PEOPLE_SIGHTS } from './people.ts';
import { LOOKS, seen, SIGHTS } from './sights.ts';

process.env['TZ'] = 'UTC';
const FOLDER = fileURLToPath(new URL('golden/', import.meta.url));

/** The screens about people, power, support and settings have files of their own. */
const SETS = { '': SIGHTS, 'people-': PEOPLE_SIGHTS } as const;

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
