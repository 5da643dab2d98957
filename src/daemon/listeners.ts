/**
 * What listens to the runner and to the drivers: events for people, history, messages of the peer,
 * status of the store, end of the storage software, the watchdog, the burn-in. It passes on; it
 * decides nothing. Imports core, ports and the updater.
 */
import type { UpdateError } from '../core/errors.ts';
import { agreedProtocol } from '../core/levels.ts';
import { END_PHASES, PROTOCOL, type Reason, type RolloutRecord } from '../core/records.ts';
import type { NodeReport, PairMessage, ReportHead } from '../core/report.ts';
import { serves } from '../core/role.ts';
import type { NodeState } from '../core/state.ts';
import type { TandemEvent } from '../core/status.ts';
import type { Host, PeerLink, ServiceLog, StorageSoftware, Store } from '../ports.ts';
import type { EventLog } from '../updater/events.ts';
import type { Runner, RunnerEvents } from '../updater/runner.ts';
import { isFormed, reformItems, type LastHeard } from '../updater/status.ts';
import type { History } from './history.ts';
import { Narrator } from './narrator.ts';
import type { DriverRequests } from './requests.ts';

const HOUR_MS = 3_600_000;
/** Events that a peer is told again when it is back, because it may have missed them. */
const EVENTS_AGAIN = 24;

/** Whom the listeners pass things on to. */
export interface ListenerParts {
  readonly events: EventLog;
  readonly history: History;
  /** Counts what has ended. */
  readonly tally?: { ended(rollout: RolloutRecord): void };
  readonly link: PeerLink;
  readonly host: Host;
  readonly log: ServiceLog;
  readonly onFatal: (error: UpdateError) => void;
  /** Called after each step, for what follows the records and is no part of them. */
  readonly onState?: (state: NodeState) => void;
}

/** What the runner calls when something happened. */
export class Listeners implements RunnerEvents {
  readonly #parts: ListenerParts;
  readonly #narrator: Narrator;
  #requests: DriverRequests | null = null;
  #burnIn: ((state: NodeState) => void) | null = null;
  lastHeard: LastHeard | null = null;
  /** Since when the pair is not highly available, in monotonic milliseconds; null while it is. */
  reformingSinceMs: number | null = null;
  /** When the sync that runs brought something last, monotonic; null without one. */
  syncMovedMs: number | null = null;
  #syncedBytes = -1;
  /** Why the peer's reports are not taken, while they are not. */
  refused: Reason | null = null;
  readonly log: ServiceLog;
  readonly onFatal: (error: UpdateError) => void;

  constructor(parts: ListenerParts) {
    this.#parts = parts;
    this.#narrator = new Narrator(parts.events);
    this.log = parts.log;
    this.onFatal = parts.onFatal;
  }

  /** Why the peer is not heard, as far as the link or its reports tell. */
  linkTroubles(): readonly Reason[] {
    const errors = this.#parts.link.channels().flatMap(({ up, error }) => {
      return up || error === null ? [] : [{ code: error.code, message: error.message }];
    });
    return this.refused === null ? errors : [...errors, this.refused];
  }

  /** Lets what the drivers see enter the runner, and what the node tells reach its peer. */
  connect(
    runner: Runner,
    requests: DriverRequests,
    store: Store,
    storage: StorageSoftware,
    burnInH: number,
  ): void {
    this.#requests = requests;
    store.onStatus((status) => void runner.dispatch({ type: 'store', status }));
    storage.onExit((reason) => {
      this.log(`the storage software ended: ${reason}`);
      void runner.dispatch({ type: 'storage-ended', reason });
    });
    const { node } = runner.state.record;
    this.#parts.events.onEvent((event) => {
      if (event.node === node) this.#share(event);
    });
    this.#burnIn = (state) => {
      if (burnInOver(state, burnInH)) void runner.dispatch({ type: 'finalize' });
    };
  }

  /** Tells the peer of an own event; those of the peer come from there. */
  #share(event: TandemEvent): void {
    this.#parts.link.send({ type: 'event', id: String(event.seq), event });
  }

  readonly onStep = (before: NodeState, after: NodeState): void => {
    this.#parts.host.feedWatchdog();
    const { peer, peerHeardMs } = after.world;
    if (peer !== null) {
      this.lastHeard = { report: peer, atMs: peerHeardMs };
      this.refused = null;
      // Its report shows that it listens; what was said while it did not is said again.
      const isNew = peer.run !== before.world.peer?.run;
      if (isNew) this.#greet(peer);
    }
    this.reformingSinceMs = isFormed(reformItems(after))
      ? null
      : (this.reformingSinceMs ?? after.world.clock.ms);
    this.#watchSync(after);
    this.#narrator.onStep(before, after);
    const { rollout } = after;
    const ended = rollout !== null && END_PHASES.has(rollout.phase);
    if (ended && rollout !== before.rollout) {
      this.#parts.history.add(rollout);
      this.#parts.tally?.ended(rollout);
    }
    this.#burnIn?.(after);
    this.#parts.onState?.(after);
  };

  /** A start of the peer's daemon that is heard for the first time. */
  #greet(peer: NodeReport): void {
    const spoken = `protocol ${agreedProtocol(PROTOCOL, peer.protocol)} is spoken`;
    this.log(`node ${peer.node} runs Tandem ${peer.program}, pair ${spoken}`, 'info');
    for (const event of this.#parts.events.own(EVENTS_AGAIN)) this.#share(event);
  }

  #watchSync({ world }: NodeState): void {
    const sync = world.store.sync ?? world.peer?.store.sync ?? null;
    const bytes = sync?.doneBytes ?? -1;
    const moved = bytes !== this.#syncedBytes || this.syncMovedMs === null;
    this.#syncedBytes = bytes;
    if (sync === null) this.syncMovedMs = null;
    else if (moved) this.syncMovedMs = world.clock.ms;
  }

  readonly onRefused = (report: ReportHead): void => {
    const { node, program, pair, protocol } = report;
    const spoken = `speaks the pair protocols ${protocol[0]} to ${protocol[1]}`;
    const own = `this node ${PROTOCOL[0]} to ${PROTOCOL[1]}`;
    const message = `node ${node} runs Tandem ${program} of pair ${pair} and ${spoken}, ${own}`;
    if (this.refused?.message !== message) this.log(message);
    const common = agreedProtocol(PROTOCOL, protocol) !== null;
    this.refused = { code: common ? 'pair.wrong_peer' : 'pair.protocol', message };
  };

  readonly onMessage = (message: PairMessage): void => {
    if (message.type === 'event') this.#parts.events.adopt(message.event);
    else this.#requests?.onMessage(message);
  };
}

/** A new version that ran for the burn-in is made permanent; 0 hours = only by `tandem commit`. */
function burnInOver(s: NodeState, burnInH: number): boolean {
  const { rollout, world } = s;
  const open = rollout?.phase === 'DONE' && rollout.kind === 'update' && !rollout.finalized;
  if (burnInH === 0 || !open || !serves(s)) return false;
  return world.clock.ms - world.phaseSinceMs >= burnInH * HOUR_MS;
}
