/**
 * Rules of the core broken on purpose, one at a time, and the search that has to find it. Only
 * tests import it.
 */
import type { Change } from './core.ts';
import type { FaultKind } from './move.ts';
import type { Scenario } from './scenario.ts';

/** A broken rule. */
export interface Mutation {
  readonly name: string;
  readonly changes: readonly Change[];
  readonly scenario: Scenario;
  /** How the verdict of the search begins. */
  readonly verdict: RegExp;
}

const MANUAL: Scenario = {
  order: 'active-first',
  storageRunsWith: '>=1.0.0',
  takeover: 'manual',
  faults: 2,
};
const FENCE: Scenario = { ...MANUAL, takeover: 'fence' };
const STRICT: Scenario = { ...MANUAL, storageRunsWith: '>=2.0.0' };

/** Only these faults: enough to show what is wrong, and quickly. */
const only = (scenario: Scenario, ...kinds: readonly FaultKind[]): Scenario => ({
  ...scenario,
  kinds,
});

/** The core takes no notice of which loss of the link a fence was asked for. */
const OLD_PROOF: readonly Change[] = [
  {
    file: 'takeover.ts',
    from: "  if (word === 'fence' && since !== world.linkLostMs) return undefined;\n",
    to: '',
  },
];

/** A node that got the service while it was to restart into its trial does so nevertheless. */
const HOLDER_ARMS: readonly Change[] = [
  {
    file: 'machine.ts',
    from: "if (ask.do === 'activate' && s.record.role.holder === me(s)) return undefined;",
    to: '',
  },
  {
    file: 'driver-steps.ts',
    from: 'if (me(s) !== node) return undefined;',
    to: 'return undefined;',
  },
];

