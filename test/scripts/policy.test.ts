/**
 * The decisions of an appliance's firmware, exhaustively and without processes: which slot is
 * loaded for every boot state, counter and fault; what follows the end of the program; when the
 * watchdog bites.
 */
import t from 'tap';
import type { BootCounter, BootState, CommitMarks } from '../../src/core/boot.ts';
import { otherSlot, type Slot } from '../../src/core/model.ts';
import {
  afterEnd,
  chooseSlot,
  EXIT_POWER_OFF,
  EXIT_REBOOT,
  watchdogStep,
} from '../../scripts/supervisor/policy.ts';

const base: BootState = { seq: 7, default: 'A', trial: null, trialId: 3, tries: 2, otherOk: true };

interface World {
  readonly broken: readonly Slot[];
  /** Saves that fail, counted from 0. */
  readonly failingSaves: readonly number[];
}

/** One boot; without `marks` nobody may ask the seals. */
async function boot(
  state: BootState | null,
  counter: BootCounter | null,
  world: World,
  marks?: CommitMarks,
) {
  const saves: BootCounter[] = [];
  const loads: Slot[] = [];
  const order: string[] = [];
  let asked = 0;
  const seals = async (): Promise<CommitMarks> => {
    if (marks === undefined) throw new Error('the seals were asked');
    return marks;
  };
  const choice = await chooseSlot({ state, counter }, seals, {
    save: async (wanted) => {
      asked += 1;
      if (world.failingSaves.includes(asked - 1)) throw new Error('no');
      saves.push(wanted);
      order.push('save');
    },
    load: async (slot) => {
      loads.push(slot);
      order.push(`load ${slot}`);
      return !world.broken.includes(slot);
    },
    log: () => undefined,
  });
  return { choice, saves, loads, order };
}

const fine: World = { broken: [], failingSaves: [] };

t.test('a committed boot writes nothing', async (t) => {
  const { choice, saves } = await boot(base, { trialId: 3, used: 2 }, fine);
  t.strictSame(choice, { slot: 'A', reason: 'default', attempt: 0 });
  t.strictSame(saves, []);
});

t.test('an attempt is saved before the trial is loaded', async (t) => {
  const state: BootState = { ...base, trial: 'B' };
  const { choice, saves, order } = await boot(state, { trialId: 3, used: 1 }, fine);
  t.strictSame(choice, { slot: 'B', reason: 'trial', attempt: 2 });
  t.strictSame(saves, [{ trialId: 3, used: 2 }]);
  t.strictSame(order, ['save', 'load B']);
});

t.test('a counter that cannot be saved boots the default slot', async (t) => {
  const state: BootState = { ...base, trial: 'B' };
  const got = await boot(state, { trialId: 0, used: 0 }, { broken: [], failingSaves: [0] });
  t.strictSame(got.choice, { slot: 'A', reason: 'fallback', attempt: 0 });
  t.strictSame(got.loads, ['A']);
});

t.test('a counter that cannot be read boots the default slot and counts nothing', async (t) => {
  const armed = await boot({ ...base, trial: 'B' }, null, fine);
  t.strictSame(armed.choice, { slot: 'A', reason: 'fallback', attempt: 0 });
  t.strictSame(armed.saves, []);
  const quiet = await boot(base, null, fine);
  t.strictSame(quiet.choice, { slot: 'A', reason: 'default', attempt: 0 });
});

t.test('without a boot state the slot that was committed last boots', async (t) => {
  const numbers = [null, 0, 1, 2, 7];
  let booted = 0;
  for (const A of numbers) {
    for (const B of numbers) {
      for (const counter of [null, { trialId: 7, used: 0 }]) {
        const { choice, saves, loads } = await boot(null, counter, fine, { A, B });
        const expected = A === null && B === null ? null : (B ?? -1) > (A ?? -1) ? 'B' : 'A';
        const found = `A ${String(A)}, B ${String(B)}`;
        t.equal(choice?.slot ?? null, expected, found);
        t.strictSame(loads, expected === null ? [] : [expected], found);
        t.strictSame(saves, [], 'nothing is counted');
        if (choice === null) continue;
        booted += 1;
        t.match(choice, { reason: 'fallback', attempt: 0 });
        t.not({ A, B }[choice.slot], null, 'a slot that was never committed is not booted');
      }
    }
  }
  t.equal(booted, 2 * (5 * 5 - 1));
});

t.test('without a boot state there is no way to a slot that was committed earlier', async (t) => {
  const { choice, loads } = await boot(null, null, { ...fine, broken: ['B'] }, { A: 0, B: 1 });
  t.equal(choice, null, 'reboot and try again');
  t.strictSame(loads, ['B']);
});

