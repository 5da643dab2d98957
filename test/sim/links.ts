/**
 * The link between the simulated nodes as the real drivers let it be seen
 * (src/drivers/link-channels.ts, link-connection.ts, link-serial.ts). Network channel: one
 * connection; what is sent on it arrives in order and at most once, late when the line was cut for
 * a moment; each end notices silence by itself, later than the cut; what was under way when an end
 * went down never arrives there; while a peer does not read, a newer message takes the place of a
 * waiting one of its kind. Serial channel: slow, at most one report a second, two lanes that
 * overtake each other, messages that noise destroys, up only while both directions are. A message
 * goes over the network while that end is up, else over the serial line; what either brings is
 * heard, so the same news may come twice and older news after newer. Only tests import it.
 */
import type { NodeId } from '../../src/core/model.ts';
import { NODES, peerOf } from '../../src/core/model.ts';
import type { PairMessage } from '../../src/core/report.ts';
import type { Agenda, Pace } from './agenda.ts';

/** What the link asks of and tells its nodes. */
export interface LinkUser {
  /** The daemon runs. */
  readonly alive: (node: NodeId) => boolean;
  /** The daemon runs and is not held up. */
  readonly speaks: (node: NodeId) => boolean;
  readonly onLink: (node: NodeId) => void;
  readonly onMessage: (node: NodeId, message: PairMessage) => void;
}

/** Messages that wait on a blocked connection before newer ones take their place. */
const BUFFER = 6;
/** Pause between two tries where nothing is left to chance. */
const DIAL_MS = 10;
/** How long a message takes where nothing is left to chance: it is there with the next tick. */
const WAY_MS = 90;
/** Silence after which an end gives its connection up. */
const SILENT_MS = [1200, 1450] as const;

interface Sent {
  readonly message: PairMessage;
  atMs: number;
}

const both = <T>(make: () => T): Record<NodeId, T> => ({ A: make(), B: make() });

/** One connection over the network, anew each time it broke. */
class Network {
  readonly ends = both(() => false);
  /** Whether what this node sends arrives at the other one. */
  readonly path = both(() => true);
  readonly #flight = both<Sent[]>(() => []);
  #connection = 0;
  /** The connection that this end has given up last. */
  readonly #closed = both(() => 0);
  /** Grows with each cut of the way to a node, so that an older silence ends nothing. */
  readonly #cuts = both(() => 0);
  #dialling = false;
  readonly #agenda: Agenda;
  readonly #pace: Pace;
  readonly #user: LinkUser;

  constructor(agenda: Agenda, pace: Pace, user: LinkUser) {
    this.#agenda = agenda;
    this.#pace = pace;
    this.#user = user;
  }

  get whole(): boolean {
    return this.path.A && this.path.B;
  }

  /** The way from this node is cut, or whole again. */
  setPath(from: NodeId, whole: boolean): void {
    if (this.path[from] === whole) return;
    this.path[from] = whole;
    const to = peerOf(from);
    if (whole) {
      this.#pump(from, this.#pace.ms(0, 1, 400));
      this.dial();
    } else this.listen(to);
  }

