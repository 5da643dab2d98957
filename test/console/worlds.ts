/**
 * Pairs as the daemon tells them, for the tests of the console: well, in an update, in every kind
 * of trouble; and a console that was led somewhere by keys. Imports the console and core.
 */
import { KEY_NAMES, type Key, type KeyName } from '../../console/keys.ts';
import { picture, type Sheet } from '../../console/layout.ts';
import { step, type Input } from '../../console/model.ts';
import { textOf } from '../../console/picture.ts';
import { firstState, type Numbered, type State } from '../../console/state.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { scheduleView } from '../../src/core/schedule-read.ts';
import type { NodeStatus, PairStatus, SlotStatus } from '../../src/core/status.ts';
import { unknownNode } from '../../src/updater/status.ts';
import { nodeStatus, pairStatus, release, rolloutStatus } from '../memory/backend.ts';

export const SHEET: Sheet = { rows: 24, columns: 80, unicode: false };

const SLOTS: readonly SlotStatus[] = [
  { class: 'system', slot: 'A', release: release('1.0.0'), state: 'good', default: false },
  { class: 'system', slot: 'B', release: release('2.0.0'), state: 'booted', default: true },
  {
    class: 'storage',
    slot: 'A',
    release: release('1.0.0', 'storage'),
    state: 'good',
    default: false,
  },
  {
    class: 'storage',
    slot: 'B',
    release: release('2.0.0', 'storage'),
    state: 'running',
    default: true,
  },
];

const REFORM: PairStatus['reform'] = [
  { name: 'link', state: 'ok', text: 'network up' },
  { name: 'versions', state: 'ok', text: 'both nodes run 1.0.0' },
  { name: 'epoch', state: 'ok', text: 'epoch 7, node A holds it' },
  { name: 'storage', state: 'ok', text: 'both copies are current' },
  { name: 'service', state: 'ok', text: 'node A serves' },
  { name: 'admitted', state: 'ok', text: 'node B may take over' },
];

const LOGS = { A: [], B: [] };

/** A node that was updated and keeps its old version. */
export function updatedNode(id: 'A' | 'B', changes: Partial<NodeStatus> = {}): NodeStatus {
  return nodeStatus(id, { system: release('2.0.0'), slots: SLOTS, ...changes });
}

const well = pairStatus({ reform: REFORM });
const silent: PairStatus = {
  ...well,
  state: 'ALONE',
  ha: {
    ok: false,
    text: 'no high availability now: if node A fails, service stops until it restarts',
    remedy: 'bring node B back: check its power and the cable between the nodes',
  },
  nodes: { A: nodeStatus('A'), B: unknownNode('B', 14_200) },
  alarms: [{ code: 'pair.peer_unreachable', node: 'B', message: 'node B does not answer' }],
  reform: REFORM.map((one) => ({ ...one, state: 'unknown' as const, text: 'node B is silent' })),
};

/** A scheduled update that has not begun. */
const scheduled = scheduleView(
  {
    id: 's1a2b3c4d',
    rev: 1,
    by: 'A',
    state: 'waiting',
    source: { bundle: 'a'.repeat(64) },
    version: '2.4.0',
    options: {},
    every: null,
    zone: 'UTC',
    dueAt: '2026-11-21T16:48:00.000Z',
    held: false,
    run: 1,
    inform: { seconds: 0 },
    agreed: false,
    deferralsMax: 3,
    deferrals: 0,
    choicesMin: [60, 240],
    mayCancel: true,
    last: null,
    asked: { by: 'anna', at: '2026-11-21T11:00:00.000Z', reason: null },
  },
  null,
);
const people = { code: 'schedule.informing', message: 'it waits for an answer' } as const;
const until = '2026-11-21T16:48:00.000Z';
const free = { inhibited: null, clock: null } as const;
const waits = { stage: 'replicate', state: 'failed', ignored: false } as const;

