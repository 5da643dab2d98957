/**
 * The checklist of a pair that finds itself: one line per thing that has to be well, with what it
 * is made from; a channel or a peer that is silent is unknown. May import tap, core and the module
 * under test.
 */
import t from 'tap';
import type { NodeState } from '../../src/core/state.ts';
import { channelWord, reformItems } from '../../src/updater/reform.ts';
import { pairStatus } from '../../src/updater/status.ts';
import { nodeState, release, storeStatus, type StateChange } from '../core/states.ts';

const AT = '2026-01-01T00:01:00.000Z';
const NOW_MS = 11_000;
const NEW = { system: release('system', 2) };
const syncing = { doneBytes: 30, totalBytes: 40 };
const behind = storeStatus('primary', { peer: 'syncing', sync: syncing });
const ROLE = { epoch: 1, holder: 'A', peerMayTakeOver: false } as const;

/** What every item says of a peer that was never heard. */
const lost = (node: 'A' | 'B'): Record<string, string> => {
  const silent = `node ${node} not heard since this daemon started`;
  const unknown = `unknown: ${silent}`;
  const waits = `waiting: ${silent}`;
  return { link: waits, versions: unknown, epoch: unknown, storage: unknown, admitted: unknown };
};

const checklist = (s: NodeState): Record<string, string> =>
  Object.fromEntries(reformItems(s).map((item) => [item.name, `${item.state}: ${item.text}`]));

t.test('the checklist of a reforming pair', async (t) => {
  const all = {
    link: 'ok: node B answers',
    versions: 'ok: both run 1.0.0, storage 1.0.0; protocol 1, level 1',
    epoch: 'ok: epoch 1, held by A',
    storage: 'ok: both copies are current',
    service: 'ok: node A serves',
    admitted: 'ok: node B may take over: node A counts on it, and it knows',
  };
  t.strictSame(checklist(nodeState('A')), all);
  const link = 'ok: node A answers';
  t.strictSame(checklist(nodeState('B')), { ...all, link }, 'the same on the standby');
  t.strictSame(checklist(nodeState('A', { peer: null })), { ...all, ...lost('B') });
  t.strictSame(
    checklist(nodeState('B', { peer: null })),
    { ...lost('A'), service: lost('A')['epoch'] },
    'whether the peer serves is not guessed',
  );
  const rows: readonly [StateChange, Partial<Record<keyof typeof all, string | RegExp>>][] = [
    [
      { peer: NEW },
      { versions: /^waiting: system: A 1\.0\.0, B 2\.0\.0; storage: A 1\.0\.0, B 1/ },
    ],
    [{ peer: { system: null } }, { versions: /^waiting: system: A 1\.0\.0, B unknown; / }],
    [
      { peerRecord: { role: { epoch: 2, holder: 'B', peerMayTakeOver: true } } },
      { epoch: 'waiting: epochs 1 and 2' },
    ],
    [{ world: { store: behind } }, { storage: 'waiting: node B syncs, 75 %' }],
    [
      { world: { store: storeStatus('primary', { splitBrain: true }) } },
      { storage: 'failed: both copies were written alone' },
    ],
    [
      { world: { store: storeStatus('unknown'), serving: null } },
      {
        storage: 'unknown: the storage of node A does not answer',
        service: 'waiting: nobody serves',
        admitted: 'waiting: node A may not take over: node B does not count on it yet',
      },
    ],
    [
      { world: { store: storeStatus('primary', { peer: 'stale' }) } },
      { storage: 'waiting: the copy of node B is stale' },
    ],
    [{ record: { role: ROLE } }, { admitted: /^waiting: node B .*: node A does not count on it/ }],
    [{ peer: { admitted: false } }, { admitted: /^waiting: node B .*: it was not told yet$/ }],
    [
      {
        record: { role: ROLE },
        peer: { admitted: false },
        peerRecord: { standDown: { rollout: 'update-1', epoch: 1 } },
      },
      { admitted: /^waiting: node B .*: it has stood down for the update$/ },
    ],
  ];
  for (const [change, want] of rows) t.match(checklist(nodeState('A', change)), want);
});

t.test('channels with their ages, and how long it reforms', async (t) => {
  const error = { code: 'link.serial_failed', message: 'no device' } as const;
  const channels = [
    { name: 'network', up: true, ageMs: 210, error: null },
    { name: 'serial', up: false, ageMs: null, error },
  ];
  const sync = { ...syncing, etaS: 20 };
  const store = storeStatus('primary', { peer: 'syncing', sync });
  const change = { world: { store }, peer: { admitted: false } };
  const extras = { channels, reformingSinceMs: NOW_MS - 10_000 };
  const s = nodeState('A', change);
  const last = { report: s.world.peer!, atMs: NOW_MS };
  const status = pairStatus(s, last, NOW_MS, AT, extras);
  const text = 'node B answers; network up, heard 0.2 s ago; serial down, never heard, no device';
  t.match(status.reform[0], { name: 'link', state: 'ok', text, channels });
  t.match(status.reform[3], { name: 'storage', progress: sync });
  const since = '2026-01-01T00:00:50.000Z';
  t.strictSame(status.reforming, { since, elapsedS: 10, estimateS: 30 });
});

t.test('what a line is made from, for the console and for scripts', async (t) => {
  const extras = { ageMs: 210, address: '192.168.1.50:8080' };
  const [, versions, epoch, storage, service, admitted] = reformItems(nodeState('A'), extras);
  t.match(versions, { agreed: { protocol: 1, featureLevel: 1 }, ageMs: 210 });
  t.match(epoch, { epoch: { number: 1, holder: 'A' } });
  t.match(storage, { copies: { A: 'current', B: 'current' } });
  t.match(service, { text: 'node A serves on 192.168.1.50:8080', service: { node: 'A' } });
  t.match(admitted, { admission: { standby: 'B', counted: true, known: true } });
  const change = { world: { store: behind }, peer: { admitted: false } };
  const items = reformItems(nodeState('A', change), extras);
  t.match(items[3], { copies: { A: 'current', B: 'syncing' }, progress: syncing });
  t.match(items[5], { admission: { counted: true, known: false } });
  const split = storeStatus('secondary', { splitBrain: true });
  t.match(reformItems(nodeState('A', { peer: { store: split } }))[3], { state: 'failed' });
});

t.test('a channel that brought nothing for three seconds is unknown', async (t) => {
  const channel = { name: 'network', error: null };
  t.equal(channelWord({ ...channel, up: true, ageMs: 3000 }), 'up');
  t.equal(channelWord({ ...channel, up: true, ageMs: 3001 }), 'unknown');
  t.equal(channelWord({ ...channel, up: true, ageMs: null }), 'unknown');
  t.equal(channelWord({ ...channel, up: false, ageMs: 10 }), 'down');
});
