/**
 * Running effects: started once, aborted when not wanted, tried again with growing pauses, one
 * after the other within a group, and all ended when the runner is. Time is virtual. May import
 * tap, core and the module under test.
 */
import { getEventListeners } from 'node:events';
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import type { Effect, Event } from '../../src/core/state.ts';
import { EffectRunner, pause, type Execute } from '../../src/updater/effects.ts';
import { JOB, TRIAL } from '../core/states.ts';
import { VirtualClock } from './virtual-clock.ts';

const SERVE: Effect = { do: 'serve', epoch: 1 };
const RELEASE: Effect = { do: 'release' };
const INSTALL: Effect = { do: 'install', job: JOB };
const ARM: Effect = { do: 'arm', trial: TRIAL };
const CLOSE: Effect = { do: 'close-other-slot' };

interface Call {
  readonly what: string;
  readonly atMs: number;
  readonly signal: AbortSignal;
  readonly end: (error?: Error) => void;
}

/** A runner whose executions end when the test says so. */
function harness() {
  const clock = new VirtualClock();
  const calls: Call[] = [];
  const events: Event[] = [];
  const log: string[] = [];
  let busy = 0;
  const overlaps: string[] = [];
  const running = new Set<string>();
  const execute: Execute = async (effect, _dispatch, signal) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const end = (error?: Error): void => (error === undefined ? resolve() : reject(error));
    calls.push({ what: effect.do, atMs: clock.nowMs, signal, end });
    busy++;
    running.add(effect.do);
    overlaps.push([...running].toSorted().join('+'));
    try {
      await promise;
    } finally {
      busy--;
      running.delete(effect.do);
    }
  };
  const dispatch = async (event: Event): Promise<boolean> => {
    await Promise.resolve();
    events.push(event);
    return true;
  };
  const runner = new EffectRunner(execute, dispatch, (line) => log.push(line), clock.pause);
  return { clock, calls, events, log, overlaps, runner, busy: () => busy };
}

t.test('an effect is started once while it is wanted', async (t) => {
  const { clock, calls, events, runner } = harness();
  for (let round = 0; round < 3; round++) {
    runner.reconcile([SERVE, { ...SERVE }]);
    await clock.settle();
  }
  t.equal(calls.length, 1);
  calls[0]?.end();
  await clock.settle();
  runner.reconcile([SERVE]);
  await clock.settle();
  t.equal(calls.length, 1, 'nor right after it has ended');
  t.strictSame(events, []);
  runner.reconcile([{ do: 'serve', epoch: 2 }]);
  await clock.settle();
  t.equal(calls.length, 2, 'with other facts it is another one');
});

t.test('what is not wanted any more is aborted', async (t) => {
  const { clock, calls, events, log, runner } = harness();
  runner.reconcile([INSTALL]);
  await clock.settle();
  t.notOk(calls[0]?.signal.aborted);
  runner.reconcile([]);
  t.ok(calls[0]?.signal.aborted);
  calls[0]?.end(new Error('aborted'));
  await clock.advance(60_000);
  t.equal(calls.length, 1, 'and not tried again');
  t.strictSame([events, log], [[], []], 'its end is no trouble');
});

t.test('a failing effect is tried again after growing pauses; its trouble is told', async (t) => {
  const { clock, calls, events, log, runner } = harness();
  runner.reconcile([SERVE]);
  const error = new UpdateError('service.failed', 'the address is taken');
  for (let tries = 0; tries < 8; tries++) {
    await clock.settle();
    calls.at(-1)?.end(error);
    await clock.advance(10_000);
  }
  const startsMs = calls.map((call) => call.atMs);
  const pausesMs = startsMs.slice(1).map((atMs, i) => atMs - (startsMs[i] ?? 0));
  t.same(pausesMs.length, 8);
  const reason = { code: 'service.failed', message: 'the address is taken' };
  t.equal(events.length, 8);
  t.strictSame(events[0], { type: 'trouble', effect: 'serve', reason });
  t.match(log[0], /^serve failed: service\.failed: the address is taken$/);
  await clock.settle();
  calls.at(-1)?.end();
  await clock.settle();
  t.strictSame(events.at(-1), { type: 'trouble', effect: 'serve', reason: null }, 'and its end');
});

