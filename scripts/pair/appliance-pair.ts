/**
 * A pair of appliances on the bench: two emulated machines that boot from their own disks through
 * the boot loader and run the service, and everything that a test, a scenario or a person does to
 * them. Always holds: the disks of the factory are never written to, each pair works on copies in a
 * folder of its own; the harness sees of an appliance what anybody could see who has its serial
 * line, its network and root's key; everything ends with the process. Imports core, control and the
 * parts beside it.
 */
import { mkdir, mkdtemp, open, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlClient } from '../../src/control/client.ts';
import { asUpdateError, UpdateError } from '../../src/core/errors.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { MIB } from '../appliance/layout.ts';
import { DemoClient, type ClientPace } from '../demo/client.ts';
import { copyDisk, makeOverlay } from '../vm/disks.ts';
import { Pair, type NodeSpec } from '../vm/pair.ts';
import type { DiskSpec, Machine } from '../vm/machine.ts';
import { runCommand, type Command } from './command.ts';
import { lockState } from '../../src/drivers/state-lock.ts';
import { Door, DOOR_PORTS, type RootResult } from './door.ts';
import { FIRST } from './releases.ts';
import { Watch } from './watch.ts';
import { CLIENT_NETWORK, PairWorkshop, type PairDisks, type PairSettings } from './workshop.ts';

/** Limit of one wait, some five times what a busy machine takes. */
export const WAIT_MS = 600_000;
/** Longest run of a command in the guest. */
const COMMAND_MS = 180_000;
/** Limit of `tandem ... --wait`, so that a command never outlives a story by much. */
const UPDATE_S = '1500';
/** What a technician's medium holds: the largest bundle of the bench, several times. */
const MEDIUM_BYTES = 256 * MIB;
const LOOK_MS = 300;
/** Pause between two looks from outside, which cost the appliance something, too. */
const WATCH_MS = 2000;
/** An emulated appliance has a tenth of a real one's power. */
const CLIENT_PACE: ClientPace = { pauseMs: 300, requestMs: 3000 };
const [SERVICE_HOST = '', SERVICE_PORT = ''] = CLIENT_NETWORK.service.split(':');

/** As short as it makes sense under emulation. */
export const SHORT_POLICY: PairSettings['policy'] = {
  tries: 2,
  graceS: 150,
  stableS: 1,
  soakS: 0,
  deadmanS: 900,
  retries: 0,
  onSecondFailure: 'hold',
};

/** What every pair of the bench has unless it is told otherwise. */
export const DEFAULT_SETTINGS: PairSettings = {
  first: FIRST,
  policy: SHORT_POLICY,
  fence: 'fence',
  storage: 'directory',
  console: 'root-shell',
  watchdogS: 180,
};

/** How a pair is made. */
export interface PairOptions {
  readonly settings?: Partial<PairSettings>;
  /** Opened already; default: opened now. */
  readonly workshop?: PairWorkshop;
  /** Folder for disks, logs and sockets, at most some 60 bytes; default: one that goes away. */
  readonly dir?: string | undefined;
  /**
   * `overlay` (default): the disks take writes into a file of their own; `logged`: raw copies with
   * a log of every write and flush (`Machine.writeLogs`), and copies as they were at the start.
   */
  readonly disks?: 'overlay' | 'logged';
  readonly memoryMiB?: number;
  /** Disks to run from in the place of the factory's; they are not written to. */
  readonly made?: PairDisks;
  /** Disks with a snapshot, `A.qcow2` and `B.qcow2`, from which both go on (snapshot.ts). */
  readonly snapshot?: { readonly folder: string; readonly tag: string };
  /** Told what takes long. */
  readonly say?: (line: string) => void;
}

/** One appliance of the pair. */
export interface BenchNode {
  readonly id: NodeId;
  readonly machine: Machine;
  readonly door: Door;
  readonly controlSocket: string;
  readonly control: ControlClient;
  /** The host's file behind the guest's /dev/vdb. */
  readonly medium: string;
}

/** A pair; `open` makes it and leaves it off. */
export class AppliancePair implements AsyncDisposable {
  readonly dir: string;
  readonly workshop: PairWorkshop;
  readonly made: PairDisks;
  readonly vms: Pair;
  readonly nodes: Readonly<Record<NodeId, BenchNode>>;
  readonly watch: Watch;
  readonly #isOwnDir: boolean;
  readonly #lock: AsyncDisposable;
  readonly #ended = new AbortController();
  /** Command lines that run; none of them outlives the pair. */
  readonly #commands = new Set<Command>();
  #clients = 0;

