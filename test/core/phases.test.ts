/**
 * What each phase wants, as one table: who should serve, who promises to stay down, what is asked
 * of which node, whether it can be cancelled. May import tap and core.
 */
import t from 'tap';
import {
  askOf,
  canCancel,
  downWanted,
  endedAt,
  holderWanted,
  nodeOf,
} from '../../src/core/phases.ts';
import { compareWriter, END_PHASES, PHASES, type Phase } from '../../src/core/records.ts';
import { running } from '../../src/core/state.ts';
import { rolloutRecord } from './states.ts';

/** Holder, stand-down, ask of the first and of the second node, cancel; A is first. */
const rows: Readonly<Record<Phase, string>> = {
  VALIDATE: '- - - - cancel',
  PRECHECK: '- - - - cancel',
  STAGE: '- - - - cancel',
  INSTALL1: '- - install - cancel',
  DRAIN1: 'B - - - cancel',
  DOWN1: 'B A - - cancel',
  ACT1: '- A activate - cancel',
  TRIAL1: '- A - - cancel',
  SYNC1: '- A - - cancel',
  COMMIT1: '- A commit - cancel',
  ADMIT1: '- - - - cancel',
  HAND1: 'A - - - cancel',
  INSTALL2: 'A - - install cancel',
  DOWN2: 'A B - - cancel',
  ACT2: '- B - activate cancel',
  TRIAL2: '- B - - cancel',
  SYNC2: '- B - - cancel',
  COMMIT2: '- B - commit -',
  ADMIT2: '- - - - -',
  REFORM: '- - - - -',
  BACK1: '- - revert - -',
  BACK2: '- - - revert -',
  RB_HAND: 'B - - revert -',
  RB_DOWN: 'B A - - -',
  RB_ACT: '- A activate/return - -',
  RB_TRIAL: '- A - - -',
  RB_SYNC: '- A - - -',
  RB_COMMIT: '- A commit - -',
  RB_ADMIT: '- - - - -',
  FINALIZE: '- - finalize finalize -',
  DONE: '- - - - -',
  FAILED: '- - - - -',
  HOLD_MIXED: '- - - - -',
  ROLLED_BACK: '- - - - -',
  CANCELLED: '- - - - -',
};

for (const phase of PHASES) {
  t.test(`what ${phase} wants`, async (t) => {
    for (const first of ['A', 'B'] as const) {
      const rollout = rolloutRecord({ phase, first });
      const ask = (node: 'A' | 'B'): string => {
        const found = askOf(rollout, node);
        const back = found !== null && 'mode' in found && found.mode === 'return';
        return found === null ? '-' : `${found.do}${back ? '/return' : ''}`;
      };
      const second = nodeOf(rollout, 'second');
      const turn = (node: string | null): string =>
        node === null ? '-' : node === first ? 'A' : 'B';
      const found = [
        turn(holderWanted(rollout)),
        turn(downWanted(rollout)),
        ask(first),
        ask(second),
        canCancel(rollout) ? 'cancel' : '-',
      ];
      t.equal(found.join(' '), rows[phase], `${first} first`);
    }
    t.equal(running(rolloutRecord({ phase })), !END_PHASES.has(phase));
  });
}

t.test('a cancelled rollout or a rollback is not cancelled', async (t) => {
  const abort = { by: 'anna', at: '', reason: '' };
  t.notOk(canCancel(rolloutRecord({ abort })));
  t.notOk(canCancel(rolloutRecord({ kind: 'rollback' })));
});

t.test('an ask names the attempt, and a rollback only ever returns', async (t) => {
  const { nodes } = rolloutRecord();
  const third = { ...nodes, A: { ...nodes.A, attempts: 3 } };
  const record = rolloutRecord({ phase: 'INSTALL1', nodes: third });
  t.strictSame(askOf(record, 'A'), { do: 'install', attempt: 3, mode: 'install' });
  t.strictSame(askOf({ ...record, kind: 'rollback' }, 'A'), {
    do: 'install',
    attempt: 3,
    mode: 'return',
  });
});

t.test('the newest writer wins: epoch first, then sequence', async (t) => {
  t.ok(compareWriter({ epoch: 2, seq: 1 }, { epoch: 1, seq: 9 }) > 0);
  t.ok(compareWriter({ epoch: 1, seq: 2 }, { epoch: 1, seq: 3 }) < 0);
  t.equal(compareWriter({ epoch: 1, seq: 2 }, { epoch: 1, seq: 2 }), 0);
});

t.test('when a rollout ended', async (t) => {
  t.equal(endedAt(rolloutRecord({ phase: 'TRIAL1' })), null);
  t.equal(endedAt(rolloutRecord({ phase: 'FAILED', phaseAt: 'x' })), 'x');
  const { nodes } = rolloutRecord();
  const log = [{ at: '2026-01-01T00:00:09.000Z', phase: 'DONE' as const, text: '' }];
  const ended = { ...nodes, B: { ...nodes.B, log } };
  for (const phase of ['FINALIZE', 'DONE'] as const) {
    const record = rolloutRecord({ phase, phaseAt: '2026-01-02T00:00:00.000Z', nodes: ended });
    t.equal(endedAt(record), '2026-01-01T00:00:09.000Z', `${phase}: not the commit`);
  }
});
