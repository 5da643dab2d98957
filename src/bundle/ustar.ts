/**
 * The 512-byte header of an archive member, docs/bundle.md B2. A member of a bundle has exactly one
 * valid header per name and size, so the reader compares bytes; tar's `Header` decodes what is
 * there, to say what is wrong with it. Always holds: nothing from a header is used before the
 * whole header was compared. Imports core and tar.
 */
import { Header } from 'tar/header';
import { UpdateError, type ErrorDetail } from '../core/errors.ts';
import { BLOCK_BYTES, MEMBER_BYTES_MAX } from './limits.ts';
import { quoted } from './quote.ts';

/** What a header that cannot be right is called: before the first member is known, or after. */
export type Place = 'first' | 'second' | 'later';

const CHECKSUM_AT = 148;
const MAGIC_AT = 257;
const MAGIC = 'ustar\u000000';

/** Size of a member with its padding to whole blocks. */
export const paddedBytes = (sizeBytes: number): number =>
  Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;

/** The one valid header (B2.2) of a member; byte for byte what GNU tar writes with B2.5. */
export function memberHeader(name: string, sizeBytes: number): Buffer {
  if (!/^[\x21-\x7e]{1,99}$/.test(name) || !(sizeBytes >= 0 && sizeBytes <= MEMBER_BYTES_MAX)) {
    throw new UpdateError('internal.bug', `no header for ${name} of ${sizeBytes} bytes`);
  }
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(name, 0, 'latin1');
  block.write('0000644\u00000000000\u00000000000\u0000', 100, 'latin1');
  block.write(`${sizeBytes.toString(8).padStart(11, '0')}\u0000`, 124, 'latin1');
  block.write('00000000000\u0000', 136, 'latin1');
  block.write('        0', CHECKSUM_AT, 'latin1');
  block.write(MAGIC, MAGIC_AT, 'latin1');
  block.write('0000000\u00000000000\u0000', 329, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, CHECKSUM_AT, 'latin1');
  return block;
}

/**
 * Size that the header at a member's place states, after the whole header was compared with the one
 * valid header for `name` and that size (B2.2). Throws `bundle.wrong_type` for another member in
 * place of the first two, otherwise `bundle.damaged`.
 */
export function checkHeader(block: Uint8Array, name: string, place: Place): number {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  const sizeText = bytes.toString('latin1', 124, 135);
  if (/^[0-7]{11}$/.test(sizeText)) {
    const sizeBytes = Number.parseInt(sizeText, 8);
    if (memberHeader(name, sizeBytes).equals(bytes)) return sizeBytes;
  }
  throw refusal(bytes, name, place);
}

/** Whether a header names this member; it may still be a wrong one, see `checkHeader`. */
export function namedIn(block: Uint8Array, name: string): boolean {
  const field = Buffer.alloc(100);
  field.write(name, 'latin1');
  return field.equals(block.subarray(0, field.length));
}

/** Says what stands where the header of `name` should be. */
function refusal(bytes: Buffer, name: string, place: Place): UpdateError {
  if (place === 'first' && !looksLikeFirst(bytes, name)) return wrongType(bytes, name);
  const header = decode(bytes);
  if (header === undefined || header.nullBlock || !header.cksumValid) {
    const found = header?.nullBlock === true ? 'zeros' : 'a header with a wrong checksum';
    return fail('bundle.damaged', name, found);
  }
  if (header.path === name && header.type === 'File') {
    return fail('bundle.damaged', name, `a header of ${name} in another form than a bundle has`);
  }
  const found = `${quoted(header.path)} (${header.type})`;
  return fail(place === 'later' ? 'bundle.damaged' : 'bundle.wrong_type', name, found);
}

function fail(code: 'bundle.damaged' | 'bundle.wrong_type', name: string, found: string) {
  const detail: ErrorDetail = { member: name, found, expected: `the header of ${name}` };
  return new UpdateError(code, `found ${found}, expected the header of ${name}`, { detail });
}

/** tar's decoder throws for numbers in an encoding that it does not know. */
function decode(bytes: Buffer): Header | undefined {
  try {
    return new Header(bytes);
  } catch {
    return undefined;
  }
}

/**
 * A bundle with one damaged place in its first header still has the name or the magic; another kind
 * of file has neither.
 */
export function looksLikeFirst(bytes: Uint8Array, name: string): boolean {
  const nameField = Buffer.alloc(100);
  nameField.write(name, 'latin1');
  const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sameName = found.subarray(0, 100).equals(nameField.subarray(0, found.length));
  return sameName || found.toString('latin1', MAGIC_AT, MAGIC_AT + MAGIC.length) === MAGIC;
}

/** Beginnings of files that people take for a bundle by mistake, in hexadecimal. */
const KINDS: readonly (readonly [start: string, kind: string])[] = [
  ['1f8b', 'a gzip file'],
  ['28b52ffd', 'a zstd file'],
  ['fd377a585a00', 'an xz file'],
  ['425a68', 'a bzip2 file'],
  ['504b0304', 'a zip file'],
  ['7f454c46', 'a program (ELF)'],
  ['68737173', 'a squashfs image'],
  ['3c', 'a text or web page'],
  ['7b', 'a JSON text'],
];

/** The error for a file that is not a bundle at all; says what it looks like. */
export function wrongType(start: Uint8Array, name: string): UpdateError {
  const hex = Buffer.from(start.subarray(0, 8)).toString('hex');
  const zeros = start.every((byte) => byte === 0);
  const kind = zeros ? 'only zeros' : KINDS.find(([magic]) => hex.startsWith(magic))?.[1];
  const found = kind ?? 'another kind of file';
  const message = `the file is ${found}, expected an update bundle (${name} first)`;
  return new UpdateError('bundle.wrong_type', message, {
    detail: { found, expected: 'an update bundle' },
  });
}
