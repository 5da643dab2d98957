/**
 * What a zero byte on a serial port means: a break, or the padding of a terminal behind CR. May
 * import tap, node: and the port.
 */
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Port } from '../../console/terminal/port.ts';
import type { SerialLine } from '../../src/drivers/serial-port.ts';

/** A port, with what it hears in words. */
function portOf(t: Test) {
  const stream = new PassThrough();
  const line = { stream, close: () => Promise.resolve() } as unknown as SerialLine;
  const port = new Port(line);
  t.teardown(() => port[Symbol.asyncDispose]());
  const heard: string[] = [];
  port.open({
    onBytes: (bytes) => void heard.push(Buffer.from(bytes).toString('latin1')),
    onResize: () => {},
    onFree: () => {},
    onHangUp: () => void heard.push('break'),
  });
  return { heard, line: stream };
}

t.test('a zero byte is a break, and right behind CR it is padding', async (t) => {
  const { heard, line } = portOf(t);
  for (const text of ['a\0b', '\r\0', 'c\0']) {
    line.write(text);
    await sleep(0);
  }
  t.strictSame(heard, ['a', 'break', 'b', '\r\0', 'c', 'break']);
});

t.test('a break that comes a while after Enter is one', async (t) => {
  const { heard, line } = portOf(t);
  line.write('\r');
  await sleep(200);
  line.write('\0');
  await sleep(0);
  t.strictSame(heard, ['\r', 'break']);
});