t.test('a trial that cannot be loaded loses all its attempts', async (t) => {
  const state: BootState = { ...base, trial: 'B', tries: 5 };
  const got = await boot(state, { trialId: 3, used: 0 }, { broken: ['B'], failingSaves: [] });
  t.strictSame(got.choice, { slot: 'A', reason: 'fallback', attempt: 0 });
  t.strictSame(got.saves.at(-1), { trialId: 3, used: 5 });
});

t.test('every state, counter and fault ends in an allowed slot or in a reboot', async (t) => {
  let cases = 0;
  const slots: readonly Slot[] = ['A', 'B'];
  for (const slot of slots) {
    for (const trial of [null, otherSlot(slot)]) {
      for (const otherOk of [true, false]) {
        for (const trialId of [2, 3]) {
          for (const used of [0, 1, 2, 3]) {
            for (const broken of [[], ['A'], ['B'], ['A', 'B']] as const) {
              for (const failingSaves of [[], [0], [1], [0, 1]]) {
                cases += 1;
                const state: BootState = { ...base, default: slot, trial, otherOk };
                const got = await boot(state, { trialId, used }, { broken, failingSaves });
                checkBoot(t, state, got, broken);
              }
            }
          }
        }
      }
    }
  }
  t.equal(cases, 2 * 2 * 2 * 2 * 4 * 4 * 4);
});

function checkBoot(
  t: { fail: (message: string, extra: object) => unknown },
  state: BootState,
  got: Awaited<ReturnType<typeof boot>>,
  broken: readonly Slot[],
): void {
  const { choice, loads, saves } = got;
  const faults: string[] = [];
  if (new Set(loads).size !== loads.length) faults.push('a slot was tried twice');
  if (!loads.includes(state.default) && choice?.reason !== 'trial') {
    faults.push('the default slot was not tried');
  }
  const other = otherSlot(state.default);
  const mayOther = state.otherOk || state.trial === other;
  if (choice?.slot === other && !mayOther) faults.push('a slot that is not allowed was booted');
  if (choice !== null && broken.includes(choice.slot)) faults.push('a broken slot was booted');
  if (choice === null && !broken.includes(state.default)) faults.push('gave up too early');
  if (choice?.reason === 'trial' && saves.at(0)?.used !== choice.attempt) {
    faults.push('a trial was booted without its attempt counted');
  }
  if (state.trial === null && saves.length > 0) faults.push('a committed boot wrote');
  if (faults.length > 0) t.fail(faults.join('; '), { state, got, broken });
}

t.test('exit status 42 reboots and forgets the crashes', async (t) => {
  const next = afterEnd([1, 2], { code: EXIT_REBOOT, signal: null }, 10);
  t.match(next, { do: 'reboot', crashesMs: [] });
});

t.test('exit status 43 switches the power off', async (t) => {
  const next = afterEnd([1, 2], { code: EXIT_POWER_OFF, signal: null }, 10);
  t.match(next, { do: 'off', crashesMs: [] });
});

t.test('an end by SIGUSR2 is a power cycle, another signal a crash', async (t) => {
  const next = afterEnd([1, 2], { code: null, signal: 'SIGUSR2' }, 10);
  t.match(next, { do: 'reboot', why: 'the program asked for a power cycle', crashesMs: [] });
  t.match(afterEnd([], { code: null, signal: 'SIGKILL' }, 10), { do: 'restart' });
});

t.test('the third crash within the window reboots', async (t) => {
  const ends = [
    { code: 0, signal: null },
    { code: 1, signal: null },
    { code: null, signal: 'SIGSEGV' },
  ];
  for (const end of ends) {
    const first = afterEnd([], end, 1000);
    t.match(first, { do: 'restart', crashesMs: [1000] });
    const second = afterEnd(first.crashesMs, end, 30_000);
    t.match(second, { do: 'restart', crashesMs: [1000, 30_000] });
    t.match(afterEnd(second.crashesMs, end, 60_999), { do: 'reboot', crashesMs: [] });
    t.match(afterEnd(second.crashesMs, end, 61_000), {
      do: 'restart',
      crashesMs: [30_000, 61_000],
    });
  }
});

t.test('the watchdog is armed by the first feed and bites when feeding stops', async (t) => {
  const start = { mark: 'a', sinceMs: 0, armed: false };
  t.match(watchdogStep(start, 'a', 99_999, 1000), { bites: false }, 'never armed');
  const fed = watchdogStep(start, 'b', 500, 1000);
  t.strictSame(fed, { state: { mark: 'b', sinceMs: 500, armed: true }, bites: false });
  t.equal(watchdogStep(fed.state, 'b', 1499, 1000).bites, false);
  t.equal(watchdogStep(fed.state, 'b', 1500, 1000).bites, true);
  t.equal(watchdogStep(fed.state, 'c', 1500, 1000).bites, false);
});
