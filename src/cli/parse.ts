/**
 * From the words of a command line to a verb with its arguments and options. Always holds: an
 * unknown or incomplete word is refused with `usage.invalid`, the nearest known name and what is
 * accepted; nothing is guessed and nothing is ignored. Imports core and the table.
 */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UpdateError } from '../core/errors.ts';
import { nearestName } from '../core/nearest.ts';
import { TABLE, verbsOf } from './table.ts';
import type { Verb, VerbOption, VerbValues } from './verb.ts';

/** Options that every verb has. */
export const GLOBAL_OPTIONS = {
  json: { type: 'boolean', help: 'Print the result as one JSON object on standard output.' },
  help: { type: 'boolean', help: 'Print help and exit.' },
} as const satisfies Record<string, VerbOption>;

/** A command line that is complete and understood. */
export type Command =
  | { readonly kind: 'help'; readonly topic: readonly string[] }
  | { readonly kind: 'version' }
  | {
      readonly kind: 'verb';
      readonly verb: Verb;
      readonly args: readonly string[];
      readonly values: VerbValues;
    };

/** Words longer than this in all are refused: no command line of Tandem is that long. */
const WORDS_MAX = 1000;

/**
 * Understands the words behind the program's name. Throws `usage.invalid` with the nearest name for
 * whatever is not known.
 */
export async function parseCommand(argv: readonly string[]): Promise<Command> {
  if (argv.length > WORDS_MAX) throw usage(`found ${argv.length} words, at most ${WORDS_MAX}`);
  const first = argv.findIndex((word) => !isGlobalFlag(word));
  const leading = first < 0 ? argv : argv.slice(0, first);
  const words = first < 0 ? [] : argv.slice(first);
  if (leading.includes('--version')) return { kind: 'version' };
  if (words.length === 0) return { kind: 'help', topic: [] };
  if (leading.includes('--help') || leading.includes('-h')) return { kind: 'help', topic: words };
  if (words[0] === 'help') {
    return { kind: 'help', topic: words.slice(1).filter((word) => !isGlobalFlag(word)) };
  }
  const { verb, used } = await findVerb(words);
  const json = leading.includes('--json') ? ['--json'] : [];
  const { args, values } = parseVerb(verb, [...json, ...words.slice(used)]);
  if (values['help'] === true) return { kind: 'help', topic: verb.name.split(' ') };
  return { kind: 'verb', verb, args, values };
}

/**
 * The verb that the words start with, and how many words its name takes. A word that only opens
 * names (`bundle`) is refused with the names that it opens.
 */
export async function findVerb(
  words: readonly string[],
): Promise<{ readonly verb: Verb; readonly used: number }> {
  const [word = '', second = ''] = words;
  const known = TABLE.flatMap((group) => group.words);
  const verbs = await verbsOf(word);
  if (verbs.length === 0) {
    if (word.startsWith('-')) {
      throw usage(`found ${word} before the verb; options of a verb stand behind it`);
    }
    throw usage(`${word} is not a verb${hint(word, known)}`);
  }
  for (const verb of verbs) {
    if (verb.name === `${word} ${second}`) return { verb, used: 2 };
  }
  const whole = verbs.find((verb) => verb.name === word);
  const takesNone = whole?.maxArgs === 0 && second !== '' && !second.startsWith('-');
  if (whole !== undefined && !(takesNone && verbs.length > 1)) return { verb: whole, used: 1 };
  const inner = verbs.flatMap((verb) => verb.name.split(' ').slice(1));
  const names = inner.join(', ');
  if (second === '' || second.startsWith('-')) throw usage(`${word} needs one of: ${names}`);
  throw usage(`${word} ${second} is not a verb${hint(second, inner)}; ${word} has: ${names}`);
}

/** Arguments and options of a verb, checked against its row. */
export function parseVerb(
  verb: Verb,
  words: readonly string[],
): { readonly args: readonly string[]; readonly values: VerbValues } {
  const options: Readonly<Record<string, VerbOption>> = { ...verb.options, ...GLOBAL_OPTIONS };
  const { tokens } = parseArgs({
    args: [...words],
    options: shapesOf(options),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const args: string[] = [];
  const values: Record<string, string | boolean | string[]> = Object.create(null) as never;
  for (const token of tokens) {
    if (token.kind === 'positional') args.push(token.value);
    if (token.kind !== 'option') continue;
    const known = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (known === undefined) {
      const names = Object.keys(options).map((name) => `--${name}`);
      throw usage(`${token.rawName} is not an option of ${verb.name}${hint(token.rawName, names)}`);
    }
    values[token.name] = optionValue(token, known, values[token.name]);
  }
  if (values['help'] !== true) checkCount(verb, args);
  return { args, values };
}

type Shapes = NonNullable<ParseArgsConfig['options']>;

function shapesOf(options: Readonly<Record<string, VerbOption>>): Shapes {
  const shapes: Shapes = {};
  for (const [name, option] of Object.entries(options)) {
    shapes[name] = { type: option.type, ...(name === 'help' ? { short: 'h' } : {}) };
  }
  return shapes;
}

function optionValue(
  token: {
    readonly rawName: string;
    readonly value?: string | undefined;
    readonly inlineValue?: boolean | undefined;
  },
  option: VerbOption,
  before: string | boolean | string[] | undefined,
): string | boolean | string[] {
  if (option.type === 'boolean') {
    if (token.value !== undefined) throw usage(`${token.rawName} takes no value`);
    return true;
  }
  const swallowed = token.inlineValue === false && token.value?.startsWith('--') === true;
  if (token.value === undefined || swallowed) {
    throw usage(`${token.rawName} needs a value: ${token.rawName} ${option.value ?? 'VALUE'}`);
  }
  if (option.multiple) return [...(Array.isArray(before) ? before : []), token.value];
  if (before !== undefined) throw usage(`${token.rawName} is given twice`);
  return token.value;
}

function checkCount(verb: Verb, args: readonly string[]): void {
  const { minArgs, maxArgs } = verb;
  if (args.length >= minArgs && args.length <= maxArgs) return;
  const expected = minArgs === maxArgs ? `${minArgs}` : `${minArgs} to ${maxArgs}`;
  const shown = `tandem ${verb.name} ${verb.args}`.trim();
  const found = args.length === 1 ? '1 argument' : `${args.length} arguments`;
  throw usage(`found ${found}, ${verb.name} takes ${expected}: ${shown}`);
}

function isGlobalFlag(word: string): boolean {
  return word === '--json' || word === '--help' || word === '-h' || word === '--version';
}

function hint(word: string, names: readonly string[]): string {
  const near = nearestName(word, names);
  return near === null ? '' : `; did you mean ${near}?`;
}

function usage(message: string): UpdateError {
  return new UpdateError('usage.invalid', message);
}
