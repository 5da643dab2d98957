/**
 * The port PeerLink in memory: both ends of one wire in one process, for the simulator and the
 * tests. The test decides when the wire is cut, what it loses, doubles and delays; with a seed the
 * same run comes out the same. Always holds: messages cross as JSON text, never as shared objects;
 * without noise they arrive once and in order, like on a real connection; nothing that was under
 * way when the wire was cut arrives. Imports core, ports, and the frames for their size limit.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import { peerOf } from '../../src/core/model.ts';
import { encodeFrame } from '../../src/drivers/frames.ts';
import type { LinkChannel, PeerLink } from '../../src/ports.ts';

/** What the wire does to messages; rates from 0 to 1, delays in milliseconds of the scheduler. */
export interface Noise {
  readonly dropRate: number;
  readonly duplicateRate: number;
  /** Each message takes a time between the two; different times change the order. */
  readonly delayMs: readonly [min: number, max: number];
}

export const QUIET: Noise = { dropRate: 0, duplicateRate: 0, delayMs: [0, 0] };

export interface WireOptions {
  /** Seed of drops, doubles and delays. */
  readonly seed?: number;
  /** Runs `action` after `delayMs`, actions of one time in order; default: real timers. */
  readonly schedule?: (delayMs: number, action: () => void) => void;
  /** Monotonic milliseconds of the scheduler; default: real ones. */
  readonly now?: () => number;
  /** How long an end takes to notice that the other one is gone, and to be up again. */
  readonly noticeMs?: number;
}

/** A number generator from 0 to below 1 with 32 bits of state (splitmix32). */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** The wire between node A and node B, with the controls of the test. */
export class MemoryWire {
  readonly #options: Required<WireOptions>;
  readonly #random: () => number;
  readonly #ends = new Map<NodeId, MemoryEnd>();
  #noise = QUIET;
  #cut = false;
  /** Grows whenever the connection breaks; what belongs to an older one never arrives. */
  #connection = 0;
  /** Whether messages get through; an end may not have noticed yet that they do not. */
  #live = false;

  constructor(options: WireOptions = {}) {
    this.#options = {
      seed: 1,
      schedule: (delayMs, action) => void setTimeout(action, delayMs),
      now: () => performance.now(),
      noticeMs: 0,
      ...options,
    };
    this.#random = seeded(this.#options.seed);
  }

  /** A new end for a node that starts; an earlier one of the same node is gone without a word. */
  open(node: NodeId): PeerLink {
    this.crash(node);
    const end = new MemoryEnd({
      now: this.#options.now,
      send: (text) => this.#carry(node, text),
      close: () => {
        if (this.#ends.get(node) === end) this.crash(node);
      },
    });
    this.#ends.set(node, end);
    this.#settle();
    return end;
  }

  /** The node loses its power: its end is gone, the other one notices. */
  crash(node: NodeId): void {
    const end = this.#ends.get(node);
    if (!end) return;
    this.#ends.delete(node);
    end.abandon();
    this.#settle();
  }

  /** Nothing gets through until `heal`; both ends notice. */
  cut(): void {
    this.#cut = true;
    this.#settle();
  }

  heal(): void {
    this.#cut = false;
    this.#settle();
  }

  /** From now on. */
  setNoise(noise: Partial<Noise>): void {
    this.#noise = { ...QUIET, ...noise };
  }

  /** After every change: the old connection is dead, a new one comes up if it can. */
  #settle(): void {
    this.#connection += 1;
    this.#live = false;
    const connection = this.#connection;
    this.#options.schedule(this.#options.noticeMs, () => {
      if (connection !== this.#connection) return;
      // An end that was up belongs to the connection that just broke, so it goes down first.
      for (const end of this.#ends.values()) end.setUp(false);
      if (this.#cut || this.#ends.size < 2) return;
      this.#live = true;
      for (const end of this.#ends.values()) end.setUp(true);
    });
  }

  #carry(from: NodeId, text: string): void {
    const { dropRate, duplicateRate, delayMs } = this.#noise;
    const [min, max] = delayMs;
    const connection = this.#connection;
    const dropped = this.#random() < dropRate;
    const copies = this.#random() < duplicateRate ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      const takesMs = min + Math.round(this.#random() * (max - min));
      if (dropped || !this.#live) continue;
      this.#options.schedule(takesMs, () => {
        if (connection === this.#connection) this.#ends.get(peerOf(from))?.receive(text);
      });
    }
  }
}

interface EndOptions {
  readonly now: () => number;
  readonly send: (text: string) => void;
  readonly close: () => void;
}

class MemoryEnd implements PeerLink {
  readonly #options: EndOptions;
  readonly #messageListeners: ((message: unknown) => void)[] = [];
  readonly #changeListeners: (() => void)[] = [];
  #up = false;
  #gone = false;
  #heardAtMs: number | null = null;

  constructor(options: EndOptions) {
    this.#options = options;
  }

  send(message: object): void {
    const text = encodeFrame(message).toString('utf8', 4);
    if (this.#up) this.#options.send(text);
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#messageListeners.push(listener);
  }

  onChange(listener: () => void): void {
    this.#changeListeners.push(listener);
  }

  channels(): readonly LinkChannel[] {
    const heardAtMs = this.#heardAtMs;
    const error = new UpdateError('pair.peer_unreachable', 'the wire is cut or the peer is off');
    return [
      {
        name: 'network',
        up: this.#up,
        ageMs: heardAtMs === null ? null : Math.round(this.#options.now() - heardAtMs),
        error: this.#up ? null : error.report(),
      },
    ];
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#gone) this.#options.close();
    return Promise.resolve();
  }

  setUp(up: boolean): void {
    if (up) this.#heardAtMs = this.#options.now();
    if (this.#up === up) return;
    this.#up = up;
    for (const listener of this.#changeListeners) listener();
  }

  receive(text: string): void {
    if (!this.#up) return;
    this.#heardAtMs = this.#options.now();
    for (const listener of this.#messageListeners) listener(JSON.parse(text));
  }

  /** Its node is gone: nobody is told anything any more. */
  abandon(): void {
    this.#gone = true;
    this.#up = false;
  }
}
