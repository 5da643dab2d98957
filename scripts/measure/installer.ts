/**
 * The installer in a benchmark: the bundled program, rows that run it as the daemon does, the
 * request of an install, how late a loop is that waits for it. Always holds: what is measured is
 * the program as an image has it. Imports drivers, the maker of parts and the measures.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { INSTALLER_ROLE } from '../../src/core/program-roles.ts';
import { asUpdateError } from '../../src/core/errors.ts';
import { INSTALLER_FLAGS } from '../../src/drivers/installer-process.ts';
import { makePack, makeStarter } from '../appliance/pack.ts';
import { PROJECT_DIR } from '../build.ts';
import type { Row } from './measure.ts';
import type { Payload } from './payload.ts';

/** What an install may take of the memory of an appliance. */
export const PEAK_MAX_MIB = 85;
/** The file with the progress of an install, as it is before the first one. */
const HINT_BYTES = 8192;

/** Builds the program below `dir`, in parts as an appliance has it, and returns its file. */
export async function benchProgram(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  const [starter, parts] = await Promise.all([
    makeStarter(PROJECT_DIR),
    makePack(join(PROJECT_DIR, 'src/main-roles.ts'), process.execPath, PROJECT_DIR),
  ]);
  await writeFile(join(dir, 'tandem.parts'), parts);
  const program = join(dir, 'tandem.mjs');
  await writeFile(program, starter);
  return program;
}

/** A row that runs the installer as the daemon does: request on an input that stays open. */
export function installerRow(
  name: string,
  dir: string,
  request: object,
  prepare?: () => Promise<void>,
): Row {
  return {
    name,
    ...(prepare && { prepare }),
    command: [process.execPath, ...INSTALLER_FLAGS, join(dir, 'tandem.mjs'), INSTALLER_ROLE],
    input: `${JSON.stringify(request)}\n`,
    check: (stdout) => {
      const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { type: string };
      if (last.type !== 'done') throw new Error(stdout);
    },
  };
}

/** The request that installs the payload into `device`. */
export function installRequest(
  { bundle, root, slotBytes }: Payload,
  device: string,
  progressFile: string,
  readBack: boolean,
) {
  const target = { image: 'system', class: 'system', slot: 'B' } as const;
  const targets = [{ ...target, device, sizeBytes: slotBytes }];
  const where = { path: bundle, trustRoot: root, progressFile };
  return { do: 'install', ...where, targets, readBack, format: false } as const;
}

/** Makes `progressFile` as it is before the first install. */
export async function blankHint(progressFile: string): Promise<void> {
  await writeFile(progressFile, Buffer.alloc(HINT_BYTES));
}

/** 99th percentile of the loop's lateness in this process while `work` runs, in milliseconds. */
export async function lateness(work: () => Promise<unknown>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  await work();
  delay.disable();
  return delay.percentile(99) / 1e6;
}

/** The computer of a run, and how busy it was with other work when this was called. */
export function machineNow(): { readonly machine: string; readonly load: number } {
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? '?'}, Node ${process.version}`;
  return { machine, load: loadavg()[0] ?? 0 };
}

/** Runs a benchmark; what ends it early is told in a sentence and sets the exit status. */
export async function benchmark(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    const failure = asUpdateError(error);
    console.error(`${failure.message}\n${failure.report().next}`);
    process.exitCode = failure.exit;
  }
}
