/**
 * What the job of a support archive says at its end. May import tap and the daemon.
 */
import t from 'tap';
import { ArchiveDesk, type ArchiveParts } from '../../src/daemon/archive-desk.ts';

/** The words of a job whose archive lacks these things. */
async function wordsOf(missing: readonly string[]): Promise<string> {
  let said = Promise.resolve('');
  const support = {
    newId: () => 'support-1',
    make: () => Promise.resolve({ bytes: 7, missing }),
    view: () => Promise.resolve({ dir: '/s' }),
  };
  const desk = {
    tell: () => undefined,
    begin: (...[, , , work]: readonly unknown[]) => {
      said = (work as (signal: AbortSignal) => Promise<string>)(new AbortController().signal);
    },
  };
  const parts = { desk, support, live: [] } as unknown as ArchiveParts;
  new ArchiveDesk(parts).start({ act: 'support', by: 'anna', reason: null });
  return said;
}

t.test('the end of an archive says how much is not in it', async (t) => {
  t.match(await wordsOf([]), /^support archive \/s\/support-1\S+ has 7 bytes$/);
  t.match(await wordsOf(['a']), /; 1 thing could not be read$/);
  t.match(await wordsOf(['a', 'b']), /; 2 things could not be read$/);
});
