/**
 * The verb `explain`: what an error code or an exit status means and what to do next, from the one
 * table in core. Works without a daemon. Imports core.
 */
import { CODES, EXIT, isCode, type Code } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { EXIT_WORDS } from '../core/exit.ts';
import { nearestName } from '../core/nearest.ts';
import { flag, printJson, printLines } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';

interface Explained {
  readonly code: Code;
  readonly exit: number;
  readonly class: string;
  readonly title: string;
  readonly next: string;
}

const CLASSES = Object.entries(EXIT) as [keyof typeof EXIT, number][];

function explained(code: Code): Explained {
  const { exit, title, next } = CODES[code];
  const [name] = CLASSES.find(([, status]) => status === exit)!;
  return { code, exit, class: EXIT_WORDS[name], title, next };
}

/** Every code, ordered by exit status; the order within a class is that of the table. */
export function explainAll(): readonly Explained[] {
  const codes = (Object.keys(CODES) as Code[]).map(explained);
  return codes.toSorted((a, b) => a.exit - b.exit);
}

/** The codes that a word means: a code, or an exit status. Throws `usage.invalid`. */
export function explainWord(word: string): readonly Explained[] {
  if (isCode(word)) return [explained(word)];
  if (/^\d{1,3}$/.test(word)) {
    const status = Number(word);
    if (CLASSES.some(([, exit]) => exit === status)) {
      return explainAll().filter((entry) => entry.exit === status);
    }
    const known = CLASSES.map(([, exit]) => exit).join(', ');
    throw new UpdateError('usage.invalid', `${word} is not an exit status; there are: ${known}`);
  }
  const near = nearestName(word, Object.keys(CODES));
  const hint = near === null ? '`tandem explain` lists them' : `did you mean ${near}?`;
  throw new UpdateError('usage.invalid', `${word} is not an error code; ${hint}`);
}

function textOf(status: number, entries: readonly Explained[]): string[] {
  const [name] = CLASSES.find(([, exit]) => exit === status)!;
  const lines = [`exit ${status}: ${EXIT_WORDS[name]}`];
  for (const { code, title, next } of entries)
    lines.push(`  ${code}`, `    ${title}`, `    ${next}`);
  return lines;
}

async function run(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const [word] = args;
  const entries = word === undefined ? explainAll() : explainWord(word);
  if (flag(values, 'json')) {
    printJson(io, { codes: entries });
    return EXIT.done;
  }
  const asked = word !== undefined && !isCode(word) ? [Number(word)] : undefined;
  const statuses =
    asked ??
    CLASSES.map(([, exit]) => exit).filter((s) => !isCode(word ?? '') || s === entries[0]!.exit);
  const lines = statuses.flatMap((status) =>
    textOf(
      status,
      entries.filter((entry) => entry.exit === status),
    ),
  );
  printLines(io, lines);
  return EXIT.done;
}

/** The verb that explains codes and exit statuses. */
export const explainVerbs: readonly Verb[] = [
  {
    name: 'explain',
    args: '[CODE|STATUS]',
    minArgs: 0,
    maxArgs: 1,
    summary: 'Explain an error code or an exit status: what it means, what to do next.',
    example: 'tandem explain version.no_path',
    options: {},
    run,
  },
];
