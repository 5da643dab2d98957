/**
 * Two desks of scheduled updates for tests, with jobs that are only names: disks, link, clocks and
 * what the pair as a whole knows are the test's. Imports the daemon.
 */
import type { ScheduleRequest } from '../../src/control/schedule-protocol.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import { jobOfRun } from '../../src/core/schedule.ts';
import type { JobStatus } from '../../src/core/status.ts';
import type { Window } from '../../src/core/window.ts';
import type { BookContent, ScheduleBook } from '../../src/daemon/schedule-book.ts';
import { ScheduleDesk } from '../../src/daemon/schedule-desk.ts';
import { jobStatus } from '../memory/views.ts';

export const START = Date.parse('2026-11-20T12:00Z');
export const HOUR = 3_600_000;
export const BUNDLE = 'a'.repeat(64);
export const ANNA = { name: 'anna' };
export const REQUEST: ScheduleRequest = { source: { bundle: BUNDLE }, at: '+2h' };

/** A book that outlives its desk. */
export class MemoryBook implements ScheduleBook {
  content: BookContent = { schedules: [], seenMs: 0 };

  write(content: BookContent): Promise<void> {
    this.content = structuredClone(content);
    return Promise.resolve();
  }
}

/** Both nodes: their disks, and what the pair as a whole knows. */
export class Pair {
  ms = 0;
  /** How far the clock of a node is from the right time. */
  readonly askew: Record<NodeId, number> = { A: 0, B: 0 };
  serving: NodeId | null = 'A';
  linked = true;
  readonly up: Record<NodeId, boolean> = { A: true, B: true };
  readonly books: Record<NodeId, MemoryBook> = { A: new MemoryBook(), B: new MemoryBook() };
  readonly desks: Record<NodeId, ScheduleDesk>;
  /** Rollouts, which both nodes hold; and every start of one. */
  readonly rollouts = new Map<string, JobStatus>();
  readonly starts: string[] = [];
  /** For how long hooks had put each of them off. */
  readonly waited: number[] = [];
  /** Starts of which the other node's disk did not know. */
  readonly unknown: string[] = [];
  readonly told: string[] = [];
  /** Jobs of each daemon that are no rollout yet. */
  readonly waits: Record<NodeId, Map<string, JobStatus>> = { A: new Map(), B: new Map() };
  /** A hook that says later: starts become jobs that wait. */
  later = false;
  /** The program of a peer that knows no schedules. */
  older = false;
  refusal: UpdateError | null = null;
  file: string | null = null;
  readonly windows: Window[] = [];

  constructor() {
    this.desks = { A: this.desk('A'), B: this.desk('B') };
  }

  /** A desk on the disk of a node, as after a start of its daemon. */
  desk(node: NodeId): ScheduleDesk {
    const peer = node === 'A' ? 'B' : 'A';
    return new ScheduleDesk({
      node,
      book: this.books[node],
      host: {
        nowMs: () => START + this.ms + this.askew[node],
        monotonicMs: () => this.ms,
      },
      events: {
        emit: (event) => {
          this.told.push(`${node} ${event.state} ${event.code ?? '-'}: ${event.msg}`);
          return undefined as never;
        },
      },
      inhibitor: { inhibited: () => Promise.resolve(this.file) },
      automation: {
        zone: 'UTC',
        windows: this.windows,
        catchUpH: 24,
        deferrals: 2,
        choicesMin: [60, 240],
      },
      serves: () => this.serving === node && this.up[node],
      connected: () => this.linked && this.up[peer],
      exchange: async (own) => {
        if (this.older) throw new UpdateError('pair.protocol', 'it does not know the request');
        if (this.linked && this.up[peer]) {
          return structuredClone(await this.desks[peer].hear(structuredClone(own)));
        }
        throw new UpdateError('pair.peer_unreachable', `node ${peer} does not answer`);
      },
      start: (request, caller) => {
        if (this.refusal !== null) return Promise.reject(this.refusal);
        const id = caller.job ?? 'none';
        if (this.rollouts.has(id)) throw new UpdateError('job.busy', `${id} is there`);
        this.starts.push(id);
        this.waited.push(caller.waitedMs ?? 0);
        if (this.later) return Promise.resolve(this.wait(node, id));
        const there = this.books[peer].content.schedules;
        const known = there.some((one) => one.state === 'claimed' && jobOfRun(one) === id);
        if (!known) this.unknown.push(id);
        const job = jobStatus({ id, kind: 'update', state: 'running', exit: null });
        this.rollouts.set(id, job);
        return Promise.resolve(job);
      },
      job: (id) => this.rollouts.get(id) ?? this.waits[node].get(id) ?? null,
      own: (id) => (this.rollouts.has(id) ? null : (this.waits[node].get(id) ?? null)),
      abort: (id) => this.abort(node, id),
      pause: () => Promise.resolve(),
      staged: (bundle) => Promise.resolve(bundle === BUNDLE ? { version: '2.0.0' } : null),
      log: () => undefined,
    });
  }

  /** The daemon of a node starts again. */
  restart(node: NodeId): void {
    this.waits[node].clear();
    this.desks[node] = this.desk(node);
  }

  /** A job of this daemon that waits for a hook. */
  wait(node: NodeId, id: string): JobStatus {
    const message = 'waits: hook check.d/10 asks to be asked later';
    const job = jobStatus({ id, kind: 'update', state: 'running', exit: null, message });
    this.waits[node].set(id, job);
    return job;
  }

  abort(node: NodeId, id: string): boolean {
    const job = this.waits[node].get(id);
    if (job?.state !== 'running') return false;
    const end = { state: 'failed', code: 'job.cancelled', message: 'it was cancelled' } as const;
    this.waits[node].set(id, { ...job, ...end });
    return true;
  }

  /** The hook agrees: the job becomes a rollout. */
  agree(node: NodeId, id: string): void {
    this.rollouts.set(id, { ...this.waits[node].get(id)!, message: 'phase STAGE' });
    this.waits[node].delete(id);
  }

  async pass(ms: number): Promise<void> {
    this.ms += ms;
    for (const node of ['A', 'B'] as const) if (this.up[node]) await this.desks[node].look();
  }

  end(id: string, change: Partial<JobStatus>): void {
    this.rollouts.set(id, { ...this.rollouts.get(id)!, ...change });
  }

  view(node: NodeId = 'A') {
    return this.desks[node].view().schedules[0]!;
  }
}
