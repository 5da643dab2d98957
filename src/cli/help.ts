/**
 * Help, made from the rows of the table. Always holds: what is shown is what is parsed, since both
 * read the same row. Imports core and the table.
 */
import { findVerb, GLOBAL_OPTIONS } from './parse.ts';
import { allVerbs, TABLE, verbsOf } from './table.ts';
import type { Verb, VerbOption } from './verb.ts';

/**
 * Help for a verb, for the verbs that a word opens (`bundle`), or for the program. Throws
 * `usage.invalid` with the nearest name for an unknown topic.
 */
export async function helpText(topic: readonly string[]): Promise<string> {
  const [word] = topic;
  if (word === undefined) return overview(await allVerbs());
  const verbs = await verbsOf(word);
  const whole = verbs.find((verb) => verb.name === topic.join(' '));
  if (whole !== undefined) return verbHelp(whole);
  if (topic.length === 1 && verbs.length > 1) return listing(verbs);
  const only = topic.length === 1 && verbs.length === 1 ? verbs[0] : undefined;
  return verbHelp(only ?? (await findVerb(topic)).verb);
}

function overview(verbs: readonly Verb[]): string {
  const order = TABLE.flatMap((group) => group.words);
  const sorted = verbs.toSorted(
    (a, b) => order.indexOf(a.name.split(' ')[0]!) - order.indexOf(b.name.split(' ')[0]!),
  );
  return [
    'tandem: firmware updates for a pair of appliances, one active and one standby',
    '',
    'Usage: tandem VERB [ARGUMENTS] [--json]',
    '',
    ...rows(sorted),
    '',
    'tandem help VERB     arguments, options and an example',
    'tandem explain       every exit status and error code, with the next action',
    'tandem --version     version of this program',
    '',
  ].join('\n');
}

function listing(verbs: readonly Verb[]): string {
  return [...rows(verbs), '', 'tandem help VERB shows arguments, options and an example.', ''].join(
    '\n',
  );
}

function rows(verbs: readonly Verb[]): string[] {
  const shown = verbs.map((verb) => `${verb.name} ${verb.args}`.trim());
  const width = Math.max(...shown.map((text) => text.length));
  return verbs.map((verb, index) => `  ${shown[index]!.padEnd(width)}  ${verb.summary}`);
}

/** Usage, options and example of one verb. */
export function verbHelp(verb: Verb): string {
  const options: [string, VerbOption][] = [
    ...Object.entries(verb.options),
    ...Object.entries(GLOBAL_OPTIONS),
  ];
  const shown = options.map(
    ([name, option]) => `--${name}${option.type === 'string' ? ` ${option.value ?? 'VALUE'}` : ''}`,
  );
  const width = Math.max(...shown.map((text) => text.length));
  return [
    verb.summary,
    '',
    `Usage: tandem ${verb.name} ${verb.args}`.trimEnd() + ' [OPTIONS]',
    '',
    ...options.map(([, option], index) => `  ${shown[index]!.padEnd(width)}  ${option.help}`),
    '',
    `Example: ${verb.example}`,
    '',
  ].join('\n');
}
