/**
 * Words about a prepared update, joining of copies, and the gates of its install, by exhaustion.
 * May import tap and core.
 */
import t from 'tap';
import { asUpdateError } from '../../src/core/errors.ts';
import { NODES, peerOf, type NodeId } from '../../src/core/model.ts';
import { makePlan, planMismatch } from '../../src/core/prepare-plan.ts';
import {
  changeOrder,
  installRefusal,
  isReady,
  joinCopies,
  openOf,
  type PrepareAct,
} from '../../src/core/prepare-order.ts';
import { prepareJob, prepareView } from '../../src/core/prepare-view.ts';
import { PREPARE_STAGES, type Preparation, type PrepareOrder } from '../../src/core/prepare.ts';
import { AT, columnAt, DIGEST, PLAN, preparationOf, prepareOrder, WORD } from './prepare-cases.ts';
import { manifestOf, release } from './states.ts';

const JOB = { job: 'update-7', by: 'anna', at: AT };
const FAILED = { good: false, code: 'health.check', message: 'not healthy', at: AT } as const;

/** What an act does: `changed`, `unchanged`, or the code of its refusal. */
function tried(found: Preparation | null, act: PrepareAct): string {
  try {
    return changeOrder(found, act, 1).changed ? 'changed' : 'unchanged';
  } catch (cause) {
    return asUpdateError(cause).code;
  }
}

const AGREED = { authorized: WORD, configured: WORD };

t.test('the gates, in every combination of what they ask for', async (t) => {
  let allowed = 0;
  const flags = [false, true];
  for (const doneA of flags) {
    for (const doneB of flags) {
      for (const ignored of [null, ...NODES]) {
        for (const authorized of flags) {
          for (const configured of flags) {
            for (const installs of flags) {
              for (const over of flags) {
                const preparation = preparationOf(
                  {
                    ignored: { A: null, B: null, ...(ignored && { [ignored]: WORD }) },
                    authorized: authorized ? WORD : null,
                    configured: configured ? WORD : null,
                    install: installs ? { ...JOB, result: null } : null,
                    ended: over ? { ...WORD, why: 'cancelled' } : null,
                  },
                  {
                    A: columnAt(doneA ? null : 'finalize'),
                    B: columnAt(doneB ? null : 'replicate'),
                  },
                );
                const lacks = { A: !doneA && ignored !== 'A', B: !doneB && ignored !== 'B' };
                const expected = over
                  ? 'prepare.unknown'
                  : installs
                    ? 'job.busy'
                    : lacks.B
                      ? 'pair.not_replicated'
                      : lacks.A
                        ? 'prepare.not_ready'
                        : !authorized
                          ? 'prepare.not_authorized'
                          : !configured
                            ? 'prepare.not_configured'
                            : 'allowed';
                const found = installRefusal(preparation, 'prepare-1')?.code ?? 'allowed';
                if (found !== expected) t.fail(`${found}, expected ${expected}`);
                if (found === 'allowed') allowed += 1;
                const { refusal } = prepareView('A', preparation, null);
                if ((refusal?.code ?? 'allowed') !== expected) t.fail('the view says otherwise');
                if (!over && isReady(preparation) !== !(lacks.A || lacks.B)) t.fail('ready');
              }
            }
          }
        }
      }
    }
  }
  t.equal(allowed, 5, 'both done, or one done and the other ignored');
  t.equal(installRefusal(null, 'x')?.code, 'prepare.unknown');
  t.equal(installRefusal(preparationOf(AGREED), 'prepare-2')?.code, 'prepare.unknown');
  const other = preparationOf(AGREED, {
    B: columnAt(null, 'done', { plan: 'e'.repeat(64) as never }),
  });
  t.equal(installRefusal(other, 'prepare-1')?.code, 'prepare.not_ready', 'another plan is none');
  const checks = [
    ['failed', 'prepare.not_ready'],
    ['waiting', 'pair.not_replicated'],
  ] as const;
  for (const [state, code] of checks) {
    const open = preparationOf(AGREED, { A: columnAt('checks', state) });
    t.equal(installRefusal(open, 'prepare-1')?.code, code, `checks ${state}`);
  }
});

