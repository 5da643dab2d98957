/**
 * The blocks that GRUB reads: a write that is torn at any byte gives the old value, the new one or
 * none; every damaged byte is found; junk is nothing; and GRUB's own tool reads what is written.
 * May import tap, node: and the format under test.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { BootState } from '../../src/core/boot.ts';
import {
  decodeGrubCounter,
  decodeGrubState,
  decodeSealMark,
  encodeGrubCounter,
  encodeGrubState,
  encodeSealMark,
  GRUB_BLOCK_BYTES,
  GRUB_NUMBER_MAX,
  GRUB_SECTOR_BYTES,
} from '../../src/drivers/boot-grub-env.ts';

const BASE = { seq: 9, default: 'A', trial: null, trialId: 9, tries: 0, otherOk: false } as const;
const STATES: readonly BootState[] = [
  BASE,
  { ...BASE, seq: 10, otherOk: true },
  { ...BASE, seq: 11, trial: 'B', trialId: 10, tries: 2, otherOk: true },
  { ...BASE, seq: 12, default: 'B', trialId: 10, tries: 2, otherOk: true },
  { ...BASE, seq: 1000, default: 'B', trial: 'A', trialId: 99_999, tries: 9 },
  { ...BASE, seq: GRUB_NUMBER_MAX, trialId: GRUB_NUMBER_MAX, tries: 1 },
  { ...BASE, seq: 1, trialId: 0 },
];
const COUNTERS = [
  { trialId: 0, used: 0 },
  { trialId: 7, used: 1 },
  { trialId: 7, used: 9 },
  { trialId: 10, used: 1 },
  { trialId: GRUB_NUMBER_MAX, used: 2 },
];

t.test('what is written is read', async (t) => {
  for (const state of STATES) {
    t.same(decodeGrubState(encodeGrubState(state)), state);
    t.equal(encodeGrubState(state).length, GRUB_BLOCK_BYTES);
    t.equal(encodeGrubState(state).lastIndexOf(0x0a) < GRUB_SECTOR_BYTES, true);
  }
  for (const counter of COUNTERS) t.same(decodeGrubCounter(encodeGrubCounter(counter)), counter);
  for (const mark of [0, 7, GRUB_NUMBER_MAX]) t.equal(decodeSealMark(encodeSealMark(mark)), mark);
  t.equal(decodeSealMark(encodeSealMark(null)), null);
});

t.test('numbers that GRUB cannot compare', async (t) => {
  for (const number of [GRUB_NUMBER_MAX + 1, -1, 1.5, Number.NaN]) {
    t.throws(() => encodeGrubState({ ...BASE, trialId: number }), { code: 'boot.io' });
    t.throws(() => encodeGrubState({ ...BASE, seq: number }), { code: 'boot.io' });
    t.throws(() => encodeGrubCounter({ trialId: number, used: 0 }), { code: 'boot.io' });
    t.throws(() => encodeSealMark(number), { code: 'boot.io' });
  }
});

/** Every mixture of two blocks that a write torn at one byte can leave. */
function tears<T>(
  blocks: readonly (readonly [T, Uint8Array])[],
  check: (found: Uint8Array, old: T, made: T, at: number) => void,
): number {
  let count = 0;
  for (const [old, before] of blocks) {
    for (const [made, after] of blocks) {
      for (let at = 0; at <= after.length; at += 1) {
        check(Buffer.concat([after.subarray(0, at), before.subarray(at)]), old, made, at);
        count += 1;
      }
    }
  }
  return count;
}

const same = (a: object | null, b: object): boolean => JSON.stringify(a) === JSON.stringify(b);

t.test('a write torn at any byte: the old value, the new one, or none', async (t) => {
  const wrong: string[] = [];
  const states = STATES.map((state) => [state, encodeGrubState(state)] as const);
  const count = tears(states, (bytes, old, made, at) => {
    const found = decodeGrubState(bytes);
    if (found === null || same(found, old) || same(found, made)) return;
    wrong.push(`at ${at}: ${JSON.stringify(found)}`);
  });
  t.equal(count, STATES.length ** 2 * (GRUB_BLOCK_BYTES + 1));
  const counters = COUNTERS.map((counter) => [counter, encodeGrubCounter(counter)] as const);
  tears(counters, (bytes, old, made, at) => {
    const found = decodeGrubCounter(bytes);
    if (found === null || same(found, old) || same(found, made)) return;
    wrong.push(`counter at ${at}: ${JSON.stringify(found)}`);
  });
  const marks = [null, 0, 7, 8, 12, 120].map((mark) => [mark, encodeSealMark(mark)] as const);
  tears(marks, (bytes, old, made, at) => {
    const found = decodeSealMark(bytes);
    if (found !== null && found !== old && found !== made) wrong.push(`mark at ${at}: ${found}`);
  });
  t.strictSame(wrong, []);
});

