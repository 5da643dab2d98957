/**
 * A prepared update in short: what the status says in each state, when a stage counts as stuck and
 * what its alarm names, when all of it is outdated. May import tap and core.
 */
import t from 'tap';
import { CODES } from '../../src/core/codes.ts';
import { prepareBrief, stuckAlarm, stuckStages } from '../../src/core/prepare-brief.ts';
import { changeOrder, installRefusal, outdatedOf } from '../../src/core/prepare-order.ts';
import { misfit } from '../../src/core/prepare-plan.ts';
import { stepColumn, STUCK_TRIES, stuckStage, type PrepareColumn } from '../../src/core/prepare.ts';
import { AT, columnAt, PLAN, preparationOf, prepareOrder, WORD } from './prepare-cases.ts';
import { release } from './states.ts';

const NO_ROOM = { code: 'space.depot', message: 'no room' } as const;
const stage = 'replicate';

/** A column whose `replicate` failed so often for this reason. */
function failed(times: number, reason = NO_ROOM as { code: never; message: string }) {
  let column: PrepareColumn = columnAt(stage);
  for (let count = 0; count < times; count += 1) {
    column = stepColumn(column, { type: 'begin', stage, message: 'at work', at: `b${count}` });
    column = stepColumn(column, { type: 'failed', stage, reason, at: `2026-01-0${count + 1}` });
  }
  return column;
}

const brief = (...args: Parameters<typeof preparationOf>) => prepareBrief(preparationOf(...args));

t.test('one sentence for each state, and one for each node', async (t) => {
  t.equal(prepareBrief(null), null);
  t.equal(prepareBrief(preparationOf({ ended: { ...WORD, why: 'cancelled' } })), null);
  t.match(brief({}, { A: columnAt('plan', 'running'), B: columnAt('checks') }), {
    state: 'preparing',
    text: 'Update 2.0.0 is being prepared (node A: at plan; node B: before checks)',
    nodes: { A: { stage: 'plan', state: 'running' }, B: { stage: 'checks', state: 'waiting' } },
  });
  t.match(brief(), {
    state: 'prepared',
    text: 'Update 2.0.0 is prepared (nobody has authorised the install of 2.0.0)',
    nodes: { A: { stage: null, state: 'done', text: 'ready' } },
  });
  const agreed = { authorized: WORD, configured: WORD };
  t.match(brief(agreed), { text: 'Update 2.0.0 is prepared (it may be installed)' });
  const install = { job: 'update-7', by: 'anna', at: AT, result: null };
  t.match(brief({ ...agreed, install }), { state: 'installing', text: /update-7 runs$/ });
  t.match(brief({ outdated: { message: 'why', at: AT } }), { state: 'outdated', text: /\(why\)$/ });
  const ignored = { A: null, B: WORD };
  t.match(brief({ ignored }, { B: failed(9) }), {
    state: 'prepared',
    nodes: { B: { text: 'ignored' } },
  });
  t.match(brief({}, { B: failed(STUCK_TRIES) }), {
    state: 'stuck',
    text: /^Update 2.0.0 cannot be .*A: ready; node B: replicate failed 5 times, no room\)$/,
  });
});

t.test('stuck: from the fifth failure on, also while it is tried again', async (t) => {
  t.equal(stuckStage(failed(STUCK_TRIES - 1)), null);
  const stuck = failed(STUCK_TRIES);
  t.equal(stuckStage(stuck), stage);
  const again = stepColumn(stuck, { type: 'begin', stage, message: 'at work', at: AT });
  t.equal(stuckStage(again), stage, 'it does not flicker');
  t.match(again.stages.replicate, { code: null, failing: { ...NO_ROOM, since: '2026-01-01' } });
  const fifth = stepColumn(failed(4), { type: 'begin', stage, message: 'at work', at: AT });
  t.equal(stuckStage(fifth), null, 'the fifth try has not failed yet');
  const done = stepColumn(again, { type: 'done', stage, message: 'there', at: AT });
  t.equal(stuckStage(done), null);
  t.notOk(done.stages.replicate.failing, 'what passed has no failure left');
  const word = stepColumn(stuck, { type: 'retry', retry: 1, at: AT });
  t.equal(stuckStage(word), null, 'somebody looks after it');
  t.notOk(word.stages.replicate.failing);
  const cut = stepColumn(again, { type: 'interrupted', at: AT });
  t.match(cut.stages.replicate.failing, { code: 'job.interrupted', since: '2026-01-01' });
});

