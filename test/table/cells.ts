/**
 * The failure tables of docs/ARCHITECTURE.md, read as they are printed there: the tests are about
 * these very cells. Only tests import it.
 */
import { readFileSync } from 'node:fs';
import { PHASES, type Phase } from '../../src/core/records.ts';

/** What a table says of service: goes on, is taken over, waits. */
export type Word = 'C' | 'T' | 'W';

/** One cell: words for service, and the ends with the condition that each belongs to. */
export interface Cell {
  readonly text: string;
  /** Empty = nothing is said, service goes on. */
  readonly words: readonly Word[];
  /** Ends by condition; the one without a condition is at ''. */
  readonly ends: ReadonlyMap<string, string>;
}

export interface Row {
  readonly name: string;
  readonly phases: readonly Phase[];
  /** Cells by the words at the head of their column; null = cannot happen there. */
  readonly cells: ReadonlyMap<string, Cell | null>;
}

const split = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.replaceAll('`', '').trim());

const isWord = (word: string): word is Word => word === 'C' || word === 'T' || word === 'W';
const isPhase = (word: string): word is Phase => PHASES.some((phase) => phase === word);

/** Throws for anything that is no cell, so that a slip in the docs is found. */
export function parseCell(text: string): Cell | null {
  if (text === '-') return null;
  const [, words, ends] = /^(?:([CTW](?: or [CTW])*) \/ )?([A-Z].*)$/.exec(text) ?? [];
  if (ends === undefined) throw new Error(`not a cell of the failure table: ${text}`);
  const found = new Map<string, string>();
  for (const clause of ends.split(', ')) {
    const [, end, when] = /^([A-Z_]+)(?: \(([a-z -]+)\))?$/.exec(clause) ?? [];
    if (end === undefined || !isPhase(end)) throw new Error(`not an end: ${clause}, in ${text}`);
    found.set(when ?? '', end);
  }
  return { text, words: (words ?? '').split(' or ').filter(isWord), ends: found };
}

/** The table that follows this sentence or heading in the docs. */
export function tableAfter(heading: string): readonly Row[] {
  const docs = readFileSync(new URL('../../docs/ARCHITECTURE.md', import.meta.url), 'utf8');
  const at = docs.indexOf(heading);
  if (at < 0) throw new Error(`docs/ARCHITECTURE.md has no "${heading}"`);
  const lines = docs.slice(docs.indexOf('\n|', at) + 1).split('\n');
  const table = lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith('|')),
  );
  const [head = [], , ...body] = table.map(split);
  return body.map(([name = '', ...cells]) => ({
    name,
    phases: name.split(' ').filter(isPhase),
    cells: new Map(cells.map((text, i) => [head[i + 1] ?? '', parseCell(text)])),
  }));
}
