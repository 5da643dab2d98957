/**
 * Makes the code of sources, in the Node that will take it: `node code.ts DIR COUNT` reads DIR/0.js
 * and so on and writes DIR/0.code. Always holds: every function of a source is compiled, also those
 * that are not called at once, since the functions that a start calls are most of what it loads;
 * code that this very Node would not take is a failure. Imports node:.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

const [, , dir = '', count = '0'] = process.argv;
for (let i = 0; i < Number(count); i += 1) {
  const file = join(dir, `${String(i)}.js`);
  const source = readFileSync(file, 'latin1');
  // The flags are part of what code is checked against: they are as before when it is taken out.
  setFlagsFromString('--no-lazy');
  setFlagsFromString('--no-flush-bytecode');
  const script = new Script(source, { filename: `${String(i)}.js` });
  setFlagsFromString('--lazy');
  setFlagsFromString('--flush-bytecode');
  const code = script.createCachedData();
  const again = new Script(`${source} `, { cachedData: code });
  if (again.cachedDataRejected !== true) throw new Error(`${file}: any source would do`);
  writeFileSync(join(dir, `${String(i)}.code`), code);
}
