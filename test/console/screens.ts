/**
 * `npm run console:screens -- [DIR]`: every screen on every kind of terminal, as text with its
 * attributes and as a picture, so that a change can be looked at; by default below
 * `build/console-screens`. `--docs` also draws the pictures of the README anew. Always holds: what
 * is drawn is what a terminal shows that got the bytes of the console. Run by hand and by its test.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PEOPLE_SIGHTS } from './people.ts';
import { pngOf } from './png.ts';
import { LOOKS, seen, SIGHTS } from './sights.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const ALL = { ...SIGHTS, ...PEOPLE_SIGHTS } as const;

/** What the README shows: file, screen, terminal. */
export const SHOWN = [
  ['console-overview', 'overview, peer silent', 'xterm'],
  ['console-update', 'update, installing', 'xterm'],
] as const;

const fileName = (name: string): string => name.replaceAll(/[^a-z0-9]+/gi, '-');

/** Draws the screens whose names hold the word; returns how many pictures were made. */
export async function drawScreens(folder: string, word = ''): Promise<number> {
  let count = 0;
  const terms = [...Object.values(LOOKS).flat(), ['xterm-256color', false, true] as const];
  for (const [term, noColour = false, unicode = false] of terms) {
    const kind = `${term}${noColour ? '-mono' : ''}${unicode ? '-unicode' : ''}`;
    mkdirSync(join(folder, kind), { recursive: true });
    for (const [name, make] of Object.entries(ALL)) {
      if (!name.includes(word)) continue;
      const glass = await seen(term, noColour, make(), unicode);
      const path = join(folder, kind, fileName(name));
      writeFileSync(`${path}.txt`, `${glass.marked().join('\n')}\n`);
      writeFileSync(`${path}.png`, pngOf(glass.cells()));
      count += 1;
    }
  }
  return count;
}

/** The pictures of the README, by the names of their files. */
export async function docsPictures(): Promise<ReadonlyMap<string, Buffer>> {
  const made = new Map<string, Buffer>();
  for (const [file, name, term] of SHOWN) {
    const glass = await seen(term, false, SIGHTS[name]!(), true);
    made.set(`${file}.png`, pngOf(glass.cells()));
  }
  return made;
}

if (import.meta.main) {
  process.env['TZ'] = 'UTC';
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { docs: { type: 'boolean', default: false } },
  });
  const folder = positionals[0] ?? join(ROOT, 'build/console-screens');
  const count = await drawScreens(folder);
  if (values.docs) {
    mkdirSync(join(ROOT, 'docs/images'), { recursive: true });
    for (const [name, png] of await docsPictures()) {
      writeFileSync(join(ROOT, 'docs/images', name), png);
    }
  }
  process.stdout.write(`${folder}: ${count} screens\n`);
}
