/**
 * What a node makes of the proof that its peer was switched off: which loss of the link it is about,
 * and what becomes durable of it. May import tap and core.
 */
import t from 'tap';
import { effectsOf, step } from '../../src/core/machine.ts';
import type { Event } from '../../src/core/state.ts';
import { nodeState } from './states.ts';

const NOW = { ms: 9000, at: '2026-01-01T00:00:00.000Z' };
const LOST = { linkUp: false, linkLostMs: 5000, takeover: 'fence', peerKnows: 'fence' } as const;

const proof = (more: { readonly since?: number }): Event => {
  return { type: 'peer-off', word: 'fence', ...more };
};

t.test('a proof counts for the loss of the link that the fence was asked for', async (t) => {
  const s = nodeState('B', { peer: null, world: { ...LOST, clock: NOW } });
  t.match(
    effectsOf(s).filter((effect) => effect.do === 'fence'),
    [{ do: 'fence', epoch: 1, since: 5000 }],
  );
  const role = { epoch: 2, holder: 'B', peerMayTakeOver: false };
  t.match(step(s, proof({ since: 5000 }), NOW)?.record, { role });
  t.match(step(s, proof({}), NOW)?.record, { role }, 'asked for by who does not say when');
  t.equal(step(s, proof({ since: 1000 }), NOW), undefined, 'the peer was there in between');
  const operator: Event = { type: 'peer-off', word: 'operator' };
  t.match(step(s, operator, NOW)?.record, { role });
});
