/**
 * Frames of the replication channel: any cut of the stream gives the same frames, nothing above the
 * limits is taken. Imports tap, fast-check and the codec.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { checkHello } from '../../images/storage/hello.ts';
import { VALUE_BYTES_MAX } from '../../images/storage/limits.ts';
import { parseAddress } from '../../images/storage/link.ts';
import {
  encodeFrame,
  frameReader,
  HEAD_TEXT_MAX,
  type Frame,
  type Hello,
} from '../../images/storage/wire.ts';

const HELLO: Hello = {
  t: 'hello',
  protocol: [1, 1],
  node: 'A',
  pair: 'p',
  epoch: 3,
  role: 'primary',
  generation: { current: '1', base: null, history: [] },
  formatMax: 1,
};

function prefix(all: number, head: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(all, 0);
  bytes.writeUInt32BE(head, 4);
  return bytes;
}

t.test('frames come out as they went in, however the stream is cut', (t) => {
  const body = fc.option(fc.uint8Array({ minLength: 1, maxLength: 300 }));
  fc.assert(
    fc.property(fc.array(body, { maxLength: 8 }), fc.integer({ min: 1, max: 400 }), (all, cut) => {
      const frames = all.map((bytes, bytesMax): Frame => {
        const head = { t: 'got', bytes: bytesMax } as const;
        return { head, body: bytes === null ? null : Buffer.from(bytes) };
      });
      const stream = Buffer.concat(frames.flatMap(({ head, body }) => encodeFrame(head, body)));
      const found: Frame[] = [];
      const feed = frameReader((frame) => found.push(frame));
      for (let at = 0; at < stream.length; at += cut) feed(stream.subarray(at, at + cut));
      t.same(found, frames);
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('a frame above the limits is refused before it is read', (t) => {
  const refused = [
    prefix(0xffff_ffff, 10),
    prefix(4 + 10 + VALUE_BYTES_MAX + 1, 10),
    prefix(4 + HEAD_TEXT_MAX + 1, HEAD_TEXT_MAX + 1),
    prefix(2, 10),
  ];
  for (const bytes of refused) {
    t.throws(() => frameReader(() => undefined)(bytes), { code: 'pair.bad_message' });
  }
  for (const text of ['not JSON', '17', 'null', '{"no":"kind"}']) {
    const bytes = Buffer.concat([prefix(4 + text.length, text.length), Buffer.from(text)]);
    t.throws(() => frameReader(() => undefined)(bytes), { code: 'pair.bad_message' });
  }
  t.end();
});

t.test('a hello: the lower maximum of the protocols, of this pair, of the other node', (t) => {
  const own = { node: 'B', pair: 'p' } as const;
  t.equal(checkHello(HELLO, own), 1);
  t.equal(checkHello(HELLO, own), 1);
  t.equal(checkHello({ ...HELLO, protocol: [1, 9] }, own), 2);
  t.throws(() => checkHello({ ...HELLO, protocol: [3, 9] }, own), { code: 'pair.protocol' });
  t.throws(() => checkHello({ ...HELLO, pair: 'q' }, own), { code: 'pair.wrong_peer' });
  t.throws(() => checkHello({ ...HELLO, node: 'B' }, own), { code: 'pair.wrong_peer' });
  t.end();
});

t.test('addresses', (t) => {
  t.same(parseAddress('127.0.0.1:80'), { host: '127.0.0.1', port: 80 });
  t.same(parseAddress('[::1]:80'), { host: '::1', port: 80 });
  for (const wrong of ['', 'host', 'host:', ':80', '::1:80', 'host:0', 'host:65536', 'host:80x']) {
    t.throws(() => parseAddress(wrong), { code: 'config.invalid' });
  }
  t.end();
});
