/**
 * One life of a node of the bench: the ports of its daemon from its start to a power cut, a kill or
 * a reboot. Always holds: once the life has ended, a call of a port neither returns nor changes
 * anything; each durable change outside the journal and the boot chooser is an operation of the
 * node's disk, before which power can be cut. Only tests import it.
 */
import type { BootInfo } from '../../src/core/boot.ts';
import type { Slot, SlotClass, SlotSeal } from '../../src/core/model.ts';
import { startWorld } from '../../src/core/start.ts';
import type { NodeState } from '../../src/core/state.ts';
import type { InstallerRequest } from '../../src/install/protocol.ts';
import type { BootChooser, Host, Installer, Journal, JournalContent } from '../../src/ports.ts';
import type { PeerLink, ServiceAddress, Slots, Store } from '../../src/ports.ts';
import type { ExecuteOptions, ExecutePorts } from '../../src/updater/execute.ts';
import { readSeals } from '../../src/updater/execute.ts';
import type { Runner, RunnerEvents } from '../../src/updater/runner.ts';
import { nodeRecord } from '../core/states.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { memoryDepot } from '../memory/depot.ts';
import { noFencer } from '../../src/drivers/fence-none.ts';
import { MemoryHooks } from '../memory/hooks.ts';
import { memoryInstaller, type MemoryBundle } from '../memory/installer.ts';
import type { MemoryWire } from '../memory/link.ts';
import type { MemoryServiceNetwork } from '../memory/service-address.ts';
import { memorySlots } from '../memory/slots.ts';
import { MemoryStorageSoftware, type MemoryStorageImage } from '../memory/storage-software.ts';
import type { MemoryStorePair } from '../memory/store.ts';
import type { BenchNode } from './bench-node.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** What both nodes share. */
export interface BenchWorld {
  readonly clock: VirtualClock;
  readonly wire: MemoryWire;
  readonly store: MemoryStorePair;
  readonly network: MemoryServiceNetwork;
  readonly bulk: Map<string, MemoryBundle>;
}

/** What is wrong with a version, by its release counter. */
export interface Faults {
  readonly unhealthy?: number;
  readonly storageUnhealthy?: number;
  /** It never comes up. */
  readonly crash?: number;
  /** Systems under which the new storage software runs. */
  readonly storageRunsWith?: string;
}

const NEVER = new Promise<never>(() => undefined);
const EPOCH_MS = Date.UTC(2026, 0, 1);

export class Life {
  readonly node: BenchNode;
  readonly boot: BootInfo;
  readonly ports: ExecutePorts;
  readonly options: ExecuteOptions;
  readonly events: RunnerEvents;
  readonly link: PeerLink;
  readonly run: string;
  rebooting = false;
  readonly #journal: Journal;
  readonly #storage: MemoryStorageSoftware;
  #runner: Runner | null = null;
  #ended = false;

  constructor(
    node: BenchNode,
    boot: BootInfo,
    { journal, chooser }: { readonly journal: Journal; readonly chooser: BootChooser },
  ) {
    const { world, id } = node;
    this.node = node;
    this.boot = boot;
    this.run = `${id}-run${node.runs}`;
    this.#journal = journal;
    this.#storage = this.#storageSoftware();
    this.link = this.#peerLink(world.wire.open(id));
    this.ports = {
      boot: this.#bootChooser(chooser),
      slots: this.#slots(),
      store: this.#guard(this.#store()),
      depot: memoryDepot(node.depot),
      installer: this.#installer(),
      host: this.#host(),
      storage: this.#guard(this.#storage),
      service: this.#guard(this.#service(world.network.address(id))),
      hooks: new MemoryHooks(),
      fencer: noFencer(),
      pause: world.clock.pause,
    };
    this.options = {
      stateDir: 'memory',
      depotDir: 'memory',
      trustRoot: 'memory',
      bulk: { host: id, port: 1, keysDir: 'memory' },
      peerHost: id === 'A' ? 'B' : 'A',
      health: { graceMs: 3000, stableMs: 1000, roundMs: 500, checkMs: 60_000 },
    };
    this.events = {
      onStep: () => undefined,
      onMessage: () => undefined,
      onRefused: () => undefined,
      onFatal: (error) => {
        if (this.alive) node.problems.push(`fatal: ${error.message}`);
      },
      log: (line) => {
        if (this.alive) node.log.push(line);
      },
    };
  }

