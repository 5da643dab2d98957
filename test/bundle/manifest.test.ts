/**
 * The manifest: every field with what it may not be, statements that contradict each other, JSON
 * with two meanings, and formats of later programs. Each bent manifest is really signed and opened.
 */
import t from 'tap';
import { MANIFEST_BYTES_MAX } from '../../src/bundle/limits.ts';
import { manifestText, orderDisagreement, parseManifest } from '../../src/bundle/manifest.ts';
import { craft, sampleImages, type CraftOptions } from './craft.ts';
import { codes, failure, KEY, opening } from './kit.ts';

type Bend = NonNullable<CraftOptions['manifest']>;
type Loose = Parameters<Bend>[0];

const signed = (manifest: Bend) => opening(craft({ keys: [KEY], manifest }));
const written = (text: (text: string) => string) => opening(craft({ keys: [KEY], text }));
const first = (bend: (image: Loose, manifest: Loose) => void) =>
  signed((manifest) => bend(manifest.images[0], manifest));
const second = (bend: (image: Loose) => void) => signed((manifest) => bend(manifest.images[1]));
const invalid = 'bundle.invalid_manifest';

await codes('what is fine', [
  ['as it is', 'ok', signed(() => undefined)],
  ['without notes', 'ok', signed((m) => delete m.notes)],
  [
    'with health and created',
    'ok',
    signed((m) => Object.assign(m, { health: { soakS: 0 }, created: '2026-11-21T11:35:48Z' })),
  ],
  [
    'without a storage image',
    'ok',
    opening(craft({ keys: [KEY], images: { system: Buffer.from('x') } })),
  ],
  [
    'only a storage image',
    invalid,
    opening(craft({ keys: [KEY], images: { storage: Buffer.from('x') } })),
  ],
  ['white space', 'ok', written((text) => `\n\t ${text}\r\n`)],
]);

const tops = ['format', 'product', 'hardware', 'version', 'releaseCounter', 'from', 'blocked'];
const required = [...tops, 'minUpdater', 'pair', 'requires', 'images'];
await codes('every field must be there', [
  ...required.map((field) => [field, invalid, signed((m) => delete m[field])] as const),
  ...[
    'name',
    'class',
    'version',
    'counter',
    'rawBytes',
    'chunkBytes',
    'chunks',
    'compressedBytes',
  ].map((field) => [`image ${field}`, invalid, first((image) => delete image[field])] as const),
  // CVE-2025-67903: a digest that is missing must not mean "do not check".
  ...['indexBytes', 'indexSha256', 'rawSha256', 'imageId', 'runsWith'].map(
    (field) => [`image ${field}`, invalid, first((image) => delete image[field])] as const,
  ),
  ['pair.protocol', invalid, signed((m) => delete m.pair.protocol)],
  ['pair.sideBySide', invalid, signed((m) => delete m.pair.sideBySide)],
]);

