/**
 * The console line by line, without a terminal: what is told when a session begins, is locked or
 * ends by itself, that typing is hidden exactly while a password is asked for, and that dates
 * follow the settings.
 */
import { PassThrough } from 'node:stream';
import t from 'tap';
import { PlainView } from '../../console/plain.ts';
import type { Cause } from '../../console/session.ts';
import { AT, settingsView } from '../memory/backend.ts';
import { lastId, LOGIN_REQUIRED, loggedIn, person } from './people.ts';
import { Led, WORLDS } from './worlds.ts';

process.env['TZ'] = 'UTC';

/** A view of a console that is led, and what it prints. */
class Paper {
  readonly led: Led;
  readonly view: PlainView;
  readonly hides: boolean[] = [];
  text = '';

  constructor(led: Led) {
    this.led = led;
    const outside = {
      input: new PassThrough(),
      out: (text: string) => {
        this.text += text;
      },
      hide: (on: boolean) => void this.hides.push(on),
      options: { columns: 79, unicode: false },
    };
    this.view = new PlainView(outside, led.state);
  }

  /** What is printed because of something. */
  told(cause: Cause, change: (led: Led) => void): string {
    const before = this.text.length;
    change(this.led);
    this.view.show(this.led.state, cause);
    return this.text.slice(before);
  }
}

t.test('a login that is wanted, refused and accepted', async (t) => {
  const paper = new Paper(new Led(null));
  const asked = paper.told('news', (led) => led.take({ access: LOGIN_REQUIRED }));
  t.match(asked, /Tandem maintenance console[\s\S]*User:\n$/);
  t.strictSame(paper.hides, []);
  t.equal(
    paper.told('news', (led) => led.take({ access: LOGIN_REQUIRED })),
    '',
  );
  t.equal(
    paper.told('key', (led) => led.press('anna', 'enter')),
    'Password (not shown):\n',
  );
  t.strictSame(paper.hides, [true]);
  t.equal(
    paper.told('key', (led) => led.press('secret', 'enter')),
    'Logging in ...\n',
  );
  t.strictSame(paper.hides, [true, false]);
  const error = { code: 'access.denied', message: 'the password is wrong', next: '' } as const;
  const refused = paper.told('answer', (led) =>
    led.take({ id: lastId(led), answer: { kind: 'refused', error } }),
  );
  t.match(refused, 'the password is wrong\nPassword (not shown):\n');
  t.strictSame(paper.hides, [true, false, true]);
  paper.told('key', (led) => led.press('better', 'enter'));
  paper.told('answer', (led) =>
    led.take({ id: lastId(led), answer: { kind: 'session', view: person() } }),
  );
  t.match(
    paper.told('news', (led) => led.take({ status: WORLDS.well })),
    'HEALTHY',
  );
  t.strictSame(paper.hides, [true, false, true, false]);
  t.notMatch(paper.text, /secret|better/);
});

t.test('nobody there: a warning once, then the login', async (t) => {
  const paper = new Paper(loggedIn());
  paper.told('answer', (led) => led.take({ status: WORLDS.well }));
  t.match(
    paper.told('news', (led) => led.take({ passedS: 545 })),
    'logs out in a minute',
  );
  t.equal(
    paper.told('news', (led) => led.take({ passedS: 1 })),
    '',
  );
  const out = paper.told('news', (led) => led.take({ passedS: 60 }));
  t.match(out, /Nobody pressed a key for a while[\s\S]*User:\n$/);
});

t.test('locked while an update runs: its events go on, a line asks for the password', async (t) => {
  const paper = new Paper(loggedIn({}, WORLDS.installing));
  const view = settingsView({
    settings: { ...settingsView().settings, dateOrder: 'day-first' },
  });
  paper.told('answer', (led) => led.take({ answer: { kind: 'settings', view }, id: 0 }));
  t.match(
    paper.told('news', (led) => led.take({ passedS: 600 })),
    'LOCKED',
  );
  const event = { v: 1, seq: 7, ts: AT, job: 'r1', node: 'A', phase: 'INSTALL1' } as const;
  const rest = { state: 'running', pct: null, eta_s: null, msg: 'images', code: null } as const;
  const told = paper.told('news', (led) => led.take({ events: [{ ...event, ...rest }] }));
  t.match(told, '21.11.2026 11:35:48');
  t.match(
    paper.told('key', (led) => led.press('enter')),
    'Password (not shown):',
  );
});
