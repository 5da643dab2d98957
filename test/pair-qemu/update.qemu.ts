/**
 * One bundle updates a real pair under QEMU: two appliances boot from their disks, a bundle with
 * kernel, root file system and storage software updates both while a client works. Imports tap and
 * the bench.
 */
import { join } from 'node:path';
import t from 'tap';
import { AppliancePair } from '../../scripts/pair/appliance-pair.ts';
import { PAIR_DIR } from '../../scripts/pair/workshop.ts';
import { SECOND } from '../../scripts/pair/releases.ts';
import { NODES } from '../../src/core/model.ts';

t.setTimeout(0);
const say = (line: string): void => t.comment(line);

t.test('one bundle updates both', async (t) => {
  await using pair = await AppliancePair.open({ say });
  const bundle = await pair.workshop.bundle(SECOND);
  t.teardown(async () => {
    if (!t.passing()) await pair.keepEvidence(join(PAIR_DIR, 'failed/update'));
  });
  const startedMs = performance.now();
  const took = (): string => `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
  await pair.powerOn();
  await pair.waitAvailable();
  say(`available after ${took()}`);
  const file = await pair.push('A', bundle);
  say(`pushed after ${took()}`);
  const client = pair.client();
  client.start();
  const ended = await pair.update('A', file).done;
  say(`ended after ${took()}`);
  t.equal(ended.exit, 0, ended.stderr);
  await pair.waitAvailable();
  const result = await client.finish(AbortSignal.timeout(60_000));
  say(JSON.stringify(result));
  t.strictSame(result.lost, []);
  for (const node of NODES) {
    const status = await pair.status(node);
    t.equal(status.nodes[node].system?.version, '2.0.0');
  }
});
