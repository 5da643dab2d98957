/**
 * Long runs of the console in one process: dialogs that open and close, and noise as input. Used by
 * the bench in full length, and by a test in a short one. Imports the console and the worlds.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { picture } from '../../console/layout.ts';
import { Canvas } from '../../console/terminal/canvas.ts';
import { kindOf } from '../../console/terminal/kinds.ts';
import { Keyboard } from '../../console/terminal/keyboard.ts';
import { Clock } from './clock.ts';
import { Led, SHEET, WORLDS } from './worlds.ts';

/** A small generator, so that a failure can be repeated. */
export function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

/** Opens and closes dialogs; how much the heap has grown from a tenth of the way on, in bytes. */
export function soakDialogs(count: number): number {
  const collect = collector();
  const heap = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  using canvas = new Canvas(kindOf('vt220')!, SHEET, false);
  const led = new Led(WORLDS.updated);
  const draw = (): number => canvas.draw(picture(led.state, SHEET)).length;
  let before = 0;
  let bytes = 0;
  for (let dialog = 0; dialog < count; dialog += 1) {
    if (dialog === Math.ceil(count / 10)) before = heap();
    led.asks.length = 0;
    led.press('s', dialog % 2 === 0 ? 'b' : 'm');
    bytes += draw();
    led.press('x', 'escape', 'escape').take({ status: WORLDS.updated });
    bytes += draw();
  }
  if (bytes < count * 100) throw new Error(`only ${bytes} bytes were drawn`);
  return heap() - before;
}

/** Random bytes in random pieces; how many changes were asked for, and how many keys came. */
export function soakNoise(heaps: number, seed = 20261122): { changes: number; keys: number } {
  const roll = dice(seed);
  let changes = 0;
  let keys = 0;
  for (let heap = 0; heap < heaps; heap += 1) {
    const clock = new Clock();
    const led = new Led(WORLDS.updated);
    const keyboard = new Keyboard({
      onKey: (key) => {
        keys += 1;
        led.take({ key, pageRows: 19 });
      },
      onPosition: () => {},
      setAlarm: clock.setAlarm,
    });
    for (let piece = 0; piece < 12; piece += 1) {
      keyboard.feed(Buffer.from(Array.from({ length: 1 + roll(20) }, () => roll(256))));
      clock.pass(roll(51));
    }
    clock.pass(2000);
    changes += led.asks.filter(({ ask }) => ask.ask === 'change').length;
  }
  return { changes, keys };
}
