/**
 * Key to paint on a slow line, in virtual time: the bytes of each frame take the time that the line
 * needs for them, a frame is drawn only when the one before has left, as the console does it.
 */
import t from 'tap';
import { picture } from '../../console/layout.ts';
import { Canvas } from '../../console/terminal/canvas.ts';
import { kindOf } from '../../console/terminal/kinds.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { Led, SHEET, WORLDS } from './worlds.ts';

/** Start bit, eight bits, stop bit. */
const BITS = 10;
/** An arrow key is three bytes on the way in. */
const KEY_BYTES = 3;

/** A line of a speed, and what is drawn on it. */
class SlowLine {
  readonly led: Led;
  readonly #canvas = new Canvas(kindOf('vt220')!, SHEET, false);
  readonly #byteMs: number;
  #freeAtMs = 0;
  #dirtySinceMs: number | null = null;
  /** Bytes of the largest frame: the most that ever waits. */
  largest = 0;

  constructor(baud: number, led: Led) {
    this.#byteMs = (BITS * 1000) / baud;
    this.led = led;
    this.#canvas.draw(picture(led.state, SHEET));
  }

  /** The state has changed at this time. */
  change(atMs: number): void {
    this.#dirtySinceMs ??= atMs;
    this.advance(atMs);
  }

  /** Lets the line go on until this time, and draws what waits when it is free. */
  advance(toMs: number): void {
    if (this.#dirtySinceMs === null) return;
    const beginMs = Math.max(this.#dirtySinceMs, this.#freeAtMs);
    if (beginMs > toMs) return;
    const bytes = this.#canvas.draw(picture(this.led.state, SHEET)).length;
    this.#dirtySinceMs = null;
    this.largest = Math.max(this.largest, bytes);
    this.#freeAtMs = beginMs + bytes * this.#byteMs;
  }

  /** Presses a key at this time; milliseconds until the last byte of what it changes is shown. */
  press(word: string, atMs: number): number {
    const arrivesMs = atMs + KEY_BYTES * this.#byteMs;
    this.advance(arrivesMs);
    this.led.press(word);
    this.change(arrivesMs);
    this.advance(Infinity);
    return this.#freeAtMs - atMs;
  }
}

/** A small generator, so that a failure can be repeated. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const p95 = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.95) - 1]!;

/** The update a second later, on the screen that lists bundles: its head is what changes there. */
function second(status: PairStatus, count: number): PairStatus {
  const words = ['node A is being updated', 'node A restarts', 'node A is brought in sync'];
  const text = `no high availability now: ${words[count % words.length]!}, ${count} s`;
  return { ...status, ha: { ok: false, text } };
}

function choosing(world: PairStatus): Led {
  const led = new Led(WORLDS.well).press('u');
  const bundles = Array.from({ length: 12 }, (_, index) => {
    const name = `/media/usb/update-${index}.0.0.bin`;
    return { source: { path: name }, name, note: '319 MiB' };
  });
  return led.take({ id: 1, answer: { kind: 'bundles', bundles } }).take({ status: world });
}

t.test('an arrow key at 9600 baud, to its last byte', async (t) => {
  const roll = dice(3);
  for (const [name, world, limitMs] of [
    ['idle', WORLDS.well, 150],
    ['during an update', WORLDS.installing, 300],
  ] as const) {
    const line = new SlowLine(9600, choosing(world));
    const tooks: number[] = [];
    let nowMs = 0;
    let tick = 0;
    for (let key = 0; key < 300; key += 1) {
      nowMs += 120 + roll(400);
      for (; tick * 1000 < nowMs; tick += 1) {
        if (name === 'idle') line.led.take({ status: world });
        else line.led.take({ status: second(world, tick) });
        line.change(tick * 1000);
      }
      tooks.push(line.press(roll(2) > 0 ? 'down' : 'up', nowMs));
    }
    t.comment(`${name}: p95 ${p95(tooks).toFixed(0)} ms, largest frame ${line.largest} bytes`);
    t.ok(p95(tooks) <= limitMs, `${name}: ${p95(tooks)} ms`);
    t.ok(line.largest <= 2200, 'what waits is one frame at most');
  }
});
