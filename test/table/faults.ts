/**
 * The columns of the failure tables: each fault as it strikes, in the variants that the cells tell
 * apart. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import { peerOf } from '../../src/core/model.ts';
import type { Policy } from '../../src/core/records.ts';
import type { Strike } from './play.ts';
import type { Moment, Struck } from './struck.ts';

/** A fault with the settings of the update that it strikes. */
export interface Variant extends Strike {
  readonly policy?: Partial<Policy>;
  /** Every which moment, where all of them would tell nothing more. */
  readonly every?: number;
  /** The nodes whose power it takes, if it is about power. */
  readonly takes?: Who;
  /** Moments of these phases alone, where the variant makes no difference elsewhere. */
  readonly only?: RegExp;
}

const LOST_TICKS = 28;
const SOON_TICKS = 10;
const LAST = 'last attempt';
const BY_POLICY = 'policy';
const ROLLBACK = { onSecondFailure: 'rollback' } as const;
const SECOND = /^(ACT|TRIAL|SYNC|COMMIT|ADMIT)2/;

const rollout = ({ pair }: Struck) =>
  (pair.serving() === 'B' ? pair.nodes.B : pair.nodes.A).disk.rollout;

/** The first node serves its new version and is watched. */
function soaks(struck: Struck, { phase }: Moment): boolean {
  return phase === 'HAND1' && (rollout(struck)?.soak ?? null) !== null;
}

/** The node of this turn is the one that a trial of this phase belongs to. */
function turnOf(struck: Struck, phase: string): NodeId {
  const first = rollout(struck)?.first ?? 'A';
  return phase.endsWith('2') ? peerOf(first) : first;
}

const soaking: NonNullable<Strike['when']> = (struck, at) => (soaks(struck, at) ? ['soak'] : []);

/** The node whose turn it is has been told to restart into its trial. */
const onTrial: NonNullable<Strike['when']> = (struck, { phase }) => {
  const { state } = struck.pair.nodes[turnOf(struck, phase)].disk.record.update;
  const open = ['arming', 'rebooting', 'trial', 'healthy'].includes(state);
  return open ? ['dead-man'] : [];
};

type Who = (driver: NodeId) => readonly NodeId[];
const driver: Who = (node) => [node];
const standby: Who = (node) => [peerOf(node)];
const both: Who = (node) => [node, peerOf(node)];

/** Power goes away, and comes back after so many ticks, the driver's and the other's. */
function power(who: Who, driverTicks: number, otherTicks: number, rest: Partial<Variant>): Variant {
  const lasts = who === standby ? otherTicks : driverTicks;
  return {
    at: ['write', 'event', 'tick'],
    takes: who,
    lastsTicks: lasts,
    when: soaking,
    hit: (struck, at) => {
      const nodes = who(at.driver);
      if (at.at === 'write' && !nodes.includes(at.node)) return false;
      for (const node of nodes) struck.off(node);
      return true;
    },
    mend: (struck, ticks, at) => {
      const driverOn = ticks > driverTicks && struck.on(at.driver);
      const otherOn = ticks > otherTicks && struck.on(peerOf(at.driver));
      return driverOn || otherOn;
    },
    ...rest,
  };
}

/** Power goes away for a moment while a trial has no further attempt. */
function lastAttempt(who: Who, change: Partial<Policy>, when: string): Variant {
  return power(who, 0, 0, {
    at: when === LAST ? ['write', 'tick'] : ['tick'],
    policy: { tries: 1, retries: 0, ...change },
    only: /^(ACT|TRIAL|SYNC|COMMIT)/,
    when: (struck, at) => {
      const { boot, counter } = struck.pair.nodes[turnOf(struck, at.phase)].disk;
      const used = boot.trial !== null && counter.trialId === boot.trialId && counter.used > 0;
      return used ? [when, LAST] : [];
    },
  });
}

/** The link is cut for so many ticks. */
function cut(ticksCut: number, rest: Partial<Variant>): Variant {
  return {
    at: ['event', 'tick'],
    lastsTicks: ticksCut,
    hit: ({ pair }) => {
      pair.linkUp = false;
      return true;
    },
    mend: ({ pair }, ticks) => {
      if (ticks > ticksCut) pair.linkUp = true;
      return pair.linkUp;
    },
    ...rest,
  };
}

