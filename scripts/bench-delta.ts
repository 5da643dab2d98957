/**
 * Benchmark of delta bundles: `npm run bench:delta -- [--dir DIR] [--runs N] [--layout NAME ...]
 * [--level N]`. Makes a delta between two releases of a system image of real packages in several
 * layouts, says how large it is beside the full bundle, and installs both in turn with the bundled
 * program, as the daemon does. Always holds: it writes only below its directory, which it keeps so
 * that the next run need not make images and bundles again. Imports the files beside it.
 */
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bundlesOf, layoutNamed, signer, slotsOf } from './measure/delta-bundles.ts';
import type { LayoutBundles } from './measure/delta-bundles.ts';
import { LAYOUTS } from './measure/delta-pair.ts';
import { benchmark, benchProgram, blankHint, installerRow } from './measure/installer.ts';
import { machineNow, PEAK_MAX_MIB } from './measure/installer.ts';
import { alternate, tableOf, type Row, type RowResult } from './measure/measure.ts';

/** What is to be reached, as shares of the full bundle, and bytes a second. */
const SHARE_MAX = { 'squashfs-stored': 0.02, 'squashfs-gzip': 0.08, ext4: 0.02 } as const;
const RATE_MIN = 150e6;

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: join(tmpdir(), 'tandem-bench-delta') },
    runs: { type: 'string', default: '3' },
    layout: { type: 'string', multiple: true, default: [...LAYOUTS] },
    level: { type: 'string', default: '19' },
  },
});
const dir = resolve(values.dir);
const tell = (line: string): void => console.error(line);

/** Both bundles, installed in turn. */
async function rowsOf(bundles: LayoutBundles, root: string): Promise<Row[]> {
  const target = await slotsOf(bundles, dir);
  const progressFile = join(dir, `progress-${bundles.pair.layout}`);
  const row = (name: string, path: string, readBack: boolean): Row => {
    const more = { targets: [target], progressFile, readBack, format: false };
    const request = { do: 'install', path, trustRoot: root, ...more };
    return installerRow(name, dir, request, () => blankHint(progressFile));
  };
  return [
    row('full, no read-back', bundles.full, false),
    row('delta, no read-back', bundles.delta, false),
    row('full', bundles.full, true),
    row('delta', bundles.delta, true),
  ];
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;
const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(2)} %`;
const verdict = (good: boolean): string => (good ? 'reached' : 'NOT reached');

function tellSizes(one: LayoutBundles): void {
  const { pair, rawBytes, fullBytes, bestBytes, deltaBytes, cost } = one;
  console.log(`\n${pair.layout}: image ${mb(rawBytes)}`);
  console.log(`  full bundle, level 9           ${mb(fullBytes)}`);
  console.log(`  its frames at level 19, about  ${mb(bestBytes)}`);
  const shares = [percent(deltaBytes, fullBytes), percent(deltaBytes, bestBytes)];
  console.log(
    `  delta bundle                   ${mb(deltaBytes)} = ${shares.join(' or ')} of these`,
  );
  const most = SHARE_MAX[pair.layout];
  const good = verdict(deltaBytes <= most * Math.min(fullBytes, bestBytes));
  console.log(`  at most ${percent(most, 1)} of the smaller one: ${good}`);
  if (cost === null) return;
  const { wallS, cpuS, peakMiB } = cost;
  const words = `${cpuS.toFixed(0)} CPU s, ${wallS.toFixed(0)} s, peak ${peakMiB.toFixed(0)} MiB`;
  console.log(`  making the delta               ${words}`);
}

function tellRates({ rawBytes }: LayoutBundles, results: readonly RowResult[]): void {
  console.log(tableOf(results));
  const delta = results.find(({ name }) => name === 'delta, no read-back');
  const peaks = results.filter(({ name }) => name.startsWith('delta'));
  if (delta === undefined) return;
  const [rate, perCpu] = [rawBytes / delta.wallS.min, rawBytes / delta.cpuS.median];
  const peakMiB = Math.max(...peaks.map((one) => one.peakMiB.median));
  console.log(`  ${mb(rate)}/s of raw image at best, ${mb(perCpu)} per CPU s`);
  console.log(`  at least ${mb(RATE_MIN)}/s: ${verdict(rate >= RATE_MIN)}`);
  console.log(`  at most ${PEAK_MAX_MIB} MiB resident: ${verdict(peakMiB <= PEAK_MAX_MIB)}`);
}

async function main(): Promise<void> {
  await benchProgram(dir);
  const { key, root } = await signer(dir);
  const { machine, load } = machineNow();
  console.log(`${machine}, load ${load.toFixed(1)}`);
  const all: object[] = [];
  for (const layout of values.layout.map(layoutNamed)) {
    const bundles = await bundlesOf(layout, dir, key, Number(values.level), tell);
    tellSizes(bundles);
    const rows = await rowsOf(bundles, root);
    const results = await alternate(rows, Number(values.runs), tell);
    tellRates(bundles, results);
    all.push({ layout, ...bundles, results });
  }
  const report = join(dir, 'bench-delta.json');
  await writeFile(report, `${JSON.stringify({ machine, load, all }, null, 2)}\n`);
  console.log(`\n${report}`);
}

await benchmark(main);
