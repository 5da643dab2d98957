/**
 * How much may be on its way to a terminal, in virtual time: lines that are slow, that stall with
 * endless buffers before them, that lose answers; terminals that answer nothing, or are exchanged.
 */
import t from 'tap';
import { Flow, QUESTION } from '../../console/terminal/flow.ts';
import { Clock } from './clock.ts';

/** A line with a buffer that takes everything, and a terminal at its end. */
class Wire {
  readonly clock = new Clock();
  readonly flow: Flow;
  readonly #byteMs: number;
  /** What is on its way: its bytes, whether it ends with a question, which frame it is. */
  #queue: { bytes: number; readonly asks: boolean; readonly frame: number }[] = [];
  stalled = false;
  mute = false;
  /** Answers that noise eats. */
  lost = 0;
  /** The state that is wanted, the one that was sent last, the one that is shown. */
  wanted = 0;
  sent = 0;
  shown = 0;
  bytes = 0;
  most = 0;
  questions = 0;
  frameBytes = 100;

  constructor(baud: number, { known = false, answers = true } = {}) {
    this.#byteMs = 10_000 / baud;
    this.flow = new Flow({
      baud: known ? baud : null,
      answers,
      nowMs: () => this.clock.nowMs,
      setAlarm: this.clock.setAlarm,
      onAsk: () => this.#put(QUESTION, this.sent),
      onFree: () => this.#show(),
    });
  }

  get backlog(): number {
    return this.#queue.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Something to be shown is another one; `bytes` is what the frame for it takes. */
  change(bytes = 100): void {
    this.wanted += 1;
    this.frameBytes = bytes;
    this.#show();
  }

  /** Lets time pass, and the line carry what it can. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1) {
      this.clock.pass(1);
      if (!this.stalled) this.#carry(1 / this.#byteMs);
    }
  }

  #show(): void {
    if (this.sent === this.wanted || this.flow.held) return;
    this.sent = this.wanted;
    this.#put(this.flow.send('x'.repeat(this.frameBytes)), this.sent);
  }

  #put(text: string, frame: number): void {
    const asks = text.endsWith(QUESTION);
    if (asks) this.questions += 1;
    this.bytes += text.length;
    this.#queue.push({ bytes: text.length, asks, frame });
    this.most = Math.max(this.most, this.backlog);
  }

  #carry(room: number): void {
    for (let left = room; left > 0 && this.#queue.length > 0;) {
      const first = this.#queue[0]!;
      const part = Math.min(left, first.bytes);
      first.bytes -= part;
      left -= part;
      if (first.bytes > 1e-9) return;
      this.#queue.shift();
      this.shown = first.frame;
      if (!first.asks || this.mute) continue;
      if (this.lost > 0) this.lost -= 1;
      else this.flow.answered();
    }
  }
}

t.test('a slow line of unknown speed never has more than a frame too many', async (t) => {
  const wire = new Wire(9600);
  for (let round = 0; round < 300; round += 1) {
    wire.change(150);
    wire.pass(40);
  }
  t.ok(wire.most < 640 + 150 + 2 * QUESTION.length, `${wire.most} bytes`);
  wire.pass(2000);
  t.equal(wire.shown, wire.wanted);
  t.ok(wire.bytes > 300 * 40 * 0.96 * 0.8, `the line is used: ${wire.bytes} bytes in 12 s`);
});

t.test(
  'a line that stalls for 60 s shows the newest state within 3 s of its release',
  async (t) => {
    for (const known of [false, true]) {
      const wire = new Wire(9600, { known });
      wire.change(1400);
      wire.pass(3000);
      t.equal(wire.shown, 1);
      wire.stalled = true;
      for (let second = 0; second < 60; second += 1) {
        wire.change(140);
        wire.pass(1000);
      }
      t.ok(wire.backlog < 1000, `${wire.backlog} bytes wait`);
      wire.stalled = false;
      // All that has changed meanwhile comes in one frame.
      wire.frameBytes = 1400;
      wire.pass(2990);
      t.equal(wire.shown, wire.wanted, `speed known: ${known}`);
    }
  },
);

t.test('a terminal that answers nothing is asked once', async (t) => {
  const wire = new Wire(9600);
  wire.mute = true;
  wire.change(1400);
  wire.change();
  wire.pass(800);
  t.equal(wire.sent, 2, 'what waited is sent without an answer');
  for (let second = 0; second < 30; second += 1) {
    wire.change();
    wire.pass(1000);
  }
  t.equal(wire.questions, 1);
  t.equal(wire.shown, wire.wanted);
  const dumb = new Wire(9600, { answers: false });
  for (let round = 0; round < 20; round += 1) dumb.change(1000);
  t.strictSame([dumb.questions, dumb.sent], [0, 20]);
});

t.test('a lost answer holds a screen for two seconds', async (t) => {
  const wire = new Wire(9600);
  wire.change(700);
  wire.pass(2000);
  wire.lost = 1;
  wire.change(700);
  wire.change();
  wire.pass(1900);
  t.equal(wire.sent, 2);
  wire.pass(1000);
  t.equal(wire.shown, 3);
});

t.test('another terminal that answers nothing is found out by the keys on it', async (t) => {
  const wire = new Wire(115_200);
  wire.change(700);
  wire.pass(100);
  wire.mute = true;
  wire.change(700);
  wire.change();
  wire.flow.pressed();
  wire.pass(1000);
  t.equal(wire.sent, 2, 'an answer may still come');
  wire.pass(2000);
  for (let key = 0; key < 4; key += 1) {
    wire.flow.pressed();
    wire.change();
    wire.pass(100);
    t.equal(wire.shown, wire.wanted, `key ${key} shows what it did`);
    wire.change();
    wire.pass(100);
  }
  t.equal(wire.shown, wire.wanted, 'and then everything is shown');
  const { questions } = wire;
  wire.pass(120_000);
  t.equal(wire.questions, questions);
});

t.test('nothing is sent while nothing changes, and Ctrl-L asks anew', async (t) => {
  const wire = new Wire(9600);
  wire.change(300);
  wire.pass(3000);
  const { bytes } = wire;
  wire.pass(600_000);
  t.equal(wire.bytes, bytes);
  wire.flow.forget();
  wire.mute = true;
  wire.change(300);
  wire.change(700);
  wire.change();
  wire.pass(3000);
  t.equal(wire.sent, wire.wanted);
});

t.test('whatever is lost and stalls, the newest state is shown in the end', async (t) => {
  let seed = 5;
  const roll = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  let stuck = 0;
  for (let run = 0; run < 60; run += 1) {
    const wire = new Wire([1200, 9600, 115_200][roll(3)]!, { known: roll(2) > 0 });
    for (let turn = 0; turn < 30; turn += 1) {
      if (roll(5) === 0) wire.stalled = roll(2) > 0;
      if (roll(6) === 0) wire.mute = roll(3) === 0;
      wire.lost = roll(4) === 0 ? roll(3) : wire.lost;
      if (roll(4) === 0) wire.flow.pressed();
      wire.change(roll(8) === 0 ? 1500 : 20 + roll(300));
      wire.pass(roll(900));
    }
    wire.stalled = false;
    wire.mute = false;
    wire.lost = 0;
    // What was sent to one that seemed to answer nothing has to leave first.
    for (let s = 0; s < 120 && wire.shown !== wire.wanted; s += 1) wire.pass(1000);
    if (wire.shown !== wire.wanted) stuck += 1;
  }
  t.equal(stuck, 0);
});
