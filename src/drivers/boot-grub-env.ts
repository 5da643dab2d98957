/**
 * The boot chooser's state, the try counter and the mark in a seal as GRUB reads and writes them:
 * environment blocks of GRUB whose last field repeats all the others. GRUB's script language has no
 * checksum, but it compares strings, so a block counts only when the repetition agrees: of a write
 * that was torn at any byte the old value counts, or the new one, or none, never a mixture. Always
 * holds: what counts here counts in images/boot/grub.cfg, and the other way round. Only the first
 * sector of a block is ever looked at. Imports core.
 */
import type { BootCounter, BootState } from '../core/boot.ts';
import type { BootFields } from '../core/boot-change.ts';
import { UpdateError } from '../core/errors.ts';
import type { Slot } from '../core/model.ts';

/** Size of a block in the state partition: what GRUB's tools make and expect. */
export const GRUB_BLOCK_BYTES = 1024;
/** Where each of the two copies begins: a block of its own, as disks rewrite whole blocks. */
export const GRUB_COPY_OFFSETS = [0, 4096] as const;
/** Bytes of the state partition that are used: two blocks of the largest size that disks have. */
export const GRUB_STATE_BYTES = 2 * GRUB_COPY_OFFSETS[1];
/** Everything that counts is in a block's first sector, which disks write whole. */
export const GRUB_SECTOR_BYTES = 512;
/** Highest number of a write or a trial: GRUB compares numbers as signed integers of 32 bits. */
export const GRUB_NUMBER_MAX = 999_999_999;

/** First line of a block. Source: GRUB 2.06, include/grub/lib/envblk.h. */
const SIGNATURE = '# GRUB Environment Block\n';
const NUMBER = '(?:0|[1-9][0-9]{0,8})';
const STATE_PATTERN = new RegExp(
  `^([1-9][0-9]{0,8})\\.([AB])\\.(none|A|B)\\.(${NUMBER})\\.([0-9])\\.([01])$`,
);
const COUNTER_PATTERN = new RegExp(`^${NUMBER}\\.[0-9]$`);
const MARK_PATTERN = new RegExp(`^${NUMBER}$`);

/** A block with the state. Throws `boot.io` for numbers that GRUB cannot compare. */
export function encodeGrubState(state: BootState): Uint8Array {
  const { seq, default: act, trial, trialId: id, tries: max, otherOk } = state;
  checkNumber(seq);
  checkNumber(id);
  const fields = { seq, act, trial: trial ?? 'none', id, max, other_ok: otherOk ? 1 : 0 };
  return encodeBlock({ ...fields, end: Object.values(fields).join('.') }, GRUB_BLOCK_BYTES);
}

/** Content of the state partition with this state in both copies; the second one counts. */
export function newGrubStates(fields: BootFields): Uint8Array {
  const bytes = new Uint8Array(GRUB_STATE_BYTES);
  for (const [index, offset] of GRUB_COPY_OFFSETS.entries()) {
    bytes.set(encodeGrubState({ ...fields, seq: index + 1 }), offset);
  }
  return bytes;
}

/** The state in a block, or null when it does not count; never throws, whatever the bytes are. */
export function decodeGrubState(bytes: Uint8Array): BootState | null {
  const { seq, act, trial, id, max, other_ok: otherOk, end } = decodeBlock(bytes);
  const found = STATE_PATTERN.exec([seq, act, trial, id, max, otherOk].join('.'));
  if (found === null || found[0] !== end || act === trial) return null;
  return {
    seq: Number(seq),
    default: act as Slot,
    trial: trial === 'none' ? null : (trial as Slot),
    trialId: Number(id),
    tries: Number(max),
    otherOk: otherOk === '1',
  };
}

/** The file with the try counter: one sector. */
export function encodeGrubCounter({ trialId: tid, used: n }: BootCounter): Uint8Array {
  checkNumber(tid);
  return encodeBlock({ tid, n, ok: `${String(tid)}.${String(n)}` }, GRUB_SECTOR_BYTES);
}

/**
 * The try counter in a sector, or null when it does not count. It counts only as it is written here
 * and by GRUB: in a sector with anything else in it GRUB might change the wrong one of two values.
 */
export function decodeGrubCounter(bytes: Uint8Array): BootCounter | null {
  const { tid, n } = decodeBlock(bytes);
  if (!COUNTER_PATTERN.test([tid, n].join('.'))) return null;
  const counter = { trialId: Number(tid), used: Number(n) };
  return Buffer.from(bytes).equals(encodeGrubCounter(counter)) ? counter : null;
}

/**
 * First sector of a system slot's seal as the boot loader wants it, which reads it when both copies
 * of the state are lost: the number of the trial whose commit made the slot the default, 0 from the
 * factory. Zeros for a slot that was never committed, and for one that is not sealed.
 */
export function encodeSealMark(committed: number | null): Uint8Array {
  if (committed === null) return new Uint8Array(GRUB_SECTOR_BYTES);
  checkNumber(committed);
  return encodeBlock({ committed, end: `seal.${String(committed)}` }, GRUB_SECTOR_BYTES);
}

/** The number in the first sector of a seal; null when there is none that counts. */
export function decodeSealMark(bytes: Uint8Array): number | null {
  const { committed, end } = decodeBlock(bytes);
  if (committed === undefined || !MARK_PATTERN.test(committed)) return null;
  return end === `seal.${committed}` ? Number(committed) : null;
}

function checkNumber(value: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= GRUB_NUMBER_MAX) return;
  const message = `The boot loader compares numbers up to ${GRUB_NUMBER_MAX}, found ${value}`;
  throw new UpdateError('boot.io', message, { detail: { value } });
}

function encodeBlock(fields: Readonly<Record<string, string | number>>, size: number): Uint8Array {
  const lines = Object.entries(fields).map(([name, value]) => `${name}=${value}\n`);
  const text = SIGNATURE + lines.join('');
  if (text.length > GRUB_SECTOR_BYTES) {
    throw new UpdateError('internal.bug', `A boot loader's block of ${text.length} bytes`);
  }
  return new TextEncoder().encode(text.padEnd(size, '#'));
}

/**
 * The variables that GRUB would set from the first sector: the last one of a name counts, a name
 * goes on to the next equals sign wherever that is, a backslash takes the next byte as it is, a
 * value without an end of line ends everything, and a zero byte ends a name or value as in every
 * string of C. Source: GRUB 2.06, grub-core/lib/envblk.c.
 */
function decodeBlock(bytes: Uint8Array): Partial<Record<string, string>> {
  const text = Buffer.from(bytes.subarray(0, GRUB_SECTOR_BYTES)).toString('latin1');
  const found: Partial<Record<string, string>> = {};
  if (text.length < GRUB_SECTOR_BYTES || !text.startsWith(SIGNATURE)) return found;
  let at = SIGNATURE.length;
  while (at < text.length) {
    if (text[at] !== '#') {
      const equals = text.indexOf('=', at);
      if (equals < 0) break;
      const end = endOfLine(text, equals + 1);
      if (end >= text.length) break;
      const value = text.slice(equals + 1, end).replaceAll(/\\([\s\S])/g, '$1');
      found[ofC(text.slice(at, equals))] = ofC(value);
      at = equals + 1;
    }
    at = endOfLine(text, at) + 1;
  }
  return found;
}

/** A string as C sees it. */
const ofC = (text: string): string => text.split('\0', 1)[0] ?? '';

/** Where the line ends; an escaped end of line does not end it. */
function endOfLine(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1;
  return at;
}
