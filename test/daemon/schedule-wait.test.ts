/**
 * Updates that were to begin at once and have to wait for a hook, in two desks of schedules: kept
 * over the end of every daemon, begun once, given up on either node. Imports the daemon.
 */
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import { ANNA, HOUR, Pair } from './schedule-pair.ts';

const RUN = {
  job: 'update-7',
  request: { kind: 'update', source: { path: '/media/usb/update.bin' }, formatTarget: true },
  version: '2.0.0',
  by: 'anna',
  reason: 'nightly',
} as const;

/** An update of node A that waits for a hook, kept. */
async function waiting(): Promise<Pair> {
  const pair = new Pair();
  pair.later = true;
  pair.wait('A', RUN.job);
  await pair.desks.A.keep(RUN);
  await pair.pass(1000);
  return pair;
}

const job = (pair: Pair, node: NodeId) =>
  pair.desks[node].jobs().find(({ id }) => id === RUN.job) ?? null;

t.test('an update that waits for a hook outlives every daemon, and begins once', async (t) => {
  const pair = await waiting();
  for (const node of ['A', 'B'] as const) {
    t.match(pair.view(node), { state: 'claimed', job: RUN.job, hold: { code: 'hook.later' } });
    t.equal(pair.view(node).text, 'Update 2.0.0 waits (hook check.d/10 asks to be asked later)');
    t.match(job(pair, node), { state: 'running', message: /^waits: hook/, endedAt: null });
  }
  await pair.desks.A.keep(RUN);
  t.equal(pair.desks.A.view().schedules.length, 1, 'each wait of it is the same one');
  t.strictSame(pair.starts, [], 'its job is there already');
  pair.restart('A');
  pair.restart('B');
  pair.refusal = new UpdateError('pair.not_healthy', 'the pair is being formed');
  await pair.pass(1000);
  t.match(job(pair, 'B'), { state: 'running', message: /being formed/ });
  pair.refusal = null;
  pair.askew.A = -365 * 24 * HOUR;
  await pair.pass(30_000);
  t.strictSame(pair.waited, [0], 'that clock does not say for how long it was put off');
  t.strictSame(pair.starts, [RUN.job], 'with its own id, whatever time it is');
  await pair.pass(1000);
  t.match(pair.view('B').hold, { code: 'hook.later' });
  pair.up.A = false;
  pair.serving = 'B';
  pair.askew.A = 0;
  await pair.pass(120_000);
  pair.up.A = true;
  pair.restart('A');
  await pair.pass(120_000);
  t.strictSame(pair.starts, [RUN.job, RUN.job], 'on the node that serves then');
  t.ok(pair.waited[1]! >= 152_000 && pair.waited[1]! < HOUR, `since the first: ${pair.waited[1]}`);
  pair.agree('B', RUN.job);
  await pair.pass(1000);
  t.match(pair.view('A'), { state: 'claimed', hold: null });
  pair.end(RUN.job, { state: 'done', exit: 0, message: 'both nodes run 2.0.0' });
  await pair.pass(1000);
  t.match(pair.view('A'), { state: 'ended', last: { word: 'successful' } });
});

