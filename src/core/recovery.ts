/**
 * What an operator needs to know of an end, a state, an exit status or a code: what it means, what
 * still works, what to do, what it costs. `tandem explain`, the alarms and docs/recovery.md all say
 * it from these tables. Always holds: every code, end state, state word of the pair and exit status
 * has an entry, which the types check; a command in a text stands in backquotes as it is typed.
 * Pure; imports only core.
 */
import { CODES, type Code } from './codes.ts';
import { EXIT, type ExitStatus } from './exit.ts';
import { ACCESS_RECOVERY } from './recovery-access.ts';
import { CODE_RECOVERY } from './recovery-codes.ts';
import { PAIR_RECOVERY } from './recovery-pair.ts';
import { PREPARE_RECOVERY } from './recovery-prepare.ts';
import { SCHEDULE_RECOVERY } from './recovery-schedule.ts';
import { END_RECOVERY, STATE_RECOVERY } from './recovery-states.ts';
import { STATUS_RECOVERY } from './recovery-statuses.ts';
import { STORE_RECOVERY } from './recovery-store.ts';

/** Four answers, in sentences. */
export interface Recovery {
  readonly means: string;
  readonly works: string;
  /** What to do, in this order; alternatives begin with "Or". */
  readonly todo: readonly string[];
  readonly costs: string;
}

/** What the tables of codes add to title and next action. */
export interface CodeRecovery {
  readonly works: string;
  readonly costs: string;
  /** What follows the next action of the code. */
  readonly steps?: readonly string[];
  /** The daemon shows it by itself while it lasts, in `tandem status`. */
  readonly alarm?: true;
}

const BY_CODE: Readonly<Record<Code, CodeRecovery>> = {
  ...CODE_RECOVERY,
  ...ACCESS_RECOVERY,
  ...PAIR_RECOVERY,
  ...PREPARE_RECOVERY,
  ...SCHEDULE_RECOVERY,
  ...STORE_RECOVERY,
};

/** The whole of it for a code. */
export function recoveryOf(code: Code): Recovery {
  const { title, next } = CODES[code];
  const { works, costs, steps = [] } = BY_CODE[code];
  return { means: title, works, todo: [next, ...steps], costs };
}

/** Whether the daemon shows this code by itself as an alarm, while its cause lasts. */
export function isAlarm(code: Code): boolean {
  return BY_CODE[code].alarm === true;
}

/** State words of the pair and ends of a rollout, as `tandem status` shows them. */
export type StateWord = keyof typeof STATE_RECOVERY | keyof typeof END_RECOVERY;

/** Every state word of the pair and every end of a rollout, in the order of the docs. */
export const STATE_WORDS: Readonly<Record<StateWord, Recovery>> = {
  ...STATE_RECOVERY,
  ...END_RECOVERY,
};

/** Whether a word is a state of the pair or an end of a rollout. */
export function isStateWord(word: string): word is StateWord {
  return Object.hasOwn(STATE_WORDS, word);
}

/** The whole of it for an exit status; null for a number that is none. */
export function recoveryOfStatus(status: number): Recovery | null {
  const name = CLASSES.find(([, exit]) => exit === status)?.[0];
  return name === undefined ? null : STATUS_RECOVERY[name];
}

const CLASSES = Object.entries(EXIT) as readonly [keyof typeof EXIT, ExitStatus][];
