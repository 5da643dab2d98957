/**
 * Every action can be reached from the first screen by letters that stand on the screens; and long
 * random runs of keys, answers and news over the model: it never throws, asks for no change that
 * nobody confirmed, and Escape leads home from everywhere.
 */
import t from 'tap';
import { ACTIONS, refusalOf, type Action } from '../../console/actions.ts';
import type { Form } from '../../console/dialogs.ts';
import { KEY_NAMES, type Key } from '../../console/keys.ts';
import { listing, picture } from '../../console/layout.ts';
import { keysOf } from '../../console/plain.ts';
import { SCREEN } from '../../console/screens.ts';
import { SCREENS, shownScreen, type Answer, type ScreenName } from '../../console/state.ts';
import type { Input } from '../../console/model.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { TandemEvent } from '../../src/core/status.ts';
import { nodeStatus, pairStatus, precheckReport, rolloutStatus } from '../memory/backend.ts';
import { AT, settingsView, takeoverView } from '../memory/backend.ts';
import { HELD, LOGIN_REQUIRED, NO_USERS, person, POWER, SUPPORT, USERS } from './people.ts';
import { daemonGone, Led, SHEET, WORLDS } from './worlds.ts';

const source = { path: '/media/usb/update.bin' };

/** What the daemon answers to an ask, when all is well. */
function answerTo(led: Led): Input | null {
  const { id, ask } = led.asks.at(-1)!;
  const answers: Readonly<Record<string, Answer>> = {
    bundles: { kind: 'bundles', bundles: [{ source, name: 'update.bin', note: '' }] },
    check: { kind: 'checks', source, report: precheckReport() },
    history: { kind: 'history', rollouts: [] },
    audit: { kind: 'audit', entries: [] },
    takeover: { kind: 'takeover', view: takeoverView() },
    power: { kind: 'power', views: POWER },
    support: { kind: 'support', view: SUPPORT },
    settings: { kind: 'settings', view: settingsView() },
    users: { kind: 'users', view: USERS },
    login: { kind: 'session', view: person() },
    recover: { kind: 'session', view: person() },
    change: { kind: 'changed', message: 'done', job: null },
  };
  const answer = answers[ask.ask];
  return answer === undefined ? null : { id, answer };
}

const paused = { by: 'anna', at: AT, restsAfter: 'STAGE' } as const;
const admin = person({ role: 'administrator' });

/** Pairs and people in which between them every action is possible. */
const SITUATIONS: readonly (readonly Input[])[] = [
  [{ status: WORLDS.updated }],
  [{ status: WORLDS.installing }],
  [{ status: pairStatus({ ...WORLDS.installing, rollout: rolloutStatus({ paused }) }) }],
  [{ status: pairStatus({ self: 'B' }) }],
  [
    {
      status: pairStatus({
        self: 'B',
        nodes: {
          A: nodeStatus('A'),
          B: nodeStatus('B', { standDown: true, standDownFor: 'operator' }),
        },
      }),
    },
  ],
  [{ status: WORLDS.frozen }],
  [{ status: WORLDS.scheduled }],
  [{ person: admin }, { status: WORLDS.well }],
  [{ person: { ...admin, operator: true } }, { status: HELD }],
  [{ person: admin }, { status: HELD }],
];

/** The letters that stand on the screen as it is shown, and Enter where there is something. */
function shownKeys(led: Led): readonly string[] {
  const text = listing(led.state, { columns: 79, unicode: false }).join('\n');
  const keys = SCREEN[shownScreen(led.state)].keys(led.state);
  const found = keys.filter(({ letter }) => {
    const inBody = text.includes(`[${letter}]`);
    return inBody || new RegExp(`(^|[ (])${letter} \\w`, 'm').test(text);
  });
  return [...found.map(({ letter }) => letter), 'enter'];
}

