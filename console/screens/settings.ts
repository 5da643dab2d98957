/**
 * The settings of the node that this console is at, and its network as it is. Always holds: what is
 * shown as a setting can be changed here without any risk to the service; what cannot says where it
 * is changed. Pure; imports core and the pieces of the views.
 */
import { plain, wrap, type RenderOptions } from '../../src/cli/render.ts';
import { SETTING_KEYS, SETTING_RULES } from '../../src/core/settings.ts';
import type { SettingKey, SettingsView } from '../../src/core/settings.ts';
import { refusalOf } from '../actions.ts';
import { plainLine, plainLines, lineOf, span, type Line } from '../picture.ts';
import type { Body, HotKey, Screen, State, Target } from '../state.ts';
import { actionLines } from './words.ts';

const LABEL = 18;
const VALUE = 12;

function networkLines({ network }: SettingsView, options: RenderOptions): readonly Line[] {
  const { host, interfaces, link, serial, service } = network;
  const row = (label: string, value: string): readonly Line[] => {
    const text = plain(value, options);
    const [first = '', ...more] = wrap(text, options.columns - LABEL - 2);
    const indent = ' '.repeat(LABEL + 2);
    const head = plainLine(
      `  ${plain(label, options)
        .slice(0, LABEL - 1)
        .padEnd(LABEL)}${first}`,
    );
    return [head, ...plainLines(more.map((rest) => indent + rest))];
  };
  return [
    lineOf(span('Network of this node, as it is now', 'strong')),
    ...row('host name', host),
    ...interfaces.flatMap(({ name, addresses }) => row(name, addresses.join(', '))),
    ...row('service', service),
    ...row('link to the peer', `${link.listen}, peer ${link.peer}, bundles ${link.bulk}`),
    ...row('serial link', serial ?? 'none'),
    ...plainLines(
      wrap(
        'Addresses of interfaces are changed in the system, those of service and link in ' +
          '/etc/tandem/tandem.jsonc on both nodes (`tandem config check` reads it).',
        options.columns,
        '  ',
      ),
    ),
  ];
}

function settingsBody(state: State, options: RenderOptions): Body {
  const { settings } = state;
  if (settings === null) return { lines: [plainLine('Asking the daemon ...')] };
  const problem = settings.problem === null ? [] : wrap(settings.problem, options.columns);
  const lines: Line[] = [
    lineOf(span(`Settings of node ${settings.node}`, 'strong'), ', kept on this node alone'),
    ...plainLines(problem.map((text) => plain(text, options))),
    [],
  ];
  const rows = SETTING_KEYS.map((_, index) => lines.length + index);
  for (const [index, key] of SETTING_KEYS.entries()) {
    const sign = index === state.chosen ? span('>', 'chosen') : ' ';
    const value = String(settings.settings[key]).padEnd(VALUE);
    const text = ` ${index + 1}  ${key.padEnd(14)}${value}${SETTING_RULES[key].summary}`;
    lines.push(lineOf(sign, plain(text, options)));
  }
  return {
    lines: [
      ...lines,
      [],
      ...actionLines(settingsKeys(state), options),
      [],
      ...networkLines(settings, options),
    ],
    rows,
  };
}

function chosenKey({ settings, chosen }: State): SettingKey | null {
  return settings === null ? null : (SETTING_KEYS[chosen] ?? null);
}

function toForm(state: State): Target | null {
  const key = chosenKey(state);
  return key === null ? null : { open: { use: 'setting', key } };
}

function settingsKeys(state: State): readonly HotKey[] {
  const target = toForm(state);
  return [
    {
      letter: 'C',
      label: 'Change the chosen setting',
      target: target ?? { go: 'settings' },
      refusal: target === null ? 'the daemon has not answered yet' : changeRefusal(state),
    },
  ];
}

function changeRefusal({ facts }: State): string | null {
  return refusalOf('setting', facts);
}

/** Enter does what the letter does, also in what is refused. */
function entered(state: State): Target | null {
  return changeRefusal(state) === null ? toForm(state) : null;
}

/** What can be changed without risk, and the network. */
export const settings: Screen = {
  title: 'Settings',
  body: settingsBody,
  keys: settingsKeys,
  enter: entered,
};
