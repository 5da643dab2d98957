/**
 * The link in memory: its contract, noise that a seed repeats, crashes of an end. May import tap
 * and the driver under test.
 */
import t from 'tap';
import { Inbox, peerLinkContract, untilUp } from '../contracts/peer-link.ts';
import { MemoryWire } from './link.ts';

/** A scheduler in virtual time: `run` does everything that is planned, in order. */
function virtualTime() {
  const planned: { at: number; action: () => void }[] = [];
  let now = 0;
  return {
    now: () => now,
    schedule: (delayMs: number, action: () => void) =>
      void planned.push({ at: now + delayMs, action }),
    run() {
      for (;;) {
        const at = Math.min(...planned.map((entry) => entry.at));
        const next = planned.findIndex((entry) => entry.at === at);
        if (next < 0) return;
        now = at;
        planned.splice(next, 1)[0]?.action();
      }
    },
  };
}

/** The numbers that arrive of 50 messages over a bad wire. */
function noisyRun(seed: number): number[] {
  const time = virtualTime();
  const wire = new MemoryWire({ ...time, seed });
  const a = wire.open('A');
  const atB = new Inbox(wire.open('B'));
  time.run();
  wire.setNoise({ dropRate: 0.3, duplicateRate: 0.3, delayMs: [0, 50] });
  for (let n = 0; n < 50; n += 1) a.send({ n });
  time.run();
  return atB.messages.map((message) => (message as { n: number }).n);
}

await t.test('contract', async (t) => {
  await peerLinkContract(t, () => {
    const wire = new MemoryWire();
    const [a, b] = [wire.open('A'), wire.open('B')];
    return Promise.resolve({ a, b, cut: () => wire.cut(), heal: () => wire.heal() });
  });
});

await t.test('a seed repeats the same losses, doubles and order', async (t) => {
  const first = noisyRun(7);
  t.same(noisyRun(7), first);
  t.notSame(noisyRun(8), first);
  t.ok(new Set(first).size < 50, 'some are lost');
  t.ok(new Set(first).size < first.length, 'some are doubled');
  t.notSame(
    first,
    first.toSorted((x, y) => x - y),
    'the order changes',
  );
});

await t.test('nothing sent before a cut arrives after it', async (t) => {
  const time = virtualTime();
  const wire = new MemoryWire({ ...time, noticeMs: 1200 });
  const [a, b] = [wire.open('A'), wire.open('B')];
  const atB = new Inbox(b);
  time.run();
  wire.setNoise({ delayMs: [10, 10] });
  a.send({ n: 'under way' });
  wire.cut();
  a.send({ n: 'not noticed yet' });
  t.ok(a.channels()[0]?.up, 'half open: the end does not know yet');
  time.run();
  t.notOk(a.channels()[0]?.up);
  wire.heal();
  time.run();
  a.send({ n: 'new' });
  time.run();
  t.same(atB.messages, [{ n: 'new' }]);
});

await t.test('a crashed node comes back with a new end', async (t) => {
  const wire = new MemoryWire();
  const [a, b] = [wire.open('A'), wire.open('B')];
  await Promise.all([untilUp(a, true), untilUp(b, true)]);
  wire.crash('A');
  await untilUp(b, false);
  const again = wire.open('A');
  await Promise.all([untilUp(again, true), untilUp(b, true)]);
  t.notOk(a.channels()[0]?.up, 'the old end is dead');
});
