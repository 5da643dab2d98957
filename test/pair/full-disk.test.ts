/**
 * A real pair of which one node has a small data partition that fills up: staging is refused with
 * its exit status and nothing is lost, and a rollback and a commit still work when no byte is free.
 * POLICY= is `manual` or `fence`. Only with PAIR_ALL=1 (`npm run test:embedded`), and where the
 * test may mount a file system.
 */
import { execFile } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { AppliancePair } from '../../scripts/appliance.ts';
import { NODES } from '../../src/core/model.ts';
import { canMount } from '../drivers/small-disk.ts';
import { Bench, READY_MS, RELEASES, type Finished } from './harness.ts';
import { expectEnd } from './judge.ts';

t.setTimeout(230_000);
const run = promisify(execFile);
const MIB = 1024 * 1024;
const DISK_BYTES = 256 * MIB;
const CHUNK = Buffer.alloc(MIB, 'x');
const fencePolicy = process.env['POLICY'] === 'fence' ? 'fence' : 'manual';
const able = process.env['PAIR_ALL'] !== undefined && canMount();

/** The state of node A moves to a file system of its own. */
async function smallDisk(pair: AppliancePair): Promise<void> {
  const { stateDir } = pair.nodes.A;
  const copy = `${stateDir}.copy`;
  await run('cp', ['-a', '--sparse=never', stateDir, copy]);
  await run('mount', [
    '-t',
    'tmpfs',
    '-o',
    `size=${String(DISK_BYTES)},mode=700`,
    'none',
    stateDir,
  ]);
  await run('cp', ['-a', '--sparse=never', `${copy}/.`, stateDir]);
  await rm(copy, { recursive: true });
}

/** Writes until no byte is free, then takes `spareBytes` back. */
async function fill(stateDir: string, spareBytes: number): Promise<void> {
  const dir = join(stateDir, 'filler');
  await mkdir(dir, { recursive: true });
  await using file = await open(join(dir, 'file'), 'a');
  for (let bytes = CHUNK.length; bytes >= 512;) {
    try {
      await file.appendFile(CHUNK.subarray(0, bytes));
    } catch {
      bytes = Math.floor(bytes / 2);
    }
  }
  const { size } = await file.stat();
  await file.truncate(Math.max(0, size - spareBytes));
}

t.test(
  'a data partition that fills up',
  { skip: able ? false : 'PAIR_ALL=1 and root' },
  async (t) => {
    const bench = await Bench.open(t, { prepare: smallDisk, fencePolicy });
    const { stateDir } = bench.pair.nodes.A;
    const good = await bench.bundle(RELEASES.second);
    await bench.running.waitAvailable(READY_MS, bench.signal);
    const wait = async (...words: string[]): Promise<Finished> =>
      bench.cli('A', ...words, '--wait', '--yes', '--json', '--timeout', '150');
    const empty = async (): Promise<void> => rm(join(stateDir, 'filler'), { recursive: true });

    await t.test('staging is refused on either node, and nothing is lost', async (t) => {
      bench.startClient();
      await fill(stateDir, 60 * MIB);
      for (const node of NODES) {
        const refused = await bench.update(node, good, '--json').done;
        t.equal(refused.exit, 15, `asked on node ${node}: ${refused.stdout}${refused.stderr}`);
        t.match(refused.stdout, /"code":"space\.depot"/);
        t.match(refused.stdout, /node A/, 'it says which node');
        const validated = await bench.cli(node, 'validate', good, '--json');
        t.match(validated, { exit: 15, json: [{ ok: false, code: 'space.depot' }] });
      }
      t.equal((await wait('stage', good)).exit, 15);
      await empty();
      const { rollout } = await bench.running.status('A', bench.signal);
      await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: rollout?.phase ?? null });
    });

    await t.test('with no byte free the pair goes back and is committed', async (t) => {
      bench.startClient();
      t.equal((await bench.update('A', good).done).exit, 0);
      await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
      bench.startClient();
      await fill(stateDir, 0);
      t.match(await wait('rollback'), { exit: 0 }, 'also while clients try to write');
      await empty();
      await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: 'DONE' });
      bench.startClient();
      t.equal((await bench.update('A', good).done).exit, 0);
      await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
      await fill(stateDir, 0);
      t.match(await wait('commit'), { exit: 0 });
      t.match(await wait('rollback'), { exit: 12 });
      await empty();
    });

    await t.test(
      'writes are refused while no byte is free, and the pair stays level',
      async (t) => {
        bench.startClient();
        await fill(stateDir, 0);
        for (const node of NODES) {
          const { status } = await bench.watch.until(`the alarm on node ${node}`, (look) => {
            return (
              look.node === node && look.status.alarms.some(({ code }) => code === 'store.full')
            );
          });
          t.equal(status.ha.ok, true);
        }
        await empty();
        await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
      },
    );
  },
);
