/**
 * Codes of what an operator says or asks for: exchange of roles, takeover, stand-down, pauses, and
 * the checks before an update. Part of the table in codes.ts. Pure; imports only core.
 */
import { EXIT, type CodeEntry } from './exit.ts';

/** Part of `CODES`; read it there. */
export const OPERATOR_CODES = {
  'confirm.needed': {
    exit: EXIT.usage,
    title: 'The command needs a typed confirmation, and nobody is there to type it.',
    next: 'Run it on a terminal, or with the options that the message names.',
  },
  'console.no_port': {
    exit: EXIT.usage,
    title: 'What `--serial` names is there, and it is no serial port.',
    next: 'Name a port, as /dev/ttyS0 or /dev/ttyUSB0: `tandem console --serial PATH`.',
  },
  'confirm.wrong': {
    exit: EXIT.cancelled,
    title: 'The confirmation was not typed as asked; nothing was changed.',
    next: 'Make sure of what is asked, then run the command again.',
  },
  'switchover.refused': {
    exit: EXIT.pairNotHealthy,
    title: 'The standby cannot take the service over now.',
    next: 'See `tandem cluster status` for what it waits for, then try again.',
  },
  'switchover.abandoned': {
    exit: EXIT.pairNotHealthy,
    title: 'The switchover did not happen: the standby was lost before it could serve.',
    next: 'See `tandem status` for who serves; switch over again when both nodes answer.',
  },
  'takeover.connected': {
    exit: EXIT.pairNotHealthy,
    title: 'The peer answers, so it is not off.',
    next: 'Use `tandem switchover`, which loses nothing.',
  },
  'takeover.stale': {
    exit: EXIT.pairNotHealthy,
    title: 'This node does not surely hold every acknowledged write, so it may not take over.',
    next: 'Bring the peer back: it has the newest copy of the storage.',
  },
  'takeover.trial': {
    exit: EXIT.pairNotHealthy,
    title: 'This node runs a version on trial, and a trial never serves.',
    next: 'Wait until the trial is committed or reverted, then try again.',
  },
  'standdown.active': {
    exit: EXIT.pairNotHealthy,
    title: 'The active node cannot stand down.',
    next: 'Run `tandem switchover` first, then `tandem stand-down` on the node that was active.',
  },
  'standdown.refused': {
    exit: EXIT.pairNotHealthy,
    title: 'The promise of this node not to take over cannot be changed now.',
    next: 'See `tandem cluster status`; try again when the pair is at rest.',
  },
  'power.refused': {
    exit: EXIT.pairNotHealthy,
    title: 'The node is needed: nobody else would serve while it is away.',
    next: 'See `tandem cluster status`; bring the other node back, or take the gap with `--force`.',
  },
  'power.failed': {
    exit: EXIT.internal,
    title: 'The node did not leave its boot: its daemon started again in the same one.',
    next: 'Nothing stays stood down. See `tandem history --audit`, then ask for it again.',
  },
  'support.space': {
    exit: EXIT.noSpace,
    title: 'There is no room for a support archive beside what updates and the store need.',
    next: 'Write it elsewhere: `tandem support --out FILE`, for instance to a USB stick.',
  },
  'support.failed': {
    exit: EXIT.internal,
    title: 'The process that makes the support archive ended before the archive was whole.',
    next: 'Try again with `tandem support --out FILE`; the disk of the node may be failing.',
  },
  'job.not_pausable': {
    exit: EXIT.pairNotHealthy,
    title: 'The job cannot be paused now.',
    next: 'See `tandem job list`; one that runs is waited for with `tandem job wait --follow`.',
  },
  'pair.frozen': {
    exit: EXIT.pairNotHealthy,
    title: 'No write is acknowledged: the peer is lost and might have taken over.',
    next: 'Bring the peer back; or switch it off, then run `tandem takeover` on the frozen node.',
  },
  'pair.stood_down': {
    exit: EXIT.pairNotHealthy,
    title: 'The standby has promised not to take over.',
    next: 'Run `tandem stand-down --end` on that node when the maintenance is over.',
  },
  'boot.armed': {
    exit: EXIT.pairNotHealthy,
    title: 'A trial is armed or runs outside of an update.',
    next: 'Look at the node that is named; it commits or reverts the trial by itself.',
  },
  'sync.stalled': {
    exit: EXIT.pairNotHealthy,
    title: 'The sync of the storage makes no progress.',
    next: 'See `tandem cluster status` for its bytes, then look at the standby and its link.',
  },
  'pair.clock_skew': {
    exit: EXIT.pairNotHealthy,
    title: 'The clocks of the two nodes differ.',
    next: 'Set both clocks; Tandem does not need them, but times in its logs will mislead.',
  },
} as const satisfies Record<string, CodeEntry>;