/** Each is a test. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'R5: restarts into its trial while it serves',
    changes: HOLDER_ARMS,
    scenario: only(MANUAL, 'crash', 'takeover'),
    verdict: /^L1/,
  },
  {
    name: 'R1: does not wait for its peer when it starts',
    changes: [{ file: 'role.ts', from: '(world.met && ', to: '(' }],
    scenario: only(MANUAL, 'crash', 'takeover'),
    verdict: /^I/,
  },
  {
    name: 'R4: goes on alone before it is durable that the peer cannot take over',
    changes: [
      {
        file: 'role.ts',
        from: 'const alone = world.store.frozen && !record.role.peerMayTakeOver;',
        to: 'const alone = world.store.frozen;',
      },
    ],
    scenario: only(FENCE, 'crash', 'link'),
    verdict: /^(I2|R6)/,
  },
  {
    name: 'R5: tries the second node again without a new stand-down',
    changes: [
      {
        file: 'driver-ends.ts',
        from: "{ phase: 'INSTALL2', job: second, say, node: second }",
        to: "{ phase: 'ACT2', job: second, say, node: second }",
      },
      // Whoever got the service meanwhile would hand over before it restarts, and mend it so.
      ...HOLDER_ARMS,
    ],
    scenario: only(FENCE, 'crash', 'install'),
    verdict: /^L1/,
  },
  {
    name: 'R6: a report of the holder is enough to be admitted',
    changes: [
      {
        file: 'role.ts',
        from:
          'word?.bootId === world.boot.bootId &&\n      word.epoch === record.role.epoch &&\n' +
          '      // A program that does not count promises admits without their number.\n' +
          '      (word.promises ?? promisesOf(record)) === promisesOf(record);',
        to: 'peer.serving;',
      },
    ],
    scenario: FENCE,
    verdict: /^[IR]/,
  },
  {
    name: 'R1: serves before it meets its peer',
    changes: [
      {
        file: 'role.ts',
        from: 'return keeps || (world.met && !record.role.peerMayTakeOver);',
        to: 'return true;',
      },
    ],
    scenario: FENCE,
    verdict: /^[IR]/,
  },
  {
    name: 'R7: adopts the role of a lower epoch',
    changes: [
      {
        file: 'role.ts',
        from: 'theirs.epoch <= s.record.role.epoch',
        to: 'theirs.epoch === s.record.role.epoch',
      },
    ],
    scenario: MANUAL,
    verdict: /./,
  },
  {
    name: 'R3: takes over without having been admitted',
    changes: [{ file: 'takeover.ts', from: ' && world.admitted;', to: ';' }],
    scenario: FENCE,
    verdict: /^[IR]/,
  },
  {
    name: 'R2: serves again by itself while it hands over',
    changes: [
      {
        file: 'role.ts',
        from: 'onTrial(s) || world.draining) return false;',
        to: 'onTrial(s)) return false;',
      },
    ],
    scenario: MANUAL,
    verdict: /./,
  },
  {
    name: 'I7: keeps new storage software that may not run under the old system',
    changes: [
      {
        file: 'trial.ts',
        from: 'trial.proven && trial.newRunsUnderOld;',
        to: 'trial.proven;',
      },
    ],
    scenario: STRICT,
    verdict: /^I7/,
  },
  {
    name: 'I7: changes the storage software before the restart after a reverted trial',
    changes: [{ file: 'machine.ts', from: '!restarts && ', to: '' }],
    scenario: only(STRICT, 'health'),
    verdict: /^I7/,
  },
  {
    name: 'I6: a promise outlasts the handover',
    changes: [
      {
        file: 'role.ts',
        from: 'theirs.holder === me(s) ? null : s.record.standDown',
        to: 's.record.standDown',
      },
    ],
    scenario: only(FENCE, 'slow'),
    verdict: /^I6/,
  },
  {
    name: 'I3: the second node begins before the first one is committed',
    changes: [
      {
        file: 'rollout.ts',
        from: "trial(s, rollout, first, 'SYNC1', 'BACK1')",
        to: "trial(s, rollout, first, 'INSTALL2', 'BACK1')",
      },
    ],
    scenario: MANUAL,
    verdict: /./,
  },
  {
    name: 'R8: goes on to the trial before the images are installed',
    changes: [
      {
        file: 'node.ts',
        from:
          "if (update.state !== 'installed' || " +
          's.world.bootState.trial !== null) return undefined;',
        to: "if (update.state !== 'installing' && update.state !== 'installed') return undefined;",
      },
      {
        file: 'driver-steps.ts',
        from: "if (update?.state === 'installed') {",
        to: "if (update?.state === 'installed' || update?.state === 'installing') {",
      },
    ],
    scenario: MANUAL,
    verdict: /is not sealed/,
  },
  {
    name: 'R8: commits a trial that was not found healthy',
    changes: [
      {
        file: 'node.ts',
        from: "if (update.state !== 'healthy') return undefined;",
        to: "if (update.state !== 'healthy' && update.state !== 'trial') return undefined;",
      },
      {
        file: 'driver-steps.ts',
        from: "if (update?.state !== 'healthy') return forgotten(rollout, node, seen, bad);",
        to: '',
      },
      {
        file: 'rollout.ts',
        from: "activate(s, rollout, first, ['DOWN1', 'TRIAL1', 'BACK1'])",
        to: "activate(s, rollout, first, ['DOWN1', 'SYNC1', 'BACK1'])",
      },
    ],
    scenario: MANUAL,
    verdict: /^I4/,
  },
  {
    name: 'R1 and R2: hands over before it let go, and the other does not look',
    changes: [
      { file: 'role.ts', from: '!world.draining || !letGo ||', to: '!world.draining ||' },
      { file: 'role.ts', from: 'return !higher && !peer.serving;', to: 'return !higher;' },
    ],
    scenario: MANUAL,
    verdict: /^I1|^I5/,
  },
  {
    name: 'R3 and R6: is admitted and takes over although it promised to stand down',
    changes: [
      { file: 'takeover.ts', from: 'record.standDown === null && ', to: '' },
      {
        file: 'role.ts',
        from: 'record.standDown === null &&\n      !record.knownStale',
        to: '!record.knownStale',
      },
      {
        file: 'role.ts',
        from: 'peer.record.standDown !== null || peer.record.role.epoch',
        to: 'peer.record.role.epoch',
      },
    ],
    scenario: FENCE,
    verdict: /^[IR]/,
  },
  {
    name: 'R3: counts on a proof although the peer is on the link again',
    changes: [
      ...OLD_PROOF,
      {
        file: 'takeover.ts',
        from: "word === 'fence' ? world.linkUp : connected(s)",
        to: 'connected(s)',
      },
      {
        file: 'takeover.ts',
        from: 'role.peerMayTakeOver && !world.linkUp;',
        to: 'role.peerMayTakeOver && !connected(s);',
      },
      {
        file: 'takeover.ts',
        from: '!world.linkUp && world.admitted;',
        to: '!connected(s) && world.admitted;',
      },
    ],
    scenario: only({ ...FENCE, begin: 'none', faults: 3 }, 'crash', 'link', 'slow'),
    verdict: /^[IR]/,
  },
  {
    name: 'R3: counts on a proof of an earlier loss of the link',
    changes: OLD_PROOF,
    scenario: only({ ...FENCE, begin: 'none', faults: 3 }, 'crash', 'serial', 'slow'),
    verdict: /^(I5|R6)/,
  },
  {
    name: 'R6: an admission outlasts the next promise',
    changes: [
      {
        file: 'role.ts',
        from: '(word.promises ?? promisesOf(record)) === promisesOf(record)',
        to: 'true',
      },
    ],
    scenario: only({ ...FENCE, begin: 'none', anyOrder: true, faults: 1 }, 'stand-down'),
    verdict: /^R6/,
  },
  {
    name: 'R6: a promise does not end the admission while the peer is not heard',
    changes: [
      {
        file: 'role.ts',
        from: 'world.admitted && record.standDown !== null)',
        to: 'world.admitted && record.standDown === undefined)',
      },
    ],
    scenario: only({ ...FENCE, begin: 'none', faults: 3 }, 'serial', 'slow', 'stand-down'),
    verdict: /^R6/,
  },
  {
    name: 'I6: promises although the peer does not know that it is the holder',
    changes: [{ file: 'role.ts', from: ' || !holdsRole(s)) return', to: ') return' }],
    scenario: only({ ...FENCE, begin: 'none', faults: 3 }, 'switchover', 'stand-down'),
    verdict: /^I6/,
  },
  {
    name: 'L1: the end of a promise is not heard during a rollout',
    changes: [
      {
        file: 'role.ts',
        from: 'record.role.holder === me(s)) return undefined;\n  if (!on)',
        to: 'record.role.holder === me(s) || running(s.rollout)) return undefined;\n  if (!on)',
      },
    ],
    scenario: only({ ...FENCE, faults: 1 }, 'stand-down'),
    verdict: /^L1/,
  },
];
