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
import { firstNodeRecord, startWorld } from '../core/start.ts';
import type { NodeState } from '../core/state.ts';
import { readFileLimited } from '../drivers/fs-atomic.ts';
import type { BootChooser, Depot, Host, JournalContent } from '../ports.ts';
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
  const { bootId, slot: booted } = boot;
  const first = { node: config.node, pair: found.pair, bootId, booted, state };
  const record = content.node ?? firstNodeRecord(first);
  if (record.node !== config.node || record.pair !== found.pair) {
    const message = `the journal is that of node ${record.node} of pair ${record.pair}`;
    throw new UpdateError('config.invalid', message);
  }
  const entries = await depot.list();
  return {
    record,
    rollout: content.rollout,
    world: startWorld({
      clock: { ms: host.monotonicMs(), at: new Date(host.nowMs()).toISOString() },
      run: randomBytes(8).toString('hex'),
      program: found.program,
      boot,
      bootState: state,
      system: await readRelease(config.rootDir),
      seals: await readSeals(found.slots),
      depot: entries.map((entry) => entry.bundle),
      headStartMs: config.fence.headStartS * 1000,
    }),
  };
}

/**
 * The version of the system is what its own release file says; one that does not say is unknown.
 */
export async function readRelease(rootDir: string): Promise<Release | null> {
  try {
    const bytes = await readFileLimited(join(rootDir, RELEASE_FILE), RELEASE_BYTES_MAX);
    return parseRelease(bytes.toString('utf8'));
  } catch {
    // Unknown is a value: the health check of a trial refuses it, and no update begins from it.
    return null;
  }
}
