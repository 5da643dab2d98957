/**
 * The report of an on-line verify: begun, kept in a file, read back, told in short. Always holds: a
 * report that the peer or the disk gives is looked into before it is believed, and one that cannot
 * be read is as none, since it repeats what a new verify finds again. Imports core and the limits.
 */
import { randomBytes } from 'node:crypto';
import type { NodeId } from '../../src/core/model.ts';
import type { VerifyBrief, VerifyReport } from '../../src/core/store.ts';
import { readFileLimited, writeFileAtomic } from '../../src/drivers/fs-atomic.ts';
import { DIFFERENCES_MAX } from './limits.ts';

/** Name of its file in the directory of the storage software. */
export const REPORT_FILE = 'verify.json';
/** Longest kept report. */
const REPORT_BYTES_MAX = 128 * 1024;

/** One that begins on a node now. */
export const newReport = (node: NodeId, totalBytes: number): VerifyReport => ({
  id: `verify-${randomBytes(5).toString('hex')}`,
  state: 'running',
  node,
  startedAt: new Date().toISOString(),
  endedAt: null,
  records: 0,
  bytes: 0,
  totalBytes,
  rateBps: null,
  etaS: null,
  again: 0,
  unsettled: 0,
  differences: 0,
  keys: [],
  damaged: { A: 0, B: 0 },
  code: null,
  message: null,
});

/** A report of the peer or of the disk, as far as it is looked into; null = none. */
export function readReport(value: unknown): VerifyReport | null {
  const report = value as Partial<VerifyReport> | null;
  const good =
    typeof report?.id === 'string' &&
    typeof report.state === 'string' &&
    Number.isSafeInteger(report.differences) &&
    Array.isArray(report.keys) &&
    report.keys.length <= DIFFERENCES_MAX;
  return good ? (report as VerifyReport) : null;
}

/** The report that was kept in a file; null = none with a result. */
export async function keptReport(path: string): Promise<VerifyReport | null> {
  try {
    const text = (await readFileLimited(path, REPORT_BYTES_MAX)).toString('utf8');
    const report = readReport(JSON.parse(text));
    return report?.state === 'running' ? null : report;
  } catch {
    return null;
  }
}

/** Keeps a report. Throws what the disk says. */
export async function keepReport(path: string, report: VerifyReport): Promise<void> {
  await writeFileAtomic(path, JSON.stringify(report));
}

/** What the status tells of a report, with the differences that are open. */
export function briefOf(report: VerifyReport, differences = report.differences): VerifyBrief {
  const { id, state, bytes, totalBytes, rateBps, etaS } = report;
  const rate = rateBps === null || etaS === null ? {} : { rateBps, etaS };
  const progress = state === 'running' ? { doneBytes: bytes, totalBytes, ...rate } : null;
  return { id, state, differences, progress };
}
