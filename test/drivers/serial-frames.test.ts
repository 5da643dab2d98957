/**
 * Frames on a serial line: every content comes back, in whatever pieces, and after any noise the
 * next frame is found. May import tap, fast-check and the driver.
 */
import * as fc from 'fast-check';
import t from 'tap';
import {
  encodeLineFrame,
  LINE_FRAME_BYTES_MAX,
  lineBytes,
  LineParser,
} from '../../src/drivers/serial-frames.ts';

const RUNS = { numRuns: 300 };
/** Zeros and long runs are what the coding is about, so they come often. */
const content = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 }), fc.constant(1)), {
    maxLength: LINE_FRAME_BYTES_MAX,
  })
  .map((bytes) => Buffer.from(bytes));

t.test('known frames', (t) => {
  // CRC-32C of nothing is 0; of "123456789" it is e3069283 (RFC 3720, B.4 has the same code).
  t.equal(encodeLineFrame(Buffer.alloc(0)).toString('hex'), '00010101010100');
  const digits = encodeLineFrame(Buffer.from('123456789')).toString('hex');
  t.equal(digits, '000e313233343536373839e306928300');
  const long = encodeLineFrame(Buffer.alloc(254, 7));
  t.equal(long[1], 255, 'a group of the longest kind');
  t.throws(() => encodeLineFrame(Buffer.alloc(LINE_FRAME_BYTES_MAX + 1)), RangeError);
  t.end();
});

t.test('every content comes back, and holds no zero on the line', (t) => {
  fc.assert(
    fc.property(
      fc.array(content, { maxLength: 4 }),
      fc.integer({ min: 1, max: 50 }),
      (all, piece) => {
        const frames = all.map((one) => {
          const frame = encodeLineFrame(one);
          t.notOk(frame.subarray(1, -1).includes(0) || frame.length > lineBytes(one.length));
          return frame;
        });
        const stream = Buffer.concat(frames);
        const parser = new LineParser();
        const got: Buffer[] = [];
        for (let at = 0; at < stream.length; at += piece) {
          got.push(...parser.push(stream.subarray(at, at + piece)));
        }
        return parser.noiseBytes === 0 && Buffer.concat(got).equals(Buffer.concat(all));
      },
    ),
    RUNS,
  );
  t.end();
});

t.test('after noise the next frame is found, and a changed byte is noticed', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), content, fc.nat(), (noise, one, n) => {
      const parser = new LineParser();
      parser.push(Buffer.from(noise));
      const found = parser.push(encodeLineFrame(one)).at(-1);
      const hit = encodeLineFrame(one);
      const at = 1 + (n % (hit.length - 2));
      hit[at]! ^= 1 + (n % 255);
      const damaged = new LineParser().push(hit);
      return found?.equals(one) === true && !damaged.some((other) => other.equals(one));
    }),
    RUNS,
  );
  t.end();
});

t.test('what is too long is counted and not kept', (t) => {
  const parser = new LineParser();
  for (let n = 0; n < 100; n += 1) t.same(parser.push(Buffer.alloc(1000, 0xff)), []);
  t.same(parser.push(encodeLineFrame(Buffer.from('x'))), [Buffer.from('x')]);
  t.equal(parser.noiseBytes, 100_000);
  t.end();
});
