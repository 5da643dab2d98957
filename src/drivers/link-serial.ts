/**
 * The serial channel between the two nodes: a heartbeat all the time, and the messages of the link
 * in their small form when they are given to it. Always holds: only what the peer's key vouches
 * for, in this run and in order, is heard; the channel is up only while each side hears the other
 * within six beats, so a line that works in one direction alone is down on both; of a kind of
 * message the newest one is sent. Only monotonic time and counted ticks decide. Imports core, ports
 * and its own parts.
 */
import { UpdateError } from '../core/errors.ts';
import type { LinkChannel, PeerLink } from '../ports.ts';
import { messageText } from './frames.ts';
import type { PairKeys } from './keys.ts';
import { encodeLineFrame, lineBytes, LineParser } from './serial-frames.ts';
import { SerialIdentity } from './serial-keys.ts';
import { Assembler } from './serial-messages.ts';
import { LANES, Outbox } from './serial-outbox.ts';
import { BEAT_BYTES, SerialSession, type SessionData } from './serial-session.ts';
import { lineMs, SERIAL_CLOCK, SerialWire, type SerialClock } from './serial-wire.ts';
import type { WireOptions } from './serial-wire.ts';

/** Intervals of the channel; a tick is one beat. */
export interface SerialTimers extends Pick<WireOptions, 'retryMs' | 'retryMaxMs' | 'stallTicks'> {
  /** Time between two beats; default: `beatMsOf` the speed. */
  readonly beatMs: number;
  /** After so many beats without a frame the peer counts as gone. */
  readonly silentTicks: number;
}

/** The line, its speed and whose key counts. */
export interface SerialLinkOptions extends Pick<WireOptions, 'path' | 'open'> {
  readonly keys: PairKeys;
  /** Bits per second; both ends must have the same. */
  readonly baud: number;
  readonly clock?: SerialClock;
  readonly timers?: Partial<SerialTimers>;
}

/** What the channel has counted since it was opened. */
export interface SerialCounters {
  /** Times that the line was opened. */
  readonly opened: number;
  /** Sessions with the peer that began. */
  readonly sessions: number;
  /** Bytes that were no frame. */
  readonly noiseBytes: number;
  /** Frames that were well formed but repeated, forged or of no session that exists. */
  readonly refused: number;
  /** Introductions with a key that is not pinned. */
  readonly wrongPeer: number;
  readonly sentBytes: number;
}

/** The port PeerLink over one serial line, with what tests and status ask besides. */
export interface SerialLink extends PeerLink {
  counters(): SerialCounters;
  /** Messages that wait or are on their way. */
  waiting(): number;
}

/** Flags of a data frame: the sender hears the receiver; the payload belongs to the second lane. */
const HEARS = 1;
const SECOND_LANE = 2;
const BEAT_MIN_MS = 200;
const SILENT_TICKS = 6;
/** Part of the line that beats alone may take. */
const BEAT_SHARE = 0.1;
/** Beats between two introductions while the peer is not heard. */
const INTRODUCTION_TICKS = 5;
const EMPTY = Buffer.alloc(0);

/** Milliseconds between two beats: a tenth of the line at most, and 200 ms at least. */
export const beatMsOf = (baud: number): number =>
  Math.max(BEAT_MIN_MS, Math.ceil(lineMs(lineBytes(BEAT_BYTES), baud) / BEAT_SHARE));

/** Beats without a frame after which the peer counts as gone: six at least, on a slow line. */
export const silentTicksFor = (silentMs: number, baud: number): number =>
  Math.max(SILENT_TICKS, Math.round(silentMs / beatMsOf(baud)));

/**
 * Opens the channel and returns at once; a line that cannot be opened is never thrown but shown in
 * `channels()` and tried again. Throws `pair.keys_damaged` when the node's key is none for it.
 */
export function openSerialLink(options: SerialLinkOptions): SerialLink {
  const link = new LineLink(options);
  link.start();
  return link;
}

