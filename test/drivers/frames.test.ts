/**
 * Frames on a stream: every way in which the bytes can be cut, and bytes that are no frames. May
 * import tap and the driver under test.
 */
import t from 'tap';
import {
  encodeFrame,
  FRAME_BYTES_MAX,
  FrameParser,
  KEEP_ALIVE_FRAME,
  REFUSED_FRAME,
  type Frame,
} from '../../src/drivers/frames.ts';

function feed(parser: FrameParser, bytes: Buffer, pieceBytes: number): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    parser.push(bytes.subarray(at, at + pieceBytes));
    for (let frame = parser.next(); frame; frame = parser.next()) frames.push(frame);
  }
  return frames;
}

function withLength(length: number, content: Buffer | string): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(length);
  return Buffer.concat([header, Buffer.from(content)]);
}

await t.test('frames come out the same however the bytes are cut', async (t) => {
  const stream = Buffer.concat([
    encodeFrame({ n: 1, text: 'Grüße ✓' }),
    KEEP_ALIVE_FRAME,
    encodeFrame({}),
    encodeFrame({ nested: { list: [1, null, 'x'] } }),
    REFUSED_FRAME,
  ]);
  const expected: Frame[] = [
    { kind: 'message', message: { n: 1, text: 'Grüße ✓' } },
    { kind: 'keep-alive' },
    { kind: 'message', message: {} },
    { kind: 'message', message: { nested: { list: [1, null, 'x'] } } },
    { kind: 'refused' },
  ];
  for (let pieceBytes = 1; pieceBytes <= stream.length; pieceBytes += 1) {
    t.same(feed(new FrameParser(), stream, pieceBytes), expected, `pieces of ${pieceBytes}`);
  }
});

/** A message that is read without a stack and could not be written with one. */
const deep = (levels: number): string => `{"x":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`;

await t.test('nested deeper than the stack of whoever keeps it (found by fuzzing)', async (t) => {
  for (const levels of [65, 20_000]) {
    const parser = new FrameParser();
    const text = deep(levels);
    parser.push(withLength(text.length, text));
    t.throws(() => parser.next(), { code: 'pair.bad_message' }, `${levels} levels`);
  }
  const [frame] = feed(new FrameParser(), withLength(deep(64).length, deep(64)), 1000);
  t.equal(frame?.kind, 'message', '64 levels are more than enough');
});

await t.test('what was pushed and not taken yet is not lost', async (t) => {
  const parser = new FrameParser();
  parser.push(encodeFrame({ n: 1 }));
  parser.push(encodeFrame({ n: 2 }));
  t.same(parser.next(), { kind: 'message', message: { n: 1 } });
  parser.push(encodeFrame({ n: 3 }));
  t.same(parser.next(), { kind: 'message', message: { n: 2 } });
  t.same(parser.next(), { kind: 'message', message: { n: 3 } });
  t.equal(parser.next(), null);
});

await t.test('the limit holds to the byte, in both directions', async (t) => {
  const fill = 'x'.repeat(FRAME_BYTES_MAX - JSON.stringify({ fill: '' }).length);
  const largest = encodeFrame({ fill });
  t.equal(largest.length, FRAME_BYTES_MAX + 4);
  t.same(feed(new FrameParser(), largest, 1), [{ kind: 'message', message: { fill } }]);
  t.throws(() => encodeFrame({ fill: `${fill}x` }), { code: 'internal.bug' });
  t.throws(() => encodeFrame({ fill: `${fill.slice(1)}ü` }), { code: 'internal.bug' }, 'in bytes');

  const header = Buffer.alloc(4);
  header.writeUInt32BE(FRAME_BYTES_MAX + 1);
  t.throws(
    () => feed(new FrameParser(), header, 4),
    { code: 'pair.bad_message' },
    'refused before a byte of the content came',
  );
  t.throws(() => feed(new FrameParser(100), withLength(101, ''), 4), { code: 'pair.bad_message' });
});

await t.test('what is not a JSON object is refused', async (t) => {
  const contents = ['abc', '[]', 'null', '1', '"x"', '{', '{} {}', ' ', '\u0000\u0000'];
  for (const content of contents) {
    const bytes = withLength(content.length, content);
    t.throws(
      () => feed(new FrameParser(), bytes, 99),
      { code: 'pair.bad_message' },
      JSON.stringify(content),
    );
  }
  const notUtf8 = Buffer.from('{"a":"\xff"}', 'latin1');
  t.throws(() => feed(new FrameParser(), withLength(notUtf8.length, notUtf8), 99), {
    code: 'pair.bad_message',
  });
  t.throws(() => feed(new FrameParser(), Buffer.from('GET / HTTP/1.1\r\n\r\n'), 99), {
    code: 'pair.bad_message',
  });
});
