/**
 * What a screen costs on a slow line, in bytes and in the time that they take there: first paint,
 * a tick, an arrow key, a dialog. And that the bytes which are saved change no cell.
 */
import t from 'tap';
import { picture, type Sheet } from '../../console/layout.ts';
import { textOf, type Line, type Picture, type Style } from '../../console/picture.ts';
import { Canvas } from '../../console/terminal/canvas.ts';
import { entering, kindOf } from '../../console/terminal/kinds.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { Glass } from './glass.ts';
import { atLogin, atPower, atSettings, atSupport, atUsers, HELD, loggedIn } from './people.ts';
import { PEOPLE_SIGHTS, refusedLogin } from './people.ts';
import { Led, SHEET, WORLDS } from './worlds.ts';

const TERMS = [
  'vt100',
  'vt102',
  'vt220',
  'ansi',
  'linux',
  'xterm',
  'xterm-256color',
  'screen',
  'putty',
  'unknown',
] as const;

/** Time on a line of this speed: start bit, eight bits, stop bit. */
const lineMs = (bytes: number, baud: number): number => (bytes * 10 * 1000) / baud;

/** A console on a terminal in memory. */
class Desk {
  readonly led: Led;
  readonly glass = new Glass();
  readonly #canvas: Canvas;
  readonly #term: string;

  constructor(term: string, start: PairStatus | Led) {
    this.#term = term;
    this.led = start instanceof Led ? start : new Led(start);
    this.#canvas = new Canvas(kindOf(term)!, SHEET, false);
  }

