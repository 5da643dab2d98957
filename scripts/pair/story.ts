/**
 * What a scenario is told in: verbs for everything that can be done to a pair of appliances, waits
 * for what has to follow, and expectations. Always holds: whatever is drawn by chance comes from
 * the seed of the run; a story ends with the pair judged by what both nodes, the machines and the
 * client say; what was done is told line by line. Imports core, the pair and its client.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { NODES, type NodeId, type Slot, type SlotClass } from '../../src/core/model.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { PARTITION_NAMES, slotPartitionName } from '../appliance/layout.ts';
import type { ClientResult, DemoClient } from '../demo/client.ts';
import type { PowerMode } from '../vm/power-port.ts';
import { WAIT_MS, type AppliancePair } from './appliance-pair.ts';
import type { Command, Finished } from './command.ts';
import { Meter } from './meter.ts';
import type { PairRelease } from './releases.ts';
import type { PairSettings, Spoiling } from './workshop.ts';

/** A scenario, the default export of its file. */
export interface Scenario {
  /** What is shown, one sentence. */
  readonly title: string;
  /** What the pair is made with, where it differs from DEFAULT_SETTINGS. */
  readonly settings?: Partial<PairSettings>;
  /** Releases of which bundles are made before the pair starts. */
  readonly needs?: readonly PairRelease[];
  /** Switched off still when the story begins; default: on, and highly available. */
  readonly begins?: 'off';
  play(story: Story): Promise<void>;
}

/** One node or both. */
export type Which = NodeId | 'both';
/** One cable between the nodes or both. */
export type Cable = 'network' | 'serial' | 'both';

/** How a pair has to be found at the end. */
export interface End {
  /** Version of system and storage software, or one of each. */
  readonly A: string | readonly [system: string, storage: string];
  readonly B: string | readonly [system: string, storage: string];
  /** Phase in which the newest rollout rests; null = there is none. */
  readonly phase: string | null;
  /** Codes of alarms that stay; default: not looked at. */
  readonly alarms?: readonly string[];
}

/** An update that runs. */
export interface RunningUpdate {
  readonly command: Command;
  /** Waits until it has entered this phase. */
  phase(name: string): Promise<void>;
  /** Waits for its end and judges the exit status of the command. */
  ends(exit: number): Promise<Finished>;
}

/** Whose processor time counts for something, and how much it may be, in control boots. */
export interface Limit {
  readonly nodes: readonly NodeId[];
  readonly controls: number;
}

/** What a scenario says that was expected and not found. */
export class Unexpected extends Error {}

const pairOf = (words: End['A']): readonly [string, string] =>
  typeof words === 'string' ? [words, words] : words;

/** The pair in a scenario's hands. */
export class Story {
  readonly pair: AppliancePair;
  readonly #random: () => number;
  readonly #say: (line: string) => void;
  readonly #controlS: number | null;
  readonly #startMs = performance.now();
  #client: DemoClient | null = null;
  /** What the client of this story saw, once it has ended. */
  writes: ClientResult | null = null;

  /**
   * `random` gives numbers from 0 up to 1, by the run's seed; without the processor seconds of a
   * control boot of the same run no time is judged.
   */
  constructor(
    pair: AppliancePair,
    random: () => number,
    say: (line: string) => void,
    controlS: number | null = null,
  ) {
    this.pair = pair;
    this.#random = random;
    this.#say = say;
    this.#controlS = controlS;
  }

  /** Tells what happens now. */
  tell(line: string): void {
    this.#say(`${((performance.now() - this.#startMs) / 1000).toFixed(1).padStart(7)} s  ${line}`);
  }

