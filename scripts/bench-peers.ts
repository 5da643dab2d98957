/**
 * Benchmark beside other updaters: `npm run bench:peers -- [--dir DIR] [--runs N] [--size MIB]
 * [--install-peers] [--record]`. RAUC, SWUpdate, rsync and the plain tools install or copy the same
 * payload in the same turns, onto loop devices as root and into plain files without. What each
 * contender is given and why that is fair: bench-peers.md. Always holds: nothing is installed on
 * the machine without `--install-peers`, which says what it installs; what did not run is named;
 * devices, services and servers end with it. Ends with 1 when a target is missed. Imports the files
 * beside.
 */
import { copyFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openFileSource } from '../src/bundle/source.ts';
import { openBundle } from '../src/bundle/reader.ts';
import { loadTrustRoot } from '../src/bundle/trust.ts';
import { asUpdateError } from '../src/core/errors.ts';
import { processInstaller } from '../src/drivers/installer-process.ts';
import { benchmark, benchProgram, blankHint, installerRow } from './measure/installer.ts';
import { installRequest, lateness, machineNow } from './measure/installer.ts';
import { alternate, spreadOf, spreadText, tableOf, type Row } from './measure/measure.ts';
import { makePayload, type Payload } from './measure/payload.ts';
import { RAUC_PACKAGES, RaucService, setUpRauc } from './measure/peer-rauc.ts';
import { SWUPDATE_PACKAGES, setUpSwupdate } from './measure/peer-swupdate.ts';
import { swupdateNetRow, swupdateRow } from './measure/peer-swupdate.ts';
import { keepRun, RECORD_FILE } from './measure/peer-record.ts';
import { judge, judgementText, ROW, type Lateness } from './measure/peer-targets.ts';
import { bothEnds, emptied, rsyncRow, RSYNC_PACKAGES } from './measure/replication.ts';
import { serveBundle, serveRsync, type Served } from './measure/replication.ts';
import { hasProgram, installPackages, isRoot, loopDevice } from './measure/shell.ts';

const MIB = 1024 * 1024;
/** How long a loop at rest is watched for. */
const REST_MS = 1500;

