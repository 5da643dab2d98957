/**
 * The one table of error codes. A code is a stable word per cause, its exit status is the class
 * that scripts act on; both are part of the interface and are only ever added to. `tandem explain`
 * and the docs print from this table. Always holds: every error that a user can meet has a code
 * here, with a title and a next action. Families have files of their own, codes-*.ts. Pure; imports
 * only core.
 */
import { ACCESS_CODES } from './codes-access.ts';
import { BUNDLE_CODES } from './codes-bundle.ts';
import { OPERATOR_CODES } from './codes-operator.ts';
import { PAIR_CODES } from './codes-pair.ts';
import { PREPARE_CODES } from './codes-prepare.ts';
import { SCHEDULE_CODES } from './codes-schedule.ts';
import { EXIT, type CodeEntry } from './exit.ts';

export { EXIT, type ExitStatus } from './exit.ts';

/** Every code with its exit status, title and next action. */
export const CODES = {
  'internal.bug': {
    exit: EXIT.internal,
    title: 'Tandem met a condition that it does not expect.',
    next: 'Keep the log and report it; the daemon restarts and resumes by itself.',
  },
  'usage.invalid': {
    exit: EXIT.usage,
    title: 'The command line or the request is not valid.',
    next: 'Run the verb with --help; see `tandem help`, for the API /v1/openapi.json.',
  },
  'file.not_found': {
    exit: EXIT.usage,
    title: 'The file does not exist.',
    next: 'Check the path.',
  },
  'file.unreadable': {
    exit: EXIT.usage,
    title: 'The file cannot be read or written.',
    next: 'Check its permissions, and that it is a regular file.',
  },
  'config.invalid': {
    exit: EXIT.usage,
    title: 'The configuration file is not valid.',
    next: 'Correct the line that is named; docs/ARCHITECTURE.md lists every setting.',
  },
  'tool.missing': {
    exit: EXIT.usage,
    title: 'A tool that is needed is not installed.',
    next: 'Install the Debian package that is named.',
  },
  'tool.failed': {
    exit: EXIT.internal,
    title: 'A tool of the system failed.',
    next: 'Read its own words in the message.',
  },
  'state.locked': {
    exit: EXIT.usage,
    title: 'Another daemon already works on this state directory.',
    next: 'Stop the other daemon, or give this one a state directory of its own.',
  },
  'state.io': {
    exit: EXIT.internal,
    title: 'The state on the data partition cannot be read or written.',
    next: 'Check the data partition of the node: its disk, its free space, its mount.',
  },
  'state.newer_schema': {
    exit: EXIT.internal,
    title: 'A record was written by a newer program than this one.',
    next: 'Start the newer program; this one writes nothing.',
  },
  'journal.corrupt': {
    exit: EXIT.internal,
    title:
      'The journal is damaged in the middle; the daemon runs in safe mode and changes nothing.',
    next: 'Stop this daemon, look at `tandem journal show`, then run `tandem journal repair`.',
  },
  'job.unknown': {
    exit: EXIT.usage,
    title: 'There is no such job.',
    next: 'List the jobs with `tandem job list`.',
  },
  'job.lost': {
    exit: EXIT.pairNotHealthy,
    title: 'The job is gone: the daemon ended before the first record of it was on disk.',
    next: 'It never began and changed nothing. Ask for it again.',
  },
  'job.interrupted': {
    exit: EXIT.pairNotHealthy,
    title: 'The daemon ended while the job ran.',
    next: 'Look at what the job says of itself, and ask for it again if it is needed still.',
  },
  'job.busy': {
    exit: EXIT.pairNotHealthy,
    title: 'Another update of the pair is going on.',
    next: 'Watch it with `tandem job wait --follow`, and try again when it has ended.',
  },

  ...BUNDLE_CODES,

  'slot.io': {
    exit: EXIT.activeFailed,
    title: 'The slot cannot be written or read.',
    next: 'Check the disk of the node that is named.',
  },
  'slot.readback': {
    exit: EXIT.activeFailed,
    title: 'The slot does not hold what was written to it.',
    next: 'Check the disk of the node that is named; no trial was armed.',
  },
  'slot.base_damaged': {
    exit: EXIT.activeFailed,
    title: 'A slot that runs does not hold any more what was installed, so no delta fits it.',
    next: 'Use the full bundle of the same release, and check the disk of the node that is named.',
  },
  'boot.io': {
    exit: EXIT.internal,
    title: 'The state of the boot chooser cannot be read or written.',
    next: 'Check the boot partition of the node that is named.',
  },
  'boot.lost': {
    exit: EXIT.internal,
    title: 'Both copies of the boot state were lost; the node runs its last committed system.',
    next: 'Check the disk of the node that is named; a trial that was going on is given up.',
  },
  'boot.conflict': {
    exit: EXIT.internal,
    title: 'The boot chooser is in another state than the request needs.',
    next: 'The node observes its state again and goes on from there.',
  },
  'hook.veto': {
    exit: EXIT.activeFailed,
    title: 'A hook refused while the update was on its way.',
    next: 'Read the output of the hook that is named.',
  },

  ...PAIR_CODES,
  ...OPERATOR_CODES,
  ...PREPARE_CODES,
  ...SCHEDULE_CODES,
  ...ACCESS_CODES,

  'store.unreachable': {
    exit: EXIT.storageFailed,
    title: 'The storage software does not answer.',
    next: 'Check that it runs, and read its log on the node that is named.',
  },
  'store.fenced': {
    exit: EXIT.pairNotHealthy,
    title: 'The store has seen a higher epoch; a write or a promotion of an older one is refused.',
    next: 'See `tandem cluster status` for the node that holds the service now.',
  },
  'store.stale': {
    exit: EXIT.pairNotHealthy,
    title: 'This copy of the store lacks acknowledged writes and cannot become the primary.',
    next: 'Connect the peer and let the sync end.',
  },
  'store.split_brain': {
    exit: EXIT.pairNotHealthy,
    title: 'Both copies of the store were written alone; they are never joined by guessing.',
    next: 'See `tandem storage status`, then say which copy is kept: `tandem storage resolve`.',
  },
  'store.hung': {
    exit: EXIT.storageFailed,
    title: 'The storage software runs, but gives no sign of life.',
    next: 'It is ended and started again by itself; if that repeats, check disk and kernel log.',
  },
  'store.not_split': {
    exit: EXIT.pairNotHealthy,
    title: 'There is no split brain that could be resolved.',
    next: 'See `tandem storage status`; a copy that only lags is synced by itself.',
  },
  'store.differs': {
    exit: EXIT.pairNotHealthy,
    title: 'The two copies of the store are not equal, although both count as level.',
    next: 'See `tandem storage status`, then make the standby good: `tandem storage resync`.',
  },
  'store.read_only': {
    exit: EXIT.pairNotHealthy,
    title: 'This copy of the store does not accept writes.',
    next: 'Write on the node that holds the service.',
  },
  'store.unacknowledged': {
    exit: EXIT.pairNotHealthy,
    title: 'The write was not acknowledged; whether it holds is not known.',
    next: 'Read the object and write it again if needed.',
  },
  'store.busy': {
    exit: EXIT.pairNotHealthy,
    title: 'Too many writes wait for their acknowledgement.',
    next: 'Write again later; see `tandem cluster status` for what the store waits for.',
  },
  'store.full': {
    exit: EXIT.noSpace,
    title: 'There is not enough space for the store.',
    next: 'Free space on the data partition of the node that is named.',
  },
  'store.io': {
    exit: EXIT.storageFailed,
    title: 'The store cannot be written or read.',
    next: 'Check the disk of the node that is named.',
  },
  'store.corrupt': {
    exit: EXIT.storageFailed,
    title: 'The store is damaged on this node.',
    next: 'Look first that the other node has a current copy: `tandem status`.',
  },
  'slot.unpack': {
    exit: EXIT.activeFailed,
    title: 'The content of the slot cannot be unpacked.',
    next: 'Check the slot and the free space of the node that is named.',
  },
  'service.failed': {
    exit: EXIT.activeFailed,
    title: 'The service of the appliance cannot be started or stopped.',
    next: 'Read the log of the workload on the node that is named.',
  },

  'installer.crashed': {
    exit: EXIT.internal,
    title: 'The process that does the bulk work ended before it was done.',
    next: 'It is started again and resumes; if that repeats, read its log and the kernel log.',
  },
  'wait.timed_out': {
    exit: EXIT.waitTimedOut,
    title: 'The wait timed out; what was waited for goes on.',
    next: 'Wait again: `tandem job wait --follow`, or `tandem cluster status --wait-ready`.',
  },
  'wait.detached': {
    exit: EXIT.waitTimedOut,
    title: 'The command was interrupted and no longer waits; the job goes on.',
    next: 'Attach again with `tandem job wait --follow`; stop the job with `tandem job cancel ID`.',
  },
  'daemon.busy': {
    exit: EXIT.daemonUnreachable,
    title: 'The daemon has too many open requests.',
    next: 'Close other clients of the daemon, then try again.',
  },
  'daemon.rate_limited': {
    exit: EXIT.daemonUnreachable,
    title: 'This client asks the daemon for more per second than it answers.',
    next: 'Ask less often: follow the events in place of polling, and try again in a second.',
  },
  'remote.failed': {
    exit: EXIT.usage,
    title: 'The listener for other machines cannot be opened.',
    next: 'Correct what the message names in the section `remote`; it is tried again by itself.',
  },
  'request.key_reused': {
    exit: EXIT.usage,
    title: 'The idempotency key stands for another request already.',
    next: 'Choose a new key for a new request; the same key only repeats the same request.',
  },
  'request.interrupted': {
    exit: EXIT.pairNotHealthy,
    title: 'The daemon ended while it worked on the request with this idempotency key.',
    next: 'See `tandem history --audit` for what became of it, then ask again with a new key.',
  },
  'daemon.unreachable': {
    exit: EXIT.daemonUnreachable,
    title: 'The daemon does not answer.',
    next: 'Check that it runs, and the path of its control socket.',
  },
  'daemon.other_version': {
    exit: EXIT.daemonUnreachable,
    title: 'The daemon is of a version that this program does not understand.',
    next: 'Use the program of the version that the node runs: log in anew, or restart the console.',
  },
  'permission.denied': {
    exit: EXIT.notPermitted,
    title: 'You may not do this.',
    next: 'Run it as root or as a member of the group tandem; or log in: `tandem console --login`.',
  },
} as const satisfies Record<string, CodeEntry>;

/** Any word of the table. */
export type Code = keyof typeof CODES;

/** Whether a word (of a newer peer, of a user) is a code that this program knows. */
export function isCode(word: string): word is Code {
  return Object.hasOwn(CODES, word);
}
