/**
 * The configuration of a node: its type and the loader of the commented file (JSON with comments);
 * schema and defaults are in config-schema.ts. Always holds: a loaded configuration is complete and
 * without contradiction, and every path in it is absolute. Imports core and its own parts.
 */
import { open } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { checkAutomation, completeAutomation } from './config-automation.ts';
import type { AutomationConfig, GivenAutomation } from './config-automation.ts';
import { checkConfig, throwProblems, type ConfigProblem } from './config-check.ts';
import { checkFence, completeFence, type FenceConfig, type GivenFence } from './config-fence.ts';
import {
  checkMachine,
  completeMachine,
  type GivenMachine,
  type GivenService,
  type MachineConfig,
  type ServiceInterface,
} from './config-machine.ts';
import { checkPower, completePower, type GivenPower, type PowerConfig } from './config-power.ts';
import { checkRemote, completeRemote } from './config-remote.ts';
import type { GivenRemote, RemoteConfig } from './config-remote.ts';
import { UpdateError } from './core/errors.ts';
import type { NodeId } from './core/model.ts';
import type { Order } from './core/records.ts';

/** Host and port; 127.0.0.1 in the embedded default. */
export type Address = string;

/** Everything that a node is told from outside. */
export interface Config extends MachineConfig {
  readonly node: NodeId;
  readonly product: string;
  readonly hardware: string;
  /** Data partition: journal, depot, keys, trust root, logs. Never inside a slot. */
  readonly stateDir: string;
  /** Volatile files: sockets, unpacked storage software. */
  readonly runDir: string;
  /** Root of the booted system, where /etc/tandem-release is read. */
  readonly rootDir: string;
  /** Directory with check.d, health.d ...; default `<rootDir>/etc/tandem/hooks.d`. */
  readonly hooksDir: string;
  /** root.json with the keys that may sign bundles; default `<stateDir>/trust/root.json`. */
  readonly trustRoot: string;
  readonly control: {
    readonly socket: string;
    /** The socket that takes a login first; everyone may connect to it. */
    readonly consoleSocket: string;
    readonly group: string;
  };
  readonly console: {
    /** Administrators may open a shell from a console. */
    readonly serviceShell: 'off' | 'on';
  };
  readonly link: {
    readonly listen: Address;
    readonly peer: Address;
    readonly bulk: Address;
    /** Serial line to the peer, the second channel of the link; null = there is none. */
    readonly serial: string | null;
    /** Bits per second of the serial line. */
    readonly serialBaud: number;
    /** Milliseconds without a word of the peer after which a channel counts as lost. */
    readonly silentMs: number;
  };
  readonly storage: {
    readonly listen: Address;
    readonly peer: Address;
    /** Unix socket of the storage software's API. */
    readonly socket: string;
    readonly dataDir: string;
  };
  readonly service: ServiceInterface & {
    readonly address: Address;
    /** Program of the workload, relative to rootDir; it is run with the node's own Node. */
    readonly program: string;
  };
  readonly policy: {
    readonly order: Order;
    readonly onSecondFailure: 'hold' | 'rollback';
    readonly retries: number;
    readonly tries: number;
    /** Seconds after its boot during which the checks of a trial may still fail. */
    readonly graceS: number;
    /** Seconds that a trial must be stable before it counts as healthy. */
    readonly stableS: number;
    /** Seconds that the first node serves before the second one is touched. */
    readonly soakS: number;
    readonly deadmanS: number;
    /** Hours after DONE until FINALIZE happens by itself; 0 = only by `tandem commit`. */
    readonly burnInH: number;
    /** Hours for which a pair may be held in two versions before that is overdue; 0 = no limit. */
    readonly holdH: number;
  };
  readonly automation: AutomationConfig;
  readonly fence: FenceConfig;
  readonly power: PowerConfig;
  /** The control API for other machines; null = there is none. */
  readonly remote: RemoteConfig | null;
}

