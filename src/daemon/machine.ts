/**
 * Opens the drivers that the configuration chooses between: slots, boot chooser, host and service
 * address of a process under a supervisor, or of a real machine. Imports the configuration, ports
 * and the drivers.
 */
import { join } from 'node:path';
import { parseAddress, type Config } from '../config.ts';
import { RELEASE_FILE } from '../core/model.ts';
import {
  DEVICE_ROOTS,
  findPartitions,
  STATE_LABEL,
  type DeviceRoots,
} from '../drivers/block-device.ts';
import { openBoot, recreateBoot, type BootRemains } from '../drivers/boot-file.ts';
import { openGrubBoot } from '../drivers/boot-grub.ts';
import { commandHost } from '../drivers/host-command.ts';
import { MACHINE_ROOTS, openMachineHost, type MachineRoots } from '../drivers/host-machine.ts';
import { openHost } from '../drivers/host-process.ts';
import { openArpService } from '../drivers/service-arp.ts';
import { startServiceProcess, type ServiceProcessOptions } from '../drivers/service-process.ts';
import { findSlotDevices, openBlockSlots } from '../drivers/slots-block.ts';
import { openSlots } from '../drivers/slots-file.ts';
import type { BootChooser, Host, ServiceAddress, ServiceLog, Slots } from '../ports.ts';

/** What of the machine a test puts something else in place of. */
export interface MachineParts {
  /** Folders and files of the kernel. */
  readonly roots: MachineRoots & DeviceRoots;
  /** Ends this process for good, of a machine that is not restarted by its kernel. */
  readonly exit?: (status: number) => never;
  /** The program `ip` with its first arguments. */
  readonly ip?: readonly [string, ...string[]];
  /** The workload in place of the one that the configuration names. */
  readonly startWorkload?: (options: ServiceProcessOptions) => ServiceAddress;
}

/** The machine's own. */
export const MACHINE_PARTS: MachineParts = { roots: { ...MACHINE_ROOTS, ...DEVICE_ROOTS } };

/** The host, with the programs of the section `power`. Throws what its driver throws. */
export async function openHostOf(
  config: Config,
  log: ServiceLog,
  { roots, exit }: MachineParts = MACHINE_PARTS,
): Promise<Host> {
  const { runDir, stateDir, power, host } = config;
  if (host.driver === 'process') {
    return commandHost(openHost({ env: process.env, runDir, stateDir }), power, log);
  }
  const more = exit === undefined ? {} : { exit };
  const { watchdog } = host;
  return await openMachineHost({ runDir, stateDir, ...power, watchdog, log, roots, ...more });
}

/** The slots. Throws `slot.io`. */
export async function openSlotsOf(
  config: Pick<Config, 'slots'>,
  booted: 'A' | 'B' | null,
  { roots }: MachineParts = MACHINE_PARTS,
): Promise<Slots> {
  const { driver, dir, disk } = config.slots;
  if (driver === 'file') return await openSlots(dir);
  return await openBlockSlots(await findSlotDevices(disk, roots), { booted, roots });
}

/** The boot chooser, and how a state that was lost is made again before it is opened. */
export interface BootParts {
  readonly open: () => Promise<BootChooser & AsyncDisposable>;
  readonly recreate: (remains: BootRemains) => Promise<boolean>;
}

/** The boot chooser; nothing is opened yet. */
export function bootOf(
  config: Pick<Config, 'boot' | 'slots'>,
  { roots }: MachineParts = MACHINE_PARTS,
): BootParts {
  const { driver, dir, counter } = config.boot;
  if (driver === 'file') {
    return { open: () => openBoot(dir), recreate: (remains) => recreateBoot(dir, remains) };
  }
  const open = async () => {
    const [state] = await findPartitions([STATE_LABEL], config.slots.disk, roots);
    return await openGrubBoot({ state: state?.path ?? '', counter });
  };
  const recreate = async (remains: BootRemains): Promise<boolean> => {
    await using chooser = await open();
    return await chooser.recreate(remains);
  };
  return { open, recreate };
}

/** The service address with its workload, which logs to the folder `logs`. */
export async function openServiceOf(
  config: Config,
  logs: string,
  log: ServiceLog,
  { roots, ip, startWorkload }: MachineParts = MACHINE_PARTS,
): Promise<ServiceAddress> {
  const { address, program, interface: dev, prefix: prefixLength } = config.service;
  const workload = (startWorkload ?? startServiceProcess)({
    node: config.node,
    program: join(config.rootDir, program),
    address,
    storageSocket: config.storage.socket,
    releaseFile: join(config.rootDir, RELEASE_FILE),
    logFile: join(logs, 'workload.log'),
    onExit: log,
  });
  if (dev === null) return workload;
  try {
    return await openArpService({
      workload,
      address: parseAddress(address).host,
      prefixLength,
      interface: dev,
      log,
      ipv6Conf: join(roots.proc, 'sys/net/ipv6/conf'),
      ...(ip === undefined ? {} : { ip }),
    });
  } catch (error) {
    await workload[Symbol.asyncDispose]();
    throw error;
  }
}
