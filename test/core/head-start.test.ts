/**
 * The head start of the active before its standby fences it (docs/ARCHITECTURE.md, R3): how long a
 * standby waits after it lost the link, and what of the silence before counts.
 */
import t from 'tap';
import type { World } from '../../src/core/state.ts';
import { wantsFence } from '../../src/core/takeover.ts';
import { nodeState } from './states.ts';

const LOST_MS = 10_000;
const HEAD_START_MS = 2000;

/** A standby that lost its link after so much silence; does it fence so long after the loss? */
function fences(silentMs: number, waitedMs: number, change: Partial<World> = {}): boolean {
  const s = nodeState('B');
  const world: World = {
    ...s.world,
    takeover: 'fence',
    peerTakeover: 'fence',
    peerKnows: { run: 'run-B', turn: 0 },
    linkUp: false,
    peer: null,
    headStartMs: HEAD_START_MS,
    linkLostMs: LOST_MS,
    peerHeardMs: LOST_MS - silentMs,
    clock: { ...s.world.clock, ms: LOST_MS + waitedMs },
    ...change,
  };
  return wantsFence({ ...s, world });
}

const rows: readonly [what: string, silentMs: number, waitsMs: number][] = [
  ['a connection that ended, right after a report', 0, 2000],
  ['a connection that ended between two reports', 150, 1850],
  ['six silent beats: no more than half of the head start', 1400, 1000],
  ['an old report, on a slow serial line', 9000, 1000],
];
for (const [what, silentMs, waitsMs] of rows) {
  t.test(what, async (t) => {
    t.notOk(fences(silentMs, waitsMs - 1));
    t.ok(fences(silentMs, waitsMs));
  });
}

t.test('a standby that never had a link does not fence', async (t) => {
  t.notOk(fences(0, 60_000, { linkLostMs: null }));
});

t.test('a report that came while the link was lost gives nothing away', async (t) => {
  t.notOk(fences(-500, 1999));
  t.ok(fences(-500, 2000));
});
