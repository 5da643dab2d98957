/**
 * The service's log as the journal of systemd wants it, and as everything else gets it. Imports the
 * log, tap and node.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import t from 'tap';
import { isJournal, serviceLog, withPriority } from '../../src/daemon/service-log.ts';

t.test('every line has its priority in the journal', async (t) => {
  const said: string[] = [];
  const log = serviceLog({ journal: true, write: (text) => void said.push(text) });
  log('node A runs', 'info');
  log('a disk is full');
  log('two\n\nlines', 'error');
  t.strictSame(said, ['<6>node A runs\n', '<4>a disk is full\n', '<3>two\n\n<3>lines\n']);
  t.equal(withPriority('', 'error'), '');
});

t.test('elsewhere lines are as they are', async (t) => {
  const said: string[] = [];
  const log = serviceLog({ journal: false, write: (text) => void said.push(text) });
  log('a disk is full', 'error');
  t.strictSame(said, ['a disk is full\n']);
});

t.test('the journal is there only where JOURNAL_STREAM names the very stream', async (t) => {
  const fd = openSync(t.testdir({ log: '' }) + '/log', 'r');
  const { dev, ino } = fstatSync(fd);
  t.ok(isJournal(`${dev}:${ino}`, fd));
  t.notOk(isJournal(`${dev}:${ino + 1}`, fd), 'standard error was redirected');
  t.notOk(isJournal(undefined, fd));
  t.notOk(isJournal('', fd));
  closeSync(fd);
  t.notOk(isJournal(`${dev}:${ino}`, fd), 'a closed stream is none');
});
