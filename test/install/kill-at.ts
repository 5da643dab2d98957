/**
 * Loaded into an installer process before its program (`--import`): kills the process, as a power
 * cut would, right before the n-th call of one function of node:fs in any thread, or after the
 * first half of the bytes of that call were written. `KILL_AT` = `writeSync:17` or
 * `writeSync:17:half`. Imports node:.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const [name = '', nth = '', how = ''] = (process.env['KILL_AT'] ?? '').split(':');
const calls = fs as unknown as Record<string, (...args: unknown[]) => unknown>;
const real = calls[name];

if (real !== undefined) {
  let left = Number(nth);
  calls[name] = (...args: unknown[]) => {
    left -= 1;
    if (left > 0) return real(...args);
    const [fd, bytes, from, length, position] = args;
    if (how === 'half') real(fd, bytes, from, Math.ceil(Number(length) / 8192) * 4096, position);
    process.kill(process.pid, 'SIGKILL');
    return real(...args);
  };
  syncBuiltinESMExports();
}
