/**
 * Restart and shutdown of the node that this console is at, and its support bundles. Always holds:
 * what happens to the service and to high availability is said before anything can be asked for;
 * where the pair would lose service it is refused with the reason. Pure; imports core and the
 * pieces of the views.
 */
import { bytes, plain, stamp, wrap, type RenderOptions } from '../../src/cli/render.ts';
import type { PowerKind, PowerView } from '../../src/core/power.ts';
import type { SupportArchive } from '../../src/core/support.ts';
import { refusalOf } from '../actions.ts';
import { freshStatus } from '../facts.ts';
import { lineOf, plainLine, plainLines, span, type Line } from '../picture.ts';
import type { Body, HotKey, Screen, State, Target } from '../state.ts';
import { actionLines } from './words.ts';

const NAMES: Readonly<Record<PowerKind, string>> = {
  restart: 'Restart this node',
  shutdown: 'Shut this node down',
};

function viewLines(view: PowerView, options: RenderOptions): readonly Line[] {
  const { does, costs, refusal } = view;
  const tell = (text: string): readonly Line[] =>
    plainLines(wrap(plain(text, options), options.columns, '  '));
  const lines: Line[] = [lineOf(span(NAMES[view.kind], 'strong')), ...tell(does)];
  for (const cost of costs) lines.push(...tell(cost));
  if (refusal !== null) {
    const text = plain(`Refused: ${refusal.message}`, options);
    const [first = '', ...rest] = wrap(text, options.columns, '  ');
    lines.push(lineOf(span(first, 'warn')), ...plainLines(rest), ...tell(`Next: ${refusal.next}`));
  }
  return lines;
}

function powerBody(state: State, options: RenderOptions): Body {
  const { power } = state;
  if (power === null) return { lines: [plainLine('Asking the daemon what it would do ...')] };
  return {
    lines: [
      ...actionLines(powerKeys(state), options),
      [],
      ...viewLines(power.restart, options),
      [],
      ...viewLines(power.shutdown, options),
    ],
  };
}

function powerKey(state: State, letter: string, kind: PowerKind): HotKey {
  const view = state.power?.[kind] ?? null;
  const verb = kind === 'restart' ? 'Restart' : 'Shut down';
  const label = view === null ? NAMES[kind] : `${verb} node ${view.node}`;
  const found = refusalOf(kind, state.facts);
  if (view === null) {
    const target: Target = { go: 'power' };
    return { letter, label, target, refusal: found ?? 'the daemon has not answered yet' };
  }
  // What the daemon can be told to do anyway may be asked for, with its costs before it.
  const force = view.refusal !== null;
  const refused = force && !view.forceable ? view.refusal.message : null;
  const forced = force && view.forceable ? `${label}, although it is refused` : label;
  const target: Target = { plan: { do: kind, view, force } };
  return { letter, label: forced, target, refusal: found ?? refused };
}

function powerKeys(state: State): readonly HotKey[] {
  return [
    powerKey(state, 'X', 'restart'),
    powerKey(state, 'D', 'shutdown'),
    { letter: 'A', label: 'Ask again', target: { go: 'power' }, refusal: null },
  ];
}

/** The newest event of the archive that is being made. */
function makingLines({ making, facts }: State, options: RenderOptions): readonly Line[] {
  if (making === null) return [];
  const last = facts.events.findLast(({ job }) => job === making);
  const done = last?.pct == null ? '' : ` ${Math.floor(last.pct)} %`;
  const text = `${making}: ${last?.msg ?? 'begins'}${done}`;
  return [lineOf(span('MAKING', 'strong'), ` ${plain(text, options)}`)];
}

function supportBody(state: State, options: RenderOptions): Body {
  const { support } = state;
  const lines: Line[] = [
    ...plainLines(
      wrap(
        'A support bundle holds logs, states and versions of this node, without keys and ' +
          'passwords, for whoever helps.',
        options.columns,
      ),
    ),
    [],
    ...actionLines(supportKeys(state), options),
    ...makingLines(state, options),
    [],
  ];
  if (support === null) return { lines: [...lines, plainLine('Asking the daemon ...')] };
  if (support.archives.length === 0) {
    return { lines: [...lines, plainLine('None is kept on this node yet.')] };
  }
  lines.push(plainLine(`In ${plain(support.dir, options)}; Enter says how to get one off.`));
  const rows = support.archives.map((_, index) => lines.length + index);
  for (const [index, archive] of support.archives.entries()) {
    const sign = index === state.chosen ? span('>', 'chosen') : ' ';
    const { name, at, bytes: size } = archive;
    const text = `${plain(name, options)}  ${bytes(size)}  ${stamp(at, options)}`;
    lines.push(lineOf(sign, ` ${index + 1}  ${text}`));
  }
  return { lines, rows };
}

function chosenArchive({ support, chosen }: State): SupportArchive | null {
  return support?.archives[chosen] ?? null;
}

function supportKeys(state: State): readonly HotKey[] {
  const { facts, making } = state;
  const archive = chosenArchive(state);
  const busy = making === null ? null : 'one is being made';
  return [
    {
      letter: 'N',
      label: 'New support bundle',
      target: { plan: { do: 'support' } },
      refusal: refusalOf('support', facts) ?? busy,
    },
    {
      letter: 'G',
      label: 'Get the chosen one: how to copy it off this node',
      target: howToGet(state) ?? { go: 'support' },
      refusal: archive === null ? 'none is kept' : null,
    },
    {
      letter: 'D',
      label: 'Delete the chosen one',
      target:
        archive === null
          ? { go: 'support' }
          : { plan: { do: 'support-delete', name: archive.name } },
      refusal: archive === null ? 'none is kept' : refusalOf('support-delete', facts),
    },
  ];
}

/** Where it lies, and the commands that bring it elsewhere. */
function howToGet(state: State): Target | null {
  const archive = chosenArchive(state);
  const { support, settings, facts } = state;
  if (archive === null || support === null) return null;
  const path = `${support.dir}/${archive.name}`;
  const host = settings?.network.host ?? `node-${freshStatus(facts)?.self ?? 'A'}`;
  const lines = [
    `It lies on node ${support.node}. From another machine:`,
    `scp root@${host}:${path} .`,
    'Onto a USB stick, as root on this node:',
    `tandem support get ${archive.name} --out /media/usb`,
  ];
  return { note: { title: archive.name, lines } };
}

/** Restart and shutdown. */
export const power: Screen = { title: 'Power', body: powerBody, keys: powerKeys };
/** Support bundles. */
export const support: Screen = {
  title: 'Support bundle',
  body: supportBody,
  keys: supportKeys,
  enter: howToGet,
};
