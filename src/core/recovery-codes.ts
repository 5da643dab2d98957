/**
 * What still works, what further steps there are and what it costs, for codes of the command line,
 * the node itself, bundles, operators' words and waits. Title and first step are in the tables of
 * codes. Part of the tables in recovery.ts. Pure; imports only types of core.
 */
import type { BUNDLE_CODES } from './codes-bundle.ts';
import type { OPERATOR_CODES } from './codes-operator.ts';
import type { Code } from './codes.ts';
import type { CodeRecovery } from './recovery.ts';

const NOTHING = 'Nothing.';
const UNTOUCHED: CodeRecovery = {
  works: 'Everything. Nothing was written, the pair goes on as before.',
  costs: NOTHING,
};
const REFUSED: CodeRecovery = {
  works: 'The service goes on where it is; what was asked for was not done.',
  costs: 'Nothing more than what is wrong already.',
};
const JOB_GOES_ON: CodeRecovery = { works: 'Everything; the job goes on.', costs: NOTHING };
const AGAIN = 'Update again: `tandem update FILE`.';
const DRY_RUN = 'Check: `tandem update FILE --dry-run`.';
const COPY: CodeRecovery = {
  ...UNTOUCHED,
  steps: ['Check the copy: `tandem bundle verify FILE`.', AGAIN],
};
const PATH: CodeRecovery = {
  ...UNTOUCHED,
  steps: [
    'See what runs: `tandem slots`.',
    'See what the bundle asks for: `tandem bundle show FILE`.',
  ],
};
/** A disk or partition of one node; the update of that node ends and its peer goes on. */
const NODE_DISK: CodeRecovery = {
  works:
    'The service goes on; in an update nothing was armed on that node, which keeps its version.',
  costs: 'The update. A disk that fails again costs the node.',
  steps: [
    'Read the kernel log of that node for errors of its disk.',
    'See what its slots hold: `tandem slots`.',
    AGAIN,
  ],
  alarm: true,
};

/** Everything but the pair, its link and the store. */
type Rest = Exclude<
  Code,
  | keyof typeof import('./codes-pair.ts').PAIR_CODES
  | keyof typeof import('./codes-schedule.ts').SCHEDULE_CODES
  | keyof typeof import('./codes-prepare.ts').PREPARE_CODES
  | `access.${string}`
  | `store.${string}`
  | PairWords
>;
/** Words of an operator that are about the state of the pair: in recovery-pair.ts. */
type PairWords = 'pair.frozen' | 'pair.stood_down' | 'pair.clock_skew' | 'sync.stalled';
type BundleWords = keyof typeof BUNDLE_CODES;
type OperatorWords = Exclude<keyof typeof OPERATOR_CODES, PairWords>;

const OF_BUNDLES: Readonly<Record<BundleWords, CodeRecovery>> = {
  'bundle.not_a_file': UNTOUCHED,
  'bundle.wrong_type': COPY,
  'bundle.damaged': COPY,
  'bundle.truncated': COPY,
  'bundle.trailing_data': COPY,
  'bundle.unknown_format': PATH,
  'bundle.invalid_manifest': UNTOUCHED,
  'bundle.delta_unsupported': UNTOUCHED,
  'bundle.wrong_base': { ...UNTOUCHED, steps: ['See what runs: `tandem slots`.', DRY_RUN] },
  'bundle.invalid_input': UNTOUCHED,
  'bundle.interrupted': UNTOUCHED,
  'trust.no_root': {
    ...UNTOUCHED,
    steps: [
      'See where it is expected (`trustRoot`): `tandem config check`.',
      'Check what you have: `tandem trust show FILE`.',
      DRY_RUN,
    ],
    costs: 'No update can be installed on this node, and none on the pair, until it is there.',
    alarm: true,
  },
  'trust.untrusted': {
    ...UNTOUCHED,
    steps: [
      'See who signed it: `tandem bundle show FILE`.',
      'See which trust root each node has: `tandem slots` there.',
    ],
  },
  'trust.rotation': {
    ...UNTOUCHED,
    steps: [
      'See which trust root each node has: `tandem slots` there.',
      'See who signed which root: `tandem trust show FILE`.',
    ],
  },
  'trust.not_kept': {
    works: 'Everything; the trust root before goes on, with its keys.',
    steps: [
      'Or take it by hand, from the bundle: `tandem trust verify FILE --root ROOT --out ROOT`.',
    ],
    costs: 'Keys that the new root has revoked count until it is kept.',
    alarm: true,
  },
  'version.same_or_newer': {
    ...UNTOUCHED,
    steps: [
      'See what runs: `tandem slots`.',
      'A node that was exchanged, on the one that serves: `tandem pair replace NODE`.',
    ],
  },
  'version.downgrade': PATH,
  'version.no_path': PATH,
  'version.blocked': PATH,
  'version.incompatible': PATH,
  'updater.too_old': PATH,
  'product.other': PATH,
  'hardware.other': PATH,
  'space.depot': { ...UNTOUCHED, steps: [DRY_RUN], alarm: true },
  'space.slot': PATH,
};

