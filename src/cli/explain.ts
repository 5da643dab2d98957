/**
 * The verb `explain`: what a code, a state of the pair, an end of an update or an exit status is,
 * what still works, what to do and what it costs, from the one table in core. Works without a
 * daemon. Imports core and the pieces in render.ts.
 */
import { CODES, EXIT, isCode, type Code } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { EXIT_WORDS } from '../core/exit.ts';
import { nearestName } from '../core/nearest.ts';
import { END_PHASES } from '../core/records.ts';
import { isAlarm, isStateWord, recoveryOf, recoveryOfStatus } from '../core/recovery.ts';
import { STATE_WORDS, type Recovery, type StateWord } from '../core/recovery.ts';
import { wrapCommands } from './render.ts';
import { flag, printJson, printLines, renderOptions } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';

interface ExplainedCode extends Recovery {
  readonly code: Code;
  readonly exit: number;
  readonly class: string;
  readonly title: string;
  readonly next: string;
  readonly alarm: boolean;
}

interface ExplainedState extends Recovery {
  readonly state: StateWord;
  readonly kind: 'pair' | 'end';
}

interface ExplainedStatus extends Recovery {
  readonly exit: number;
  readonly class: string;
}

/** What `tandem explain WORD --json` prints; without a word all there is. */
export interface Explained {
  readonly codes: readonly ExplainedCode[];
  readonly states: readonly ExplainedState[];
  readonly statuses: readonly ExplainedStatus[];
}

const CLASSES = Object.entries(EXIT) as [keyof typeof EXIT, number][];
const NONE: Explained = { codes: [], states: [], statuses: [] };

function ofCode(code: Code): ExplainedCode {
  const { exit, title, next } = CODES[code];
  const [name] = CLASSES.find(([, status]) => status === exit)!;
  const base = { code, exit, class: EXIT_WORDS[name], title, next, alarm: isAlarm(code) };
  return { ...base, ...recoveryOf(code) };
}

function ofState(state: StateWord): ExplainedState {
  const kind = END_PHASES.has(state as never) ? 'end' : 'pair';
  return { state, kind, ...STATE_WORDS[state] };
}

function ofStatus([name, exit]: [keyof typeof EXIT, number]): ExplainedStatus {
  return { exit, class: EXIT_WORDS[name], ...recoveryOfStatus(exit)! };
}

/** All there is: codes by exit status, in a class as in the table. */
export function explainAll(): Explained {
  const codes = (Object.keys(CODES) as Code[]).map(ofCode).toSorted((a, b) => a.exit - b.exit);
  const states = (Object.keys(STATE_WORDS) as StateWord[]).map(ofState);
  return { codes, states, statuses: CLASSES.map(ofStatus) };
}

/**
 * What a word means: a code, a state of the pair or an end in letters of either case, or an exit
 * status with its codes. Throws `usage.invalid` with the nearest word.
 */
export function explainWord(word: string): Explained {
  const code = word.toLowerCase();
  if (isCode(code)) return { ...NONE, codes: [ofCode(code)] };
  const state = word.toUpperCase().replaceAll('-', '_');
  if (isStateWord(state)) return { ...NONE, states: [ofState(state)] };
  if (/^\d{1,3}$/.test(word)) {
    const found = CLASSES.find(([, exit]) => exit === Number(word));
    if (found !== undefined) {
      const codes = explainAll().codes.filter(({ exit }) => exit === found[1]);
      return { ...NONE, codes, statuses: [ofStatus(found)] };
    }
    const known = CLASSES.map(([, exit]) => exit).join(', ');
    throw new UpdateError('usage.invalid', `${word} is not an exit status; there are: ${known}`);
  }
  const near = nearestName(word, [...Object.keys(CODES), ...Object.keys(STATE_WORDS)]);
  const hint = near === null ? '`tandem explain` lists them' : `did you mean ${near}?`;
  throw new UpdateError('usage.invalid', `${word} is not an error code or a state; ${hint}`);
}

/** The four answers below a headline; `todo` is never empty. */
function answers(recovery: Recovery, columns: number): string[] {
  const { means, works, todo, costs } = recovery;
  const row = (name: string, text: string): string[] => {
    const [first = '', ...more] = wrapCommands(text, columns, ' '.repeat(9));
    return [`  ${name.padEnd(7)}${first.trimStart()}`, ...more];
  };
  const steps = todo.flatMap((step, index) => {
    // A command stands on a line of its own, as it is typed: never broken, nothing around it.
    const [, words = step, command] = /^(.*): `([^`]+)`\.$/.exec(step) ?? [];
    const number = todo.length === 1 ? '' : `${index + 1}. `;
    const text = row('', `${number}${words}${command === undefined ? '' : ':'}`);
    return command === undefined ? text : [...text, `${' '.repeat(12)}${command}`];
  });
  steps[0] = `  To do  ${(steps[0] ?? '').slice(9)}`;
  return [...row('Means', means), ...row('Works', works), ...steps, ...row('Costs', costs)];
}

function codeLines(code: ExplainedCode, columns: number): string[] {
  const head = `${code.code}: ${code.alarm ? 'alarm, ' : ''}exit ${code.exit}`;
  const whole = `${head} (${code.class})`;
  return [whole.length <= columns ? whole : head, ...answers(code, columns)];
}

function stateLines(state: ExplainedState, columns: number): string[] {
  const what = state.kind === 'end' ? 'how an update ended' : 'state of the pair';
  return [`${state.state}: ${what}`, ...answers(state, columns)];
}

/** Codes of one exit status, short: title and next action. */
function listing(codes: readonly ExplainedCode[]): string[] {
  return codes.flatMap(({ code, title, next }) => [`  ${code}`, `    ${title}`, `    ${next}`]);
}

function overview({ codes, states, statuses }: Explained): string[] {
  const lines = statuses.flatMap(({ exit, class: words }) => {
    return [`exit ${exit}: ${words}`, ...listing(codes.filter((one) => one.exit === exit))];
  });
  const words = states.map(({ state, means }) => `  ${state}\n    ${means}`);
  const hint = '`tandem explain WORD` says what still works, what to do and what it costs.';
  return [...lines, 'States of the pair, and how an update ends', ...words, hint];
}

async function run(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const [word] = args;
  const found = word === undefined ? explainAll() : explainWord(word);
  const { columns } = renderOptions(io);
  const [status] = found.statuses;
  if (flag(values, 'json')) printJson(io, found);
  else if (word === undefined) printLines(io, overview(found));
  else if (status !== undefined) {
    const head = `exit ${status.exit}: ${status.class}`;
    const codes = found.codes.length === 0 ? [] : ['', 'Codes:', ...listing(found.codes)];
    printLines(io, [head, ...answers(status, columns), ...codes]);
  } else {
    const codes = found.codes.flatMap((one) => codeLines(one, columns));
    printLines(io, [...codes, ...found.states.flatMap((one) => stateLines(one, columns))]);
  }
  return EXIT.done;
}

/** The verb that explains codes, states and exit statuses. */
export const explainVerbs: readonly Verb[] = [
  {
    name: 'explain',
    args: '[WORD]',
    minArgs: 0,
    maxArgs: 1,
    summary: 'Explain a code, a state or an exit status, and what to do about it.',
    example: 'tandem explain FROZEN',
    options: {},
    run,
  },
];
