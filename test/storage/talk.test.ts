/**
 * Questions between two storage processes: an older peer is never asked, every question ends, and
 * what is refused arrives as it was said. Imports tap and the questions.
 */
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import type { PeerConnection } from '../../images/storage/link.ts';
import { Talk } from '../../images/storage/talk.ts';
import type { Hello, Message } from '../../images/storage/wire.ts';
import { codeOf } from '../contracts/store.ts';

/** Two ends of a connection that deliver at once. */
function pair(protocol: number) {
  const sent: (Hello | Message)[] = [];
  const connection = (deliver: (head: Message) => void): PeerConnection => ({
    closed: false,
    send: (head) => {
      sent.push(head);
      deliver(head as Message);
    },
    drained: async () => undefined,
    setReading: () => undefined,
    close: () => undefined,
  });
  const b = new Talk(connection((head) => head.t === 'reply' && a.reply(head)));
  const a: Talk = new Talk(
    connection((head) => {
      if (head.t !== 'ask') return;
      b.answer(head.id, head.question, async (question) => {
        if (question.do === 'close') throw new UpdateError('store.busy', 'not now');
        return { heard: question.do };
      });
    }),
  );
  a.protocol = protocol;
  return { a, b, sent };
}

t.test('a question is answered or refused', async (t) => {
  const { a } = pair(2);
  t.strictSame(await a.ask({ do: 'facts' }), { heard: 'facts' });
  t.equal(await codeOf(a.ask({ do: 'close' })), 'store.busy');
});

t.test('an older peer is not asked, nor one that has not said what it is', async (t) => {
  for (const protocol of [0, 1]) {
    const { a, sent } = pair(protocol);
    t.equal(await codeOf(a.ask({ do: 'facts' })), 'pair.protocol');
    t.strictSame(sent, []);
  }
});

t.test('the end of a connection ends every question; no more than sixteen are open', async (t) => {
  const silent = new Talk({
    closed: false,
    send: () => undefined,
    drained: async () => undefined,
    setReading: () => undefined,
    close: () => undefined,
  });
  silent.protocol = 2;
  const open = Array.from({ length: 16 }, () => codeOf(silent.ask({ do: 'facts' })));
  t.equal(await codeOf(silent.ask({ do: 'facts' })), 'store.busy');
  silent.end(new UpdateError('pair.peer_unreachable', 'gone'));
  t.same(new Set(await Promise.all(open)), new Set(['pair.peer_unreachable']));
});
