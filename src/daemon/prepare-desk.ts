/**
 * The desk of prepared updates on a node: it keeps this node's copy of the record, works on this
 * node's stages one after the other, and keeps the copy level with the peer's. Always holds: a
 * change is on this node's disk before anything follows from it; a node writes only its own column,
 * and the order only while it serves; a stage that fails is tried again after a pause that grows,
 * in monotonic time; nothing is begun while the pair is being changed. Imports core, the updater's
 * runner and its own folder.
 */
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { NodeId, Sha256 } from '../core/model.ts';
import { changeOrder, joinCopies, openOf, type PrepareAct } from '../core/prepare-order.ts';
import type { PrepareChange } from '../core/prepare-order.ts';
import { readPreparation } from '../core/prepare-shape.ts';
import { dueStage, stepColumn, waitBeforeS } from '../core/prepare.ts';
import type { Preparation, PrepareEvent, PrepareOrder, PrepareStage } from '../core/prepare.ts';
import type { NodeReport } from '../core/report.ts';
import { me, peerReport, running, type NodeState } from '../core/state.ts';
import type { EventLog } from '../updater/events.ts';
import type { PrepareDisk } from './prepare-disk.ts';
import { PrepareDriver, type PrepareDriverParts } from './prepare-driver.ts';
import type { PrepareWork } from './prepare-work.ts';
import type { DriverRequests } from './requests.ts';

/** A record that the disk did not take is written again so much later. */
const WRITE_AGAIN_MS = 60_000;
/** How often it is looked whether what is done is still there. */
const HOLDS_MS = 60_000;
/** A copy that the peer did not take is sent again so much later. */
const SHARE_AGAIN_MS = 10_000;

/** What the desk works with. */
export interface PrepareDeskParts extends PrepareDriverParts {
  readonly disk: PrepareDisk;
  readonly work: PrepareWork;
  readonly requests: DriverRequests;
  readonly events: Pick<EventLog, 'emit'>;
  readonly log: (line: string) => void;
  /** All is prepared, or its install has ended; told once, on the node that serves. */
  readonly ended?: (act: string, order: PrepareOrder, good: boolean, message: string) => void;
}

/** The desk of one node. */
export class PrepareDesk implements AsyncDisposable {
  readonly #parts: PrepareDeskParts;
  #preparation: Preparation | null;
  /** Changes of the record, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #look: Promise<void> | null = null;
  #work: { readonly stage: PrepareStage; readonly abort: AbortController } | null = null;
  #working: Promise<void> = Promise.resolve();
  /** Since when the due stage waits, and which record of it that is. */
  #wait: { readonly seq: number; readonly sinceMs: number } | null = null;
  #unwrittenMs: number | null = null;
  #heldMs = -Infinity;
  /** What the peer has, and what it was sent last, with the run of its daemon. */
  #shared: { readonly copy: Preparation; readonly run: string } | null = null;
  #sent: { readonly copy: Preparation; readonly run: string; readonly atMs: number } | null = null;
  /** Run of a peer that knows nothing of prepared updates. */
  #older = '';
  readonly #driver: PrepareDriver;
  #closed = false;

  constructor(parts: PrepareDeskParts) {
    this.#parts = parts;
    this.#driver = new PrepareDriver(parts);
    this.#preparation = parts.disk.found;
    const at = parts.now();
    const node = me(parts.runner.state);
    const found = this.#preparation;
    if (found !== null) {
      const column = stepColumn(found.nodes[node], { type: 'interrupted', at });
      if (column !== found.nodes[node]) {
        this.#preparation = { ...found, nodes: { ...found.nodes, [node]: column } };
        this.#unwrittenMs = -Infinity;
      }
    }
    parts.requests.prepare = {
      change: (act) => this.#change(act),
      join: (copy) => this.#join(copy),
    };
  }

  /** The copy of this node. */
  get preparation(): Preparation | null {
    return this.#preparation;
  }

