/**
 * A terminal's screen as a PNG: cells drawn with the bitmap font that the drawing library brings
 * along (Terminus, 8x14), in a palette of a terminal. Always holds: the same screen gives the same
 * pixels. The format is RFC 2083: signature, IHDR, PLTE, IDAT, IEND, each chunk with its CRC-32.
 * Imports node: and the terminal.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { crc32, deflateSync } from 'node:zlib';
import type { GlassCell } from './glass.ts';

interface Font {
  readonly width: number;
  readonly height: number;
  readonly glyphs: Readonly<Record<string, { readonly map: readonly string[] }>>;
}

const load = (name: string): Font => {
  const path = createRequire(import.meta.url).resolve(`blessed/usr/fonts/${name}.json`);
  return JSON.parse(readFileSync(path, 'utf8')) as Font;
};
const NORMAL = load('ter-u14n');
const BOLD = load('ter-u14b');
const { width: WIDTH, height: HEIGHT } = NORMAL;

/** What the font lacks, drawn as something that it has. */
const STAND_INS: Readonly<Record<string, string>> = { '\u25b8': '>', '\u2026': '.' };

/** Background, the eight colours, and the text of a terminal that has none of them. */
const PALETTE = [
  [0x10, 0x12, 0x14],
  [0xe0, 0x5c, 0x5c],
  [0x7c, 0xc4, 0x6a],
  [0xe0, 0xb8, 0x50],
  [0x6a, 0x9c, 0xe0],
  [0xc0, 0x84, 0xd0],
  [0x60, 0xc4, 0xc4],
  [0xf4, 0xf4, 0xf4],
  [0xd0, 0xd4, 0xd8],
] as const;
const BACK = 0;
const WHITE = 7;
const TEXT = 8;
/** Around the cells. */
const MARGIN = 8;

/** The pixels of a screen, a palette index each. */
export function pixelsOf(cells: readonly (readonly GlassCell[])[]): {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
} {
  const width = (cells[0]?.length ?? 0) * WIDTH + 2 * MARGIN;
  const height = cells.length * HEIGHT + 2 * MARGIN;
  const pixels = new Uint8Array(width * height).fill(BACK);
  for (const [row, line] of cells.entries()) {
    for (const [column, cell] of line.entries()) {
      const at = (MARGIN + row * HEIGHT) * width + MARGIN + column * WIDTH;
      drawCell(pixels, at, width, cell);
    }
  }
  return { width, height, pixels };
}

function drawCell(pixels: Uint8Array, at: number, width: number, cell: GlassCell): void {
  const { glyphs } = cell.bold ? BOLD : NORMAL;
  const glyph = glyphs[STAND_INS[cell.char] ?? cell.char] ?? glyphs['?'];
  const text = cell.colour ?? (cell.bold ? WHITE : TEXT);
  const [ink, paper] = cell.inverse ? [BACK, text] : [text, BACK];
  for (let y = 0; y < HEIGHT; y += 1) {
    for (let x = 0; x < WIDTH; x += 1) {
      const on = glyph?.map[y]?.[x] === '-' || (cell.underline && y === HEIGHT - 2);
      pixels[at + y * width + x] = on ? ink : paper;
    }
  }
}

/** The screen as the bytes of a PNG file. */
export function pngOf(cells: readonly (readonly GlassCell[])[]): Buffer {
  const { width, height, pixels } = pixelsOf(cells);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Eight bits, each an index into the palette; no interlace.
  header.set([8, 3, 0, 0, 0], 8);
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y += 1) {
    // Each row begins with its filter: none.
    rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  }
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('PLTE', Buffer.from(PALETTE.flat())),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(name: string, content: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), content]);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(content.length);
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc32(body));
  return Buffer.concat([head, body, tail]);
}
