/**
 * A pair of simulated appliances driven by virtual time in one thread: the real pure machine on
 * real journals, effects that take time, a link of two channels, a replicated store with a client,
 * power switches; I1-I8 are checked after every event. Without `chance` everything is prompt and
 * every run of the same story the same. Always holds: what the nodes know of each other came over
 * the link. Only tests import it.
 */
import type { NodeId, Slot } from '../../src/core/model.ts';
import { NODES } from '../../src/core/model.ts';
import { compareWriter, type RolloutRecord } from '../../src/core/records.ts';
import { readPairMessage, type PairMessage } from '../../src/core/report.ts';
import { peerReport, type Event, type NodeState } from '../../src/core/state.ts';
import { Agenda, Inbox, Pace } from './agenda.ts';
import { Appliance, PowerCut } from './appliance.ts';
import { broken, isHighlyAvailable, isQuiet, unrest } from './checks.ts';
import { SimEffects } from './effects.ts';
import { execute, type EffectWorld, type SimFencer } from './execute.ts';
import { bundleOf, disk, firstRecord, type PairOptions } from './fixture.ts';
import { Links } from './links.ts';
import { isNews } from './news.ts';
import { Storage, type Replica } from './storage.ts';
import { nodeWords, stepWords } from './words.ts';

export const TICK_MS = 100;
/** Beat of reports in the real runner. */
const BEAT_MS = 200;

const both = <T>(make: (node: NodeId) => T): Record<NodeId, T> => ({ A: make('A'), B: make('B') });

export class Pair implements EffectWorld {
  readonly nodes: Record<NodeId, Appliance>;
  readonly options: PairOptions;
  readonly agenda = new Agenda();
  readonly pace: Pace;
  readonly links: Links;
  readonly storage: Storage;
  readonly fencers: Record<NodeId, SimFencer>;
  readonly address = both((): number | null => null);
  readonly software = both((): Slot | null => null);
  readonly bulk = both(() => false);
  readonly storageRunsWith: string;
  /** Virtual milliseconds in which nobody served, longest run. */
  longestGapMs = 0;
  cuts = 0;
  fences = 0;
  reboots = 0;
  /** A node that is off while its peer took over: nothing goes wrong until it has heard of it. */
  meeting: NodeId | null = null;
  /** Nodes that stay off. */
  readonly dead = new Set<NodeId>();
  /** When a node that is off comes back, unless it stays off. */
  readonly offUntilMs = both(() => 0);
  /** Until when a node's daemon does nothing at all. */
  readonly heldUntilMs = both(() => 0);
  readonly #inbox: Record<NodeId, Inbox<Event>>;
  strikes: EffectWorld['strikes'] = () => false;
  /** Whether a boot that was chosen comes up. */
  luck: () => boolean = () => true;
  /** Told what happens, when somebody wants to read it. */
  trace: ((line: string) => void) | null = null;
  #storeCut = false;
  #gapMs = 0;
  #clean = false;
  readonly #effects = both((): SimEffects | null => null);
  /** The state that the peer was told of last. */
  readonly #told = both((): NodeState | null => null);

