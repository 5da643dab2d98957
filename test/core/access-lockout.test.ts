/**
 * The waits after failed logins, by table. May import tap and core.
 */
import t from 'tap';
import {
  afterFailure,
  afterRestart,
  FIRST_WAIT_MS,
  FORGET_MS,
  FREE_FAILURES,
  LONGEST_WAIT_MS,
  waitMs,
  type Failures,
} from '../../src/core/access-lockout.ts';

function fail(times: number, atMs = 0, before: Failures | null = null): Failures {
  let failures = before;
  for (let n = 0; n < times; n++) failures = afterFailure(failures, atMs);
  return failures!;
}

const S = 1000;
/** Failures, and the wait right after the last one, in seconds. */
const WAITS: readonly (readonly [number, number])[] = [
  [1, 0],
  [4, 0],
  [5, 5],
  [6, 10],
  [7, 20],
  [8, 40],
  [9, 80],
  [10, 160],
  [11, 320],
  [12, 640],
  [13, 900],
  [14, 900],
  [500, 900],
  [5000, 900],
];

t.test('the wait grows with the failures, and is bounded', async (t) => {
  t.equal(waitMs(null, 0), 0);
  for (const [times, seconds] of WAITS) t.equal(waitMs(fail(times), 0), seconds * S, `${times}`);
  t.equal(FREE_FAILURES, 4);
  t.equal(FIRST_WAIT_MS, 5 * S);
  t.equal(LONGEST_WAIT_MS, 900 * S);
});

t.test('the wait runs down from the last failure', async (t) => {
  const failures = fail(6, 100 * S);
  t.equal(waitMs(failures, 100 * S), 10 * S);
  t.equal(waitMs(failures, 109 * S), 1 * S);
  t.equal(waitMs(failures, 110 * S), 0);
  t.equal(waitMs(fail(1, 110 * S, failures), 110 * S), 20 * S, 'and the next one costs more');
});

t.test('a day without a failure forgets the earlier ones, a moment less does not', async (t) => {
  const failures = fail(20);
  t.equal(waitMs(failures, FORGET_MS), 0);
  t.equal(fail(1, FORGET_MS, failures).count, 1);
  t.equal(fail(1, FORGET_MS - 1, failures).count, 21);
});

t.test('a restart begins the wait anew in full, and never opens anything', async (t) => {
  const failures = fail(7, 5 * S);
  const again = afterRestart(failures.count, 0);
  t.equal(waitMs(again, 0), 20 * S);
  t.equal(afterRestart(0, 0), null);
  for (const odd of [-1, 0.5, NaN, Infinity]) t.equal(afterRestart(odd, 0), null, `${odd}`);
  t.equal(waitMs(afterRestart(10 ** 9, 0), 0), LONGEST_WAIT_MS);
});