  /** Bytes of the first screen. */
  async open(): Promise<number> {
    const before = entering(kindOf(this.#term)!);
    await this.glass.write(before);
    return before.length + (await this.sent());
  }

  /** Bytes that bring the terminal up to date; what it shows then is compared. */
  async sent(): Promise<number> {
    const bytes = this.#canvas.draw(picture(this.led.state, SHEET));
    await this.glass.write(bytes);
    const shown = this.glass.lines().join('\n');
    if (shown !== this.led.text()) throw new Error(`${this.#term} shows\n${shown}`);
    return Buffer.byteLength(bytes);
  }
}

/** The update one second later. */
function later(status: PairStatus, seconds: number): PairStatus {
  const { A } = status.nodes;
  const progress = {
    doneBytes: 60e6 + seconds * 20e6,
    totalBytes: 1100e6,
    rateBps: 20e6,
    etaS: 52,
  };
  const activity = { name: 'installing', progress: { ...progress, etaS: 52 - seconds } };
  const rollout = { ...status.rollout!, elapsedS: 72 + seconds };
  return { ...status, rollout, nodes: { ...status.nodes, A: { ...A, activity } } };
}

const EVENT = {
  v: 1,
  seq: 1,
  ts: '2026-11-21T11:35:48.000Z',
  job: 'r1',
  node: 'A',
  phase: 'INSTALL1',
  state: 'running',
  pct: null,
  eta_s: null,
  msg: 'node A: images are written and read back',
  code: null,
} as const;

t.test('bytes of each event on each kind of terminal', async (t) => {
  const worst = { first: 0, idle: 0, tick: 0, log: 0, arrow: 0, scroll: 0, open: 0, close: 0 };
  const keep = (name: keyof typeof worst, bytes: number): void => {
    worst[name] = Math.max(worst[name], bytes);
  };
  for (const term of TERMS) {
    for (const world of Object.values(WORLDS)) keep('first', await new Desk(term, world).open());
    const desk = new Desk(term, later(WORLDS.installing, 0));
    await desk.open();
    desk.led.press('u');
    await desk.sent();
    for (let second = 1; second <= 40; second += 1) {
      desk.led.take({ status: later(WORLDS.installing, second) });
      keep('tick', await desk.sent());
      desk.led.take({ status: later(WORLDS.installing, second) });
      keep('idle', await desk.sent());
    }
    for (let second = 41; second < 50; second += 1) {
      desk.led.take({ status: later(WORLDS.installing, second) });
      const msg = `${EVENT.msg}${' again'.repeat(second % 3)}`;
      desk.led.take({ events: [{ ...EVENT, seq: second, msg }] });
      keep('log', await desk.sent());
    }
    if (kindOf(term)!.scrolls) {
      const list = new Desk(term, WORLDS.well);
      list.led.press('l');
      const many = Array.from({ length: 40 }, (_, seq) => ({ ...EVENT, seq: seq + 1 }));
      list.led.take({ events: many.map((one) => ({ ...one, msg: `event ${one.seq}` })) });
      await list.open();
      for (const key of ['down', 'down', 'up', 'down', 'up', 'up']) {
        list.led.press(key);
        keep('scroll', await list.sent());
      }
      const msg = 'node B: storage is in sync';
      list.led.take({ events: [{ ...EVENT, seq: 99, msg }] });
      keep('scroll', await list.sent());
    }
    for (const [letter, dialog] of [
      ['s', 'b'],
      ['s', 'm'],
      ['', 'q'],
      ['r', 'x'],
    ] as const) {
      const forms = new Desk(term, WORLDS.updated);
      forms.led.press(letter);
      await forms.open();
      forms.led.press(dialog);
      keep('open', await forms.sent());
      forms.led.press('escape');
      keep('close', await forms.sent());
    }
    const choose = new Desk(term, WORLDS.well);
    choose.led.press('u');
    const names = ['update-2.0.0.bin', 'a-much-longer-name-of-a-bundle-3.0.0.bin', 'x.bin'];
    const bundles = names.map((name) => ({ source: { path: name }, name, note: '319 MiB' }));
    choose.led.take({ id: 1, answer: { kind: 'bundles', bundles } });
    await choose.open();
    for (const key of ['down', 'down', 'up', 'up', 'up']) {
      choose.led.press(key);
      keep('arrow', await choose.sent());
    }
  }
  t.comment(JSON.stringify(worst));
  t.equal(worst.idle, 0, 'nothing is sent while nothing changes');
  t.ok(worst.tick <= 80, `a tick: ${worst.tick}`);
  t.ok(worst.log <= 180, `a tick and a log line: ${worst.log}`);
  t.ok(worst.arrow <= 100, `an arrow key: ${worst.arrow}`);
  t.ok(worst.scroll <= 100, `a list that is scrolled: ${worst.scroll}`);
  t.ok(Math.max(worst.open, worst.close) <= 650, `a dialog: ${worst.open}, ${worst.close}`);
  t.ok(worst.first <= 2200, `the first paint: ${worst.first}`);
  t.ok(lineMs(worst.arrow, 9600) <= 150, 'an arrow key at 9600 baud, to its last byte');
  t.ok(lineMs(worst.tick + worst.arrow, 9600) <= 300, 'the same behind a tick of an update');
});

/** Kinds that differ in what can be said to them. */
const FEW = ['vt100', 'vt220', 'ansi', 'xterm'] as const;

/** Keys that open a dialog on one of the screens about people and the node. */
const DIALOGS: readonly (readonly [open: () => Led, key: string])[] = [
  [atPower, 'x'],
  [atPower, 'd'],
  [atSupport, 'n'],
  [atSupport, 'g'],
  [atSupport, 'd'],
  [atSettings, 'enter'],
  [atUsers, 'r'],
  [() => new Led(WORLDS.asking).press('t'), 'n'],
  [() => new Led(WORLDS.asking).press('t'), 'd'],
  [() => loggedIn({}, HELD).press('m', 'w'), 'f'],
  [() => atLogin().press('escape'), 'l'],
  [() => atLogin().press('escape'), 'f'],
  [() => loggedIn({}, WORLDS.installing).take({ passedS: 600 }), 'x'],
];

t.test('the same for login, power, support bundles, settings and users', async (t) => {
  const worst = { first: 0, idle: 0, second: 0, letter: 0, arrow: 0, open: 0, close: 0 };
  const keep = (name: keyof typeof worst, bytes: number): void => {
    worst[name] = Math.max(worst[name], bytes);
  };
  for (const term of FEW) {
    for (const make of Object.values(PEOPLE_SIGHTS)) {
      const desk = new Desk(term, make());
      keep('first', await desk.open());
      desk.led.take({ passedS: 0 });
      keep('idle', await desk.sent());
    }
    const waiting = new Desk(term, WORLDS.scheduled);
    await waiting.open();
    for (let second = 1; second <= 600; second += 60) {
      const at = new Date(Date.parse(WORLDS.scheduled.at) + second * 1000).toISOString();
      waiting.led.take({ status: { ...WORLDS.scheduled, at } });
      keep('idle', await waiting.sent());
    }
    for (const [make, key] of DIALOGS) {
      const desk = new Desk(term, make());
      await desk.open();
      desk.led.press(key);
      keep('open', await desk.sent());
      desk.led.press('escape');
      keep('close', await desk.sent());
    }
    for (const make of [atSupport, atSettings, atUsers, () => new Led(WORLDS.asking).press('t')]) {
      const desk = new Desk(term, make());
      await desk.open();
      for (const key of ['down', 'up', 'down']) {
        desk.led.press(key);
        keep('arrow', await desk.sent());
      }
    }
    const login = new Desk(term, refusedLogin());
    await login.open();
    for (let second = 0; second < 45; second += 1) {
      login.led.take({ passedS: 1 });
      keep('second', await login.sent());
    }
    login.led.press('up');
    await login.sent();
    for (const letter of 'bcd') {
      login.led.press(letter);
      keep('letter', await login.sent());
    }
    login.led.press('down');
    await login.sent();
    login.led.press('x');
    t.equal(await login.sent(), 0, 'a password sends nothing');
  }
  t.comment(JSON.stringify(worst));
  t.equal(worst.idle, 0, 'nothing is sent while nothing changes');
  t.ok(worst.second <= 80, `a second of a wait: ${worst.second}`);
  t.ok(worst.letter <= 100, `a letter: ${worst.letter}`);
  t.ok(worst.arrow <= 100, `an arrow key: ${worst.arrow}`);
  t.ok(Math.max(worst.open, worst.close) <= 650, `a dialog: ${worst.open}, ${worst.close}`);
  t.ok(worst.first <= 2200, `the first paint: ${worst.first}`);
});

t.test('an unbroken walk over all screens shows what is meant, on each kind', async (t) => {
  const words = ['v', 'down', 'pagedown', 'escape', 'c', 'l', 'end', '/', 'x', 'escape', 'escape'];
  const worlds = Object.values(WORLDS);
  let steps = 0;
  for (const term of TERMS) {
    const desk = new Desk(term, WORLDS.well);
    await desk.open();
    for (const [index, word] of [...words, 's', 'b', 'escape', '?', 'escape', 'r', 't'].entries()) {
      desk.led.press(word).take({ status: worlds[(index * 5) % worlds.length]! });
      await desk.sent();
      const { row, column } = picture(desk.led.state, SHEET).cursor;
      t.strictSame(desk.glass.cursor, { row, column });
      steps += 1;
    }
    t.equal(desk.glass.high, 0);
    t.notOk(desk.glass.scrolled);
  }
  t.ok(steps > 150);
});

/** A small generator, so that a failure can be repeated. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const STYLES: readonly Style[] = ['plain', 'strong', 'bar', 'good', 'warn', 'bad', 'chosen'];

/** Mostly the same line. */
function otherLine(line: Line, roll: (below: number) => number): Line {
  if (roll(4) > 0) return line;
  return Array.from({ length: roll(4) }, () => ({
    text: 'abc  de fghij   klm'.slice(roll(10), 10 + roll(9)),
    style: STYLES[roll(STYLES.length)]!,
  }));
}

/** The lines with a block of them moved up or down, and others where it was. */
function moved(lines: readonly Line[], roll: (below: number) => number): readonly Line[] {
  const top = roll(10);
  const end = top + 6 + roll(8);
  const fresh = Array.from({ length: 1 + roll(3) }, () => otherLine([], () => roll(4)));
  const block = lines.slice(top, end);
  const other =
    roll(2) > 0
      ? [...block.slice(fresh.length), ...fresh]
      : [...fresh, ...block.slice(0, -fresh.length)];
  return [...lines.slice(0, top), ...other, ...lines.slice(end)];
}

t.test('random pictures: the merged bytes show the same cells and attributes', async (t) => {
  const roll = dice(99);
  const sheet: Sheet = { rows: 24, columns: 80, unicode: false };
  const kinds = ['vt100', 'vt220', 'xterm'].map((term) => kindOf(term)!);
  let bad = 0;
  let scrolls = 0;
  for (const kind of kinds) {
    using canvas = new Canvas(kind, sheet, false);
    const glass = new Glass();
    let lines: Picture['lines'] = Array.from({ length: 24 }, () => []);
    for (let frame = 0; frame < 60; frame += 1) {
      lines = roll(2) > 0 ? moved(lines, roll) : lines.map((line) => otherLine(line, roll));
      const cursor = { row: roll(24), column: roll(79) };
      const bytes = canvas.draw({ lines, cursor, typing: roll(2) > 0 });
      // eslint-disable-next-line no-control-regex -- a control sequence is what is looked for
      if (/\x1b\[\d+;\d+r/.test(bytes)) scrolls += 1;
      await glass.write(bytes);
      const fresh = new Glass();
      using other = new Canvas(kind, sheet, false);
      const whole = other.draw({ lines, cursor, typing: false });
      await fresh.write(whole);
      const same = glass.marked().join('\n') === fresh.marked().join('\n');
      const text = lines.map((line) => textOf(line).trimEnd()).join('\n');
      if (!same || glass.lines().join('\n') !== text) bad += 1;
      if (glass.cursor.row !== cursor.row || glass.cursor.column !== cursor.column) bad += 1;
    }
  }
  t.equal(bad, 0);
  t.ok(scrolls > 20, `${scrolls} of the frames moved lines`);
});
