/**
 * Frames: bytes that were never written, wherever in a larger buffer they lie. Imports the frame.
 */
import t from 'tap';
import { isBlank } from '../../src/core/frame.ts';

t.test('blank means that no byte is set, at every place and length', async (t) => {
  for (let start = 0; start < 5; start += 1) {
    for (let length = 0; length < 14; length += 1) {
      // What lies around it does not count.
      const whole = new Uint8Array(24).fill(7);
      const bytes = whole.subarray(start, start + length).fill(0);
      t.ok(isBlank(bytes), `${String(length)} bytes from ${String(start)}`);
      for (let at = 0; at < length; at += 1) {
        bytes[at] = 1;
        t.notOk(
          isBlank(bytes),
          `one of ${String(length)} bytes from ${String(start)}: ${String(at)}`,
        );
        bytes[at] = 0;
      }
    }
  }
});
