/**
 * The pair of the gap benchmark: two appliances of the embedded default under policy `fence`, each
 * with the other's supervisor as its power controller, cables between them that count, and a client
 * that writes all the time. Always holds: what was started ends and the folder goes away with
 * `close`; the supervisors end with this process at the latest. Imports core, control, drivers and
 * the demo's parts.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlClient } from '../../src/control/client.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { openSocketCalls } from '../../src/drivers/json-lines.ts';
import { createPair, type AppliancePair, type PairSpec } from '../appliance.ts';
import { RunningPair } from '../demo/pair.ts';
import { FIRST, scenarioOf } from '../demo/scenarios.ts';
import { HARDWARE, openWorkshop, PRODUCT } from '../demo/workshop.ts';
import { askPower, type PowerVerb } from '../supervisor/power-client.ts';
import { DiskProbe } from './disk-probe.ts';
import { GapWriter } from './gap-writer.ts';
import { layWires, type PairWires } from './wire.ts';

const READY_MS = 90_000;
const POLL_MS = 25;
/** After the pair is ready again, so that a case does not see the end of the one before. */
const CALM_MS = 500;

/** A trial and a soak of one second: how long they are adds nothing to a gap. */
const POLICY: PairSpec['policy'] = {
  tries: 2,
  stableS: 1,
  soakS: 1,
  deadmanS: 60,
  retries: 0,
  onSecondFailure: 'hold',
};

/** What the storage software says of its store. */
export interface StoreInfo {
  readonly storeBytes: number;
  readonly lastSync: { readonly sentBytes: number } | null;
}

/** The running pair with its client. */
export class GapPair {
  readonly pair: AppliancePair;
  readonly running: RunningPair;
  readonly wires: PairWires;
  readonly writer: GapWriter;
  /** What the disk alone does to a write, on the disk of the pair. */
  readonly disk: DiskProbe;
  /** The signed bundle of release 2.0.0. */
  readonly bundle: string;
  readonly #dir: string;

  private constructor(
    parts: Pick<GapPair, 'pair' | 'running' | 'wires' | 'bundle' | 'disk'>,
    dir: string,
  ) {
    this.disk = parts.disk;
    this.pair = parts.pair;
    this.running = parts.running;
    this.wires = parts.wires;
    this.bundle = parts.bundle;
    this.writer = new GapWriter(parts.pair.serviceUrl, 'gap');
    this.#dir = dir;
  }

  /** Lays out a pair, switches it on and returns when it is available and the client writes. */
  static async open(): Promise<GapPair> {
    const dir = await mkdtemp(join(tmpdir(), 'tandem-gap-'));
    try {
      const workshop = await openWorkshop();
      const trustRoot = join(dir, 'root.json');
      await workshop.trustRoot(trustRoot);
      const bundle = join(dir, 'update.bin');
      await workshop.bundle(scenarioOf('none')!.release, bundle);
      const spec: PairSpec = {
        dir,
        product: PRODUCT,
        hardware: HARDWARE,
        policy: POLICY,
        fencePolicy: 'fence',
        systemImage: await workshop.systemImage(FIRST),
        storageImage: await workshop.storageImage(FIRST),
        trustRoot,
      };
      const pair = await createPair(spec, AbortSignal.timeout(READY_MS));
      const wires = await layWires(pair);
      const running = new RunningPair(pair, workshop.programs.tandem);
      const disk = await DiskProbe.open(join(dir, 'probe'));
      const opened = new GapPair({ pair, running, wires, bundle, disk }, dir);
      await running.start();
      await running.waitAvailable(READY_MS, AbortSignal.timeout(READY_MS));
      opened.writer.start();
      await opened.ready();
      return opened;
    } catch (error) {
      await rm(dir, { recursive: true, force: true });
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.writer.stop();
    await this.disk.close();
    await this.running.stop();
    await this.wires[Symbol.asyncDispose]();
    await rm(this.#dir, { recursive: true, force: true });
  }

  /** Waits until both nodes are available and each may fence; returns who serves. */
  async ready(): Promise<NodeId> {
    const signal = AbortSignal.timeout(READY_MS);
    const status = await this.running.waitAvailable(READY_MS, signal);
    await sleep(CALM_MS);
    const serving = NODES.find((node) => status.nodes[node].serving);
    if (serving === undefined) throw new Error('an available pair of which no node serves');
    return serving;
  }

  /** The first status of a node for which `test` is true. */
  async until(node: NodeId, test: (status: PairStatus) => boolean): Promise<PairStatus> {
    const client = new ControlClient(this.pair.nodes[node].controlSocket);
    const signal = AbortSignal.timeout(READY_MS);
    for (;;) {
      signal.throwIfAborted();
      const status = await client.status(signal).catch(() => null);
      if (status !== null && test(status)) return status;
      await sleep(POLL_MS);
    }
  }

  async power(node: NodeId, verb: PowerVerb): Promise<void> {
    const reply = await askPower(this.pair.nodes[node].powerSocket, verb);
    if (!reply.ok) throw new Error(`node ${node}, ${verb}: ${reply.error}`);
  }

  /** Runs the command line to its end; throws unless it ends with 0. */
  async tandem(node: NodeId, ...args: readonly string[]): Promise<void> {
    const { exit, stdout } = await this.running.tandem(node, args, AbortSignal.timeout(300_000));
    if (exit !== 0) throw new Error(`${args.join(' ')}: exit ${String(exit)}\n${stdout}`);
  }

  /** What the storage software of a node says of its store. */
  async storeInfo(node: NodeId): Promise<StoreInfo> {
    const path = join(this.pair.nodes[node].dir, 'run/storage.sock');
    await using calls = openSocketCalls({ path });
    return (await calls.call({ op: 'info' }, AbortSignal.timeout(5000))) as StoreInfo;
  }
}
