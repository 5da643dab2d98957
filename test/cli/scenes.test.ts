/**
 * What a technician reads at three in the morning on 80 columns: each state in which something is
 * not well, from the state of a node to the lines on the terminal. May import tap, core, the
 * updater's status and the views.
 */
import t from 'tap';
import { renderCluster, renderStatus } from '../../src/cli/render-status.ts';
import { pairStatus, type StatusExtras } from '../../src/updater/status.ts';
import { nodeState, release, rolloutRecord, storeStatus } from '../core/states.ts';
import type { StateChange } from '../core/states.ts';

const AT = '2026-01-01T00:01:00.000Z';
const NOW_MS = 60_000;
const VT220 = { columns: 80, unicode: false };
const CHANNELS = [
  { name: 'network', up: true, ageMs: 210, error: null },
  { name: 'serial', up: false, ageMs: null, error: null },
];
const ALONE = { epoch: 1, holder: 'A', peerMayTakeOver: false } as const;

interface Scene {
  readonly node?: 'A' | 'B';
  readonly change: StateChange;
  readonly ageMs?: number;
  readonly extras?: StatusExtras;
  /** Parts of both views together, in this order, line breaks as blanks. */
  readonly reads: readonly string[];
}

const SCENES: Readonly<Record<string, Scene>> = {
  'FROZEN, by a fence that failed': {
    change: {
      peer: null,
      world: { store: storeStatus('primary', { frozen: true, connected: false, peer: 'unknown' }) },
    },
    ageMs: 9000,
    reads: [
      'FROZEN: NO high availability',
      'node A acknowledges no write: node B is lost and might have taken over',
      'To do: bring node B back; or switch it off and run `tandem takeover` on node A',
      'Node B (last heard 9 s ago)',
      'ALARM node A acknowledges no write',
      'ALARM node B does not answer: last heard 9 s ago (pair.peer_unreachable)',
      'tandem explain pair.frozen',
      '[ ] storage unknown: node B last heard 9 s ago',
      '[x] service node A serves',
    ],
  },
  'W: the node that serves is alone while the other one is updated': {
    change: {
      peer: null,
      record: { role: ALONE },
      rollout: rolloutRecord({ phase: 'TRIAL1', first: 'B', estimateS: 240 }),
    },
    ageMs: 14_000,
    reads: [
      'UPDATING: NO high availability',
      'no high availability now: node B is being updated; if node A fails, service stops until it',
      'Update to 2.0.0 in progress (node B is on trial',
      'Update in phase TRIAL1: 1:00 elapsed; estimated in all: 4:00',
    ],
  },
  'policy manual, the active lost': {
    node: 'B',
    change: { peer: null },
    ageMs: 14_000,
    reads: [
      'ALONE: NO high availability',
      'not known: this node does not serve, node A does not answer; policy manual: this node never',
      'To do: bring node A back; or, if it is off for sure, run `tandem takeover` on node B',
      'role UNKNOWN standby',
      '[ ] service unknown: node A last heard 14 s ago',
    ],
  },
  'held in two versions': {
    change: {
      peer: { system: release('system', 2) },
      rollout: rolloutRecord({ phase: 'HOLD_MIXED' }),
    },
    extras: { holdH: 168 },
    reads: [
      'HEALTHY_MIXED: high availability is up',
      'ALARM node A runs 1.0.0, node B 2.0.0, decide before 2026-01-08 00:00 UTC:',
      '`tandem update FILE` or `tandem rollback`',
      'ready, in two versions',
    ],
  },
  'split brain': {
    change: { world: { serving: null, store: storeStatus('secondary', { splitBrain: true }) } },
    reads: [
      'no service: both copies of the storage were written alone',
      'To do: see `tandem storage status`, then `tandem storage resolve --keep A` (or B)',
      'tandem explain store.split_brain',
      '[!] storage failed: both copies were written alone',
    ],
  },
  'a sync, with everything that is known of it': {
    change: {
      record: { role: ALONE },
      peer: { admitted: false },
      world: {
        store: storeStatus('primary', {
          peer: 'syncing',
          sync: { doneBytes: 30e6, totalBytes: 40e6, rateBps: 5e6, etaS: 2 },
        }),
      },
    },
    extras: { reformingSinceMs: NOW_MS - 9000, address: '192.168.1.50:8080' },
    reads: [
      'SYNCING: NO high availability',
      'no high availability now: node B syncs its storage; if node A fails, service stops',
      '[x] link node B answers network up, heard 0.2 s ago serial down, never heard',
      '[x] versions both run 1.0.0, storage 1.0.0; protocol 1, level 1',
      '[x] epoch epoch 1, held by A',
      '[>] storage waiting: node B syncs, 75 %, 28.6 MiB of 38.1 MiB, 4.8 MiB/s, ETA 0:02',
      '[x] service node A serves on 192.168.1.50:8080',
      '[>] admitted waiting: node B may not take over: node A does not count on it yet',
      'Not highly available for 0:09; estimated in all: 0:11',
      'waiting for: storage, admitted',
    ],
  },
};

for (const [name, { node = 'A', change, ageMs = 0, extras = {}, reads }] of Object.entries(
  SCENES,
)) {
  t.test(name, async (t) => {
    const s = nodeState(node, change);
    const report = s.world.peer ?? nodeState(node).world.peer!;
    const last = { report, atMs: NOW_MS - ageMs };
    const status = pairStatus(s, last, NOW_MS, AT, { channels: CHANNELS, ...extras });
    const screens = [renderStatus(status, VT220), renderCluster(status, VT220)];
    for (const lines of screens) {
      t.ok(lines.length <= 24, `${lines.length} lines`);
      for (const line of lines) t.match(line, /^[\x20-\x7e]{0,80}$/);
      const broken = lines.filter((line) => line.split('`').length % 2 === 0);
      t.strictSame(broken, [], 'no command is broken');
    }
    const text = screens.flat().join(' ').replaceAll(/\s+/g, ' ');
    let from = 0;
    for (const part of reads) {
      const at = text.indexOf(part, from);
      t.ok(at >= 0, `${part} in ${text.slice(from)}`);
      from = Math.max(from, at);
    }
  });
}
