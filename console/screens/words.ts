/**
 * Facts of a node as words, for every screen alike, and the lines that several screens share.
 * Always holds: what is not known is UNKNOWN. Pure; imports core and the pieces of the views.
 */
import { clip, duration, percent, plain, stamp, wrap } from '../../src/cli/render.ts';
import type { RenderOptions } from '../../src/cli/render.ts';
import { phaseWords } from '../../src/cli/render-rollout.ts';
import type { Release } from '../../src/core/model.ts';
import type { NodeStatus, PairStatus, RolloutStatus } from '../../src/core/status.ts';
import type { SlotStatus } from '../../src/core/status.ts';
import type { Facts } from '../facts.ts';
import { lineOf, plainLine, plainLines, span, type Line } from '../picture.ts';
import type { HotKey } from '../state.ts';

/** The word for what is not known. */
export const UNKNOWN = 'UNKNOWN';

/** The role of a node, and whether it serves. */
export function roleWords({ role, serving }: NodeStatus): string {
  if (role === 'unknown') return UNKNOWN;
  return serving ? `${role}, serving` : role;
}

/** The version of a release. */
export function versionWords(release: Release | null): string {
  return release?.version ?? UNKNOWN;
}

/** The system slot that runs. */
export function slotWords(node: NodeStatus): string {
  const slot = node.slots.find(
    ({ class: cls, state }) => cls === 'system' && (state === 'booted' || state === 'trial'),
  );
  if (slot === undefined) return `slot ${UNKNOWN}`;
  return `slot ${slot.slot}${slot.state === 'trial' ? ', ON TRIAL' : ''}`;
}

const SLOT_WORDS: Readonly<Record<SlotStatus['state'], string>> = {
  booted: 'booted',
  running: 'running',
  trial: 'on trial',
  good: 'can boot',
  invalid: 'empty',
  unusable: 'not used any more',
};

/** What the other system slot holds, and what it is good for. */
export function otherSlotWords(node: NodeStatus): string {
  const slot = node.slots.find(
    ({ class: cls, state }) => cls === 'system' && state !== 'booted' && state !== 'trial',
  );
  if (slot === undefined) return UNKNOWN;
  const word = SLOT_WORDS[slot.state];
  return slot.release === null ? word : `${slot.release.version}, ${word}`;
}

/** The node's copy of the storage. */
export function storeWords({ store }: NodeStatus): string {
  if (store === null || store.role === 'unknown') return UNKNOWN;
  return `${store.copy}, ${store.connected ? 'connected' : 'NOT connected'}`;
}

/** What the node does now, with its share and the time that is left. */
export function activityWords({ activity, store }: NodeStatus, options: RenderOptions): string {
  const sync = store?.sync ?? null;
  if (activity === null && sync === null) return '-';
  const name = plain(activity?.name ?? 'syncing', options);
  const progress = activity?.progress ?? sync;
  const done = progress === null ? null : percent(progress);
  const left = progress?.etaS === undefined ? '' : `, ${duration(progress.etaS)} left`;
  return done === null ? name : `${name} ${done} %${left}`;
}

/** Whether the node may take over, and why not. */
export function takeOverWords(node: NodeStatus): string {
  if (node.role === 'unknown') return UNKNOWN;
  if (node.role === 'active') return '-';
  if (node.standDownFor === 'operator') return 'no, stood down by an operator';
  if (node.standDownFor === 'frozen') return 'no, stood down: the peer was frozen';
  if (node.standDown) return 'no, stood down for its update';
  return node.admitted ? 'yes' : 'no, not admitted yet';
}

/** What needs a person. */
export function alarmLines(status: PairStatus, options: RenderOptions): readonly Line[] {
  return status.alarms.flatMap((alarm) => {
    const where = alarm.node === null ? '' : `node ${alarm.node}: `;
    const text = `${where}${plain(alarm.message, options)} (${alarm.code})`;
    const [first = '', ...more] = wrap(text, options.columns - 6);
    return [
      lineOf(span('ALARM', 'bad'), ` ${first}`),
      ...more.map((rest) => plainLine(`      ${rest}`)),
    ];
  });
}

/** Who paused the update, where it rests, and the keys that let it go on; no lines when nobody. */
export function pauseLines(
  rollout: RolloutStatus,
  keys: string,
  options: RenderOptions,
): readonly Line[] {
  if (rollout.paused == null) return [];
  const { by, at, restsAfter } = rollout.paused;
  const where =
    restsAfter === null ? 'goes on to its end' : `rests after: ${phaseWords(restsAfter, rollout)}`;
  const text = `by ${plain(by, options)}, ${stamp(at, options)}; ${where}. ${keys} lets it go on.`;
  const [first = '', ...more] = wrap(`PAUSED ${text}`, options.columns, '  ');
  const word = 'PAUSED';
  return [
    lineOf(span(word, 'warn'), first.slice(first.indexOf(word) + word.length)),
    ...plainLines(more),
  ];
}

/** The actions of a screen in its body, each with its letter; one that is refused says why. */
export function actionLines(keys: readonly HotKey[], options: RenderOptions): readonly Line[] {
  return keys.flatMap(({ letter, label, refusal }) => {
    const head = lineOf(span(`[${letter}]`, refusal === null ? 'strong' : 'plain'), ` ${label}`);
    if (refusal === null) return [head];
    const text = `${label}: not now, ${plain(refusal, options)}`;
    const [first = '', ...more] = wrap(text, options.columns - 4);
    return [plainLine(`[${letter}] ${first}`), ...more.map((rest) => plainLine(`    ${rest}`))];
  });
}

/** The newest event in one line; one line only, because each new one is sent over a slow line. */
export function latestLines(facts: Facts, options: RenderOptions): readonly Line[] {
  const last = facts.events.findLast(({ pct }) => pct === null);
  if (last === undefined) return [];
  const text = `Latest: ${stamp(last.ts, options)} ${plain(last.msg, options)}`;
  return [plainLine(clip(text, options.columns))];
}

/** Who began to serve last, when, and for which job; no line while no such event is kept. */
export function roleChangeLines(facts: Facts, options: RenderOptions): readonly Line[] {
  const last = facts.events.findLast(
    ({ state, msg }) => state === 'service' && /\bserves \(epoch/.test(msg),
  );
  if (last === undefined) return [];
  const why = last.job ?? 'by no update';
  const text = `Role change: ${stamp(last.ts, options)} ${last.msg}, ${why}`;
  return [plainLine(clip(plain(text, options), options.columns))];
}
