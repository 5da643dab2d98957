/**
 * What a daemon does when its storage software hangs: people are told, each step once, and a node
 * that holds the role cuts its own power when nothing else ends the software. Imports tap and the
 * daemon.
 */
import t from 'tap';
import { watchHungStorage } from '../../src/daemon/hung-storage.ts';
import type { Hang } from '../../src/drivers/storage-process.ts';
import type { NodeState } from '../../src/core/state.ts';
import { nodeState } from '../core/states.ts';

/** A node whose storage software hangs in these steps; what came of it, in order. */
function hang(node: 'A' | 'B', ...states: readonly Hang['state'][]): readonly string[] {
  return hangs(nodeState(node), 1, states);
}

function hangs(state: NodeState, count: number, states: readonly Hang['state'][]) {
  const told: string[] = [];
  let tell: ((hang: Hang) => void) | null = null;
  watchHungStorage({
    storage: { onHang: (listener) => void (tell = listener) },
    runner: {
      state,
      dispatch: (event) => {
        const reason = event.type === 'trouble' ? (event.reason?.code ?? 'none') : '?';
        told.push(`${event.type} ${reason}`);
        return Promise.resolve(true);
      },
    },
    host: {
      hardReset: (reason) => {
        told.push(`reset: ${reason}`);
        throw new Error('the power is off');
      },
    },
    events: {
      emit: (event) => {
        told.push(`event ${event.code ?? 'none'}: ${event.msg}`);
        return { ...event, v: 1, seq: 1, ts: '', node: null, pct: null, eta_s: null, code: null };
      },
    },
    log: () => undefined,
  });
  for (const step of states) {
    try {
      tell!({ state: step, quietMs: 6000, count });
    } catch {
      return told;
    }
  }
  return told;
}

const HUNG = 'event store.hung: the storage software';

t.test('an end is said, and taken back', async (t) => {
  t.same(hang('A', 'quiet', 'ending', 'well'), [
    `${HUNG} has given no sign of life for 6 s`,
    'trouble store.hung',
    `${HUNG} gave no sign of life for 6 s: it is ended and restarted`,
    'trouble store.hung',
    'event none: the storage software gives signs of life again',
    'trouble none',
  ]);
});

t.test('only the holder cuts its power, and only when nothing ends the software', async (t) => {
  const cut = 'reset: the storage software hangs and cannot be ended';
  t.equal(hang('A', 'quiet', 'ending', 'stuck').at(-1), cut);
  t.equal(hang('B', 'quiet', 'ending', 'stuck').at(-1), 'trouble store.hung');
});

const last = (state: NodeState, count: number): string | undefined =>
  hangs(state, count, ['quiet', 'ending']).at(-1);

t.test('one that hangs again lets the peer take over, where it would by itself', async (t) => {
  const fence = { world: { peerTakeover: 'fence' } } as const;
  const alone = { epoch: 1, holder: 'A', peerMayTakeOver: false } as const;
  const again = 'reset: the storage software hangs again';
  t.equal(last(nodeState('A', fence), 2), again);
  const others = [
    last(nodeState('A', fence), 1),
    last(nodeState('A'), 2),
    last(nodeState('A', { ...fence, record: { role: alone } }), 2),
    last(nodeState('B', fence), 2),
  ];
  t.same(others, Array(4).fill('trouble store.hung'));
});
