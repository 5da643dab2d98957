/**
 * Brings DRBD up for this node, whatever an earlier process left in the kernel. Always holds: when
 * it ends this copy is a secondary; nothing that is on the partition is overwritten; a frozen
 * primary that was left over is given up without acknowledging what waits in it. Imports core, the
 * kernel's parts and the state.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import type { StateFile } from '../storage/state.ts';
import type { DrbdState } from './events.ts';
import type { KernelPort } from './kernel.ts';
import type { Volume } from './volume.ts';

/** What is brought up. */
export interface StartOptions {
  readonly kernel: KernelPort;
  readonly volume: Pick<Volume, 'unmount'>;
  readonly state: StateFile;
  /** What the kernel has of the resource now. */
  readonly found: DrbdState;
}

/** Throws `config.invalid` where the node's copy lies in a directory: DRBD would hide it. */
export async function checkNoDirectoryStore(dataDir: string): Promise<void> {
  const names = await readdir(join(dataDir, 'log')).catch(() => []);
  if (names.length === 0) return;
  const message = `${dataDir} holds a copy that is kept in a directory; DRBD does not take it over`;
  throw new UpdateError('config.invalid', message);
}

/** This copy is attached, begins to connect, and is a secondary. */
export async function bringUp(options: StartOptions): Promise<void> {
  const { kernel, volume, state, found } = options;
  if (found.role === 'Unknown') {
    await needMetaData(kernel, state);
    await kernel.up();
    return;
  }
  if (found.frozen && found.role === 'Primary') {
    await kernel.giveUpFrozen();
    await volume.unmount();
    await kernel.secondary();
    await kernel.down();
    await kernel.up();
    return;
  }
  await volume.unmount();
  if (found.role === 'Primary') await kernel.secondary();
  await kernel.adjust();
}

/** Makes meta-data at the first start of a new appliance, and never again. */
async function needMetaData(kernel: KernelPort, state: StateFile): Promise<void> {
  const made = await kernel.hasMetaData();
  if (!made) {
    if (state.now.metaData === 'made') {
      throw new UpdateError('store.corrupt', 'the meta-data of DRBD are missing or damaged');
    }
    // Meta-data that were begun lie at the end of the partition and may be half there.
    if (state.now.metaData !== 'begun' && !(await kernel.isBlank())) {
      const message = 'the partition tandem-store is not empty, and holds no meta-data of DRBD';
      throw new UpdateError('store.corrupt', message);
    }
    await state.change({ metaData: 'begun' });
    await kernel.makeMetaData();
  }
  await state.change({ metaData: 'made' });
}
