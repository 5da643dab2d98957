/**
 * Completion for bash, zsh and fish, made from the rows of the table. Always holds: what is offered
 * is what is parsed, since both read the same row; the scripts start no program but for the ids of
 * jobs, and then only one that looks. Imports core and the table.
 */
import { CODES } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { NODES } from '../core/model.ts';
import { SETTING_KEYS } from '../core/settings.ts';
import { ROLES } from '../core/access.ts';
import { GLOBAL_OPTIONS } from './parse.ts';
import { allVerbs } from './table.ts';
import { flag, printJson } from './values.ts';
import type { CliIo, Verb, VerbOption, VerbValues } from './verb.ts';

/** Shells that there is a completion for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

/** What may stand in a place: words, the name of a file, or the id of a job. */
type Offer = readonly string[] | 'file' | 'job' | 'nothing';

/** Arguments by the word that the usage line has for them. */
const ARGUMENTS: Readonly<Record<string, Offer>> = {
  FILE: 'file',
  'FILE|ID': 'file',
  SPEC: 'file',
  BUNDLE: 'file',
  ID: 'job',
  SHELL: SHELLS,
  KEY: SETTING_KEYS,
  ROLE: ROLES,
  NODE: NODES,
  WORD: Object.keys(CODES),
};

/** What each argument of a verb may be. */
function offersOf({ args, name }: Verb): readonly Offer[] {
  const words = args.split(' ').filter((word) => word !== '');
  return words.map((word) => {
    const plain = word.replaceAll(/[[\].]/g, '');
    // Ids of archives are words of their own.
    return name.startsWith('support') ? 'nothing' : (ARGUMENTS[plain] ?? 'nothing');
  });
}

function offerOfValue({ choices, value }: VerbOption): Offer {
  if (choices !== undefined) return choices;
  return value === 'FILE' || value === 'PATH' || value === 'DIR' ? 'file' : 'nothing';
}

const optionsOf = (verb: Verb): readonly (readonly [string, VerbOption])[] =>
  Object.entries<VerbOption>({ ...verb.options, ...GLOBAL_OPTIONS });

/** The script for a shell; throws `usage.invalid` for a shell that is not known. */
export async function completionFor(name: string): Promise<string> {
  const shell = SHELLS.find((one) => one === name);
  if (shell === undefined) {
    throw new UpdateError('usage.invalid', `${name} is no shell; accepted: ${SHELLS.join(', ')}`);
  }
  return scriptOf(shell, await allVerbs());
}

function scriptOf(shell: Shell, verbs: readonly Verb[]): string {
  if (shell === 'fish') return fish(verbs);
  const driver = shell === 'bash' ? BASH : ZSH;
  return driver.replace('@DATA@', data(verbs));
}

/** A word in single quotes, for every shell here. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Verbs by their first word. */
function byFirst(verbs: readonly Verb[]): ReadonlyMap<string, readonly Verb[]> {
  const found = new Map<string, Verb[]>();
  for (const verb of verbs) {
    const [first = ''] = verb.name.split(' ');
    found.set(first, [...(found.get(first) ?? []), verb]);
  }
  return found;
}

/** What a first word opens, in one line. */
function summaryOf(first: string, verbs: readonly Verb[]): string {
  const own = verbs.find(({ name }) => name === first);
  if (own !== undefined) return own.summary;
  return verbs.map(({ name }) => name.slice(first.length + 1)).join(', ');
}

/** A command that prints a word and its sentence. */
const line = (word: string, help: string): string =>
  `printf '%s\\t%s\\n' ${quoted(word)} ${quoted(help)}`;

/** A function that goes by its argument. */
function block(name: string, cases: readonly string[]): string {
  const lines = cases.map((one) => `    ${one}`);
  return [`${name}() {`, '  case "$1" in', ...lines, '  esac', '}'].join('\n');
}

