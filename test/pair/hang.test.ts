/**
 * A real pair whose storage software hangs (SIGSTOP), on the standby and on the active, while a
 * client works all the time: both nodes say that its state is not known, it is ended and started
 * again, the pair is available again by itself, and no acknowledged write is lost. What a daemon
 * did before it was killed can still be asked for. Only with PAIR_ALL=1 (`npm run test:embedded`).
 */
import t, { type Test } from 'tap';
import { peerOf, type NodeId } from '../../src/core/model.ts';
import { childOf, strike } from './faults.ts';
import { Bench, READY_MS } from './harness.ts';
import { expectClient, expectReady } from './judge.ts';
import type { Look } from '../../scripts/pair/watch.ts';

t.setTimeout(230_000);

/** A node, as this look sees it, knows nothing of its storage. */
const unknown =
  (by: NodeId, node: NodeId) =>
  ({ node: seen, status }: Look): boolean => {
    const item = status.reform.find(({ name }) => name === 'storage');
    const { store } = status.nodes[node];
    return seen === by && store?.role === 'unknown' && item?.state === 'unknown';
  };

async function hang(t: Test, bench: Bench, node: NodeId): Promise<void> {
  const { watch } = bench;
  const from = watch.events.length;
  const pid = await childOf(bench, node, '/storage.mjs');
  if (pid === null) throw new Error(`node ${node} runs no storage software`);
  const views = [node, peerOf(node)].map((by) => watch.until('unknown', unknown(by, node)));
  process.kill(pid, 'SIGSTOP');
  await Promise.all(views);
  t.equal(await childOf(bench, node, '/storage.mjs'), pid, 'it is told before it is ended');
  await watch.event(
    'its end',
    ({ code, msg }) => code === 'store.hung' && /is ended/.test(msg),
    from,
  );
  await watch.event('its new life', ({ msg }) => /signs of life again/.test(msg), from);
  await expectReady(t, bench, []);
  t.not(await childOf(bench, node, '/storage.mjs'), pid);
}

const plan = { skip: process.env['PAIR_ALL'] === undefined ? 'only with PAIR_ALL=1' : false };

t.test('storage software hangs', plan, async (t) => {
  const bench = await Bench.open(t);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  bench.startClient();
  const { nodes } = await bench.running.status('A', bench.signal);
  const active: NodeId = nodes.A.serving ? 'A' : 'B';
  await t.test('on the standby: the service goes on', (t) => hang(t, bench, peerOf(active)));
  await t.test('on the active: the service comes back', (t) => hang(t, bench, active));

  await t.test('a job that ended is told of after its daemon was killed', async (t) => {
    const done = await bench.cli('A', 'storage', 'verify', '--wait', '--json');
    t.match(done, { exit: 0, json: [{ kind: 'verify', state: 'done' }] });
    const { id, message } = done.json[0] as { id: string; message: string };
    t.ok(await strike(bench, 'kill-daemon', 'A'));
    await bench.running.waitAvailable(READY_MS, bench.signal);
    const again = await bench.cli('A', 'job', 'wait', id, '--json');
    t.match(again, { exit: 0, json: [{ id, state: 'done', message }] });
    const { json } = await bench.cli('A', 'job', 'list', '--json');
    t.match(json, [{ jobs: [{ id }] }]);
  });
  const { longestGapMs } = await expectClient(t, bench);
  t.comment(`longest gap ${String(longestGapMs)} ms`);
});