t.test('ignore: one node, with what is left open there', async (t) => {
  const stuck = preparationOf({}, { B: columnAt('replicate', 'failed') });
  for (const node of NODES) {
    const open = preparationOf({}, { [node]: columnAt('updater', 'failed') });
    const ignored = changeOrder(open, { do: 'ignore', node, word: WORD }, 1);
    t.match(ignored, { changed: true, message: /updater: found so/ });
    t.equal(tried(ignored.preparation, { do: 'ignore', node, word: WORD }), 'unchanged');
    const both = { do: 'ignore', node: peerOf(node), word: WORD } as const;
    t.equal(tried(ignored.preparation, both), 'prepare.refused');
    t.equal(tried(ignored.preparation, { do: 'heed', node, word: WORD }), 'changed');
    t.equal(tried(open, { do: 'heed', node, word: WORD }), 'unchanged');
  }
  t.equal(tried(stuck, { do: 'ignore', node: 'A', word: WORD }), 'unchanged', 'A is prepared');
});

t.test('one authorisation is one install, and a failed one is not begun again', async (t) => {
  const whole = preparationOf(AGREED);
  const begun = changeOrder(whole, { do: 'install', ...JOB }, 1).preparation;
  t.match(begun.order, { authorized: null, configured: WORD, install: { result: null } });
  t.equal(tried(begun, { do: 'install', ...JOB, job: 'update-8' }), 'job.busy');
  t.equal(tried(begun, { do: 'cancel', word: WORD }), 'job.busy');
  t.equal(tried(begun, { do: 'configure', word: WORD, options: {} }), 'job.busy');
  const result = { good: false, code: 'health.check', message: 'not healthy' } as const;
  const other = { do: 'installed', job: 'update-8', at: AT, result } as const;
  t.equal(tried(begun, other), 'unchanged');
  const failed = changeOrder(begun, { ...other, job: 'update-7' }, 1).preparation;
  t.match(openOf(failed)?.order.install, { result: FAILED });
  t.equal(tried(failed, { do: 'install', ...JOB }), 'prepare.not_authorized');
  t.match(installRefusal(failed, 'prepare-1')?.message, /not healthy/);
  const again = changeOrder(failed, { do: 'authorize', word: WORD }, 1).preparation;
  const twice = changeOrder(again, { do: 'install', ...JOB, job: 'update-8' }, 1).preparation;
  const good = {
    do: 'installed',
    job: 'update-8',
    at: AT,
    result: { ...result, good: true },
  } as const;
  const done = changeOrder(twice, good, 1).preparation;
  t.match(done.order.ended, { why: 'installed' });
  t.equal(openOf(done), null);
  for (const act of [
    { do: 'authorize', word: WORD },
    { do: 'cancel', word: WORD },
    { do: 'retry', word: WORD },
    { do: 'plan', plan: null },
    { do: 'ready', at: AT },
  ] as const) {
    t.equal(tried(done, act), 'prepare.unknown', act.do);
    t.equal(tried(null, act), 'prepare.unknown', act.do);
  }
});

/** The word that settles the options. */
function settle(options: Partial<PrepareOrder['options']>): PrepareAct {
  return { do: 'configure', word: WORD, options };
}

t.test('options: settled as planned, or with a new plan', async (t) => {
  const whole = preparationOf();
  const planned = changeOrder(whole, settle({}), 1).preparation;
  t.match(planned.order, { configured: WORD, plan: { digest: DIGEST } });
  t.equal(tried(planned, settle({ order: 'active-first' })), 'unchanged');
  const changed = changeOrder(planned, settle({ order: 'standby-first' }), 1).preparation;
  t.match(changed.order, {
    plan: null,
    options: { order: 'standby-first', onSecondFailure: 'hold' },
  });
  t.notOk(isReady(changed));
  t.equal(tried(changed, { do: 'plan', plan: null }), 'internal.bug');
  t.equal(tried(changed, { do: 'plan', plan: { digest: DIGEST, content: PLAN } }), 'changed');
  t.equal(tried(whole, { do: 'plan', plan: null }), 'unchanged');
});

t.test('begin: one at a time, the same bundle again is the same', async (t) => {
  const order = prepareOrder({ id: 'prepare-2', plan: null });
  const whole = preparationOf();
  t.equal(tried(whole, { do: 'begin', order }), 'unchanged');
  const other = { ...order, bundle: 'e'.repeat(64) as never, version: '3.0.0' };
  t.equal(tried(whole, { do: 'begin', order: other }), 'prepare.busy');
  const over = changeOrder(whole, { do: 'cancel', word: WORD }, 1).preparation;
  t.match(prepareJob(over), { state: 'failed', code: 'job.cancelled', exit: 41 });
  const { preparation } = changeOrder(over, { do: 'begin', order: other }, 3);
  t.match(preparation.order, { id: 'prepare-2', writer: { epoch: 3 } });
  t.strictSame(joinCopies(over, preparation), preparation, 'it replaces what is over');
  t.match(prepareJob(preparation), { state: 'running', kind: 'prepare', message: /at checks/ });
  for (const node of NODES) {
    t.ok(preparation.nodes[node].seq > over.nodes[node].seq, 'an old column never comes back');
  }
  const ready = changeOrder(whole, { do: 'ready', at: AT }, 1).preparation;
  t.match(prepareJob(ready), { state: 'done', exit: 0, endedAt: AT, message: /both nodes/ });
  t.equal(tried(ready, { do: 'ready', at: AT }), 'unchanged');
  t.equal(tried(preparation, { do: 'ready', at: AT }), 'unchanged', 'it is not ready');
});

