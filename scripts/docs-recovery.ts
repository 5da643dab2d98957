/**
 * The generated parts of docs/recovery.md: states of the pair, ends of an update, exit statuses and
 * codes, each with meaning, what still works, what to do and what it costs. Always holds: all of it
 * comes from the tables in src/core/recovery.ts, from which `tandem explain` prints too. Imports
 * core and the verb `explain`.
 */
import { explainAll } from '../src/cli/explain.ts';
import type { Recovery } from '../src/core/recovery.ts';

const COLUMNS = 100;

/** Words and commands wrapped at the width, every line but the first one indented. */
export function wrapped(first: string, text: string, indent: string): string {
  const lines: string[] = [];
  let line = first;
  // A command is one word: it is typed as it stands.
  for (const word of text.match(/[^\s`]*`[^`]+`[^\s`]*|\S+/g) ?? []) {
    if (`${line} ${word}`.length > COLUMNS) {
      lines.push(line);
      line = indent.slice(1);
    }
    line += ` ${word}`;
  }
  return [...lines, line].join('\n');
}

function answers({ works, todo, costs }: Recovery): string[] {
  const steps =
    todo.length === 1
      ? [wrapped('- **To do:**', todo[0]!, '  ')]
      : ['- **To do:**', ...todo.map((step, n) => wrapped(`  ${n + 1}.`, step, '     '))];
  return [wrapped('- **Works:**', works, '  '), ...steps, wrapped('- **Costs:**', costs, '  ')];
}

function chapter(heading: string, recovery: Recovery): string {
  const means = wrapped('', recovery.means, ' ').trimStart();
  return [`### ${heading}`, '', means, '', ...answers(recovery)].join('\n');
}

/** Numbers in the text, so that the list of codes stays readable: one entry per code. */
function entry(heading: string, { means, works, todo, costs }: Recovery): string {
  const steps =
    todo.length === 1 ? todo[0]! : todo.map((step, n) => `(${n + 1}) ${step}`).join(' ');
  const text = `${means} **Works:** ${works} **To do:** ${steps} **Costs:** ${costs}`;
  return wrapped(`- ${heading}:`, text, '  ');
}

const ALL = explainAll();

function states(kind: 'pair' | 'end'): string {
  const found = ALL.states.filter((one) => one.kind === kind);
  return found.map((one) => chapter(one.state, one)).join('\n\n');
}

function statuses(): string {
  return ALL.statuses.map((one) => chapter(`${one.exit}: ${one.class}`, one)).join('\n\n');
}

function alarms(): string {
  const found = ALL.codes.filter((one) => one.alarm);
  return found.map((one) => chapter(one.code, one)).join('\n\n');
}

function codes(): string {
  const found = ALL.codes.filter((one) => !one.alarm);
  return found.map((one) => entry(`**\`${one.code}\`** (exit ${one.exit})`, one)).join('\n');
}

/** The parts of docs/recovery.md by their names. */
export const RECOVERY_PARTS: Readonly<Record<string, () => string>> = {
  'recovery-states': () => states('pair'),
  'recovery-ends': () => states('end'),
  'recovery-statuses': statuses,
  'recovery-alarms': alarms,
  'recovery-codes': codes,
};
