/**
 * Power, support bundles, settings and what is wrong with the world around a console: what is asked
 * for, what is said before, and what is shown when the daemon is another one or lies.
 */
import t from 'tap';
import { bundleFiles, stagedBundles } from '../../console/bundles.ts';
import { picture } from '../../console/layout.ts';
import { textOf } from '../../console/picture.ts';
import { SCREENS, shownScreen } from '../../console/state.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { PairStatus, TandemEvent } from '../../src/core/status.ts';
import { AT, precheckReport, settingsView } from '../memory/backend.ts';
import { atPower, atSettings, atSupport, lastId, loggedIn, POWER, SUPPORT } from './people.ts';
import { daemonGone, Led, SHEET, WORLDS } from './worlds.ts';

process.env['TZ'] = 'UTC';

t.test('a restart: what happens stands before, the node is typed, a reason is given', async (t) => {
  const led = atPower();
  t.match(led.text(), 'There is no high availability until node A is back and in sync.');
  led.press('x');
  t.match(led.text(), 'Same as: tandem restart --reason TEXT');
  led.press('enter');
  t.match(led.text(), 'Nothing is done before "A" stands here');
  led.press('a', 'enter', 'enter');
  t.match(led.text(), 'Something has to stand here');
  t.equal(led.asks.length, 1);
  led.press('new memory', 'enter');
  t.strictSame(led.asks.at(-1)?.ask, {
    ask: 'change',
    plan: { do: 'restart', view: POWER.restart, force: false },
    reason: 'new memory',
  });
  const answer = {
    kind: 'changed',
    message: 'restart-1: accepted',
    job: null,
    home: true,
  } as const;
  led.take({ id: lastId(led), answer });
  t.equal(shownScreen(led.state), 'overview', 'what comes of it is seen there');
  t.match(led.text(), 'restart-1: accepted');
});

t.test(
  'where the pair would lose service it says why, and what it costs to do it anyway',
  async (t) => {
    const led = atPower();
    t.match(led.text(), 'Refused: node B is not admitted, so nobody could take the service');
    led.press('d');
    t.match(led.text(), 'Shut down node A, whatever it costs');
    t.match(led.text(), 'Same as: tandem shutdown --force --reason TEXT');
    const never = new Led(WORLDS.well).press('m', 'p');
    const shutdown = { ...POWER.shutdown, forceable: false };
    never.take({ id: 1, answer: { kind: 'power', views: { ...POWER, shutdown } } }).press('d');
    t.equal(never.state.dialog, null);
    t.match(never.text(), 'not now, node B is not admitted');
    const early = new Led(WORLDS.well).press('m', 'p', 'x');
    t.match(early.text(), 'the daemon has not answered yet');
  },
);

const event = (seq: number, changes: Partial<TandemEvent>): TandemEvent => ({
  v: 1,
  seq,
  ts: AT,
  job: 'support-1',
  node: 'A',
  phase: null,
  state: 'support',
  pct: null,
  eta_s: null,
  msg: 'the journal is read',
  code: null,
  ...changes,
});

t.test('a support bundle: made, watched, got, deleted', async (t) => {
  const led = atSupport().press('n', 'yes', 'enter', 'for the vendor', 'enter');
  t.match(led.asks.at(-1)?.ask, { plan: { do: 'support' }, reason: 'for the vendor' });
  led.take({ id: lastId(led), answer: { kind: 'making', job: 'support-1' } });
  led.take({ events: [event(1, { pct: 40 })] });
  t.match(led.text(), 'MAKING support-1: the journal is read 40 %');
  t.match(led.press('n').text(), 'not now, one is being made');
  led.take({ events: [event(2, { state: 'ended', msg: 'support-1.tar.gz is ready' })] });
  t.match(led.text(), 'support-1.tar.gz is ready');
  t.notMatch(led.text(), 'MAKING');
  t.match(led.asks.at(-1)?.ask, { ask: 'support' }, 'the list is asked for anew');
  led.take({ id: lastId(led), answer: { kind: 'support', view: SUPPORT } }).press('2', 'enter');
  t.match(led.text(), 'scp root@node-A:/data/tandem/support/support-01.tar.gz .');
  led.press('enter', 'd', 'yes', 'enter');
  t.match(led.asks.at(-1)?.ask, { plan: { do: 'support-delete', name: 'support-01.tar.gz' } });
  const failed = atSupport().take({ id: 9, answer: { kind: 'making', job: 'support-1' } });
  failed.take({ events: [event(1, { state: 'failed', msg: 'the disk is full' })] });
  t.match(failed.text(), 'the disk is full');
});

/** A console of a node whose dates are written so. */
function dates(dateOrder: 'day-first' | 'month-first', timeZone: 'local' | 'utc'): Led {
  const { settings } = settingsView();
  const view = settingsView({ settings: { ...settings, dateOrder, timeZone } });
  return new Led(WORLDS.trial).take({ answer: { kind: 'settings', view }, id: 0 });
}