class LineLink implements SerialLink {
  readonly #options: SerialLinkOptions;
  readonly #clock: SerialClock;
  readonly #timers: SerialTimers;
  readonly #wire: SerialWire;
  readonly #session: SerialSession;
  readonly #outbox: Outbox;
  readonly #messageListeners: ((message: unknown) => void)[] = [];
  readonly #changeListeners: (() => void)[] = [];
  readonly #counters = { sessions: 0, refused: 0, wrongPeer: 0 };
  readonly #assemblers = Array.from({ length: LANES }, () => new Assembler());
  readonly #parser = new LineParser();
  #cancelTick: (() => void) | null = null;
  #ticks = 0;
  /** Ticks since the last frame of the peer. */
  #quietTicks = Infinity;
  #heardAtMs: number | null = null;
  #peerHears = false;
  #up = false;
  #beatDue = false;
  #introductionDue = false;
  #answeredInTick = false;
  /** Noise before the peer was last heard, and whose key was shown since then. */
  #noiseThen = 0;
  #stranger: 'own' | 'other' | null = null;
  /** The peer introduced itself since it was last heard. */
  #introduced = false;
  #closed = false;

  constructor(options: SerialLinkOptions) {
    const { path, baud, open, keys, clock = SERIAL_CLOCK } = options;
    this.#options = options;
    this.#clock = clock;
    this.#timers = {
      beatMs: beatMsOf(baud),
      silentTicks: SILENT_TICKS,
      stallTicks: 25,
      retryMs: 100,
      retryMaxMs: 2000,
      ...options.timers,
    };
    this.#session = new SerialSession(new SerialIdentity(keys));
    this.#outbox = new Outbox((fragments) =>
      fragments.reduce((sum, one) => sum + lineMs(lineBytes(BEAT_BYTES + one.length), baud), 0),
    );
    this.#wire = new SerialWire(
      { path, baud, open, clock, ...this.#timers },
      {
        onOpen: () => {
          this.#introductionDue = true;
          this.#pump();
        },
        onData: (chunk) => this.#receive(chunk),
        onLost: () => {
          // Both runs go on, so the session does: the next beat that comes through is enough.
          this.#quietTicks = Math.max(this.#quietTicks, this.#timers.silentTicks + 1);
          this.#settle();
        },
        onFree: () => this.#pump(),
      },
    );
  }

  start(): void {
    this.#wire.start();
    this.#plan();
  }

  send(message: object): void {
    const text = messageText(message);
    const { type, id } = message as { readonly type?: unknown; readonly id?: unknown };
    // Events are for people and come again over the network: the line has no room for them.
    if (!this.#up || type === 'event') return;
    this.#outbox.offer(JSON.stringify([type, id]), text, type === 'report', this.#clock.nowMs());
    this.#pump();
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#messageListeners.push(listener);
  }

  onChange(listener: () => void): void {
    this.#changeListeners.push(listener);
  }

  channels(): readonly LinkChannel[] {
    const heardAtMs = this.#heardAtMs;
    const ageMs = heardAtMs === null ? null : Math.round(this.#clock.nowMs() - heardAtMs);
    return [{ name: 'serial', up: this.#up, ageMs, error: this.#up ? null : this.#why().report() }];
  }

  counters(): SerialCounters {
    const { opened, sentBytes } = this.#wire;
    return { ...this.#counters, opened, sentBytes, noiseBytes: this.#parser.noiseBytes };
  }

  waiting(): number {
    return this.#outbox.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#up = false;
    this.#cancelTick?.();
    await this.#wire[Symbol.asyncDispose]();
  }

  #plan(): void {
    this.#cancelTick = this.#clock.schedule(this.#timers.beatMs, () => {
      this.#plan();
      this.#tick();
    });
  }

  #tick(): void {
    this.#ticks += 1;
    this.#quietTicks += 1;
    this.#beatDue = true;
    this.#answeredInTick = false;
    if (this.#ticks % INTRODUCTION_TICKS === 0) this.#introductionDue = true;
    this.#wire.tick();
    this.#settle();
    this.#pump();
  }

  get #hears(): boolean {
    return this.#session.open && this.#quietTicks <= this.#timers.silentTicks;
  }

  /** A peer that starts again says so; without its word the session outlives a silence. */
  get #needsSession(): boolean {
    return !this.#session.open || this.#quietTicks > 2 * this.#timers.silentTicks;
  }

  /** Up or down after what just happened, and the word of it to who listens. */
  #settle(): void {
    if (!this.#hears) this.#peerHears = false;
    if (this.#peerHears === this.#up || this.#closed) return;
    this.#up = this.#peerHears;
    if (!this.#up) {
      this.#outbox.clear();
      for (const one of this.#assemblers) one.clear();
    }
    for (const listener of this.#changeListeners) listener();
  }

  #pump(): void {
    if (this.#closed || !this.#wire.free) return;
    const content = this.#nextFrame();
    if (content === null) return;
    this.#wire.write(encodeLineFrame(content));
  }

  #nextFrame(): Buffer | null {
    const session = this.#session;
    const introduces = this.#introductionDue && this.#needsSession;
    this.#introductionDue = false;
    if (introduces || (session.owesAnswer && !this.#answeredInTick)) {
      this.#answeredInTick = true;
      return session.introduction();
    }
    if (!session.open) return null;
    const hears = this.#hears ? HEARS : 0;
    const outgoing = this.#up ? this.#outbox.next(this.#clock.nowMs()) : null;
    if (outgoing === null && !this.#beatDue) return null;
    this.#beatDue = false;
    if (outgoing === null) return session.data(hears, EMPTY);
    return session.data(hears | (outgoing.lane === 0 ? 0 : SECOND_LANE), outgoing.fragment);
  }

  #receive(chunk: Buffer): void {
    for (const content of this.#parser.push(chunk)) {
      if (this.#closed || !this.#wire.open) return;
      this.#take(content);
    }
    this.#pump();
  }

  #take(content: Buffer): void {
    const received = this.#session.receive(content);
    if (received.kind === 'refused') this.#counters.refused += 1;
    if (received.kind === 'wrong-peer') {
      this.#counters.wrongPeer += 1;
      this.#stranger = received.own ? 'own' : 'other';
    }
    if (received.kind === 'introduced') this.#introduced = true;
    if (received.kind !== 'peer') return;
    if (received.fresh) {
      // The peer's run is another one: what was told to it, and what it said, is over.
      this.#counters.sessions += 1;
      this.#quietTicks = Infinity;
      this.#settle();
      this.#beatDue = true;
    }
    this.#quietTicks = 0;
    this.#heardAtMs = this.#clock.nowMs();
    this.#stranger = null;
    this.#introduced = false;
    this.#noiseThen = this.#parser.noiseBytes;
    this.#wire.worked();
    if (received.data !== null) this.#heard(received.data);
  }

  #heard({ flags, payload }: SessionData): void {
    this.#peerHears = (flags & HEARS) !== 0;
    this.#settle();
    const lane = (flags & SECOND_LANE) === 0 ? 0 : 1;
    const message = payload.length === 0 ? null : this.#assemblers[lane]!.push(payload);
    if (message === null || this.#closed) return;
    for (const listener of this.#messageListeners) listener(message);
  }

  /** Why the channel is down, in the order in which a technician would look. */
  #why(): UpdateError {
    const { path, baud } = this.#options;
    if (this.#closed) return unreachable('this node closed the link');
    if (!this.#wire.open) return this.#wire.error;
    if (this.#stranger !== null) {
      const found =
        this.#stranger === 'own'
          ? 'the line leads back to this node, which hears itself'
          : 'the other end shows a key that is not that of the peer';
      return new UpdateError('pair.wrong_peer', `${path}: ${found}`);
    }
    if (this.#hears || this.#introduced) {
      return unreachable(`${path}: the peer is heard but does not hear this node`);
    }
    if (this.#parser.noiseBytes > this.#noiseThen) {
      return unreachable(`${path}: only noise arrives; this node uses ${baud} baud`);
    }
    if (this.#heardAtMs === null) return unreachable(`${path}: nothing of the peer has arrived`);
    const silentMs = this.#timers.silentTicks * this.#timers.beatMs;
    return unreachable(`${path}: the peer was silent for ${silentMs} ms`);
  }
}

const unreachable = (message: string): UpdateError =>
  new UpdateError('pair.peer_unreachable', message);
