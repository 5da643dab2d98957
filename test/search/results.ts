/**
 * What searches have found so far, kept in a file with one line a search, so that a run that was
 * killed goes on with the next one. Always holds: a result counts only for the code that it was
 * found with (a digest of the core and of the search); a torn line is left out. Only tests
 * import it.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SEARCHED = ['src/core', 'test/search'];
const REPORT = 'src/updater/report.ts';

/** One search that is done. */
export interface Result {
  readonly name: string;
  readonly code: string;
  readonly states: number;
  readonly edges: number;
  readonly quiet: number;
  readonly byFaults: readonly number[];
  /** False when states were left out. */
  readonly whole: boolean;
  readonly seconds: number;
  readonly memoryMb: number;
  /** Null when nothing is wrong. */
  readonly violation: { readonly what: string; readonly trace: readonly string[] } | null;
}

/** A digest of the code that is searched and of the search itself; tests are left out. */
export function codeDigest(): string {
  const hash = createHash('sha256');
  const files = SEARCHED.flatMap((folder) =>
    readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
  ).filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'));
  for (const path of [...files, REPORT].toSorted()) {
    hash.update(path).update(readFileSync(join(ROOT, path)));
  }
  return hash.digest('hex').slice(0, 16);
}

/** The results in a file for this code; none when there is no file. */
export function readResults(path: string, code: string): readonly Result[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.flatMap((line) => resultIn(line) ?? []).filter((one) => one.code === code);
}

function resultIn(line: string): Result | null {
  try {
    return JSON.parse(line) as Result;
  } catch {
    return null;
  }
}

/** Adds a result on a line of its own, whatever was torn off before it. */
export function addResult(path: string, result: Result): void {
  mkdirSync(dirname(path), { recursive: true });
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const torn = text !== '' && !text.endsWith('\n');
  appendFileSync(path, `${torn ? '\n' : ''}${JSON.stringify(result)}\n`);
}

/** A result in one line. */
export function lineOf({ name, ...found }: Result): string {
  const { byFaults, edges, memoryMb, quiet, seconds, states, violation, whole } = found;
  const verdict = violation !== null ? violation.what : whole ? 'ok' : 'cut short';
  const numbers = [
    `${states} states (${byFaults.join(' + ')})`,
    `${edges} steps`,
    `${quiet} quiet ends`,
    `${Math.max(0, byFaults.length - 1)} faults`,
    `${seconds.toFixed(1)} s`,
    `${memoryMb} MB`,
  ];
  return `${name}: ${verdict}; ${numbers.join(', ')}`;
}
