/**
 * The error class: its code decides status and next action, and it crosses processes without loss.
 * Imports core.
 */
import t from 'tap';
import { CODES } from '../../src/core/codes.ts';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';

t.test('status and next action come from the table', async (t) => {
  const error = new UpdateError('space.depot', 'node A: 7 bytes are missing');
  t.equal(error.exit, CODES['space.depot'].exit);
  t.equal(error.name, 'UpdateError');
  t.strictSame(error.report(), {
    code: 'space.depot',
    message: 'node A: 7 bytes are missing',
    next: CODES['space.depot'].next,
  });
  t.notOk('cause' in error, 'no cause unless there is one');
});

t.test('detail and cause are kept, the cause is not sent', async (t) => {
  const cause = new Error('ENOSPC');
  const detail = { node: 'A', missing: 7, full: true, list: ['x'] };
  const error = new UpdateError('space.depot', 'no space', { cause, detail });
  t.equal(error.cause, cause);
  t.strictSame(error.report().detail, detail);
  t.notMatch(JSON.stringify(error.report()), /ENOSPC|stack/);
});

t.test('a report becomes the same error again', async (t) => {
  for (const detail of [undefined, { node: 'B' }]) {
    const options = detail === undefined ? {} : { detail };
    const sent = new UpdateError('version.blocked', 'node B has 1.0.0', options).report();
    const again = UpdateError.from(JSON.parse(JSON.stringify(sent)) as typeof sent);
    t.equal(again.code, 'version.blocked');
    t.strictSame(again.report(), sent);
  }
});

t.test('a code of a newer program is shown and counts as internal', async (t) => {
  const error = UpdateError.from({ code: 'moon.phase', message: 'not today', detail: { day: 3 } });
  t.equal(error.code, 'internal.bug');
  t.equal(error.message, 'moon.phase: not today');
  t.strictSame(error.detail, { day: 3 });
});

t.test('any thrown value becomes an error with a code', async (t) => {
  const expected = new UpdateError('job.busy', 'busy');
  t.equal(asUpdateError(expected), expected, 'an expected one stays what it is');
  const bug = new TypeError('x is undefined');
  t.equal(asUpdateError(bug).code, 'internal.bug');
  t.equal(asUpdateError(bug).cause, bug);
  t.equal(asUpdateError('only text').message, 'only text');
  t.equal(asUpdateError(null).message, 'null');
});
