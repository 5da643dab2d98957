/**
 * The one table of error codes. A code is a stable word per cause, its exit status is the class
 * that scripts act on; both are part of the interface and are only ever added to. `tandem explain`
 * and the docs print from this table. Always holds: every error that a user can meet has a code
 * here, with a title and a next action. Pure; imports nothing.
 */

/**
 * Exit status per class of outcome, as scripts see them. Source: docs/ARCHITECTURE.md, "Exit
 * statuses".
 */
export const EXIT = {
  done: 0,
  internal: 1,
  usage: 2,
  nothingToDo: 3,
  bundleDamaged: 10,
  sameOrNewer: 11,
  noPath: 12,
  untrusted: 13,
  otherProduct: 14,
  noSpace: 15,
  window: 20,
  deferred: 21,
  notAuthorised: 22,
  notReplicated: 23,
  pairNotHealthy: 24,
  activeFailed: 30,
  storageFailed: 31,
  standbyFailed: 32,
  revertFailed: 33,
  waitTimedOut: 40,
  cancelled: 41,
  daemonUnreachable: 50,
  notPermitted: 51,
} as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

interface CodeEntry {
  /** Exit status of a command that ends with this code. */
  readonly exit: ExitStatus;
  /** What it means, one short sentence for an operator. */
  readonly title: string;
  /** What to do next, one sentence. */
  readonly next: string;
}