const column = (stage: number) => columnAt(PREPARE_STAGES[stage]!, 'done', { seq: stage });

/** Copies as two nodes can have them: what has the same numbers is the same. */
function copies(): readonly Preparation[] {
  const all: Preparation[] = [];
  for (const [id, epoch, seq] of [
    ['prepare-1', 1, 1],
    ['prepare-1', 1, 2],
    ['prepare-1', 2, 2],
    ['prepare-2', 2, 3],
  ] as const) {
    for (const a of [1, 2, 3]) {
      for (const b of [1, 2]) {
        all.push(
          preparationOf({ id, retry: seq, writer: { epoch, seq } }, { A: column(a), B: column(b) }),
        );
      }
    }
  }
  return all;
}

const same = (x: unknown, y: unknown): boolean => JSON.stringify(x) === JSON.stringify(y);

t.test('joining copies: any order, any number of times', async (t) => {
  const all: readonly (Preparation | null)[] = [null, ...copies()];
  let count = 0;
  for (const a of all) {
    if (!same(joinCopies(a, a), a)) t.fail('joining with itself changes it');
    for (const b of all) {
      const joined = joinCopies(a, b);
      if (!same(joined, joinCopies(b, a))) t.fail('the order of two matters');
      if (!same(joinCopies(joined, b), joined)) t.fail('joining again changes it');
      for (const c of all) {
        count += 1;
        if (!same(joinCopies(joined, c), joinCopies(a, joinCopies(b, c)))) t.fail('groups matter');
      }
    }
  }
  t.equal(count, all.length ** 3);
});

t.test('every word makes a newer order, so that a copy of before never wins', async (t) => {
  const open = preparationOf({ plan: null }, { B: columnAt('checks', 'failed') });
  const acts: readonly PrepareAct[] = [
    { do: 'ignore', node: 'B', word: WORD },
    { do: 'authorize', word: WORD },
    { do: 'retry', word: WORD },
    { do: 'cancel', word: WORD },
    { do: 'configure', word: WORD, options: {} },
    { do: 'plan', plan: { digest: DIGEST, content: PLAN } },
  ];
  for (const act of acts) {
    for (const epoch of [1, 4]) {
      const { preparation, changed } = changeOrder(open, act, epoch);
      t.ok(changed, act.do);
      t.strictSame(joinCopies(open, preparation)?.order, preparation.order);
      t.strictSame(joinCopies(preparation, open)?.order, preparation.order);
      t.equal(preparation.order.writer.epoch, epoch);
    }
  }
});

/** A node that runs these releases. */
const node = (counter: number) => ({
  system: release('system', counter),
  storage: release('storage', counter),
  floor: 0,
  reachable: true,
});
/** What policy knows of such a pair. */
const view = (a: number, b: number) => ({
  product: 'appliance',
  hardware: 'bench',
  updaterVersion: '1.0.0',
  protocol: [1, 1] as const,
  nodes: { A: node(a), B: node(b) },
  requiresKnown: [],
  bundle: null,
  bundleBytes: null,
});

t.test('a plan fits as long as the nodes run what they ran', async (t) => {
  const { id, bundle, bytes, options, estimateS } = PLAN;
  const draft = { id, bundle, bytes, options, estimateS, at: AT };
  const plan = makePlan(manifestOf(3), view(1, 1), draft);
  t.match(
    plan.nodes.A.images.map(({ name }) => name),
    ['system', 'storage'],
  );
  t.equal(planMismatch(plan, makePlan(manifestOf(3), view(1, 1), { ...draft, at: 'later' })), null);
  const cases: readonly (readonly [number, number, NodeId])[] = [
    [2, 1, 'A'],
    [1, 2, 'B'],
    [3, 3, 'A'],
  ];
  for (const [a, b, where] of cases) {
    const why = planMismatch(plan, makePlan(manifestOf(3), view(a, b), draft));
    t.match(why, new RegExp(`of node ${where} was 1\\.0\\.0`));
  }
});
