/**
 * A program for the tests of lock and journal: takes the lock of the state directory of its first
 * argument and says `held`, or ends with the code of the error on its standard output. With
 * `append` as second argument it then appends records for ever, each number printed once it is
 * acknowledged, starting behind the last one that it finds.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { openJournal } from '../../src/drivers/journal-file.ts';
import { lockState } from '../../src/drivers/state-lock.ts';
import { nodeRecord } from '../contracts/journal.ts';
import { writeSync } from 'node:fs';

/** Written at once, so that nothing is lost when the program is killed. */
function say(text: string): void {
  writeSync(1, `${text}\n`);
}

const [dir = '', what = 'hold'] = process.argv.slice(2);
try {
  await using held = new AsyncDisposableStack();
  held.use(await lockState(dir));
  say('held');
  if (what === 'hold') {
    await new Promise((resolve) => process.stdin.once('end', resolve).resume());
    process.exit(0);
  }
  const journal = held.use(await openJournal(dir, { fileBytes: 16 * 1024 }));
  const { node } = await journal.read();
  for (let n = (node?.lastTrialId ?? 0) + 1; ; n += 1) {
    await journal.append(nodeRecord(n, (n * 37) % 1200));
    say(String(n));
  }
} catch (error) {
  if (!(error instanceof UpdateError)) throw error;
  say(error.code);
}
