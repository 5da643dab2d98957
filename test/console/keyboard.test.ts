/**
 * Keys of every terminal, however the line splits and delays them: no wrong key, no key twice, and
 * nothing that the terminal says by itself becomes a key.
 */
import t from 'tap';
import type { Key } from '../../console/keys.ts';
import { Decoder } from '../../console/terminal/decode.ts';
import { Keyboard } from '../../console/terminal/keyboard.ts';
import { Clock } from './clock.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Keys as words: `up`, `v`, `<pasted text>`. */
const wordOf = (key: Key): string =>
  'name' in key ? key.name : 'char' in key ? key.char : `<${key.paste}>`;

/** One intended key: its bytes, and the words that must come. */
type Intended = readonly [bytes: string, words: readonly string[]];

const KEYS: readonly Intended[] = [
  ['\x1b[A', ['up']],
  ['\x1bOB', ['down']],
  ['\x9bC', ['right']],
  ['\x1b[1;5D', ['left']],
  ['\x1b[5~', ['pageup']],
  ['\x1b[6~', ['pagedown']],
  ['\x1b[1~', ['home']],
  ['\x1bOF', ['end']],
  ['\x1bOM', ['enter']],
  ['\x1b[29~', ['enter']],
  ['\x1b[28~', ['?']],
  ['\r\n', ['enter']],
  ['\r', ['enter']],
  ['\r\0', ['enter']],
  ['\n', ['enter']],
  ['\x7f', ['backspace']],
  ['\x03', ['interrupt']],
  ['\x0c', ['redraw']],
  ['\x15', ['clear']],
  ['\t', ['next']],
  ['v', ['v']],
  ['\xc3\xa9', ['\u00e9']],
  ['\x1b', ['escape']],
  // What no person has pressed.
  ['\x1b[24;80R', []],
  ['\x1b[?62;1;6c', []],
  ['\x1b[8;24;80t', []],
  ['\x1b[0n', []],
  ['\x1b]11;rgb:0000/0000/0000\x1b\\', []],
  ['\x1bP1$r0m\x1b\\', []],
  ['\x1b[M !!', []],
  ['\x1b[<0;10;10M', []],
  ['\x1b[[A', []],
  ['\x1bOP', []],
  ['\x1b[11~', []],
  ['\x1b[1;2\x18', []],
  ['\xff\xfe', []],
  ['\0', []],
  ['\x11\x13', []],
  ['\x1b[200~suq\r\n\x1b[A\x1b[201~', ['<suq\r\n\x1b[A>']],
];

/** A keyboard on a clock, with the words that it told. */
function bench(): { clock: Clock; words: string[]; places: number[][]; feed: (b: Buffer) => void } {
  const clock = new Clock();
  const words: string[] = [];
  const places: number[][] = [];
  const keyboard = new Keyboard({
    onKey: (key) => words.push(wordOf(key)),
    onPosition: (row, column) => places.push([row, column]),
    setAlarm: clock.setAlarm,
  });
  return { clock, words, places, feed: (part) => keyboard.feed(part) };
}

t.test('each key at once, and byte by byte', async (t) => {
  for (const [sent, expected] of KEYS) {
    const whole = bench();
    whole.feed(bytes(sent));
    whole.clock.pass(1000);
    t.strictSame(whole.words, expected, JSON.stringify(sent));
    const slow = bench();
    for (const byte of bytes(sent)) {
      slow.feed(Buffer.from([byte]));
      slow.clock.pass(50);
    }
    slow.clock.pass(1000);
    t.strictSame(slow.words, expected, `${JSON.stringify(sent)} byte by byte`);
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

t.test('10,000 random splits and gaps up to 50 ms: no wrong action', async (t) => {
  const roll = dice(20260711);
  let wrong = 0;
  for (let run = 0; run < 10_000; run += 1) {
    const { clock, words, feed } = bench();
    const expected: string[] = [];
    for (let count = 1 + roll(4); count > 0; count -= 1) {
      const [sent, meant] = KEYS[roll(KEYS.length)]!;
      expected.push(...meant);
      for (let rest = bytes(sent); rest.length > 0;) {
        const part = 1 + roll(rest.length);
        feed(rest.subarray(0, part));
        rest = rest.subarray(part);
        clock.pass(rest.length > 0 ? roll(51) : 61 + roll(100));
      }
    }
    clock.pass(2000);
    if (words.join(' ') !== expected.join(' ')) {
      wrong += 1;
      if (wrong < 4) t.comment(JSON.stringify({ run, words, expected }));
    }
  }
  t.equal(wrong, 0);
});

t.test('thirty held arrows, as one heap', async (t) => {
  const { clock, words, feed } = bench();
  feed(bytes('\x1b[B'.repeat(30)));
  clock.pass(100);
  t.strictSame(
    words,
    Array.from({ length: 30 }, () => 'down'),
  );
});

t.test('a burst is a paste, typing is not', async (t) => {
  const { clock, words, feed } = bench();
  feed(bytes('sux\r'));
  clock.pass(100);
  t.strictSame(words.splice(0), ['<sux\n>'], 'no mark, but faster than a person');
  for (const char of '/media/usb') {
    feed(bytes(char));
    clock.pass(1);
  }
  clock.pass(100);
  t.strictSame(words.splice(0), ['</media/usb>'], 'at the pace of 9600 baud');
  for (const char of 'suq') {
    feed(bytes(char));
    clock.pass(25);
  }
  t.strictSame(words, ['s', 'u', 'q']);
});

t.test('a key waits no longer than it must', async (t) => {
  const { clock, words, feed } = bench();
  feed(bytes('\x1b[A'));
  t.strictSame(words.splice(0), ['up'], 'a sequence is told with its last byte');
  feed(bytes('v'));
  clock.pass(20);
  t.strictSame(words.splice(0), ['v']);
  feed(bytes('\x1b'));
  clock.pass(60);
  t.strictSame(words, ['escape']);
});

t.test('where the cursor is, is told and is no key', async (t) => {
  const { places, words, feed } = bench();
  feed(bytes('\x1b[50;132R'));
  t.strictSame([places, words], [[[50, 132]], []]);
});

t.test('a pasted megabyte is kept to its limit, also when its end is lost', async (t) => {
  for (const end of ['\x1b[201~', '']) {
    const { clock, words, feed } = bench();
    feed(bytes(`\x1b[200~${'R'.repeat(2 ** 20)}${end}`));
    clock.pass(end === '' ? 1000 : 0);
    t.equal(words.length, 1);
    t.ok(words[0]!.length < 8300, `${words[0]!.length} characters`);
    feed(bytes('\x1b[A'));
    t.equal(words[1], 'up', 'and the next key is a key');
  }
  const { clock, words, feed } = bench();
  feed(bytes('R'.repeat(2 ** 20)));
  clock.pass(100);
  t.equal(words.length, 1);
});

t.test('noise of any kind leaves the decoder at work', async (t) => {
  const roll = dice(7);
  const decoder = new Decoder();
  for (let run = 0; run < 300; run += 1) {
    decoder.feed(Buffer.from(Array.from({ length: 40 }, () => roll(256))));
    decoder.settle();
    t.strictSame(decoder.feed(bytes('\x1b[A')), [{ key: { name: 'up' } }]);
  }
});