t.test('every byte that matters: a damaged one is found', async (t) => {
  const state = STATES[2]!;
  const good = encodeGrubState(state);
  const length = good.lastIndexOf(0x0a) + 1;
  const wrong: number[] = [];
  for (let at = 0; at < length; at += 1) {
    for (const mask of [0x01, 0x02, 0x80, 0xff, good[at]!]) {
      const bad = good.slice();
      bad[at]! ^= mask;
      if (decodeGrubState(bad) !== null) wrong.push(at);
    }
  }
  t.strictSame(wrong, []);
  for (let at = length; at < good.length; at += 1) {
    const bad = good.slice();
    bad.fill(0, at, at + 1);
    if (!same(decodeGrubState(bad), state)) wrong.push(at);
  }
  t.strictSame(wrong, [], 'filling is no matter');
});

const block = (text: string): Uint8Array =>
  Buffer.from(`# GRUB Environment Block\n${text}`.padEnd(GRUB_BLOCK_BYTES, '#'), 'latin1');

t.test('junk', async (t) => {
  const fields = 'seq=3\nact=A\ntrial=none\nid=1\nmax=0\nother_ok=0\n';
  t.match(decodeGrubState(block(`${fields}end=3.A.none.1.0.0\n`)), { seq: 3 });
  t.match(decodeGrubState(block(`# junk\nx=1\n${fields}end=3.A.none.1.0.0\njunk\n`)), { seq: 3 });
  const bad = [
    fields,
    `${fields}end=3.A.none.1.0.0`.padEnd(GRUB_BLOCK_BYTES, '#'),
    `${fields}end=3.A.none.1.0.0\nact=B\n`,
    `${fields}end=3.A.none.1.0.0\nend=\n`,
    'seq=0\nact=A\ntrial=none\nid=1\nmax=0\nother_ok=0\nend=0.A.none.1.0.0\n',
    'seq=03\nact=A\ntrial=none\nid=1\nmax=0\nother_ok=0\nend=03.A.none.1.0.0\n',
    'seq=3\nact=A\ntrial=A\nid=1\nmax=2\nother_ok=0\nend=3.A.A.1.2.0\n',
    'seq=3\nact=C\ntrial=none\nid=1\nmax=0\nother_ok=0\nend=3.C.none.1.0.0\n',
    'seq=3\nact=A\ntrial=none\nid=1\nmax=10\nother_ok=0\nend=3.A.none.1.10.0\n',
    'seq=3\nact=A\ntrial=none\nid=1\nmax=0\nother_ok=2\nend=3.A.none.1.0.2\n',
  ];
  for (const text of bad) t.equal(decodeGrubState(block(text)), null, JSON.stringify(text));
  t.match(decodeGrubState(block(`${fields}end=3.\\A.none.1.0.0\n`)), { seq: 3 }, 'as GRUB does');
  for (const bytes of [new Uint8Array(0), new Uint8Array(511), Buffer.alloc(1024, 0xff)]) {
    t.equal(decodeGrubState(bytes), null);
    t.equal(decodeGrubCounter(bytes), null);
    t.equal(decodeSealMark(bytes), null);
  }
  const last = block('x=\\'.padEnd(GRUB_SECTOR_BYTES - 25, '\\'));
  t.equal(decodeGrubState(last), null);
});

const tool = '/usr/bin/grub-editenv';
const skip = !existsSync(tool) && 'grub-common is not installed';

t.test("GRUB's own tool reads the blocks", { skip }, async (t) => {
  const path = join(t.testdir(), 'block');
  await writeFile(path, encodeGrubState(STATES[2]!));
  const listed = spawnSync(tool, [path, 'list'], { encoding: 'utf8' });
  const fields = 'seq=11\nact=A\ntrial=B\nid=10\nmax=2\nother_ok=1\n';
  t.equal(listed.stdout, `${fields}end=11.A.B.10.2.1\n`);
  await writeFile(path, encodeGrubCounter({ trialId: 10, used: 1 }));
  t.equal(spawnSync(tool, [path, 'list'], { encoding: 'utf8' }).stdout, 'tid=10\nn=1\nok=10.1\n');
});
