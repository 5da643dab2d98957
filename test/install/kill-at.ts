/**
 * Loaded into an installer process before its program (`--import`): kills the process, as a power
 * cut would, right before the n-th call of one function of node:fs in any thread, or after the
 * first half of the bytes of that call were written. `KILL_AT` = `write:17` or `write:17:half`.
 * Imports node:.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const [name = '', nth = '', how = ''] = (process.env['KILL_AT'] ?? '').split(':');
const calls = fs as unknown as Record<string, (...args: unknown[]) => unknown>;
const real = calls[name];

if (real !== undefined) {
  let left = Number(nth);
  const counting = (...args: unknown[]) => {
    const [fd, bytes, from, length, position] = args;
    // Without a position Node reads its programs; how many there are says nothing.
    if (name.startsWith('read') && typeof position !== 'number') return real(...args);
    left -= 1;
    if (left > 0) return real(...args);
    if (how === 'half') {
      fs.writeSync(
        ...([fd, bytes, from, Math.ceil(Number(length) / 8192) * 4096, position] as [
          number,
          Uint8Array,
          number,
          number,
          number,
        ]),
      );
    }
    process.kill(process.pid, 'SIGKILL');
    return real(...args);
  };
  // What `promisify` needs to know of a function of node:fs is kept in its properties.
  Object.defineProperties(counting, Object.getOwnPropertyDescriptors(real));
  calls[name] = counting;
  syncBuiltinESMExports();
}
