/**
 * The supervisor of one appliance, outside all slots: firmware, boot loader, power supply, watchdog
 * and power controller in one process. `node scripts/supervisor.ts DIR [--tied] [--off]
 * [--failpoints]` runs the appliance whose `supervisor.json` is in DIR: `--tied` ends it together
 * with whoever holds the other end of its standard input, `--off` leaves the power off,
 * `--failpoints` lets tests arm failpoints of the daemon in the file `failpoint` in DIR. Always
 * holds: its own end takes the node down, and a node that a killed supervisor left behind is taken
 * down at the next start. Imports core, the boot and unpack drivers, and its own parts.
 */
import { createHash } from 'node:crypto';
import { realpath, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { CommitMarks } from '../src/core/boot.ts';
import { asUpdateError, UpdateError } from '../src/core/errors.ts';
import type { Slot } from '../src/core/model.ts';
import { readBootFiles, saveCounter } from '../src/drivers/boot-loader.ts';
import { openSlots } from '../src/drivers/slots-file.ts';
import { unpackImage } from '../src/drivers/unpack-ext4.ts';
import { boundedLog } from './supervisor/log.ts';
import { Machine } from './supervisor/machine.ts';
import { servePower, type PowerHandler } from './supervisor/power-server.ts';
import { killFamily } from './supervisor/processes.ts';
import { FAILPOINT_FILE, loadSettings, SETTINGS_FILE } from './supervisor/settings.ts';
import { PowerSwitch } from './supervisor/switch.ts';

const BOOT_LOG_BYTES = 256 * 1024;
const CONSOLE_LOG_BYTES = 1024 * 1024;

/** A supervisor that listens on its control socket. */
export interface Supervisor {
  /** Resolves when it was asked to end and the node is down. */
  readonly ended: Promise<void>;
  /** Cuts the node's power and ends the supervisor; idempotent. */
  end(why: string): void;
  /** True once it may outlive the process that started it. */
  readonly kept: boolean;
}

/** Starts the supervisor of the appliance in `dir`; throws `state.locked` when one runs already. */
export async function startSupervisor(
  dir: string,
  powerOn: boolean,
  failpoints = false,
): Promise<Supervisor> {
  const loaded = await loadSettings(join(dir, SETTINGS_FILE));
  const settings = failpoints ? { ...loaded, failpoints: join(dir, FAILPOINT_FILE) } : loaded;
  const token = createHash('sha256')
    .update(await realpath(dir))
    .digest('hex');
  const log = boundedLog(settings.bootLog, BOOT_LOG_BYTES);
  const machine = new Machine(settings, token, {
    readBoot: async () => readBootFiles(settings.bootDir),
    saveCounter: async (counter) => saveCounter(settings.bootDir, counter),
    unpack: async (image, target, signal) => unpackImage(image, target, signal),
    commitMarks: async () => commitMarks(settings.slotsDir),
    log,
    console: boundedLog(settings.consoleLog, CONSOLE_LOG_BYTES),
  });
  const quit = Promise.withResolvers<string>();
  let kept = false;
  const power = new PowerSwitch(machine, {
    stateDir: settings.stateDir,
    log: (line) => log.line(line),
  });
  const handle: PowerHandler = async (request, isGone) => {
    if (request.do === 'keep') kept = true;
    if (request.do === 'quit') quit.resolve('asked to end');
    return power.handle(request, isGone);
  };
  const server = await servePower(settings.powerSocket, handle);
  if (!(await killFamily({ token, leader: null }))) log.line('an old process cannot be killed');
  if (powerOn) machine.on();
  const untilEnd = async (): Promise<void> => {
    log.line(`the supervisor ends: ${await quit.promise}`);
    await power.rest();
    await machine.off();
    await server[Symbol.asyncDispose]();
    await rm(settings.powerSocket, { force: true });
  };
  return {
    ended: untilEnd(),
    end: (why) => quit.resolve(why),
    get kept() {
      return kept;
    },
  };
}

/** What the seals beside the system slots say; a seal that cannot be read counts as none. */
async function commitMarks(slotsDir: string): Promise<CommitMarks> {
  const slots = await openSlots(slotsDir);
  const of = async (slot: Slot): Promise<number | null> => {
    try {
      return (await slots.info('system', slot)).seal?.committed ?? null;
    } catch (error) {
      if (error instanceof UpdateError) return null;
      throw error;
    }
  };
  return { A: await of('A'), B: await of('B') };
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tied: { type: 'boolean' },
      off: { type: 'boolean' },
      failpoints: { type: 'boolean' },
    },
  });
  const [dir] = positionals;
  if (dir === undefined || positionals.length > 1) {
    throw new UpdateError(
      'usage.invalid',
      'expected: supervisor.ts DIR [--tied] [--off] [--failpoints]',
    );
  }
  const supervisor = await startSupervisor(resolve(dir), values.off !== true, values.failpoints);
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => supervisor.end(name));
  }
  if (values.tied === true) {
    process.stdin.resume();
    process.stdin.on('error', () => undefined);
    process.stdin.on('close', () => {
      if (!supervisor.kept) supervisor.end('the process that started it ended');
    });
  }
  process.stdout.on('error', () => undefined);
  process.stdout.write('ready\n');
  await supervisor.ended;
  // Whoever holds the other end of the standard streams does not keep a finished supervisor alive.
  process.exit(0);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    const failure = asUpdateError(error);
    process.stderr.write(`${failure.message}\n${failure.report().next}\n`);
    process.exitCode = failure.exit;
  }
}