  /** From now on this end hears nothing: in a while it gives up, if that stays so. */
  listen(end: NodeId): void {
    const cut = ++this.#cuts[end];
    const from = peerOf(end);
    const connection = this.#connection;
    this.#agenda.after(this.#pace.ms(100, ...SILENT_MS), () => {
      const closed = this.#closed[from] === connection;
      const silent = closed || !this.path[from] || !this.#user.speaks(from);
      if (silent && cut === this.#cuts[end] && connection === this.#connection) this.#fail(end);
    });
  }

  /** This end gives up; the other one hears of it if the way there is whole. */
  #fail(end: NodeId): void {
    if (!this.ends[end]) return;
    this.#down(end);
    const other = peerOf(end);
    const connection = this.#connection;
    if (this.ends[other]) this.listen(other);
    if (this.path[end]) {
      this.#agenda.after(this.#pace.ms(0, 1, 300), () => {
        if (connection === this.#connection && this.path[end]) this.#down(other);
      });
    }
    this.dial();
  }

  #down(end: NodeId): void {
    this.#closed[end] = this.#connection;
    if (!this.ends[end]) return;
    this.ends[end] = false;
    this.#flight[peerOf(end)].length = 0;
    if (this.#user.alive(end)) this.#user.onLink(end);
    this.dial();
  }

  #up(end: NodeId): void {
    if (this.ends[end]) return;
    if (NODES.some((node) => this.#closed[node] === this.#connection)) return this.dial();
    this.ends[end] = true;
    this.#user.onLink(end);
  }

  /** A fresh daemon knows of no connection: what is left of one ends with its first word. */
  started(node: NodeId): void {
    const other = peerOf(node);
    const connection = this.#connection;
    if (this.ends[other]) {
      this.#agenda.after(this.#pace.ms(0, 1, 300), () => {
        if (connection === this.#connection && this.whole) this.#down(other);
      });
    }
    this.dial();
  }

  /** The daemon of this node is gone; `told`: its sockets were closed, the other end hears it. */
  gone(node: NodeId, told: boolean): void {
    this.ends[node] = false;
    this.#closed[node] = this.#connection;
    this.#flight.A.length = 0;
    this.#flight.B.length = 0;
    const other = peerOf(node);
    if (!this.ends[other]) return;
    const connection = this.#connection;
    if (!told || !this.path[node]) this.listen(other);
    else {
      this.#agenda.after(this.#pace.ms(0, 1, 100), () => {
        if (connection === this.#connection) this.#down(other);
      });
    }
  }

  /** Node A dials as long as its end is down; the new connection ends the older one. */
  dial(): void {
    if (this.#dialling || this.ends.A) return;
    this.#dialling = true;
    this.#agenda.after(this.#pace.ms(DIAL_MS, 100, 1200), () => {
      this.#dialling = false;
      if (this.ends.A || !this.#user.alive('A')) return;
      if (!this.whole || !NODES.every(this.#user.speaks)) return this.dial();
      this.#down('B');
      this.#connect();
    });
  }

  #connect(): void {
    const connection = ++this.#connection;
    this.#flight.A.length = 0;
    this.#flight.B.length = 0;
    for (const end of NODES) {
      this.#agenda.after(this.#pace.ms(0, 1, 250), () => {
        if (connection !== this.#connection || !this.#user.alive(end)) return;
        if (!this.path[peerOf(end)]) return this.#giveUp();
        this.#up(end);
      });
    }
  }

  /** The line was cut while the connection came up. */
  #giveUp(): void {
    this.#connection++;
    for (const end of NODES) this.#down(end);
    this.dial();
  }

  send(from: NodeId, message: PairMessage): void {
    const flight = this.#flight[from];
    const { nowMs } = this.#agenda;
    const waiting = flight.length > BUFFER ? flight.findLastIndex(isLike(message)) : -1;
    if (waiting >= BUFFER) flight.splice(waiting, 1);
    const last = flight.at(-1)?.atMs ?? 0;
    const atMs = Math.max(
      last,
      nowMs + this.#pace.ms(WAY_MS, 1, this.#pace.odds(0.02) ? 1500 : 60),
    );
    flight.push({ message, atMs });
    this.#pump(from, atMs);
  }

  /** What is due of this node's messages arrives, one by one, while the way is whole. */
  #pump(from: NodeId, atMs: number): void {
    const flight = this.#flight[from];
    const connection = this.#connection;
    if (flight.length === 0) return;
    this.#agenda.at(atMs, () => {
      const to = peerOf(from);
      while (connection === this.#connection && this.path[from]) {
        const first = flight[0];
        if (first === undefined || first.atMs > this.#agenda.nowMs) return;
        flight.shift();
        if (!this.#user.alive(to)) continue;
        // The first frame is what brings an end up.
        this.#up(to);
        if (this.ends[to]) this.#user.onMessage(to, first.message);
      }
    });
  }
}

const isLike = (message: PairMessage) => (one: Sent) => one.message.type === message.type;

/** What waits on a serial line, by kind. */
const noLanes = (): Partial<Record<PairMessage['type'], Sent | null>> => ({});

/** The serial line: slow, noisy, and either up on both ends or soon on none. */
class Serial {
  readonly ends = both(() => false);
  readonly #lanes = both(noLanes);
  readonly #reportAtMs = both(() => 0);
  #whole = true;
  #session = 0;
  noise = 0;
  readonly #agenda: Agenda;
  readonly #pace: Pace;
  readonly #user: LinkUser;

