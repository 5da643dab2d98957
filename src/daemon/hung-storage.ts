/**
 * What a node does when its storage software gives no sign of life: it says so to people, and where
 * starting it again does not help, a node that holds the role cuts its own power, so that its peer
 * takes over: when not even SIGKILL ends the software, and when it hangs again while the peer would
 * take over by itself. Ending the software and starting it again is the driver's and the machine's
 * part: its end is an event like any other. Imports core, ports, drivers' types and the updater.
 */
import type { Reason } from '../core/records.ts';
import { me, type NodeState } from '../core/state.ts';
import type { Hang } from '../drivers/storage-process.ts';
import type { Host } from '../ports.ts';
import type { EventLog } from '../updater/events.ts';
import type { Runner } from '../updater/runner.ts';

/** What this part of the daemon reaches. */
export interface HungStorageParts {
  readonly storage: { onHang(listener: (hang: Hang) => void): void };
  readonly runner: Pick<Runner, 'state' | 'dispatch'>;
  readonly host: Pick<Host, 'hardReset'>;
  readonly events: Pick<EventLog, 'emit'>;
  readonly log: (line: string) => void;
}

/** Listens from now on. */
export function watchHungStorage(parts: HungStorageParts): void {
  parts.storage.onHang((hang) => onHang(hang, parts));
}

function onHang(hang: Hang, { runner, host, events, log }: HungStorageParts): void {
  const msg = wordsOf(hang);
  const well = hang.state === 'well';
  const reason: Reason | null = well ? null : { code: 'store.hung', message: msg };
  log(msg);
  events.emit({ job: null, phase: null, state: 'storage', msg, code: well ? null : 'store.hung' });
  void runner.dispatch({ type: 'trouble', effect: 'storage', reason });
  const why = resetFor(hang, runner.state);
  if (why !== null) host.hardReset(why);
}

/** A standby that hangs costs no service: its peer goes on without its copy. */
function resetFor({ state, count }: Hang, s: NodeState): string | null {
  const { record, world } = s;
  if (record.role.holder !== me(s)) return null;
  if (state === 'stuck') return 'the storage software hangs and cannot be ended';
  const able = record.role.peerMayTakeOver && world.peerTakeover === 'fence';
  return state === 'ending' && count > 1 && able ? 'the storage software hangs again' : null;
}

function wordsOf({ state, quietMs }: Hang): string {
  const seconds = `${String(quietMs / 1000)} s`;
  switch (state) {
    case 'quiet':
      return `the storage software has given no sign of life for ${seconds}`;
    case 'ending':
      return `the storage software gave no sign of life for ${seconds}: it is ended and restarted`;
    case 'stuck':
      return 'the storage software hangs in the system and cannot be ended: look at the disk';
    case 'well':
      return 'the storage software gives signs of life again';
  }
}
