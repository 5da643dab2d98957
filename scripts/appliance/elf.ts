/**
 * Reads what an image must know of an ELF file: the shared libraries that a program asks for, and
 * what a kernel module says about itself. Always holds: a file that is damaged, or is no 64-bit
 * little-endian ELF, is refused and never read past its end. Format: System V ABI, ELF-64 object
 * file format. Imports core.
 */
import { UpdateError } from '../../src/core/errors.ts';

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SECTIONS_MAX = 4096;
const DYNAMIC_BYTES = 16;
const DT_NEEDED = 1n;
const NOTHING = Buffer.alloc(0);

/** A section: its name and its content; a section without content in the file is empty. */
interface Section {
  readonly name: string;
  readonly content: Buffer;
  /** Index of the section that this one refers to, for example of its strings. */
  readonly link: number;
}

function refuse(found: string): UpdateError {
  return new UpdateError('tool.failed', `an ELF file ${found}`);
}

/** True for a file that begins like a 64-bit little-endian ELF file. */
export function isElf(file: Buffer): boolean {
  return file.length >= HEADER_BYTES && file.readUInt32LE(0) === 0x464c457f && file[4] === 2;
}

function textAt(strings: Buffer, offset: number): string {
  const end = strings.indexOf(0, offset);
  if (offset >= strings.length || end < 0) throw refuse('has a name outside its strings');
  return strings.toString('latin1', offset, end);
}

function part(file: Buffer, offset: bigint, bytes: bigint): Buffer {
  if (offset + bytes > BigInt(file.length)) throw refuse('is cut off');
  return file.subarray(Number(offset), Number(offset + bytes));
}

function sectionsOf(file: Buffer): readonly Section[] {
  if (!isElf(file) || file[5] !== 1) throw refuse('is not 64-bit and little-endian');
  const table = file.readBigUInt64LE(40);
  const count = file.readUInt16LE(60);
  if (count > SECTIONS_MAX || file.readUInt16LE(58) !== SECTION_BYTES) {
    throw refuse(`has ${String(count)} sections of an unknown size`);
  }
  const heads = part(file, table, BigInt(count * SECTION_BYTES));
  const raw = Array.from({ length: count }, (_, i) => {
    const head = heads.subarray(i * SECTION_BYTES, (i + 1) * SECTION_BYTES);
    // Type 8 takes no room in the file.
    const empty = head.readUInt32LE(4) === 8;
    const content = empty
      ? NOTHING
      : part(file, head.readBigUInt64LE(24), head.readBigUInt64LE(32));
    return { name: head.readUInt32LE(0), content, link: head.readUInt32LE(40) };
  });
  const names = raw[file.readUInt16LE(62)]?.content ?? NOTHING;
  return raw.map((one) => ({ ...one, name: textAt(names, one.name) }));
}

/** Names of the shared libraries that a program or library is linked with, in its own order. */
export function neededLibraries(file: Buffer): readonly string[] {
  const sections = sectionsOf(file);
  const dynamic = sections.find(({ name }) => name === '.dynamic');
  if (dynamic === undefined) return [];
  const strings = sections[dynamic.link]?.content ?? NOTHING;
  const needed: string[] = [];
  for (let at = 0; at + DYNAMIC_BYTES <= dynamic.content.length; at += DYNAMIC_BYTES) {
    if (dynamic.content.readBigUInt64LE(at) !== DT_NEEDED) continue;
    needed.push(textAt(strings, Number(dynamic.content.readBigUInt64LE(at + 8))));
  }
  return needed;
}

/** What a kernel module says about itself, as `name=value`; a name can be there several times. */
export function moduleInfo(file: Buffer): readonly (readonly [name: string, value: string])[] {
  const info = sectionsOf(file).find(({ name }) => name === '.modinfo');
  if (info === undefined) throw refuse('is no kernel module: it has no section .modinfo');
  const words = info.content.toString('utf8').split('\0');
  return words.flatMap((word) => {
    const at = word.indexOf('=');
    return at < 0 ? [] : [[word.slice(0, at), word.slice(at + 1)] as const];
  });
}