  constructor(agenda: Agenda, pace: Pace, user: LinkUser) {
    this.#agenda = agenda;
    this.#pace = pace;
    this.#user = user;
  }

  set whole(whole: boolean) {
    if (this.#whole === whole) return;
    this.#whole = whole;
    if (whole) this.meet();
    else this.#silence();
  }

  get whole(): boolean {
    return this.#whole;
  }

  gone(node: NodeId): void {
    this.ends[node] = false;
    this.#silence();
  }

  #silence(): void {
    const session = ++this.#session;
    for (const end of NODES) {
      this.#agenda.after(this.#pace.ms(100, ...SILENT_MS), () => {
        if (session === this.#session) this.#set(end, false);
      });
    }
    this.#agenda.after(this.#pace.ms(200, 1500, 2500), () => {
      if (session === this.#session) this.meet();
    });
  }

  /** Both introduce themselves; a new session ends the older one. */
  meet(): void {
    if (!this.#whole || !NODES.every(this.#user.speaks)) return;
    if (this.ends.A && this.ends.B) return;
    const session = ++this.#session;
    for (const end of NODES) {
      this.#set(end, false);
      this.#agenda.after(this.#pace.ms(1, 200, 1200), () => {
        if (session === this.#session && this.#whole) this.#set(end, true);
      });
    }
  }

  #set(end: NodeId, up: boolean): void {
    if (this.ends[end] === up) return;
    this.ends[end] = up;
    this.#lanes[end] = noLanes();
    if (this.#user.alive(end)) this.#user.onLink(end);
  }

  /** The newest message of a kind waits for its turn. */
  send(from: NodeId, message: PairMessage): void {
    const lane = this.#lanes[from];
    const kind = message.type;
    const waits = lane[kind] != null;
    const { nowMs } = this.#agenda;
    lane[kind] = { message, atMs: nowMs };
    if (waits) return;
    const takesMs = this.#pace.ms(1, 250, 1000);
    const report = kind === 'report';
    const startMs = report && this.#pace.chance ? Math.max(nowMs, this.#reportAtMs[from]) : nowMs;
    if (report) this.#reportAtMs[from] = startMs + 1000;
    const session = this.#session;
    this.#agenda.after(startMs - nowMs, () => {
      if (session !== this.#session) return;
      const sent = lane[kind];
      lane[kind] = null;
      if (sent == null || this.#pace.odds(this.noise)) return;
      this.#agenda.after(takesMs, () => {
        const to = peerOf(from);
        const good = session === this.#session && this.#whole && this.ends[to];
        if (good && this.#user.alive(to)) this.#user.onMessage(to, sent.message);
      });
    });
  }
}

/** Both channels as one link. */
export class Links {
  readonly network: Network;
  /** Null: the pair has no serial line. */
  readonly serial: Serial | null;

  constructor(agenda: Agenda, pace: Pace, user: LinkUser, withSerial: boolean) {
    this.network = new Network(agenda, pace, user);
    this.serial = withSerial ? new Serial(agenda, pace, user) : null;
  }

  /** This node has a channel that is up, as it sees it. */
  up(node: NodeId): boolean {
    return this.network.ends[node] || this.serial?.ends[node] === true;
  }

  send(from: NodeId, message: PairMessage): void {
    if (this.network.ends[from]) this.network.send(from, message);
    else if (this.serial?.ends[from] === true) this.serial.send(from, message);
  }

  /** A daemon has started: node A dials, both introduce themselves on the serial line. */
  started(node: NodeId): void {
    this.network.started(node);
    this.serial?.meet();
  }

  /** The daemon of this node is held up: its peer hears nothing. */
  held(node: NodeId): void {
    this.network.listen(peerOf(node));
    this.serial?.gone(node);
  }

  /** For a run that failed. */
  describe(): string {
    const { network, serial } = this;
    const { path, ends } = network;
    const line = serial === null ? '' : ` serial ${JSON.stringify([serial.whole, serial.ends])}`;
    return `network ${JSON.stringify([path, ends])}${line}`;
  }

  gone(node: NodeId, told: boolean): void {
    this.network.gone(node, told);
    this.serial?.gone(node);
  }
}
