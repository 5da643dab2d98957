/**
 * Benchmark of installing: `npm run bench:install -- [--dir DIR] [--runs N] [--size MIB]`. Measures
 * the bundled program's installer as the daemon starts it, beside `dd` and `zstd -d | dd` onto the
 * same slot in the same turns, and what waiting for it does to a daemon's loop. Always holds: it
 * writes only below its directory, which it keeps so that the next run need not make the payload
 * again. Imports bundle, drivers and the files beside it.
 */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { INSTALLER_FLAGS, processInstaller } from '../src/drivers/installer-process.ts';
import {
  alternate,
  spreadOf,
  spreadText,
  tableOf,
  type Row,
  type Spread,
} from './measure/measure.ts';
import { makePayload, type Payload } from './measure/payload.ts';
import { bundleEntry, PROJECT_DIR } from './build.ts';

const MIB = 1024 * 1024;
/** What an install may take of the memory of an appliance. */
const PEAK_MAX_MIB = 85;
const BLANK_HINT = Buffer.alloc(8192);

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

await mkdir(dir, { recursive: true });
const payload = await makePayload(dir, Number(values.size) * MIB, tell);
const program = join(dir, 'tandem.mjs');
await bundleEntry(join(PROJECT_DIR, 'src/main.ts'), program);
const env = { NODE_COMPILE_CACHE: join(dir, 'compile-cache') };

const progressFile = join(dir, 'progress');
const doneHint = join(dir, 'progress.done');

/** A row that runs the installer as the daemon does: request on an input that stays open. */
function installer(name: string, request: object, hint?: 'blank' | 'done'): Row {
  const renew = async (): Promise<void> => {
    if (hint === 'blank') await writeFile(progressFile, BLANK_HINT);
    if (hint === 'done') await copyFile(doneHint, progressFile);
  };
  return {
    name,
    prepare: renew,
    command: [process.execPath, ...INSTALLER_FLAGS, program, '__installer'],
    input: `${JSON.stringify(request)}\n`,
    env,
    check: (stdout) => {
      const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { type: string };
      if (last.type !== 'done') throw new Error(stdout);
    },
  };
}

function installRequest({ bundle, root, slot, slotBytes }: Payload, readBack: boolean) {
  const target = { image: 'system', class: 'system', slot: 'B' } as const;
  return {
    do: 'install',
    path: bundle,
    trustRoot: root,
    targets: [{ ...target, device: slot, sizeBytes: slotBytes }],
    progressFile,
    readBack,
    format: false,
  } as const;
}

function rows({ raw, zst, slot, bundle, root }: Payload): Row[] {
  const onto = `of=${slot}`;
  const direct = ['bs=1M', 'oflag=direct', 'conv=notrunc,fsync', 'status=none'];
  const pipe = `zstd -dc "$0" | dd iflag=fullblock "$@"`;
  return [
    { name: 'dd, direct', command: ['dd', `if=${raw}`, onto, ...direct] },
    { name: 'zstd -d | dd, direct', command: ['bash', '-c', pipe, zst, onto, ...direct] },
    installer('install', installRequest(payload, true), 'blank'),
    installer('install, no read-back', installRequest(payload, false), 'blank'),
    installer('identical re-install', installRequest(payload, true), 'done'),
    installer('validate only', { do: 'verify', path: bundle, trustRoot: root }),
  ];
}

/** 99th percentile of the loop's lateness in this process while `work` runs, in milliseconds. */
async function lateness(work: () => Promise<unknown>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  await work();
  delay.disable();
  return delay.percentile(99) / 1e6;
}

/** The loop of a process that waits for an install, beside the same process at rest. */
async function loopLag(): Promise<{ readonly idle: Spread; readonly installing: Spread }> {
  const logFile = join(dir, 'installer.log');
  const child = processInstaller({ entry: program, logFile });
  const { signal } = new AbortController();
  const idle: number[] = [];
  const installing: number[] = [];
  for (let i = 0; i < runs; i += 1) {
    idle.push(await lateness(() => setTimeout(1500)));
    await writeFile(progressFile, BLANK_HINT);
    const request = installRequest(payload, true);
    installing.push(await lateness(() => child.run(request, { signal })));
    tell(`${i + 1}/${runs} lag: ${idle.at(-1)?.toFixed(1)} / ${installing.at(-1)?.toFixed(1)} ms`);
  }
  return { idle: spreadOf(idle), installing: spreadOf(installing) };
}

// One run that is not counted fills the page cache, the compile cache and the finished hint.
tell('warming up');
await alternate([installer('warm-up', installRequest(payload, true), 'blank')], 1, () => undefined);
await copyFile(progressFile, doneHint);
const results = await alternate(rows(payload), runs, tell);
const lag = await loopLag();

const machine = `${cpus().length} x ${cpus()[0]?.model ?? '?'}, Node ${process.version}`;
const load = loadavg()[0] ?? 0;
console.log(
  `${payload.rawBytes / MIB} MiB image, ${(payload.bundleBytes / MIB).toFixed(0)} MiB bundle`,
);
console.log(
  `${machine}, load ${load.toFixed(1)}; medians [least-greatest] of ${runs} runs in turn\n`,
);
console.log(tableOf(results));
const installs = results.filter(({ name }) => /install/.test(name));
const peakMiB = Math.max(...installs.map((one) => one.peakMiB.max));
const verdict = peakMiB <= PEAK_MAX_MIB ? 'reached' : 'NOT reached';
console.log(
  `\nan install: at most ${PEAK_MAX_MIB} MiB resident: ${verdict}, ${peakMiB.toFixed(1)}`,
);
console.log('\nlateness of the loop of a process, p99 in ms');
console.log(`  at rest                             ${spreadText(lag.idle, 1)}`);
console.log(`  while it waits for its installer    ${spreadText(lag.installing, 1)}`);
const report = join(dir, 'bench-install.json');
await writeFile(report, `${JSON.stringify({ machine, load, payload, results, lag }, null, 2)}\n`);
console.log(`\n${report}`);
