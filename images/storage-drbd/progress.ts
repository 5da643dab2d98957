/**
 * How a resync or a comparison goes, as the text of /proc/drbd tells it. Always holds: what is not
 * there is null, never a guess. The kernel draws the line only while one runs. Source: drbd user's
 * guide 8.4, "/proc/drbd"; drbd_proc.c. Pure; imports core types.
 */
import type { Progress } from '../../src/core/model.ts';

const KIB = 1024;
const BAR = /(?:sync'ed|verified):\s*[\d.]+%\s*\((\d+)\/(\d+)\)([KM])\b/;
const SPEED = /finish:\s*(\d+):(\d\d):(\d\d)\s+speed:\s*([\d,]+)/;
const OUT_OF_SYNC = /\boos:(\d+)/;

/** Progress of what runs on the device; null when nothing does. */
export function parseProgress(text: string, minor: number): Progress | null {
  const part = partOf(text, minor);
  const bar = BAR.exec(part);
  const speed = SPEED.exec(part);
  if (bar === null || speed === null) return null;
  const [, left, all, unit] = bar;
  const [, hours, minutes, seconds, rate = ''] = speed;
  const unitBytes = unit === 'M' ? KIB * KIB : KIB;
  const totalBytes = Number(all) * unitBytes;
  const doneBytes = totalBytes - Math.min(totalBytes, Number(left) * unitBytes);
  const rateBps = Number(rate.replaceAll(',', '')) * KIB;
  if (rateBps === 0) return { doneBytes, totalBytes };
  const etaS = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return { doneBytes, totalBytes, rateBps, etaS };
}

/** Bytes that the copies are known to differ in; null when the text does not say. */
export function parseOutOfSync(text: string, minor: number): number | null {
  const match = OUT_OF_SYNC.exec(partOf(text, minor));
  return match === null ? null : Number(match[1]) * KIB;
}

/** The lines of one device. */
function partOf(text: string, minor: number): string {
  const start = new RegExp(`^ *${minor}: `, 'm').exec(text);
  if (start === null) return '';
  const rest = text.slice(start.index + start[0].length);
  const next = /^ *\d+: cs:/m.exec(rest);
  return next === null ? rest : rest.slice(0, next.index);
}
