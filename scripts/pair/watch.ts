/**
 * Watches a pair from outside all the time: the status of both nodes again and again, and the
 * events of both. Always holds: what must never be seen (two nodes that serve in one epoch, a node
 * that serves on trial) is noted as a fault the moment it is seen; a node that does not answer is
 * asked again. Imports core and control.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlClient } from '../../src/control/client.ts';
import { NODES, type NodeId } from '../../src/core/model.ts';
import type { PairStatus, TandemEvent } from '../../src/core/status.ts';

/** What is watched, and how patiently. */
export interface WatchOptions {
  /** The pair's control sockets on this machine; a node that is off may have none. */
  readonly nodes: Readonly<Record<NodeId, { readonly controlSocket: string }>>;
  /** Pause between two looks at a node, milliseconds; default 50. */
  readonly pauseMs?: number;
  /** Longest wait for what a story expects, milliseconds; default 150,000. */
  readonly waitMs?: number;
}

/** One look at a node. */
export interface Look {
  readonly node: NodeId;
  readonly status: PairStatus;
}

interface Waiter {
  readonly test: (look: Look) => boolean;
  readonly resolve: (look: Look) => void;
}

/** Version of a component, or a question mark. */
const version = (part: { readonly version: string } | null): string => part?.version ?? '?';

/** What a status says in one line, for the log of a failed test. */
function lineOf({ node, status }: Look): string {
  const nodes = NODES.map((id) => {
    const { known, serving, system, storage, update, admitted } = status.nodes[id];
    const marks = `${serving ? ' serves' : ''}${admitted && !serving ? ' admitted' : ''}`;
    return known ? `${id} ${version(system)}/${version(storage)} ${update}${marks}` : `${id} ?`;
  });
  const { rollout, ha, state, alarms } = status;
  const phase = rollout === null ? '-' : rollout.phase;
  const codes = alarms.map((alarm) => alarm.code).join(' ');
  return `${node}: ${phase} ${state} ${ha.ok ? 'HA' : 'no HA'} | ${nodes.join(' | ')} ${codes}`;
}

/** The watcher; `start` begins, `stop` ends it. */
export class Watch {
  /** What was seen that must never be. */
  readonly faults: string[] = [];
  /** What changed, one line each. */
  readonly lines: string[] = [];
  /** Events of both nodes, each once, in the order in which they came. */
  readonly events: TandemEvent[] = [];
  /** Answers of a node while it was installing. */
  readonly answersInstalling: Record<NodeId, number> = { A: 0, B: 0 };
  /** Looks at a pair of two versions that was highly available. */
  mixedAvailable = 0;
  readonly #options: WatchOptions;
  readonly #stop = new AbortController();
  readonly #waiters = new Set<Waiter>();
  readonly #eventWaiters = new Set<() => void>();
  readonly #holders = new Map<number, NodeId>();
  readonly #known = new Set<string>();
  readonly #last: Record<NodeId, string> = { A: '', B: '' };
  readonly #startMs = performance.now();
  #work: readonly Promise<void>[] = [];

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#work = NODES.flatMap((node) => [this.#look(node), this.#follow(node)]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#work);
  }

  /** The first look from now on for which `test` is true; throws with the last lines. */
  async until(what: string, test: (look: Look) => boolean): Promise<Look> {
    const { promise, resolve } = Promise.withResolvers<Look>();
    const waiter = { test, resolve };
    this.#waiters.add(waiter);
    return this.#orThrow(what, promise).finally(() => this.#waiters.delete(waiter));
  }

  /** The first event, old or new, behind the first `from` ones for which `test` is true. */
  async event(what: string, test: (event: TandemEvent) => boolean, from = 0): Promise<TandemEvent> {
    const { promise, resolve } = Promise.withResolvers<TandemEvent>();
    const look = (): void => {
      const found = this.events.slice(from).find(test);
      if (found !== undefined) resolve(found);
    };
    this.#eventWaiters.add(look);
    look();
    return this.#orThrow(what, promise).finally(() => this.#eventWaiters.delete(look));
  }

  /** The rollout entered this phase: told by an event, so that short phases are not missed. */
  async phase(phase: string, from = this.events.length): Promise<TandemEvent> {
    return this.event(phase, (one) => one.phase === phase && one.state === 'phase', from);
  }

  async #orThrow<T>(what: string, promise: Promise<T>): Promise<T> {
    const timer = new AbortController();
    const { waitMs = 150_000 } = this.#options;
    const late = sleep(waitMs, undefined, { signal: timer.signal }).then(() => {
      throw new Error(`waited in vain for ${what}:\n${this.lines.slice(-8).join('\n')}`);
    });
    late.catch(() => undefined);
    try {
      return await Promise.race([promise, late]);
    } finally {
      timer.abort();
    }
  }

  async #look(node: NodeId): Promise<void> {
    const client = new ControlClient(this.#options.nodes[node].controlSocket);
    const { signal } = this.#stop;
    const { pauseMs = 50 } = this.#options;
    while (!signal.aborted) {
      const status = await client.status(signal).catch(() => null);
      if (status !== null) this.#note({ node, status });
      else this.#line(node, `${node}: does not answer`);
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #note(look: Look): void {
    const { node, status } = look;
    this.#line(node, lineOf(look));
    const own = status.nodes[node];
    if (own.serving && own.epoch !== null) {
      const holder = this.#holders.get(own.epoch) ?? node;
      this.#holders.set(own.epoch, holder);
      if (holder !== node) this.faults.push(`both nodes served in epoch ${String(own.epoch)}`);
      if (own.slots.some((slot) => slot.state === 'trial')) {
        this.faults.push(`node ${node} served on trial`);
      }
    }
    if (own.activity?.name === 'installing') this.answersInstalling[node] += 1;
    const { A, B } = status.nodes;
    const mixed = A.known && B.known && version(A.system) !== version(B.system);
    if (mixed && status.ha.ok) this.mixedAvailable += 1;
    for (const waiter of this.#waiters) if (waiter.test(look)) waiter.resolve(look);
  }

  #line(node: NodeId, text: string): void {
    if (this.#last[node] === text) return;
    this.#last[node] = text;
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(2);
    this.lines.push(`${seconds.padStart(7)} ${text}`);
  }

  async #follow(node: NodeId): Promise<void> {
    const client = new ControlClient(this.#options.nodes[node].controlSocket);
    for await (const event of client.follow({ signal: this.#stop.signal })) {
      // The same event may have another number on the other node.
      const key = JSON.stringify([event.node, event.ts, event.state, event.msg, event.pct]);
      if (this.#known.has(key)) continue;
      this.#known.add(key);
      this.events.push(event);
      for (const look of this.#eventWaiters) look();
    }
  }
}
