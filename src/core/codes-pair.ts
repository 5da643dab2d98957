/**
 * Codes of the pair and of a rollout: pairing and link, health of a trial, and how an update ended.
 * Part of the table in codes.ts. Pure; imports only core.
 */
import { EXIT, type CodeEntry } from './exit.ts';

/** Part of `CODES`; read it there. */
export const PAIR_CODES = {
  'pair.not_paired': {
    exit: EXIT.pairNotHealthy,
    title: 'This node is not paired.',
    next: 'Run `tandem pair init` on one node and `tandem pair join ADDRESS CODE` on the other.',
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
  'pair.cancelled': {
    exit: EXIT.cancelled,
    title: 'The pairing was cancelled.',
    next: 'Run `tandem pair init` again for a new code; the old one is dead.',
  },
  'pair.unconfirmed': {
    exit: EXIT.pairNotHealthy,
    title: 'This node is paired, but the other node did not confirm that it is.',
    next: 'Repeat `tandem pair init` and `tandem pair join ADDRESS CODE`: they stay the same pair.',
  },
  'pair.other_version': {
    exit: EXIT.noPath,
    title: 'The new node does not run the version of the pair.',
    next:
      'Write the image of the version of the pair to it, pair no other way, then on the node ' +
      'that serves `tandem pair replace NODE` again.',
  },
  'pair.key_revoked': {
    exit: EXIT.notPermitted,
    title: 'That node has the key of the node that is or was replaced.',
    next: 'Write its image anew, with an empty data partition: it makes a new key then.',
  },
  'pair.replaced': {
    exit: EXIT.pairNotHealthy,
    title: 'Another node has the place of this one in its pair, so it changes nothing.',
    next: 'Take it out; to use it again, write its image anew, with an empty data partition.',
  },
  'replace.refused': {
    exit: EXIT.pairNotHealthy,
    title: 'The peer cannot be replaced from this node now.',
    next: 'Switch the peer off; on the node that serves: `tandem pair replace NODE`.',
  },
  'link.listen_failed': {
    exit: EXIT.pairNotHealthy,
    title: 'The address of the link cannot be used on this node.',
    next: 'Check `link.listen` in the configuration, and that no other program uses the address.',
  },
  'link.serial_failed': {
    exit: EXIT.pairNotHealthy,
    title: 'The serial line of the link cannot be used on this node.',
    next: 'Check `link.serial` in the configuration, the cable, and that no console has the line.',
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
  'pair.not_replicated': {
    exit: EXIT.notReplicated,
    title: 'The bundle is staged on one node only.',
    next: 'Bring the peer back, see `tandem prepare status`, run it again; what is there is kept.',
  },
  'pair.not_healthy': {
    exit: EXIT.pairNotHealthy,
    title: 'The pair is not highly available.',
    next: 'See `tandem cluster status` for what it waits for.',
  },

  'fence.self_test': {
    exit: EXIT.pairNotHealthy,
    title: 'The fencer cannot be relied on: its self-test failed.',
    next: 'Correct `fence.fencer` in the configuration, or set `fence.policy` to manual.',
  },
  'fence.failed': {
    exit: EXIT.pairNotHealthy,
    title: 'The fencer did not do what it was asked to do with the power of the peer.',
    next: 'Check the power controller of the peer, and the peer itself on its console.',
  },
  'fence.unknown': {
    exit: EXIT.pairNotHealthy,
    title: 'Whether the peer is off is not known: its power controller gave no clear answer.',
    next: 'Check the power controller and the way to it; then look whether the peer is off.',
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
    next: 'See what both nodes run: `tandem status`; the console is for one that does not answer.',
  },
  'rollback.unavailable': {
    exit: EXIT.noPath,
    title: 'There is nothing to roll back to.',
    next: 'After `tandem commit`, or before a first update, only a newer bundle can be installed.',
  },
  'job.cancelled': {
    exit: EXIT.cancelled,
    title: 'The update was cancelled.',
    next: 'Nothing: the pair runs what it ran before; `tandem status` shows it.',
  },
  'job.not_cancellable': {
    exit: EXIT.pairNotHealthy,
    title: 'The update cannot be cancelled any more.',
    next: 'See `tandem job list`; after its end `tandem rollback` goes back.',
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
} as const satisfies Record<string, CodeEntry>;
