/**
 * Benchmark of the pair as a client sees it that writes all the time: `npm run bench:gap -- [--runs
 * N] [--only WORD] [--json]`. Each row is run N times on one pair under policy `fence`. Always
 * holds: the table shows median and worst beside the target, and the exit status is 1 when the
 * median of a row misses its target or an acknowledged write was lost. Imports the files beside it.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { GAP_CASES, type GapCase, type GapFound } from './measure/gap-cases.ts';
import { GapPair } from './measure/gap-pair.ts';
import { spreadOf, type Spread } from './measure/measure.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const tell = (line: string): void => console.error(line);

interface Result extends Omit<GapCase, 'run'> {
  readonly values: readonly number[];
  readonly spread: Spread;
  readonly ok: boolean;
  /** Medians of the other figures. */
  readonly more: Readonly<Record<string, number>>;
}

/** Digits that mean something in a row of this unit. */
const shown = (value: number, unit: GapCase['unit']): string => value.toFixed(unit === '%' ? 2 : 0);

const wordsOf = (more: Readonly<Record<string, number>>): readonly string[] =>
  Object.entries(more).map(([key, value]) => `${String(value)} ${key}`);

function resultOf({ name, unit, target }: GapCase, found: readonly GapFound[]): Result {
  const all = found.map((one) => one.value);
  const spread = spreadOf(all);
  const names = Object.keys(found[0]?.more ?? {});
  const more = names.map((key) => [key, spreadOf(found.map((one) => one.more?.[key] ?? 0)).median]);
  const ok = target === null || spread.median <= target;
  return { name, unit, target, values: all, spread, ok, more: Object.fromEntries(more) };
}

function table(results: readonly Result[]): string {
  const head = ['', 'median', 'worst', 'target', ''];
  const lines = results.map(({ name, unit, target, spread, ok, more }) => [
    name,
    `${shown(spread.median, unit)} ${unit}`,
    `${shown(spread.max, unit)} ${unit}`,
    target === null ? '-' : `${String(target)} ${unit}`,
    [ok ? '' : 'MISSED', ...wordsOf(more)].filter((word) => word !== '').join(', '),
  ]);
  const all = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  const cell = (text: string, column: number): string =>
    column === 0 || column === 4 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!);
  return all.map((line) => line.map(cell).join('  ').trimEnd()).join('\n');
}

async function main(): Promise<number> {
  const cases = GAP_CASES.filter((one) => one.name.includes(values.only));
  if (!Number.isSafeInteger(runs) || runs < 1 || cases.length === 0) {
    tell(`--runs is a number from 1; --only a word of: ${GAP_CASES.map((c) => c.name).join('; ')}`);
    return 2;
  }
  tell('laying out the pair');
  const pair = await GapPair.open();
  const results: Result[] = [];
  try {
    for (const one of cases) {
      const found: GapFound[] = [];
      for (let run = 1; run <= runs; run += 1) {
        found.push(await one.run(pair));
        const { value, more = {} } = found.at(-1)!;
        const figures = [shown(value, one.unit), ...wordsOf(more)].join(', ');
        tell(`${one.name} ${String(run)}/${String(runs)}: ${figures}`);
      }
      results.push(resultOf(one, found));
    }
    const totals = await pair.writer.finish();
    const cores = `${String(cpus().length)} x ${cpus()[0]?.model ?? '?'}`;
    const machine = `${cores}, Node ${process.version}`;
    const load = loadavg()[0] ?? 0;
    const ok = results.every((row) => row.ok) && totals.lost.length === 0;
    if (values.json) {
      console.log(JSON.stringify({ ok, runs, machine, load, results, totals }));
    } else {
      console.log(table(results));
      console.log(
        `\n${String(totals.writes)} writes acknowledged, ${String(totals.checked)} read back`,
      );
      console.log(
        `${String(totals.lost.length)} lost ${totals.lost.slice(0, 5).join(', ')}`.trim(),
      );
      console.log(`${machine}, load ${load.toFixed(1)}, ${String(runs)} runs of each row`);
    }
    return ok ? 0 : 1;
  } finally {
    await pair.close();
  }
}

process.exitCode = await main();