/** Pairs in every state that a console has to tell apart. */
export const WORLDS = {
  well,
  silent,
  installing: pairStatus({
    state: 'UPDATING',
    ha: { ok: true, text: 'highly available' },
    nodes: {
      A: nodeStatus('A', {
        update: 'installing',
        activity: {
          name: 'installing',
          progress: { doneBytes: 60e6, totalBytes: 100e6, rateBps: 20e6, etaS: 2 },
        },
      }),
      B: nodeStatus('B'),
    },
    rollout: rolloutStatus({ phase: 'INSTALL1', driver: 'A', logs: LOGS }),
    reform: REFORM,
  }),
  trial: pairStatus({
    state: 'UPDATING',
    ha: {
      ok: false,
      text:
        'no high availability now: node A is being updated; ' +
        'if node B fails, service stops until it restarts',
    },
    nodes: {
      A: unknownNode('A', 6_000),
      B: nodeStatus('B', { role: 'active', serving: true }),
    },
    self: 'B',
    rollout: rolloutStatus({ phase: 'TRIAL1', logs: LOGS }),
    reform: REFORM,
  }),
  updated: pairStatus({
    nodes: { A: updatedNode('A'), B: updatedNode('B') },
    rollout: rolloutStatus({ phase: 'DONE', ended: true, canCancel: false, logs: LOGS }),
    reform: REFORM,
  }),
  failed: pairStatus({
    rollout: rolloutStatus({
      phase: 'FAILED',
      ended: true,
      canCancel: false,
      result: { code: 'health.check', message: 'node A: the storage software did not answer' },
      logs: LOGS,
    }),
    reform: REFORM,
  }),
  syncing: pairStatus({
    state: 'SYNCING',
    ha: { ok: false, text: 'no high availability now: node B is being brought in sync' },
    nodes: {
      A: nodeStatus('A'),
      B: nodeStatus('B', {
        admitted: false,
        standDown: true,
        standDownFor: 'update',
        store: {
          role: 'secondary',
          copy: 'stale',
          connected: true,
          sync: { doneBytes: 3e9, totalBytes: 8e9, rateBps: 110e6, etaS: 45 },
        },
      }),
    },
    reform: REFORM.map((one) =>
      one.name === 'storage'
        ? {
            ...one,
            state: 'waiting' as const,
            text: 'node B is being brought in sync',
            progress: { doneBytes: 3e9, totalBytes: 8e9, rateBps: 110e6, etaS: 45 },
          }
        : one,
    ),
    reforming: { since: '2026-11-21T11:35:00.000Z', elapsedS: 48, estimateS: 100 },
  }),
  frozen: {
    ...silent,
    state: 'FROZEN',
    ha: {
      ok: false,
      text: 'node A acknowledges no write: node B is lost and might have taken over',
      remedy: 'if node B is off for sure: `tandem takeover` on node A',
    },
  } satisfies PairStatus,
  scheduled: {
    ...well,
    automation: { schedules: [scheduled], window: { open: false, until }, ...free },
    prepared: {
      id: 'prepare-1',
      version: '2.4.0',
      state: 'prepared',
      text: 'Update 2.4.0 is prepared (nobody has authorised the install of 2.4.0)',
      nodes: {
        A: { stage: null, state: 'done', ignored: false, text: 'ready' },
        B: { stage: null, state: 'done', ignored: false, text: 'ready' },
      },
    },
  } satisfies PairStatus,
  asking: {
    ...well,
    automation: {
      schedules: [
        {
          ...scheduled,
          state: 'informing',
          hold: people,
          text: 'Update 2.4.0 is about to begin (it waits for an answer)',
        },
        {
          ...scheduled,
          id: 's2',
          version: '2.5.0',
          every: 'Sun 02:00',
          dueAt: '2026-11-29T02:00Z',
        },
      ],
      window: { open: true, until },
      ...free,
    },
    prepared: {
      id: 'prepare-1',
      version: '2.5.0',
      state: 'stuck',
      text: 'Update 2.5.0 cannot be prepared (node A: ready; node B: no room)',
      nodes: {
        A: { stage: null, state: 'done', ignored: false, text: 'ready' },
        B: { ...waits, text: 'replicate failed 5 times, 319 MiB are missing on node B' },
      },
    },
  } satisfies PairStatus,
  safeMode: pairStatus({
    state: 'SAFE_MODE',
    pair: null,
    ha: { ok: false, text: 'safe mode: this node changes nothing and does not serve' },
    nodes: {
      A: { ...unknownNode('A', 0), known: true, update: 'safe mode' },
      B: unknownNode('B', null),
    },
    reform: [],
    alarms: [
      {
        code: 'journal.corrupt',
        node: 'A',
        message:
          'record 12 does not match its checksum. Look at `tandem journal show`, ' +
          'then run `tandem journal repair`.',
      },
    ],
  }),
} satisfies Readonly<Record<string, PairStatus>>;

/** The name of one of them. */
export type WorldName = keyof typeof WORLDS;

/** The daemon was not heard for so long. */
export function daemonGone(silentMs: number): Input {
  const error = new UpdateError('daemon.unreachable', 'nothing answers on control.sock');
  return { silentMs, error };
}

/** A key by its name, or a character. */
export function keyOf(word: string): Key {
  return KEY_NAMES.includes(word as KeyName) ? { name: word as KeyName } : { char: word };
}

/** A console that is led by inputs, and keeps what it asked for. */
export class Led {
  state: State;
  readonly asks: Numbered[] = [];

  constructor(world: PairStatus | null, readonly = false) {
    this.state = firstState(readonly);
    if (world !== null) this.take({ status: world });
  }

  take(input: Input): this {
    const { state, asks } = step(this.state, input);
    this.state = state;
    this.asks.push(...asks);
    return this;
  }

  /** Presses keys by their names; a longer word is typed. */
  press(...words: readonly string[]): this {
    for (const word of words) {
      const keys = KEY_NAMES.includes(word as KeyName) ? [keyOf(word)] : word.split('').map(keyOf);
      for (const key of keys) this.take({ key, pageRows: 19 });
    }
    return this;
  }

  /** The screen as text. */
  text(sheet: Sheet = SHEET): string {
    return picture(this.state, sheet)
      .lines.map((line) => textOf(line).trimEnd())
      .join('\n');
  }
}
