/**
 * Disks of machines and their snapshots: overlays on a base that is never written, copies that keep
 * holes and snapshots, and the state of a running machine inside its qcow2 disk. Always holds: a
 * base of overlays stays as it is, and a snapshot that was not finished is an error. Imports core,
 * the machine and scripts/image.
 */
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UpdateError } from '../../src/core/errors.ts';
import { runTool } from '../image/tools.ts';
import { DISK_NODE, type DiskSpec } from './command-line.ts';
import type { Machine } from './machine.ts';

/** How long saving or loading the memory of a machine may take. */
const SNAPSHOT_TIMEOUT_MS = 120_000;
const LOOK_AGAIN_MS = 20;

/**
 * Makes a qcow2 overlay at `path`: reads of what was never written there go to `base`. Throws
 * `tool.missing`, `tool.failed`.
 */
export async function makeOverlay(
  base: Pick<DiskSpec, 'path' | 'format'>,
  path: string,
): Promise<DiskSpec> {
  await rm(path, { force: true });
  // A base that is relative would be looked for beside the overlay.
  const backing = ['-b', resolve(base.path), '-F', base.format];
  await runTool('qemu-img', ['create', '-q', '-f', 'qcow2', ...backing, path]);
  return { path, format: 'qcow2' };
}

/** Copies a disk with its holes and its snapshots; the machine must be off. */
export async function copyDisk(source: string, target: string): Promise<void> {
  await runTool('cp', ['--sparse=always', '--reflink=auto', source, target]);
}

/** Makes a raw disk of what a disk and its bases hold now; the machine must be off. */
export async function makeRaw(source: DiskSpec, target: string): Promise<DiskSpec> {
  const formats = ['-f', source.format, '-O', 'raw'];
  await runTool('qemu-img', ['convert', ...formats, source.path, target]);
  return { path: target, format: 'raw' };
}

/**
 * Saves memory, devices and disk of a machine inside its qcow2 disk under `tag`; an older snapshot
 * of that name is replaced. The machine stands still meanwhile (below a second for a small guest)
 * and goes on if it ran. A machine whose first boot names it in `loadSnapshot` goes on from there.
 */
export async function saveSnapshot(machine: Machine, tag: string): Promise<void> {
  await snapshotJob(machine, 'snapshot-delete', tag, { devices: [DISK_NODE] });
  await snapshotJob(machine, 'snapshot-save', tag, { vmstate: DISK_NODE, devices: [DISK_NODE] });
}

/** Takes a running machine back to a snapshot of its disk; it goes on if it ran. */
export async function loadSnapshot(machine: Machine, tag: string): Promise<void> {
  await snapshotJob(machine, 'snapshot-load', tag, { vmstate: DISK_NODE, devices: [DISK_NODE] });
  await machine.reconnect();
}

interface Job {
  readonly id: string;
  readonly status: string;
  readonly error?: string;
}

async function snapshotJob(
  machine: Machine,
  command: 'snapshot-save' | 'snapshot-load' | 'snapshot-delete',
  tag: string,
  args: Readonly<Record<string, unknown>>,
): Promise<void> {
  const id = `${command}-${tag}`;
  await machine.qmp(command, { 'job-id': id, tag, ...args });
  const endMs = performance.now() + SNAPSHOT_TIMEOUT_MS;
  for (;;) {
    const jobs = (await machine.qmp('query-jobs')) as readonly Job[];
    const job = jobs.find((one) => one.id === id);
    if (job?.status === 'concluded') {
      await machine.qmp('job-dismiss', { id });
      if (job.error === undefined) return;
      const message = `QEMU refused ${command} ${tag} of ${machine.spec.name}: ${job.error}`;
      throw new UpdateError('tool.failed', message);
    }
    if (job === undefined || performance.now() > endMs) {
      const message = `${command} ${tag} of machine ${machine.spec.name} did not end`;
      throw new UpdateError('tool.failed', message);
    }
    await sleep(LOOK_AGAIN_MS);
  }
}
