/**
 * Members of a bundle as they are read: header, data, padding, each compared with the one valid
 * form, docs/bundle.md B2. Always holds: nothing is asked of a source beyond its size, and nothing
 * is allocated beyond a size that was checked by the caller. Imports core.
 */
import { hash } from 'node:crypto';
import { UpdateError } from '../core/errors.ts';
import type { Sha256 } from '../core/model.ts';
import type { Member } from './layout.ts';
import { BLOCK_BYTES } from './limits.ts';
import type { ByteSource } from './source.ts';
import { checkHeader, type Place } from './ustar.ts';

/** Size that the header of `name` at `offset` states. Throws as `checkHeader` does. */
export async function readHeader(
  source: ByteSource,
  offset: number,
  name: string,
  place: Place,
  signal: AbortSignal | undefined,
): Promise<number> {
  return checkHeader(await read(source, offset, BLOCK_BYTES, signal), name, place);
}

/** Checks a header of which the signed manifest says name and size. Throws `bundle.damaged`. */
export async function expectHeader(
  source: ByteSource,
  member: Member,
  signal: AbortSignal | undefined,
): Promise<void> {
  const sizeBytes = await readHeader(source, member.headerOffset, member.name, 'later', signal);
  if (sizeBytes !== member.sizeBytes) {
    throw sizeFault('bundle.damaged', member.name, sizeBytes, `${member.sizeBytes}`);
  }
}

/** Data of a member; its padding is checked too. Throws `bundle.damaged`, `bundle.truncated`. */
export async function readMember(
  source: ByteSource,
  member: Member,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const length = member.endOffset - member.dataOffset;
  const bytes = await read(source, member.dataOffset, length, signal);
  checkZeros(bytes.subarray(member.sizeBytes), `the padding after ${member.name}`);
  return bytes.subarray(0, member.sizeBytes);
}

/** Checks the padding of a member whose data are not read here. Throws `bundle.damaged`. */
export async function readPadding(
  source: ByteSource,
  member: Member,
  signal: AbortSignal | undefined,
): Promise<void> {
  const from = member.dataOffset + member.sizeBytes;
  if (from === member.endOffset) return;
  const bytes = await read(source, from, member.endOffset - from, signal);
  checkZeros(bytes, `the padding after ${member.name}`);
}

/** Bytes that the source must have; asked before the source is. Throws `bundle.truncated`. */
export async function read(
  source: ByteSource,
  offset: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (offset + length > source.sizeBytes) throw truncated(source.sizeBytes, offset + length);
  return await source.readAt(offset, length, signal);
}

/** Compares the content of a member with its signed digest. Throws `bundle.damaged`. */
export function checkDigest(name: string, bytes: Uint8Array, expected: Sha256): void {
  const found = hash('sha256', bytes, 'hex');
  if (found === expected) return;
  throw new UpdateError('bundle.damaged', `${name} has SHA-256 ${found}, expected ${expected}`, {
    detail: { member: name, found, expected },
  });
}

/** Throws `bundle.damaged` unless every byte is zero; `where` completes the sentence. */
export function checkZeros(bytes: Uint8Array, where: string): void {
  if (bytes.every((byte) => byte === 0)) return;
  throw new UpdateError('bundle.damaged', `${where} is not all zeros`, {
    detail: { where, expected: 'zeros' },
  });
}

/** The error for a source that ends too early. */
export function truncated(foundBytes: number, expectedBytes: number): UpdateError {
  const atLeast = foundBytes === 0 ? 'the file is empty' : `the file has ${foundBytes} bytes`;
  return new UpdateError('bundle.truncated', `${atLeast}, expected ${expectedBytes} or more`, {
    detail: { foundBytes, expectedBytes },
  });
}

/** The error for a member of a size that it must not have. */
export function sizeFault(
  code: 'bundle.damaged' | 'bundle.unknown_format',
  member: string,
  foundBytes: number,
  expected: string,
): UpdateError {
  return new UpdateError(code, `${member} has ${foundBytes} bytes, expected ${expected}`, {
    detail: { member, foundBytes, expected },
  });
}
