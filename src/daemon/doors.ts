/**
 * The two doors of a daemon: the control socket for root and the group, and the console socket, on
 * which everyone may knock and has to log in. Always holds: both are served by the same backend and
 * judged by the same desk; in safe mode too, since a person has to get in most of all then. Imports
 * core, control and the desk.
 */
import type { Config } from '../config.ts';
import type { ControlBackend } from '../control/backend.ts';
import { startControl } from '../control/server.ts';
import type { Settings } from '../core/settings.ts';
import type { Host } from '../ports.ts';
import type { EventLog, LineLog } from '../updater/events.ts';
import { AccessDesk } from './access.ts';
import { AuditLog } from './audit.ts';
import { openKeyBook } from './key-book.ts';

/** What the doors need of their daemon. */
export interface DoorParts {
  readonly config: Pick<Config, 'node' | 'stateDir' | 'control' | 'console'>;
  readonly host: Pick<Host, 'monotonicMs' | 'nowMs'>;
  readonly audit: LineLog;
  /** How long a console may be idle is one of them. */
  readonly settings: { readonly settings: Settings };
  /** Null where no event log is kept. */
  readonly events: Pick<EventLog, 'emit'> | null;
  /** Whether an update runs. */
  readonly updating: () => boolean;
  readonly log: (line: string) => void;
}

/** Opens both sockets; throws what `startControl` throws. Disposing closes them. */
export async function openDoors(
  backend: ControlBackend,
  parts: DoorParts,
): Promise<AsyncDisposable> {
  const { config, host, settings, events, updating, log } = parts;
  const { node, stateDir } = config;
  const { socket, consoleSocket, group } = config.control;
  const at = (): string => new Date(host.nowMs()).toISOString();
  await using stack = new AsyncDisposableStack();
  const desk = stack.use(
    await AccessDesk.open({
      node,
      stateDir,
      monotonicMs: () => host.monotonicMs(),
      at,
      idleMs: () => settings.settings.idleMin * 60_000,
      updating,
      serviceShell: config.console.serviceShell === 'on',
      audit: new AuditLog(parts.audit, node, at),
      tell: (msg) => void events?.emit({ job: null, phase: null, state: 'access', msg }),
      log,
    }),
  );
  const book = stack.use(await openKeyBook(stateDir, () => host.monotonicMs(), log));
  stack.use(await startControl(backend, { socketPath: socket, group, desk, book }));
  stack.use(await startControl(backend, { socketPath: consoleSocket, desk, book, login: true }));
  const held = stack.move();
  return { [Symbol.asyncDispose]: () => held.disposeAsync() };
}
