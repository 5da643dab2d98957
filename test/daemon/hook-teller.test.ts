/**
 * What hooks of `notify` and `on-fail` are told: once, in order, and what happens when one hangs.
 * Imports the daemon.
 */
import t from 'tap';
import type { Alarm, TandemEvent } from '../../src/core/status.ts';
import { classOf, HookTeller } from '../../src/daemon/hook-teller.ts';
import { nodeState, rolloutRecord } from '../core/states.ts';
import { MemoryHooks } from '../memory/hooks.ts';

const event = (change: Partial<TandemEvent> = {}): TandemEvent => ({
  v: 1,
  seq: 1,
  ts: '2026-11-21T11:35:48.000Z',
  job: 'update-1',
  node: 'A',
  phase: null,
  state: 'phase',
  pct: null,
  eta_s: null,
  msg: 'node A serves',
  code: null,
  ...change,
});

/** Resolves when every message was told. */
async function rest(): Promise<void> {
  for (let count = 0; count < 2000; count++) await Promise.resolve();
}

/** A teller whose hooks note what they are told; the first one may wait. */
function make(first: Promise<unknown> = Promise.resolve()) {
  const told: object[] = [];
  const alarms: Alarm[] = [];
  const log: string[] = [];
  const hook = (point: string) => ({
    point,
    name: '10-tell',
    answer: async (input: object) => {
      if (told.length === 0) await first;
      told.push({ point, ...input });
      return 'good' as const;
    },
  });
  const teller = new HookTeller({
    node: 'A',
    hooks: new MemoryHooks([hook('notify'), hook('on-fail')]),
    alarms: () => [...alarms],
    tellsAlarms: () => true,
    log: (line) => log.push(line),
  });
  return { teller, told, alarms };
}

t.test('classes of events', async (t) => {
  t.equal(classOf(event()), 'update');
  t.equal(classOf(event({ state: 'rebooting' })), 'node');
  t.equal(classOf(event({ state: 'service', job: null })), 'service');
  t.equal(classOf(event({ state: 'schedule', job: null })), 'schedule');
  t.equal(classOf(event({ state: 'support' })), 'job');
  t.equal(classOf(event({ state: 'progress', pct: 7 })), null);
  t.equal(classOf(event({ state: 'verify', pct: 7 })), null, 'progress of a job');
});

t.test('each event once, by the node that it happened on', async (t) => {
  const { teller, told } = make();
  teller.onEvent(event({ seq: 1 }));
  teller.onEvent(event({ seq: 2, node: 'B' }));
  teller.onEvent(event({ seq: 3, state: 'progress', pct: 5 }));
  teller.onEvent(event({ seq: 4, state: 'ended' }));
  await rest();
  t.match(told, [
    { point: 'notify', v: 1, class: 'update', event: { seq: 1 } },
    { point: 'notify', class: 'update', event: { seq: 4, state: 'ended' } },
  ]);
  t.equal(told.length, 2);
});

t.test('a hook that hangs: the newest are kept, and how many were not is told', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { teller, told } = make(promise);
  for (let seq = 0; seq < 151; seq++) teller.onEvent(event({ seq }));
  resolve();
  await rest();
  t.equal(told.length, 101);
  t.match(told[1], { event: { seq: 51 }, dropped: 50 });
  t.match(told.at(-1), { event: { seq: 150 } });
});

t.test('alarms: raised and over', async (t) => {
  const { teller, told, alarms } = make();
  const alarm = { code: 'store.full', node: 'B', message: 'writes are refused' } as const;
  alarms.push(alarm);
  teller.look();
  teller.look();
  alarms.pop();
  teller.look();
  await rest();
  t.match(told, [
    { class: 'alarm', state: 'raised', alarm },
    { class: 'alarm', state: 'over', alarm },
  ]);
  t.equal(told.length, 2);
});

const at = (change: Parameters<typeof rolloutRecord>[0]) => ({
  ...nodeState('A'),
  rollout: rolloutRecord(change),
});

t.test('on-fail: an update that did not come to its end, once', async (t) => {
  const { teller, told } = make();
  const result = { code: 'active.failed', message: 'not healthy' } as const;
  teller.onState(at({ phase: 'FAILED', result }));
  await rest();
  t.strictSame(told, [], 'it had ended before this daemon began');
  teller.onState(at({ id: 'update-2', phase: 'TRIAL1' }));
  teller.onState(at({ id: 'update-2', phase: 'FAILED', result }));
  teller.onState(at({ id: 'update-2', phase: 'FAILED', result }));
  teller.onState(at({ id: 'update-3', phase: 'DONE' }));
  const cancelled = { code: 'job.cancelled', message: 'cancelled by anna' } as const;
  teller.onState(at({ id: 'update-4', phase: 'CANCELLED', result: cancelled }));
  teller.onState(at({ id: 'rollback-1', kind: 'rollback', phase: 'ROLLED_BACK' }));
  await rest();
  t.equal(told.length, 1);
  t.match(told[0], { point: 'on-fail', rollout: 'update-2', code: 'active.failed', node: 'A' });
});
