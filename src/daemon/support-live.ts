/**
 * What the daemon knows by itself and puts into a support archive, from memory. Always holds:
 * nothing here asks a disk; a source that hangs or fails is left out by whoever reads it. Imports
 * core and shapes of its own folder.
 */
import type { ControlBackend } from '../control/backend.ts';
import { UpdateError } from '../core/errors.ts';
import { reportOf } from '../updater/report.ts';
import type { Runner } from '../updater/runner.ts';
import { rolloutSvg } from './picture.ts';
import type { LiveSource } from './support.ts';

/** Entries of history and audit log that are asked for. */
const ENTRIES_MAX = 1000;

/** What is asked of the daemon for an archive, in the order of the archive. */
export function liveSources(backend: ControlBackend, runner: Runner): readonly LiveSource[] {
  return [
    { path: 'status/status.json', read: () => backend.status() },
    { path: 'status/reform.json', read: () => reformOf(backend) },
    { path: 'status/jobs.json', read: () => backend.jobs() },
    { path: 'status/power.json', read: () => backend.power() },
    { path: 'status/storage.json', read: () => backend.storage() },
    { path: 'status/node-record.json', read: () => runner.state.record },
    { path: 'status/rollout-record.json', read: () => runner.state.rollout },
    { path: 'status/world.json', read: () => runner.state.world },
    { path: 'status/own-report.json', read: () => reportOf(runner.state, 0) },
    { path: 'status/peer-report.json', read: () => runner.state.world.peer },
    { path: 'status/history.json', read: () => backend.history(ENTRIES_MAX) },
    { path: 'status/audit.json', read: () => backend.audit(ENTRIES_MAX) },
    { path: 'status/events.json', read: () => backend.eventsSince(0) },
    { path: 'status/schedules.json', read: () => backend.automation() },
    { path: 'status/prepare.json', read: () => backend.prepared() },
    { path: 'status/bundles.json', read: () => backend.bundles() },
    { path: 'status/rollout.svg', read: () => pictureOf(backend) },
  ];
}

/** The time line of the newest update. */
async function pictureOf(backend: ControlBackend): Promise<string> {
  const [newest] = await backend.history(1);
  if (newest === undefined) throw new UpdateError('job.unknown', 'there was no update yet');
  return rolloutSvg(newest, backend.eventsSince(0), Date.parse(backend.status().at));
}

function reformOf(backend: ControlBackend): unknown {
  const { ha, reform, alarms, state, at } = backend.status();
  return { at, state, ha, reform, alarms };
}
