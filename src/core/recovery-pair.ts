/**
 * What still works, what further steps there are and what it costs, for codes of the pair, its
 * link, its fencers, and the ends and trials of an update. Title and first step are in the tables
 * of codes. Part of the tables in recovery.ts. Pure; imports only types of core.
 */
import type { PAIR_CODES } from './codes-pair.ts';
import type { CodeRecovery } from './recovery.ts';

const NOTHING = 'Nothing.';
const EXPOSED = 'No high availability: if the serving node fails, service stops until it restarts.';
const SERVES = 'The service goes on where it is.';
const READY = 'Then: `tandem cluster status --wait-ready`.';
const AGAIN = 'Update again: `tandem update FILE`.';
const PAIRING: CodeRecovery = { works: SERVES, costs: 'No high availability until it is paired.' };
const LINK: CodeRecovery = { works: SERVES, costs: EXPOSED, steps: [READY], alarm: true };
const CHANNEL: CodeRecovery = {
  works: 'Everything, as long as the other channel of the link is up.',
  costs: 'With the network channel: high availability. With the serial line: the second channel.',
  steps: ['See both channels with their age: `tandem cluster status`.'],
  alarm: true,
};
const FENCE: CodeRecovery = {
  works: 'The service, as long as both nodes answer.',
  costs: 'If the peer is lost now, the serving node freezes: no write is acknowledged (FROZEN).',
  steps: ['See what the check says now: `tandem update FILE --dry-run`.'],
  alarm: true,
};
const BACK: CodeRecovery = {
  works: 'Everything, on the old version; high availability is up.',
  costs: 'The time; at most two short switchovers.',
  steps: ['Check: `tandem update FILE --dry-run`.', AGAIN],
};
const TRIAL: CodeRecovery = {
  works: 'The service, on the other node. The node on trial returns to its old version.',
  costs: 'The update, or one of its attempts; a restart of that node.',
  steps: ['Watch what the update does now: `tandem job wait --follow`.'],
};

type Words =
  keyof typeof PAIR_CODES | 'pair.frozen' | 'pair.stood_down' | 'pair.clock_skew' | 'sync.stalled';

/** Part of the table in recovery.ts; read it there. */
export const PAIR_RECOVERY: Readonly<Record<Words, CodeRecovery>> = {
  'pair.not_paired': PAIRING,
  'pair.already_paired': { works: 'Everything.', costs: NOTHING },
  'pair.code_wrong': PAIRING,
  'pair.code_malformed': PAIRING,
  'pair.same_node': PAIRING,
  'pair.keys_damaged': { ...PAIRING, alarm: true },
  'pair.cancelled': PAIRING,
  'pair.unconfirmed': PAIRING,
  'pair.peer_unreachable': {
    works:
      'If this node serves: the service, without high availability. If not: nothing here; the ' +
      'peer may still serve.',
    costs: EXPOSED,
    steps: [
      'Ask the peer itself, on the peer: `tandem status`.',
      'Only if it is off for sure and this node does not serve: `tandem takeover`.',
    ],
    alarm: true,
  },
  'pair.wrong_peer': LINK,
  'pair.bad_message': LINK,
  'pair.protocol': LINK,
  'pair.other_version': {
    ...PAIRING,
    steps: [
      'See the version of the pair, on the node that serves: `tandem status`.',
      'The image of each version comes with its release; docs/recovery.md, "Replace a node".',
    ],
  },
  'pair.key_revoked': PAIRING,
  'pair.replaced': {
    works: "The pair, with the node that has this one's place. This node only answers.",
    costs: 'Nothing of the pair; what only this node holds is lost to it.',
    steps: ['Keep what is needed of it: `tandem support`.'],
    alarm: true,
  },
  'replace.refused': {
    works: SERVES,
    costs: EXPOSED,
    steps: [
      'Where no node serves, and the peer is off for sure: `tandem takeover`.',
      'Where the peer is only out of reach: repair it, and leave the pair as it is.',
    ],
  },
  'link.listen_failed': CHANNEL,
  'link.serial_failed': CHANNEL,
  'pair.not_replicated': { works: SERVES, costs: NOTHING, steps: [READY] },
  'pair.not_healthy': {
    works: SERVES,
    costs: EXPOSED,
    steps: ['Wait for it: `tandem cluster status --wait-ready`.'],
  },
  'fence.self_test': FENCE,
  'fence.failed': {
    ...FENCE,
    works: 'Reads, if the serving node is frozen. The fence is tried again and again.',
    costs: 'Writes stand still while the serving node is frozen (FROZEN).',
    steps: ['If the peer is off for sure, on the node that stays: `tandem takeover`.'],
  },
  'fence.unknown': {
    ...FENCE,
    works: 'Reads, if the serving node is frozen. The fence is tried again and again.',
    costs: 'Writes stand still while the serving node is frozen (FROZEN).',
    steps: ['If the peer is off for sure, on the node that stays: `tandem takeover`.'],
  },
  'pair.frozen': {
    works: 'Reads. Writes wait; none that was acknowledged before is lost.',
    costs:
      'Writes stand still. A takeover while the peer serves makes two active nodes, and the ' +
      'writes of one of them are lost.',
    steps: ['Look at the power of the peer, not at its status, before the takeover.', READY],
    alarm: true,
  },
  'pair.stood_down': {
    works: SERVES,
    costs: EXPOSED,
    steps: [READY],
    alarm: true,
  },
  'pair.clock_skew': { works: 'Everything.', costs: 'Logs that are hard to read.' },
  'sync.stalled': {
    works: `${SERVES} A trial that is healthy stays so: a sync that stalls reverts nothing.`,
    costs: EXPOSED,
    steps: [
      'Look at the disks and at the storage link (`storage.peer`) of both nodes.',
      'To give an update up instead: `tandem job cancel ID`.',
    ],
    alarm: true,
  },
  'active.failed': BACK,
  'storage.failed': BACK,
  'standby.failed_held': {
    works: 'Everything; high availability is up in two versions.',
    costs: 'Nothing at once; the deadline in `tandem status` is `policy.holdH` after the end.',
    steps: [
      'Read why, and solve it first: `tandem history`.',
      'The node that runs the new version is left alone by the same update.',
    ],
    alarm: true,
  },
  'standby.failed_rolled_back': BACK,
  'revert.failed': {
    works: 'The service; the pair is highly available in the versions that it runs.',
    costs: 'The pair may run two versions until then.',
    steps: [
      'See what its slots hold: `tandem slots`.',
      'Go forward with the newest bundle: `tandem update FILE`.',
      'Or try again: `tandem rollback`.',
      'Or keep the version that both run; the burn-in does not do it now: `tandem commit`.',
    ],
    alarm: true,
  },
  'rollback.unavailable': { works: 'Everything.', costs: NOTHING },
  'job.cancelled': { works: 'Everything, on the old version.', costs: NOTHING, steps: [AGAIN] },
  'job.not_cancellable': { works: 'Everything; the job goes on.', costs: NOTHING },
  'health.slot': TRIAL,
  'health.check': { ...TRIAL, alarm: true },
  'health.storage': { ...TRIAL, alarm: true },
  'health.unexpected_reboot': TRIAL,
  'trial.attempts_used': TRIAL,
  'trial.deadline': TRIAL,
};
