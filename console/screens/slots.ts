/**
 * The slots of both nodes with the way back, and the roles of the nodes with what can be done about
 * them. Always holds: an action that is not possible stays on the screen and says why. Pure;
 * imports core and the pieces of the views.
 */
import { plain, table, type RenderOptions } from '../../src/cli/render.ts';
import { NODES, peerOf, type NodeId } from '../../src/core/model.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { refusalOf, type Action } from '../actions.ts';
import { freshStatus, nodeOf, oldVersion } from '../facts.ts';
import { lineOf, plainLines, span, type Line } from '../picture.ts';
import type { Plan } from '../plans.ts';
import type { Body, HotKey, Screen, State, Target } from '../state.ts';
import { actionLines, roleChangeLines, takeOverWords, UNKNOWN } from './words.ts';

function slotTable(status: PairStatus, options: RenderOptions): readonly Line[] {
  const rows = NODES.flatMap((id) => {
    const { known, slots } = status.nodes[id];
    if (!known || slots.length === 0) return [[id, '', '', UNKNOWN, '', '']];
    return slots.map((slot) => [
      id,
      slot.class,
      slot.slot,
      slot.state,
      plain(slot.release?.version ?? '-', options),
      slot.default ? 'default' : '',
    ]);
  });
  const [head = '', ...lines] = table(
    [['Node', 'Class', 'Slot', 'State', 'Version', ''], ...rows],
    options,
  );
  return [lineOf(span(head, 'strong')), ...plainLines(lines)];
}

function slotsBody(state: State, options: RenderOptions): Body {
  const status = freshStatus(state.facts);
  const lines = status === null ? [lineOf(span(UNKNOWN, 'warn'))] : [...slotTable(status, options)];
  return { lines: [...lines, [], ...actionLines(slotsKeys(state).slice(0, 2), options)] };
}

/** A key for a change, refused as the table of actions says. */
function keyFor(
  state: State,
  letter: string,
  label: string,
  action: Action,
  plan: Plan | null,
): HotKey {
  const refusal = refusalOf(action, state.facts);
  const target: Target = plan === null ? { go: 'overview' } : { plan };
  return { letter, label, target, refusal: plan === null ? (refusal ?? 'not now') : refusal };
}

function slotsKeys(state: State): readonly HotKey[] {
  const old = oldVersion(state.facts);
  const done = freshStatus(state.facts)?.rollout ?? null;
  const back: Plan | null = old === null ? null : { do: 'rollback', version: old };
  const stay: Plan | null = done === null ? null : { do: 'commit', version: done.version };
  const backLabel = old === null ? 'Roll back' : `Roll back to ${old}`;
  const stayLabel = done === null ? 'Make permanent' : `Make ${done.version} permanent`;
  return [
    keyFor(state, 'B', backLabel, 'rollback', back),
    keyFor(state, 'M', stayLabel, 'commit', stay),
  ];
}

function roleLines(state: State, options: RenderOptions): readonly Line[] {
  const status = freshStatus(state.facts);
  if (status === null) return [lineOf(span(UNKNOWN, 'warn'))];
  const rows = NODES.map((id) => {
    const node = nodeOf(state.facts, id);
    if (node === null) return [id, UNKNOWN, '', '', ''];
    const epoch = node.epoch === null ? UNKNOWN : String(node.epoch);
    return [id, node.role, node.serving ? 'yes' : 'no', epoch, takeOverWords(node)];
  });
  const lines = table([['Node', 'Role', 'Serves', 'Epoch', 'May take over'], ...rows], options);
  const [head = '', ...rest] = lines;
  return [
    lineOf(span(head, 'strong')),
    ...plainLines(rest),
    ...roleChangeLines(state.facts, options),
  ];
}

function rolesBody(state: State, options: RenderOptions): Body {
  return { lines: [...roleLines(state, options), [], ...actionLines(rolesKeys(state), options)] };
}

function rolesKeys(state: State): readonly HotKey[] {
  const { facts } = state;
  const self = facts.status?.self ?? null;
  const serving: NodeId | null = NODES.find((id) => nodeOf(facts, id)?.serving === true) ?? null;
  const to = serving === null ? null : peerOf(serving);
  const stood = self !== null && nodeOf(facts, self)?.standDownFor === 'operator';
  const exchange = to === null ? 'Exchange the roles' : `Exchange the roles: node ${to} serves`;
  const name = self === null ? 'this node' : `node ${self}`;
  const down = stood
    ? keyFor(state, 'D', `End the stand-down of ${name}`, 'end-stand-down', {
        do: 'end-stand-down',
        node: self,
      })
    : keyFor(
        state,
        'D',
        `Stand down ${name}`,
        'stand-down',
        self === null ? null : { do: 'stand-down', node: self },
      );
  const peer = self === null ? 'the peer' : `node ${peerOf(self)}`;
  const takeover: HotKey = {
    letter: 'T',
    label: `Take over: say that ${peer} is off`,
    target: { ask: { ask: 'takeover' }, words: 'Asking what a takeover costs' },
    refusal: refusalOf('takeover', facts),
  };
  const plan: Plan | null = to === null ? null : { do: 'switchover', to };
  return [keyFor(state, 'X', exchange, 'switchover', plan), down, takeover];
}

/** The slots, and the way back. */
export const slots: Screen = { title: 'Slots', body: slotsBody, keys: slotsKeys };
/** Who serves, and who may. */
export const roles: Screen = { title: 'Roles', body: rolesBody, keys: rolesKeys };