/** Where a situation leads within so many keys; each screen is looked at once. */
function walk(situation: readonly Input[]): { actions: Set<Action>; screens: Set<ScreenName> } {
  const actions = new Set<Action>();
  const screens = new Set<ScreenName>();
  const start = new Led(null);
  for (const input of situation) start.take(input);
  const queue: Led[] = [start];
  while (queue.length > 0) {
    const led = queue.shift()!;
    const screen = shownScreen(led.state);
    if (screens.has(screen)) continue;
    screens.add(screen);
    for (const key of shownKeys(led)) {
      const next = new Led(null);
      next.state = led.state;
      next.press(key);
      if (next.asks.length > 0) {
        const answer = answerTo(next);
        if (answer !== null) next.take(answer);
      }
      const { dialog } = next.state;
      if (dialog?.kind === 'form') {
        const { purpose } = dialog;
        if (purpose.use === 'plan') actions.add(purpose.plan.do);
        if (purpose.use === 'setting') actions.add('setting');
        if (purpose.use === 'defer') actions.add('schedule-defer');
      }
      if (dialog === null) queue.push(next);
    }
  }
  return { actions, screens };
}

t.test('every action and every screen is reached by letters that are shown', async (t) => {
  const actions = new Set<Action>();
  const screens = new Set<ScreenName>(['help', 'login']);
  for (const situation of SITUATIONS) {
    const found = walk(situation);
    for (const one of found.actions) actions.add(one);
    for (const one of found.screens) screens.add(one);
  }
  t.strictSame([...actions].toSorted(), [...ACTIONS].toSorted());
  t.strictSame([...screens].toSorted(), [...SCREENS].toSorted());
  for (const led of [new Led(WORLDS.well), new Led(null).take({ access: LOGIN_REQUIRED })]) {
    led.press('escape');
    t.match(led.text(), '? Help');
    t.equal(shownScreen(led.press('?').state), 'help');
  }
});

t.test('each letter of each screen is one only, and a word in the plain mode too', async (t) => {
  for (const situation of SITUATIONS) {
    for (const screen of SCREENS) {
      const led = new Led(null);
      for (const input of situation) led.take(input);
      led.state = { ...led.state, screens: ['overview', screen] };
      const keys = SCREEN[shownScreen(led.state)].keys(led.state);
      const letters = keys.map(({ letter }) => letter);
      t.equal(new Set(letters).size, letters.length, `${screen}: ${letters.join('')}`);
      for (const { letter } of keys) t.strictSame(keysOf(letter, led.state), [{ char: letter }]);
    }
  }
});

/** A small generator, so that a failure can be repeated. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const LETTERS = 'vcusrlmqapbewotgfnxdikyhj123?/ -'.split('');
const WORDS = ['yes', 'node A', '2.0.0', '1.0.0', 'cancel', 'bob', 'B is off', '15', '/x.bin', 'a'];
const EVENT: TandemEvent = {
  v: 1,
  seq: 1,
  ts: AT,
  job: 'support-1',
  node: 'A',
  phase: null,
  state: 'ended',
  pct: null,
  eta_s: null,
  msg: 'the support bundle is ready',
  code: null,
};
const NEWS: readonly Input[] = [
  ...Object.values(WORLDS).map((status): Input => ({ status })),
  { status: HELD },
  daemonGone(9000),
  { person: admin },
  { person: person() },
  { person: person({ role: 'viewer' }) },
  { person: person({ watching: true }) },
  { person: null },
  { access: LOGIN_REQUIRED },
  { access: NO_USERS },
  { access: new UpdateError('access.idle', 'idle').report() },
  { passedS: 1 },
  { passedS: 550 },
  { events: [EVENT] },
];

/** Pairs in which much is possible. */
const CALM = [WORLDS.updated, WORLDS.well, WORLDS.installing, HELD] as const;

const keyInput = (key: Key): Input => ({ key, pageRows: 19 });

