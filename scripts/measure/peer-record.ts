/**
 * Runs of the peer benchmark that are kept in the repository, and the table of README.md that is
 * made from them. Always holds: a run is kept whole, also where it missed a target; only runs of
 * different days or hours are kept side by side, the newest three of them. Imports drivers and the
 * measures.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';
import { isErrno } from '../../src/drivers/fs-atomic.ts';
import { spreadText, type RowResult } from './measure.ts';
import { ROW, type Judged, type Lateness } from './peer-targets.ts';

/** Where they are kept. */
export const RECORD_FILE = fileURLToPath(
  new URL('../../docs/measured/peers.json', import.meta.url),
);
const KEPT = 3;
/** Runs that are nearer to each other are one occasion: the later one counts. */
const OCCASION_MS = 30 * 60_000;

/** One run. */
export interface PeerRun {
  /** When it ended, ISO 8601 in UTC. */
  readonly at: string;
  readonly machine: string;
  readonly load: number;
  readonly runs: number;
  readonly rawMiB: number;
  readonly bundleMiB: number;
  /** Loop devices with direct I/O; false = plain files. */
  readonly direct: boolean;
  readonly results: readonly RowResult[];
  readonly lag: Lateness;
  readonly judged: readonly Judged[];
}

/** The runs with one more: the newest of each occasion, at most three. */
export function withRun(all: readonly PeerRun[], run: PeerRun): readonly PeerRun[] {
  const beganMs = Date.parse(run.at) - OCCASION_MS;
  const earlier = all.filter(({ at }) => Date.parse(at) < beganMs);
  return [...earlier, run].slice(-KEPT);
}

/** The kept runs, oldest first; none before the first one is kept. */
export async function readRuns(): Promise<readonly PeerRun[]> {
  try {
    return JSON.parse(await readFile(RECORD_FILE, 'utf8')) as readonly PeerRun[];
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** Keeps a run. */
export async function keepRun(run: PeerRun): Promise<void> {
  const all = withRun(await readRuns(), run);
  await mkdir(dirname(RECORD_FILE), { recursive: true });
  await writeFile(
    RECORD_FILE,
    await format(JSON.stringify(all), { parser: 'json', printWidth: 100 }),
  );
}

/** Rows that README.md shows, and how it calls them. */
const SHOWN: readonly (readonly [string, string])[] = [
  [ROW.install, 'Tandem, install with read-back (default)'],
  [ROW.plain, 'Tandem, install without read-back'],
  [ROW.same, 'Tandem, identical image again'],
  [ROW.verify, 'Tandem, validate only'],
  [ROW.rauc, 'RAUC, install'],
  [ROW.raucInfo, 'RAUC, info'],
  [ROW.swupdateNet, 'SWUpdate, install, net of its wait'],
  [ROW.pipe, '`zstd -d` into `dd oflag=direct`'],
  [ROW.fetch, 'Tandem, to the peer over TLS 1.3'],
  [ROW.rsync, 'rsync daemon in plain text'],
];

/** The part of README.md: medians of the newest run, and the ratios of all of them. */
export function peersPart(all: readonly PeerRun[]): string {
  const last = all.at(-1);
  if (last === undefined) return 'No run is kept yet.';
  const rows = SHOWN.flatMap(([name, words]) => {
    const row = last.results.find((one) => one.name === name);
    if (row === undefined) return [];
    const cells = [
      spreadText(row.wallS, 2),
      spreadText(row.cpuS, 2),
      row.peakMiB.median.toFixed(0),
    ];
    return [[words, ...cells]];
  });
  const days = all.map(({ at }) => `${at.slice(0, 10)} ${at.slice(11, 16)}`);
  const judged = last.judged.map(({ what, wanted }) => [
    what.replaceAll('|', '\\|'),
    wanted,
    ...all.map((run) => judgedText(run.judged.find((one) => one.what === what))),
  ]);
  const { rawMiB, bundleMiB, machine, runs, direct } = last;
  const onto = direct ? 'a loop device with direct I/O' : 'a plain file';
  return [
    `${rawMiB} MiB of real files as a bundle of ${bundleMiB} MiB, onto ${onto}; ${machine};`,
    `medians [least-greatest] of ${runs} turns of the newest run:`,
    '',
    ...markdown([['', 'wall s', 'cpu s', 'peak MiB'], ...rows]),
    '',
    'Each target in the kept runs, of which each took its contenders in turn; **bold** = missed:',
    '',
    ...markdown([['', 'to reach', ...days], ...judged]),
  ].join('\n');
}

function judgedText(one: Judged | undefined): string {
  if (one === undefined || one.found === null) return 'not measured';
  const figure = one.found.toFixed(2);
  return one.reached === false ? `**${figure}**` : figure;
}

function markdown(rows: readonly (readonly string[])[]): string[] {
  const [head = [], ...rest] = rows;
  return [head, head.map(() => '---'), ...rest].map((cells) => `| ${cells.join(' | ')} |`);
}