  /** A client begins to write and to read. */
  async clientWrites(): Promise<void> {
    this.tell('a client writes');
    this.#client = this.pair.client();
    this.#client.start();
    await this.until('the first write', () => (this.#client?.successes ?? 0) > 0);
  }

  /** Starts an update asked for on a node. */
  async update(
    release: PairRelease,
    options: {
      readonly on?: NodeId;
      readonly spoiling?: Spoiling;
      readonly more?: readonly string[];
    } = {},
  ): Promise<RunningUpdate> {
    const { on = 'A', spoiling, more = [] } = options;
    const bundle = await this.pair.workshop.bundle(release, spoiling);
    const path = await this.pair.push(on, bundle);
    await this.pair.waitAvailable();
    const words = [release.system ?? 'good', spoiling].filter((word) => word !== undefined);
    this.tell(`node ${on} is told to install ${release.version} (${words.join(', ')})`);
    return this.follow(this.pair.update(on, path, ...more));
  }

  /** Takes a command that changes the pair for an update that runs. */
  follow(command: Command): RunningUpdate {
    const from = this.pair.watch.events.length;
    const phase = async (name: string): Promise<void> => {
      await this.pair.watch.phase(name, from);
      this.tell(`phase ${name}`);
    };
    const ends = async (exit: number): Promise<Finished> => {
      const ended = await command.done;
      this.tell(`the command ended with ${String(ended.exit)}`);
      this.expect(`exit status ${String(exit)}`, ended.exit === exit, ended.stdout + ended.stderr);
      return ended;
    };
    return { command, phase, ends };
  }

  /** Tells a node to hand the service over, and judges the exit status of the command. */
  async switchOver(node: NodeId, exit: number): Promise<void> {
    this.tell(`node ${node} is told to hand the service over`);
    const words = ['switchover', '--yes', '--reason', 'planned work'];
    const ended = await this.pair.tandem(node, ...words).done;
    this.expect(`exit status ${String(exit)}`, ended.exit === exit, ended.stdout + ended.stderr);
  }

  /** Cuts the power, as a plug that is pulled. */
  async cutPower(which: Which): Promise<void> {
    this.tell(`the power of ${which} is cut`);
    await this.pair.vms.cutPower(which === 'both' ? undefined : which);
  }

  /** Restores the power. */
  async restorePower(which: Which): Promise<void> {
    this.tell(`the power of ${which} is back`);
    await this.pair.vms.powerOn(which === 'both' ? undefined : which);
  }

  /** Cuts cables between the nodes. */
  async cutLink(cable: Cable = 'both'): Promise<void> {
    this.tell(`link, ${cable}: cut`);
    if (cable !== 'serial') await this.pair.vms.cutLink();
    if (cable !== 'network') this.pair.vms.serialCable.cut();
  }

  /** Restores cables between the nodes. */
  async restoreLink(cable: Cable = 'both'): Promise<void> {
    this.tell(`link, ${cable}: whole again`);
    if (cable !== 'serial') await this.pair.vms.restoreLink();
    if (cable !== 'network') this.pair.vms.serialCable.restore();
  }

  /** Stops a node whole, with its clocks and its watchdog; `thaw` lets it go on. */
  async freeze(node: NodeId): Promise<void> {
    this.tell(`node ${node} is frozen`);
    await this.pair.nodes[node].machine.freeze();
  }

  /** Lets a frozen node go on. */
  async thaw(node: NodeId): Promise<void> {
    this.tell(`node ${node} goes on`);
    await this.pair.nodes[node].machine.unfreeze();
  }

  /** Lets the daemon of a node stand still; the rest of its system goes on. */
  async hangDaemon(node: NodeId): Promise<void> {
    this.tell(`the daemon of node ${node} stands still`);
    await this.pair.shell(node, 'kill -STOP $(cat /run/tandem-service.pid)');
  }

  /** Lets every process of a node's system stand still; its kernel goes on. */
  async hangSystem(node: NodeId): Promise<void> {
    this.tell(`the system of node ${node} hangs`);
    await this.pair.shell(node, '(usleep 300000; kill -STOP -1) >/dev/null 2>&1 &');
  }

  /** Lets the kernel of a node panic. */
  async panic(node: NodeId): Promise<void> {
    this.tell(`the kernel of node ${node} panics`);
    const later = 'usleep 300000; echo c >/proc/sysrq-trigger';
    await this.pair.shell(node, `(${later}) >/dev/null 2>&1 &`);
  }

  /** Writes noise into the first megabytes of a slot. */
  async corrupt(node: NodeId, cls: SlotClass, slot: Slot): Promise<void> {
    this.tell(`slot ${slot} (${cls}) of node ${node} rots`);
    const number = PARTITION_NAMES.indexOf(slotPartitionName(cls, slot)) + 1;
    const command = `dd if=/dev/urandom of=/dev/vda${String(number)} bs=1M count=4 oflag=direct`;
    await this.pair.shell(node, `${command} 2>/dev/null`);
  }

  /** How the power controller behaves from now on. */
  controller(mode: PowerMode): void {
    this.tell(`the power controller ${mode === 'works' ? mode : `is told: ${mode}`}`);
    this.pair.vms.controller.mode = mode;
  }

  /** Waits for a time drawn by chance, in seconds. */
  async sometime(fromS: number, toS: number): Promise<void> {
    const seconds = fromS + this.#random() * (toS - fromS);
    this.tell(`${seconds.toFixed(2)} s pass`);
    await sleep(seconds * 1000, undefined, { signal: this.pair.signal });
  }

  /** One of several, drawn by chance. */
  oneOf<T>(all: readonly T[]): T {
    return all[Math.floor(this.#random() * all.length)]!;
  }

  /** Waits until something is so. Throws when it does not come. */
  async until(what: string, test: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = performance.now() + WAIT_MS;
    while (!(await test())) {
      if (performance.now() > endMs) throw new Unexpected(`waited in vain for ${what}`);
      await sleep(100, undefined, { signal: this.pair.signal });
    }
  }

  /** Waits until a node's own status fits. */
  async status(node: NodeId, what: string, fits: (status: PairStatus) => boolean): Promise<void> {
    await this.pair.watch.until(`${what}, on node ${node}`, (look) => {
      return look.node === node && fits(look.status);
    });
    this.tell(`node ${node}: ${what}`);
  }

  /** Does something and judges what it took, by the processor: the clock is for people. */
  async within<T>(what: string, limit: Limit, work: () => Promise<T>): Promise<T> {
    const meter = new Meter(limit.nodes.map((node) => this.pair.vms.machines[node]));
    const startMs = performance.now();
    const found = await work().finally(() => meter.stop());
    const processorS = meter.stop();
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const controls = this.#controlS === null ? null : processorS / this.#controlS;
    const words = controls === null ? '' : `, ${controls.toFixed(1)} x control`;
    this.tell(`${what}: ${seconds} s (${processorS.toFixed(1)} s of processor${words})`);
    const most = `${what} takes at most ${String(limit.controls)} x control`;
    this.expect(most, controls === null || controls <= limit.controls, controls);
    return found;
  }

  /**
   * Waits for the first try of a trial of slot B on a node, and for its old system to answer again:
   * all tries, and one boot of slot A.
   */
  async fallsBack(node: NodeId, controls: number): Promise<void> {
    const { serial } = this.pair.vms.machines[node];
    const wait = { timeoutMs: WAIT_MS, signal: this.pair.signal };
    await serial.waitFor(/Tandem: slot B/, wait);
    await this.within(`fallback of node ${node}`, { nodes: [node], controls }, async () => {
      await serial.waitFor(/Tandem: slot A/, wait);
      const answers = (): Promise<boolean> => this.pair.status(node).then(Boolean, () => false);
      await this.until(`node ${node} to answer`, answers);
    });
  }

  /** Waits until a node serves by its own word. */
  async serves(node: NodeId): Promise<void> {
    await this.status(node, 'serves', (status) => status.nodes[node].serving);
  }

  /** Waits until the pair is highly available and no rollout goes on. */
  async reforms(): Promise<PairStatus> {
    const status = await this.pair.waitAvailable();
    this.tell('highly available');
    return status;
  }

  /** The pair is highly available, and as it has to be; the client lost nothing. */
  async ends(end: End): Promise<void> {
    await this.reforms();
    for (const node of NODES) {
      const status = await this.pair.status(node);
      const found = NODES.map((id) => {
        const { system, storage } = status.nodes[id];
        return [system?.version, storage?.version];
      });
      const wanted = [pairOf(end.A), pairOf(end.B)];
      const same = JSON.stringify(found) === JSON.stringify(wanted);
      this.expect(`versions, says node ${node}: ${JSON.stringify(wanted)}`, same, found);
      const phase = status.rollout?.phase ?? null;
      this.expect(`rollout rests in ${String(end.phase)}`, phase === end.phase, phase);
      const codes = status.alarms.map((alarm) => alarm.code);
      if (end.alarms === undefined) continue;
      const fits = JSON.stringify(codes) === JSON.stringify(end.alarms);
      this.expect(`alarms of node ${node}: ${end.alarms.join(' ') || 'none'}`, fits, codes);
    }
    await this.clientEnds();
  }

  /** The client ends, and everything that it was told to be written is there. */
  async clientEnds(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    if (client === null) return;
    this.writes = await client.finish(AbortSignal.timeout(WAIT_MS));
    const { writes, retries, longestGapMs, longestGapAtMs, lost, misreads } = this.writes;
    const begun = ((longestGapAtMs ?? 0) / 1000).toFixed(1);
    const gap = `${longestGapMs} ms, ${begun} s after its start`;
    this.tell(`client: ${writes} writes, ${retries} retries, longest gap ${gap}`);
    this.expect('no acknowledged write is lost', lost.length === 0, lost.slice(0, 5));
    this.expect('no read misses an acknowledged write', misreads === 0, misreads);
  }

  /** Judges the longest gap of a client that has ended, in control boots. */
  gapAtMost(controls: number): void {
    const gapS = (this.writes?.longestGapMs ?? 0) / 1000;
    const most = `the client waited for at most ${String(controls)} x control`;
    const isSo = this.#controlS === null || gapS <= controls * this.#controlS;
    this.expect(most, isSo, `${gapS.toFixed(1)} s, and a control boot took ${this.#controlS} s`);
  }

  /** Ends what the story left running; the runner calls it. */
  async close(): Promise<void> {
    await this.#client?.stop();
    const { faults } = this.pair.watch;
    this.expect('nothing was seen that must never be', faults.length === 0, faults);
  }

  /** Something must be so; throws `Unexpected` with what was found. */
  expect(what: string, isSo: boolean, found?: unknown): void {
    if (isSo) return;
    const words = typeof found === 'string' ? found : JSON.stringify(found);
    throw new Unexpected(`not so: ${what}; found: ${(words ?? '').slice(-2000)}`);
  }
}
