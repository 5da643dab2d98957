/**
 * Damage of a storage log as a disk makes it, for the tests of the storage software. Imports only
 * Node.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Flips a bit of a text wherever the files of a log have it; throws when none has it. */
export function rot(logDir: string, text: string): void {
  let found = false;
  for (const name of readdirSync(logDir)) {
    const bytes = readFileSync(join(logDir, name));
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    found = true;
    bytes[at] = bytes[at]! ^ 1;
    writeFileSync(join(logDir, name), bytes);
  }
  if (!found) throw new Error(`${text} is not in the log`);
}
