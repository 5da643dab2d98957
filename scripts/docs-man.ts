/**
 * The man page tandem(1), made from the table of verbs, the exit statuses and the codes: what a
 * script needs is in it, and a test writes one from it alone. Always holds: no line that it prints
 * is taken for a request of roff that is not meant as one. Imports core and the table of verbs.
 */
import { GLOBAL_OPTIONS } from '../src/cli/parse.ts';
import { allVerbs } from '../src/cli/table.ts';
import type { Verb, VerbOption } from '../src/cli/verb.ts';
import { VERSION } from '../src/cli/version.ts';
import { CODES, EXIT } from '../src/core/codes.ts';
import { EXIT_WORDS } from '../src/core/exit.ts';

/** Text as roff prints it: hyphens that can be copied, words in backticks bold. */
function prose(text: string): string {
  const marked = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/`([^`]*)`/g, '\\fB$1\\fR');
  return /^[.']/.test(marked) ? `\\&${marked}` : marked;
}

const bold = (text: string): string => `\\fB${prose(text)}\\fR`;
const section = (title: string, ...lines: string[]): string[] => [`.SH ${title}`, ...lines];
/** A term and what it is. */
const item = (term: string, ...words: string[]): string[] => ['.TP', term, ...words.map(prose)];
const literal = (...lines: string[]): string[] => [
  '.PP',
  '.RS 4',
  '.nf',
  ...lines.map(prose),
  '.fi',
  '.RE',
];

/** `FILE` in italics, what stands around it as it is. */
const argument = (text: string): string =>
  prose(text).replaceAll(/[A-Z|]{2,}|[A-Z]\|[A-Z]/g, (word) => `\\fI${word}\\fR`);

function optionItem([name, option]: readonly [string, VerbOption]): string[] {
  const value = option.type === 'string' ? ` \\fI${prose(option.value ?? 'VALUE')}\\fR` : '';
  const unsaid = option.choices?.filter((word) => !option.help.includes(word)) ?? [];
  const words = unsaid.length === 0 ? '' : ` One of ${option.choices?.join(', ')}.`;
  return item(`${bold(`--${name}`)}${value}`, `${option.help}${words}`);
}

function verbPart(verb: Verb): string[] {
  const { name, args, summary, example, options } = verb;
  return [
    `.SS "tandem ${prose(name)}${args === '' ? '' : ` ${argument(args)}`}"`,
    prose(summary),
    ...Object.entries(options).flatMap(optionItem),
    '.PP',
    'Example:',
    '.br',
    `.B ${prose(example)}`,
  ];
}

function statuses(): string[] {
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[];
  return names.flatMap((name) => {
    const codes = Object.entries(CODES).filter(([, { exit }]) => exit === EXIT[name]);
    const listed = codes.length === 0 ? '' : ` Codes: ${codes.map(([code]) => code).join(', ')}.`;
    return item(bold(String(EXIT[name])), `${EXIT_WORDS[name]}.${listed}`);
  });
}

const DESCRIPTION = [
  'Two appliances work as a pair: the active one serves, the standby takes over when ' +
    'the active one fails. `tandem` updates both of them with one signed file, ' +
    '`update.bin`, while the service goes on. It is a client of the daemon of the node ' +
    'that it runs on; either node takes any command, and what only the active one can ' +
    'do is handed to it.',
  'A change is a job of the daemon. Without `--wait` a command returns when the job ' +
    'was accepted; with it, when the job has ended, and its exit status is that of the ' +
    'end. Ctrl-C, `--timeout` and the end of the terminal end the wait and never the ' +
    'job. A daemon that restarts, and a node that reboots, are waited for.',
  'Results are on standard output, progress and errors on standard error. With ' +
    '`--json` standard output has one JSON object, of an error too; with `--json ' +
    '--follow` one a line. Nothing is ever asked where no terminal is; `--yes` asks ' +
    'nothing on a terminal either.',
] as const;

const SCRIPTS = [
  'Go by the exit status; it is a class of outcome, and the code word in `--json` ' +
    'names the cause. Up to 24 nothing was changed; a hook that refuses before ' +
    'the update has begun is 20. 30, 31 and 41 say that both nodes run the old version ' +
    'again, or still; the veto of a later hook is 30. 32 says that the second node ' +
    'failed: see `tandem status`. 33 wants a person. 40 and 50 say nothing about the ' +
    'job: ask again with `tandem job wait`.',
  'A script that may be ended and started again, by a reboot of its own node for ' +
    'instance, gives its change an `--idempotency-key`: then the change is made once, ' +
    'and the second run is given the job of the first one. A whole update:',
] as const;

