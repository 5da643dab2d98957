/**
 * Codes of a prepared update: what an install waits for, and what a stage of a node found. Part of
 * the table in codes.ts. Pure; imports only core.
 */
import { EXIT, type CodeEntry } from './exit.ts';

/** Part of `CODES`; read it there. */
export const PREPARE_CODES = {
  'prepare.unknown': {
    exit: EXIT.usage,
    title: 'There is no such prepared update, or it is over.',
    next: 'See `tandem prepare status`; begin one with `tandem prepare FILE`.',
  },
  'prepare.busy': {
    exit: EXIT.pairNotHealthy,
    title: 'Another update is prepared already.',
    next: 'Install it, or give it up with `tandem prepare cancel`, then prepare the new one.',
  },
  'prepare.refused': {
    exit: EXIT.usage,
    title: 'That cannot be said of this prepared update now.',
    next: 'See `tandem prepare status` for how each stage of each node stands.',
  },
  'prepare.not_ready': {
    exit: EXIT.notReplicated,
    title: 'The update is not prepared yet on every node that counts.',
    next: 'See `tandem prepare status`; mend the cause and run `tandem prepare retry`.',
  },
  'prepare.not_authorized': {
    exit: EXIT.notAuthorised,
    title: 'Nobody has authorised the install of this prepared update.',
    next: 'An administrator runs `tandem prepare authorize`; one install is allowed by it.',
  },
  'prepare.not_configured': {
    exit: EXIT.notAuthorised,
    title: 'Nobody has settled how this prepared update is installed.',
    next: 'Run `tandem prepare configure`, with other options than the planned ones or without.',
  },
  'prepare.outdated': {
    exit: EXIT.pairNotHealthy,
    title: 'The pair is not any more what the update was prepared for, or its bundle is gone.',
    next: 'Give it up with `tandem prepare cancel` and prepare it again.',
  },
  'prepare.stuck': {
    exit: EXIT.notReplicated,
    title: 'A stage of the prepared update fails again and again on a node.',
    next: 'Mend what the stage says, then `tandem prepare retry`; see `tandem prepare status`.',
  },
  'prepare.plan_lost': {
    exit: EXIT.pairNotHealthy,
    title: 'The plan of the prepared update is not on the disk of the node any more.',
    next: 'It is written again by itself within a minute; see `tandem prepare status`.',
  },
  'updater.unhealthy': {
    exit: EXIT.internal,
    title: 'The newer updater that the bundle brings did not start or did not work.',
    next: 'The node keeps the updater that it had. Try again, or use a bundle without one.',
  },
} as const satisfies Record<string, CodeEntry>;