  private constructor(
    parts: Pick<AppliancePair, 'dir' | 'workshop' | 'made' | 'vms' | 'nodes'>,
    lock: AsyncDisposable,
    isOwnDir: boolean,
  ) {
    this.#lock = lock;
    this.dir = parts.dir;
    this.workshop = parts.workshop;
    this.made = parts.made;
    this.vms = parts.vms;
    this.nodes = parts.nodes;
    this.#isOwnDir = isOwnDir;
    this.watch = new Watch({ nodes: this.nodes, pauseMs: WATCH_MS, waitMs: WAIT_MS });
  }

  /**
   * Makes what is missing, and a pair that is off. Throws `tool.missing`, `tool.failed`,
   * `state.locked` when another harness works in the folder.
   */
  static async open(options: PairOptions = {}): Promise<AppliancePair> {
    const { say, disks: kind = 'overlay', memoryMiB = 512, snapshot } = options;
    const workshop = options.workshop ?? (await PairWorkshop.open(say));
    const made = await AppliancePair.disksOf({ ...options, workshop });
    const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'tandem-bench-')));
    await mkdir(dir, { recursive: true });
    await using undo = new AsyncDisposableStack();
    if (options.dir === undefined) {
      undo.defer(() => rm(dir, { recursive: true, force: true }));
    }
    // Before anything in the folder is touched that another bench may be using.
    const lock = undo.use(await lockState(dir));
    const media = { A: join(dir, 'medium-A.img'), B: join(dir, 'medium-B.img') };
    const specOf = async (node: NodeId): Promise<NodeSpec> => {
      await writeFile(media[node], '');
      await truncate(media[node], MEDIUM_BYTES);
      return {
        disk: await diskOf(made.disks[node], dir, node, kind, snapshot?.folder),
        memoryMiB,
        ...(snapshot === undefined ? {} : { loadSnapshot: snapshot.tag }),
        guestPorts: [...DOOR_PORTS, { address: SERVICE_HOST, port: Number(SERVICE_PORT) }],
        extra: mediumArguments(media[node]),
      };
    };
    const specs = { A: await specOf('A'), B: await specOf('B') };
    const vms = undo.use(await Pair.prepare({ dir: join(dir, 'vm'), nodes: specs }));
    const nodeOf = async (id: NodeId): Promise<BenchNode> => {
      const machine = vms.machines[id];
      const door = undo.use(await Door.open(machine, dir, made.rootKey));
      const { controlSocket } = door;
      const control = new ControlClient(controlSocket);
      return { id, machine, door, controlSocket, control, medium: media[id] };
    };
    const nodes = { A: await nodeOf('A'), B: await nodeOf('B') };
    undo.move();
    return new AppliancePair({ dir, workshop, made, vms, nodes }, lock, options.dir === undefined);
  }

  /** The disks that a pair with these options runs from. */
  static async disksOf({
    settings,
    workshop,
    made,
  }: PairOptions & { readonly workshop: PairWorkshop }): Promise<PairDisks> {
    return made ?? workshop.disks({ ...DEFAULT_SETTINGS, ...settings });
  }

  /** Ends every wait of this pair when it is closed. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Switches both appliances on and begins to watch them. */
  async powerOn(): Promise<void> {
    await this.vms.powerOn();
    this.watch.start();
  }

  /** The pair as a node sees it; throws `daemon.unreachable`. */
  async status(node: NodeId): Promise<PairStatus> {
    return this.nodes[node].control.status(this.signal);
  }

  /**
   * Waits until both nodes say that the pair is highly available and no rollout goes on. Throws
   * `pair.not_healthy` with the newest word of each node when time is up.
   */
  async waitAvailable(timeoutMs = WAIT_MS): Promise<PairStatus> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const views = await Promise.all(NODES.map((node) => this.#view(node)));
      const [a] = views;
      if (a?.status && views.every((view) => view.good)) return a.status;
      if (performance.now() > endMs) {
        const words = views.map((view, at) => `node ${NODES[at] ?? ''}: ${view.text}`).join('; ');
        throw new UpdateError('pair.not_healthy', `time is up, ${words}`);
      }
      await sleep(LOOK_MS, undefined, { signal: this.signal });
    }
  }

  /** Runs a command of the shell as root on an appliance, whatever its exit status. */
  async run(node: NodeId, command: string, timeoutMs = COMMAND_MS): Promise<RootResult> {
    return this.nodes[node].door.run(command, timeoutMs);
  }

  /** What a command of root prints; throws `tool.failed` when it does not end with 0. */
  async shell(node: NodeId, command: string, timeoutMs = COMMAND_MS): Promise<string> {
    const { status, output } = await this.run(node, command, timeoutMs);
    if (status === 0) return output;
    const words = output.slice(-500);
    const message = `"${command}" on node ${node} ended with ${String(status)}: ${words}`;
    throw new UpdateError('tool.failed', message);
  }

  /** Starts the command line against a node, from this computer. */
  tandem(node: NodeId, ...args: readonly string[]): Command {
    const words = [this.workshop.programs.tandem, ...args];
    const socket = ['--socket', this.nodes[node].controlSocket];
    const command = runCommand(process.execPath, [...words, ...socket]);
    this.#commands.add(command);
    const ended = (): void => void this.#commands.delete(command);
    command.done.then(ended, ended);
    return command;
  }

  /**
   * Brings a bundle into an appliance, as with a medium that a technician plugs in; returns its
   * path there.
   */
  async push(node: NodeId, file: string): Promise<string> {
    const { size } = await stat(file);
    if (size > MEDIUM_BYTES) {
      const message = `${file} has ${String(size)} bytes, the medium ${String(MEDIUM_BYTES)}`;
      throw new UpdateError('usage.invalid', message);
    }
    await writeOver(file, this.nodes[node].medium);
    const to = '/data/update.bin';
    const blocks = String(Math.ceil(size / MIB));
    // Past the cache: writes of the store would wait until all of it is on the disk.
    const read = `dd if=/dev/vdb of=${to}.part bs=1M count=${blocks} iflag=direct oflag=direct`;
    const cut = `truncate -s ${String(size)} ${to}.part && mv ${to}.part ${to}`;
    await this.shell(node, `${read} 2>/dev/null && ${cut}`);
    return to;
  }

  /** Starts the update with a bundle that was pushed, and waits for its end. */
  update(node: NodeId, path: string, ...more: readonly string[]): Command {
    const words = ['update', path, '--wait', '--yes', '--json', '--timeout', UPDATE_S];
    return this.tandem(node, ...words, ...more);
  }

  /** A client of the service, on this computer; it works from `start` to `finish`. */
  client(): DemoClient {
    this.#clients += 1;
    const port = Number(SERVICE_PORT);
    const ways = NODES.map((node) => {
      return `http://127.0.0.1:${String(this.nodes[node].machine.forwardedPort(port))}`;
    });
    return new DemoClient(ways, `client-${String(this.#clients)}`, CLIENT_PACE);
  }

  /** Cuts the power of both, frees the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    for (const command of this.#commands) command.signal('SIGKILL');
    await this.watch.stop();
    await Promise.all(NODES.map((node) => this.nodes[node].door[Symbol.asyncDispose]()));
    await this.vms[Symbol.asyncDispose]();
    await this.#lock[Symbol.asyncDispose]();
    if (this.#isOwnDir) await rm(this.dir, { recursive: true, force: true });
  }

  async #view(node: NodeId): Promise<{ status: PairStatus | null; good: boolean; text: string }> {
    try {
      const status = await this.status(node);
      const busy = status.rollout !== null && !status.rollout.ended;
      return { status, good: status.ha.ok && !busy, text: `${status.state}, ${status.ha.text}` };
    } catch (error) {
      this.signal.throwIfAborted();
      return { status: null, good: false, text: asUpdateError(error).message };
    }
  }
}

/** The disk that a machine writes to, in the pair's folder. */
async function diskOf(
  base: string,
  dir: string,
  node: NodeId,
  kind: 'overlay' | 'logged',
  snapshots: string | undefined,
): Promise<DiskSpec> {
  const path = join(dir, node);
  if (snapshots !== undefined) {
    await copyDisk(join(snapshots, `${node}.qcow2`), `${path}.qcow2`);
    return { path: `${path}.qcow2`, format: 'qcow2' };
  }
  if (kind === 'overlay') return makeOverlay({ path: base, format: 'raw' }, `${path}.qcow2`);
  await copyDisk(base, `${path}.start.img`);
  await copyDisk(base, `${path}.img`);
  return { path: `${path}.img`, format: 'raw', logWrites: true };
}

/** A second disk that the guest only reads: /dev/vdb. */
function mediumArguments(path: string): readonly string[] {
  const file = `file.driver=file,file.filename=${path.replaceAll(',', ',,')},file.locking=off`;
  const node = `driver=raw,node-name=medium0,read-only=on,${file}`;
  return ['-blockdev', node, '-device', 'virtio-blk-pci,drive=medium0,addr=07'];
}

/** Puts the content of a file at the beginning of another one, whose size stays. */
async function writeOver(source: string, target: string): Promise<void> {
  await using from = await open(source, 'r');
  await using to = await open(target, 'r+');
  const chunk = Buffer.alloc(4 * MIB);
  for (let at = 0; ;) {
    const { bytesRead } = await from.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) return;
    await to.write(chunk, 0, bytesRead, at);
    at += bytesRead;
  }
}
