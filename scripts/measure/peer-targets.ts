/**
 * The figures of the peer benchmark that are to be reached, as ratios within one run, and what a
 * run says of each. Always holds: a figure whose contender did not run is `not measured`, never
 * reached. Imports the measures.
 */
import { PEAK_MAX_MIB } from './installer.ts';
import type { RowResult, Spread } from './measure.ts';

/** Names of the rows that targets speak of. */
export const ROW = {
  pipe: 'zstd -d | dd, direct',
  plain: 'install, no read-back',
  install: 'install',
  same: 'identical image again',
  verify: 'validate only',
  rauc: 'RAUC install',
  raucInfo: 'rauc info',
  swupdate: 'SWUpdate install',
  swupdateNet: 'SWUpdate, net of its wait',
  fetch: 'to the peer, TLS 1.3',
  rsync: 'rsync daemon, plain text',
} as const;

/** Lateness of the loop of a process, 99th percentile in milliseconds. */
export interface Lateness {
  readonly idle: Spread;
  readonly installing: Spread;
  readonly replicating: Spread;
}

/** One figure, what it should be, what it is. */
export interface Judged {
  readonly what: string;
  readonly wanted: string;
  readonly found: number | null;
  readonly reached: boolean | null;
}

const LAG_MAX_MS = 20;

/** How many times `slow` takes as long as `fast`; null when one of them did not run. */
function wallRatio(results: readonly RowResult[], slow: string, fast: string): number | null {
  const of = (name: string): number | undefined =>
    results.find((row) => row.name === name)?.wallS.median;
  const [a, b] = [of(slow), of(fast)];
  return a === undefined || b === undefined ? null : a / b;
}

function atLeast(what: string, found: number | null, wanted: number): Judged {
  return { what, wanted: `>= ${wanted}`, found, reached: found === null ? null : found >= wanted };
}

function atMost(what: string, found: number | null, wanted: number): Judged {
  return { what, wanted: `<= ${wanted}`, found, reached: found === null ? null : found <= wanted };
}

/** Every target. */
export function judge(results: readonly RowResult[], lag: Lateness): readonly Judged[] {
  const ratio = (slow: string, fast: string): number | null => wallRatio(results, slow, fast);
  const peak = (name: string): number | null =>
    results.find((row) => row.name === name)?.peakMiB.median ?? null;
  const peaks = [ROW.plain, ROW.install, ROW.same].map((name) => peak(name) ?? Infinity);
  const [info, verify] = [peak(ROW.raucInfo), peak(ROW.verify)];
  return [
    atLeast('RAUC / install without read-back', ratio(ROW.rauc, ROW.plain), 2),
    atLeast('SWUpdate net / install without read-back', ratio(ROW.swupdateNet, ROW.plain), 1.5),
    atMost('install without read-back / zstd | dd', ratio(ROW.plain, ROW.pipe), 1.15),
    atLeast('RAUC / install', ratio(ROW.rauc, ROW.install), 1.4),
    atLeast('SWUpdate net / install', ratio(ROW.swupdateNet, ROW.install), 1),
    atLeast('RAUC / identical image, hashed', ratio(ROW.rauc, ROW.same), 3.5),
    atLeast('RAUC / identical image, by its seal', ratio(ROW.rauc, ROW.verify), 8),
    atLeast('rauc info / validate only', ratio(ROW.raucInfo, ROW.verify), 1),
    atLeast(
      'memory: rauc info / validate only',
      info === null || verify === null ? null : info / verify,
      2,
    ),
    atMost('MiB resident, any install', Math.max(...peaks), PEAK_MAX_MIB),
    atLeast('rsync in plain text / to the peer', ratio(ROW.rsync, ROW.fetch), 1),
    atMost('ms later loop while it installs', over(lag.installing, lag.idle), LAG_MAX_MS),
    atMost('ms later loop while it replicates', over(lag.replicating, lag.idle), LAG_MAX_MS),
  ];
}

const over = (busy: Spread, idle: Spread): number => busy.median - idle.median;

/** The judgement as lines of text. */
export function judgementText(all: readonly Judged[]): string {
  const width = Math.max(...all.map(({ what }) => what.length));
  return all
    .map(({ what, wanted, found, reached }) => {
      const word = reached === null ? 'not measured' : reached ? 'reached' : 'NOT reached';
      const figure = found === null ? '-' : found.toFixed(2);
      return `${what.padEnd(width)}  ${figure.padStart(7)}  ${wanted.padEnd(8)}  ${word}`;
    })
    .join('\n');
}
