/**
 * Pictures of screens: their format, their pixels, and that those of the README are small.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { crc32, inflateSync } from 'node:zlib';
import t from 'tap';
import { Glass } from './glass.ts';
import { pixelsOf, pngOf } from './png.ts';
import { docsPictures, drawScreens, SHOWN } from './screens.ts';

const IMAGES = fileURLToPath(new URL('../../docs/images/', import.meta.url));

/** The chunks of a PNG, each with its checksum looked at. */
function chunksOf(png: Buffer): ReadonlyMap<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (let at = 8; at < png.length;) {
    const size = png.readUInt32BE(at);
    const body = png.subarray(at + 4, at + 8 + size);
    if (png.readUInt32BE(at + 8 + size) !== crc32(body)) throw new Error('a wrong checksum');
    found.set(body.toString('latin1', 0, 4), body.subarray(4));
    at += 12 + size;
  }
  return found;
}

t.test('a picture is a PNG of what the terminal shows', async (t) => {
  const glass = new Glass();
  await glass.write('A\x1b[7mA\x1b[m\x1b[1;31mA\x1b[m');
  const cells = glass.cells();
  const png = pngOf(cells);
  t.equal(png.toString('latin1', 1, 4), 'PNG');
  const chunks = chunksOf(png);
  t.strictSame([...chunks.keys()], ['IHDR', 'PLTE', 'IDAT', 'IEND']);
  const { width, height, pixels } = pixelsOf(cells);
  const header = chunks.get('IHDR')!;
  t.strictSame([header.readUInt32BE(0), header.readUInt32BE(4)], [width, height]);
  const rows = inflateSync(chunks.get('IDAT')!);
  t.equal(rows.length, (width + 1) * height);
  const ink = (cell: number): readonly number[] => {
    const seen = new Map<number, number>();
    for (let y = 8; y < 22; y += 1) {
      for (let x = 8 + cell * 8; x < 16 + cell * 8; x += 1) {
        const value = rows[y * (width + 1) + 1 + x]!;
        t.equal(value, pixels[y * width + x]);
        seen.set(value, (seen.get(value) ?? 0) + 1);
      }
    }
    return [...seen].toSorted(([, a], [, b]) => b - a).map(([value]) => value);
  };
  t.strictSame(ink(0), [0, 8], 'text on the background');
  t.strictSame(ink(1), [8, 0], 'the other way round');
  t.strictSame(ink(2), [0, 1], 'red');
  t.strictSame(ink(3), [0], 'an empty cell');
});

t.test('every kind of terminal gets its screens', async (t) => {
  const folder = t.testdir();
  t.ok((await drawScreens(folder, 'leave the console')) > 10);
  const text = readFileSync(`${folder}/vt100/leave-the-console.txt`, 'utf8');
  t.match(text, 'Leave the console?');
  t.ok(readFileSync(`${folder}/vt100/leave-the-console.png`).length > 1000);
});

t.test('the pictures of the README', async (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const names = SHOWN.map(([file]) => `${file}.png`);
  t.strictSame(readdirSync(IMAGES).toSorted(), [...names].toSorted());
  for (const [name, png] of await docsPictures()) {
    t.match(readme, `docs/images/${name}`);
    t.ok(readFileSync(IMAGES + name).length < 40_000);
    t.equal(
      chunksOf(readFileSync(IMAGES + name))
        .get('IHDR')
        ?.toString('hex'),
      chunksOf(png).get('IHDR')?.toString('hex'),
    );
  }
});