t.test('it can be cancelled on either node, at every moment before it begins', async (t) => {
  for (const node of ['A', 'B'] as const) {
    for (const how of ['schedule', 'job'] as const) {
      for (const begun of [true, false]) {
        const pair = await waiting();
        if (!begun) pair.restart('A');
        const { id } = pair.view(node);
        if (how === 'job') t.ok(await pair.desks[node].cancelJob(RUN.job, 'bob'));
        else await pair.desks[node].answer(id, { answer: 'cancel' }, { name: 'bob' });
        for (const one of ['A', 'B'] as const) {
          t.match(pair.view(one), { state: 'ended', last: { message: 'cancelled by bob' } });
          if (!begun) t.match(job(pair, one), { state: 'failed', code: 'job.cancelled' });
        }
        pair.restart('A');
        await pair.pass(HOUR);
        t.strictSame(pair.starts, [], `${node} ${how} ${begun}`);
      }
    }
  }
  const pair = await waiting();
  pair.agree('A', RUN.job);
  const { id } = pair.view();
  for (const node of ['A', 'B'] as const) {
    const late = pair.desks[node].answer(id, { answer: 'cancel' }, ANNA);
    await t.rejects(late, { code: 'job.not_cancellable' }, 'a rollout is left to its job');
  }
  t.equal(pair.view().state, 'claimed');
  t.equal(await pair.desks.A.cancelJob('update-8', 'bob'), false);
  const cut = await waiting();
  cut.linked = false;
  const blind = cut.desks.B.answer(cut.view().id, { answer: 'cancel' }, ANNA);
  await t.rejects(blind, { code: 'pair.peer_unreachable' }, 'its job may be at work there');
  t.equal(cut.view('B').state, 'claimed');
});

t.test('a file that is away is waited for; an older peer is no place to keep it', async (t) => {
  const pair = await waiting();
  pair.restart('A');
  pair.serving = 'B';
  pair.refusal = new UpdateError('file.not_found', '/media/usb/update.bin: no such file');
  await pair.pass(60_000);
  t.match(pair.view('A').hold, {
    code: 'file.not_found',
    message: '/media/usb/update.bin: no such file; it was given to node A',
  });
  pair.refusal = new UpdateError('version.same_or_newer', 'nothing lags');
  await pair.pass(60_000);
  t.match(pair.view('A'), { state: 'ended', last: { word: 'not necessary' } });
  t.match(job(pair, 'A'), { state: 'failed', code: 'version.same_or_newer', exit: 11 });
  const other = new Pair();
  other.older = true;
  await t.rejects(other.desks.A.keep(RUN), { code: 'pair.protocol' });
  t.strictSame(other.desks.A.view().schedules, []);
  other.older = other.linked = false;
  await other.desks.A.keep(RUN);
  t.equal(other.view('A').state, 'claimed', 'one that is away hears of it later');
});

t.test('asked for on the node that does not serve: its job is the only one', async (t) => {
  const pair = new Pair();
  pair.later = true;
  const begin = async (): Promise<void> => {
    pair.wait('B', RUN.job);
    await pair.desks.B.keep(RUN);
    for (let count = 0; count < 3; count++) await pair.pass(60_000);
  };
  await begin();
  t.strictSame(pair.starts, [], 'the node that serves leaves it to the other one');
  t.match(pair.view('A').hold, { code: 'hook.later', message: /^hook check/ });
  const [wait] = pair.waits.B.values();
  const veto = { state: 'failed', code: 'hook.veto', message: 'not today' } as const;
  pair.waits.B.set(RUN.job, { ...wait!, ...veto });
  await pair.pass(1000);
  for (const node of ['A', 'B'] as const) {
    t.match(pair.view(node), { state: 'ended', last: { code: 'hook.veto' } });
  }
  await pair.pass(HOUR);
  t.strictSame(pair.starts, [], 'a veto is the end of it');

  for (const node of ['A', 'B'] as const) {
    for (const one of ['A', 'B'] as const) pair.books[one].content = { schedules: [], seenMs: 0 };
    await begin();
    await pair.desks[node].answer(pair.view(node).id, { answer: 'cancel' }, ANNA);
    t.match(pair.waits.B.get(RUN.job), { state: 'failed', code: 'job.cancelled' }, node);
    for (const one of ['A', 'B'] as const) t.equal(pair.view(one).state, 'ended');
  }

  for (const one of ['A', 'B'] as const) pair.books[one].content = { schedules: [], seenMs: 0 };
  await begin();
  pair.restart('B');
  await pair.pass(60_000);
  await pair.pass(60_000);
  t.strictSame(pair.starts, [RUN.job], 'its daemon has ended: the node that serves begins it');
});
