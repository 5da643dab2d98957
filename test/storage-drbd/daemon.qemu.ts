/**
 * A pair of appliances with the whole service on top of the storage software on DRBD: from
 * power-on to high availability, planned switchover, takeover after a power cut with every
 * acknowledged write, and the way back. Part of `npm run test:drbd`. Imports tap and the bench.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { AppliancePair, WAIT_MS } from '../../scripts/pair/appliance-pair.ts';
import { NODES, peerOf, type NodeId } from '../../src/core/model.ts';

t.setTimeout(0);
const pair = await AppliancePair.open({
  settings: { storage: 'drbd' },
  say: (line) => t.comment(line),
});
t.teardown(() => pair[Symbol.asyncDispose]());

/** The node that serves, once there is one and both see it. */
async function active(): Promise<NodeId> {
  const endMs = performance.now() + WAIT_MS;
  for (;;) {
    const status = await pair.status('A').catch(() => null);
    const serving = NODES.find((node) => status?.nodes[node]?.role === 'active');
    if (serving !== undefined) return serving;
    if (performance.now() > endMs) throw new Error('nobody serves');
    await sleep(500);
  }
}

await t.test('from power-on to high availability', async (t) => {
  await pair.powerOn();
  await pair.waitAvailable();
  const waits = NODES.map((node) =>
    pair.shell(node, 'tandem cluster status --wait-ready --timeout 120'),
  );
  for (const text of await Promise.all(waits)) t.match(text, /HEALTHY[^]*\nready\n/);
  const serving = await active();
  t.match(await pair.shell(serving, 'cat /proc/mounts'), /^\/dev\/drbd0 \/run\/tandem\/store/m);
  t.match(await pair.shell(serving, 'cat /proc/drbd'), /ro:Primary\/Secondary ds:UpToDate\/UpTo/);
  t.notMatch(await pair.shell(peerOf(serving), 'cat /proc/mounts'), /drbd/);
});

await t.test(
  'clients write through a switchover and a power cut, and nothing is lost',
  async (t) => {
    const client = pair.client();
    client.start();
    while (client.successes < 10) await sleep(100);
    const first = await active();
    const other = peerOf(first);
    await pair.shell(first, 'tandem switchover --yes');
    await pair.waitAvailable();
    t.equal(await active(), other);
    const before = client.successes;
    while (client.successes < before + 10) await sleep(100);
    await pair.vms.cutPower(other);
    const cut = client.successes;
    while (client.successes < cut + 10) await sleep(100);
    t.pass('the other node serves');
    await pair.vms.powerOn(other);
    await pair.waitAvailable();
    const seen = await client.finish(AbortSignal.timeout(WAIT_MS));
    t.comment(`${seen.writes} writes, longest gap ${seen.longestGapMs} ms`);
    t.same(seen.lost, []);
    t.equal(seen.misreads, 0);
  },
);
