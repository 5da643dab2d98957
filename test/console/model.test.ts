/**
 * The model of the console: where keys lead, what is possible in which state, what is asked of the
 * world, and that no sequence of keys ends in a place without a way back.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { ACTIONS, refusalOf, type Action } from '../../console/actions.ts';
import { ageWords, heardStatus, noFacts } from '../../console/facts.ts';
import { KEY_NAMES } from '../../console/keys.ts';
import { picture } from '../../console/layout.ts';
import { textOf } from '../../console/picture.ts';
import { SCREENS, shownScreen } from '../../console/state.ts';
import { nodeStatus, pairStatus, precheckReport, takeoverView } from '../memory/backend.ts';
import { daemonGone, keyOf, Led, SHEET, WORLDS, type WorldName } from './worlds.ts';

/** What the daemon judges when it is asked, or what does not depend on the state of the pair. */
const ANY_TIME: ReadonlySet<Action> = new Set<Action>([
  'restart',
  'shutdown',
  'support',
  'support-delete',
  'setting',
  'recovery',
  'unlock',
  'shell',
]);

const allowed = (name: WorldName): readonly Action[] =>
  ACTIONS.filter((action) => !ANY_TIME.has(action)).filter(
    (action) => refusalOf(action, heardStatus(noFacts(false), WORLDS[name])) === null,
  );

t.test('what is possible in which state', async (t) => {
  const table: Readonly<Record<WorldName, readonly Action[]>> = {
    well: ['update', 'switchover'],
    silent: ['takeover'],
    installing: ['pause', 'cancel'],
    trial: ['pause', 'cancel', 'takeover'],
    updated: ['update', 'rollback', 'commit', 'switchover'],
    failed: ['update', 'switchover'],
    syncing: ['update'],
    scheduled: ['update', 'schedule-now', 'schedule-defer', 'schedule-cancel', 'switchover'],
    asking: ['update', 'schedule-now', 'schedule-defer', 'schedule-cancel', 'switchover'],
    frozen: ['takeover'],
    safeMode: [],
  };
  for (const name of Object.keys(table) as WorldName[]) {
    t.strictSame(allowed(name), table[name], name);
  }
});

t.test('each refusal is a sentence, and nothing is allowed without fresh facts', async (t) => {
  for (const status of Object.values(WORLDS)) {
    for (const action of ACTIONS) {
      const refusal = refusalOf(action, heardStatus(noFacts(false), status));
      if (refusal !== null) t.match(refusal, /^[a-z0-9].{8,90}$/, action);
      t.equal(refusalOf(action, heardStatus(noFacts(true), status)), 'this console is read-only');
      const old = { ...heardStatus(noFacts(false), status), silentMs: 3001 };
      t.equal(refusalOf(action, old), 'the daemon does not answer');
    }
  }
});

t.test('letters of the first screen lead to the screens, Escape back', async (t) => {
  const led = new Led(WORLDS.well);
  const ways = { v: 'details', c: 'cluster', u: 'choose', s: 'slots', r: 'roles', l: 'log' };
  for (const [letter, screen] of Object.entries({ ...ways, '?': 'help' })) {
    t.equal(shownScreen(led.press(letter).state), screen);
    t.equal(shownScreen(led.press('escape').state), 'overview');
  }
  t.equal(shownScreen(new Led(WORLDS.installing).press('U').state), 'progress');
});

t.test(
  'what is not fresh is UNKNOWN on every screen, and no value of before is left',
  async (t) => {
    const led = new Led(WORLDS.well);
    for (const letter of ['', 'v', 'c', 's', 'r']) {
      led.press('escape', letter).take({ status: WORLDS.well });
      t.match(led.text(), /standby|READY|booted/, letter);
      led.take(daemonGone(3001));
      t.match(led.text(), 'UNKNOWN');
      t.notMatch(led.text(), /standby$|READY|booted|1\.0\.0|HEALTHY/m, letter);
    }
    led.press('escape').take({ status: WORLDS.silent });
    t.match(led.text(), /^role +active, serving +UNKNOWN$/m);
    t.match(led.text(), 'Node B (silent for over 10 s)');
  },
);

