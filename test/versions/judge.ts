/**
 * How a pair of two releases is judged while it is mixed, and afterwards. Always holds: what each
 * node says is asked through the command lines of both releases; the mixed pair is held by the
 * operator's own `job pause`, so that it is looked at in peace. Imports core, drivers, the bench.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { inspectJournal } from '../../src/drivers/journal-file.ts';
import { runCommand, type Bench, type Command, type Finished } from '../pair/harness.ts';
import { expectFromSlot, versionsOf } from '../pair/judge.ts';
import type { TwoReleases, VersionRelease } from './workshop.ts';

/** Stories of two releases build the pinned commit, so that they run only when they are asked. */
export const VERSIONS = {
  skip: process.env['VERSIONS_ALL'] === undefined ? 'only with VERSIONS_ALL=1' : false,
};

/** Writes of the client that must be acknowledged while the pair is mixed. */
const MIXED_MS = 1500;

/** Runs the command line of a release, whichever one the node runs. */
export async function cliOf(
  bench: Bench,
  program: VersionRelease['program'],
  node: NodeId,
  ...args: readonly string[]
): Promise<Finished> {
  const workshop = bench.workshop as TwoReleases;
  const file = workshop[program].programs.tandem;
  const socket = bench.pair.nodes[node].controlSocket;
  return runCommand(process.execPath, [file, ...args, '--socket', socket]).done;
}

/** Holds the rollout where the first node is admitted again, and waits for it. */
export async function holdMixed(t: Test, bench: Bench, update: Command): Promise<void> {
  const { watch } = bench;
  await bench.during(update, watch.phase('ACT1', 0));
  const paused = await bench.cli('B', 'job', 'pause', '--reason', 'mixed versions', '--json');
  t.equal(paused.exit, 0, paused.stdout + paused.stderr);
  const mixed = watch.until('a mixed pair that is highly available', ({ node, status }) => {
    const at = status.rollout?.phase === 'ADMIT1' || status.rollout?.phase === 'HAND1';
    return node === 'B' && at && status.ha.ok;
  });
  await bench.during(update, mixed);
}

/** Holds the rollout in mixed versions, looks at both nodes in peace, lets it go on. */
export async function expectMixed(
  t: Test,
  bench: Bench,
  update: Command,
  releases: Readonly<Record<NodeId, VersionRelease>>,
): Promise<void> {
  await holdMixed(t, bench, update);
  for (const node of NODES) await expectFromSlot(t, bench, node, releases[node]);
  // Time for writes in this state; what became of them is judged when the client ends.
  await sleep(MIXED_MS);
  const versions = { A: releases.A.version, B: releases.B.version };
  let told = 0;
  for (const node of NODES) {
    for (const program of ['other', 'present'] as const) {
      const said = await cliOf(bench, program, node, 'status', '--json');
      const name = `node ${node} through the ${program} command line`;
      t.equal(said.exit, 0, `${name}: ${said.stderr}`);
      const status = said.json[0] as unknown as PairStatus;
      t.match(status, { ha: { ok: true }, state: 'UPDATING', alarms: [] }, name);
      const found = versionsOf(status);
      t.strictSame(found, { systems: versions, storages: versions }, `versions, says ${name}`);
      const agreed = agreedOf(status);
      if (agreed === null) continue;
      told += 1;
      t.strictSame(agreed, { protocol: 1, featureLevel: 1 }, `the older ones, says ${name}`);
    }
  }
  t.ok(told > 0, 'what both agree on is told');
  const resumed = await bench.cli('A', 'job', 'resume', '--json');
  t.equal(resumed.exit, 0, resumed.stdout + resumed.stderr);
}

/** Protocol and level that both programs keep to; null from a program that does not say. */
export function agreedOf({ reform }: PairStatus): object | null {
  return reform.find((item) => item.name === 'versions')?.agreed ?? null;
}

/** Schema of the newest node record on disk, and the one that this tree finds too new. */
export async function schemasOf(bench: Bench, node: NodeId) {
  const { entries, newerSchema } = await inspectJournal(bench.pair.nodes[node].stateDir);
  const last = entries.findLast((entry) => entry.kind === 'node');
  return { last: last?.record.schema, newerSchema };
}

/** Both nodes tell the same history, each phase of the newest rollout is in it. */
export async function expectSameStory(t: Test, bench: Bench): Promise<void> {
  const [a, b] = [await bench.history('A'), await bench.history('B')];
  t.strictSame(a[0], b[0], 'both nodes keep the same record of the newest rollout');
  t.ok(a.length > 0);
}
