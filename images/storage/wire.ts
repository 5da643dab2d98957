/**
 * The messages between the two storage processes, and their frames: length of all that follows
 * (u32), length of the head (u32), the head as JSON, then bytes of a value if there are any. Always
 * holds: nothing above the limits is buffered; a frame is whole and its head an object with a
 * known kind of `t`, or the connection ends with `pair.bad_message`. Imports core types and limits.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { Generation } from '../../src/core/records.ts';
import { VALUE_BYTES_MAX } from './limits.ts';
import type { Position } from './record.ts';

/** Longest head; lists of keys are cut into pieces far below it. */
export const HEAD_TEXT_MAX = 512 * 1024;
const PREFIX_BYTES = 8;

/** First message of both sides. */
export interface Hello {
  readonly t: 'hello';
  readonly protocol: readonly [min: number, max: number];
  readonly node: NodeId;
  readonly pair: string;
  readonly epoch: number;
  readonly role: 'primary' | 'secondary';
  readonly generation: Generation;
  /** Highest format level that the sender can write. */
  readonly formatMax: number;
  /** With DRBD only: the sender was told that both copies were written alone. */
  readonly splitBrain?: boolean;
}

/** A key, what the sender holds of it (null = nothing, or `DAMAGED`), and its bytes. */
export type HeldItem = readonly [key: string, hash: string | null, bytes: number];

/** What one side asks the other, from protocol 2 on; see talk.ts. */
export type Question =
  /** Makes a picture of all keys in so many buckets; `content` reads what the disk holds. */
  | { readonly do: 'open'; readonly buckets: number; readonly content: boolean }
  /** The digest of one bucket of that picture. */
  | { readonly do: 'bucket'; readonly bucket: number }
  /** What stands behind that digest, from the item `from` on. */
  | { readonly do: 'items'; readonly bucket: number; readonly from: number }
  /** What the disk holds of these keys, after every write that was sent before the question. */
  | { readonly do: 'keys'; readonly keys: readonly string[] }
  | { readonly do: 'close' }
  /** What is known of the copy as a whole. */
  | { readonly do: 'facts' }
  /** The asker keeps its copy: save what only this one has, then take the other's. */
  | { readonly do: 'yield'; readonly by: string; readonly reason: string }
  /** Where a comparison stands, so that both sides can tell. */
  | { readonly do: 'verify'; readonly report: object };

/** A key and what the sender holds of it; null = nothing. */
export type OfferItem = readonly [key: string, hash: string | null];

/** Every message after the two hellos. */
export type Message =
  | { readonly t: 'ping' }
  /** The sender is the primary of `epoch`; what it holds. */
  | {
      readonly t: 'lead';
      readonly epoch: number;
      readonly generation: Generation;
      /** Nothing that the secondary holds is trusted: everything is compared again. */
      readonly resync?: boolean;
    }
  /** The answer: what the secondary holds, on disk. */
  | {
      readonly t: 'follow';
      readonly epoch: number;
      readonly generation: Generation;
      readonly stale: boolean;
      readonly position: Position;
    }
  /** The sender has seen a higher epoch. */
  | { readonly t: 'refuse'; readonly epoch: number }
  /** The sender is no primary any more. */
  | { readonly t: 'resign'; readonly committed: number; readonly position: Position }
  | {
      readonly t: 'write';
      readonly epoch: number;
      readonly run: string;
      readonly version: number;
      readonly committed: number;
      readonly key: string;
      readonly delete: boolean;
    }
  /** Everything up to this version is on the sender's disk. */
  | { readonly t: 'ack'; readonly run: string; readonly version: number }
  | {
      readonly t: 'offer';
      readonly mode: 'delta' | 'full';
      /** Delta: both copies were equal up to here. */
      readonly since: number;
      readonly items: readonly OfferItem[];
      readonly last: boolean;
    }
  /** What the secondary asks for, with what it holds of it. */
  | { readonly t: 'want'; readonly items: readonly OfferItem[]; readonly last: boolean }
  | { readonly t: 'begin'; readonly totalBytes: number; readonly objects: number }
  | {
      readonly t: 'item';
      readonly key: string;
      readonly run: string;
      readonly version: number;
      readonly delete: boolean;
    }
  | { readonly t: 'got'; readonly bytes: number }
  | {
      readonly t: 'end';
      readonly generation: Generation;
      readonly position: Position;
      readonly committed: number;
      readonly sentBytes: number;
    }
  | { readonly t: 'done' }
  | { readonly t: 'format'; readonly level: number }
  | { readonly t: 'formatDone'; readonly level: number }
  /** So many bytes of writes may be sent before the sender's reserve is touched. */
  | { readonly t: 'room'; readonly bytes: number }
  | { readonly t: 'ask'; readonly id: number; readonly question: Question }
  | {
      readonly t: 'reply';
      readonly id: number;
      readonly answer: object | null;
      readonly error?: { readonly code: string; readonly message: string };
    };

/** A message with the value that came with it. */
export interface Frame {
  readonly head: Hello | Message;
  readonly body: Buffer | null;
}

/** The frame of a message. */
export function encodeFrame(head: Hello | Message, body: Buffer | null = null): Buffer[] {
  const text = Buffer.from(JSON.stringify(head), 'utf8');
  if (text.length > HEAD_TEXT_MAX) {
    throw new UpdateError('internal.bug', `a message head of ${text.length} bytes`);
  }
  const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  prefix.writeUInt32BE(4 + text.length + (body?.length ?? 0), 0);
  prefix.writeUInt32BE(text.length, 4);
  return body === null ? [prefix, text] : [prefix, text, body];
}

/** Incremental parser; the returned function throws `pair.bad_message`. */
export function frameReader(onFrame: (frame: Frame) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let bytes = 0;
  let needed = PREFIX_BYTES;
  return (chunk) => {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes < needed) return;
    let all = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    for (;;) {
      needed = frameBytes(all);
      if (all.length < needed) break;
      const headEnd = PREFIX_BYTES + all.readUInt32BE(4);
      const head = parseHead(all.subarray(PREFIX_BYTES, headEnd));
      // A copy: the value outlives the chunk, which is much larger or shared.
      const body = headEnd === needed ? null : Buffer.from(all.subarray(headEnd, needed));
      all = all.subarray(needed);
      onFrame({ head, body });
    }
    parts = all.length > 0 ? [all] : [];
    bytes = all.length;
  };
}

/** Length of the frame that starts here, or of what must be there to know it. */
function frameBytes(bytes: Buffer): number {
  if (bytes.length < PREFIX_BYTES) return PREFIX_BYTES;
  const all = bytes.readUInt32BE(0);
  const head = bytes.readUInt32BE(4);
  if (head > HEAD_TEXT_MAX || all < 4 + head || all - 4 - head > VALUE_BYTES_MAX) {
    throw bad(`a frame of ${all} bytes with a head of ${head}`);
  }
  return 4 + all;
}

function parseHead(text: Buffer): Hello | Message {
  let head: unknown;
  try {
    head = JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw bad('a frame that is not JSON', cause);
  }
  if (typeof (head as { t?: unknown } | null)?.t !== 'string') throw bad('a frame without a kind');
  return head as Hello | Message;
}

/** The peer broke the protocol. */
export const bad = (found: string, cause?: unknown): UpdateError =>
  new UpdateError('pair.bad_message', `the other storage process sent ${found}`, { cause });