const { values } = parseArgs({
  options: {
    dir: { type: 'string', default: join(tmpdir(), 'tandem-bench') },
    runs: { type: 'string', default: '7' },
    size: { type: 'string', default: '512' },
    'install-peers': { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});
const dir = resolve(values.dir);
const runs = Number(values.runs);
const progressFile = join(dir, 'progress');
const doneHint = join(dir, 'progress.done');
const tell = (line: string): void => console.error(line);

/** Slots of this run: block devices, or the files themselves. */
interface Slots {
  readonly a: string;
  readonly b: string;
  readonly direct: boolean;
}

const ours = (name: string, request: object, prepare?: () => Promise<void>): Row =>
  installerRow(name, dir, request, prepare);
const installInto = (payload: Payload, slot: string, readBack = true) =>
  installRequest(payload, slot, progressFile, readBack);
const blank = (): Promise<void> => blankHint(progressFile);
const again = (): Promise<void> => copyFile(doneHint, progressFile);

function plainRows(payload: Payload, { b }: Slots): Row[] {
  const { raw, zst, bundle, root } = payload;
  const direct = ['bs=1M', 'oflag=direct', 'conv=notrunc,fsync', 'status=none'];
  const pipe = `zstd -dc "$0" | dd iflag=fullblock "$@"`;
  return [
    { name: 'dd, direct', command: ['dd', `if=${raw}`, `of=${b}`, ...direct] },
    { name: ROW.pipe, command: ['bash', '-c', pipe, zst, `of=${b}`, ...direct] },
    ours(ROW.plain, installInto(payload, b, false), blank),
    ours(ROW.install, installInto(payload, b), blank),
    ours(ROW.same, installInto(payload, b), again),
    ours(ROW.verify, { do: 'verify', path: bundle, trustRoot: root }),
  ];
}

/** Installs what is wanted and missing; says what will not run. */
async function prepareMachine(): Promise<void> {
  const wanted = new Map<string, readonly string[]>([
    ['rauc', RAUC_PACKAGES],
    ['swupdate', SWUPDATE_PACKAGES],
    ['rsync', RSYNC_PACKAGES],
  ]);
  for (const [name, packages] of wanted) {
    if (await hasProgram(name)) continue;
    const list = packages.join(' ');
    if (values['install-peers']) await installPackages(packages, tell);
    else tell(`${name} is not there and does not run; --install-peers installs ${list}`);
  }
  if (!isRoot()) {
    tell('without root there are no loop devices: plain files are written, and RAUC does not run');
  }
}

async function slotsOf(opened: AsyncDisposableStack, payload: Payload): Promise<Slots> {
  const files = { a: payload.slot.replace('system-B', 'system-A'), b: payload.slot };
  if (!isRoot()) return { ...files, direct: false };
  try {
    const a = opened.use(await loopDevice(files.a));
    const b = opened.use(await loopDevice(files.b));
    return { a: a.path, b: b.path, direct: true };
  } catch (error) {
    tell(`no loop devices, plain files are written: ${asUpdateError(error).message}`);
    return { ...files, direct: false };
  }
}

async function peerRows(
  opened: AsyncDisposableStack,
  payload: Payload,
  slots: Slots,
): Promise<Row[]> {
  const rows: Row[] = [];
  if (slots.direct && (await hasProgram('rauc'))) {
    const setup = await setUpRauc(join(dir, `rauc-${values.size}`), payload.raw, slots);
    const service = opened.use(await RaucService.start(setup));
    rows.push(service.installRow(ROW.rauc), service.infoRow(ROW.raucInfo));
  }
  if (await hasProgram('swupdate')) {
    const setup = await setUpSwupdate(join(dir, `swupdate-${values.size}`), payload, slots.b);
    rows.push(swupdateRow(ROW.swupdate, setup), swupdateNetRow(ROW.swupdateNet, setup));
  }
  return rows;
}

/** Our two ends and rsync's, and the request that takes the bundle from the peer. */
async function copyRows(opened: AsyncDisposableStack, payload: Payload, program: string) {
  const { served, keysDir } = await serveBundle(dir, program, payload.bundle);
  opened.use(served);
  await using source = await openFileSource(payload.bundle);
  const { bundle, sizeBytes } = await openBundle(source, await loadTrustRoot(payload.root));
  const depotDir = join(dir, 'depot');
  const from = { host: '127.0.0.1', port: served.port, keysDir };
  const what = { bundle, bytes: sizeBytes, trustRoot: payload.root, depotDir };
  const request = { do: 'fetch', from, ...what } as const;
  const rows = [
    bothEnds(
      ours(ROW.fetch, request, () => emptied(depotDir)),
      served,
    ),
  ];
  if (await hasProgram('rsync')) {
    const folder = join(payload.bundle, '..');
    const daemon: Served = opened.use(await serveRsync(dir, folder));
    const into = join(dir, 'copied');
    rows.push(bothEnds(rsyncRow(ROW.rsync, daemon, 'update.bin', into), daemon));
  }
  return { rows, request, depotDir };
}

/** The loop of a process that waits for its installer, as the daemon does, beside one at rest. */
async function loopLag(
  program: string,
  install: object,
  fetch: object,
  depotDir: string,
): Promise<Lateness> {
  const child = processInstaller({ entry: program, logFile: join(dir, 'installer.log') });
  const { signal } = new AbortController();
  const all = { idle: [] as number[], installing: [] as number[], replicating: [] as number[] };
  for (let i = 0; i < runs; i += 1) {
    all.idle.push(await lateness(() => setTimeout(REST_MS)));
    await blank();
    all.installing.push(await lateness(() => child.run(install, { signal })));
    await emptied(depotDir);
    all.replicating.push(await lateness(() => child.run(fetch, { signal })));
    tell(`${i + 1}/${runs} lateness of the loop`);
  }
  const { idle, installing, replicating } = all;
  return {
    idle: spreadOf(idle),
    installing: spreadOf(installing),
    replicating: spreadOf(replicating),
  };
}

async function main(): Promise<void> {
  const program = await benchProgram(dir);
  await prepareMachine();
  const payload = await makePayload(dir, Number(values.size) * MIB, tell);
  await using opened = new AsyncDisposableStack();
  const slots = await slotsOf(opened, payload);
  const install = installInto(payload, slots.b);
  // One run that is not counted fills the page cache, the compile cache and the finished hint.
  tell('warming up');
  await alternate([ours('warm-up', install, blank)], 1, () => undefined);
  await copyFile(progressFile, doneHint);
  const copies = await copyRows(opened, payload, program);
  const peers = await peerRows(opened, payload, slots);
  // What writes the slot must not stand between an install and the identical one after it.
  const rows = [...peers, ...plainRows(payload, slots), ...copies.rows];
  const results = await alternate(rows, runs, tell);
  const lag = await loopLag(program, install, copies.request, copies.depotDir);
  const judged = judge(results, lag);

  const { machine, load } = machineNow();
  const sizes = [payload.rawBytes, payload.bundleBytes].map((bytes) => (bytes / MIB).toFixed(0));
  const onto = slots.direct ? 'loop devices' : 'plain files';
  console.log(`${sizes[0]} MiB image, ${sizes[1]} MiB bundle, onto ${onto}`);
  const how = `medians [least-greatest] of ${runs} runs in turn`;
  console.log(`${machine}, load ${load.toFixed(1)}; ${how}\n`);
  console.log(tableOf(results));
  console.log('\nlateness of the loop of a process, p99 in ms');
  for (const [name, spread] of Object.entries(lag)) {
    console.log(`  ${name.padEnd(12)} ${spreadText(spread, 1)}`);
  }
  console.log(`\n${judgementText(judged)}`);
  const report = join(dir, 'bench-peers.json');
  const all = { machine, load, runs, direct: slots.direct, payload, results, lag, judged };
  await writeFile(report, `${JSON.stringify(all, null, 2)}\n`);
  console.log(`\n${report}`);
  if (values.record) {
    const [rawMiB, bundleMiB] = sizes.map(Number) as [number, number];
    const { direct } = slots;
    const at = new Date().toISOString();
    await keepRun({ at, machine, load, runs, rawMiB, bundleMiB, direct, results, lag, judged });
    console.log(`${RECORD_FILE}; npm run docs writes the table of README.md from it`);
  }
  await rm(copies.depotDir, { recursive: true, force: true });
  if (judged.some(({ reached }) => reached === false)) process.exitCode = 1;
}

await benchmark(main);
