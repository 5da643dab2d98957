/**
 * What happened: events as they come, what operators asked for, earlier updates; all filtered by a
 * word. And the help. Always holds: the newest stands first, because it is what is asked for; text
 * from logs and peers is made harmless. Pure; imports core and the pieces of the views.
 */
import { plain, stamp, wrap, type RenderOptions } from '../../src/cli/render.ts';
import { phaseWords } from '../../src/cli/render-rollout.ts';
import type { AuditEntry } from '../../src/core/operator.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import type { TandemEvent } from '../../src/core/status.ts';
import { lineOf, plainLine, plainLines, span, type Line } from '../picture.ts';
import type { Body, HotKey, LogList, Screen, State } from '../state.ts';

function eventText(event: TandemEvent, options: RenderOptions): string {
  const node = event.node ?? '-';
  const done = event.pct === null ? '' : ` ${Math.floor(event.pct)} %`;
  const code = event.code === null ? '' : ` (${event.code})`;
  return `${stamp(event.ts, options)} ${node} ${plain(event.msg, options)}${done}${code}`;
}

function auditText(entry: AuditEntry, options: RenderOptions): string {
  const why = entry.reason === null ? '' : `, "${entry.reason}"`;
  const text = `${entry.act} by ${entry.by}${why}: ${entry.result}, ${entry.message}`;
  return `${stamp(entry.at, options)} ${entry.node} ${plain(text, options)}`;
}

function updateText(record: RolloutRecord, options: RenderOptions): string {
  const end = phaseWords(record.phase, record);
  const why = record.result === null ? '' : `: ${record.result.message} (${record.result.code})`;
  const text = `${record.kind} to ${record.to.version}, ${end}${why}`;
  return `${stamp(record.startedAt, options)} ${plain(text, options)}`;
}

/** Entries of the list that is shown, newest first; null while they are not known. */
function entries(state: State, options: RenderOptions): readonly string[] | null {
  if (state.list === 'events') {
    return state.facts.events.map((event) => eventText(event, options)).toReversed();
  }
  if (state.list === 'audit') return state.audit?.map((one) => auditText(one, options)) ?? null;
  return state.history?.map((one) => updateText(one, options)) ?? null;
}

const TITLES: Readonly<Record<LogList, string>> = {
  events: 'Events of both nodes',
  audit: 'What operators asked this node for',
  updates: 'Updates of this pair',
};

function body(state: State, options: RenderOptions): Body {
  const { filter, list } = state;
  const head = lineOf(
    span(TITLES[list], 'strong'),
    ', newest first',
    filter === '' ? '' : `, only with "${plain(filter, options)}"`,
  );
  const all = entries(state, options);
  if (all === null) return { lines: [head, [], plainLine('Asking the daemon ...')] };
  const word = filter.toLowerCase();
  const found = all.filter((text) => text.toLowerCase().includes(word));
  const none = all.length === 0 ? 'There is none yet.' : 'None of them has the word.';
  const lines = found.flatMap((text) => {
    const [first = '', ...more] = wrap(text, options.columns);
    return [
      plainLine(first),
      ...more.map((rest) => plainLine(`    ${rest}`.slice(0, options.columns))),
    ];
  });
  return { lines: [head, [], ...(lines.length === 0 ? [plainLine(none)] : lines)] };
}

function keys({ list }: State): readonly HotKey[] {
  const one = (letter: string, label: string, name: LogList): HotKey => ({
    letter,
    label,
    target: { list: name },
    refusal: list === name ? 'it is shown already' : null,
  });
  return [
    { letter: '/', label: 'Filter', target: { open: { use: 'filter' } }, refusal: null },
    one('E', 'Events', 'events'),
    one('A', 'Audit', 'audit'),
    one('U', 'Updates', 'updates'),
  ];
}

const HELP: readonly string[] = [
  '*Keys, the same on every screen',
  '  letter      what the bottom line or the screen names; upper or lower case',
  '  Esc         back; from everywhere it ends at the overview',
  '  Enter       go on with what is chosen or typed',
  '  Up Down     choose or scroll; PgUp, PgDn, or - and Space for a page',
  '  ?           this help',
  '  Ctrl-L      draw anew, and ask the terminal for its size',
  '  Ctrl-C      leave a dialog, or ask whether to leave the console',
  '',
  '*Words',
  '  active, standby    the node that serves, and the one that could take over',
  '  slot A, B          the two places for an image; one is booted',
  '  trial              a boot of the other slot that is not committed yet',
  '  commit             the new version was healthy and becomes the default',
  '  roll back          both nodes return to the old version',
  '  make permanent     the old version is given up',
  '  stand down         a node promises not to take over',
  '  right to change    one person at a console has it at a time: [M] More, [W] Who',
  '  UNKNOWN            nothing fresh was heard; it is no guess and no old value',
  '',
  '*Without this console',
  '  tandem status              this overview',
  '  tandem cluster status      what the pair waits for',
  '  tandem update FILE         an update; --dry-run only checks',
  '  tandem rollback            the way back',
  '  tandem support             a support bundle',
  '  tandem settings show       settings, and the network',
  '  tandem explain CODE        what a code means, and what to do',
  '  tandem console --plain     this console line by line, for a screen reader',
];

function helpBody(_state: State, options: RenderOptions): Body {
  const lines: readonly Line[] = HELP.flatMap((text) =>
    text.startsWith('*')
      ? [lineOf(span(text.slice(1), 'strong'))]
      : plainLines(text.length <= options.columns ? [text] : wrap(text, options.columns)),
  );
  return { lines };
}

/** What happened. */
export const log: Screen = { title: 'Log', body, keys };
/** What the keys do and what the words mean. */
export const help: Screen = { title: 'Help', body: helpBody, keys: () => [] };