t.test('ages grow in steps', async (t) => {
  const words = [0, 2999, 3000, 9999, 10_000, 59_000, 61_000, 7_300_000, 2e8].map(ageWords);
  t.strictSame(words, [
    '',
    '',
    'over 3 s',
    'over 5 s',
    'over 10 s',
    'over 30 s',
    'over 1 min',
    'over 2 h',
    'over 2 d',
  ]);
});

t.test('an update: choose, check, confirm, watch', async (t) => {
  const led = new Led(WORLDS.well).press('u');
  t.strictSame(led.asks.pop(), { id: 1, ask: { ask: 'bundles' } });
  const source = { path: '/media/usb/update.bin' };
  led.take({ id: 1, answer: { kind: 'bundles', bundles: [{ source, name: 'x', note: '' }] } });
  led.press('enter');
  t.strictSame(led.asks.pop(), { id: 2, ask: { ask: 'check', source } });
  led.take({ id: 2, answer: { kind: 'checks', source, report: precheckReport() } });
  t.equal(shownScreen(led.state), 'checks');
  led.press('s', '2.0.1', 'enter');
  t.match(led.text(), 'Nothing is done before "2.0.0" stands here');
  led.press('clear', '2.0.0', 'enter', 'enter');
  t.match(led.text(), 'Something has to stand here');
  t.equal(led.asks.length, 0, 'nothing is asked before the form is right');
  led.press('fan noise', 'enter');
  const plan = { do: 'update', source, version: '2.0.0' };
  t.strictSame(led.asks.pop(), { id: 3, ask: { ask: 'change', plan, reason: 'fan noise' } });
  led.take({ id: 3, answer: { kind: 'changed', message: 'update r1 has begun', job: 'r1' } });
  t.equal(shownScreen(led.state), 'progress');
  t.match(led.take({ status: WORLDS.installing }).text(), /60 %/);
});

t.test('checks that failed let nothing start', async (t) => {
  const led = new Led(WORLDS.well).press('u', 't', '/x.bin', 'enter');
  const checks = [
    { name: 'link', result: 'failed', code: 'pair.peer_unreachable', detail: 'no', fix: 'cable' },
  ] as const;
  const report = precheckReport({ ok: false, checks, message: 'a check has failed' });
  const id = led.asks.at(-1)!.id;
  led.take({ id, answer: { kind: 'checks', source: { path: '/x.bin' }, report } });
  t.match(led.text(), 'Fix: cable');
  t.match(led.press('s').text(), 'Start the update: not now, a check has failed');
  t.equal(led.state.dialog, null);
});

t.test('a refusal is read whole and first, also of a file that is no bundle', async (t) => {
  const led = new Led(WORLDS.well).press('u', 't', '/x.bin', 'enter');
  const message = `the file ${'is damaged '.repeat(10)}and ends here`;
  const checks = [
    { name: 'idle', result: 'ok', code: null, detail: 'no update is running', fix: null },
    { name: 'bundle', result: 'failed', code: 'bundle.damaged', detail: 'bad', fix: 'copy' },
  ] as const;
  const report = precheckReport({ ok: false, version: null, checks, message });
  const { id } = led.asks.at(-1)!;
  led.take({ id, answer: { kind: 'checks', source: { path: '/x.bin' }, report } });
  const text = led.text();
  t.match(text, 'and ends here', 'not cut');
  t.ok(text.indexOf('bundle failed') < text.indexOf('idle'), text);
  t.match(led.press('s').text(), /^Start the update: not now, a check has failed$/m);
  t.equal(led.state.dialog, null);
});

