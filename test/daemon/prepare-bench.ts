/**
 * Two desks of prepared updates without daemons: states, link, disks and the work of each stage are
 * the test's, and so is the time. Imports core, the desk and states of core's tests.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { UpdateError } from '../../src/core/errors.ts';
import { NODES, peerOf, type NodeId } from '../../src/core/model.ts';
import type { PrepareAct, PrepareChange } from '../../src/core/prepare-order.ts';
import type { Preparation, PrepareStage } from '../../src/core/prepare.ts';
import { PREPARE_STAGES } from '../../src/core/prepare.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import { serves } from '../../src/core/role.ts';
import type { NodeState } from '../../src/core/state.ts';
import { PrepareDesk } from '../../src/daemon/prepare-desk.ts';
import type { PrepareWork, StageEnd, StageTask } from '../../src/daemon/prepare-work.ts';
import type { PrepareHandler } from '../../src/daemon/requests.ts';
import { AT, DIGEST, PLAN } from '../core/prepare-cases.ts';
import { nodeState } from '../core/states.ts';
import { MemoryPrepareDisk } from '../memory/prepare-disk.ts';

/** How a stage ends the next time it runs. */
export type Fault = 'throws' | 'bug' | 'hangs';

/** The work of one node, as the test wants it. */
export class FakeWork implements PrepareWork {
  readonly #node: NodeId;
  /** Faults to come, by stage. */
  readonly faults = new Map<PrepareStage, Fault[]>();
  /** Stages in the order in which they were begun. */
  readonly runs: PrepareStage[] = [];
  /** Called when a stage begins. */
  onRun: (stage: PrepareStage) => void = () => {};
  gone: PrepareStage | null = null;
  /** Lets a stage that hangs come to its end. */
  free: () => void = () => {};

  constructor(node: NodeId) {
    this.#node = node;
  }

  async run(stage: PrepareStage, task: StageTask): Promise<StageEnd> {
    this.runs.push(stage);
    this.onRun(stage);
    const fault = this.faults.get(stage)?.shift();
    await turn();
    if (fault === 'throws') throw new UpdateError('space.depot', `no room for ${stage}`);
    if (fault === 'bug') throw new TypeError('it was not expected');
    if (fault === 'hangs') {
      await new Promise<void>((resolve, reject) => {
        this.free = resolve;
        const end = (): void => reject(task.signal.reason as Error);
        task.signal.addEventListener('abort', end, { once: true });
      });
    }
    if (stage !== 'plan') return { message: `${stage} is good` };
    const { order } = await task.planned();
    return { message: 'the plan lies here', plan: order.plan!.digest };
  }

  async lost(): Promise<{ stage: PrepareStage; message: string } | null> {
    const stage = this.gone;
    this.gone = null;
    return Promise.resolve(stage === null ? null : { stage, message: 'it is gone' });
  }

  async plan(): Promise<{ digest: typeof DIGEST; content: typeof PLAN }> {
    return Promise.resolve({ digest: DIGEST, content: PLAN });
  }

  /** Why the pair is not what it was prepared for. */
  unfit: string | null | undefined = null;

  misfit(): string | null | undefined {
    return this.unfit;
  }

  waits(stage: PrepareStage, { order, nodes }: Preparation): boolean {
    const { source } = order;
    if (stage !== 'replicate' || source.node === this.#node) return false;
    return nodes[source.node].stages.replicate.state !== 'done';
  }

  async follow(): Promise<void> {
    await Promise.resolve();
  }
}

/** One node: what outlives its daemon, and its daemon while it is up. */
export class BenchNode {
  readonly id: NodeId;
  readonly disk = new MemoryPrepareDisk();
  readonly work: FakeWork;
  readonly told: string[] = [];
  readonly ended: string[] = [];
  state: NodeState;
  desk: PrepareDesk | null = null;
  handler: PrepareHandler | null = null;

  constructor(id: NodeId, state: NodeState) {
    this.id = id;
    this.work = new FakeWork(id);
    this.state = state;
  }
}

const copy = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

/** The pair of them. */
export class DeskBench implements AsyncDisposable {
  nowMs = 0;
  linked = true;
  /** The peer's program knows nothing of prepared updates. */
  older = false;
  readonly rollouts: RolloutRecord[] = [];
  readonly nodes: Readonly<Record<NodeId, BenchNode>>;