export const CODES = {
  'internal.bug': {
    exit: EXIT.internal,
    title: 'Tandem met a condition that it does not expect.',
    next: 'Keep the log and report it; the daemon restarts and resumes by itself.',
  },
  'usage.invalid': {
    exit: EXIT.usage,
    title: 'The command line or the request is not valid.',
    next: 'Run the verb with --help.',
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
  'state.newer_schema': {
    exit: EXIT.internal,
    title: 'A record was written by a newer program than this one.',
    next: 'Start the newer program; this one writes nothing.',
  },
  'journal.corrupt': {
    exit: EXIT.internal,
    title:
      'The journal is damaged in the middle; the daemon runs in safe mode and changes nothing.',
    next: 'Look at `tandem journal show`, then run `tandem journal repair`.',
  },
  'job.unknown': {
    exit: EXIT.usage,
    title: 'There is no such job.',
    next: 'List the jobs with `tandem job list`.',
  },
  'job.busy': {
    exit: EXIT.pairNotHealthy,
    title: 'Another update of the pair is going on.',
    next: 'Watch it with `tandem job wait --follow`, and try again when it has ended.',
  },

  'bundle.not_a_file': {
    exit: EXIT.bundleDamaged,
    title: 'The bundle is not a regular file.',
    next: 'Give the path of an update.bin file.',
  },
  'bundle.wrong_type': {
    exit: EXIT.bundleDamaged,
    title: 'The file is not an update bundle.',
    next: 'Give an update.bin file; check that the download is complete and the right one.',
  },
  'bundle.damaged': {
    exit: EXIT.bundleDamaged,
    title: 'The bundle is damaged: its content does not match its checksums.',
    next: 'Copy or download the bundle again.',
  },
  'bundle.truncated': {
    exit: EXIT.bundleDamaged,
    title: 'The bundle ends too early.',
    next: 'Copy or download the bundle again.',
  },
  'bundle.trailing_data': {
    exit: EXIT.bundleDamaged,
    title: 'There is data after the end of the bundle.',
    next: 'Copy or download the bundle again; nothing may be appended to it.',
  },
  'bundle.unknown_format': {
    exit: EXIT.bundleDamaged,
    title: 'The bundle has a format version that this program does not know.',
    next: 'Update Tandem itself first, with a bundle in a format that it knows.',
  },
  'bundle.invalid_manifest': {
    exit: EXIT.bundleDamaged,
    title: 'The manifest is signed but not valid.',
    next: 'Ask the maker of the bundle for a correct one.',
  },
  'bundle.delta_unsupported': {
    exit: EXIT.bundleDamaged,
    title: 'The bundle is a delta bundle (record kind 3), which this program cannot apply.',
    next: 'Use the full bundle of the same release.',
  },
  'bundle.invalid_input': {
    exit: EXIT.usage,
    title: 'The bundle cannot be made from this input.',
    next: 'Correct the input that is named.',
  },
  'trust.no_root': {
    exit: EXIT.untrusted,
    title: 'There is no usable trust root, so no signature can be trusted.',
    next: 'Install root.json; without it nothing is accepted.',
  },
  'trust.untrusted': {
    exit: EXIT.untrusted,
    title: 'The signature is not trusted.',
    next: 'Use a bundle that is signed by enough of the keys in root.json.',
  },
  'version.same_or_newer': {
    exit: EXIT.sameOrNewer,
    title: 'Both nodes already run this version or a newer one.',
    next: 'Nothing needs to be done; to go back use `tandem rollback`, or install a newer bundle.',
  },
  'version.no_path': {
    exit: EXIT.noPath,
    title: 'There is no supported upgrade path from the installed version.',
    next: 'Install one of the versions first that the bundle updates from.',
  },
  'version.blocked': {
    exit: EXIT.noPath,
    title: 'The bundle may not be installed over the installed version.',
    next: 'Install an intermediate version first.',
  },
  'version.incompatible': {
    exit: EXIT.noPath,
    title: 'The two versions cannot run side by side in a pair.',
    next: 'Install an intermediate version first.',
  },
  'updater.too_old': {
    exit: EXIT.noPath,
    title: 'The installed updater is too old for this bundle.',
    next: 'Install an intermediate version with a newer updater first.',
  },
  'product.other': {
    exit: EXIT.otherProduct,
    title: 'The bundle is for another product.',
    next: 'Use the bundle for this product.',
  },
  'hardware.other': {
    exit: EXIT.otherProduct,
    title: 'The bundle does not support this hardware.',
    next: 'Use the bundle for this hardware.',
  },
  'space.depot': {
    exit: EXIT.noSpace,
    title: 'There is not enough space to keep the bundle.',
    next: 'Free the space that is named on the data partition of the node that is named.',
  },
  'space.slot': {
    exit: EXIT.noSpace,
    title: 'The image is larger than the slot.',
    next: 'Use a bundle that is made for this partition layout.',
  },
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
  'boot.io': {
    exit: EXIT.internal,
    title: 'The state of the boot chooser cannot be read or written.',
    next: 'Check the boot partition of the node that is named.',
  },
  'boot.conflict': {
    exit: EXIT.internal,
    title: 'The boot chooser is in another state than the request needs.',
    next: 'The node observes its state again and goes on from there.',
  },
  'hook.veto': {
    exit: EXIT.activeFailed,
    title: 'A hook refused.',
    next: 'Read the output of the hook that is named.',
  },

  'pair.not_paired': {
    exit: EXIT.pairNotHealthy,
    title: 'This node is not paired.',
    next: 'Run `tandem pair init` on one node and `tandem pair join` on the other.',
  },
  'pair.already_paired': {
    exit: EXIT.pairNotHealthy,
    title: 'This node is already paired.',
    next: 'Keep the pair; only a new node is paired again.',
  },
  'pair.code_wrong': {
    exit: EXIT.notPermitted,
    title: 'The pairing code is wrong, used up or expired.',
    next: 'Run `tandem pair init` again and use its new code within ten minutes.',
  },
  'pair.peer_unreachable': {
    exit: EXIT.pairNotHealthy,
    title: 'The peer does not answer.',
    next: 'Check the peer, its power and the link between the two.',
  },
  'pair.wrong_peer': {
    exit: EXIT.pairNotHealthy,
    title: 'The other side of the link does not have the key of the peer.',
    next: 'Check the cabling and the addresses; pair again only if the peer was really replaced.',
  },
  'pair.code_malformed': {
    exit: EXIT.usage,
    title: 'The pairing code has a typing error or is not complete.',
    next: 'Type it again as `tandem pair init` printed it; nothing was sent, no try was used.',
  },
  'pair.same_node': {
    exit: EXIT.usage,
    title: 'Both nodes are configured with the same node id.',
    next: 'Set `node` to A in the configuration of one node and to B in that of the other.',
  },
  'pair.keys_damaged': {
    exit: EXIT.pairNotHealthy,
    title: 'The keys of this node are damaged or incomplete.',
    next: 'Restore the keys directory, or remove it on both nodes and pair them again.',
  },
  'pair.bad_message': {
    exit: EXIT.pairNotHealthy,
    title: 'The other side sent something that is not a message of the link.',
    next: 'Check that the address of the peer is that of a Tandem node, and its version.',
  },
  'pair.protocol': {
    exit: EXIT.pairNotHealthy,
    title: 'The two nodes have no common protocol version.',
    next: 'Bring the older node to a version that supports the protocol of the other one.',
  },
  'pair.not_healthy': {
    exit: EXIT.pairNotHealthy,
    title: 'The pair is not highly available.',
    next: 'See `tandem cluster status` for what it waits for.',
  },

  'active.failed': {
    exit: EXIT.activeFailed,
    title: 'The update of the first node failed; it runs its old version again.',
    next: 'Read why in `tandem history`, solve it, update again; the second node was not touched.',
  },
  'storage.failed': {
    exit: EXIT.storageFailed,
    title: 'The storage software failed on the first node; it runs its old versions again.',
    next: 'Read the reason in `tandem history`; the second node was not touched.',
  },
  'standby.failed_held': {
    exit: EXIT.standbyFailed,
    title:
      'The update of the second node failed; it runs its old version, high availability is up.',
    next: 'Run the same update again, or `tandem rollback` to return the pair to the old version.',
  },
  'standby.failed_rolled_back': {
    exit: EXIT.standbyFailed,
    title: 'The update of the second node failed; the pair was returned to the old version.',
    next: 'Read the reason in `tandem history`.',
  },
  'revert.failed': {
    exit: EXIT.revertFailed,
    title: 'A node could not return to its old version.',
    next: 'Look at that node on its console.',
  },
  'rollback.unavailable': {
    exit: EXIT.noPath,
    title: 'There is nothing to roll back to.',
    next: 'After `tandem commit`, or before a first update, only a newer bundle can be installed.',
  },
  'job.cancelled': {
    exit: EXIT.cancelled,
    title: 'The update was cancelled.',
    next: 'The pair runs its old version and is highly available.',
  },
  'job.not_cancellable': {
    exit: EXIT.pairNotHealthy,
    title: 'The update cannot be cancelled any more.',
    next: 'Wait for its end, then use `tandem rollback`.',
  },
  'health.slot': {
    exit: EXIT.activeFailed,
    title: 'The node did not come up in the slot that is on trial.',
    next: 'Read the boot reason on the console of the node.',
  },
  'health.check': {
    exit: EXIT.activeFailed,
    title: 'A health check of the trial failed.',
    next: 'Read which check failed in `tandem history`.',
  },
  'health.storage': {
    exit: EXIT.storageFailed,
    title: 'The storage software is not healthy.',
    next: 'Read its log on the node that is named.',
  },
  'health.unexpected_reboot': {
    exit: EXIT.activeFailed,
    title: 'The node restarted unexpectedly during its trial.',
    next: 'Read the log of the node that is named.',
  },
  'trial.attempts_used': {
    exit: EXIT.activeFailed,
    title: 'All boot attempts of the trial are used up; the old slot runs again.',
    next: 'Read the boot reason on the console of the node.',
  },
  'trial.deadline': {
    exit: EXIT.activeFailed,
    title:
      'The trial heard nothing from the driver of the update for too long and reverted itself.',
    next: 'Check the link between the two nodes.',
  },

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
    next: 'Check the disk; then empty the data directory of this copy and let it sync again.',
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

  'wait.timed_out': {
    exit: EXIT.waitTimedOut,
    title: 'The wait timed out; the job goes on.',
    next: 'Attach again with `tandem job wait --follow`.',
  },
  'daemon.unreachable': {
    exit: EXIT.daemonUnreachable,
    title: 'The daemon does not answer.',
    next: 'Check that it runs, and the path of its control socket.',
  },
  'permission.denied': {
    exit: EXIT.notPermitted,
    title: 'You may not do this.',
    next: 'Run it as root or as a member of the group tandem.',
  },
} as const satisfies Record<string, CodeEntry>;

export type Code = keyof typeof CODES;

export function isCode(word: string): word is Code {
  return Object.hasOwn(CODES, word);
}
