/**
 * The runner: event -> step -> journal -> effect -> port call -> event. One queue takes the events
 * in their order; a state is durable in the journal before its effects start and before a report
 * that depends on it is sent (docs/ARCHITECTURE.md, "Rules that make it safe"). What the pure
 * machine decides is never second-guessed here. Imports core and ports; never drivers.
 */
import type { UpdateError } from '../core/errors.ts';
import { asUpdateError } from '../core/errors.ts';
import { effectsOf, settle, step } from '../core/machine.ts';
import { compareWriter } from '../core/records.ts';
import { readPairMessage, readReportHead } from '../core/report.ts';
import type { NodeReport, PairMessage, ReportHead } from '../core/report.ts';
import { peerReport, type Event, type NodeState } from '../core/state.ts';
import type { Host, Journal, PeerLink } from '../ports.ts';
import { EffectRunner, pause, type Execute, type Pause } from './effects.ts';
import { reportOf } from './report.ts';

/** Beat of reports to the peer; six missed ones count as silence (docs/ARCHITECTURE.md, "Link"). */
export const BEAT_MS = 200;
/** Decisions after one event; more means that the machine never comes to rest, which is a bug. */
const SETTLE_MAX = 200;

/** What the runner writes to and listens to. */
export interface RunnerPorts {
  readonly journal: Journal;
  readonly link: PeerLink;
  readonly host: Host;
  /** How time passes between beats and tries; real time unless a test says otherwise. */
  readonly pause?: Pause;
}

/** What the rest of the daemon hears from the runner. */
export interface RunnerEvents {
  /** After each durable step: the state before and after it. */
  readonly onStep: (before: NodeState, after: NodeState) => void;
  /** Messages that are not for the machine: events, requests, answers of the peer. */
  readonly onMessage: (message: PairMessage) => void;
  /** A report that is not taken: another pair, or no common protocol (rule R10). */
  readonly onRefused: (report: ReportHead) => void;
  /** The journal cannot be written any more: the process must end and start again. */
  readonly onFatal: (error: UpdateError) => void;
  readonly log: (line: string) => void;
}

/** The one place where the state of a node changes. */
export class Runner implements AsyncDisposable {
  #state: NodeState;
  #queue: Promise<void> = Promise.resolve();
  #seq = 0;
  #sent = '';
  #stopped = false;
  /** The peer's newest report was refused: nothing else of it is taken either. */
  #stranger = false;
  readonly #ports: RunnerPorts;
  readonly #events: RunnerEvents;
  readonly #effects: EffectRunner;
  readonly #ended = new AbortController();
  #beats: Promise<void> = Promise.resolve();

  constructor(initial: NodeState, ports: RunnerPorts, execute: Execute, events: RunnerEvents) {
    this.#state = initial;
    this.#ports = ports;
    this.#events = events;
    const dispatch = (event: Event): Promise<boolean> => this.dispatch(event);
    this.#effects = new EffectRunner(execute, dispatch, events.log, ports.pause);
  }

  get state(): NodeState {
    return this.#state;
  }

  /** Connects the link and starts to act on the state that was found. */
  start(): void {
    const { link } = this.#ports;
    link.onMessage((message) => this.#onMessage(message));
    link.onChange(() => this.#onLink());
    this.#onLink();
    this.#beats = this.#beat(this.#ended.signal);
  }

  /** Takes an event after those before it; resolves when it and what follows from it is durable. */
  dispatch(event: Event): Promise<boolean> {
    const done = this.#queue.then(() => this.#take(event));
    this.#queue = done.then(
      () => undefined,
      (error: unknown) => {
        this.#stopped = true;
        this.#events.onFatal(asUpdateError(error));
      },
    );
    return done.catch(() => false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#ended.abort();
    await this.#effects[Symbol.asyncDispose]();
    await this.#beats;
    await this.#queue;
  }

  /** A slow disk gets no beats that pile up: the next one comes after the one before was taken. */
  async #beat(signal: AbortSignal): Promise<void> {
    const wait = this.#ports.pause ?? pause;
    for (;;) {
      await wait(BEAT_MS, signal);
      if (signal.aborted) return;
      await this.dispatch({ type: 'tick' });
    }
  }

  async #take(event: Event): Promise<boolean> {
    if (this.#stopped) return false;
    const { host } = this.#ports;
    const clock = { ms: host.monotonicMs(), at: new Date(host.nowMs()).toISOString() };
    const next = step(this.#state, event, clock);
    if (event.type === 'report') this.#stranger = false;
    if (next === undefined && event.type === 'report') {
      this.#refuse(event.report);
    } else if (next === undefined) {
      this.#events.log(`event ${event.type} has no meaning now and changes nothing`);
    } else {
      await this.#advance(next);
      await this.#settle();
    }
    this.#effects.reconcile(effectsOf(this.#state));
    this.#send(event.type === 'tick');
    return next !== undefined;
  }

  async #settle(): Promise<void> {
    for (let count = 0; count < SETTLE_MAX; count++) {
      const decided = settle(this.#state);
      if (decided === undefined) return;
      await this.#advance(decided);
    }
    this.#events.log('the machine does not come to rest; going on with the next event');
  }

  /** Durable first, then visible: nobody sees a state that a power cut could take back. */
  async #advance(next: NodeState): Promise<void> {
    const before = this.#state;
    const { journal } = this.#ports;
    if (next.record !== before.record) {
      await journal.append({ kind: 'node', record: next.record });
    }
    if (next.rollout !== before.rollout && next.rollout !== null) {
      await journal.append({ kind: 'rollout', record: next.rollout });
    }
    this.#state = next;
    this.#events.onStep(before, next);
  }

  /** The report goes out at once when it says something new, else with the beat. */
  #send(beat: boolean): void {
    const { link } = this.#ports;
    const { world, rollout } = this.#state;
    // The state must know that the link is up before the peer can hear of it (core/takeover.ts).
    if (!world.linkUp) return;
    const report = reportOf(this.#state, this.#seq + 1);
    if (!beat) {
      const text = JSON.stringify({ ...report, seq: 0 });
      if (text === this.#sent) return;
      this.#sent = text;
    }
    this.#seq++;
    link.send({ type: 'report', report });
    const theirs = peerReport(this.#state)?.rollout;
    if (rollout !== null && theirs !== undefined && this.#peerLags(theirs)) {
      link.send({ type: 'rollout', record: rollout });
    }
  }

  #peerLags(theirs: NodeReport['rollout']): boolean {
    const { rollout } = this.#state;
    if (rollout === null) return false;
    return theirs === null || compareWriter(rollout.writer, theirs) > 0;
  }

  #onMessage(value: unknown): void {
    const message = readPairMessage(value);
    if (message === null) {
      const head = readReportHead(value);
      if (head !== null) this.#refuse(head);
      return;
    }
    if (message.type === 'report') {
      void this.dispatch({ type: 'report', report: message.report });
    } else if (this.#stranger) {
      // What it says besides may mean something else in the protocols that it speaks.
      return;
    } else if (message.type === 'rollout') {
      void this.dispatch({ type: 'rollout', record: message.record });
    } else {
      this.#events.onMessage(message);
    }
  }

  #refuse(head: ReportHead): void {
    this.#stranger = true;
    this.#events.onRefused(head);
  }

  #onLink(): void {
    const up = this.#ports.link.channels().some((channel) => channel.up);
    if (up) this.#sent = '';
    void this.dispatch({ type: 'link', up });
  }
}