const OF_OPERATORS: Readonly<Record<OperatorWords, CodeRecovery>> = {
  'confirm.needed': UNTOUCHED,
  'console.no_port': UNTOUCHED,
  'confirm.wrong': UNTOUCHED,
  'switchover.refused': {
    ...REFUSED,
    steps: ['Wait for it: `tandem cluster status --wait-ready`.', 'Again: `tandem switchover`.'],
  },
  'switchover.abandoned': {
    works: 'The service, on the node that had it; there is no high availability.',
    costs: 'A gap of service as in a switchover, if the node had let go already.',
    steps: ['Look at the standby: power, console, cables.'],
  },
  'takeover.connected': REFUSED,
  'takeover.stale': {
    ...REFUSED,
    steps: ['Wait for the sync: `tandem cluster status --wait-ready`.'],
    costs: 'If nobody serves, service waits for the peer: no acknowledged write is given up.',
  },
  'takeover.trial': {
    ...REFUSED,
    steps: ['Watch it: `tandem job wait --follow`.', 'Again: `tandem takeover`.'],
  },
  'standdown.active': REFUSED,
  'standdown.refused': REFUSED,
  'power.refused': {
    ...REFUSED,
    steps: [
      'Wait until the other node can: `tandem cluster status --wait-ready`.',
      'Or take the gap: `tandem restart --force`.',
    ],
  },
  'power.failed': {
    works: 'The service, as before; the node may take over again.',
    costs: 'Nothing. A service that was handed over stays with the other node.',
    steps: ['Read the log of the daemon for why it ended.'],
  },
  'support.space': { ...UNTOUCHED, steps: ['See what is kept: `tandem support list`.'] },
  'support.failed': {
    ...UNTOUCHED,
    steps: ['Without the daemon: `tandem support --offline --out FILE`.'],
  },
  'job.not_pausable': JOB_GOES_ON,
  'boot.armed': {
    works: 'The service goes on; no update can begin until the trial is decided.',
    costs: 'At most one restart of that node.',
    steps: ['See which slot it is: `tandem slots`.', 'Watch it: `tandem status`.'],
  },
};

