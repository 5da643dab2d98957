/**
 * One thread's way through the chunks, with a disk that ends transfers in its own time: what is
 * under way while what is worked on, and that nothing is left under way after a failure. Imports
 * the lane and the board.
 */
import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import { Board, CHUNK } from '../../src/install/board.ts';
import type { Side } from '../../src/install/chunk-work.ts';
import { Lane, type Hands } from '../../src/install/lane.ts';
import { randomOf } from '../memory/disk.ts';

/** A slot in memory; each chunk is one number, and the disk is as slow as chance has it. */
class Slot implements Hands {
  readonly holds: number[];
  readonly log: string[] = [];
  /** Transfers of this chunk fail. */
  broken: number | null = null;
  hinted = 0;
  readonly #slabs = [-1, -1];
  /** Which slab is the disk's. */
  readonly #busy = [false, false];
  readonly #random: () => number;
  #under = 0;

  constructor(count: number, random: () => number) {
    this.holds = Array.from({ length: count }, () => -1);
    this.#random = random;
  }

  get underWay(): number {
    return this.#under;
  }

  isHinted(chunk: number): boolean {
    return chunk < this.hinted;
  }

  make(chunk: number, side: Side): void {
    this.#touch(side);
    this.log.push(`make ${chunk}`);
    this.#slabs[side] = chunk;
  }

  agrees(chunk: number, side: Side): boolean {
    this.#touch(side);
    return this.#slabs[side] === chunk;
  }

  check(chunk: number, side: Side): void {
    if (!this.agrees(chunk, side)) throw new UpdateError('slot.readback', `chunk ${chunk}`);
  }

  store(chunk: number, side: Side): Promise<void> {
    return this.#transfer('store', chunk, side, () => {
      this.holds[chunk] = this.#slabs[side]!;
    });
  }

  load(chunk: number, side: Side): Promise<void> {
    return this.#transfer('load', chunk, side, () => {
      this.#slabs[side] = this.holds[chunk]!;
    });
  }

  #touch(side: Side): void {
    if (this.#busy[side] === true) throw new Error(`slab ${side} is the disk's`);
  }

  async #transfer(word: string, chunk: number, side: Side, done: () => void): Promise<void> {
    this.#touch(side);
    this.#busy[side] = true;
    this.#under += 1;
    this.log.push(`${word} ${chunk}`);
    for (let turns = Math.floor(this.#random() * 4); turns > 0; turns--) await turn();
    this.#under -= 1;
    this.#busy[side] = false;
    this.log.push(`${word} ${chunk} ended`);
    if (chunk === this.broken) throw new UpdateError('slot.io', `${word} of chunk ${chunk}`);
    done();
  }
}

async function writeAll(lane: Lane): Promise<void> {
  while ((await lane.write()) !== 'end');
}

t.test('while one chunk is stored, the next one is made', async (t) => {
  const slot = new Slot(3, () => 0.9);
  const board = Board.create(3);
  board.openGate(3);
  await using lane = new Lane(slot, board);
  await writeAll(lane);
  t.strictSame(slot.log, [
    'make 0',
    'store 0',
    'make 1',
    'store 0 ended',
    'store 1',
    'make 2',
    'store 1 ended',
    'store 2',
    'store 2 ended',
  ]);
  slot.log.length = 0;
  while (await lane.readBack());
  t.strictSame(slot.log.slice(0, 3), ['load 0', 'load 1', 'load 0 ended']);
  t.equal(board.readCount, 3);
});

t.test('a shut gate: nothing of the lane is under way when it says so', async (t) => {
  const slot = new Slot(4, () => 0.9);
  const board = Board.create(4);
  board.openGate(2);
  await using lane = new Lane(slot, board);
  const steps = [await lane.write(), await lane.write(), await lane.write(), await lane.write()];
  t.strictSame(steps, ['more', 'more', 'more', 'wait']);
  t.equal(slot.underWay, 0);
  t.equal(board.finishedFrom(0), 2);
});

t.test('many slots: every chunk is there, counted once, kept only where it was', async (t) => {
  for (let seed = 0; seed < 200; seed++) {
    const random = randomOf(seed);
    const count = 1 + Math.floor(random() * 12);
    const slot = new Slot(count, random);
    slot.hinted = Math.floor(random() * (count + 1));
    const right = slot.holds.map((_, chunk) => chunk < slot.hinted && random() < 0.6);
    for (const [chunk, is] of right.entries()) if (is) slot.holds[chunk] = chunk;
    const board = Board.create(count);
    board.openGate(count);
    let asked = 0;
    const prove = (): Promise<void> => Promise.resolve(void (asked += 1));
    await using lane = new Lane(slot, board, prove);
    await writeAll(lane);
    t.strictSame(slot.holds, [...slot.holds.keys()], `seed ${seed}`);
    const outcomes = right.map((_, chunk) => board.outcome(chunk));
    t.strictSame(
      outcomes,
      right.map((is) => (is ? CHUNK.kept : CHUNK.written)),
      `seed ${seed}`,
    );
    t.equal(asked, right.filter((is) => !is).length, 'asked before each chunk that is made');
    t.equal(board.finishedCount, count);
    while (await lane.readBack());
    t.equal(board.readCount, count);
  }
});

t.test(
  'a transfer that fails: it is told, it does not count, nothing is left under way',
  async (t) => {
    for (let seed = 0; seed < 200; seed++) {
      const random = randomOf(seed);
      const count = 1 + Math.floor(random() * 8);
      const slot = new Slot(count, random);
      slot.hinted = Math.floor(random() * (count + 1));
      slot.broken = Math.floor(random() * count);
      const board = Board.create(count);
      board.openGate(count);
      {
        await using lane = new Lane(slot, board);
        await t.rejects(writeAll(lane), { code: 'slot.io' });
      }
      t.equal(slot.underWay, 0, `seed ${seed}`);
      t.equal(board.outcome(slot.broken), CHUNK.todo);
    }
  },
);

t.test('a chunk that is not read as it was written', async (t) => {
  const slot = new Slot(3, () => 0.9);
  const board = Board.create(3);
  board.openGate(3);
  await using lane = new Lane(slot, board);
  await writeAll(lane);
  slot.holds[1] = 7;
  const all = async (): Promise<void> => {
    while (await lane.readBack());
  };
  await t.rejects(all(), { code: 'slot.readback', message: /chunk 1/ });
  t.equal(board.readCount, 1);
});
