/**
 * Restart and shutdown of this node by an operator's word. Always holds: a service that this node
 * has is handed over first; the promise to stand down is durable and counted on by the peer before
 * the boot ends, so that nobody freezes, waits or fences for a node that leaves on purpose; the
 * note that says whose promise it is was written before the promise, so that whatever happens in
 * between, the next start of the daemon takes it back. Imports core, ports and the updater.
 */
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { PowerKind, PowerViews } from '../core/power.ts';
import { connected, me, other, peerReport, type NodeState } from '../core/state.ts';
import type { Host, ServiceAddress, StorageSoftware } from '../ports.ts';
import { pause, type Pause } from '../updater/effects.ts';
import { leave, REBOOT_MS } from '../updater/let-go.ts';
import type { Runner } from '../updater/runner.ts';
import type { Asked } from './audit.ts';
import { standDownRefusal, standsDown } from './operator-rules.ts';
import type { PowerNote, PowerNotes } from './power-note.ts';
import { backSentence, holds, powerRefusal, powerView } from './power-rules.ts';
import type { DriverRequests } from './requests.ts';

/** How often the state is looked at. */
const LOOK_MS = 50;
/** How long the peer may take to serve; a switchover takes a moment. */
const HANDOVER_MS = 60_000;
/** How long the peer may take to count on the promise of this node. */
const COUNTED_MS = 10_000;
/** How long a node that is back may take until it is admitted: a sync of everything is in it. */
const BACK_MS = 15 * 60_000;

/** What a restart reaches. */
export interface PowerParts {
  readonly runner: Runner;
  readonly requests: DriverRequests;
  readonly host: Host;
  readonly service: ServiceAddress;
  readonly storage: StorageSoftware;
  readonly notes: PowerNotes;
  readonly pause?: Pause;
  /** Job of this daemon that a restart would cut off. */
  readonly localJob: () => string | null;
  readonly now: () => string;
}

/** A restart or shutdown that was asked for. */
export interface PowerOrder {
  readonly job: string;
  readonly kind: PowerKind;
  readonly asked: Asked;
  readonly force: boolean;
}

/** The way out of a boot, and what is left to do after the next one. */
export class Power {
  readonly #parts: PowerParts;
  readonly #pause: Pause;
  #gone = false;

  constructor(parts: PowerParts) {
    this.#parts = parts;
    this.#pause = parts.pause ?? pause;
  }

  /** True once this boot ends, whatever else happens. */
  get gone(): boolean {
    return this.#gone;
  }