t.test('what was said of a key goes with the next key, a failure stays', async (t) => {
  const led = new Led(WORLDS.well).press('u', 'z');
  t.match(led.text(), '"Z" is no key of this screen.');
  t.notMatch(led.press('down').text(), 'is no key');
  led.state = { ...led.state, flash: { text: 'it broke', style: 'bad' } };
  t.match(led.press('down').text(), 'it broke');
});

t.test('after a rollback nothing is promised that Slots refuses', async (t) => {
  const led = new Led(WORLDS.updated).press('u', 'p');
  t.match(led.text(), '[S] Slots returns to it');
  const rollout = { ...WORLDS.updated.rollout!, kind: 'rollback' as const };
  led.take({ status: { ...WORLDS.updated, rollout } });
  t.match(led.text(), 'The other version starts no more');
  t.notMatch(led.text(), 'returns to it');
});

t.test('a pause is on the first screen too, with the keys that end it', async (t) => {
  const paused = { by: 'anna', at: WORLDS.well.at, restsAfter: 'HAND1' } as const;
  const rollout = { ...WORLDS.installing.rollout!, paused };
  const led = new Led({ ...WORLDS.installing, rollout });
  const text = led.text().replaceAll(/\s+/g, ' ');
  t.match(text, /PAUSED by anna, .*; rests after: node A takes the service back and is watched\./);
  t.match(text, '[U] Update, [G] lets it go on');
  t.match(led.press('u').text(), '[G] lets it go on');
  t.match(led.text(), /^G Go on/m);
  t.notMatch(new Led(WORLDS.installing).text(), 'PAUSED');
});

t.test('a pair that changed while a form was filled refuses it', async (t) => {
  const led = new Led(WORLDS.updated).press('s', 'b', '1.0.0', 'enter', 'because');
  led.take({ status: WORLDS.silent }).press('enter');
  t.match(led.text(), 'Not now: node B does not answer');
  t.equal(led.asks.length, 0);
});

t.test('an answer that nobody waits for opens nothing', async (t) => {
  const led = new Led(WORLDS.silent).press('r', 't', 'escape', 'escape');
  const { id } = led.asks[0]!;
  led.take({ id, answer: { kind: 'takeover', view: takeoverView() } });
  t.equal(led.state.dialog, null);
  led.press('r', 't').take({ id, answer: { kind: 'takeover', view: takeoverView() } });
  t.equal(led.state.dialog, null, 'the answer to an earlier ask');
  led.take({ id: led.asks.at(-1)!.id, answer: { kind: 'takeover', view: takeoverView() } });
  t.match(led.text(), 'Type "B is off" to go on');
});

t.test('a paste is text of a field and presses nothing', async (t) => {
  const led = new Led(WORLDS.updated);
  led.take({ key: { paste: 'suq\r\n' }, pageRows: 19 });
  t.equal(shownScreen(led.state), 'overview');
  led.press('s', 'b').take({ key: { paste: '1.0.0\r\nX' }, pageRows: 19 });
  t.match(led.text(), /^\| Type "1\.0\.0" to go on: 1\.0\.0$/m);
  led.take({ key: { paste: 'x'.repeat(1_000_000) }, pageRows: 19 });
  t.ok(
    led
      .text()
      .split('\n')
      .every((line) => line.length < 80),
  );
});

t.test('an Enter that comes in one piece with text does nothing, and says so', async (t) => {
  const led = new Led(WORLDS.updated).press('s', 'b');
  led.take({ key: { paste: '1.0.0\r' }, pageRows: 19 });
  t.match(led.text(), 'Press Enter by itself');
  led.press('enter');
  t.notMatch(led.text(), 'Press Enter by itself');
  t.match(led.text(), 'Enter goes on');
});

t.test('a failure says what to do next', async (t) => {
  const led = new Led(WORLDS.failed).press('u', 'p');
  for (const words of ['FAILED', 'Both nodes run the old version', 'Why: node A', 'Next: ']) {
    t.match(led.text(), words);
  }
});