const OF_THE_NODE: Readonly<Record<Exclude<Rest, BundleWords | OperatorWords>, CodeRecovery>> = {
  'internal.bug': {
    works: 'The service goes on where it is; a running update resumes by itself.',
    costs: 'A restart of the daemon at most.',
    steps: ['See how the pair is: `tandem status`.'],
    alarm: true,
  },
  'usage.invalid': UNTOUCHED,
  'file.not_found': UNTOUCHED,
  'file.unreadable': UNTOUCHED,
  'config.invalid': {
    works: 'A daemon that runs already is not touched; one that starts ends at once.',
    costs: 'No high availability while the daemon of this node does not run.',
    steps: ['Check it: `tandem config check`.', 'A good one: `tandem config example`.'],
  },
  'tool.missing': {
    works: 'Everything that does not need the tool.',
    costs: 'What needs it waits, or is refused before anything is written.',
    alarm: true,
  },
  'tool.failed': { ...NODE_DISK, steps: ['See how the pair is: `tandem status`.'] },
  'state.locked': UNTOUCHED,
  'state.io': {
    works: 'The peer serves, or takes over. This node changes nothing that it cannot write down.',
    costs: 'No high availability until the data partition of this node is well.',
    steps: ['Start the daemon of this node again, then: `tandem cluster status --wait-ready`.'],
    alarm: true,
  },
  'state.newer_schema': {
    works: 'The peer serves, or takes over. This node only answers (SAFE_MODE).',
    costs: 'No high availability until the newer program runs.',
    steps: ['See which slot has it: `tandem slots`.'],
    alarm: true,
  },
  'journal.corrupt': {
    works: 'The peer serves, or takes over. This node only answers (SAFE_MODE).',
    costs:
      'The newest records of this node; what they said comes back from the boot chooser and ' +
      'from the peer. No high availability until the repair.',
    steps: ['Start the daemon again, then: `tandem cluster status --wait-ready`.'],
    alarm: true,
  },
  'job.unknown': UNTOUCHED,
  'job.lost': UNTOUCHED,
  'job.interrupted': {
    works: 'The service. A sync that had begun goes on; nothing is left half-changed.',
    costs: 'Only the report of how the job ended.',
    steps: ['See how far its work is: `tandem storage status`, `tandem job list`.'],
  },
  'job.busy': { ...JOB_GOES_ON, steps: ['Or turn it back: `tandem job cancel ID`.'] },
  'slot.io': NODE_DISK,
  'slot.readback': NODE_DISK,
  'slot.base_damaged': NODE_DISK,
  'slot.unpack': NODE_DISK,
  'boot.io': {
    works: 'The service goes on. This node arms, commits and reverts nothing meanwhile.',
    costs: 'The update waits; a node that cannot write its verdict stays on trial.',
    steps: ['Watch it: `tandem status`.'],
    alarm: true,
  },
  'boot.lost': {
    works: 'The service. The node runs the slot that was committed last.',
    costs: 'A trial that was going on is given up, and its update turns back.',
    steps: [
      'See what its slots hold: `tandem slots`.',
      'See how the update ended: `tandem history`.',
      AGAIN,
    ],
    alarm: true,
  },
  'boot.conflict': {
    works: 'The service. The node looks again and goes on from what it finds.',
    costs: NOTHING,
    steps: ['If it stays: `tandem slots` on both nodes, and look at the boot partition.'],
    alarm: true,
  },
  'hook.veto': {
    works: 'The service goes on. Before the switch nothing was armed; a trial is reverted.',
    costs: 'The update.',
    steps: ['See how it ended: `tandem history`.'],
    alarm: true,
  },
  'service.failed': {
    works: 'The storage. Whether the service runs shows in `tandem status`.',
    costs: 'The service stands still on that node while it cannot be started there.',
    steps: ['If the other node may take over: `tandem switchover`.'],
    alarm: true,
  },
  'installer.crashed': {
    works: 'The service goes on; the daemon starts the process again where it stopped.',
    costs: 'Time.',
    steps: ['Watch it: `tandem job wait --follow`.'],
    alarm: true,
  },
  'wait.timed_out': JOB_GOES_ON,
  'wait.detached': JOB_GOES_ON,
  'daemon.busy': REFUSED,
  'daemon.rate_limited': UNTOUCHED,
  'remote.failed': {
    works: 'Everything but the control API for other machines.',
    costs: NOTHING,
    steps: [
      'Check the section `remote`: `tandem config check`.',
      'Look at dates and names of the files: `openssl x509 -in FILE -noout -text`.',
    ],
    alarm: true,
  },
  'request.key_reused': UNTOUCHED,
  'request.interrupted': {
    works: 'The service goes on where it is; the request took effect as a whole or not at all.',
    costs: NOTHING,
    steps: ['See which jobs there are: `tandem job list`.', 'See who serves: `tandem status`.'],
  },
  'daemon.unreachable': {
    works: 'Not known from here; the peer can tell. A daemon that restarts resumes its update.',
    costs: 'A node whose daemon is gone for long is taken over or switched off by its peer.',
    steps: [
      'The path of the socket: `tandem config check`.',
      'Ask on the other node: `tandem status`.',
    ],
  },
  'daemon.other_version': {
    works: 'Everything. The node goes on as before; only this program cannot show it.',
    costs: NOTHING,
    steps: ['See both versions: `tandem --version`, and `program` in `tandem status --json`.'],
  },
  'permission.denied': UNTOUCHED,
};

/** Part of the table in recovery.ts; read it there. */
export const CODE_RECOVERY: Readonly<Record<Rest, CodeRecovery>> = {
  ...OF_THE_NODE,
  ...OF_BUNDLES,
  ...OF_OPERATORS,
};
