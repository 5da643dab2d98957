/**
 * The start of the storage software on DRBD: meta-data are made once and never over anything, and
 * what an earlier process left in the kernel is let go. Imports tap and images/storage-drbd.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NOTHING, type DrbdState } from '../../images/storage-drbd/events.ts';
import type { KernelPort } from '../../images/storage-drbd/kernel.ts';
import { bringUp, checkNoDirectoryStore } from '../../images/storage-drbd/start.ts';
import { newGeneration } from '../../images/storage/generation.ts';
import { StateFile } from '../../images/storage/state.ts';

/** What the partition carries. */
interface Disk {
  readonly metaData?: boolean;
  readonly blank?: boolean;
  /** Making meta-data is cut short. */
  readonly cut?: boolean;
}

/** A kernel that only notes what it is told. */
function noting(calls: string[], disk: Disk): KernelPort {
  const note = (name: string) => async (): Promise<void> => {
    calls.push(name);
    if (name === 'makeMetaData' && disk.cut === true) throw new Error('power cut');
  };
  return {
    load: note('load'),
    configure: note('configure'),
    hasMetaData: async () => disk.metaData === true,
    isBlank: async () => disk.blank === true,
    makeMetaData: note('makeMetaData'),
    up: note('up'),
    adjust: note('adjust'),
    down: note('down'),
    connect: note('connect'),
    disconnect: note('disconnect'),
    primary: note('primary'),
    secondary: note('secondary'),
    giveUpFrozen: note('giveUpFrozen'),
    agree: note('agree'),
    verify: note('verify'),
    invalidateRemote: note('invalidateRemote'),
    generation: async () => newGeneration(),
    progress: async () => null,
    outOfSyncBytes: async () => 0,
    messages: async () => [],
  };
}

/** Starts once; returns what was done. */
async function start(dir: string, disk: Disk, found: Partial<DrbdState> = {}): Promise<string[]> {
  const calls: string[] = [];
  const owner = { node: 'A', pair: '0'.repeat(32) } as const;
  await using state = await StateFile.open(dir, owner, async () => true);
  const kernel = noting(calls, disk);
  const unmount = async (): Promise<void> => void calls.push('unmount');
  await bringUp({ kernel, volume: { unmount }, state, found: { ...NOTHING, ...found } });
  return calls;
}

const folder = (t: Test): string => t.testdir();

t.test('a new partition gets meta-data, once', async (t) => {
  const dir = folder(t);
  t.same(await start(dir, { blank: true }), ['makeMetaData', 'up']);
  t.same(await start(dir, { metaData: true }), ['up']);
});

t.test('meta-data that are gone are not made anew, not even on an empty partition', async (t) => {
  const dir = folder(t);
  await start(dir, { metaData: true });
  await t.rejects(start(dir, { blank: true }), { code: 'store.corrupt', message: /missing/ });
  await t.rejects(start(dir, {}), { code: 'store.corrupt' });
});

t.test('a partition that holds something is left alone', async (t) => {
  await t.rejects(start(folder(t), {}), { code: 'store.corrupt', message: /not empty/ });
});

t.test('meta-data that a power cut left half made are made', async (t) => {
  const dir = folder(t);
  await t.rejects(start(dir, { blank: true, cut: true }), { message: 'power cut' });
  t.same(await start(dir, { blank: false }), ['makeMetaData', 'up']);
});

t.test('what was left in the kernel becomes a secondary', async (t) => {
  const dir = folder(t);
  const all = { metaData: true };
  t.same(await start(dir, all, { role: 'Secondary' }), ['unmount', 'adjust']);
  t.same(await start(dir, all, { role: 'Primary' }), ['unmount', 'secondary', 'adjust']);
  t.same(await start(dir, all, { role: 'Primary', frozen: true }), [
    'giveUpFrozen',
    'unmount',
    'secondary',
    'down',
    'up',
  ]);
});

t.test('a node whose copy lies in a directory is refused', async (t) => {
  const dir = folder(t);
  await checkNoDirectoryStore(dir);
  await mkdir(join(dir, 'log'));
  await checkNoDirectoryStore(dir);
  await writeFile(join(dir, 'log/00000001.seg'), '');
  await t.rejects(checkNoDirectoryStore(dir), { code: 'config.invalid' });
});