  get #state(): NodeState {
    return this.#parts.runner.state;
  }

  /** What both would do now, and what they cost. */
  views(): PowerViews {
    const job = this.#parts.localJob();
    return {
      restart: powerView('restart', this.#state, job),
      shutdown: powerView('shutdown', this.#state, job),
    };
  }

  /** Throws why the node may not go now. */
  check(force: boolean): void {
    const refusal = powerRefusal(this.#state, this.#parts.localJob());
    if (refusal !== null && !(force && refusal.forceable)) throw refusal.error;
  }

  /**
   * Goes; `tell` says how far it is. Returns only with the end of this boot, so it never does;
   * throws what kept it from going, and then nothing of it is left.
   */
  async go(order: PowerOrder, tell: (step: string) => void, signal: AbortSignal): Promise<never> {
    const { kind, force } = order;
    if (holds(this.#state) && powerRefusal(this.#state, null) === null) {
      tell(`node ${other(this.#state)} takes the service over`);
      await this.#handOver(signal);
    }
    // Whoever waited for the handover may find another picture than the one that was judged.
    const refusal = powerRefusal(this.#state, null);
    if (refusal !== null && !(force && refusal.forceable)) throw refusal.error;
    const note = await this.#promise(order, tell, signal);
    const goes = kind === 'restart' ? 'restarts now' : 'goes off now';
    this.#gone = true;
    tell(`node ${me(this.#state)} ${goes}`);
    const why = order.asked.reason === null ? '' : `: ${order.asked.reason}`;
    const words = `${kind} asked for by ${note.by}${why}`;
    return leave(this.#parts, kind === 'restart' ? 'reboot' : 'power-off', words, REBOOT_MS);
  }

  async #handOver(signal: AbortSignal): Promise<void> {
    const { requests } = this.#parts;
    const to = other(this.#state);
    await requests.ask({ do: 'switchover' });
    const serves = await this.#until(
      (s) => peerReport(s)?.serving === true && !holds(s),
      HANDOVER_MS,
      signal,
    );
    if (serves) return;
    const message = `node ${to} did not take the service over; node ${me(this.#state)} stays`;
    throw new UpdateError('switchover.abandoned', message);
  }

  /** The promise of a standby; a node that goes with the service makes none. */
  async #promise(
    { job, kind, asked }: PowerOrder,
    tell: (step: string) => void,
    signal: AbortSignal,
  ): Promise<PowerNote> {
    const { notes, runner, host, now } = this.#parts;
    const standDown =
      !holds(this.#state) && connected(this.#state) && this.#state.record.standDown === null;
    const { by, reason } = asked;
    const { bootId } = host.boot();
    const startedAt = now();
    const note: PowerNote = { v: 1, job, kind, by, reason, startedAt, bootId, standDown };
    await notes.write(note);
    if (!standDown) return note;
    try {
      tell(`node ${me(this.#state)} promises not to take over`);
      const made = await runner.dispatch({ type: 'stand-down', on: true });
      if (!made) throw standDownRefusal(this.#state, true) ?? changed();
      if (await this.#until(isCountedOn, COUNTED_MS, signal)) return note;
      const message = `node ${other(this.#state)} has not heard of the promise`;
      throw new UpdateError('pair.peer_unreachable', message);
    } catch (error) {
      await this.#takeBack(note);
      throw error;
    }
  }

  /** Ends the promise that was made for this note, then the note. */
  async #takeBack(note: PowerNote): Promise<void> {
    const { runner, notes } = this.#parts;
    if (note.standDown && standsDown(this.#state)) {
      await runner.dispatch({ type: 'stand-down', on: false });
    }
    await notes.write(null);
  }

  /** What was left to do when the daemon started, or null. */
  get pending(): PowerNote | null {
    return this.#parts.notes.read();
  }

  /**
   * After the boot that was asked for: ends the promise, waits until the node is admitted or
   * serves, and says so. Throws `power.failed` when the boot is still the old one.
   */
  async comeBack(note: PowerNote, signal: AbortSignal): Promise<string> {
    await this.#takeBack(note);
    if (note.bootId === this.#parts.host.boot().bootId) {
      const message = `the daemon of node ${me(this.#state)} started again in the same boot`;
      throw new UpdateError('power.failed', message);
    }
    if (await this.#until(isBack, BACK_MS, signal)) return backSentence(note.kind, this.#state);
    const message = `node ${me(this.#state)} is up but not admitted after ${BACK_MS / 60_000} min`;
    throw new UpdateError('pair.not_healthy', message);
  }

  /** True once it is so; false when the time is over first. Throws when the job is cancelled. */
  async #until(
    what: (s: NodeState) => boolean,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { host } = this.#parts;
    const endMs = host.monotonicMs() + limitMs;
    while (!what(this.#state)) {
      if (signal.aborted) throw asUpdateError(signal.reason);
      if (host.monotonicMs() >= endMs) return false;
      await this.#pause(LOOK_MS, signal);
    }
    return true;
  }
}

/** The peer goes on alone when this node is gone: it has written that it cannot take over. */
const isCountedOn = (s: NodeState): boolean => peerReport(s)?.record.role.peerMayTakeOver === false;

const isBack = (s: NodeState): boolean => s.world.serving !== null || s.world.admitted;

function changed(): UpdateError {
  return new UpdateError('pair.not_healthy', 'the pair changed in the meantime');
}