  constructor() {
    this.nodes = { A: new BenchNode('A', nodeState('A')), B: new BenchNode('B', nodeState('B')) };
    this.serve('A', 1);
    for (const id of NODES) this.up(id);
  }

  /** Starts the daemon of a node. */
  up(id: NodeId): void {
    const node = this.nodes[id];
    const requests = {
      set prepare(handler: PrepareHandler) {
        node.handler = handler;
      },
      askPrepare: (act: PrepareAct) => this.#ask(id, act),
      sharePrepare: (found: Preparation) => this.#share(id, found),
    };
    node.desk = new PrepareDesk({
      disk: node.disk,
      work: node.work,
      requests: requests as never,
      runner: node,
      events: { emit: ({ msg }) => void node.told.push(msg) as never },
      rollouts: () => this.rollouts,
      monotonicMs: () => this.nowMs,
      now: () => AT,
      log: (line) => void node.told.push(line),
      ended: (act, _order, good) => void node.ended.push(`${act} ${String(good)}`),
    });
  }

  /** Ends it, as a restart or a power cut does. */
  async down(id: NodeId): Promise<void> {
    const { desk } = this.nodes[id];
    this.nodes[id].desk = null;
    this.nodes[id].handler = null;
    await desk?.[Symbol.asyncDispose]();
  }

  /** This node serves from now on, as far as both know; `linked` says whether they hear. */
  serve(holder: NodeId, epoch: number): void {
    for (const id of NODES) {
      const role = { epoch, holder, peerMayTakeOver: true };
      const serving = id === holder ? epoch : null;
      const peer = this.linked ? { run: `${peerOf(id)}1`, serving: id !== holder } : null;
      const change = { record: { role }, world: { serving, admitted: true }, peerRecord: { role } };
      this.nodes[id].state = nodeState(id, { ...change, peer });
    }
  }

  #reach(from: NodeId): BenchNode {
    const peer = this.nodes[peerOf(from)];
    if (this.linked && peer.handler !== null) return peer;
    throw new UpdateError('pair.peer_unreachable', `node ${peer.id} does not answer`);
  }

  async #ask(from: NodeId, act: PrepareAct): Promise<PrepareChange> {
    const own = this.nodes[from];
    const there = serves(own.state) ? own : this.#reach(from);
    if (!serves(there.state)) throw new UpdateError('pair.not_healthy', 'nobody serves');
    return copy(await there.handler!.change(copy(act)));
  }

  async #share(from: NodeId, found: Preparation): Promise<Preparation | null> {
    if (this.older) throw new UpdateError('pair.protocol', 'it does not know the request');
    return copy(await this.#reach(from).handler!.join(copy(found)));
  }

  /** Lets time pass, and everything that is due. */
  async pass(seconds = 0): Promise<void> {
    this.nowMs += seconds * 1000;
    for (let round = 0; round < 6; round += 1) {
      for (const id of NODES) this.nodes[id].desk?.look(this.nodes[id].state);
      for (let turns = 0; turns < 8; turns += 1) await turn();
    }
  }

  /** Until it is so; the time stands still. */
  async until(what: () => boolean): Promise<void> {
    for (let count = 0; !what(); count += 1) {
      if (count > 60) throw new Error(`it never was so: ${JSON.stringify(this.states())}`);
      await this.pass();
    }
  }

  of(id: NodeId): Preparation | null {
    return this.nodes[id].desk?.preparation ?? null;
  }

  /** State of each stage by node, as its own node has it. */
  states(): Record<NodeId, string> {
    const words = (id: NodeId): string =>
      PREPARE_STAGES.map((stage) => this.of(id)?.nodes[id].stages[stage].state ?? '-').join(' ');
    return { A: words('A'), B: words('B') };
  }

  /** All is done on both nodes, and both know. */
  ready(): boolean {
    return NODES.every((id) => {
      const found = this.of(id);
      return found !== null && found.order.readyAt !== null && this.states()[id] === DONE;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of NODES) await this.down(id);
  }
}

const DONE = PREPARE_STAGES.map(() => 'done').join(' ');