t.test('the pauses are 0.5 s, doubled up to 10 s', async (t) => {
  const { clock, calls, runner } = harness();
  runner.reconcile([SERVE]);
  await clock.settle();
  const pausesMs: number[] = [];
  for (let tries = 0; tries < 7; tries++) {
    const before = clock.nowMs;
    calls.at(-1)?.end(new Error('no'));
    const count = calls.length;
    while (calls.length === count) await clock.step();
    pausesMs.push(clock.nowMs - before);
  }
  t.strictSame(pausesMs, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  calls.at(-1)?.end();
  await clock.advance(10_000);
  t.equal(calls.length, 9, 'one that ended well and is still wanted is ensured again');
  calls.at(-1)?.end(new Error('no'));
  const before = clock.nowMs;
  while (calls.length === 9) await clock.step();
  t.equal(clock.nowMs - before, 500, 'after a success the pauses begin anew');
});

t.test('trouble ends with the effect that had it', async (t) => {
  const { clock, calls, events, runner } = harness();
  runner.reconcile([SERVE]);
  await clock.settle();
  calls[0]?.end(new UpdateError('service.failed', 'no'));
  await clock.settle();
  runner.reconcile([]);
  await clock.settle();
  t.strictSame(
    events.map((event) => event.type === 'trouble' && (event.reason?.code ?? null)),
    ['service.failed', null],
  );
});

t.test('an unexpected error is told as one, with its place in the log alone', async (t) => {
  const { clock, calls, events, log, runner } = harness();
  runner.reconcile([SERVE]);
  await clock.settle();
  calls[0]?.end(new TypeError('x is not a function'));
  await clock.settle();
  const reason = { code: 'internal.bug', message: 'x is not a function' };
  t.strictSame(events, [{ type: 'trouble', effect: 'serve', reason }]);
  t.match(log[0], /internal\.bug: x is not a function\nTypeError/);
  runner.reconcile([INSTALL]);
  await clock.settle();
  calls.at(-1)?.end(new UpdateError('internal.bug', 'y'.repeat(100_000)));
  await clock.settle();
  t.ok(JSON.stringify(events.at(-1)).length < 3000, 'a long message is cut: it goes to the peer');
});

t.test('effects of a group never overlap, those of others do', async (t) => {
  const { clock, calls, overlaps, runner, busy } = harness();
  runner.reconcile([SERVE, INSTALL]);
  await clock.settle();
  t.equal(busy(), 2);
  runner.reconcile([RELEASE, ARM]);
  await clock.settle();
  t.equal(calls.length, 2, 'they wait for those before them, though these are aborted');
  calls[0]?.end(new Error('aborted'));
  await clock.settle();
  t.strictSame(calls.at(-1)?.what, 'release');
  runner.reconcile([RELEASE, CLOSE]);
  calls[1]?.end();
  await clock.settle();
  t.strictSame(
    calls.map((call) => call.what),
    ['serve', 'install', 'release', 'close-other-slot'],
    'what was aborted before its turn never starts',
  );
  for (const set of overlaps) t.notMatch(set, /serve\+|release\+serve|arm|close.*install/);
});

t.test('wanted again while it still ends: once more, afterwards', async (t) => {
  const { clock, calls, runner, busy } = harness();
  runner.reconcile([SERVE]);
  await clock.settle();
  runner.reconcile([]);
  runner.reconcile([SERVE]);
  await clock.settle();
  t.equal(calls.length, 1);
  calls[0]?.end();
  await clock.settle();
  t.equal(calls.length, 2);
  t.equal(busy(), 1);
  t.notOk(calls[1]?.signal.aborted);
});

t.test('dispose aborts everything, waits for its end, and starts nothing more', async (t) => {
  const { clock, calls, runner } = harness();
  runner.reconcile([SERVE, INSTALL]);
  await clock.settle();
  let over = false;
  const done = runner[Symbol.asyncDispose]().then(() => (over = true));
  await clock.settle();
  t.ok(calls.every((call) => call.signal.aborted));
  t.notOk(over);
  calls[0]?.end();
  await clock.settle();
  t.notOk(over, 'one is still running');
  calls[1]?.end(new Error('aborted'));
  await done;
  runner.reconcile([ARM]);
  await clock.settle();
  t.equal(calls.length, 2);
});

t.test('a real pause ends in time or by the signal, and leaves no listener behind', async (t) => {
  await pause(1, new AbortController().signal);
  const abort = new AbortController();
  const long = pause(3_600_000, abort.signal);
  abort.abort();
  await long;
  await pause(3_600_000, abort.signal);
  const { signal } = new AbortController();
  for (let round = 0; round < 3; round++) await pause(1, signal);
  t.strictSame(getEventListeners(signal, 'abort'), []);
});
