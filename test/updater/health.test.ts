/**
 * The health of a trial: each check bad within the grace, after it, and for good; what is proven is
 * told before what fails; hooks; the watch of a service. Time is virtual. May import tap, core and
 * the module under test.
 */
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import type { Reason } from '../../src/core/records.ts';
import type { Event, NodeState } from '../../src/core/state.ts';
import { checkHealth, checkStillHealthy, watchService } from '../../src/updater/health.ts';
import { ARMED, nodeState, release, SEALS, sealOf, TRIAL, TRIAL_BOOT } from '../core/states.ts';
import { updateOf, type StateChange } from '../core/states.ts';
import { MemoryHooks, type MemoryHook } from '../memory/hooks.ts';
import { VirtualClock } from './virtual-clock.ts';

const TIMES = { graceMs: 3000, stableMs: 2000, roundMs: 500, checkMs: 10_000 };
const STORAGE_TRIAL = {
  trialId: 1,
  systemSlot: 'B',
  old: 'A',
  new: 'B',
  newRunsUnderOld: true,
  proven: false,
} as const;

/** Node A in the trial of its new version; everything about it is good. */
function onTrial(world: StateChange['world'] = {}): NodeState {
  const { slots, storage } = nodeState('A').record;
  return nodeState('A', {
    record: {
      update: updateOf('trial'),
      slots: { ...slots, trial: TRIAL },
      storage: { ...storage, trial: STORAGE_TRIAL },
    },
    world: {
      boot: TRIAL_BOOT,
      bootState: ARMED,
      system: release('system', 2),
      seals: { ...SEALS, system: { ...SEALS.system, B: sealOf('system', 2) } },
      storage: { slot: 'B', release: release('storage', 2) },
      ...world,
    },
  });
}

const unused = (): never => {
  throw new Error('not asked by health checks');
};

interface Script {
  state?: NodeState;
  readonly readOnly?: (ms: number) => boolean;
  readonly storage?: (ms: number) => boolean;
  readonly selfTest?: (ms: number) => boolean;
  readonly watchdog?: () => void;
  /** The checks of a trial that was found healthy before. */
  readonly again?: boolean;
  readonly hooks?: readonly MemoryHook[];
  readonly hang?: boolean;
}

/** Runs the checks of a trial to their end; the script says what is bad at which time. */
async function run(script: Script, abortAtMs?: number) {
  const clock = new VirtualClock();
  const events: Event[] = [];
  const abort = new AbortController();
  const bad = (
    when: ((ms: number) => boolean) | undefined,
    code: 'health.check' | 'health.storage',
  ) => {
    if (when?.(clock.nowMs) === true) throw new UpdateError(code, `bad at ${clock.nowMs}`);
    return Promise.resolve();
  };
  let fed = 0;
  const ports = {
    host: {
      boot: unused,
      reboot: unused,
      powerOff: unused,
      hardReset: unused,
      nowMs: () => clock.nowMs,
      monotonicMs: () => clock.nowMs,
      feedWatchdog: () => {
        fed++;
        script.watchdog?.();
      },
      checkWritable: async () => bad(script.readOnly, 'health.check'),
    },
    storage: {
      start: unused,
      stop: unused,
      running: unused,
      onExit: unused,
      health: async () => bad(script.storage, 'health.storage'),
      [Symbol.asyncDispose]: unused,
    },
    service: {
      acquire: unused,
      release: unused,
      held: unused,
      selfTest: async () =>
        script.hang === true
          ? new Promise<void>(() => undefined)
          : bad(script.selfTest, 'health.check'),
      [Symbol.asyncDispose]: unused,
    },
    hooks: new MemoryHooks(script.hooks ?? []),
    pause: clock.pause,
  };
  const state = (): NodeState => script.state ?? onTrial();
  const dispatch = async (event: Event): Promise<boolean> => {
    await Promise.resolve();
    events.push(event);
    return true;
  };
  const times = script.hang === true ? { ...TIMES, checkMs: 5 } : TIMES;
  if (abortAtMs !== undefined) clock.schedule(abortAtMs, () => abort.abort());
  const done = script.again
    ? checkStillHealthy(TRIAL, state, ports, times, abort.signal)
    : checkHealth(TRIAL, state, ports, times, dispatch, abort.signal);
  const reason: Reason | null = await clock.until(done);
  return { reason, tookMs: clock.nowMs, events, fed, hooks: ports.hooks.calls };
}

