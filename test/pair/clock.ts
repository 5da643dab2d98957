/**
 * The wall clock of a node as a story sets it: a file loaded before the daemon shifts Date by what
 * another file says, again and again, in every process of the node. Always holds: only Date is
 * shifted; timers and the monotonic clock are the machine's. Imports the appliance's paths.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Appliance } from '../../scripts/appliance.ts';
import { SETTINGS_FILE } from '../../scripts/supervisor/settings.ts';

const PRELOAD_FILE = 'clock.mjs';
const SHIFT_FILE = 'clock-shift';
/** How soon a jump is seen. */
const LOOK_MS = 50;

const preload = (file: string): string => `
import { readFileSync } from 'node:fs';
const RealDate = Date;
const { now } = Date;
let shiftMs = 0;
const look = () => {
  try {
    shiftMs = Number(readFileSync(${JSON.stringify(file)}, 'utf8'));
  } catch {
    // It is being replaced.
  }
};
look();
setInterval(look, ${String(LOOK_MS)}).unref();
globalThis.Date = class extends RealDate {
  constructor(...args) { super(...(args.length === 0 ? [now() + shiftMs] : args)); }
  static now() { return now() + shiftMs; }
};
`;

/** Lets the wall clock of an appliance that does not run yet be set, and sets it. */
export async function layClock(appliance: Appliance, shiftMs = 0): Promise<void> {
  const { dir } = appliance;
  const file = join(dir, PRELOAD_FILE);
  await writeFile(file, preload(join(dir, SHIFT_FILE)));
  await setClock(appliance, shiftMs);
  const settingsFile = join(dir, SETTINGS_FILE);
  const settings = JSON.parse(await readFile(settingsFile, 'utf8')) as object;
  const env = { NODE_OPTIONS: `--import=${file}` };
  await writeFile(settingsFile, JSON.stringify({ ...settings, env }));
}

/** The wall clock jumps: it is so far from the right time from now on. */
export async function setClock({ dir }: Appliance, shiftMs: number): Promise<void> {
  const file = join(dir, SHIFT_FILE);
  await writeFile(`${file}.new`, String(shiftMs));
  await rename(`${file}.new`, file);
}
