/**
 * What a node knows when its daemon starts: its records, its boot, and nothing of its peer; and the
 * names of boots and runs. Only tests import it.
 */
import type { BootInfo } from '../../src/core/boot.ts';
import type { NodeId } from '../../src/core/model.ts';
import { startWorld } from '../../src/core/start.ts';
import type { World } from '../../src/core/state.ts';
import { NOW } from './reduce.ts';
import type { Parts } from './site.ts';

/** What time does: everything short is over, or the dead-man time is over too. */
export const LONG_MS = 30_000;
export const DEADMAN_MS = 1e12;

/** Names of this boot and of this run of the daemon, and what they become when they are over. */
export const bootName = (node: NodeId): string => `${node} this boot`;
export const runName = (node: NodeId): string => `${node} this run`;
export const oldBoot = (node: NodeId): string => `${node} earlier boot`;
export const oldRun = (node: NodeId): string => `${node} earlier run`;

/** The world at the start of a daemon in this boot (src/daemon/initial.ts). */
export function worldAt(site: Parts, boot: BootInfo, takeover: World['takeover']): World {
  const observed = startWorld({
    clock: NOW,
    run: runName(site.node),
    program: '',
    boot,
    bootState: site.boot,
    system: site.seals.system[boot.slot]?.release ?? null,
    seals: site.seals,
    depot: site.depot,
    headStartMs: LONG_MS / 2,
  });
  return { ...observed, takeover, bulkPort: 1 };
}