  constructor(options: PairOptions = {}) {
    this.options = options;
    this.storageRunsWith = options.storageRunsWith ?? '>=1.0.0';
    this.pace = new Pace(options.chance ?? null);
    const { agenda, pace } = this;
    this.#inbox = both((node) => {
      const heldMs = (): number => this.heldUntilMs[node] - this.ms;
      return new Inbox(agenda, heldMs, (event) => this.send(node, event));
    });
    const fault = options.fence === 'failed' ? 'fails' : null;
    this.fencers = both((): SimFencer => ({ fault, tested: options.takeover === 'fence' }));
    this.storage = new Storage(agenda, pace, (node, status) => {
      this.#hear(node, { type: 'store', status });
    });
    this.storage.syncTicks = options.syncTicks ?? 0;
    const user = {
      alive: (node: NodeId) => this.nodes[node].state !== null,
      speaks: (node: NodeId) => this.nodes[node].state !== null && !this.#held(node),
      onLink: (node: NodeId) => this.#onLink(node),
      onMessage: (node: NodeId, message: PairMessage) => this.#onMessage(node, message),
    };
    this.links = new Links(agenda, pace, user, options.serial ?? false);
    const seed = options.seed ?? 1;
    this.nodes = both((node) => {
      const salt = node === 'A' ? 0 : 1;
      return new Appliance(node, disk(node), options.faults ?? {}, seed * 2 + salt);
    });
    for (const node of NODES) {
      this.nodes[node].onEnd = (how) => this.#onEnd(node, how);
      this.nodes[node].onStep = (before, after) => this.#onStep(node, before, after);
    }
    for (const node of NODES) this.#boot(node);
  }

  /** The present moment, in virtual milliseconds. */
  get ms(): number {
    return this.agenda.nowMs;
  }

  /** The network between the nodes, for the link and for the store, is whole in both directions. */
  get linkUp(): boolean {
    return this.links.network.whole;
  }

  set linkUp(up: boolean) {
    for (const node of NODES) this.cutPath(node, !up);
  }

  /** The way of the network from this node to its peer is cut, or whole again. */
  cutPath(from: NodeId, cut: boolean): void {
    this.links.network.setPath(from, !cut);
    this.storage.setPath(this.linkUp && !this.#storeCut);
  }

  /** The connection of the store alone is cut, while the nodes hear each other. */
  set storeCut(cut: boolean) {
    this.#storeCut = cut;
    this.storage.setPath(this.linkUp && !cut);
  }

  wired = (): boolean => this.linkUp;

  get acknowledged(): number {
    return this.storage.acknowledged;
  }

  get replicas(): Record<NodeId, Replica> {
    return both((node) => this.storage.replica(node));
  }

  /** The rollout record as the daemon makes it from a validated bundle. */
  start(kind: RolloutRecord['kind'] = 'update', change: Partial<RolloutRecord> = {}): void {
    const holder = this.serving();
    if (holder === null) throw new Error('nobody serves');
    const counter = change.to?.counter ?? 2;
    const record = { ...firstRecord(kind, this.ms, holder, this.options, counter), ...change };
    const { depot } = this.nodes[holder].disk;
    const bundle = bundleOf(counter);
    if (kind === 'update' && !depot.includes(bundle)) depot.push(bundle);
    this.send(holder, { type: 'depot', depot: [...depot], freeBytes: null });
    this.send(holder, { type: 'start', record });
  }

  serving(): NodeId | null {
    return NODES.find((node) => this.nodes[node].state?.world.serving != null) ?? null;
  }

  /** One event for a node, and what follows from it. */
  send(node: NodeId, event: Event): void {
    this.#guard(node, () => void this.nodes[node].send(event, this.ms));
    this.check();
    this.#after(node, event.type === 'tick');
  }

  /** The same, told whether the event had a meaning. */
  ask(node: NodeId, event: Event): boolean {
    const { unknownEvents, life } = this.nodes[node];
    const before = unknownEvents.length;
    this.trace?.(`OPERATOR ${event.type} (${node})`);
    this.send(node, event);
    return unknownEvents.length === before && this.nodes[node].life === life;
  }

  later(node: NodeId, event: Event): void {
    const { life } = this.nodes[node];
    this.agenda.after(0, () => {
      if (this.nodes[node].life === life) this.#hear(node, event);
    });
  }

  /** An event of the world: a daemon that is held up hears it later. */
  #hear(node: NodeId, event: Event): void {
    if (this.nodes[node].state === null) return;
    this.#inbox[node].hear(event);
  }

  /** The daemon of a node does nothing for a while: a slow disk, a stopped process. */
  hold(node: NodeId, ms: number): void {
    if (this.nodes[node].state === null) return;
    this.heldUntilMs[node] = Math.max(this.heldUntilMs[node], this.ms + ms);
    this.links.held(node);
  }

  #held(node: NodeId): boolean {
    return this.heldUntilMs[node] > this.ms;
  }

  /** Does something in which a node may lose its power; false when it did. */
  #guard(node: NodeId, step: () => void): boolean {
    try {
      step();
      return true;
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      this.cuts++;
      this.trace?.(`${node} loses its power in a write`);
      return false;
    }
  }

  /** What the state of a node asks for now, and what its peer is to hear. */
  #after(node: NodeId, beat: boolean): void {
    const appliance = this.nodes[node];
    if (appliance.state === null) return;
    this.#effects[node]?.reconcile(appliance.effects());
    this.#report(node, appliance.state, beat);
  }

  /** As the runner does: at once when it says something new, else with the beat. */
  #report(node: NodeId, s: NodeState, beat: boolean): void {
    if (!s.world.linkUp) return;
    if (!beat) {
      if (!isNews(this.#told[node], s)) return;
      this.#told[node] = s;
    }
    const report = this.nodes[node].report();
    if (report !== null) this.#post(node, { type: 'report', report });
    const theirs = peerReport(s)?.rollout;
    if (s.rollout === null || theirs === undefined) return;
    const lags = theirs === null || compareWriter(s.rollout.writer, theirs) > 0;
    if (lags) this.#post(node, { type: 'rollout', record: s.rollout });
  }

  #post(from: NodeId, message: PairMessage): void {
    if (this.options.text !== true) return this.links.send(from, message);
    const read = readPairMessage(JSON.parse(JSON.stringify(message)));
    if (read === null) throw new Error(`node ${from} sends what its peer cannot read`);
    this.links.send(from, read);
  }

  #onMessage(node: NodeId, message: PairMessage): void {
    if (message.type === 'report') this.#hear(node, { type: 'report', report: message.report });
    if (message.type === 'rollout') this.#hear(node, { type: 'rollout', record: message.record });
  }

  #onLink(node: NodeId): void {
    const up = this.links.up(node);
    this.trace?.(`${node} link ${up ? 'up' : 'down'}`);
    if (up) this.#told[node] = null;
    this.#hear(node, { type: 'link', up });
  }

  /** Switches a node off and, after a while, on again. */
  cutPower(node: NodeId, why: 'fence' | 'reset' | 'cut'): void {
    this.trace?.(`${node} loses its power: ${why}`);
    if (why !== 'fence') this.cuts++;
    const appliance = this.nodes[node];
    if (appliance.state !== null) appliance.state = null;
    else if (appliance.info !== null) appliance.fall();
    const offMs = why === 'fence' ? this.pace.ms(0, 3000, 12_000) : this.pace.ms(0, 1000, 20_000);
    this.offUntilMs[node] = this.ms + offMs;
  }

  /** Ends the daemon of a node and all that it has started; the system goes on. */
  kill(node: NodeId): void {
    if (this.nodes[node].state === null) return;
    this.nodes[node].kill();
    this.offUntilMs[node] = this.ms + this.pace.ms(0, 200, 4000);
  }

  reboot(node: NodeId): void {
    this.reboots++;
    this.trace?.(`${node} restarts`);
    this.#clean = true;
    this.nodes[node].state = null;
    this.#clean = false;
    this.offUntilMs[node] = this.ms + this.pace.ms(0, 800, 9000);
  }

  /** The storage software of a node dies; its daemon sees it at once. */
  killStorage(node: NodeId): void {
    if (this.software[node] === null) return;
    this.software[node] = null;
    this.storage.run(node, false);
    this.#hear(node, { type: 'storage-ended', reason: 'was killed' });
  }

  #onEnd(node: NodeId, how: 'power' | 'kill'): void {
    this.#effects[node]?.end();
    this.#effects[node] = null;
    this.#told[node] = null;
    this.address[node] = null;
    this.software[node] = null;
    this.bulk[node] = false;
    this.heldUntilMs[node] = 0;
    this.#inbox[node].clear();
    this.offUntilMs[node] = this.ms + this.pace.ms(0, 1000, 20_000);
    this.storage.run(node, false);
    this.links.gone(node, how === 'kill' || this.#clean);
  }

  #boot(node: NodeId): void {
    const appliance = this.nodes[node];
    let up = false;
    const powered = this.#guard(node, () => (up = appliance.powerOn(this.ms, this.luck)));
    if (!powered || !up) {
      this.offUntilMs[node] = this.ms + this.pace.ms(0, 1000, 9000);
      return;
    }
    const { slot, reason } = appliance.info ?? { slot: '?', reason: '?' };
    this.trace?.(`${node} is up in slot ${slot} (${reason})`);
    this.#effects[node] = new SimEffects(
      this.agenda,
      (running) => execute(this, appliance, running),
      (event) => this.send(node, event),
      (step) => this.#guard(node, step),
      () => Math.max(0, this.heldUntilMs[node] - this.ms),
    );
    this.links.started(node);
    if (this.options.takeover === 'fence') this.#testFencer(node, appliance.life);
    if (this.pace.chance) this.#beat(node, appliance.life);
    // The first event of a runner; nothing is done before what it makes the node decide.
    this.send(node, { type: 'link', up: this.links.up(node) });
  }

  /** The self-test of the fencer, again and again (src/daemon/fence-watch.ts). */
  #testFencer(node: NodeId, life: number): void {
    this.agenda.after(this.pace.ms(0, 10, 1000), () => {
      const { state } = this.nodes[node];
      if (this.nodes[node].life !== life || state === null) return;
      const takeover = this.fencers[node].tested ? 'fence' : 'manual';
      if (state.world.takeover !== takeover)
        this.#hear(node, { type: 'takeover-policy', takeover });
      if (!this.pace.chance) return;
      this.agenda.after(takeover === 'fence' ? 20_000 : 5000, () => this.#testFencer(node, life));
    });
  }

  #beat(node: NodeId, life: number): void {
    this.agenda.after(this.pace.ms(BEAT_MS, BEAT_MS, BEAT_MS + 60), () => {
      if (this.nodes[node].life !== life) return;
      if (!this.#held(node)) this.send(node, { type: 'tick' });
      this.#beat(node, life);
    });
  }

  /** One step of virtual time: boots, whatever is due, then writes of a client. */
  tick(): void {
    for (const node of NODES) {
      const off = this.nodes[node].state === null && !this.dead.has(node);
      if (off && this.ms >= this.offUntilMs[node]) this.#boot(node);
    }
    if (!this.pace.chance) for (const node of NODES) this.#hear(node, { type: 'tick' });
    this.agenda.runTo(this.ms + TICK_MS);
    this.storage.tick(NODES.find((node) => this.address[node] !== null) ?? null);
    this.agenda.runTo(this.ms);
    this.#gapMs = this.serving() === null ? this.#gapMs + TICK_MS : 0;
    this.longestGapMs = Math.max(this.longestGapMs, this.#gapMs);
  }

  /** True when nothing moves any more: an end phase, both admitted, both current. */
  quiet(): boolean {
    return isQuiet(this);
  }

  highlyAvailable(): boolean {
    return isHighlyAvailable(this);
  }

  /** Runs until quiet; throws with the state when it does not come to rest in `seconds`. */
  run(seconds = 600): void {
    const untilMs = this.ms + seconds * 1000;
    for (let calm = 0; calm < 10;) {
      this.tick();
      calm = this.quiet() ? calm + 1 : 0;
      if (this.ms > untilMs) throw new Error(`not quiet: ${this.describe()}`);
    }
    this.rested();
  }

  /** Throws when something is wrong in a pair that is quiet. */
  rested(): void {
    const found = unrest(this);
    if (found !== null) throw new Error(`at rest, but ${found}\n${this.describe()}`);
  }

  describe(): string {
    const words = NODES.map((node) => nodeWords(node, this.nodes[node]));
    return [...words, this.links.describe()].join('\n');
  }

  check(): void {
    const found = broken(this);
    if (found !== null) throw new Error(`${found} at ${this.ms} ms\n${this.describe()}`);
  }

  #onStep(node: NodeId, before: NodeState, after: NodeState): void {
    if (this.trace === null) return;
    const changes = stepWords(before, after);
    if (changes !== '') this.trace(`${node} ${changes}`);
  }
}
