/**
 * The stages of a node, by exhaustion: every reachable state under every event. And the record as
 * it is read back. May import tap and core.
 */
import t, { type Test } from 'tap';
import { isLaterPreparation, readPreparation } from '../../src/core/prepare-shape.ts';
import {
  dueStage,
  newColumn,
  PREPARE_CHARS_MAX,
  PREPARE_STAGES,
  RETRY_WAITS_S,
  runningStage,
  stepColumn,
  waitBeforeS,
  type PrepareColumn,
  type PrepareEvent,
} from '../../src/core/prepare.ts';
import { AT, columnAt, DIGEST, preparationOf } from './prepare-cases.ts';

const REASON = { code: 'space.depot', message: 'no room' } as const;
const TRIES_MAX = 3;

/** Every event that there is. */
const EVENTS: readonly PrepareEvent[] = [
  ...PREPARE_STAGES.flatMap((stage): PrepareEvent[] => [
    { type: 'begin', stage, message: 'at work', at: AT },
    { type: 'done', stage, message: 'it is there', at: AT },
    { type: 'failed', stage, reason: REASON, at: AT },
    { type: 'lost', stage, message: 'it is gone', at: AT },
  ]),
  { type: 'done', stage: 'plan', message: 'it is there', plan: DIGEST, at: AT },
  { type: 'interrupted', at: AT },
  { type: 'retry', retry: 1, at: AT },
];

/** What tells two columns apart, but for counters that only grow. */
function keyOf({ stages, plan, retry }: PrepareColumn): string {
  const words = PREPARE_STAGES.map((stage) => {
    const { state, tries, code } = stages[stage];
    return `${state}${tries}${code ?? ''}`;
  });
  return [...words, plan, retry].join(' ');
}

/** Every state that can be reached, with at most so many tries of a stage. */
function reachable(): readonly PrepareColumn[] {
  const found = new Map<string, PrepareColumn>();
  const open = [newColumn()];
  for (;;) {
    const column = open.pop();
    if (column === undefined) return [...found.values()];
    const key = keyOf(column);
    if (found.has(key)) continue;
    if (PREPARE_STAGES.some((stage) => column.stages[stage].tries > TRIES_MAX)) continue;
    found.set(key, column);
    for (const event of EVENTS) open.push(stepColumn(column, event));
  }
}

const ALL = reachable();

t.test('every state under every event: one at a time, in their order, never back', async (t) => {
  t.ok(ALL.length > 60, `${ALL.length} states`);
  for (const column of ALL) {
    const states = PREPARE_STAGES.map((stage) => column.stages[stage].state);
    const first = states.findIndex((state) => state !== 'done');
    const after = first < 0 ? [] : states.slice(first + 1);
    if (after.some((state) => state !== 'waiting')) t.fail(`a stage is ahead: ${states.join(' ')}`);
    const due = dueStage(column);
    const at = runningStage(column);
    if ((due === null) !== (at !== null || first < 0)) t.fail(`due: ${states.join(' ')}`);
    for (const event of EVENTS) {
      const next = stepColumn(column, event);
      const same = keyOf(next) === keyOf(column);
      if (next === column) continue;
      if (next.seq <= column.seq) t.fail(`${event.type} does not count: ${states.join(' ')}`);
      if (same && event.type !== 'begin') t.fail(`${event.type} changes nothing and counts`);
      checkStep(t, column, event, next);
    }
  }
});

/** What one step may do. */
function checkStep(t: Test, column: PrepareColumn, event: PrepareEvent, next: PrepareColumn): void {
  for (const [index, stage] of PREPARE_STAGES.entries()) {
    const [before, now] = [column.stages[stage], next.stages[stage]];
    if (before === now) continue;
    const named = 'stage' in event ? PREPARE_STAGES.indexOf(event.stage) : index;
    if (event.type === 'lost' ? index < named : index !== named) {
      t.fail(`${event.type} touches ${stage}`);
    }
    if (before.state === 'done' && event.type !== 'lost') t.fail(`${event.type} undoes ${stage}`);
    if (now.state === 'done' && before.state !== 'running') t.fail(`${stage} was never at work`);
    if (now.state === 'failed' && now.code === null) t.fail(`${stage} fails without a cause`);
    if (now.state !== 'failed' && now.code !== null) t.fail(`${stage} keeps an old cause`);
  }
}

