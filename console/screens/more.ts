/**
 * What does not fit on the first screen, each with a word on what it is for; what to do about each
 * alarm; and how to mend a node in safe mode. Always holds: from the overview everything is reached
 * by letters that stand on the screens. Pure; imports core and the pieces of the views.
 */
import { plain, wrapCommands, type RenderOptions } from '../../src/cli/render.ts';
import { CODES, type Code } from '../../src/core/codes.ts';
import { recoveryOf } from '../../src/core/recovery.ts';
import type { Alarm } from '../../src/core/status.ts';
import { refusalOf } from '../actions.ts';
import { freshStatus } from '../facts.ts';
import { lineOf, plainLine, span, type Line, type Style } from '../picture.ts';
import type { Body, HotKey, Screen, ScreenName, State } from '../state.ts';
import { actionLines, UNKNOWN } from './words.ts';

const go = (letter: string, label: string, to: ScreenName): HotKey => ({
  letter,
  label,
  target: { go: to },
  refusal: null,
});

function moreKeys({ facts }: State): readonly HotKey[] {
  const { person } = facts;
  const status = freshStatus(facts);
  const alarms = status === null || status.alarms.length === 0 ? 'there is no alarm' : null;
  const control = person === null || person.via === 'control';
  return [
    { ...go('A', 'Alarms: what they mean, and what to do about them', 'advice'), refusal: alarms },
    go('T', 'Timed: what is scheduled and prepared, and answers to it', 'timed'),
    go('P', 'Power: restart this node, or shut it down', 'power'),
    go('B', 'Support bundle: logs and states in one file, for whoever helps', 'support'),
    go('E', 'Settings: console, dates; and the network as it is', 'settings'),
    go('W', 'Who: who is logged in, and who may change the pair', 'who'),
    {
      letter: 'H',
      label: 'Service shell: on this terminal, written to the audit log',
      target: { plan: { do: 'shell' } },
      refusal: refusalOf('shell', facts),
    },
    {
      letter: 'O',
      label: 'Log out',
      target: { logout: true },
      refusal: control ? 'there was no login on this way in; leave with Q' : null,
    },
    { letter: 'Q', label: 'Quit the console', target: { leave: true }, refusal: null },
  ];
}

function moreBody(state: State, options: RenderOptions): Body {
  return { lines: actionLines(moreKeys(state), options) };
}

const isCode = (code: string): code is Code => Object.hasOwn(CODES, code);

function adviceLines({ code, node, message }: Alarm, options: RenderOptions): readonly Line[] {
  const where = node === null ? '' : `node ${node}: `;
  const head = `${where}${plain(message, options)} (${plain(code, options)})`;
  const lines: Line[] = [];
  const tell = (text: string, indent: string, more: string, style: Style = 'plain'): void => {
    const clean = plain(text, options);
    const [first = '', ...rest] = wrapCommands(clean, options.columns - indent.length, more);
    lines.push(lineOf(indent, span(first.slice(more.length), style)));
    lines.push(...rest.map((line) => plainLine(indent + line)));
  };
  tell(head, '', '  ', 'bad');
  if (!isCode(code)) return [...lines, plainLine(`  tandem explain ${plain(code, options)}`)];
  const { means, works, todo, costs } = recoveryOf(code);
  tell(`Means: ${means}`, '  ', '  ');
  tell(`Works: ${works}`, '  ', '  ');
  for (const [index, step] of todo.entries()) tell(`${index + 1}. ${step}`, '  ', '   ');
  tell(`Costs: ${costs}`, '  ', '  ');
  return lines;
}

/** Where the commands of an advice are typed. */
const WHERE = 'Commands are for a shell of root on the node that is named.';

function adviceBody({ facts }: State, options: RenderOptions): Body {
  const status = freshStatus(facts);
  if (status === null) return { lines: [lineOf(span(UNKNOWN, 'warn'))] };
  const { alarms } = status;
  if (alarms.length === 0) return { lines: [plainLine('There is no alarm now.')] };
  const told = alarms.flatMap((alarm) => [...adviceLines(alarm, options), []]);
  return { lines: [...told, plainLine(WHERE)] };
}

/** Everything else. */
export const more: Screen = { title: 'More', body: moreBody, keys: moreKeys };
/** What to do about each alarm. */
export const advice: Screen = {
  title: 'Alarms: what to do',
  body: adviceBody,
  keys: () => [go('L', 'Log', 'log'), go('B', 'Support bundle', 'support')],
};
