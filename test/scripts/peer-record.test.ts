/**
 * Checks which runs of the peer benchmark are kept, and the table that README.md has of them.
 * Imports the record.
 */
import t from 'tap';
import { peersPart, withRun, type PeerRun } from '../../scripts/measure/peer-record.ts';
import { judge, ROW } from '../../scripts/measure/peer-targets.ts';

const same = (value: number) => ({ median: value, min: value, max: value });
const row = (name: string, wallS: number) => {
  return { name, runs: 7, wallS: same(wallS), cpuS: same(wallS / 2), peakMiB: same(80) };
};

function runAt(at: string, raucS: number | null): PeerRun {
  const rauc = raucS === null ? [] : [row(ROW.rauc, raucS)];
  const results = [row(ROW.install, 1), row(ROW.plain, 0.5), row(ROW.pipe, 0.5), ...rauc];
  const lag = { idle: same(1), installing: same(2), replicating: same(22) };
  const judged = judge(results, lag);
  const sizes = { rawMiB: 512, bundleMiB: 200 };
  return {
    at,
    machine: 'a machine',
    load: 0,
    runs: 7,
    ...sizes,
    direct: true,
    results,
    lag,
    judged,
  };
}

t.test('one run of each occasion is kept, the newest three', async (t) => {
  const days = ['2026-11-21', '2026-11-22', '2026-11-23', '2026-11-24'];
  const runs = days.map((day) => runAt(`${day}T12:00:00.000Z`, 2));
  const all = runs.reduce<readonly PeerRun[]>(withRun, []);
  t.strictSame(all, runs.slice(1));
  const soon = runAt('2026-11-24T12:29:59.000Z', 3);
  t.strictSame(withRun(all, soon), [...runs.slice(1, 3), soon], 'it replaces the one before it');
  const later = runAt('2026-11-24T12:30:01.000Z', 3);
  t.strictSame(withRun(all, later), [...runs.slice(2), later]);
});

t.test('the table says what was missed and what was not measured', async (t) => {
  t.equal(peersPart([]), 'No run is kept yet.');
  const all = [runAt('2026-11-21T12:00:00.000Z', null), runAt('2026-11-22T13:30:00.000Z', 1.2)];
  const lines = peersPart(all).split('\n');
  t.match(lines[0], '512 MiB of real files as a bundle of 200 MiB, onto a loop device');
  const line = (words: string): string | undefined => lines.find((one) => one.includes(words));
  t.equal(
    line('| RAUC, install |'),
    '| RAUC, install | 1.20 [1.20-1.20] | 0.60 [0.60-0.60] | 80 |',
  );
  t.equal(line('to reach'), '|  | to reach | 2026-11-21 12:00 | 2026-11-22 13:30 |');
  t.equal(line('RAUC / install |'), '| RAUC / install | >= 1.4 | not measured | **1.20** |');
  t.equal(
    line('RAUC / install without'),
    '| RAUC / install without read-back | >= 2 | not measured | 2.40 |',
  );
  t.match(line('zstd \\| dd'), '| <= 1.15 | 1.00 | 1.00 |', 'a bar in a name is no column');
  t.match(line('replicates'), '**21.00** | **21.00**');
  t.notOk(line('rsync daemon in plain text'), 'who did not run has no row of its own');
});