/** Where the configuration is looked for when neither `--config` nor TANDEM_CONFIG names it. */
export const CONFIG_PATH = '/etc/tandem/tandem.jsonc';
const CONFIG_BYTES_MAX = 256 * 1024;
/** Limit of the kernel for the path of a unix socket, without the final zero (unix(7)). */
const SOCKET_PATH_BYTES_MAX = 107;

/**
 * Reads, checks and completes a configuration file: defaults are filled in, paths are absolute
 * (relative ones are taken from the file's folder). Throws `file.not_found`, `file.unreadable`, or
 * `config.invalid` with file, line, setting, what was found and what is accepted; every further
 * problem stands in `detail.problems`.
 */
export async function loadConfig(path: string): Promise<Config> {
  const file = resolve(path);
  return parseConfig(await readText(file), file);
}

/** The same from a text that was read already; `file` gives the folder and the name in errors. */
export async function parseConfig(text: string, file: string): Promise<Config> {
  const { value, lineOf } = await checkConfig(text, file);
  const given = value as unknown as Given;
  const config = complete(given, dirname(file));
  throwProblems(contradictions(given, config, lineOf), file);
  return config;
}

/**
 * Host and port of an address that the schema has accepted; an IPv6 host comes without its
 * brackets. Throws `usage.invalid` for any other text.
 */
export function parseAddress(text: Address): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65535) {
    throw new UpdateError('usage.invalid', `found ${text}, expected host:port`);
  }
  return { host: match[1] ?? match[2]!, port };
}

