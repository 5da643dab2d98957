/**
 * Who speaks on a serial line, and that what arrives is new: the session between two runs of the
 * daemon. Each side draws a fresh number for each session; frames carry a code under keys made of
 * both numbers and a counter that only grows. Always holds: a session begins only with a frame that
 * proves the pinned key over a number of this run that was used for no session before, so that
 * nothing recorded earlier, in this run or another, is ever taken; until then the session that
 * exists goes on. A run that the peer does not know introduces itself, and the peer answers. Knows
 * no time and no line: frames in, frames out. Imports the keys of the line.
 *
 * Content of a frame, numbers big-endian:
 *   introduction: 1, version, wants an answer (0 or 1), own key (33), own number (16), the peer's
 *                 number (16, zeros while unknown), code (16, zeros likewise)
 *   data:         2, flags, counter (6), payload, code (16)
 */
import { randomBytes } from 'node:crypto';
import { LINE_FRAME_BYTES_MAX } from './serial-frames.ts';
import {
  MAC_BYTES,
  NONCE_BYTES,
  POINT_BYTES,
  type Introduction,
  type SerialIdentity,
  type SessionKeys,
} from './serial-keys.ts';

/** Highest version of the line's protocol that this program speaks; both use the lower one. */
export const SERIAL_VERSION = 1;
const INTRODUCTION = 1;
const DATA = 2;
const COUNTER_BYTES = 6;
const DATA_HEAD_BYTES = 2 + COUNTER_BYTES;
const INTRODUCTION_BYTES = 3 + POINT_BYTES + 2 * NONCE_BYTES + MAC_BYTES;
const NO_NONCE = Buffer.alloc(NONCE_BYTES);

/** Bytes of a data frame without payload: the beat. */
export const BEAT_BYTES = DATA_HEAD_BYTES + MAC_BYTES;
/** Longest payload of a data frame. */
export const PAYLOAD_BYTES_MAX = LINE_FRAME_BYTES_MAX - BEAT_BYTES;

/** What a data frame brought. */
export interface SessionData {
  readonly flags: number;
  readonly payload: Buffer;
}

/** What came of a frame. */
export type Received =
  /** Of the peer, now; `answer` goes back, `fresh` = a session began with it. */
  | { readonly kind: 'peer'; readonly fresh: boolean; readonly data: SessionData | null }
  /** Well formed, and of no one that counts: repeated, forged, or of a session that is over. */
  | { readonly kind: 'refused' }
  /** An introduction with the peer's key, which proves nothing yet. */
  | { readonly kind: 'introduced' }
  /** An introduction with a key that is not pinned; `own` = this node hears itself. */
  | { readonly kind: 'wrong-peer'; readonly own: boolean };

interface Session {
  readonly own: Introduction;
  readonly peer: Introduction;
  readonly keys: SessionKeys;
  sent: number;
  heard: number;
}

/** The sessions of one run on one line, one after the other. */
export class SerialSession {
  readonly #identity: SerialIdentity;
  /** For the session that comes next; drawn anew when it has begun. */
  #own = introduce();
  /** The peer's introduction that was heard last: a session with it may begin. */
  #candidate: Session | null = null;
  #session: Session | null = null;
  /** The answer that is owed to an introduction. */
  #answer: Session | null = null;

  constructor(identity: SerialIdentity) {
    this.#identity = identity;
  }

  /** Whether data can be sent. */
  get open(): boolean {
    return this.#session !== null;
  }

  /** Whether an introduction waits for the answer that `introduction` makes. */
  get owesAnswer(): boolean {
    return this.#answer !== null;
  }

  /** The frame that introduces this run, or that answers the peer's; the answer is sent once. */
  introduction(): Buffer {
    const to = this.#answer ?? this.#candidate;
    const begun = to !== null && to === this.#session;
    const own = begun ? to.own : this.#own;
    this.#answer = null;
    const head = Buffer.concat([
      Buffer.from([INTRODUCTION, own.version, begun ? 0 : 1]),
      this.#identity.point,
      own.nonce,
      to?.peer.nonce ?? NO_NONCE,
    ]);
    return Buffer.concat([head, to?.keys.sign(head) ?? Buffer.alloc(MAC_BYTES)]);
  }

