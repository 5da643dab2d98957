/**
 * What still works, what further steps there are and what it costs, for codes of the replicated
 * store. Title and first step are in the tables of codes. Part of the tables in recovery.ts. Pure;
 * imports only types of core.
 */
import type { Code } from './codes.ts';
import type { CodeRecovery } from './recovery.ts';

const READY = 'Then: `tandem cluster status --wait-ready`.';
const WRITER: CodeRecovery = {
  works: 'Reads, and writes on the node that serves.',
  costs: 'This one write.',
  steps: ['See which node serves: `tandem status`.'],
};

/** Part of the table in recovery.ts; read it there. */
export const STORE_RECOVERY: Readonly<Record<Extract<Code, `store.${string}`>, CodeRecovery>> = {
  'store.unreachable': {
    works: 'On the standby: the service goes on. On the serving node: no reads and no writes.',
    costs: 'No high availability until it answers; it is started again and again.',
    steps: ['Watch it: `tandem cluster status`.'],
    alarm: true,
  },
  'store.fenced': { ...WRITER, steps: [], alarm: true },
  'store.stale': {
    works: 'The service, on the node with the newest copy.',
    costs: 'If the node with the newest copy is away, service waits for it.',
    steps: [READY],
    alarm: true,
  },
  'store.split_brain': {
    works: 'Neither node serves: each copy has writes that the other one lacks.',
    costs:
      'The service until a person decides. What only the copy that is given up has is saved to a ' +
      'file of its node and is in the service no more.',
    steps: [
      'See who was asked for what, and when, on both nodes: `tandem history --audit`.',
      'Keep one copy: `tandem storage resolve --keep A`.',
      READY,
    ],
    alarm: true,
  },
  'store.not_split': {
    works: 'Everything that worked before; nothing was changed.',
    costs: 'Nothing.',
  },
  'store.differs': {
    works: 'The service, on the copy of the active node.',
    costs:
      'If the standby takes over before the resync, clients see its content of these records. ' +
      'While the resync runs there is no high availability.',
    steps: [
      'If records of the active node cannot be read: `tandem switchover`, then verify again.',
      READY,
    ],
    alarm: true,
  },
  'store.read_only': WRITER,
  'store.unacknowledged': WRITER,
  'store.busy': { ...WRITER, costs: 'Time; nothing that was acknowledged.' },
  'store.full': {
    works: 'Reads. Writes are refused until there is room; nothing acknowledged is lost.',
    costs: 'Writes stand still.',
    steps: ['See which node it is: `tandem status`.', READY],
    alarm: true,
  },
  'store.io': {
    works: 'The service, on the other node, if it may take over.',
    costs: 'No high availability until the disk is well.',
    steps: ['If this node serves and the other one may take over: `tandem switchover`.'],
    alarm: true,
  },
  'store.hung': {
    works: 'The service, if the other node serves. On the node that serves all writes stand still.',
    costs: 'Some seconds without service, or without high availability, each time.',
    steps: [
      'Wait: after 6 s it is ended and started again, with pauses of up to a minute if it repeats.',
      'If it repeats on the node that serves, let the other one serve: `tandem switchover`; with ' +
        'policy `fence` the node cuts its own power for that.',
      'Check the disk of this node, and its kernel log.',
    ],
    alarm: true,
  },
  'store.corrupt': {
    works: 'The service, on the node whose copy is whole.',
    costs: 'A full sync; no high availability until its end.',
    steps: [
      'Check the disk of this node.',
      'While the other node serves, this copy is made good by itself.',
      'If this node was the active: switch it off, `tandem takeover` on the other, switch it on.',
      'If it says so still: stop its daemon, rename its directory `storage.dataDir`, start it.',
      READY,
    ],
    alarm: true,
  },
};
