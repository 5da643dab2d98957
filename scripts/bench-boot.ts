/**
 * Benchmark of an appliance's start: `npm run bench:boot -- [--runs N] [--json]`. One appliance is
 * made as a factory delivers it and switched on N times, each time from the disk as it never ran
 * and then once more; every stage until `tandem status` answers is told in seconds of processor of
 * the emulator, which other work on this computer changes little, and of the clock. Always holds:
 * medians are shown beside their targets; the exit status is 1 when one is missed. Imports the
 * makers of images and the machines.
 */
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeBootDisk } from './measure/boot-disk.ts';
import { bootOnce, STAGES, type Stage } from './measure/boot-stages.ts';
import { spreadOf } from './measure/measure.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '3' }, json: { type: 'boolean', default: false } },
});
const runs = Number(values.runs);
const tell = (line: string): void => console.error(line);

/** Boots of one run: the first of a version, and one after it. */
const BOOTS = ['first boot', 'later boot'] as const;
type BootName = (typeof BOOTS)[number];

interface Row {
  readonly boot: BootName;
  readonly stage: string;
  readonly processorS: number;
  readonly wallS: number;
  /** Of the processor; null for a single stage. */
  readonly targetS: number | null;
}

function sum(stages: readonly Stage[], key: 'processorS' | 'wallS'): number {
  return stages.reduce((all, one) => all + one[key], 0);
}

/** Medians of each stage, and of the whole as the last row of a boot. */
function rowsOf(boot: BootName, found: readonly (readonly Stage[])[]): Row[] {
  const median = (pick: (stages: readonly Stage[]) => number): number =>
    spreadOf(found.map(pick)).median;
  const rows = STAGES.map(({ name }, i) => ({
    boot,
    stage: name,
    processorS: median((stages) => stages[i]!.processorS),
    wallS: median((stages) => stages[i]!.wallS),
    targetS: null,
  }));
  const whole = {
    boot,
    stage: 'power-on to `tandem status`',
    processorS: median((stages) => sum(stages, 'processorS')),
    wallS: median((stages) => sum(stages, 'wallS')),
    targetS: WHOLE_S,
  };
  return [...rows, whole];
}

/** One core has a second of processor in a second; what is left is for waiting. */
const WHOLE_S = 14;

const missed = ({ processorS, targetS }: Row): boolean => targetS !== null && processorS > targetS;

function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.boot,
    row.stage,
    row.processorS.toFixed(2),
    row.wallS.toFixed(2),
    row.targetS === null ? '-' : row.targetS.toFixed(1),
    missed(row) ? 'MISSED' : '',
  ]);
  const all = [['', '', 'processor s', 'clock s', 'target', ''], ...cells];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  const cell = (text: string, column: number): string =>
    column < 2 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!);
  return all.map((line) => line.map(cell).join('  ').trimEnd()).join('\n');
}

async function main(): Promise<number> {
  if (!Number.isSafeInteger(runs) || runs < 1) {
    tell('--runs is a number from 1');
    return 2;
  }
  const dir = await mkdtemp(join(tmpdir(), 'tandem-boot-'));
  try {
    const disk = await makeBootDisk(dir, tell);
    const found: Record<BootName, (readonly Stage[])[]> = { 'first boot': [], 'later boot': [] };
    for (let run = 1; run <= runs; run += 1) {
      const own = join(dir, `run-${String(run)}`);
      await mkdir(own);
      await copyFile(disk, join(own, 'disk.img'));
      for (const boot of BOOTS) {
        const stages = await bootOnce(own, join(own, 'disk.img'));
        const whole = sum(stages, 'processorS').toFixed(1);
        tell(`${boot} ${String(run)}/${String(runs)}: ${whole} s of processor`);
        found[boot].push(stages);
      }
      await rm(own, { recursive: true, force: true });
    }
    const rows = BOOTS.flatMap((boot) => rowsOf(boot, found[boot]));
    const ok = !rows.some(missed);
    const cores = `${String(cpus().length)} x ${cpus()[0]?.model ?? '?'}`;
    const machine = `${cores}, Node ${process.version}`;
    const load = loadavg()[0] ?? 0;
    if (values.json) console.log(JSON.stringify({ ok, runs, machine, load, rows }));
    else {
      console.log(table(rows));
      console.log(`\n${machine}, load ${load.toFixed(1)}, ${String(runs)} runs`);
    }
    return ok ? 0 : 1;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

process.exitCode = await main();
