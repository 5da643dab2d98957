/**
 * The verbs of the storage against a daemon in memory: what is shown of both copies, what is asked
 * before a copy gives way, what is sent, and the exit status.
 */
import t from 'tap';
import { EXIT } from '../../src/core/codes.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { SplitView, StorageView, VerifyReport } from '../../src/core/store.ts';
import { openBench, type Bench } from '../control/harness.ts';
import { AT, nodeStatus, pairStatus } from '../memory/backend.ts';
import { run } from './harness.ts';

const REPORT: VerifyReport = {
  id: 'verify-1',
  state: 'equal',
  node: 'A',
  startedAt: AT,
  endedAt: AT,
  records: 1200,
  bytes: 4_000_000,
  totalBytes: 4_000_000,
  rateBps: 2_000_000,
  etaS: null,
  again: 2,
  unsettled: 0,
  differences: 0,
  keys: [],
  damaged: { A: 0, B: 0 },
  code: null,
  message: null,
};

const SPLIT: SplitView = {
  A: {
    epoch: 3,
    aloneSince: AT,
    all: { records: 10, bytes: 1000 },
    only: { records: 1, bytes: 40 },
    other: { records: 2, bytes: 80 },
  },
  B: {
    epoch: 3,
    aloneSince: null,
    all: { records: 12, bytes: 1500 },
    only: { records: 3, bytes: 540 },
    other: { records: 2, bytes: 90 },
  },
  keys: [{ key: 'order/7', A: 'absent', B: 'present' }],
};

const started = (bench: Bench): readonly unknown[] =>
  bench.backend.asked.filter(({ what }) => what === 'start').map(({ value }) => value);

const stores = pairStatus({
  nodes: {
    A: nodeStatus('A', {
      store: { role: 'primary', copy: 'current', connected: true, sync: null },
    }),
    B: nodeStatus('B', { known: false, store: null }),
  },
});

t.test('status: both copies, the newest verify, and what to do about it', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  backend.pair = stores;
  const none = await run(['storage', 'status', ...socket]);
  t.match(none, { exit: 0, out: /Node A: primary, its copy is current, connected/ });
  t.match(none.out, /Node B: UNKNOWN\n\nThe copies were not compared yet/);
  const shown = async (verify: Partial<VerifyReport>) => {
    backend.copies = { verify: { ...REPORT, ...verify }, split: null };
    const { exit, out } = await run(['storage', 'status', ...socket]);
    return { exit, out };
  };
  t.match(await shown({}), { exit: 0, out: /1200 records \(.*\), no difference, .*\/s/ });
  const running = await shown({ state: 'running', endedAt: null, etaS: 61, bytes: 1_000_000 });
  t.match(running, { exit: 0, out: /of 3.8 MiB compared,\s1.9 MiB\/s, .* left/ });
  const keys = Array.from({ length: 12 }, (_, n) => {
    return { key: `k${n}`, A: 'present', B: n === 0 ? 'damaged' : 'absent' } as const;
  });
  const differs = { state: 'differs', differences: 40, keys, damaged: { A: 0, B: 1 } } as const;
  const found = await shown(differs);
  t.match(found, { exit: EXIT.pairNotHealthy, out: /40 DIFFERENT/ });
  t.match(found.out, /k0 +present +UNREADABLE/);
  t.match(found.out, /and 30 more/);
  t.match(found.out, /Next: `tandem storage resync` makes node B's copy equal to node A's/);
  const own = await shown({ ...differs, damaged: { A: 1, B: 0 } });
  t.match(own.out, /node A cannot be read: `tandem switchover` first/);
  t.match(await shown({ state: 'failed', message: 'the peer was lost' }), { exit: 0, out: /lost/ });
  t.match(await shown({ unsettled: 3 }), { out: /3 changed all the time/ });
  const json = await run(['storage', 'status', '--json', ...socket]);
  t.match(json.json(), { verify: { id: 'verify-1' }, split: null, nodes: { B: null } });
});

t.test('verify and resync start a job; a resync asks on a terminal', async (t) => {
  await using bench = await openBench();
  const socket = ['--socket', bench.socketPath];
  const begun = await run(['storage', 'verify', '--reason', 'weekly', ...socket]);
  t.match(begun, { exit: 0, err: /^Watch it: tandem job wait \S+ --follow/ });
  const no = await run(['storage', 'resync', ...socket], { confirm: async () => false });
  t.match(no, { exit: EXIT.cancelled, err: /nothing was started/ });
  t.match(await run(['storage', 'resync', '--yes', ...socket]), { exit: 0 });
  t.strictSame(started(bench), [{ kind: 'verify', reason: 'weekly' }, { kind: 'resync' }]);
  bench.backend.refusal = new UpdateError('store.busy', 'a verify is running already');
  t.match(await run(['storage', 'verify', ...socket]), { exit: EXIT.pairNotHealthy });
});

t.test('a split brain: what it holds, what a choice loses, a typed word', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  const socket = ['--socket', bench.socketPath];
  const split: StorageView = { verify: null, split: SPLIT };
  backend.copies = split;
  const shown = await run(['storage', 'status', ...socket]);
  t.match(shown, { exit: EXIT.pairNotHealthy, out: /SPLIT BRAIN/ });
  t.match(shown.out, /written alone since +2026-11-21 11:35:48 +unknown/);
  t.match(shown.out, /only here +1 record \(40 B\) +3 records \(540 B\)/);
  t.match(shown.out, /with other content +2 records \(80 B\) +2 records \(90 B\)/);
  t.match(shown.out, /order\/7 +absent +present/);
  const asked: string[] = [];
  const answer = (word: string) => ({
    ask: async (question: string) => {
      asked.push(question);
      return word;
    },
  });
  const resolve = ['storage', 'resolve', '--keep', 'A', ...socket];
  t.match(await run(resolve), { exit: EXIT.usage, err: /confirm.needed/ });
  t.match(await run([...resolve, '--yes']), { exit: EXIT.usage });
  t.match(await run(['storage', 'resolve', ...socket]), { exit: EXIT.usage, err: /--keep/ });
  const wrong = await run(resolve, answer('yes'));
  t.match(wrong, { exit: EXIT.cancelled, err: /3 records .* that only node B has/ });
  t.match(asked, [/give up B/]);
  t.strictSame(started(bench), []);
  backend.beforeStart = async () => {
    throw new UpdateError('store.not_split', 'as if it was over');
  };
  t.match(await run(resolve, answer('give up B')), { exit: EXIT.pairNotHealthy });
  await run([...resolve, '--yes', '--reason', 'newer orders', '--timeout', '60']);
  const reason = 'confirmed on a terminal: give up B';
  t.strictSame(started(bench), [
    { kind: 'resolve', keep: 'A', reason },
    { kind: 'resolve', keep: 'A', reason: 'newer orders' },
  ]);
});