type Version = 'unhealthy' | 'storageUnhealthy';

/** What is wrong with the new version shows from now on, on the node of the phase's turn. */
function unhealthy(what: Version, when: readonly string[], rest: Partial<Variant>): Variant {
  return {
    at: ['event', 'tick'],
    lastsTicks: null,
    only: /^(ACT|TRIAL|SYNC|COMMIT|ADMIT)[12]|HAND1|INSTALL2/,
    hit: (struck, { phase }) => {
      struck.faults.unhealthyOn = turnOf(struck, phase === 'INSTALL2' ? 'HAND1' : phase);
      struck.faults[what] = '2.0.0';
      // Nobody would tell the health of a second node from that of a first one that serves.
      if (!SECOND.test(phase)) struck.faults.illServing = '2.0.0';
      return true;
    },
    mend: () => true,
    when: () => when,
    whenEnded: (struck, { phase }) => {
      if (phase === 'INSTALL2') return struck.saw('DOWN2') ? ['watch over'] : [];
      const admitted = phase.endsWith('2') ? 'ADMIT2' : 'ADMIT1';
      return struck.saw(admitted) ? ['committed'] : [];
    },
    ...rest,
  };
}

/** It is gone by the time of the second attempt. */
function passes(what: Version): Variant {
  return unhealthy(what, ['passes'], {
    at: ['tick'],
    only: SECOND,
    whenEnded: () => [],
    mend: (struck) => {
      if (struck.phase() !== 'BACK2' && !struck.ended()) return false;
      delete struck.faults[what];
      return true;
    },
  });
}

/** A slot cannot be written. */
function unwritable(policy: Partial<Policy>, when: string): Variant {
  return {
    at: ['event'],
    lastsTicks: null,
    policy,
    only: /^INSTALL/,
    mend: () => true,
    hit: (struck, { phase }) => {
      const node = turnOf(struck, phase);
      if (struck.pair.nodes[node].disk.record.update.state === 'installed') return false;
      struck.faults.installFails = node;
      return true;
    },
    when: () => [when, 'unwritable'],
  };
}

/** An operator cancels; where nobody drives there is nobody to tell. */
const cancel: Variant = {
  at: ['event', 'tick'],
  lastsTicks: null,
  hit: ({ pair }, at) => {
    const serving = pair.serving();
    if (serving === null) return false;
    pair.send(serving, { type: 'cancel', by: 'operator', reason: 'stop' });
    const late = /^(COMMIT2|ADMIT2|REFORM)$/.test(at.phase);
    return late === (pair.nodes[serving].disk.rollout?.abort === null);
  },
  mend: () => true,
};

const fails = (what: Version): readonly Variant[] => [
  unhealthy(what, [], {}),
  unhealthy(what, [BY_POLICY], { at: ['tick'], policy: ROLLBACK, only: SECOND }),
  passes(what),
  unwritable({}, 'unwritable'),
  unwritable(ROLLBACK, BY_POLICY),
];

/** The faults by the head of their column. */
export const FAULTS: Readonly<Record<string, readonly Variant[]>> = {
  'driver dies': [power(driver, LOST_TICKS, 0, {}), power(driver, 0, 0, { at: ['write'] })],
  'other node dies': [
    power(standby, 0, LOST_TICKS, {}),
    lastAttempt(standby, {}, LAST),
    lastAttempt(standby, ROLLBACK, BY_POLICY),
  ],
  'link lost': [
    cut(LOST_TICKS, {}),
    cut(LOST_TICKS * 5, {
      at: ['tick'],
      only: /^(ACT|TRIAL|SYNC|COMMIT)/,
      policy: { deadmanS: 10 },
      when: onTrial,
    }),
  ],
  'both lose power': [
    power(both, LOST_TICKS, LOST_TICKS, { at: ['write', 'tick'] }),
    power(both, SOON_TICKS, LOST_TICKS, { at: ['tick'], every: 4 }),
    power(both, LOST_TICKS, SOON_TICKS, { at: ['tick'], every: 4 }),
    lastAttempt(both, {}, LAST),
    lastAttempt(both, ROLLBACK, BY_POLICY),
  ],
  'system unhealthy': fails('unhealthy'),
  'storage fails': fails('storageUnhealthy'),
  cancelled: [cancel],
};