t.test('from everywhere there is a way to the end', async (t) => {
  for (const column of ALL) {
    let now = column;
    for (let step = 0; step < 20; step += 1) {
      const stage = runningStage(now) ?? dueStage(now);
      if (stage === null) break;
      const type = runningStage(now) === null ? 'begin' : 'done';
      now = stepColumn(now, { type, stage, message: '', at: AT });
    }
    if (dueStage(now) !== null || runningStage(now) !== null) t.fail(keyOf(column));
  }
  t.pass('all of them');
});

/** The daemon ends in the middle of the first stage. */
function cut(before: PrepareColumn): PrepareColumn {
  const begun = stepColumn(before, { type: 'begin', stage: 'checks', message: '', at: AT });
  return stepColumn(begun, { type: 'interrupted', at: AT });
}

t.test('pauses grow to a quarter of an hour; what the daemon interrupted waits less', async (t) => {
  let column = newColumn();
  const waits: number[] = [];
  for (let count = 0; count < 8; count += 1) {
    column = stepColumn(column, { type: 'begin', stage: 'checks', message: '', at: AT });
    column = stepColumn(column, { type: 'failed', stage: 'checks', reason: REASON, at: AT });
    waits.push(waitBeforeS(column.stages.checks));
  }
  t.strictSame(waits, [60, 120, 240, 480, 900, 900, 900, 900]);
  t.equal(waits[4], RETRY_WAITS_S.at(-1));
  const again = stepColumn(column, { type: 'retry', retry: 1, at: AT });
  t.match(again.stages.checks, { state: 'waiting', tries: 0 });
  t.equal(waitBeforeS(again.stages.checks), 0);
  t.equal(stepColumn(again, { type: 'retry', retry: 1, at: AT }), again, 'one word counts once');
  const once = cut(newColumn());
  t.match(once.stages.checks, { state: 'failed', code: 'job.interrupted', tries: 1 });
  t.equal(waitBeforeS(once.stages.checks), 0, 'a daemon that was restarted goes on at once');
  t.equal(waitBeforeS(cut(once).stages.checks), 60, 'one that dies of it does not try for ever');
  const long = { code: 'hook.veto', message: 'x'.repeat(2000) } as const;
  const begun = columnAt('checks', 'running');
  const failed = stepColumn(begun, { type: 'failed', stage: 'checks', reason: long, at: AT });
  t.equal(failed.stages.checks.message.length, PREPARE_CHARS_MAX);
});

t.test('a record is read back as it was, and nothing else is one', async (t) => {
  const whole = preparationOf();
  t.strictSame(readPreparation(JSON.parse(JSON.stringify(whole))), whole);
  for (const column of ALL.slice(0, 20)) {
    t.ok(readPreparation(JSON.parse(JSON.stringify(preparationOf({}, { A: column })))));
  }
  const more = { ...whole, later: 1, order: { ...whole.order, later: true } };
  t.ok(readPreparation(more), 'a later program may say more');
  t.equal(isLaterPreparation({ ...whole, v: 2 }), true);
  t.equal(isLaterPreparation(whole), false);
  let refused = 0;
  const without = (value: unknown, path: readonly string[]): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const [key, ...rest] = path;
    const copy: Record<string, unknown> = { ...value };
    if (rest.length === 0) delete copy[key!];
    else copy[key!] = without(copy[key!], rest);
    return copy;
  };
  const paths = (value: unknown, at: readonly string[]): string[][] => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
    return Object.entries(value).flatMap(([key, inner]) => [
      [...at, key],
      ...paths(inner, [...at, key]),
    ]);
  };
  for (const path of paths(whole, [])) {
    if (readPreparation(without(whole, path)) === null) refused += 1;
    else t.match(path.join('.'), /updater$|reason$/, `${path.join('.')} may be missing`);
  }
  t.ok(refused > 100, `${refused} fields that must be there`);
  for (const value of [null, 1, 'x', [], {}, { v: 1 }]) t.equal(readPreparation(value), null);
});