  get runner(): Runner {
    if (this.#runner === null) throw new Error('the daemon has not begun');
    return this.#runner;
  }

  /** False from the moment at which power went, also before anyone has noticed. */
  get alive(): boolean {
    return !this.#ended && !this.rebooting && !this.node.disk.off;
  }

  begin(runner: Runner): void {
    this.#runner = runner;
    this.node.world.store.store(this.node.id).onStatus((status) => {
      if (this.alive) void runner.dispatch({ type: 'store', status });
    });
    runner.start();
  }

  end(): void {
    this.#ended = true;
    // Calls that never return are still open in it, so its end is not waited for.
    void this.#runner?.[Symbol.asyncDispose]();
  }

  #problem(text: string): void {
    this.node.problems.push(`${this.boot.bootId}: ${text}`);
  }

  /** Methods of a port that do nothing, and do not return, once the life has ended. */
  #guard<T extends object>(port: T): T {
    return new Proxy(port, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown =>
          this.alive ? (Reflect.apply(value, target, args) as unknown) : NEVER;
      },
    });
  }

  /** Before a durable change in memory: power can be cut here. */
  async #durable(label: string): Promise<void> {
    await Promise.resolve();
    if (!this.alive) await NEVER;
    this.node.disk.durable(label);
    this.node.order.push(label);
  }

  #peerLink(end: PeerLink): PeerLink {
    return {
      send: (message) => {
        if (this.alive) end.send(message);
      },
      onMessage: (listener) =>
        end.onMessage((message) => {
          if (this.alive) listener(message);
        }),
      onChange: (listener) => end.onChange(listener),
      channels: () => end.channels(),
      [Symbol.asyncDispose]: () => end[Symbol.asyncDispose](),
    };
  }

  /** A trial is armed only when its slot was read back; the journal knows of it already. */
  #bootChooser(chooser: BootChooser): BootChooser {
    return {
      read: () => chooser.read(),
      arm: async (trial) => {
        if (!this.node.whole('system', trial.slot)) this.#problem(`${trial.slot} armed, not whole`);
        if (trial.slot === this.boot.slot) this.#problem(`slot ${trial.slot} armed while it runs`);
        const { node } = await this.#journal.read();
        const storage = node?.storage.trial;
        if (node?.slots.trial?.id !== trial.id)
          this.#problem('armed before the record was durable');
        if (storage != null && !this.node.whole('storage', storage.new)) {
          this.#problem(`storage slot ${storage.new} is to run and is not whole`);
        }
        await chooser.arm(trial);
      },
      commit: async (id) => {
        await chooser.commit(id);
        this.node.proven.add(this.node.bootState().default);
      },
      revert: (id) => chooser.revert(id),
      setOtherOk: (ok) => chooser.setOtherOk(ok),
    };
  }

  /** What runs, or boots next by default, is never written. */
  #mayWrite(cls: SlotClass, slot: Slot, what: string): void {
    const running = cls === 'system' ? this.boot.slot : this.#storage.running()?.slot;
    const committed = cls === 'system' ? this.node.bootState().default : running;
    if (slot === running || slot === committed) this.#problem(`${what} ${cls}-${slot} in use`);
    if (cls === 'system' && this.node.bootState().otherOk) {
      this.#problem(`${what} ${cls}-${slot} while the boot loader may fall back to it`);
    }
  }

  /** A seal tells of a commit only when the boot chooser has it, and of nothing else anew. */
  #mayMark(slot: Slot, seal: SlotSeal): void {
    const { default: committed, trial, trialId } = this.node.bootState();
    if (slot !== committed || trial !== null || seal.committed !== trialId) {
      this.#problem(`the seal of slot ${slot} tells of commit ${seal.committed}, which is not so`);
    }
    const before = this.node.slots.seals.get(`memory:system-${slot}`);
    const same = { ...seal, committed: null };
    if (JSON.stringify({ ...before, committed: null }) !== JSON.stringify(same)) {
      this.#problem(`the commit of slot ${slot} changed more of its seal`);
    }
  }

  #slots(): Slots {
    const slots = memorySlots(this.node.slots);
    return {
      info: (cls, slot) => slots.info(cls, slot),
      device: (cls, slot) => slots.device(cls, slot),
      invalidate: async (cls, slot) => {
        this.#mayWrite(cls, slot, 'invalidate');
        await this.#durable(`invalidate ${cls}-${slot}`);
        if (cls === 'system') this.node.proven.delete(slot);
        await slots.invalidate(cls, slot);
      },
      seal: async (cls, slot, seal) => {
        if (seal.committed === null) this.#mayWrite(cls, slot, 'seal');
        else this.#mayMark(slot, seal);
        await this.#durable(`seal ${cls}-${slot}`);
        const content = this.node.slots.content.get(`memory:${cls}-${slot}`);
        if (content !== seal.imageId)
          this.#problem(`sealed ${cls}-${slot}, which was not read back`);
        await slots.seal(cls, slot, seal);
      },
    };
  }

  #installer(): Installer {
    const { world, slots, depot } = this.node;
    const pause = (place: string): Promise<void> => this.#durable(place);
    const inner = memoryInstaller({ files: new Map(), depot, slots, bulk: world.bulk, pause });
    return {
      run: async (request, options) => {
        if (!this.alive) await NEVER;
        const asked = request as InstallerRequest;
        for (const { class: cls, slot } of asked.do === 'install' ? asked.targets : []) {
          this.#mayWrite(cls, slot, 'write');
          const sealed = slots.seals.has(`memory:${cls}-${slot}`);
          if (sealed) this.#problem(`${cls}-${slot} written while it is valid`);
        }
        return await inner.run(request, options);
      },
    };
  }

  #store(): Store {
    return this.node.world.store.store(this.node.id);
  }

  #storageSoftware(): MemoryStorageSoftware {
    const { node } = this;
    const image = (slot: Slot): MemoryStorageImage | null => {
      const seal = node.slots.seals.get(`memory:storage-${slot}`);
      if (seal === undefined || !node.whole('storage', slot)) return null;
      const { release } = seal;
      return release.counter === node.faults.storageUnhealthy
        ? { release, unhealthy: `storage ${release.version} is not healthy` }
        : { release };
    };
    const images = {
      get A() {
        return image('A');
      },
      get B() {
        return image('B');
      },
    };
    return new MemoryStorageSoftware(images, (up) => {
      if (this.alive) node.world.store.setRunning(node.id, up);
    });
  }

  #service(address: ServiceAddress): ServiceAddress {
    return {
      held: () => address.held(),
      acquire: async (epoch, signal) => {
        const { default: committed } = this.node.bootState();
        if (this.boot.slot !== committed) this.#problem('I8 an uncommitted trial serves');
        await address.acquire(epoch, signal);
        const { holders } = this.node.world.network;
        if (holders.size > 1) this.#problem('I1 two nodes serve');
      },
      release: () => address.release(),
      selfTest: async (signal) => {
        await address.selfTest(signal);
        const version = this.node.slots.seals.get(`memory:system-${this.boot.slot}`)?.release;
        if (version?.counter !== this.node.faults.unhealthy) return;
        throw new UpdateError('health.check', `system ${version?.version} is not healthy`);
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  #host(): Host {
    const { clock } = this.node.world;
    const beganMs = clock.nowMs;
    return {
      boot: () => this.boot,
      reboot: async () => {
        await Promise.resolve();
        if (this.alive) this.rebooting = true;
        return NEVER;
      },
      powerOff: (reason) => {
        throw new Error(`nothing asks for a shutdown here: ${reason}`);
      },
      hardReset: (reason) => {
        throw new Error(`nothing asks for a hard reset here: ${reason}`);
      },
      nowMs: () => EPOCH_MS + clock.nowMs,
      monotonicMs: () => clock.nowMs - beganMs,
      feedWatchdog: () => undefined,
      checkWritable: () => (this.alive ? Promise.resolve() : NEVER),
    };
  }
}

/** The state in which the daemon finds its node at the start of a life. */
export async function foundState(life: Life, content: JournalContent): Promise<NodeState> {
  const { node, boot, ports } = life;
  const { state } = await ports.boot.read();
  const ms = ports.host.monotonicMs();
  const seals = await readSeals(ports.slots);
  return {
    record: content.node ?? nodeRecord(node.id, { lastTrialId: state.trialId }),
    rollout: content.rollout,
    world: startWorld({
      clock: { ms, at: new Date(ports.host.nowMs()).toISOString() },
      run: life.run,
      program: '0.1.0',
      boot,
      bootState: state,
      system: seals.system[boot.slot]?.release ?? null,
      seals,
      depot: (await ports.depot.list()).map((entry) => entry.bundle),
      headStartMs: 2000,
    }),
  };
}