  /** Seconds until this node's failed stage is tried again; null when nothing waits. */
  retryInS(): number | null {
    const open = openOf(this.#preparation);
    if (open === null) return null;
    const column = open.nodes[this.#node];
    const stage = dueStage(column);
    if (stage === null || column.stages[stage].state !== 'failed') return null;
    const waited = this.#wait?.seq === column.seq ? this.#waitedMs() : 0;
    return Math.max(0, Math.ceil(waitBeforeS(column.stages[stage]) - waited / 1000));
  }

  /** Bundle that the depot keeps for what is prepared. */
  kept(): readonly Sha256[] {
    const open = openOf(this.#preparation);
    return open === null ? [] : [open.order.bundle];
  }

  /** A change of the order, made by the node that serves, known to both; throws the refusal. */
  async ask(act: PrepareAct): Promise<PrepareChange> {
    const found = (await this.#parts.requests.askPrepare(act)) as Partial<PrepareChange>;
    const preparation = readPreparation(found.preparation);
    if (preparation === null || typeof found.message !== 'string') {
      throw new UpdateError(
        'pair.bad_message',
        'the answer on a prepared update is not understood',
      );
    }
    await this.#join(preparation);
    // What was said on one node counts on both, as soon as that is possible.
    await this.#share();
    return { preparation, changed: found.changed === true, message: found.message };
  }

  /** Looks whether something is due in this state, beside whatever runs; never throws. */
  look(s: NodeState): void {
    if (this.#closed) return;
    if (this.#work !== null && !this.#mayWork(s)) {
      this.#work.abort.abort(running(s.rollout) ? BUSY : GIVEN_UP);
    }
    if (this.#look !== null || (this.#preparation === null && peerReport(s) === null)) return;
    this.#look = this.#step()
      .catch((error: unknown) => this.#parts.log(`prepare: ${asUpdateError(error).message}`))
      .finally(() => (this.#look = null));
  }

  /** Returns when nothing is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#work?.abort.abort(new UpdateError('job.interrupted', 'the daemon ends'));
    await Promise.allSettled([this.#look, this.#working, this.#turn]);
  }

  get #node(): NodeId {
    return me(this.#parts.runner.state);
  }

  /** The pause before the due stage begins to count. */
  #waitFrom(sinceMs: number): void {
    const seq = this.#preparation?.nodes[this.#node].seq;
    this.#wait = seq === undefined ? null : { seq, sinceMs };
  }

  #waitedMs(): number {
    return this.#parts.monotonicMs() - (this.#wait?.sinceMs ?? this.#parts.monotonicMs());
  }

  async #step(): Promise<void> {
    await this.#writeAgain();
    await this.#heedRetry();
    await this.#findLost();
    await this.#drive();
    await this.#parts.work.follow(this.#preparation);
    await this.#share();
    await this.#begin();
  }

  /** Whether stages may run: not while the pair is changed, and not on a node that is ignored. */
  #mayWork(s: NodeState): boolean {
    const open = openOf(this.#preparation);
    if (open === null || running(s.rollout)) return false;
    const { install, ignored } = open.order;
    return ignored[this.#node] === null && !(install !== null && install.result === null);
  }

  async #begin(): Promise<void> {
    const found = this.#preparation;
    if (found === null || this.#work !== null || !this.#mayWork(this.#parts.runner.state)) return;
    const column = found.nodes[this.#node];
    const stage = dueStage(column);
    const { outdated = null } = found.order;
    if (stage === null || outdated !== null || this.#parts.work.waits(stage, found)) return;
    if (this.#wait?.seq !== column.seq) this.#waitFrom(this.#parts.monotonicMs());
    if (this.#waitedMs() < waitBeforeS(column.stages[stage]) * 1000) return;
    const at = this.#parts.now();
    const begun = await this.#put({ type: 'begin', stage, message: 'at work', at }, 'must');
    if (!begun || this.#closed) return;
    const abort = new AbortController();
    this.#work = { stage, abort };
    this.#working = this.#run(stage, abort.signal).finally(() => (this.#work = null));
  }

  async #run(stage: PrepareStage, signal: AbortSignal): Promise<void> {
    const preparation = this.#preparation!;
    const planned = async (): Promise<Preparation> => {
      const open = openOf(this.#preparation);
      if (open !== null && open.order.plan !== null) return open;
      return (await this.ask({ do: 'plan', plan: null })).preparation;
    };
    try {
      const end = await this.#parts.work.run(stage, { preparation, signal, planned });
      signal.throwIfAborted();
      await this.#put({ type: 'done', stage, ...end, at: this.#parts.now() });
    } catch (cause) {
      // What ended with the daemon is found as interrupted by the next one.
      if (this.#closed) return;
      const error = asUpdateError(signal.aborted ? signal.reason : cause);
      const { code, message } = error;
      const at = this.#parts.now();
      await this.#put({ type: 'failed', stage, reason: { code, message }, at });
      this.#waitFrom(this.#parts.monotonicMs());
    }
  }

  /** Puts an event into this node's column; true when it meant something. */
  #put(event: PrepareEvent, must?: 'must'): Promise<boolean> {
    return this.#serial(async () => {
      const found = this.#preparation;
      if (found === null) return false;
      const node = this.#node;
      const before = found.nodes[node];
      const column = stepColumn(before, event);
      if (column === before) return false;
      const next = { ...found, nodes: { ...found.nodes, [node]: column } };
      await this.#commit(next, must);
      this.#tell(event, next);
      return true;
    });
  }

  /** The record is on the disk when it resolves; what need not be is kept and written later. */
  async #commit(next: Preparation, must?: 'must'): Promise<void> {
    try {
      await this.#parts.disk.write(next);
      this.#unwrittenMs = null;
    } catch (cause) {
      if (must === 'must') throw cause;
      this.#parts.log(`the prepared update cannot be kept: ${asUpdateError(cause).message}`);
      this.#unwrittenMs = this.#parts.monotonicMs();
    }
    this.#preparation = next;
  }

  async #writeAgain(): Promise<void> {
    const sinceMs = this.#unwrittenMs;
    if (sinceMs === null || this.#parts.monotonicMs() - sinceMs < WRITE_AGAIN_MS) return;
    await this.#serial(async () => {
      if (this.#preparation !== null) await this.#commit(this.#preparation);
    });
  }

  async #heedRetry(): Promise<void> {
    const open = openOf(this.#preparation);
    if (open === null || open.order.retry <= open.nodes[this.#node].retry) return;
    const at = this.#parts.now();
    await this.#put({ type: 'retry', retry: open.order.retry, at });
  }

  async #findLost(): Promise<void> {
    const open = openOf(this.#preparation);
    if (open === null || !this.#mayWork(this.#parts.runner.state)) return;
    const { plan, stages } = open.nodes[this.#node];
    const at = this.#parts.now();
    const digest = open.order.plan?.digest ?? null;
    if (stages.plan.state === 'done' && plan !== digest) {
      await this.#put({ type: 'lost', stage: 'plan', message: 'there is another plan', at });
    }
    const nowMs = this.#parts.monotonicMs();
    if (this.#work !== null || nowMs - this.#heldMs < HOLDS_MS) return;
    this.#heldMs = nowMs;
    const lost = await this.#parts.work.lost(open);
    if (lost !== null) await this.#put({ type: 'lost', ...lost, at });
  }

  async #drive(): Promise<void> {
    const open = openOf(this.#preparation);
    if (open === null) return;
    for (const act of this.#driver.due(open)) await this.#quietly(act);
  }

  async #quietly(act: PrepareAct): Promise<void> {
    const { changed, message, preparation } = await this.#change(act);
    if (!changed) return;
    const isOld = act.do === 'outdated';
    this.#say(message, isOld && act.why !== null ? 'prepare.outdated' : null);
    if (isOld) return;
    const good = act.do !== 'installed' || act.result.good;
    const name = act.do === 'installed' ? 'prepare install' : 'prepare';
    this.#parts.ended?.(name, preparation.order, good, message);
  }

  /** A change of the order on the node that serves. */
  #change(act: PrepareAct): Promise<PrepareChange> {
    return this.#serial(async () => {
      const { state } = this.#parts.runner;
      const open = openOf(this.#preparation);
      const wanted = act.do === 'plan' && open !== null && open.order.plan === null;
      const made: PrepareAct = wanted
        ? { do: 'plan', plan: await this.#parts.work.plan(open) }
        : act;
      const change = changeOrder(this.#preparation, made, state.record.role.epoch);
      if (readPreparation(change.preparation) === null) {
        throw new UpdateError('pair.bad_message', `the word ${act.do} is not understood`);
      }
      if (change.changed) await this.#commit(change.preparation, 'must');
      if (act.do === 'begin' && change.changed) this.#work?.abort.abort(GIVEN_UP);
      return change;
    });
  }

  /** Takes what a copy has that this one has not; returns what is right now. */
  #join(copy: unknown): Promise<Preparation | null> {
    return this.#serial(async () => {
      const theirs = readPreparation(copy);
      const found = this.#preparation;
      const joined = joinCopies(found, theirs);
      if (joined === null || JSON.stringify(joined) === JSON.stringify(found)) return found;
      await this.#commit(joined, 'must');
      if (found?.order.id !== joined.order.id) this.#work?.abort.abort(GIVEN_UP);
      return joined;
    });
  }

  /** Gives the peer the copy until it has it. */
  async #share(): Promise<void> {
    const peer = peerReport(this.#parts.runner.state);
    const found = this.#preparation;
    if (peer === null || found === null) return;
    const { run } = peer;
    if (this.#shared?.copy === found && this.#shared.run === run) return;
    const nowMs = this.#parts.monotonicMs();
    const sent = this.#sent?.copy === found && this.#sent.run === run ? this.#sent : null;
    if (sent !== null && nowMs - sent.atMs < SHARE_AGAIN_MS) return;
    this.#sent = { copy: found, run, atMs: nowMs };
    const answer = await this.#parts.requests.sharePrepare(found).catch((cause: unknown) => {
      this.#refused(asUpdateError(cause).code, peer);
      return null;
    });
    if (answer === null) return;
    this.#shared = { copy: found, run };
    await this.#join(answer);
  }

  /** A peer of an older program is told of once in each of its runs; the copy is offered again. */
  #refused(code: string, { node, program, run }: NodeReport): void {
    if (code !== 'pair.protocol' || this.#older === run) return;
    this.#older = run;
    const word = `leave it out with \`tandem prepare ignore ${node}\``;
    this.#say(`node ${node} runs Tandem ${program}, which cannot prepare updates; ${word}`, code);
  }

  #tell(event: PrepareEvent, { order }: Preparation): void {
    if (event.type === 'retry' || event.type === 'interrupted') return;
    const word = { begin: 'begins', done: 'is done', failed: 'failed', lost: 'is lost' }[
      event.type
    ];
    const found = event.type === 'failed' ? event.reason : { code: null, message: event.message };
    const why = event.type === 'begin' ? '' : `: ${found.message}`;
    this.#say(`prepare ${order.version}, ${event.stage} ${word}${why}`, found.code);
  }

  #say(msg: string, code: UpdateError['code'] | null): void {
    const job = this.#preparation?.order.id ?? null;
    this.#parts.events.emit({ job, phase: null, state: 'prepare', msg, code });
  }

  #serial<T>(change: () => Promise<T>): Promise<T> {
    const next = this.#turn.then(change, change);
    this.#turn = next.catch(() => undefined);
    return next;
  }
}

const BUSY = new UpdateError('job.busy', 'it gave way to a change of the pair and goes on later');
const GIVEN_UP = new UpdateError('job.cancelled', 'it was taken back');
