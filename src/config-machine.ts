/**
 * The sections `slots`, `boot` and `host` of the configuration, and the interface of the service
 * address: which drivers this node runs on. The defaults are those of a node that is a process
 * under a supervisor; the others are those of a real machine. Always holds: a setting that only one
 * driver knows is never accepted for another. Imports node alone.
 */
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';

/** The completed sections. */
export interface MachineConfig {
  readonly slots: {
    readonly driver: 'file' | 'partition';
    /** Driver file. */
    readonly dir: string;
    /** Driver partition: the disk with the partitions; null = the one disk that has them. */
    readonly disk: string | null;
  };
  readonly boot: {
    readonly driver: 'file' | 'grub';
    /** Driver file. */
    readonly dir: string;
    /** Driver grub: the file with the boot loader's try counter. */
    readonly counter: string;
  };
  readonly host: {
    readonly driver: 'process' | 'machine';
    /** Driver machine: device of the hardware watchdog; null = there is none. */
    readonly watchdog: string | null;
  };
}

/** The part of the section `service` that a real machine adds. */
export interface ServiceInterface {
  /** The network interface that the address comes to and goes from; null = it is not moved. */
  readonly interface: string | null;
  /** Length of its network's prefix; null = the address alone. */
  readonly prefix: number | null;
}

const path = { type: 'string', maxLength: 4096, pattern: '^[^\\u0000]+$' } as const;
/** Where the system mounts GRUB's FAT when nothing else is said. */
const COUNTER = '/run/tandem-boot/tries.env';
/** A name that the kernel gives an interface, and a folder in /proc. Source: net/core/dev.c. */
export const INTERFACE_PATTERN = '^[A-Za-z0-9_][A-Za-z0-9._-]{0,14}$';

/** JSON Schemas of the three sections. */
export const MACHINE_SCHEMAS = {
  slots: {
    type: 'object',
    description: 'The two places per class (system, storage) that hold an image.',
    additionalProperties: false,
    default: {},
    properties: {
      driver: {
        type: 'string',
        enum: ['file', 'partition'],
        default: 'file',
        description:
          'file = one preallocated file per slot; partition = the partitions with the labels ' +
          'tandem-system-a, tandem-system-b, tandem-storage-a, tandem-storage-b in the GPT.',
      },
      dir: {
        ...path,
        derived: '<stateDir>/slots',
        description: 'Driver file: where the slots lie.',
      },
      disk: {
        ...path,
        derived: 'the one disk that has the partitions, for driver partition',
        description:
          'Driver partition: the disk, where several carry the labels. It holds tandem-state too.',
      },
    },
  },
  boot: {
    type: 'object',
    description: 'The boot chooser: which system slot boots.',
    additionalProperties: false,
    default: {},
    properties: {
      driver: {
        type: 'string',
        enum: ['file', 'grub'],
        default: 'file',
        description:
          'file = state and try counter in files that the boot loader reads; grub = the state in ' +
          'the partition tandem-state, the try counter in a file on the FAT of GRUB.',
      },
      dir: {
        ...path,
        derived: '<stateDir>/boot',
        description: 'Driver file: where the state of the boot chooser lies.',
      },
      counter: {
        ...path,
        derived: `${COUNTER} for driver grub`,
        description: "Driver grub: the try counter's file, where the system has mounted that FAT.",
      },
    },
  },
  host: {
    type: 'object',
    description: 'The machine that this node is.',
    additionalProperties: false,
    default: {},
    properties: {
      driver: {
        type: 'string',
        enum: ['process', 'machine'],
        default: 'process',
        description:
          'process = a supervisor tells how the boot came about, and restarts it; machine = the ' +
          'kernel command line tells, and the kernel restarts what init does not.',
      },
      watchdog: {
        ...path,
        derived: 'none, for driver machine',
        description:
          'Driver machine: device of the hardware watchdog. It stays on when the daemon stops.',
      },
    },
  },
} as const;