t.test('the last change of the active, with its reason', async (t) => {
  const event = { v: 1, ts: '2026-11-21T11:35:48Z', phase: null, pct: null } as const;
  const rest = { eta_s: null, code: null } as const;
  const said = [
    ['service', 'node B serves (epoch 8)', 'update-1'],
    ['service', 'node B serves no more', null],
    ['service', 'node A serves (epoch 9)', null],
    ['admitted', 'node B may take over', null],
  ] as const;
  const events = said.map(([state, msg, job], at) => ({
    ...event,
    ...rest,
    seq: at + 1,
    node: 'A' as const,
    state,
    msg,
    job,
  }));
  const led = new Led(WORLDS.well).take({ events: events.slice(0, 2) });
  t.match(led.text(), /Role change: .* node B serves \(epoch 8\), update-1/);
  led.take({ events }).press('r');
  t.match(led.text(), /Role change: .* node A serves \(epoch 9\), by no update/);
});

t.test('an idle pair changes no screen', async (t) => {
  const one = new Led(WORLDS.well);
  const later = new Led(pairStatus({ ...WORLDS.well, at: '2026-11-21T12:00:00.000Z' }));
  const aged = {
    ...WORLDS.well,
    nodes: { A: nodeStatus('A'), B: nodeStatus('B', { ageMs: 2900 }) },
  };
  for (const keys of [[], ['v'], ['c'], ['s'], ['r']]) {
    t.equal(one.press('escape', ...keys).text(), later.press('escape', ...keys).text());
    t.equal(one.text(), new Led(aged).press(...keys).text());
  }
});

const word = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...KEY_NAMES) },
  { weight: 3, arbitrary: fc.constantFrom(...'vcusrlqtpgxbmdaeyn?/ -1'.split('')) },
  { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 1 }) },
);

t.test('from everywhere Escape leads to the overview, and nothing breaks the sheet', async (t) => {
  const names = Object.keys(WORLDS) as WorldName[];
  const seen = new Set<string>();
  const sequence = fc.array(fc.tuple(word, fc.constantFrom(...names, 'gone')), { maxLength: 40 });
  fc.assert(
    fc.property(fc.constantFrom(...names), sequence, fc.boolean(), (start, steps, unicode) => {
      const led = new Led(WORLDS[start]);
      for (const [key, news] of steps) {
        led.take({ key: keyOf(key), pageRows: 19 });
        led.take(news === 'gone' ? daemonGone(9000) : { status: WORLDS[news] });
        seen.add(shownScreen(led.state));
        const { lines, cursor } = picture(led.state, { ...SHEET, unicode });
        if (lines.length !== 24) throw new Error(`${lines.length} lines`);
        for (const line of lines) {
          const text = textOf(line);
          if (text.length > 79) throw new Error(`too wide: ${text}`);
          // eslint-disable-next-line no-control-regex -- control characters are what must not be
          if (/[\u0000-\u001f\u007f-\u009f]/.test(text)) throw new Error('a control character');
          if (!unicode && /[^ -~]/.test(text)) throw new Error(`not ASCII: ${text}`);
        }
        if (cursor.row < 0 || cursor.row > 23 || cursor.column > 79) throw new Error('cursor');
      }
      for (let more = 0; more < SCREENS.length + 2; more += 1) led.press('escape');
      const { dialog, waiting, screens } = led.state;
      if (dialog !== null || waiting !== null || screens.length !== 1) throw new Error('stuck');
    }),
    { numRuns: 150, seed: 7 },
  );
  t.ok(seen.size >= 8, `${seen.size} screens were met`);
});

t.test('a small terminal is told so', async (t) => {
  const text = new Led(WORLDS.well).text({ rows: 10, columns: 40, unicode: false });
  t.match(text, 'This terminal has 40x10;\n80x24 is needed.');
  t.equal(text.split('\n').length, 10);
});