/** Functions for sh that print what may stand somewhere, a word and its sentence a line. */
function data(verbs: readonly Verb[]): string {
  const groups = [...byFirst(verbs)];
  const firsts = groups.map(([first, own]) => `  ${line(first, summaryOf(first, own))}`);
  firsts.push(`  ${line('help', 'Arguments, options and an example of a verb.')}`);
  const inners = groups.flatMap(([first, own]) => {
    return own.flatMap(({ name }) => (name === first ? [] : [quoted(name)]));
  });
  const seconds = groups.flatMap(([first, own]) => {
    const inner = own.filter(({ name }) => name !== first);
    if (inner.length === 0) return [];
    const lines = inner.map(({ name, summary }) => line(name.slice(first.length + 1), summary));
    return [`${quoted(first)}) ${lines.join('; ')} ;;`];
  });
  const options = verbs.map((verb) => {
    const lines = optionsOf(verb).map(([name, { help }]) => line(`--${name}`, help));
    return `${quoted(verb.name)}) ${lines.join('; ')} ;;`;
  });
  const values = verbs.flatMap((verb) =>
    optionsOf(verb).flatMap(([name, option]) => {
      if (option.type !== 'string') return [];
      return [`${quoted(`${verb.name} --${name}`)}) ${offered(offerOfValue(option))} ;;`];
    }),
  );
  const args = verbs.flatMap((verb) =>
    offersOf(verb).map((offer, index) => {
      return `${quoted(`${verb.name} ${index}`)}) ${offered(offer)} ;;`;
    }),
  );
  return [
    `_tandem_firsts() {\n${firsts.join('\n')}\n}`,
    block('_tandem_seconds', [...seconds, "'help') _tandem_firsts ;;"]),
    // Fails for what is not the name of a verb in two words.
    block('_tandem_inner', [`${inners.join('|')}) ;;`, '*) return 1 ;;']),
    block('_tandem_options', options),
    // Fails for what is no option with a value.
    block('_tandem_values', [...values, '*) return 1 ;;']),
    block('_tandem_args', args),
    JOBS,
  ].join('\n\n');
}

/** A command that prints what is offered. */
function offered(offer: Offer): string {
  if (offer === 'file') return "printf '<file>\\n'";
  if (offer === 'job') return '_tandem_jobs';
  if (offer === 'nothing') return ':';
  return `printf '%s\\n' ${offer.map(quoted).join(' ')}`;
}

const ID_PATTERN = `s/.*"id":"\\([^"]*\\)".*/\\1/p`;
const JOBS = `_tandem_jobs() {
  tandem job list --json 2>/dev/null | tr ',' '\\n' | sed -n '${ID_PATTERN}'
}`;

const BASH = `# Completion of tandem(1) for bash; made by \`tandem completion bash\`.

@DATA@

_tandem() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local verb=\${COMP_WORDS[1]} start=2 index=0 found='' word=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    found=$(_tandem_firsts)
  else
    if [ "$COMP_CWORD" -eq 2 ]; then
      if [ -n "$(_tandem_seconds "$verb")" ]; then
        found=$(_tandem_seconds "$verb"; _tandem_args "$verb 0"; _tandem_options "$verb")
      fi
    elif _tandem_inner "$verb \${COMP_WORDS[2]}"; then
      verb="$verb \${COMP_WORDS[2]}" start=3
    fi
    if [ -z "$found" ] && ! found=$(_tandem_values "$verb $previous"); then
      if [ "\${current#-}" != "$current" ]; then
        found=$(_tandem_options "$verb")
      else
        while [ "$start" -lt "$COMP_CWORD" ]; do
          word=\${COMP_WORDS[start]}
          if _tandem_values "$verb $word" >/dev/null; then
            start=$((start + 1))
          elif [ "\${word#-}" = "$word" ]; then
            index=$((index + 1))
          fi
          start=$((start + 1))
        done
        found=$(_tandem_args "$verb $index")
        [ -n "$found" ] || found=$(_tandem_options "$verb")
      fi
    fi
  fi
  while IFS=$'\\t' read -r word _; do
    if [ "$word" = '<file>' ]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current")
      continue
    fi
    [ "\${word#"$current"}" != "$word" ] || [ -z "$current" ] || continue
    [ -z "$word" ] || COMPREPLY+=("$word")
  done <<< "$found"
}

complete -F _tandem tandem
`;