t.test('a setting: checked, asked for, and dates follow it everywhere', async (t) => {
  const led = atSettings().press('2', 'enter', 'clear', '999', 'enter', 'enter');
  t.match(led.text(), 'Accepted: a whole number from 1 to 240');
  led.press('up', 'clear', '15', 'enter', 'enter');
  t.strictSame(led.asks.at(-1)?.ask, {
    ask: 'change',
    plan: { do: 'setting', key: 'idleMin', value: '15' },
    reason: '',
  });
  t.match(dates('day-first', 'local').text(), '21.11.2026 11:35:48');
  t.match(dates('month-first', 'utc').text(), '11/21/2026 11:35:48Z');
  const log = dates('day-first', 'local')
    .take({ events: [event(1, {})] })
    .press('l');
  t.match(log.text(), '21.11.2026 11:35:48 A the journal is read');
});

t.test('staged bundles come first, and one that vanished is told', async (t) => {
  const staged = stagedBundles([
    { bundle: 'a'.repeat(64), product: 'x', version: '2.0.0', bytes: 1024, nodes: ['A', 'B'] },
    { bundle: 'b'.repeat(64), product: null, version: null, bytes: null, nodes: ['B'] },
  ]);
  t.match(staged, [{ name: '2.0.0  aaaaaaaaaaaa', note: '1.0 KiB, staged on both nodes' }]);
  t.equal(staged.length, 1);
  t.strictSame(await bundleFiles(['/none']), []);
  const led = new Led(WORLDS.well).press('u');
  led.take({ id: 1, answer: { kind: 'bundles', bundles: staged } }).press('enter');
  const { source } = staged[0]!;
  led.take({ id: lastId(led), answer: { kind: 'checks', source, report: precheckReport() } });
  led.press('s', '2.0.0', 'enter', 'fans', 'enter');
  const gone = new UpdateError('file.not_found', 'bundle aaa is not staged on node A');
  led.take({ id: lastId(led), answer: { kind: 'refused', error: gone.report() } });
  t.match(led.text(), 'bundle aaa is not staged on node A');
  t.match(led.text(), /Next: .{10,}/);
  t.equal(shownScreen(led.press('enter').state), 'checks', 'check again, or choose another');
});

t.test('a daemon that is newer, or older, or no daemon of this kind', async (t) => {
  const newer = { ...WORLDS.well, schema: 2 } as unknown as PairStatus;
  const led = new Led(WORLDS.well).take({ status: newer });
  t.match(led.text(), /the daemon tells its status in schema 2, this console reads 1/);
  t.match(led.text(), 'daemon.other_version');
  t.notMatch(led.text(), 'HEALTHY');
  t.match(led.press('s', 'b').text(), 'the daemon does not answer');
  const { reform: _, ...older } = WORLDS.well;
  t.match(new Led(older as PairStatus).text(), 'leaves out what this console has to show');
  for (const odd of [{}, { schema: 1 }, { schema: 1, state: 'X', ha: {}, nodes: {} }]) {
    t.match(new Led(odd as PairStatus).text(), 'daemon.other_version');
  }
  t.match(led.press('escape').take({ status: WORLDS.well }).text(), 'HEALTHY');
});

const EVIL = '\x1b[2J\x07\u202e\u200b漢字テスト😀e\u0301\ud800\r\nok';

/** The value with something hostile in every text that says something to people. */
function poisoned(value: unknown, key = ''): unknown {
  const word = /^(name|state|result|class|slot|role|phase|kind|copy|reason|order|first|driver)$/;
  if (typeof value === 'string' && !word.test(key) && value !== 'A' && value !== 'B') {
    return `${EVIL}${value}`;
  }
  if (Array.isArray(value)) return value.map((one) => poisoned(one));
  if (typeof value !== 'object' || value === null) return value;
  const pairs = Object.entries(value).map(([name, one]) => [name, poisoned(one, name)]);
  return Object.fromEntries(pairs) as unknown;
}

t.test('control and wide characters in texts of the peer break no screen', async (t) => {
  let seen = 0;
  for (const world of Object.values(WORLDS)) {
    const status = { ...(poisoned(world) as PairStatus), self: world.self };
    for (const unicode of [false, true]) {
      for (const screen of SCREENS) {
        const led = new Led(status).take({ events: [event(1, { msg: EVIL, job: EVIL })] });
        led.state = { ...led.state, screens: ['overview', screen] };
        const { lines } = picture(led.state, { ...SHEET, unicode });
        for (const text of lines.map(textOf)) {
          seen += 1;
          if (text.length > 79) throw new Error(`${screen} is too wide: ${text}`);
          if (/[\p{C}\p{M}]|[\u2e80-\uffff]/u.test(text)) throw new Error(`${screen}: ${text}`);
          if (!unicode && /[^ -~]/.test(text)) throw new Error(`${screen}: ${text}`);
        }
      }
    }
  }
  t.ok(seen > 5000, `${seen} lines`);
  t.match(loggedIn({ user: EVIL, where: EVIL }).press('m', 'w').text(), '?');
});

t.test('safe mode: the repair is two keys away, and everything else says why not', async (t) => {
  const led = new Led(WORLDS.safeMode);
  t.match(led.text(), '[A] says what to do about it');
  t.match(led.press('a').text(), '`tandem journal repair`');
  led.press('escape', 'm', 'p');
  t.match(led.press('x').text(), /not now, safe mode/);
  t.match(new Led(null).take(daemonGone(9000)).press('m', 'b', 'n').text(), 'does not answer');
});