/** One random thing that happens. */
function happening(roll: (below: number) => number, led: Led): Input {
  const kind = roll(40);
  if (kind < 20) return keyInput({ char: LETTERS[roll(LETTERS.length)]! });
  if (kind < 24) return keyInput({ name: KEY_NAMES[roll(KEY_NAMES.length)]! });
  if (kind < 26) return keyInput({ paste: WORDS[roll(WORDS.length)]! });
  if (kind < 36 && led.asks.length > 0) {
    const refused = { kind: 'refused', error: LOGIN_REQUIRED } as const;
    const id = led.asks.at(-1)!.id - roll(3);
    return roll(20) === 0 ? { id, answer: refused } : (answerTo(led) ?? { passedS: 1 });
  }
  if (kind < 39) return { status: CALM[roll(CALM.length)]! };
  return NEWS[roll(NEWS.length)]!;
}

/** What a person would type next into a form. */
function fillOn(led: Led, form: Form): void {
  const { wanted, value, needed } = form.fields[form.at]!;
  const good = wanted === null ? value !== '' || !needed : value === wanted;
  if (good) led.press('enter');
  else led.press('clear').take(keyInput({ paste: wanted ?? 'because of it' }));
}

const BEGINS: readonly (readonly string[])[] = [[], ['m'], ['m', 'w'], ['u'], ['r']];

t.test('random keys, answers and news', async (t) => {
  const roll = dice(20_261_122);
  const changes = new Set<string>();
  const seen = new Set<ScreenName>();
  let asked = 0;
  let led = new Led(WORLDS.updated);
  const start = { person: admin } as const;
  for (let count = 0; count < 120_000; count += 1) {
    if (count % 200 === 0)
      led = new Led(WORLDS.updated).take(start).press(...BEGINS[roll(BEGINS.length)]!);
    const { dialog, facts, access } = led.state;
    const before = led.asks.length;
    const lost = access.at === 'out' || facts.person?.watching === true;
    if (lost && roll(10) === 0) led.take(start);
    else if (dialog?.kind === 'form' && roll(8) > 0) fillOn(led, dialog);
    else led.take(happening(roll, led));
    for (const { ask } of led.asks.slice(before)) {
      if (ask.ask !== 'change') continue;
      changes.add(ask.plan.do);
      asked += 1;
      if (dialog?.kind !== 'form') throw new Error(`${ask.plan.do} was asked by no form`);
      const good = dialog.fields.every(({ wanted: word, value, needed }) => {
        const text = value.trim().toLowerCase();
        return (word === null || text === word.toLowerCase()) && (!needed || text !== '');
      });
      const fits = ['setting', 'plan', 'defer'].includes(dialog.purpose.use);
      if (!good || !fits) throw new Error(`${ask.plan.do} was asked by a form that is not filled`);
      if (led.state.access.at === 'out') throw new Error('asked by nobody');
      if (facts.person?.watching === true) throw new Error('asked at a console that is locked');
      if (facts.person?.role === 'viewer') throw new Error('asked by a viewer');
      const refusal = refusalOf(ask.plan.do, facts);
      if (refusal !== null) throw new Error(`${ask.plan.do} was asked although ${refusal}`);
    }
    seen.add(shownScreen(led.state));
    if (count % 10 === 0 && picture(led.state, SHEET).lines.length !== 24) throw new Error('lines');
    if (count % 100 !== 99) continue;
    for (let back = 0; back < SCREENS.length + 2; back += 1) led.press('escape');
    const home = led.state.access.at === 'out' ? 'login' : 'overview';
    // At a console that is locked each Escape opens or closes the login.
    if (led.state.facts.person?.watching === true) continue;
    if (shownScreen(led.state) !== home) throw new Error(`Escape leads to ${home}`);
    if (led.state.waiting !== null || led.state.dialog !== null) throw new Error('stuck');
  }
  t.strictSame([...seen].toSorted(), [...SCREENS].toSorted(), 'every screen was met');
  t.ok(changes.size > 12, [...changes].join(' '));
  t.ok(asked > 150, `${asked} changes were asked for`);
});
