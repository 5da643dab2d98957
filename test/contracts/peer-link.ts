/**
 * What every driver of the port PeerLink must hold. `make` gives both ends of one link and the
 * means to cut it. Always holds: the suite waits for events, never for a time. May import tap,
 * core, ports and the frames for their size limit.
 */
import type { Test } from 'tap';
import { isCode } from '../../src/core/codes.ts';
import { FRAME_BYTES_MAX } from '../../src/drivers/frames.ts';
import type { PeerLink } from '../../src/ports.ts';

/** Both ends of one link, just opened, and the wire between them. */
export interface PeerLinkHarness {
  readonly a: PeerLink;
  readonly b: PeerLink;
  /** Names of its channels; default: the network alone. */
  readonly channels?: readonly string[];
  /** All of its channels. */
  readonly cut: () => void;
  readonly heal: () => void;
}

const isUp = (link: PeerLink): boolean => link.channels().some((channel) => channel.up);

/** Returns once `link` is up, or down; the harness has no other clock. */
export async function untilUp(link: PeerLink, up: boolean): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (isUp(link) === up) resolve();
  };
  link.onChange(look);
  look();
  await promise;
}

/** Everything that arrives at one end, in order. */
export class Inbox {
  readonly messages: unknown[] = [];
  #waiting: { count: number; resolve: () => void }[] = [];

  constructor(link: PeerLink) {
    link.onMessage((message) => {
      this.messages.push(message);
      for (const { count, resolve } of this.#waiting) {
        if (this.messages.length >= count) resolve();
      }
    });
  }

  /** Returns once `count` messages have arrived since the start. */
  async until(count: number): Promise<unknown[]> {
    if (this.messages.length < count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push({ count, resolve });
      await promise;
    }
    return this.messages;
  }
}

/** Runs the suite as one subtest of `t`. */
export async function peerLinkContract(
  t: Test,
  make: (t: Test) => Promise<PeerLinkHarness>,
): Promise<void> {
  await t.test('contract of PeerLink', async (t) => {
    await t.test('it comes up by itself and says so', async (t) => {
      const { a, b, channels = ['network'] } = await make(t);
      await Promise.all([untilUp(a, true), untilUp(b, true)]);
      for (const link of [a, b]) {
        const found = link.channels();
        t.same(
          found.map(({ name }) => name),
          channels,
        );
        const channel = found.find(({ up }) => up);
        t.match(channel, { up: true, error: null });
        t.ok(channel?.ageMs !== null && channel!.ageMs >= 0, 'the age is known');
      }
    });

    await t.test('messages arrive once, in order, both ways', async (t) => {
      const { a, b } = await make(t);
      const [atA, atB] = [new Inbox(a), new Inbox(b)];
      await Promise.all([untilUp(a, true), untilUp(b, true)]);
      const sent = Array.from({ length: 20 }, (_, n) => ({
        type: 'report',
        n,
        text: 'Grüße \u0000',
      }));
      for (const message of sent) {
        a.send(message);
        b.send({ ...message, back: true });
      }
      t.same(await atB.until(20), sent);
      t.same(
        await atA.until(20),
        sent.map((message) => ({ ...message, back: true })),
      );
      t.not(atB.messages[0], sent[0], 'a copy, not the object itself');
    });

    await t.test('the largest message passes, a larger one is a bug', async (t) => {
      const { a, b } = await make(t);
      const atB = new Inbox(b);
      await Promise.all([untilUp(a, true), untilUp(b, true)]);
      const fill = 'x'.repeat(FRAME_BYTES_MAX - JSON.stringify({ fill: '' }).length);
      t.throws(() => a.send({ fill: `${fill}x` }), { code: 'internal.bug' });
      a.send({ fill });
      t.same(await atB.until(1), [{ fill }]);
      t.ok(isUp(a));
    });

    await t.test('cut: both ends go down, what is sent is dropped, later it is up', async (t) => {
      const { a, b, cut, heal } = await make(t);
      const atB = new Inbox(b);
      await Promise.all([untilUp(a, true), untilUp(b, true)]);
      cut();
      await Promise.all([untilUp(a, false), untilUp(b, false)]);
      for (const link of [a, b]) {
        for (const { error } of link.channels()) {
          t.ok(error && isCode(error.code) && error.message && error.next, 'it says why');
        }
      }
      a.send({ n: 'lost' });
      t.throws(() => a.send({ fill: 'x'.repeat(FRAME_BYTES_MAX) }), { code: 'internal.bug' });
      heal();
      await Promise.all([untilUp(a, true), untilUp(b, true)]);
      a.send({ n: 'kept' });
      t.same(await atB.until(1), [{ n: 'kept' }]);
      t.equal(a.channels().find(({ up }) => up)?.error, null);
    });

    await t.test('the end of one side takes the other one down', async (t) => {
      const { a, b } = await make(t);
      const atA = new Inbox(a);
      await Promise.all([untilUp(a, true), untilUp(b, true)]);
      let changes = 0;
      a.onChange(() => (changes += 1));
      await a[Symbol.asyncDispose]();
      await untilUp(b, false);
      await a[Symbol.asyncDispose]();
      a.send({ n: 1 });
      b.send({ n: 2 });
      t.equal(isUp(a), false);
      t.equal(changes, 0, 'who closed it is told nothing any more');
      t.same(atA.messages, []);
    });
  });
}
