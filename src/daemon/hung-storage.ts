/**
 * What a node does when its storage software gives no sign of life: it says so to people, and when
 * not even SIGKILL ends the software, a node that holds the role cuts its own power, so that its
 * peer may take over. Ending the software and starting it again is the driver's and the machine's
 * part: its end is an event like any other. Imports core, ports, drivers' types and the updater.
 */
import type { Reason } from '../core/records.ts';
import { me } from '../core/state.ts';
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
  const { role } = runner.state.record;
  // A standby costs no service; its peer goes on without its copy.
  if (hang.state === 'stuck' && role.holder === me(runner.state)) {
    host.hardReset('the storage software hangs and cannot be ended');
  }
}

function wordsOf({ state, quietMs }: Hang): string {
  const seconds = `${String(quietMs / 1000)} s`;
  switch (state) {
    case 'quiet':
      return `the storage software has given no sign of life for ${seconds}`;
    case 'ending':
      return `the storage software gave no sign of life for ${seconds}: it is ended, then started`;
    case 'stuck':
      return 'the storage software hangs in the system and cannot be ended: look at the disk';
    case 'well':
      return 'the storage software gives signs of life again';
  }
}