const SCRIPT = [
  'ID=$(tandem update "$FILE" --detach --yes --idempotency-key "$KEY") || exit',
  'until tandem job wait "$ID" --patient --timeout 3600; do',
  '  STATUS=$?',
  '  case $STATUS in 40|50) ;; *) exit $STATUS ;; esac',
  'done',
  'tandem cluster status --wait-ready --timeout 600 && tandem commit --wait --yes',
] as const;

const JSON_PART = [
  'An error is `error` with `code`, `message`, `next` and sometimes `detail`, and ' +
    'beside it `exit`. A job has the fields below; `exit` is null while it runs. An ' +
    'event, a line of `--follow --json`, has `v`, `seq`, `ts`, `job`, `node`, `phase`, ' +
    '`state`, `pct`, `eta_s`, `msg` and `code`; the last line has `exit`, too. Fields ' +
    'are only ever added.',
] as const;

const JOB = [
  '{"id": "update-5f2d0c1b9a", "kind": "update",',
  ' "state": "running" or "done" or "failed",',
  ' "exit": null, "code": null, "message": "phase TRIAL1", "next": null,',
  ' "startedAt": "2026-11-21T11:35:48.000Z", "endedAt": null}',
] as const;

const HTTP =
  'The daemon answers the same over HTTP on its sockets: `GET /v1/openapi.json` describes it, ' +
  'and with it what the verbs print: the answer of the operation, with `exit` beside it where ' +
  'that says more.';

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ['TANDEM_SOCKET', 'Control socket of the daemon.'],
  ['TANDEM_CONSOLE_SOCKET', 'Socket that takes a login, for `tandem console`.'],
  ['TANDEM_CONFIG', 'Configuration of the node, which names the sockets.'],
  ['TANDEM_DEBUG', 'When set, an internal error shows where it was met.'],
  ['USER', 'The name that the audit log shows of who called; it proves nothing.'],
];

const FILES: readonly (readonly [string, string])[] = [
  ['/etc/tandem/tandem.jsonc', 'Configuration; `tandem config example` prints one.'],
  ['/run/tandem/control.sock', 'Control socket, for root and the group tandem.'],
  ['/run/tandem/console.sock', 'Console socket, for everybody; takes a login.'],
  ['/etc/tandem/hooks.d', 'Hooks: programs in `check.d`, `health.d` and others.'],
  ['/var/lib/tandem', 'State of the node: journal, bundles, keys, logs.'],
];

const paragraphs = (texts: readonly string[]): string[] =>
  texts.flatMap((text) => ['.PP', prose(text)]);
const items = (rows: readonly (readonly [string, string])[]): string[] =>
  rows.flatMap(([term, words]) => item(bold(term), words));

/** The page, in roff with the macros of man(7). */
export async function manPage(): Promise<string> {
  const verbs = await allVerbs();
  const lines = [
    `.TH TANDEM 1 "" "Tandem ${VERSION}" "User Commands"`,
    ...section('NAME', 'tandem \\- update the firmware of appliances that work in pairs'),
    ...section(
      'SYNOPSIS',
      '.B tandem',
      '.I VERB',
      '[\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]',
      '.br',
      '.B tandem help',
      '[\\fIVERB\\fR]',
    ),
    ...section('DESCRIPTION', ...paragraphs(DESCRIPTION)),
    ...section('OPTIONS OF EVERY VERB', ...Object.entries(GLOBAL_OPTIONS).flatMap(optionItem)),
    ...section('VERBS', ...verbs.flatMap(verbPart)),
    ...section('EXIT STATUS', 'Any verb may end with any of these.', ...statuses()),
    ...section('SCRIPTS', ...paragraphs(SCRIPTS), ...literal(...SCRIPT)),
    ...section('JSON', ...paragraphs(JSON_PART), ...literal(...JOB), ...paragraphs([HTTP])),
    ...section('ENVIRONMENT', ...items(ENVIRONMENT)),
    ...section('FILES', ...items(FILES)),
    ...section('SEE ALSO', `${bold('tandem explain')} says of each code what to do about it.`),
  ];
  return `${lines.join('\n')}\n`;
}
