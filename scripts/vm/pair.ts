/**
 * Two machines as a pair of appliances: a network cable and a serial cable between them, one power
 * controller, a folder of their own each. Always holds: the cables go nowhere else; both machines
 * end with the harness; a second harness in the same folder is refused. Imports core and the
 * machine.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { NODES, peerOf, type NodeId } from '../../src/core/model.ts';
import { lockState } from '../../src/drivers/state-lock.ts';
import type { ForwardSpec, NicSpec } from './command-line.ts';
import { loadSnapshot, saveSnapshot } from './disks.ts';
import { Machine, type MachineSpec } from './machine.ts';
import { PowerController } from './power-port.ts';
import { SerialCable } from './serial-cable.ts';

/** Name of the network card on the cable between the nodes: the first one, eth0 in a guest. */
export const LINK_NIC = 'pair0';
/** Name of the network card with the forwarded ports: the second one. */
export const HOST_NIC = 'host0';

/** MAC address of a node's network card: locally administered, the last byte names the node. */
export const MAC_OF: Readonly<Record<NodeId, { readonly link: string; readonly host: string }>> = {
  A: { link: '52:54:00:7a:00:0a', host: '52:54:00:7a:01:0a' },
  B: { link: '52:54:00:7a:00:0b', host: '52:54:00:7a:01:0b' },
};

/** What one node is made of; name, folder, cable and power port are the pair's affair. */
export type NodeSpec = Omit<MachineSpec, 'name' | 'dir' | 'nics'> & {
  /**
   * Ports of the guest that this computer reaches: `Machine.forwardedPort`; with an address, that
   * of the guest in 10.0.2.0/24, which both nodes may take turns to have.
   */
  readonly guestPorts?: readonly (number | { readonly address: string; readonly port: number })[];
};

/** What a pair is made of. */
export interface PairSpec {
  /** Folder of the pair, below which each node has its own; sockets are in it, so keep it short. */
  readonly dir: string;
  readonly nodes: Readonly<Record<NodeId, NodeSpec>>;
}

/** A pair of machines; `start` and `prepare` make it. */
export class Pair implements AsyncDisposable {
  readonly machines: Readonly<Record<NodeId, Machine>>;
  readonly controller: PowerController;
  /** The cable between the second serial lines, /dev/ttyS1 in both guests. */
  readonly serialCable: SerialCable;
  readonly #lock: AsyncDisposable;
  #isLinkUp = true;

  private constructor(
    machines: Readonly<Record<NodeId, Machine>>,
    controller: PowerController,
    serialCable: SerialCable,
    lock: AsyncDisposable,
  ) {
    this.machines = machines;
    this.controller = controller;
    this.serialCable = serialCable;
    this.#lock = lock;
  }

  /** Makes the pair and switches both nodes on at the same time. Throws as `Machine.start`. */
  static async start(spec: PairSpec): Promise<Pair> {
    const pair = await Pair.prepare(spec);
    try {
      await pair.powerOn();
      return pair;
    } catch (error) {
      await pair[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** As `start`, but both nodes stay off. */
  static async prepare(spec: PairSpec): Promise<Pair> {
    await mkdir(spec.dir, { recursive: true });
    await using undo = new AsyncDisposableStack();
    const lock = undo.use(await lockState(spec.dir));
    const made = new Map<NodeId, Machine>();
    const controller = new PowerController((node) => made.get(node));
    const cable = new SerialCable();
    const prepare = async (node: NodeId): Promise<Machine> => {
      const machine = undo.use(await Machine.prepare(machineSpec(spec, node, controller, cable)));
      made.set(node, machine);
      return machine;
    };
    const machines = { A: await prepare('A'), B: await prepare('B') };
    undo.move();
    return new Pair(machines, controller, cable, lock);
  }

  /** Whether the cable between the nodes is whole. */
  get isLinkUp(): boolean {
    return this.#isLinkUp;
  }

  /** Cuts the cable between the nodes: both see no carrier, also after a reset. */
  async cutLink(): Promise<void> {
    this.#isLinkUp = false;
    await this.#both((machine) => machine.cutLink(LINK_NIC));
  }

  /** Restores the cable between the nodes. */
  async restoreLink(): Promise<void> {
    this.#isLinkUp = true;
    await this.#both((machine) => machine.restoreLink(LINK_NIC));
  }

  /** Switches one node on, or both; one that runs is left alone. */
  async powerOn(node?: NodeId): Promise<void> {
    await this.#both((machine) => machine.powerOn(), node);
  }

  /** Cuts the power of one node, or of both at once. */
  async cutPower(node?: NodeId): Promise<void> {
    await this.#both((machine) => machine.cutPower(), node);
  }

  /** Ends one node, or both, from outside in an orderly way. */
  async quit(node?: NodeId): Promise<void> {
    await this.#both((machine) => machine.quit(), node);
  }

  /**
   * Saves both nodes under `tag` in their qcow2 disks. Both stand still until both are saved, so
   * that neither knows more of the other than the other's snapshot does.
   */
  async saveSnapshot(tag: string): Promise<void> {
    await this.#both((machine) => machine.freeze());
    await this.#both((machine) => saveSnapshot(machine, tag));
    await this.#both((machine) => machine.unfreeze());
  }

  /** Takes both running nodes back to a snapshot; the cable stays as it is now. */
  async loadSnapshot(tag: string): Promise<void> {
    await this.#both((machine) => machine.freeze());
    await this.#both((machine) => loadSnapshot(machine, tag));
    await this.#both((machine) => machine.unfreeze());
  }

  /** Cuts the power of both nodes and frees the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#both((machine) => machine[Symbol.asyncDispose]());
    await this.#lock[Symbol.asyncDispose]();
  }

  /** Does the same to both nodes at once, or to one; waits for both, also after an error. */
  async #both(what: (machine: Machine) => Promise<void>, only?: NodeId): Promise<void> {
    const nodes = only === undefined ? NODES : [only];
    const ends = await Promise.allSettled(nodes.map((node) => what(this.machines[node])));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}

function machineSpec(
  spec: PairSpec,
  node: NodeId,
  controller: PowerController,
  serialCable: SerialCable,
): MachineSpec {
  const { guestPorts = [], ...own } = spec.nodes[node];
  const socketOf = (of: NodeId): string => join(spec.dir, `link-${of}`);
  const { link, host } = MAC_OF[node];
  const ends = { local: socketOf(node), remote: socketOf(peerOf(node)) };
  const cable: NicSpec = { kind: 'link', name: LINK_NIC, mac: link, ...ends };
  const forwards = guestPorts.map((one): ForwardSpec => {
    if (typeof one === 'number') return { hostPort: 0, guestPort: one };
    return { hostPort: 0, guestPort: one.port, guestAddress: one.address };
  });
  const reach: NicSpec = { kind: 'user', name: HOST_NIC, mac: host, forwards };
  return {
    ...own,
    name: node,
    dir: join(spec.dir, node),
    nics: guestPorts.length === 0 ? [cable] : [cable, reach],
    ports: [controller.portOf(node), ...(own.ports ?? [])],
    serials: [serialCable.endOf(node), ...(own.serials ?? [])],
  };
}
