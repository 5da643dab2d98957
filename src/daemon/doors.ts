/**
 * The doors of a daemon: the control socket for root and the group, the console socket, on which
 * everyone may knock and has to log in, and the listener for other machines, where it is
 * configured. Always holds: all are served by the same backend and judged by the same desk; in
 * safe mode too, since a person has to get in most of all then. Imports core, control and the desk.
 */
import { parseAddress, type Config } from '../config.ts';
import type { RemoteConfig } from '../config-remote.ts';
import type { ControlBackend } from '../control/backend.ts';
import { startRemote } from '../control/remote.ts';
import { startControl, type DoorOptions } from '../control/server.ts';
import type { Reason } from '../core/records.ts';
import type { Settings } from '../core/settings.ts';
import type { Host, ServiceLog } from '../ports.ts';
import type { EventLog, LineLog } from '../updater/events.ts';
import { AccessDesk } from './access.ts';
import { AuditLog } from './audit.ts';
import { openKeyBook } from './key-book.ts';
import type { PassedSockets } from './passed-sockets.ts';

/** What the doors need of their daemon. */
export interface DoorParts {
  readonly config: Pick<Config, 'node' | 'stateDir' | 'control' | 'console' | 'remote'>;
  readonly host: Pick<Host, 'monotonicMs' | 'nowMs'>;
  readonly audit: LineLog;
  /** How long a console may be idle is one of them. */
  readonly settings: { readonly settings: Settings };
  /** Null where no event log is kept. */
  readonly events: Pick<EventLog, 'emit'> | null;
  /** Whether an update runs. */
  readonly updating: () => boolean;
  /** Why other machines cannot get in; null when they can. */
  readonly onRemoteTrouble: (reason: Reason | null) => void;
  /** What the init system listens on already. */
  readonly sockets: PassedSockets;
  readonly log: ServiceLog;
}

/** Opens them; throws what `startControl` throws. Disposing closes them. */
export async function openDoors(
  backend: ControlBackend,
  parts: DoorParts,
): Promise<AsyncDisposable> {
  const { config, host, settings, events, updating, sockets, log } = parts;
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
  const passed = (socketPath: string) => {
    const fd = sockets.take(socketPath);
    return fd === null ? { socketPath } : { socketPath, fd };
  };
  stack.use(await startControl(backend, { ...passed(socket), group, desk, book }));
  stack.use(await startControl(backend, { ...passed(consoleSocket), desk, book, login: true }));
  sockets.tellIdle();
  if (config.remote !== null)
    stack.use(await openRemote(backend, config.remote, { desk, book }, parts));
  const held = stack.move();
  return { [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** The listener for other machines, with the roles that its section gives to certificates. */
function openRemote(
  backend: ControlBackend,
  remote: RemoteConfig,
  shared: DoorOptions,
  { audit, config, host, onRemoteTrouble, log }: DoorParts,
): Promise<AsyncDisposable> {
  const at = (): string => new Date(host.nowMs()).toISOString();
  const notes = new AuditLog(audit, config.node, at);
  const asked = { act: 'connect', by: 'unknown', via: 'remote', reason: null } as const;
  return startRemote(backend, {
    ...shared,
    ...parseAddress(remote.listen),
    files: remote,
    roleOf: (name) => {
      if (remote.administrators.includes(name)) return 'administrator';
      if (remote.operators.includes(name)) return 'operator';
      return remote.role === 'none' ? null : remote.role;
    },
    onTrouble: (reason) => {
      if (reason === null) log(`other machines may connect to ${remote.listen}`, 'info');
      else log(reason.message);
      onRemoteTrouble(reason);
    },
    onRefused: (message) => {
      notes.note(asked, { result: 'refused', code: 'access.certificate', message });
    },
  });
}
