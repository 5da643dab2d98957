/**
 * Changes of bytes and of JSON values, as an attacker or a bad disk would make them: small ones at
 * any place, values at limits, pieces cut, doubled, moved and exchanged. Always holds: the same
 * draws make the same change; what is given is not changed. Imports the chance.
 */
import type { Random } from './random.ts';

/** Longest piece that is inserted, in bytes. */
const PIECE_BYTES = 700;

type Change = (random: Random, bytes: Buffer) => Buffer;

const place = (random: Random, { length }: Buffer): number => random.below(length + 1);

/** Start and end of a piece; short ones mostly, whole blocks of an archive now and then. */
function piece(random: Random, { length }: Buffer): readonly [number, number] {
  const from = random.below(length + 1);
  if (random.oneIn(4)) {
    const block = Math.floor(from / 512) * 512;
    return [block, Math.min(length, block + 512 * (1 + random.below(3)))];
  }
  return [from, Math.min(length, from + 1 + random.length(PIECE_BYTES))];
}

function put(random: Random, bytes: Buffer, value: number): Buffer {
  const size = random.pick([1, 2, 4, 8]);
  const field = Buffer.alloc(8);
  const whole = BigInt.asUintN(64, BigInt(Math.trunc(value)));
  if (random.oneIn(2)) field.writeBigUInt64LE(whole);
  else field.writeBigUInt64BE(BigInt.asUintN(64, whole << BigInt(64 - 8 * size)));
  field.copy(bytes, random.below(Math.max(1, bytes.length)), 0, size);
  return bytes;
}

const CHANGES: readonly Change[] = [
  (random, bytes) => {
    const at = random.below(Math.max(1, bytes.length));
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    return bytes;
  },
  (random, bytes) => {
    bytes[random.below(Math.max(1, bytes.length))] = random.pick([0, 1, 0x20, 0x30, 0x7f, 0xff]);
    return bytes;
  },
  (random, bytes) => put(random, bytes, random.edge()),
  (random, bytes) => put(random, bytes, bytes.length + random.below(5) - 2),
  (random, bytes) => bytes.subarray(0, place(random, bytes)),
  (random, bytes) => {
    const [from, to] = piece(random, bytes);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  (random, bytes) => {
    const [from, to] = piece(random, bytes);
    return bytes.fill(random.pick([0, 0xff, 0x20, 0x41]), from, to);
  },
  (random, bytes) => {
    const [from, to] = piece(random, bytes);
    const at = place(random, bytes);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from, to), bytes.subarray(at)]);
  },
  (random, bytes) => {
    const [from, to] = piece(random, bytes);
    bytes.copy(bytes, place(random, bytes), from, to);
    return bytes;
  },
  (random, bytes) => {
    const at = place(random, bytes);
    const more = random.bytes(random.length(PIECE_BYTES));
    return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
  },
];

/** A copy of `bytes` with one to four changes. */
export function mutated(random: Random, bytes: Uint8Array): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let times = 1 + random.length(4); times > 0; times -= 1) {
    changed = Buffer.from(random.pick(CHANGES)(random, changed));
  }
  return changed;
}

/** Some bytes that have nothing to do with anything. */
export const noise = (random: Random, limit: number): Buffer => random.bytes(random.length(limit));

const ODD: readonly unknown[] = [
  null,
  true,
  false,
  '',
  ' ',
  '/',
  '../../etc/shadow',
  'a\u0000b',
  '\ud800',
  '\u001b[2J',
  '__proto__',
  'constructor',
  'toString',
  '0'.repeat(64),
  'f'.repeat(64),
  'x'.repeat(3000),
  '>=1.0.0 <2.0.0',
  `${'1'.repeat(40)}.0.0`,
  `>=${'9.'.repeat(300)}`,
  [],
  [null],
  [[[[[[[[[[]]]]]]]]]],
  {},
  { toString: 1, valueOf: -1 },
  -1,
  -0,
  0.5,
  1e21,
  1e308,
];

/** Its own copy: what is put into a value may be changed again. */
const odd = (random: Random): unknown => structuredClone(random.pick(ODD));

type Holder = Record<string, unknown> | unknown[];
const isHolder = (value: unknown): value is Holder => typeof value === 'object' && value !== null;

/** Every object and list in a value, the value itself first. */
function holders(value: unknown): Holder[] {
  const found: Holder[] = [];
  const visit = (one: unknown): void => {
    if (!isHolder(one)) return;
    found.push(one);
    for (const inner of Object.values(one)) visit(inner);
  };
  visit(value);
  return found;
}

function oddValue(random: Random, old: unknown): unknown {
  if (typeof old === 'number' && random.oneIn(2)) return old + random.below(5) - 2;
  if (typeof old === 'string' && old !== '' && random.oneIn(2)) {
    const at = random.below(old.length);
    const part = random.pick(['', old[at]!.toUpperCase(), '\u00e9', `${old[at]}${old[at]}`, '0']);
    return old.slice(0, at) + part + old.slice(at + 1);
  }
  return random.oneIn(3) ? random.edge() : odd(random);
}

function changeOne(random: Random, all: readonly Holder[]): void {
  const holder = random.pick(all) as Record<string, unknown>;
  const keys = Object.keys(holder);
  const key = keys.length === 0 ? 'x' : random.pick(keys);
  switch (random.below(Array.isArray(holder) ? 7 : 6)) {
    case 0:
      if (Array.isArray(holder)) holder.pop();
      else delete holder[key];
      return;
    case 1:
      holder[random.pick(['extra', '__proto_', 'constructor', 'toString', key])] = odd(random);
      return;
    case 2: {
      // What stands elsewhere in the same value.
      const other = random.pick(all) as Record<string, unknown>;
      const from = random.pick([...Object.keys(other), key]);
      holder[key] = structuredClone((Object.hasOwn(other, from) ? other[from] : null) ?? null);
      return;
    }
    case 6:
      if (Array.isArray(holder)) holder.push(structuredClone(holder[0] ?? odd(random)));
      return;
    default:
      holder[key] = oddValue(random, holder[key]);
  }
}

/** A copy of a JSON value with one to three changes. */
export function bentValue(random: Random, value: unknown): unknown {
  const copy = structuredClone(value);
  for (let times = 1 + random.length(3); times > 0; times -= 1) {
    const all = holders(copy);
    if (all.length === 0) return odd(random);
    changeOne(random, all);
  }
  return copy;
}

/** JSON text of a bent value; now and then with a key twice, a depth, or changed bytes. */
export function bentJson(random: Random, value: unknown, space?: number): Buffer {
  if (random.oneIn(12))
    return mutated(random, Buffer.from(JSON.stringify(value, undefined, space)));
  let text = JSON.stringify(bentValue(random, value), undefined, space) ?? '';
  if (random.oneIn(15)) text = text.replace('{', '{"format":1,');
  if (random.oneIn(30)) {
    const depth = random.pick([7, 8, 9, 500, 20_000]);
    text = text.replace(/:\s*("[^"]*"|\d+)/, `:${'['.repeat(depth)}${']'.repeat(depth)}`);
  }
  return random.oneIn(8) ? mutated(random, Buffer.from(text)) : Buffer.from(text);
}
