/**
 * The rule by which a slot is chosen, over every small state and counter, and the changes of the
 * state over every sequence of orders. May import tap and core.
 */
import t from 'tap';
import {
  armTrial,
  changeOtherOk,
  commitTrial,
  firstBootState,
  revertTrial,
  TRIES_MAX,
  type BootFields,
} from '../../src/core/boot-change.ts';
import {
  afterLoadFailure,
  selectBoot,
  verdictOf,
  type BootCounter,
  type BootState,
} from '../../src/core/boot.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { otherSlot, type Slot } from '../../src/core/model.ts';

const SLOTS: readonly Slot[] = ['A', 'B'];
const SMALL = [0, 1, 2, 3] as const;

/** Every state with small numbers, also those that no driver writes. */
function* states(): Generator<BootState> {
  for (const slot of SLOTS) {
    for (const trial of [null, otherSlot(slot)]) {
      for (const trialId of SMALL) {
        for (const tries of SMALL) {
          for (const otherOk of [false, true]) {
            yield { seq: 1, default: slot, trial, trialId, tries, otherOk };
          }
        }
      }
    }
  }
}

function* counters(): Generator<BootCounter> {
  for (const trialId of SMALL) for (const used of [0, 1, 2, 3, 4]) yield { trialId, used };
}

t.test('every small state with every small counter', async (t) => {
  let checked = 0;
  const seen = { default: 0, trial: 0, 'attempts-used': 0, fallback: 0 };
  for (const state of states()) {
    for (const counter of counters()) {
      const choice = selectBoot(state, counter);
      const used = counter.trialId === state.trialId ? counter.used : 0;
      const onTrial = state.trial !== null && used < state.tries;
      const found = { state, counter, choice };
      checked += 1;
      seen[choice.reason] += 1;
      const good = onTrial
        ? choice.slot === state.trial &&
          choice.reason === 'trial' &&
          choice.attempt === used + 1 &&
          choice.save?.trialId === state.trialId &&
          choice.save.used === used + 1
        : choice.slot === state.default &&
          choice.reason === (state.trial === null ? 'default' : 'attempts-used') &&
          choice.attempt === 0 &&
          choice.save === null;
      if (!good) t.fail('a wrong choice', { found });
    }
  }
  t.equal(checked, 128 * 20);
  t.ok(seen.default > 0 && seen.trial > 0 && seen['attempts-used'] > 0 && seen.fallback === 0);
});

t.test('a trial is booted as often as it has tries, and then never again', async (t) => {
  for (const state of states()) {
    for (const first of counters()) {
      let counter = first;
      const left =
        state.trial === null || first.trialId !== state.trialId
          ? state.tries
          : Math.max(0, state.tries - first.used);
      const expected = state.trial === null ? 0 : left;
      let trials = 0;
      for (let boot = 0; boot < 8; boot += 1) {
        const choice = selectBoot(state, counter);
        if (choice.reason === 'trial') trials += 1;
        else if (trials !== expected) t.fail('a default boot too early', { state, first });
        counter = choice.save ?? counter;
      }
      if (trials !== expected) t.fail(`${trials} trials`, { state, first });
    }
  }
});

t.test('what cannot be loaded', async (t) => {
  for (const state of states()) {
    const other = otherSlot(state.default);
    t.equal(afterLoadFailure(state, other), state.default, 'the committed slot is the way back');
    t.equal(afterLoadFailure(state, state.default), state.otherOk ? other : null);
  }
});

interface World {
  readonly state: BootFields;
  /** What really became of each trial, by its id. */
  readonly truth: Readonly<Record<number, { slot: Slot; verdict: 'armed' | Verdict }>>;
}
type Verdict = 'committed' | 'reverted';

/** The state after an order, or null when it was refused as a conflict. */
function attempt(change: () => BootFields | null, state: BootFields): BootFields | null {
  try {
    return change() ?? state;
  } catch (error) {
    if (error instanceof UpdateError && error.code === 'boot.conflict') return null;
    throw error;
  }
}

/** Every order with every id and slot, and what is true after it. */
function* orders({ state, truth }: World): Generator<World | null> {
  for (const id of [1, 2, 3]) {
    for (const slot of SLOTS) {
      const armed = attempt(() => armTrial(state, { id, slot, tries: 2 }), state);
      if (armed === null) yield null;
      else yield { state: armed, truth: { ...truth, [id]: { slot, verdict: 'armed' } } };
    }
    for (const verdict of ['committed', 'reverted'] as const) {
      const change = verdict === 'committed' ? commitTrial : revertTrial;
      const next = attempt(() => change(state, id), state);
      const trial = truth[id];
      if (next === null || trial === undefined) yield null;
      else yield { state: next, truth: { ...truth, [id]: { ...trial, verdict } } };
    }
  }
  for (const ok of [false, true]) {
    yield { state: changeOtherOk(state, ok) ?? state, truth };
  }
}

t.test('every sequence of orders: a verdict is given once and read back as given', async (t) => {
  const seen = new Set<string>();
  let worlds: World[] = SLOTS.map((slot) => ({ state: firstBootState(slot, false), truth: {} }));
  let checked = 0;
  let refused = 0;
  while (worlds.length > 0) {
    const next: World[] = [];
    for (const world of worlds) {
      for (const after of orders(world)) {
        if (after === null) {
          refused += 1;
          continue;
        }
        checked += 1;
        check(t, world, after);
        const key = JSON.stringify(after);
        if (seen.has(key)) continue;
        seen.add(key);
        next.push(after);
      }
    }
    worlds = next;
  }
  t.ok(seen.size > 50, `${seen.size} worlds`);
  t.ok(refused > 0 && checked > 0, `${checked} orders done, ${refused} refused`);
});

function check(t: import('tap').Test, before: World, after: World): void {
  const { state, truth } = after;
  const full = { ...state, seq: 1 };
  const newest = truth[state.trialId];
  if (newest !== undefined) {
    const verdict = verdictOf(full, { id: state.trialId, slot: newest.slot });
    if (verdict !== newest.verdict) t.fail(`${verdict} is read`, { before, after });
  }
  for (const id of [1, 2, 3].filter((id) => id > state.trialId)) {
    if (verdictOf(full, { id, slot: 'B' }) !== 'never-armed') t.fail('an id above', { after });
  }
  for (const [id, { verdict }] of Object.entries(before.truth)) {
    const now = truth[Number(id)]?.verdict;
    if (verdict !== 'armed' && now !== verdict) t.fail('a verdict changed', { before, after });
  }
  if (state.trial === state.default) t.fail('the default is on trial', { after });
  const moved = state.default !== before.state.default;
  if (moved && newest?.verdict !== 'committed') t.fail('only a commit moves it', { after });
}

t.test('tries have limits', async (t) => {
  const state = firstBootState('A', false);
  for (const tries of [0, -1, 1.5, TRIES_MAX + 1, Number.NaN]) {
    t.throws(() => armTrial(state, { id: 1, slot: 'B', tries }), { code: 'internal.bug' });
  }
  t.equal(armTrial(state, { id: 1, slot: 'B', tries: TRIES_MAX })?.tries, TRIES_MAX);
});