async function readText(file: string): Promise<string> {
  try {
    await using handle = await open(file, 'r');
    const stat = await handle.stat();
    if (!stat.isFile()) throw new UpdateError('file.unreadable', `${file} is not a regular file`);
    if (stat.size > CONFIG_BYTES_MAX) {
      const message = `${file} has ${stat.size} bytes; at most ${CONFIG_BYTES_MAX} are accepted`;
      throw new UpdateError('file.unreadable', message);
    }
    const buffer = Buffer.alloc(CONFIG_BYTES_MAX);
    const { bytesRead } = await handle.read(buffer, 0, CONFIG_BYTES_MAX, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch (cause) {
    if (cause instanceof UpdateError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new UpdateError('file.not_found', `there is no configuration file ${file}`, { cause });
    }
    throw new UpdateError('file.unreadable', `cannot read ${file}: ${message}`, { cause });
  }
}

/** The checked value: required settings and schema defaults are there, derived ones may lack. */
type Given = Omit<
  Config,
  | 'hooksDir'
  | 'trustRoot'
  | 'control'
  | 'link'
  | 'storage'
  | 'service'
  | 'automation'
  | 'fence'
  | 'power'
  | 'remote'
  | keyof MachineConfig
> &
  GivenMachine & {
    readonly hooksDir?: string;
    readonly trustRoot?: string;
    readonly control: {
      readonly socket?: string;
      readonly consoleSocket?: string;
      readonly group: string;
    };
    readonly link: Omit<Config['link'], 'bulk' | 'serial'> & {
      readonly bulk?: Address;
      readonly serial?: string;
    };
    readonly storage: Omit<Config['storage'], 'socket' | 'dataDir'> & {
      readonly socket?: string;
      readonly dataDir?: string;
    };
    readonly service: GivenService & { readonly program: string };
    readonly automation: GivenAutomation;
    readonly fence: GivenFence;
    readonly power: GivenPower;
    readonly remote: GivenRemote;
  };

function complete(given: Given, folder: string): Config {
  const stateDir = resolve(folder, given.stateDir);
  const runDir = resolve(folder, given.runDir);
  const rootDir = resolve(folder, given.rootDir);
  const at = (path: string | undefined, derived: string): string =>
    path === undefined ? derived : resolve(folder, path);
  const { listen } = given.link;
  return {
    node: given.node,
    product: given.product,
    hardware: given.hardware,
    stateDir,
    runDir,
    rootDir,
    hooksDir: at(given.hooksDir, join(rootDir, 'etc/tandem/hooks.d')),
    trustRoot: at(given.trustRoot, join(stateDir, 'trust/root.json')),
    control: {
      socket: at(given.control.socket, join(runDir, 'control.sock')),
      consoleSocket: at(given.control.consoleSocket, join(runDir, 'console.sock')),
      group: given.control.group,
    },
    console: { ...given.console },
    link: {
      ...given.link,
      bulk: given.link.bulk ?? `${listen.replace(/:\d+$/, '')}:0`,
      serial: given.link.serial === undefined ? null : resolve(folder, given.link.serial),
    },
    storage: {
      ...given.storage,
      socket: at(given.storage.socket, join(runDir, 'storage.sock')),
      dataDir: at(given.storage.dataDir, join(stateDir, 'store')),
    },
    service: {
      address: given.service.address,
      program: given.service.program,
      interface: given.service.interface ?? null,
      prefix: given.service.prefix ?? null,
    },
    ...completeMachine(given, folder, stateDir),
    policy: { ...given.policy },
    automation: completeAutomation(given.automation, folder, stateDir),
    fence: completeFence(given.fence, folder),
    power: completePower(given.power),
    remote: completeRemote(given.remote, folder),
  };
}

/** What the schema cannot say: ports in range, two ends that differ, paths that a socket allows. */
function contradictions(
  given: Given,
  config: Config,
  lineOf: (setting: string) => number,
): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const add = (setting: string, found: string, accepted: string): void => {
    const text = `${setting} is ${found}; accepted: ${accepted}`;
    problems.push({ line: lineOf(setting), setting, found, accepted, text });
  };
  const { link, storage, service } = config;
  const addresses = {
    'link.listen': link.listen,
    'link.peer': link.peer,
    'link.bulk': link.bulk,
    'storage.listen': storage.listen,
    'storage.peer': storage.peer,
    'service.address': service.address,
    ...(config.remote === null ? {} : { 'remote.listen': config.remote.listen }),
  };
  for (const [setting, text] of Object.entries(addresses)) {
    const port = Number(text.slice(text.lastIndexOf(':') + 1));
    const lowest = setting === 'link.bulk' ? 0 : 1;
    if (port < lowest || port > 65535) {
      add(setting, JSON.stringify(text), `host:port with a port from ${lowest} to 65535`);
    }
  }
  if (link.listen === link.peer) {
    add('link.peer', JSON.stringify(link.peer), 'another address than link.listen');
  }
  if (storage.listen === storage.peer) {
    add('storage.peer', JSON.stringify(storage.peer), 'another address than storage.listen');
  }
  if (config.control.socket === config.control.consoleSocket) {
    const path = JSON.stringify(config.control.socket);
    add('control.consoleSocket', path, 'another path than control.socket');
  }
  checkAutomation(given.automation, add);
  checkFence(given.fence, add);
  checkPower(given.power, add);
  const taken = {
    'link.listen': link.listen,
    'storage.listen': storage.listen,
    'service.address': service.address,
  };
  checkRemote(given.remote, taken, add);
  const own = [link.listen, link.peer, link.bulk, storage.listen, storage.peer];
  const hosts = own.map((address) => address.replace(/:\d+$/, '').replaceAll(/[[\]]/g, ''));
  checkMachine(given, given.service, hosts, add);
  const { fencer } = config.fence;
  const sockets = {
    'control.socket': config.control.socket,
    'control.consoleSocket': config.control.consoleSocket,
    'storage.socket': storage.socket,
    ...(fencer.kind === 'power' ? { 'fence.fencer.socket': fencer.socket } : {}),
  };
  for (const [setting, path] of Object.entries(sockets)) {
    const bytes = Buffer.byteLength(path);
    if (bytes <= SOCKET_PATH_BYTES_MAX) continue;
    add(setting, `a path of ${bytes} bytes`, `at most ${SOCKET_PATH_BYTES_MAX} bytes`);
  }
  return problems;
}