await codes('values out of bounds', [
  ['an unknown field', invalid, signed((m) => (m.extra = 1))],
  ['an unknown field of an image', invalid, first((image) => (image.path = '/dev/sda'))],
  ['an unknown field of pair', invalid, signed((m) => (m.pair.extra = 1))],
  ['__proto__ as a field', invalid, written((text) => text.replace('{', '{"__proto__":{},'))],
  ['constructor as a field', invalid, written((text) => text.replace('{', '{"constructor":{},'))],
  ['an empty digest', invalid, first((image) => (image.indexSha256 = ''))],
  ['a digest of null', invalid, first((image) => (image.rawSha256 = null))],
  ['a short digest', invalid, first((image) => (image.imageId = image.imageId.slice(1)))],
  [
    'a digest in capitals',
    invalid,
    first((image) => (image.rawSha256 = image.rawSha256.toUpperCase())),
  ],
  ['a product with a slash', invalid, signed((m) => (m.product = 'a/b'))],
  ['a long product', invalid, signed((m) => (m.product = 'a'.repeat(65)))],
  ['no hardware', invalid, signed((m) => (m.hardware = []))],
  ['hardware twice', invalid, signed((m) => (m.hardware = ['a', 'a']))],
  ['a version that is none', invalid, signed((m) => (m.version = 'v2.0.0'))],
  ['a blocked version that is none', invalid, signed((m) => (m.blocked = ['1.2.x']))],
  ['minUpdater that is none', invalid, signed((m) => (m.minUpdater = 'latest'))],
  ['an image version that is none', invalid, second((image) => (image.version = '1.4.0.0'))],
  ['counter 0', invalid, signed((m) => (m.releaseCounter = 0))],
  ['a counter of text', invalid, signed((m) => (m.releaseCounter = '20'))],
  ['a range with ^', invalid, signed((m) => (m.from = '^1.0.0'))],
  ['an empty range', invalid, signed((m) => (m.from = ''))],
  ['a range of an image', invalid, first((image) => (image.runsWith = '1.x'))],
  ['a range of the pair', invalid, signed((m) => (m.pair.sideBySide = '>= 1.0.0'))],
  ['protocols the wrong way round', invalid, signed((m) => (m.pair.protocol = [2, 1]))],
  ['one protocol', invalid, signed((m) => (m.pair.protocol = [1]))],
  ['three protocols', invalid, signed((m) => (m.pair.protocol = [1, 2, 3]))],
  ['an escape sequence in notes', invalid, signed((m) => (m.notes = 'a\u001b[2Jb'))],
  ['an 8-bit control character', invalid, signed((m) => (m.notes = 'a\u009bb'))],
  ['long notes', invalid, signed((m) => (m.notes = 'n'.repeat(65_537)))],
  ['a soak of a week', invalid, signed((m) => (m.health = { soakS: 604_800 }))],
  ['no images', invalid, opening(craft({ keys: [KEY], images: {} }))],
]);

const THREE = { ...sampleImages(), other: Buffer.from('other storage') };
await codes('statements that contradict each other', [
  ['a name with ..', invalid, first((image) => (image.name = '../../etc'))],
  ['a name with a slash', invalid, first((image) => (image.name = 'a/b'))],
  ['a name in capitals', invalid, first((image) => (image.name = 'System'))],
  ['two images of one name', invalid, second((image) => (image.name = 'system'))],
  [
    'two system images',
    invalid,
    second((image) => ((image.class = 'system'), delete image.formatLevel)),
  ],
  [
    'two storage images',
    invalid,
    first((image) => ((image.class = 'storage'), (image.formatLevel = 1))),
  ],
  ['two storage images beside a system', invalid, opening(craft({ keys: [KEY], images: THREE }))],
  ['an unknown class', invalid, second((image) => (image.class = 'firmware'))],
  ['a chunk too many', invalid, first((image) => (image.chunks += 1))],
  ['a chunk too few', invalid, first((image) => (image.chunks -= 1))],
  ['chunks that are no power of two', invalid, first((image) => (image.chunkBytes = 65_537))],
  [
    'chunks of 70,000 bytes throughout',
    invalid,
    opening(craft({ keys: [KEY], chunkBytes: 70_000 })),
  ],
  ['small chunks', invalid, first((image) => (image.chunkBytes = 32_768))],
  ['an index of another size', invalid, first((image) => (image.indexBytes += 88))],
  ['a storage image without format level', invalid, second((image) => delete image.formatLevel)],
  ['a system image with one', invalid, first((image) => (image.formatLevel = 1))],
  ['a release older than its system', invalid, signed((m) => (m.version = '1.9.0'))],
  ['a release newer with the same counter', invalid, signed((m) => (m.version = '2.0.1'))],
  [
    'a release newer with a lower counter',
    invalid,
    signed((m) => Object.assign(m, { version: '2.0.1', releaseCounter: 19 })),
  ],
  [
    'a release newer with a higher counter',
    'ok',
    signed((m) => Object.assign(m, { version: '2.0.1', releaseCounter: 21 })),
  ],
  ['build metadata does not order', 'ok', signed((m) => (m.version = '2.0.0+build.7'))],
]);

