/**
 * The exit statuses of `tandem`: what each means for the pair, what still works, what to do, what
 * it costs. Part of the tables in recovery.ts. Pure; imports only types of core.
 */
import type { EXIT } from './exit.ts';
import type { Recovery } from './recovery.ts';

const UNTOUCHED = {
  works: 'Everything. Nothing was written, the pair goes on as before.',
  costs: 'Nothing.',
};

/** One entry per exit status, by its name in `EXIT`. */
export const STATUS_RECOVERY: Readonly<Record<keyof typeof EXIT, Recovery>> = {
  done: {
    means: 'The command did what it was asked for; a change that was waited for is over and good.',
    works: 'Everything.',
    todo: ['Nothing.'],
    costs: 'Nothing.',
  },
  internal: {
    means: 'A disk, a tool or the program itself failed on the node that was asked.',
    works: 'The service goes on where it is; a running update goes on or resumes by itself.',
    todo: [
      'Read the code in the message and look it up: `tandem explain CODE`.',
      'See how the pair is: `tandem status`.',
    ],
    costs: 'Depends on the code.',
  },
  usage: {
    means: 'The command line, a file that it names, or the configuration is not valid.',
    ...UNTOUCHED,
    todo: ['Correct what the message names; `tandem help` lists the verbs.'],
  },
  nothingToDo: {
    means: 'It is so already. Only a command with `--detailed-exitcode` ends with it.',
    ...UNTOUCHED,
    todo: ['Nothing.'],
  },
  bundleDamaged: {
    means: 'The file is damaged, incomplete, or no bundle that this program can read.',
    ...UNTOUCHED,
    todo: [
      'Copy or download it again.',
      'Check the copy: `tandem bundle verify FILE`.',
      'Update again: `tandem update FILE`.',
    ],
  },
  sameOrNewer: {
    means: 'Both nodes and all components run this version or a newer one.',
    ...UNTOUCHED,
    todo: ['Nothing. See what runs: `tandem slots`.'],
  },
  noPath: {
    means: 'There is no way from what is installed to what was asked for.',
    ...UNTOUCHED,
    todo: [
      'See what runs: `tandem slots`.',
      'See what the bundle asks for: `tandem bundle show FILE`.',
      'Install an intermediate version first: `tandem update FILE`.',
    ],
  },
  untrusted: {
    means: 'The bundle is not signed by the keys that this node trusts.',
    ...UNTOUCHED,
    todo: [
      'Get the bundle from its maker; do not install it otherwise.',
      'See who signed it: `tandem bundle show FILE`.',
    ],
  },
  otherProduct: {
    means: 'The bundle is for another product or another hardware.',
    ...UNTOUCHED,
    todo: ['Get the right bundle; see what it is for: `tandem bundle show FILE`.'],
  },
  noSpace: {
    means: 'The data partition or a slot has too little room.',
    works: 'Everything; journal and verdicts have space of their own.',
    todo: [
      'Free what the message names on the node that it names.',
      'Check: `tandem update FILE --dry-run`.',
    ],
    costs: 'Nothing, unless the store itself is full: then writes are refused.',
  },
  window: {
    means:
      'A maintenance window, a file in the inhibit directory, a hook or a clock blocks updates.',
    ...UNTOUCHED,
    todo: [
      'See what it is: `tandem status`.',
      'Or let it begin by itself in the next window: `tandem update FILE --at window`.',
    ],
  },
  deferred: {
    means: 'A user has put the update off, or has not answered yet.',
    ...UNTOUCHED,
    todo: ['See when it begins: `tandem schedule list`.', 'Or at once: `tandem schedule now ID`.'],
  },
  notAuthorised: {
    means: 'Somebody has to allow it first, or it may not be put off or cancelled any more.',
    ...UNTOUCHED,
    todo: [
      'See what a prepared update waits for: `tandem prepare status`.',
      'See what a scheduled one allows: `tandem schedule list`.',
    ],
  },
  notReplicated: {
    means: 'Only one of the two nodes has the bundle.',
    ...UNTOUCHED,
    todo: [
      'Bring the peer back: `tandem cluster status --wait-ready`.',
      'Run the same command again; what was copied is kept.',
    ],
  },
  pairNotHealthy: {
    means: 'The pair is busy, not highly available, or the peer does not answer.',
    works: 'The service goes on where it is. What was asked for was not done.',
    todo: [
      'See what the pair waits for: `tandem cluster status`.',
      'Wait for it: `tandem cluster status --wait-ready --timeout 600`.',
      'Then run the command again.',
    ],
    costs: 'Nothing more than what is wrong already.',
  },
  activeFailed: {
    means: 'The first node failed in the update and runs its old version again.',
    works: 'Everything, on the old version; the second node was not touched.',
    todo: [
      'Read why: `tandem history`.',
      'Solve it, check: `tandem update FILE --dry-run`.',
      'Update again: `tandem update FILE`.',
    ],
    costs: 'The time; at most two short switchovers.',
  },
  storageFailed: {
    means: 'The storage software failed on the first node; system and storage were reverted.',
    works: 'Everything, on the old versions; the second node was not touched.',
    todo: [
      'Read why: `tandem history`.',
      'Read the log of the storage software on the node that is named.',
      'Update again: `tandem update FILE`.',
    ],
    costs: 'The time; at most two short switchovers. No data is lost.',
  },
  standbyFailed: {
    means: 'The second node failed: reverted, then held in two versions, or both rolled back.',
    works: 'Everything; high availability is up.',
    todo: [
      'See which of the two: `tandem status`.',
      'Held: solve it, then `tandem update FILE`, or return with `tandem rollback`.',
      'Rolled back: read why with `tandem history`, solve it, update again.',
    ],
    costs: 'The time; a held pair has a deadline that `tandem status` shows.',
  },
  revertFailed: {
    means: 'A node could not return to its old version and stays on the one that it runs.',
    works: 'The service; the pair is highly available in the versions that it runs.',
    todo: [
      'See what both nodes run: `tandem status`, and what their slots hold: `tandem slots`.',
      'If a node does not answer there, look at it on its console.',
      'Go forward instead, with the newest bundle: `tandem update FILE`.',
      'Or try again when the cause is solved: `tandem rollback`.',
    ],
    costs: 'The pair may run two versions until then.',
  },
  waitTimedOut: {
    means: 'The wait ended, by its time limit or by Ctrl-C; what was waited for goes on.',
    works: 'Everything; the job is not touched.',
    todo: ['Attach again: `tandem job wait --follow`.'],
    costs: 'Nothing.',
  },
  cancelled: {
    means: 'It was cancelled; the pair runs its old version.',
    works: 'Everything, on the old version.',
    todo: ['Run it again when it is wanted.'],
    costs: 'Nothing that was there before.',
  },
  daemonUnreachable: {
    means: 'The daemon of this node does not answer on its control socket.',
    works: 'Not known from here; the peer can tell. A daemon that restarts resumes its update.',
    todo: [
      'Check that the daemon runs, and the path: `tandem config check`.',
      'Ask on the other node: `tandem status`.',
    ],
    costs: 'A node whose daemon is gone for long is taken over or switched off by its peer.',
  },
  notPermitted: {
    means: 'The caller, a login, or a pairing code has not the right to do this.',
    ...UNTOUCHED,
    todo: [
      'Read the code in the message and look it up: `tandem explain CODE`.',
      'On the command line: run it as root or as a member of the group tandem.',
      'Or log in on the console as a user with the role for it: `tandem console --login`.',
    ],
  },
};
