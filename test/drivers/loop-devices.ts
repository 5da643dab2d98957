/**
 * Real block devices for a test: loop devices over files, made and detached by it. Imports node and
 * the drivers under test.
 */
import { execFile } from 'node:child_process';
import { readdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { SEAL_BLOCK_BYTES } from '../../src/drivers/seal-block.ts';
import type { SlotDevices } from '../../src/drivers/slots-block.ts';
import { SLOT_SIZES } from '../contracts/slots.ts';

const run = promisify(execFile);

/** Why there is no loop device here; null when there is one. */
export async function loopReason(): Promise<string | null> {
  if (process.geteuid?.() !== 0) return 'loop devices need root';
  if (!(await readdir('/dev')).includes('loop-control')) return 'there is no /dev/loop-control';
  return run('losetup', ['--find']).then(
    () => null,
    (error: Error) => `no free loop device: ${error.message}`,
  );
}

/** Four devices of the sizes of the contract, each with its seal; detached at the end of `t`. */
export async function makeLoopSlots(t: Test, dir: string): Promise<SlotDevices> {
  const make = async (name: string, sizeBytes: number) => {
    const file = join(dir, name);
    await writeFile(file, '');
    await truncate(file, sizeBytes + SEAL_BLOCK_BYTES);
    const { stdout } = await run('losetup', ['--find', '--show', file]);
    const path = stdout.trim();
    t.teardown(async () => void (await run('losetup', ['--detach', path])));
    // They are whole disks, which have no label.
    return { path, label: null };
  };
  const { system, storage } = SLOT_SIZES;
  return {
    system: { A: await make('a', system), B: await make('b', system) },
    storage: { A: await make('c', storage), B: await make('d', storage) },
  };
}
