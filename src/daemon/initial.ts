/**
 * The state in which a node is found when its daemon starts: the records of the journal, or those
 * of a node that was never used, and the world as it is observed now. Imports core, ports, the
 * updater.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { UpdateError } from '../core/errors.ts';
import { parseRelease, RELEASE_BYTES_MAX, RELEASE_FILE, type Release } from '../core/model.ts';
import { schemaAt } from '../core/levels.ts';
import { FEATURE_LEVEL, type NodeRecord } from '../core/records.ts';
import type { NodeState } from '../core/state.ts';
import { STORE_UNKNOWN } from '../core/store.ts';
import { readFileLimited } from '../drivers/fs-atomic.ts';
import type { BootChooser, BootInfo, BootState, Depot, Host, JournalContent } from '../ports.ts';
import type { Slots } from '../ports.ts';
import { readSeals } from '../updater/execute.ts';

/** What a daemon finds at its start. */
export interface Found {
  readonly config: Config;
  readonly pair: string;
  readonly program: string;
  readonly content: JournalContent;
  readonly host: Host;
  readonly boot: BootChooser;
  readonly slots: Slots;
  readonly depot: Depot;
}

/** Records as they were left, world as it is. Throws when the journal is another node's. */
export async function initialState(found: Found): Promise<NodeState> {
  const { config, content, host, depot } = found;
  const { state } = await found.boot.read();
  const boot = host.boot();
  const record = content.node ?? firstRecord(config, found.pair, boot, state);
  if (record.node !== config.node || record.pair !== found.pair) {
    const message = `the journal is that of node ${record.node} of pair ${record.pair}`;
    throw new UpdateError('config.invalid', message);
  }
  const entries = await depot.list();
  const ms = host.monotonicMs();
  return {
    record,
    rollout: content.rollout,
    world: {
      clock: { ms, at: new Date(host.nowMs()).toISOString() },
      run: randomBytes(8).toString('hex'),
      program: found.program,
      boot,
      bootState: state,
      system: await readRelease(config.rootDir),
      seals: await readSeals(found.slots),
      depot: entries.map((entry) => entry.bundle),
      freeBytes: null,
      storage: null,
      store: STORE_UNKNOWN,
      serving: null,
      draining: false,
      linkUp: false,
      peer: null,
      linkLostMs: null,
      takeover: 'manual',
      peerTakeover: 'manual',
      peerKnows: 'manual',
      formatRaisedFor: null,
      headStartMs: config.fence.headStartS * 1000,
      switching: false,
      peerHeardMs: ms,
      admitted: false,
      activity: null,
      troubles: {},
      bulkPort: null,
      staging: null,
      phaseSinceMs: ms,
      driverHeardMs: ms,
    },
  };
}

/**
 * The version of the system is what its own release file says; one that does not say is unknown.
 */
async function readRelease(rootDir: string): Promise<Release | null> {
  try {
    const bytes = await readFileLimited(join(rootDir, RELEASE_FILE), RELEASE_BYTES_MAX);
    return parseRelease(bytes.toString('utf8'));
  } catch {
    // Unknown is a value: the health check of a trial refuses it, and no update begins from it.
    return null;
  }
}

/** A node that was never used: node A of a new pair serves first. */
function firstRecord(config: Config, pair: string, boot: BootInfo, state: BootState): NodeRecord {
  return {
    schema: schemaAt(FEATURE_LEVEL),
    node: config.node,
    pair,
    bootId: boot.bootId,
    role: { epoch: 1, holder: 'A', peerMayTakeOver: true },
    standDown: null,
    knownStale: false,
    generation: { current: '', base: null, history: [] },
    slots: {
      booted: boot.slot,
      default: state.default,
      trial: null,
      outcome: 'none',
      reason: null,
    },
    storage: { current: 'A', previous: null, trial: null, outcome: 'none', reason: null },
    update: { state: 'idle' },
    lastTrialId: state.trialId,
    canRollBack: false,
    featureLevel: FEATURE_LEVEL,
    releaseFloor: 0,
  };
}