/** JSON Schemas of what is added to the section `service`. */
export const SERVICE_SCHEMAS = {
  interface: {
    type: 'string',
    maxLength: 15,
    pattern: INTERFACE_PATTERN,
    derived: 'none: the address is one that this machine has all the time',
    example: 'eth0',
    description: 'Network interface that the address is put on and taken from, with `ip`.',
  },
  prefix: {
    type: 'integer',
    minimum: 1,
    maximum: 128,
    derived: 'the address alone: 32, or 128 for IPv6',
    example: 24,
    description: 'Length of the prefix of the address, if the interface is to know its network.',
  },
} as const;

/** The sections as the schema accepts them. */
export interface GivenMachine {
  readonly slots: Pick<MachineConfig['slots'], 'driver'> & {
    readonly dir?: string;
    readonly disk?: string;
  };
  readonly boot: Pick<MachineConfig['boot'], 'driver'> & {
    readonly dir?: string;
    readonly counter?: string;
  };
  readonly host: Pick<MachineConfig['host'], 'driver'> & { readonly watchdog?: string };
}

/** The section `service` as the schema accepts it, as far as it is looked at here. */
export interface GivenService {
  readonly address: string;
  readonly interface?: string;
  readonly prefix?: number;
}

/** Completes the sections; relative paths start at `folder`. */
export function completeMachine(
  { slots, boot, host }: GivenMachine,
  folder: string,
  stateDir: string,
): MachineConfig {
  const at = (path: string | undefined, derived: string): string =>
    path === undefined ? derived : resolve(folder, path);
  return {
    slots: {
      driver: slots.driver,
      dir: at(slots.dir, join(stateDir, 'slots')),
      disk: slots.disk === undefined ? null : resolve(folder, slots.disk),
    },
    boot: {
      driver: boot.driver,
      dir: at(boot.dir, join(stateDir, 'boot')),
      counter: at(boot.counter, COUNTER),
    },
    host: {
      driver: host.driver,
      watchdog: host.watchdog === undefined ? null : resolve(folder, host.watchdog),
    },
  };
}

/** Tells `add` what contradicts itself; `hosts` are those that belong to this node for good. */
export function checkMachine(
  { slots, boot, host }: GivenMachine,
  service: GivenService,
  hosts: readonly string[],
  add: (setting: string, found: string, accepted: string) => void,
): void {
  const only = (setting: string, value: unknown, allowed: boolean, words: string): void => {
    if (value !== undefined && !allowed) add(setting, JSON.stringify(value), `nothing, ${words}`);
  };
  only('slots.disk', slots.disk, slots.driver === 'partition', 'without slots.driver partition');
  only('slots.dir', slots.dir, slots.driver === 'file', 'without slots.driver file');
  only('boot.counter', boot.counter, boot.driver === 'grub', 'without boot.driver grub');
  only('boot.dir', boot.dir, boot.driver === 'file', 'without boot.driver file');
  only('host.watchdog', host.watchdog, host.driver === 'machine', 'without host.driver machine');
  if (boot.driver === 'grub' && host.driver !== 'machine') {
    add('boot.driver', '"grub"', '"file", or host.driver machine, to which GRUB tells of the boot');
  }
  if (boot.driver === 'grub' && slots.driver !== 'partition') {
    add('boot.driver', '"grub"', '"file", or slots.driver partition, from which GRUB boots');
  }
  only('service.prefix', service.prefix, service.interface !== undefined, 'without an interface');
  if (service.interface === undefined) return;
  const name = service.address.replace(/:\d+$/, '').replaceAll(/[[\]]/g, '');
  const family = isIP(name);
  if (family === 0 || /^[0.:]+$/.test(name)) {
    add('service.address', JSON.stringify(service.address), 'one IP address, for its interface');
  } else if (hosts.includes(name)) {
    const words = 'an address that no other setting names, since it goes to the other node';
    add('service.address', JSON.stringify(service.address), words);
  }
  if (family === 4 && (service.prefix ?? 0) > 32) {
    add('service.prefix', String(service.prefix), 'at most 32 for an IPv4 address');
  }
}
