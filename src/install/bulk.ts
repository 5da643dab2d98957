/**
 * The protocol by which one node reads a bundle file of the other: TLS 1.3 with both keys pinned.
 * The server greets with 16 bytes (magic, size of the file as u64), the client asks for ranges with
 * 12 bytes each (offset u64, length u32), the server answers with exactly those bytes, in the order
 * of the requests and with nothing between them. All numbers are big endian. Always holds: whoever
 * reads knows how many bytes may come. Imports core.
 */
import { UpdateError } from '../core/errors.ts';

/** Name of the protocol in the TLS handshake (ALPN); a later version gets another name. */
export const BULK_PROTOCOL = 'tandem-bulk/1';
/** Length of the server's first words, in bytes. */
export const GREETING_BYTES = 16;
/** Length of a request, in bytes. */
export const REQUEST_BYTES = 12;
/** Longest range of one request. */
export const RANGE_BYTES_MAX = 1024 * 1024;
/** A side that says nothing for so long is gone. */
export const SILENCE_MS = 60_000;

const MAGIC = Buffer.from('TNDMBLK1', 'latin1');
const REFUSAL = Buffer.from('TNDMNOT1', 'latin1');

/** A part of the file, in bytes. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

/** What the server says first to the peer. */
export function encodeGreeting(sizeBytes: number): Buffer {
  const greeting = Buffer.alloc(GREETING_BYTES);
  MAGIC.copy(greeting);
  greeting.writeBigUInt64BE(BigInt(sizeBytes), 8);
  return greeting;
}

/** What the server says to anyone else, before it hangs up. */
export function encodeRefusal(): Buffer {
  const refusal = Buffer.alloc(GREETING_BYTES);
  REFUSAL.copy(refusal);
  return refusal;
}

/**
 * Size of the file from the greeting. Throws `pair.wrong_peer` when the server refused our key,
 * `pair.protocol` when it is none of ours.
 */
export function decodeGreeting(greeting: Buffer): number {
  if (greeting.subarray(0, 8).equals(REFUSAL)) {
    throw new UpdateError('pair.wrong_peer', 'the other node does not accept the key of this one');
  }
  const sizeBytes = Number(greeting.readBigUInt64BE(8));
  if (!greeting.subarray(0, 8).equals(MAGIC) || !Number.isSafeInteger(sizeBytes)) {
    throw new UpdateError('pair.protocol', `the other side does not speak ${BULK_PROTOCOL}`);
  }
  return sizeBytes;
}

/** Requests that together ask for `length` bytes from `offset`, in order. */
export function encodeRequests({ offset, length }: Range): Buffer {
  const pieces = Math.ceil(length / RANGE_BYTES_MAX);
  const requests = Buffer.alloc(pieces * REQUEST_BYTES);
  for (let i = 0; i < pieces; i += 1) {
    const done = i * RANGE_BYTES_MAX;
    requests.writeBigUInt64BE(BigInt(offset + done), i * REQUEST_BYTES);
    requests.writeUInt32BE(Math.min(RANGE_BYTES_MAX, length - done), i * REQUEST_BYTES + 8);
  }
  return requests;
}

/** One request; throws `pair.protocol` when it asks for what is not there. */
export function decodeRequest(request: Buffer, sizeBytes: number): Range {
  const offset = Number(request.readBigUInt64BE(0));
  const length = request.readUInt32BE(8);
  const good =
    Number.isSafeInteger(offset) &&
    length >= 1 &&
    length <= RANGE_BYTES_MAX &&
    offset + length <= sizeBytes;
  if (good) return { offset, length };
  throw new UpdateError('pair.protocol', `${length} bytes at ${offset} of ${sizeBytes} asked for`);
}
