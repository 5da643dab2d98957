/**
 * The runner: events in their order, durable before visible, a journal that fails, reports that are
 * old, records that are sent until they are acknowledged. Link and journal are scripted, time is
 * virtual. May import tap, core and the module under test.
 */
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import type { PairMessage, ReportHead } from '../../src/core/report.ts';
import type { Event, NodeState } from '../../src/core/state.ts';
import type { JournalRecord, LinkChannel } from '../../src/ports.ts';
import type { Execute } from '../../src/updater/effects.ts';
import { BEAT_MS, Runner } from '../../src/updater/runner.ts';
import { BUNDLE, nodeState, rolloutRecord, storeStatus } from '../core/states.ts';
import { MemoryHost } from '../memory/host.ts';
import { VirtualClock } from './virtual-clock.ts';

type Sent = Extract<PairMessage, { type: 'report' | 'rollout' }>;

/** A runner between a scripted peer and a journal that can be slow or fail. */
function harness(initial: NodeState, execute: Execute = () => Promise.resolve()) {
  const clock = new VirtualClock();
  const appended: JournalRecord[] = [];
  const sent: Sent[] = [];
  const order: string[] = [];
  const steps: NodeState[] = [];
  const messages: PairMessage[] = [];
  const refused: ReportHead[] = [];
  const fatal: UpdateError[] = [];
  const log: string[] = [];
  const listeners: ((message: unknown) => void)[] = [];
  const changes: (() => void)[] = [];
  const script = { up: true, gate: Promise.resolve(), broken: false };
  const channel = (): LinkChannel => ({ name: 'network', up: script.up, ageMs: 0, error: null });
  const journal = {
    read: () => Promise.reject(new Error('is not read')),
    repair: () => Promise.reject(new Error('is not repaired')),
    append: async (record: JournalRecord) => {
      await script.gate;
      if (script.broken) throw new UpdateError('state.io', 'the disk is gone');
      appended.push(record);
      order.push(`append ${record.kind}`);
    },
  };
  const link = {
    send: (message: object) => {
      const copy = structuredClone(message) as Sent;
      sent.push(copy);
      order.push(`send ${copy.type}`);
    },
    onMessage: (listener: (message: unknown) => void) => void listeners.push(listener),
    onChange: (listener: () => void) => void changes.push(listener),
    channels: () => [channel()],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const host = new MemoryHost(initial.world.boot);
  const runner = new Runner(initial, { journal, link, host, pause: clock.pause }, execute, {
    onStep: (_before, after) => {
      steps.push(after);
      order.push('step');
    },
    onMessage: (message) => messages.push(message),
    onRefused: (report) => refused.push(report),
    onFatal: (error) => fatal.push(error),
    log: (line) => log.push(line),
  });
  return {
    clock,
    appended,
    sent,
    order,
    steps,
    messages,
    refused,
    fatal,
    log,
    script,
    runner,
    hear: (message: unknown) => {
      for (const listener of listeners) listener(message);
    },
    change: (up: boolean) => {
      script.up = up;
      for (const listener of changes) listener();
    },
    reports: () => sent.flatMap((one) => (one.type === 'report' ? [one.report] : [])),
    rollouts: () => sent.flatMap((one) => (one.type === 'rollout' ? [one.record] : [])),
  };
}

/** The peer's report, with its position in this rollout. */
function peerSays(s: NodeState, seq: number, rollout: RolloutRecord | null): object {
  const position =
    rollout === null ? null : { id: rollout.id, ...rollout.writer, phase: rollout.phase };
  return { type: 'report', report: { ...s.world.peer, seq, rollout: position } };
}

t.test('a state is in the journal before anyone sees it', async (t) => {
  const found = nodeState('A', { world: { depot: [BUNDLE] }, peer: { depot: [BUNDLE] } });
  const h = harness(found);
  h.runner.start();
  await h.clock.settle();
  const gate = Promise.withResolvers<void>();
  h.script.gate = gate.promise;
  const before = h.sent.length;
  const started = h.runner.dispatch({ type: 'start', record: rolloutRecord() });
  await h.clock.advance(2000);
  t.equal(h.sent.length, before, 'nothing is sent while the disk is slow');
  t.equal(h.runner.state.rollout, null);
  gate.resolve();
  t.ok(await started);
  // The peer acknowledges whatever it got, until both are in INSTALL1 and the record changes.
  for (let seq = 2; seq < 6; seq++) {
    h.hear(peerSays(found, seq, h.rollouts().at(-1) ?? null));
    await h.clock.settle();
  }
  t.equal(h.runner.state.rollout?.phase, 'INSTALL1');
  t.equal(h.runner.state.record.update.state, 'installing');
  const durable = new Set(h.appended.map((one) => JSON.stringify(one.record)));
  durable.add(JSON.stringify(found.record));
  for (const report of h.reports()) t.ok(durable.has(JSON.stringify(report.record)));
  for (const record of h.rollouts()) t.ok(durable.has(JSON.stringify(record)));
  t.ok(h.order.indexOf('append rollout') < h.order.indexOf('send rollout'));
  await h.runner[Symbol.asyncDispose]();
});

t.test('an effect starts only when its state is durable', async (t) => {
  const started: string[] = [];
  const found = nodeState('A', { world: { depot: [BUNDLE] }, peer: { depot: [BUNDLE] } });
  const h = harness(found, (effect) => {
    started.push(effect.do);
    return Promise.resolve();
  });
  h.runner.start();
  await h.runner.dispatch({ type: 'start', record: rolloutRecord() });
  h.hear(peerSays(found, 2, h.runner.state.rollout));
  await h.clock.settle();
  const gate = Promise.withResolvers<void>();
  h.script.gate = gate.promise;
  h.hear(peerSays(found, 3, h.runner.state.rollout));
  await h.clock.settle();
  t.notOk(started.includes('install'), `not yet: ${started.join()}`);
  gate.resolve();
  await h.clock.settle();
  t.ok(started.includes('install'));
  t.match(h.appended.at(-1), { kind: 'node', record: { update: { state: 'installing' } } });
  await h.runner[Symbol.asyncDispose]();
});

t.test('events are taken in their order, one after the other', async (t) => {
  const h = harness(nodeState('B'));
  const answers = Array.from({ length: 20 }, (_, index) =>
    h.runner.dispatch({ type: 'bulk', port: index }),
  );
  t.strictSame(
    await Promise.all(answers),
    answers.map(() => true),
  );
  // What an event brings about by itself (here the first one) comes right after it.
  const ports = [...new Set(h.steps.map((s) => s.world.bulkPort))];
  t.strictSame(
    ports,
    Array.from({ length: 20 }, (_, index) => index),
  );
});

t.test('an event without meaning changes nothing and is logged', async (t) => {
  const h = harness(nodeState('B'));
  const events: Event[] = [
    { type: 'cancel', by: 'x', reason: 'y' },
    { type: 'finalize' },
    { type: 'start', record: rolloutRecord() },
    { type: 'health', trialId: 1, reason: null },
    { type: 'storage-proven', trialId: 1 },
  ];
  for (const event of events) t.notOk(await h.runner.dispatch(event), event.type);
  t.strictSame(h.appended, []);
  t.equal(h.log.length, events.length);
  t.match(h.log[0], 'event cancel has no meaning now');
});

t.test('a journal that fails: fatal, and nothing is told or done any more', async (t) => {
  const started: string[] = [];
  const h = harness(nodeState('A', { world: { depot: [BUNDLE] } }), (effect) => {
    started.push(effect.do);
    return Promise.resolve();
  });
  h.runner.start();
  await h.clock.settle();
  const before = h.sent.length;
  h.script.broken = true;
  t.notOk(await h.runner.dispatch({ type: 'start', record: rolloutRecord() }));
  t.strictSame(
    h.fatal.map((error) => error.code),
    ['state.io'],
  );
  t.equal(h.runner.state.rollout, null, 'the state stays what is durable');
  h.script.broken = false;
  t.notOk(await h.runner.dispatch({ type: 'tick' }), 'also when the disk is back');
  h.change(true);
  await h.clock.advance(3000);
  t.equal(h.sent.length, before);
  t.equal(h.fatal.length, 1, 'told once');
  t.strictSame(h.appended, []);
  t.strictSame(started, []);
  await h.runner[Symbol.asyncDispose]();
});

t.test('an older report of the same run is dropped, a new run begins anew', async (t) => {
  const found = nodeState('A');
  const h = harness(found);
  h.runner.start();
  const say = async (run: string, seq: number, bulkPort: number): Promise<number | null> => {
    h.hear({ type: 'report', report: { ...found.world.peer, run, seq, bulkPort } });
    await h.clock.settle();
    return h.runner.state.world.peer?.bulkPort ?? null;
  };
  t.equal(await say('run-B', 5, 5), 5);
  t.equal(await say('run-B', 4, 4), 5);
  t.equal(await say('run-B', 5, 6), 5);
  t.equal(await say('run-B', 7, 7), 7);
  t.equal(await say('run-C', 1, 1), 1);
  await h.runner[Symbol.asyncDispose]();
});

t.test('a rollout record is sent with every beat until it is acknowledged', async (t) => {
  const found = nodeState('A');
  const h = harness(found);
  h.runner.start();
  h.hear(peerSays(found, 2, null));
  await h.clock.settle();
  await h.runner.dispatch({ type: 'start', record: rolloutRecord() });
  const first = h.rollouts().length;
  t.ok(first >= 1, 'at once');
  await h.clock.advance(5 * BEAT_MS);
  t.equal(h.rollouts().length, first + 5, 'and with every beat');
  h.hear(peerSays(found, 3, { ...rolloutRecord(), writer: { epoch: 0, seq: 9 } }));
  await h.clock.advance(BEAT_MS);
  t.ok(h.rollouts().length > first + 5, 'an older one is no acknowledgement');
  h.hear(peerSays(found, 4, h.runner.state.rollout));
  await h.clock.settle();
  const acknowledged = h.rollouts().length;
  await h.clock.advance(5 * BEAT_MS);
  t.equal(h.rollouts().length, acknowledged);
  t.ok(h.reports().length > 10, 'reports go on');
  await h.runner[Symbol.asyncDispose]();
});

t.test('a report goes out at once when it is news, else with the beat', async (t) => {
  const h = harness(nodeState('B'));
  h.runner.start();
  await h.clock.settle();
  const began = h.sent.length;
  t.ok(began >= 1, 'when the link is up');
  await h.runner.dispatch({ type: 'bulk', port: null });
  await h.runner.dispatch({ type: 'bulk', port: null });
  t.equal(h.sent.length, began, 'nothing new');
  await h.runner.dispatch({ type: 'bulk', port: 7 });
  t.equal(h.sent.length, began + 1, 'news');
  await h.clock.advance(BEAT_MS);
  t.equal(h.sent.length, began + 2, 'the beat');
  h.change(true);
  await h.clock.settle();
  t.equal(h.sent.length, began + 3, 'a channel that comes up gets the whole state');
  h.change(false);
  await h.clock.advance(2 * BEAT_MS);
  t.equal(h.sent.length, began + 3, 'no channel, no report');
  const seqs = h.reports().map((report) => report.seq);
  t.strictSame(
    seqs,
    seqs.map((_, index) => index + 1),
    'numbered without a gap',
  );
  await h.runner[Symbol.asyncDispose]();
});

t.test('a lost link forgets the peer; its next report connects again', async (t) => {
  const found = nodeState('B', { world: { store: storeStatus('secondary') } });
  const h = harness(found);
  h.runner.start();
  await h.clock.settle();
  h.change(false);
  await h.clock.settle();
  t.match(h.runner.state.world, { linkUp: false, peer: null });
  h.change(true);
  await h.clock.settle();
  t.match(h.runner.state.world, { linkUp: true, peer: null });
  h.hear(peerSays(found, 1, null));
  await h.clock.settle();
  t.equal(h.runner.state.world.peer?.seq, 1);
  await h.runner[Symbol.asyncDispose]();
});

t.test('what is not for the machine is passed on, what is nothing is ignored', async (t) => {
  const found = nodeState('B');
  const h = harness(found);
  h.runner.start();
  await h.clock.settle();
  const others = [
    { type: 'event', id: '1', event: { v: 1 } },
    { type: 'request', id: 'r', request: { do: 'finalize' } },
    { type: 'answer', id: 'r', answer: {} },
  ];
  for (const message of others) h.hear(message);
  t.strictSame(h.messages, others);
  const nothing = [
    null,
    1,
    'x',
    [],
    {},
    { type: 'later' },
    { type: 'report' },
    { type: 'rollout' },
  ];
  const half = [{ type: 'request', id: 'r' }, { type: 'answer', answer: {} }, { type: 'event' }];
  for (const message of [...nothing, ...half]) h.hear(message);
  await h.clock.settle();
  t.equal(h.messages.length, 3);
  t.strictSame(h.fatal, []);
  h.hear({ type: 'report', report: { ...found.world.peer, seq: 9, pair: 'another' } });
  await h.clock.settle();
  t.equal(h.refused.length, 1, 'a peer of another pair is refused');
  t.not(h.runner.state.world.peer?.seq, 9);
  const { world, record } = found;
  const head = { node: 'B', pair: record.pair, program: '9.0.0', protocol: [8, 9], later: {} };
  h.hear({ type: 'report', report: head });
  h.hear({ type: 'rollout', record: rolloutRecord({ writer: { epoch: 9, seq: 9 } }) });
  h.hear(others[0]);
  await h.clock.settle();
  t.strictSame(h.refused[1], head, 'a report of another protocol is refused by its head');
  t.equal(h.runner.state.rollout, null, 'and nothing else of that peer is taken');
  t.equal(h.messages.length, 3);
  h.hear({ type: 'report', report: { ...world.peer, seq: 10 } });
  await h.clock.settle();
  h.hear(others[0]);
  await h.clock.settle();
  t.equal(h.messages.length, 4, 'until it is heard again');
  await h.runner[Symbol.asyncDispose]();
});

t.test('beats do not pile up behind a slow disk; the end stops them', async (t) => {
  const h = harness(nodeState('B'));
  h.runner.start();
  await h.clock.settle();
  const gate = Promise.withResolvers<void>();
  h.script.gate = gate.promise;
  h.hear({ type: 'rollout', record: rolloutRecord() });
  await h.clock.advance(50 * BEAT_MS);
  const before = h.steps.length;
  gate.resolve();
  await h.clock.settle();
  t.ok(h.steps.length - before <= 3, `${h.steps.length - before} steps were waiting`);
  await h.runner[Symbol.asyncDispose]();
  const after = h.steps.length;
  await h.clock.advance(10 * BEAT_MS);
  t.equal(h.steps.length, after);
  t.notOk(await h.runner.dispatch({ type: 'tick' }));
});