t.test('the alarm names node, stage, newest failure and what to do', async (t) => {
  const found = preparationOf({}, { B: failed(6) });
  const [stuck, ...more] = stuckStages(found);
  t.strictSame(more, []);
  t.strictSame(stuckAlarm('2.0.0', { ...stuck!, since: '2026-01-01T02:03:04.000Z' }), {
    code: 'prepare.stuck',
    node: 'B',
    message:
      'replicate of the prepared update 2.0.0 failed 6 times since 2026-01-01 02:03 UTC: no room ' +
      `(space.depot). ${CODES['space.depot'].next} ` +
      'Or go on without the node: `tandem prepare ignore B`.',
  });
  t.strictSame(stuckStages(preparationOf({ ignored: { A: null, B: WORD } }, { B: failed(6) })), []);
  t.strictSame(stuckStages(preparationOf({ ended: { ...WORD, why: 'cancelled' } })), []);
  const outdated = { message: 'why', at: AT };
  t.strictSame(stuckStages(preparationOf({ outdated }, { B: failed(6) })), [], 'no try helps');
});

const runs = (system: number | null, floor = 1) => ({
  system: system === null ? null : release('system', system),
  storage: release('storage', 1),
  floor,
  reachable: true,
});

t.test(
  'outdated: what the nodes run is not what was planned for, or the bundle is gone',
  async (t) => {
    const from = {
      system: { version: '1.0.0', counter: 1 },
      storage: { version: '1.0.0', counter: 1 },
    };
    const planned = { from, skip: false, images: [] };
    const content = { ...PLAN, nodes: { A: planned, B: planned } };
    const order = prepareOrder({ plan: { digest: 'd'.repeat(64) as never, content } });
    t.equal(misfit(order, { nodes: { A: runs(1), B: runs(1) } }), null);
    t.match(
      misfit(order, { nodes: { A: runs(1), B: runs(2) } }),
      /^the system of node B was 1.0.0/,
    );
    t.equal(misfit(order, { nodes: { A: runs(1), B: runs(null) } }), null, 'not known is no news');
    t.match(
      misfit(order, { nodes: { A: runs(1), B: runs(1, 3) } }),
      /^it is release 2, the lowest/,
    );
    t.equal(misfit({ ...order, plan: null }, { nodes: { A: runs(2), B: runs(2) } }), null);

    const why = { do: 'outdated', why: 'because', at: AT } as const;
    const old = changeOrder(preparationOf({ authorized: WORD, configured: WORD }), why, 1);
    t.match(old, { changed: true, message: '2.0.0 is outdated: because' });
    t.match(installRefusal(old.preparation, 'prepare-1'), { code: 'prepare.outdated' });
    t.equal(changeOrder(old.preparation, why, 1).changed, false);
    const fits = changeOrder(old.preparation, { ...why, why: null }, 1);
    t.match(fits, { changed: true, message: '2.0.0 fits the pair again' });
    t.equal(installRefusal(fits.preparation, 'prepare-1'), null);

    const gone = failed(1, { code: 'prepare.outdated' as never, message: 'the bundle is gone' });
    t.equal(outdatedOf(preparationOf({}, { A: gone })), 'the bundle is gone');
    t.equal(outdatedOf(preparationOf({ ignored: { A: WORD, B: null } }, { A: gone })), null);
  },
);
