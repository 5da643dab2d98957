/**
 * `tandem commit` is the last point of return: it raises the levels at which a pair writes, and
 * from then on the previous release is refused in every way in which it could come back, each with
 * a code that says why. Only with VERSIONS_ALL=1.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { NODES, type NodeId } from '../../src/core/model.ts';
import { openSocketCalls } from '../../src/drivers/json-lines.ts';
import { Bench, READY_MS } from '../pair/harness.ts';
import { expectEnd, expectFromSlot } from '../pair/judge.ts';
import { VERSIONS } from './judge.ts';
import { releaseOf, TwoReleases } from './workshop.ts';

t.setTimeout(230_000);

const OLD = releaseOf('1.0.0', 1, 'other');
const NEW = releaseOf('2.0.0', 2, 'present', 2);
/** As new as can be by its number, and yet it cannot read what the pair writes by then. */
const AGAIN = releaseOf('3.0.0', 3, 'other');

const none = (): void => undefined;

/** Format level at which a node's copy of the store is written. */
async function formatOf(bench: Bench, node: NodeId): Promise<unknown> {
  const path = join(bench.pair.nodes[node].dir, 'run/storage.sock');
  await using calls = openSocketCalls({ path, onUp: none, onDown: none, onNews: none });
  const info = await calls.call({ op: 'info' }, AbortSignal.timeout(READY_MS));
  return (info as { formatLevel?: unknown }).formatLevel;
}

t.test('commit raises the levels and closes the way back', VERSIONS, async (t) => {
  const workshop = await TwoReleases.open(t.testdir());
  const bench = await Bench.open(t, { workshop, first: OLD });
  const file = await bench.bundle(NEW);
  await bench.running.waitAvailable(READY_MS, bench.signal);
  bench.startClient();
  const update = await bench.update('A', file, '--json').done;
  t.equal(update.exit, 0, update.stdout + update.stderr);
  await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  for (const node of NODES) t.equal(await formatOf(bench, node), 1, `old format, node ${node}`);

  bench.startClient();
  const words = ['--wait', '--yes', '--json', '--timeout', '150'];
  t.match(await bench.cli('B', 'commit', ...words), { exit: 0, json: [{ state: 'done' }] });
  await bench.watch.until(
    'the format is raised',
    ({ status }) => status.rollout?.finalized === true,
  );
  for (let looks = 0; looks < 200 && (await formatOf(bench, 'B')) !== 2; looks += 1) {
    await sleep(50);
  }
  for (const node of NODES) t.equal(await formatOf(bench, node), 2, `new format, node ${node}`);

  const back = await bench.cli('A', 'rollback', ...words);
  t.match(back, { exit: 12, json: [{ error: { code: 'rollback.unavailable' } }] });
  const older = await bench.bundle(releaseOf('1.0.0', 1, 'other'));
  t.match(await bench.cli('A', 'validate', older, '--json'), {
    exit: 11,
    json: [{ ok: false, code: 'version.same_or_newer' }],
  });
  const again = await bench.bundle(AGAIN);
  t.match(await bench.cli('B', 'validate', again, '--json'), {
    exit: 12,
    json: [{ ok: false, code: 'version.incompatible' }],
  });
  const refused = await bench.update('A', again, '--json').done;
  t.match(refused, { exit: 12, json: [{ error: { code: 'version.incompatible' } }] });
  await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
  await expectFromSlot(t, bench, 'A', NEW);
});
