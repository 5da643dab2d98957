/**
 * Sessions on a serial line: how two runs meet, whichever frames are lost, and what is refused. May
 * import tap and the drivers.
 */
import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import { SerialIdentity } from '../../src/drivers/serial-keys.ts';
import {
  PAYLOAD_BYTES_MAX,
  SerialSession,
  type Received,
} from '../../src/drivers/serial-session.ts';
import { makeLinkKeys } from './link-keys.ts';

const keys = await makeLinkKeys(t.testdir());
const sessionA = (): SerialSession => new SerialSession(new SerialIdentity(keys.a));
const sessionB = (): SerialSession => new SerialSession(new SerialIdentity(keys.b));
const NOTHING = Buffer.alloc(0);
const kind = (received: Received): string =>
  received.kind === 'peer' && received.fresh ? 'fresh' : received.kind;

/** Two runs that have met; every frame that A sent is on the tape. */
function met(t: Test): { a: SerialSession; b: SerialSession; tape: Buffer[] } {
  const [a, b] = [sessionA(), sessionB()];
  const tape = [a.introduction()];
  b.receive(tape[0]!);
  a.receive(b.introduction());
  tape.push(a.introduction());
  t.equal(kind(b.receive(tape[1]!)), 'fresh');
  t.ok(a.open && b.open && !a.owesAnswer && !b.owesAnswer);
  return { a, b, tape };
}

t.test('two runs meet in three frames, and data goes both ways', async (t) => {
  const { a, b } = met(t);
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const flags of [0, 3]) {
      const payload = randomBytes(PAYLOAD_BYTES_MAX);
      const got = to.receive(from.data(flags, payload));
      t.same(got, { kind: 'peer', fresh: false, data: { flags, payload } });
    }
  }
  t.throws(() => a.data(0, Buffer.alloc(PAYLOAD_BYTES_MAX + 1)), RangeError);
  t.throws(() => sessionA().data(0, NOTHING), RangeError);
});

t.test('whichever introductions are lost, they meet in the end', async (t) => {
  for (let lost = 0; lost < 2 ** 6; lost += 1) {
    const [a, b] = [sessionA(), sessionB()];
    let frame = 0;
    const carry = (from: SerialSession, to: SerialSession, content: Buffer): void => {
      const drop = frame < 6 && (lost & (1 << frame)) !== 0;
      frame += 1;
      if (drop) return;
      to.receive(content);
      if (to.owesAnswer) carry(to, from, to.introduction());
    };
    for (let round = 0; round < 8; round += 1) {
      if (!a.open) carry(a, b, a.introduction());
      if (!b.open) carry(b, a, b.introduction());
      if (a.open) carry(a, b, a.data(0, NOTHING));
      if (b.open) carry(b, a, b.data(0, NOTHING));
    }
    const both = [kind(b.receive(a.data(1, NOTHING))), kind(a.receive(b.data(1, NOTHING)))];
    t.same(both, ['peer', 'peer'], `lost frames ${lost.toString(2)}`);
  }
});

t.test('data of a session whose last introduction was lost begins it', async (t) => {
  const [a, b] = [sessionA(), sessionB()];
  b.receive(a.introduction());
  a.receive(b.introduction());
  a.introduction();
  t.notOk(b.open);
  t.equal(kind(b.receive(a.data(1, Buffer.from('x')))), 'fresh');
  t.equal(kind(a.receive(b.data(1, NOTHING))), 'peer');
});

t.test('what was recorded is refused, and nothing recorded replaces a session', async (t) => {
  const { a, b, tape } = met(t);
  for (let n = 0; n < 5; n += 1) {
    tape.push(a.data(0, NOTHING));
    t.equal(kind(b.receive(tape.at(-1)!)), 'peer');
  }
  const again = (to: SerialSession): string[] => tape.map((content) => kind(to.receive(content)));
  const refused = Array<string>(5).fill('refused');
  t.same(again(b), ['introduced', 'introduced', ...refused]);
  b.introduction();
  t.same(again(b), ['introduced', 'introduced', ...refused], 'after an answer, too');
  t.equal(kind(b.receive(a.data(0, NOTHING))), 'peer', 'the session goes on');
  const next = sessionB();
  t.same(again(next), ['introduced', 'introduced', ...refused], 'a later run');
  t.notOk(next.open);

  // A run of the peer that is over: its introductions and data do not bring it back.
  const later = sessionA();
  b.receive(later.introduction());
  later.receive(b.introduction());
  t.equal(kind(b.receive(later.introduction())), 'fresh');
  b.introduction();
  t.same(again(b), ['introduced', 'introduced', ...refused]);
  t.equal(kind(b.receive(later.data(0, NOTHING))), 'peer');
});

t.test('a changed bit anywhere is refused', async (t) => {
  const { a, b } = met(t);
  const frame = a.data(1, Buffer.from('payload'));
  for (let at = 0; at < frame.length; at += 1) {
    const forged = Buffer.from(frame);
    forged[at]! ^= 4;
    t.equal(kind(b.receive(forged)), 'refused', `byte ${at}`);
  }
  t.equal(kind(b.receive(frame)), 'peer');
  const early = sessionA();
  const other = sessionB();
  early.receive(other.introduction());
  const answer = early.introduction();
  for (let at = 0; at < answer.length; at += 1) {
    const forged = Buffer.from(answer);
    forged[at]! ^= 4;
    other.receive(forged);
    t.notOk(other.open, `byte ${at} of the introduction`);
  }
  t.equal(kind(other.receive(answer)), 'fresh');
});

t.test('own frames, frames of strangers and pieces are nobody', async (t) => {
  const { a, b } = met(t);
  t.equal(kind(a.receive(a.data(0, NOTHING))), 'refused', 'a line that leads back');
  t.same(a.receive(a.introduction()), { kind: 'wrong-peer', own: true });
  const stranger = new SerialSession(new SerialIdentity({ ...keys.a, ...keys.stranger }));
  t.same(b.receive(stranger.introduction()), { kind: 'wrong-peer', own: false });
  t.notOk(b.owesAnswer, 'it is not answered');
  const otherPair = new SerialSession(new SerialIdentity({ ...keys.a, pair: 'f'.repeat(32) }));
  const c = sessionB();
  c.receive(otherPair.introduction());
  otherPair.receive(c.introduction());
  c.receive(otherPair.introduction());
  t.notOk(c.open || otherPair.open, 'the same keys in another pair');
  for (const size of [0, 1, 2, 23, 24, 80, 256]) {
    t.equal(kind(b.receive(Buffer.alloc(size, 1))), 'refused', `${size} bytes`);
    t.equal(kind(b.receive(Buffer.alloc(size, 2))), 'refused', `${size} bytes`);
  }
});

t.test('a key that is no P-256 key is named', async (t) => {
  const { generateKeyPairSync } = await import('node:crypto');
  const { privateKey } = generateKeyPairSync('ed25519');
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  t.throws(() => new SerialIdentity({ ...keys.a, keyPem }), { code: 'pair.keys_damaged' });
});
