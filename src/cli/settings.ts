/**
 * The verbs of a node's settings: what they are, and setting one. Always holds: a value is refused
 * by the daemon and not by this process, so that both always mean the same. Imports core, the
 * control client and its own folder.
 */
import { EXIT } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { nearestName } from '../core/nearest.ts';
import { SETTING_KEYS, SETTING_RULES, settingKey, type SettingsView } from '../core/settings.ts';
import { REASON_OPTION, why } from './confirm.ts';
import { DETAILED_OPTION, exitOfChange } from './preview.ts';
import { plain, table, wrap, type RenderOptions } from './render.ts';
import { CLIENT_OPTIONS, connect, flag, KEY_OPTION, printJson, printLines } from './values.ts';
import { renderOptions } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';

async function show(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const view = await (await connect(values, io)).settings(io.signal);
  if (flag(values, 'json')) printJson(io, view);
  else printLines(io, renderSettings(view, renderOptions(io)));
  return EXIT.done;
}

async function set(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const [name = '', value = ''] = args;
  const key = settingKey(name);
  if (key === null) {
    const near = nearestName(name, SETTING_KEYS);
    const hint = near === null ? '' : `; did you mean ${near}?`;
    const message = `${name} is no setting${hint}; accepted: ${SETTING_KEYS.join(', ')}`;
    throw new UpdateError('usage.invalid', message);
  }
  const client = await connect(values, io);
  const answer = await client.set({ key, value, ...why(values) }, io.signal);
  if (flag(values, 'json')) printJson(io, answer);
  else printLines(io, [answer.message, `It counts ${SETTING_RULES[key].applies}.`]);
  return exitOfChange(answer.changed, values);
}

/** The settings of a node and its network, in lines. */
export function renderSettings(view: SettingsView, options: RenderOptions): string[] {
  const rows = SETTING_KEYS.map((key) => [
    key,
    String(view.settings[key]),
    view.changed.includes(key) ? 'set' : 'default',
    SETTING_RULES[key].summary,
  ]);
  const { host, interfaces, link, serial, service } = view.network;
  const cards = interfaces.map(({ name, addresses }) => [name, addresses.join(', ')]);
  const network = [
    ['host name', host],
    ...cards,
    ['service', service],
    ['link', `${link.listen}, peer ${link.peer}, bundles ${link.bulk}`],
    ['serial link', serial ?? 'none'],
  ].map((row) => row.map((cell) => plain(cell, options)));
  const problem = view.problem === null ? [] : wrap(plain(view.problem, options), options.columns);
  return [
    `Settings of node ${view.node}:`,
    ...table(rows, options),
    ...problem,
    '',
    `Network of node ${view.node}, as it is now:`,
    ...table(network, options),
  ];
}

/** The verbs of the settings. */
export const settingsVerbs: readonly Verb[] = [
  {
    name: 'settings show',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Settings of this node (console, dates) and its network.',
    example: 'tandem settings show --json',
    options: CLIENT_OPTIONS,
    run: show,
  },
  {
    name: 'settings set',
    args: 'KEY VALUE',
    minArgs: 2,
    maxArgs: 2,
    summary: 'Set one of them on this node.',
    example: 'tandem settings set idleMin 15',
    options: { ...CLIENT_OPTIONS, ...DETAILED_OPTION, ...KEY_OPTION, ...REASON_OPTION },
    run: set,
  },
];
