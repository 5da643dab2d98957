/**
 * The state words of the pair and the ends of a rollout: what each means, what still works, what to
 * do, what it costs. Part of the tables in recovery.ts. Pure; imports only types of core.
 */
import type { Phase } from './records.ts';
import type { Recovery } from './recovery.ts';
import type { PairStatus } from './status.ts';

/** The word at the head of `tandem status`. Part of `STATE_WORDS`; read it there. */
export const STATE_RECOVERY = {
  HEALTHY: {
    means: 'One node serves, the other one can take over at any moment, both run one version.',
    works: 'Everything.',
    todo: ['Nothing.'],
    costs: 'Nothing.',
  },
  HEALTHY_MIXED: {
    means: 'One node serves, the other one can take over; the two run different versions.',
    works: 'Everything; high availability is up.',
    todo: [
      'See why the last update ended: `tandem history`.',
      'Bring both to the new version: `tandem update FILE`.',
      'Or return the updated node to the old version: `tandem rollback`.',
    ],
    costs: 'Nothing now. A pair in two versions can only be updated or rolled back.',
  },
  UPDATING: {
    means: 'An update or a rollback is running.',
    works:
      'The service. While a node is down for its turn there is no high availability: if the ' +
      'serving node fails then, service stops until it restarts.',
    todo: [
      'Watch it: `tandem job wait --follow`.',
      'Let it rest where high availability is up: `tandem job pause`.',
      'Or turn back while that is possible: `tandem job cancel ID`.',
    ],
    costs: 'Two short switchovers (active-first), and a time without high availability per node.',
  },
  SYNCING: {
    means: 'The standby copies what it lacks of the storage; it may not take over yet.',
    works: 'The service. If the serving node fails now, service stops until it restarts.',
    todo: [
      'Leave both nodes on.',
      'Wait for the end: `tandem cluster status --wait-ready`.',
      'If the alarm sync.stalled shows: `tandem explain sync.stalled`.',
    ],
    costs: 'Time without high availability; the ETA is in `tandem cluster status`.',
  },
  EXPOSED: {
    means: 'Both nodes answer, but the standby may not take over.',
    works: 'The service, if a node serves; if that node fails, service stops until it restarts.',
    todo: [
      'See what the pair waits for: `tandem cluster status`.',
      'If a node has stood down by an operator, on that node: `tandem stand-down --end`.',
      'If both copies of the storage were written alone: `tandem storage status`.',
    ],
    costs: 'No high availability as long as it lasts.',
  },
  ALONE: {
    means: 'The node that you asked does not hear its peer; what the peer does is unknown.',
    works:
      'If this node serves: the service, without high availability. If it does not: nothing ' +
      'here; the peer may still serve.',
    todo: [
      'Look at the peer: power, console, the cables between the two nodes.',
      'Ask the peer itself, on the peer: `tandem status`.',
      'Only if the peer is off for sure and this node does not serve: `tandem takeover`.',
    ],
    costs:
      'No high availability until the peer is back. A takeover while the peer serves makes two ' +
      'active nodes, and the writes of one of them are lost.',
  },
  FROZEN: {
    means:
      'The serving node lost its peer, could not switch it off, and does not know whether it ' +
      'has taken over; so it acknowledges no write.',
    works: 'Reads. Writes wait; none that was acknowledged before is lost.',
    todo: [
      'Bring the peer or the link back: the pair goes on by itself.',
      'Or switch the peer off, look that it is off, then on the frozen node: `tandem takeover`.',
      'Find out why the fence failed: `tandem explain fence.failed`.',
    ],
    costs:
      'Writes stand still until then. A takeover while the peer serves makes two active nodes, ' +
      'and the writes of one of them are lost.',
  },
  SAFE_MODE: {
    means:
      'The journal of this node cannot be relied on, or another node has its place in the pair; ' +
      'so the node changes nothing.',
    works: 'The peer serves if it did before or could take over. This node only answers.',
    todo: [
      'See which alarm it is: `tandem status`.',
      'For journal.corrupt, on this node: `tandem journal show`.',
      'Then stop its daemon, cut the damaged part off, start it: `tandem journal repair`.',
      'For state.newer_schema start the newer program instead.',
      'For pair.replaced take it out, or write its image anew: docs/recovery.md, "Replace a node".',
    ],
    costs:
      'No high availability. A repair loses the newest records of this node; what they said ' +
      'comes back from the boot chooser and from the peer.',
  },
} as const satisfies Readonly<Record<PairStatus['state'], Recovery>>;

/** Where a rollout can end. Part of `STATE_WORDS`; read it there. */
export const END_RECOVERY = {
  DONE: {
    means: 'The pair has reformed on the version that was asked for and is highly available.',
    works: 'Everything. The old version is kept in the other slots until the commit.',
    todo: [
      'Test the new version; the burn-in commits it by itself (`policy.burnInH`).',
      'Make it permanent earlier: `tandem commit`.',
      'Or return to the old version: `tandem rollback`.',
    ],
    costs: 'Nothing. After the commit there is no way back to the old version.',
  },
  FAILED: {
    means: 'The first node failed and is back on its old version; the second was not touched.',
    works: 'Everything, on the old version; high availability is up.',
    todo: [
      'Read why: `tandem history`.',
      'Solve it, check: `tandem update FILE --dry-run`.',
      'Update again: `tandem update FILE`.',
    ],
    costs: 'The time; at most two short switchovers. A failed update changed no data.',
  },
  HOLD_MIXED: {
    means:
      'The second node could not be changed for good; each node stays on the version that it runs.',
    works: 'Everything; high availability is up in two versions.',
    todo: [
      'Read why: `tandem history`.',
      'Solve it and update again; the updated node is left alone: `tandem update FILE`.',
      'Or return the updated node to the old version: `tandem rollback`.',
      'Do it before the deadline that `tandem status` shows (`policy.holdH`).',
    ],
    costs:
      'Nothing at once. Nothing happens at the deadline but a louder alarm: two versions side by ' +
      'side are tested for days, not for ever.',
  },
  ROLLED_BACK: {
    means: 'The pair was returned to its old version and is highly available.',
    works: 'Everything, on the old version.',
    todo: [
      'Read why: `tandem history`.',
      'Solve it, check: `tandem update FILE --dry-run`.',
      'Update again: `tandem update FILE`.',
    ],
    costs: 'The time, and short switchovers. Data that was written meanwhile is kept.',
  },
  CANCELLED: {
    means: 'The update ended before anything was changed on a node.',
    works: 'Everything, on the old version; high availability is up.',
    todo: [
      'If nobody cancelled it, read why: `tandem history`.',
      'Update again: `tandem update FILE`.',
    ],
    costs: 'Nothing. The verified bundle is kept, so a second try starts sooner.',
  },
} as const satisfies Readonly<Partial<Record<Phase, Recovery>>>;