  /** The next data frame. Throws `RangeError` without a session or with too long a payload. */
  data(flags: number, payload: Buffer): Buffer {
    const session = this.#session;
    if (session === null || payload.length > PAYLOAD_BYTES_MAX) {
      throw new RangeError(`no frame for a payload of ${payload.length} bytes`);
    }
    session.sent += 1;
    const head = Buffer.alloc(DATA_HEAD_BYTES);
    head.set([DATA, flags]);
    head.writeUIntBE(session.sent, 2, COUNTER_BYTES);
    const frame = Buffer.concat([head, payload]);
    return Buffer.concat([frame, session.keys.sign(frame)]);
  }

  /** Takes the content of a frame that arrived whole. */
  receive(content: Buffer): Received {
    const [type] = content;
    if (type === INTRODUCTION && content.length === INTRODUCTION_BYTES) {
      return this.#introduced(content);
    }
    if (type === DATA && content.length >= BEAT_BYTES) return this.#dataFrom(content);
    return { kind: 'refused' };
  }

  #introduced(content: Buffer): Received {
    const version = content[1]!;
    const wantsAnswer = content[2] === 1;
    const point = content.subarray(3, 3 + POINT_BYTES);
    const nonceAt = 3 + POINT_BYTES;
    const nonce = Buffer.from(content.subarray(nonceAt, nonceAt + NONCE_BYTES));
    const echo = content.subarray(nonceAt + NONCE_BYTES, nonceAt + 2 * NONCE_BYTES);
    const judged = this.#identity.judge(point);
    if (judged !== 'peer') return { kind: 'wrong-peer', own: judged === 'own' };
    if (version < 1) return { kind: 'refused' };
    const of = this.#sessionWith({ nonce, version });
    if (wantsAnswer) this.#answer = of;
    if (!echo.equals(of.own.nonce)) return { kind: 'introduced' };
    const mac = content.subarray(-MAC_BYTES);
    if (!of.keys.verify(content.subarray(0, -MAC_BYTES), mac)) return { kind: 'refused' };
    // Of the session that exists this frame may be a repetition, so it says nothing new.
    if (of === this.#session) return { kind: 'introduced' };
    this.#begin(of);
    return { kind: 'peer', fresh: true, data: null };
  }

  #dataFrom(content: Buffer): Received {
    const frame = content.subarray(0, -MAC_BYTES);
    const mac = content.subarray(-MAC_BYTES);
    const counter = frame.readUIntBE(2, COUNTER_BYTES);
    const isOf = (one: Session | null): one is Session =>
      one !== null && counter > one.heard && one.keys.verify(frame, mac);
    const fresh = !isOf(this.#session);
    const of = fresh ? this.#candidate : this.#session;
    // The answer to our introduction may be lost; data under the same keys proves as much.
    if (fresh && !isOf(of)) return { kind: 'refused' };
    of!.heard = counter;
    if (fresh) this.#begin(of!);
    const payload = Buffer.from(frame.subarray(DATA_HEAD_BYTES));
    return { kind: 'peer', fresh, data: { flags: frame[1]!, payload } };
  }

  /** The session with this introduction of the peer: the one that exists, or one that may begin. */
  #sessionWith(peer: Introduction): Session {
    const same = (one: Session | null): one is Session =>
      one !== null && one.peer.nonce.equals(peer.nonce) && one.peer.version === peer.version;
    if (same(this.#session)) return this.#session;
    if (same(this.#candidate)) return this.#candidate;
    const own = this.#own;
    const keys = this.#identity.sessionKeys(own, peer)!;
    this.#candidate = { own, peer, keys, sent: 0, heard: 0 };
    return this.#candidate;
  }

  #begin(session: Session): void {
    this.#session = session;
    this.#candidate = null;
    this.#own = introduce();
    if (this.#answer !== null && this.#answer !== session) this.#answer = null;
  }
}

function introduce(): Introduction {
  return { nonce: randomBytes(NONCE_BYTES), version: SERIAL_VERSION };
}