t.test('all good: healthy after the stable time, and storage is proven', async (t) => {
  const { reason, tookMs, events, fed } = await run({});
  t.equal(reason, null);
  t.equal(tookMs, TIMES.stableMs);
  t.equal(fed, 1 + TIMES.stableMs / TIMES.roundMs, 'the watchdog is fed in each round');
  t.strictSame(events[0], { type: 'storage-proven', trialId: 1 });
});

const until = (ms: number) => (now: number) => now < ms;
const from = (ms: number) => (now: number) => now >= ms;
const always = (): boolean => true;

const checks = [
  { name: 'data partition writable', key: 'readOnly', code: 'health.check' },
  { name: 'storage software', key: 'storage', code: 'health.storage' },
  { name: 'self-test of the workload', key: 'selfTest', code: 'health.check' },
] as const;

for (const { name, key, code } of checks) {
  t.test(`${name}: bad within the grace, after it, and once it was good`, async (t) => {
    const early = await run({ [key]: until(2500) });
    t.equal(early.reason, null, 'a check may need time after a boot');
    t.equal(early.tookMs, 2500 + TIMES.stableMs);
    const late = await run({ [key]: always });
    t.match(late.reason, { code, message: `health check "${name}" failed: bad at 3000` });
    t.equal(late.tookMs, TIMES.graceMs);
    const again = await run({ [key]: from(1000) });
    t.match(again.reason, { code, message: /bad at 1000/ }, 'good and bad again is bad at once');
  });
}

t.test(
  'the peer does not answer: that is waited for, and not held against the trial',
  async (t) => {
    const silent = onTrial({ linkUp: false, peer: null });
    const script: Script = { state: silent };
    const waiting = await run(script, 60_000);
    t.equal(waiting.reason, null);
    t.equal(waiting.tookMs, 60_000, 'until the dead-man timer ends it');
    t.strictSame(
      waiting.events.map((event) => event.type),
      Array.from(waiting.events, () => 'storage-proven'),
    );
  },
);

t.test('another slot or another content than what was armed: at once', async (t) => {
  const wrong: readonly [string, NodeState, RegExp][] = [
    ['the old slot', onTrial({ boot: { ...TRIAL_BOOT, slot: 'A' } }), /slot A is booted, slot B/],
    ['no release file', onTrial({ system: null }), /says it is nothing, armed was 2\.0\.0/],
    ['another version', onTrial({ system: release('system', 3) }), /says it is 3\.0\.0 .*2\.0\.0/],
    ['no seal', onTrial({ seals: SEALS }), /armed was nothing/],
  ];
  for (const [name, state, message] of wrong) {
    const { reason, tookMs } = await run({ state });
    t.match(reason, { code: 'health.slot', message }, name);
    t.equal(tookMs, 0, name);
  }
});

t.test('storage software is proven before the system fails', async (t) => {
  const { reason, events } = await run({ selfTest: always });
  t.equal(reason?.code, 'health.check');
  t.strictSame(events[0], { type: 'storage-proven', trialId: 1 });
  const failing = await run({ storage: always, selfTest: always });
  t.equal(failing.reason?.code, 'health.storage', 'storage is looked at first');
  t.strictSame(failing.events, []);
});

t.test('storage software that does not start: its own reason', async (t) => {
  const message = 'slot B cannot be unpacked';
  const troubles = { 'run-storage': { code: 'slot.unpack', message } } as const;
  const { reason } = await run({ state: onTrial({ storage: null, troubles }) });
  t.match(reason, { code: 'health.storage', message: /slot B cannot be unpacked/ });
  const { reason: plain } = await run({ state: onTrial({ storage: null }) });
  t.match(plain, { code: 'health.storage', message: /does not run/ });
});

