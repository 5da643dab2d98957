/**
 * The file `supervisor.json` of an appliance: what its firmware, its power supply and its watchdog
 * are told. Always holds: paths in a loaded value are absolute, and limits are positive. Imports
 * core.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId, Slot } from '../../src/core/model.ts';

/** Everything that a supervisor knows of its appliance. */
export interface SupervisorSettings {
  readonly node: NodeId;
  /** Configuration file that the program is started with. */
  readonly config: string;
  /** Folder of the boot files. */
  readonly bootDir: string;
  /** Folder of the slots and of their seals. */
  readonly slotsDir: string;
  /** The two system slots. */
  readonly slots: Readonly<Record<Slot, string>>;
  /** Volatile folder, emptied at every boot; roots are unpacked into it. */
  readonly runDir: string;
  /** Data partition; its lock proves whether a daemon lives. */
  readonly stateDir: string;
  readonly powerSocket: string;
  readonly bootLog: string;
  /** What the program prints on its console. */
  readonly consoleLog: string;
  /** Time from one boot to the next, as a power-on self-test takes. */
  readonly postMs: number;
  /** Time between a crash and the restart of the program. */
  readonly restartMs: number;
  /** The watchdog bites when it was not fed for this long; 0 = there is no watchdog. */
  readonly watchdogMs: number;
  /** More variables for the program's environment, for tests. */
  readonly env: Readonly<Record<string, string>>;
  /** File that arms failpoints of the daemon; there only in a supervisor started for tests. */
  readonly failpoints?: string;
}

/** Name of the settings file in an appliance's folder. */
export const SETTINGS_FILE = 'supervisor.json';

const PATHS = [
  'config',
  'bootDir',
  'slotsDir',
  'runDir',
  'stateDir',
  'powerSocket',
  'bootLog',
  'consoleLog',
];
const TIMES = ['postMs', 'restartMs', 'watchdogMs'];

/** File in the appliance's folder that arms a failpoint (src/drivers/failpoints.ts). */
export const FAILPOINT_FILE = 'failpoint';

/**
 * Reads the settings; failpoints are never part of the file. Relative paths start at the file's
 * folder. Throws `config.invalid`.
 */
export async function loadSettings(file: string): Promise<SupervisorSettings> {
  const refuse = (what: string): never => {
    throw new UpdateError('config.invalid', `${file}: ${what}`);
  };
  let value: Record<string, unknown> = {};
  try {
    value = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    refuse(cause instanceof Error ? cause.message : String(cause));
  }
  const path = (name: string, text: unknown): string =>
    typeof text === 'string' && text !== ''
      ? resolve(dirname(file), text)
      : refuse(`"${name}" must be a path`);
  const result: Record<string, unknown> = { ...value };
  for (const name of PATHS) result[name] = path(name, value[name]);
  const slots = (value['slots'] ?? {}) as Record<string, unknown>;
  result['slots'] = { A: path('slots.A', slots['A']), B: path('slots.B', slots['B']) };
  for (const name of TIMES) {
    if (!Number.isSafeInteger(value[name]) || Number(value[name]) < 0) {
      refuse(`"${name}" must be a whole number of milliseconds`);
    }
  }
  const env = value['env'] ?? {};
  if (typeof env !== 'object' || Object.values(env).some((one) => typeof one !== 'string')) {
    refuse('"env" must be an object of texts');
  }
  result['env'] = env;
  delete result['failpoints'];
  if (value['node'] !== 'A' && value['node'] !== 'B') refuse('"node" must be "A" or "B"');
  return result as unknown as SupervisorSettings;
}