await codes('JSON with two meanings', [
  ['a key twice', invalid, written((text) => text.replace('{', '{"product":"other",'))],
  [
    'a key twice, escaped',
    invalid,
    written((text) => text.replace('{', '{"\\u0070roduct":"other",')),
  ],
  [
    'a key twice, deep',
    invalid,
    written((text) => text.replace('"chunks"', '"chunks":1,"chunks"')),
  ],
  ['a byte order mark', invalid, written((text) => `\ufeff${text}`)],
  ['a comment', invalid, written((text) => `${text} // end`)],
  ['a trailing comma', invalid, written((text) => text.replace(/\n}\n$/, ',}'))],
  ['two documents', invalid, written((text) => text + text)],
  [
    'NaN',
    invalid,
    written((text) => text.replace('"releaseCounter": 20', '"releaseCounter": NaN')),
  ],
  [
    'nested deep',
    invalid,
    written((text) => text.replace('[]', `${'['.repeat(9000)}${']'.repeat(9000)}`)),
  ],
  ['a list', invalid, written((text) => `[${text}]`)],
]);

await t.test('more bytes than a manifest may have', async (t) => {
  const error = await failure(() => parseManifest(Buffer.alloc(MANIFEST_BYTES_MAX + 1, ' ')));
  t.match(error, { code: invalid, message: /expected at most 1048576/ });
});

await t.test('bytes that are not UTF-8', async (t) => {
  const bytes = Buffer.from('{"format":1,"product":"\xff"}', 'latin1');
  const error = await failure(() => parseManifest(bytes));
  t.equal(error?.code, invalid);
  t.match(error?.message, /UTF-8/);
});

await codes('later formats and features are refused by name', [
  ['format 2', 'bundle.unknown_format', signed((m) => (m.format = 2))],
  [
    'format 2 with unknown fields',
    'bundle.unknown_format',
    signed((m) => Object.assign(m, { format: 2, hardware: 'all', x: 1 })),
  ],
  ['format 0', invalid, signed((m) => (m.format = 0))],
  ['format as text', invalid, signed((m) => (m.format = '1'))],
  ['an unknown feature', 'bundle.unknown_format', signed((m) => (m.requires = ['encrypted']))],
  [
    'an unknown feature with fields',
    'bundle.unknown_format',
    signed((m) => Object.assign(m, { requires: ['encrypted'], key: 'x' })),
  ],
  ['delta without one', invalid, signed((m) => (m.requires = ['delta']))],
  ['a later kind of delta', 'bundle.delta_unsupported', signed((m) => (m.requires = ['delta-2']))],
  [
    'a later kind of delta with fields',
    'bundle.delta_unsupported',
    signed((m) => ((m.requires = ['delta', 'delta-2']), (m.images[0].base = 'x'))),
  ],
  [
    'delta and something unknown',
    'bundle.unknown_format',
    signed((m) => (m.requires = ['encrypted', 'delta'])),
  ],
]);

await t.test('the canonical text is a fixed point', (t) => {
  const bytes = craft({ manifest: (m) => Object.assign(m, { created: '2026-11-21', health: {} }) });
  const size = Number.parseInt(bytes.toString('latin1', 124, 135), 8);
  const manifest = parseManifest(bytes.subarray(512, 512 + size));
  const text = manifestText(manifest);
  t.same(parseManifest(Buffer.from(text)), manifest);
  t.equal(manifestText(parseManifest(Buffer.from(text))), text);
  const order = Object.keys(JSON.parse(text) as object);
  t.same(order, [...required, 'health', 'notes', 'created']);
  t.end();
});

await t.test('order of versions and counters', (t) => {
  const rows: [string, number, string, number, boolean][] = [
    ['1.0.0', 1, '1.0.0', 1, true],
    ['1.0.0', 1, '1.0.1', 2, true],
    ['1.0.0', 1, '1.0.1', 1, false],
    ['1.0.0', 2, '1.0.1', 1, false],
    ['1.0.0', 1, '1.0.0', 2, false],
    ['2.0.0-rc.1', 3, '2.0.0', 4, true],
    ['2.0.0', 3, '2.0.0-rc.1', 4, false],
    ['10.0.0', 10, '9.0.0', 9, true],
  ];
  for (const [a, counterA, b, counterB, agree] of rows) {
    const why = orderDisagreement(
      { version: a, counter: counterA },
      { version: b, counter: counterB },
    );
    t.equal(why === undefined, agree, `${a}/${counterA} ${b}/${counterB}`);
  }
  t.end();
});