const hook = (answer: MemoryHook['answer']): readonly MemoryHook[] => [
  { point: 'health', name: '10-check', answer },
];

t.test('hooks come last; one may refuse, or ask to be tried again', async (t) => {
  const good = await run({ hooks: hook(() => 'good') });
  t.equal(good.reason, null);
  t.strictSame(good.hooks, ['health/10-check']);
  const veto = await run({ hooks: hook(() => ({ veto: 'the licence server is away' })) });
  t.match(veto.reason, { code: 'health.check', message: /10-check.*licence server/ });
  let asked = 0;
  const later = await run({ hooks: hook(() => (++asked < 4 ? 'retry' : 'good')) });
  t.equal(later.reason, null);
  t.equal(later.tookMs, TIMES.stableMs + 3000, 'a second between two tries');
  const never = await run({ hooks: hook(() => 'retry') });
  t.match(never.reason, { code: 'health.check', message: /too often/ });
  t.equal(never.hooks.length, 60);
  const early = await run({ selfTest: always, hooks: hook(() => 'good') });
  t.strictSame(early.hooks, [], 'not asked while something built in is bad');
});

t.test('a hook is told what runs', async (t) => {
  let told: object = {};
  await run({
    hooks: hook((input) => {
      told = input;
      return 'good';
    }),
  });
  t.match(told, { node: 'A', rollout: 'update-1', slot: 'B', system: { version: '2.0.0' } });
  t.match(told, { storage: { version: '2.0.0' } });
});

t.test('a healthy trial is checked again: one good round, and bad only for good', async (t) => {
  const again = true;
  const good = await run({ again, hooks: hook(() => ({ veto: 'not asked' })) });
  t.strictSame([good.reason, good.tookMs, good.hooks], [null, 0, []]);
  const slow = await run({ again, storage: until(2500) });
  t.strictSame([slow.reason, slow.tookMs], [null, 2500], 'slow for a while');
  const bad = await run({ again, storage: always });
  t.equal(bad.reason?.code, 'health.storage');
  t.equal(bad.tookMs, TIMES.graceMs);
  const silent = await run({ again, state: onTrial({ linkUp: false, peer: null }) });
  t.equal(silent.reason, null, 'a silent peer is judged by the dead-man timer');
});

t.test('an abort ends the checks without a verdict', async (t) => {
  const { reason, tookMs } = await run({ selfTest: always }, 1000);
  t.equal(reason, null);
  t.ok(tookMs <= 1500);
  const inHooks = await run({ hooks: hook(() => 'retry') }, 5000);
  t.ok(inHooks.tookMs <= 6500, 'also between two tries of a hook');
});

t.test('a check that hangs is bad after its time limit', async (t) => {
  const { reason } = await run({ hang: true });
  t.match(reason, { code: 'health.check', message: /self-test of the workload.*no answer/ });
});

async function watch(answers: readonly boolean[]): Promise<string> {
  const clock = new VirtualClock();
  const abort = new AbortController();
  let asked = 0;
  const service = {
    acquire: () => Promise.reject(new Error('no')),
    release: () => Promise.reject(new Error('no')),
    held: () => true,
    selfTest: async () => {
      await Promise.resolve();
      const good = answers[asked++];
      if (asked >= answers.length) abort.abort();
      if (good !== true) throw new UpdateError('health.check', `bad ${asked}`);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const done = watchService({ service, pause: clock.pause }, TIMES, abort.signal).then(
    () => 'aborted',
    (error: unknown) => (error as UpdateError).message,
  );
  return await clock.until(done);
}

t.test('the watch of a service: three failures in a row are one too many', async (t) => {
  const [o, x] = [true, false];
  t.equal(await watch([o, o, o, o]), 'aborted');
  t.equal(await watch([o, x, x, o, x, x, o, o]), 'aborted', 'two are forgiven');
  t.equal(await watch([o, x, o, x, x, x, o]), 'bad 6');
});
