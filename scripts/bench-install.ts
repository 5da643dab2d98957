/**
 * Benchmark of installing: `npm run bench:install -- [--dir DIR] [--runs N] [--size MIB]`. Measures
 * the bundled program's installer as the daemon starts it, beside `dd` and `zstd -d | dd` onto the
 * same slot in the same turns, and what waiting for it does to a daemon's loop. Always holds: it
 * writes only below its directory, which it keeps so that the next run need not make the payload
 * again. Imports bundle, drivers and the files beside it.
 */
import { copyFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { processInstaller } from '../src/drivers/installer-process.ts';
import { benchmark, benchProgram, blankHint, installerRow } from './measure/installer.ts';
import { installRequest, lateness, machineNow, PEAK_MAX_MIB } from './measure/installer.ts';
import { alternate, spreadOf, spreadText, tableOf } from './measure/measure.ts';
import type { Row, Spread } from './measure/measure.ts';
import { makePayload, type Payload } from './measure/payload.ts';

const MIB = 1024 * 1024;
/** How long a loop at rest is watched for. */
const REST_MS = 1500;

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: join(tmpdir(), 'tandem-bench') },
    runs: { type: 'string', default: '7' },
    size: { type: 'string', default: '512' },
  },
});
const dir = resolve(values.dir);
const runs = Number(values.runs);
const tell = (line: string): void => console.error(line);

const progressFile = join(dir, 'progress');
const doneHint = join(dir, 'progress.done');
const blank = (): Promise<void> => blankHint(progressFile);
const again = (): Promise<void> => copyFile(doneHint, progressFile);

function rows(payload: Payload): Row[] {
  const { raw, zst, slot, bundle, root } = payload;
  const onto = `of=${slot}`;
  const direct = ['bs=1M', 'oflag=direct', 'conv=notrunc,fsync', 'status=none'];
  const pipe = `zstd -dc "$0" | dd iflag=fullblock "$@"`;
  const whole = installRequest(payload, slot, progressFile, true);
  const blind = installRequest(payload, slot, progressFile, false);
  return [
    { name: 'dd, direct', command: ['dd', `if=${raw}`, onto, ...direct] },
    { name: 'zstd -d | dd, direct', command: ['bash', '-c', pipe, zst, onto, ...direct] },
    installerRow('install', dir, whole, blank),
    installerRow('install, no read-back', dir, blind, blank),
    installerRow('identical re-install', dir, whole, again),
    installerRow('validate only', dir, { do: 'verify', path: bundle, trustRoot: root }),
  ];
}

/** The loop of a process that waits for an install, beside the same process at rest. */
async function loopLag(
  program: string,
  request: object,
): Promise<{ readonly idle: Spread; readonly installing: Spread }> {
  const child = processInstaller({ entry: program, logFile: join(dir, 'installer.log') });
  const { signal } = new AbortController();
  const idle: number[] = [];
  const installing: number[] = [];
  for (let i = 0; i < runs; i += 1) {
    idle.push(await lateness(() => setTimeout(REST_MS)));
    await blank();
    installing.push(await lateness(() => child.run(request, { signal })));
    tell(`${i + 1}/${runs} lag: ${idle.at(-1)?.toFixed(1)} / ${installing.at(-1)?.toFixed(1)} ms`);
  }
  return { idle: spreadOf(idle), installing: spreadOf(installing) };
}

async function main(): Promise<void> {
  const program = await benchProgram(dir);
  const payload = await makePayload(dir, Number(values.size) * MIB, tell);
  const install = installRequest(payload, payload.slot, progressFile, true);
  // One run that is not counted fills the page cache, the compile cache and the finished hint.
  tell('warming up');
  await alternate([installerRow('warm-up', dir, install, blank)], 1, () => undefined);
  await copyFile(progressFile, doneHint);
  const results = await alternate(rows(payload), runs, tell);
  const lag = await loopLag(program, install);

  const { machine, load } = machineNow();
  const sizes = [payload.rawBytes, payload.bundleBytes].map((bytes) => (bytes / MIB).toFixed(0));
  console.log(`${sizes[0]} MiB image, ${sizes[1]} MiB bundle`);
  const how = `medians [least-greatest] of ${runs} runs in turn`;
  console.log(`${machine}, load ${load.toFixed(1)}; ${how}\n`);
  console.log(tableOf(results));
  const installs = results.filter(({ name }) => /install/.test(name));
  const peakMiB = Math.max(...installs.map((one) => one.peakMiB.max));
  const verdict = peakMiB <= PEAK_MAX_MIB ? 'reached' : 'NOT reached';
  const most = `at most ${PEAK_MAX_MIB} MiB resident`;
  console.log(`\nan install: ${most}: ${verdict}, ${peakMiB.toFixed(1)}`);
  console.log('\nlateness of the loop of a process, p99 in ms');
  console.log(`  at rest                             ${spreadText(lag.idle, 1)}`);
  console.log(`  while it waits for its installer    ${spreadText(lag.installing, 1)}`);
  const report = join(dir, 'bench-install.json');
  const all = { machine, load, payload, results, lag };
  await writeFile(report, `${JSON.stringify(all, null, 2)}\n`);
  console.log(`\n${report}`);
}

await benchmark(main);