const ZSH = `#compdef tandem
# Completion of tandem(1) for zsh; made by \`tandem completion zsh\`.

@DATA@

_tandem_offer() {
  local found=$1 word help
  local -a items
  [[ $'\\n'$found$'\\n' == *$'\\n<file>\\n'* ]] && _files
  while IFS=$'\\t' read -r word help; do
    [[ -n $word && $word != '<file>' ]] && items+=("\${word//:/\\\\:}:$help")
  done <<< "$found"
  (( \${#items} )) && _describe 'tandem' items
}

_tandem() {
  local current=\${words[CURRENT]} previous=\${words[CURRENT-1]} verb=\${words[2]}
  local found word
  integer start=3 index=0
  if (( CURRENT == 2 )); then
    _tandem_offer "$(_tandem_firsts)"
    return
  fi
  if (( CURRENT == 3 )) && [[ -n "$(_tandem_seconds "$verb")" ]]; then
    _tandem_offer "$(_tandem_seconds "$verb"; _tandem_args "$verb 0"; _tandem_options "$verb")"
    return
  fi
  if (( CURRENT > 3 )) && _tandem_inner "$verb \${words[3]}"; then
    verb="$verb \${words[3]}" start=4
  fi
  if found=$(_tandem_values "$verb $previous"); then
    _tandem_offer "$found"
    return
  fi
  if [[ $current != -* ]]; then
    while (( start < CURRENT )); do
      word=\${words[start]}
      if _tandem_values "$verb $word" >/dev/null; then
        (( start += 1 ))
      elif [[ $word != -* ]]; then
        (( index += 1 ))
      fi
      (( start += 1 ))
    done
    found=$(_tandem_args "$verb $index")
  fi
  [[ -n $found ]] || found=$(_tandem_options "$verb")
  _tandem_offer "$found"
}

if [[ $funcstack[1] == _tandem ]]; then
  _tandem "$@"
else
  compdef _tandem tandem
fi
`;

/** One line of a completion for fish. */
const complete = (when: string, rest: string): string =>
  `complete -c tandem -n ${quoted(when)} ${rest}`;

/** A line for each verb and option, as fish wants them. */
function fish(verbs: readonly Verb[]): string {
  const lines = [...byFirst(verbs)].map(([first, own]) => {
    const help = quoted(summaryOf(first, own));
    return complete('__tandem_words 0', `-a ${quoted(first)} -d ${help}`);
  });
  for (const verb of verbs) {
    const [first = '', second] = verb.name.split(' ');
    if (second !== undefined) {
      const help = quoted(verb.summary);
      lines.push(complete(`__tandem_words 1 ${first}`, `-a ${quoted(second)} -d ${help}`));
    }
    const when = `__tandem_verb ${verb.name}`;
    for (const [name, option] of optionsOf(verb)) {
      const value = option.type === 'string' ? ` -r${fishOffer(offerOfValue(option))}` : '';
      lines.push(complete(when, `-l ${name}${value} -d ${quoted(option.help)}`));
    }
    const [offer = 'nothing'] = offersOf(verb);
    if (offer !== 'nothing') lines.push(complete(when, fishOffer(offer).trim()));
  }
  return `${FISH}${lines.join('\n')}\n`;
}

function fishOffer(offer: Offer): string {
  if (offer === 'file') return ' -F';
  if (offer === 'nothing') return ' -f';
  const words = offer === 'job' ? '(__tandem_jobs)' : offer.join(' ');
  return ` -f -a ${quoted(words)}`;
}

const FISH = `# Completion of tandem(1) for fish; made by \`tandem completion fish\`.

function __tandem_plain
    for word in (commandline -opc)[2..]
        string match -q -- '-*' $word; or echo $word
    end
end

function __tandem_words -a count first
    set -l words (__tandem_plain)
    test (count $words) -eq $count; or return 1
    test -z "$first"; or test "$words[1]" = "$first"
end

function __tandem_verb
    set -l words (__tandem_plain)
    test (count $words) -ge (count $argv); or return 1
    test "$words[1..$(count $argv)]" = "$argv"
end

function __tandem_jobs
    tandem job list --json 2>/dev/null | tr ',' '\\n' | sed -n '${ID_PATTERN}'
end

complete -c tandem -f
`;

async function run(
  [shell = '']: readonly string[],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const script = await completionFor(shell);
  if (flag(values, 'json')) printJson(io, { shell, script });
  else io.out(script);
  return 0;
}

/** The verb that prints completions. */
export const completionVerbs: readonly Verb[] = [
  {
    name: 'completion',
    args: 'SHELL',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Print the completion for bash, zsh or fish.',
    example: 'tandem completion bash',
    options: {},
    run,
  },
];
