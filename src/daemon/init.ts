/**
 * The init system that has started the service, whichever it is: what it hears of it, the sockets
 * that it passes on, and the log that it keeps. Always holds: without one, or with one that asks
 * for nothing, the service runs in the same way. Imports the parts.
 */
import type { ServiceLog } from '../ports.ts';
import { openNotes, type InitNotes } from './notify-init.ts';
import { NO_SOCKETS, openPassedSockets, type PassedSockets } from './passed-sockets.ts';
import { serviceLog } from './service-log.ts';

/** What the service has of its init system. */
export interface Init {
  readonly notes: InitNotes;
  readonly sockets: PassedSockets;
  readonly log: ServiceLog;
}

/** An init system that asks for nothing. */
export const NO_INIT: Init = {
  notes: { ready: () => {}, alive: () => {}, stopping: () => {} },
  sockets: NO_SOCKETS,
  log: serviceLog(),
};

/** The one that the variables of `env` tell of; those that are for this process leave it. */
export async function openInit(env: NodeJS.ProcessEnv): Promise<Init> {
  const log = serviceLog();
  return { notes: openNotes(env, log), sockets: await openPassedSockets(env, log), log };
}
