/**
 * Views of the pair at rest: both nodes, the reform checklist, the slots. Always holds: a fact that
 * is not known or is older than three seconds is shown as UNKNOWN with its age, never as its last
 * good value; text from outside is made harmless. Pure; imports core and the pieces in render.ts.
 */
import { NODES, type NodeId, type Progress, type Release } from '../core/model.ts';
import { isFresh, type ChannelStatus, type NodeStatus, type PairStatus } from '../core/status.ts';
import type { ReformItem, SlotStatus } from '../core/status.ts';
import { renderReforming } from './render-checks.ts';
import { rolloutHeadline } from './render-rollout.ts';
import { automationLines } from './render-schedule.ts';
import { bytes, clip, duration, mark, plain, progressWords, stamp } from './render.ts';
import { table, wrap, wrapCommands } from './render.ts';
import type { Mark, RenderOptions } from './render.ts';

const UNKNOWN = 'UNKNOWN';

/** `tandem status`: one screen with both nodes, the update, alarms and what to do. */
export function renderStatus(status: PairStatus, options: RenderOptions): string[] {
  const { columns } = options;
  const pair = status.pair === null ? 'not paired' : `pair ${plain(status.pair, options)}`;
  const ha = status.ha.ok ? 'high availability is up' : 'NO high availability';
  return [
    clip(`${status.state}: ${ha}  (${stamp(status.at)}, ${pair})`, columns),
    ...wrap(plain(status.ha.text, options), columns, '  '),
    ...remedyLines(status, options),
    '',
    ...nodeTable(status, options),
    ...trustLines(status, options),
    ...updateLines(status, options),
    ...scheduledLines(status, options),
    ...preparedLines(status, options),
    ...alarmLines(status, options),
  ];
}

/** What a person can do, where nothing happens by itself. */
function remedyLines({ ha }: PairStatus, options: RenderOptions): string[] {
  const remedy = ha.remedy ?? null;
  return remedy === null
    ? []
    : wrapCommands(`To do: ${plain(remedy, options)}`, options.columns, '  ');
}

function nodeTable(status: PairStatus, options: RenderOptions): string[] {
  const nodes = NODES.map((id) => status.nodes[id]);
  const row = (name: string, cell: (node: NodeStatus) => string): readonly string[] => [
    name,
    ...nodes.map((node) => (node.known ? plain(cell(node), options) : UNKNOWN)),
  ];
  const head = ['', ...nodes.map((node) => `Node ${node.node} ${heard(node, status.self)}`)];
  const rows = [
    row('role', (node) => `${node.role}${node.serving ? ', serving' : ''}`),
    row('system', (node) => version(node.system)),
    row('other system slot', otherSystem),
    row('storage software', (node) => version(node.storage)),
    row('store', storeWords),
    row('sync', (node) => (node.store?.sync ? progressWords(node.store.sync) : '-')),
    row('boot', bootWords),
    row('update', (node) => node.update),
    row('may take over', takeOver),
    row('program', (node) => node.program ?? UNKNOWN),
  ];
  return table([head, ...rows], options);
}

/** How old the facts of a node are. */
function heard(node: NodeStatus, self: NodeId): string {
  if (node.node === self) return '(this one)';
  if (node.ageMs === null) return '(never heard)';
  return node.known ? '(peer)' : `(last heard ${Math.round(node.ageMs / 1000)} s ago)`;
}

function version(release: Release | null): string {
  return release?.version ?? UNKNOWN;
}

function otherSystem(node: NodeStatus): string {
  const slot = node.slots.find((s) => s.class === 'system' && s.state !== 'booted');
  if (slot === undefined) return UNKNOWN;
  return slot.release === null ? slot.state : `${slot.release.version} (${slot.state})`;
}

function storeWords(node: NodeStatus): string {
  if (node.store === null || node.store.role === 'unknown') return UNKNOWN;
  const { role, copy, connected } = node.store;
  return `${role}, ${copy}, ${connected ? 'connected' : 'NOT connected'}`;
}

function bootWords(node: NodeStatus): string {
  if (node.boot === null) return UNKNOWN;
  const slot = node.slots.find((s) => s.class === 'system' && s.state === 'booted')?.slot;
  const attempt = node.boot.attempt > 0 ? `, attempt ${node.boot.attempt}` : '';
  return `slot ${slot ?? UNKNOWN}, ${node.boot.reason}${attempt}`;
}

function takeOver(node: NodeStatus): string {
  if (node.role === 'active') return '-';
  if (node.standDownFor === 'operator') return 'no, stood down by an operator';
  if (node.standDown) return 'no, stood down';
  return node.admitted ? 'yes' : 'no, not admitted yet';
}

/** What is scheduled, and what holds updates up. */
function scheduledLines({ automation }: PairStatus, options: RenderOptions): string[] {
  const lines = automation === undefined ? [] : automationLines(automation, options);
  return lines.length === 0 ? [] : ['', ...lines];
}

/** What is prepared; how each stage stands is elsewhere. */
function preparedLines({ prepared }: PairStatus, options: RenderOptions): string[] {
  if (prepared === undefined) return [];
  const text = `${plain(prepared.text, options)}, see \`tandem prepare status\``;
  return ['', ...wrapCommands(text, options.columns)];
}

function updateLines(status: PairStatus, options: RenderOptions): string[] {
  const { rollout } = status;
  if (rollout === null) return [];
  const lines = ['', ...wrap(rolloutHeadline(rollout, options), options.columns)];
  if (rollout.paused != null) {
    const { by, restsAfter } = rollout.paused;
    const where = restsAfter === null ? 'goes on to its end' : `rests at the end of ${restsAfter}`;
    const text = `PAUSED by ${plain(by, options)}: ${where}; \`tandem job resume\` lets it go on.`;
    lines.push(...wrap(text, options.columns, '  '));
  }
  const { result } = rollout;
  if (result !== null) {
    lines.push(
      ...wrap(`${plain(result.message, options)} (${result.code})`, options.columns, '  '),
    );
  }
  // A way back leaves nothing behind that could be returned to.
  if (rollout.kind === 'update' && rollout.phase === 'DONE' && !rollout.finalized) {
    const text =
      'The old version is kept: `tandem rollback` returns to it, `tandem commit` ends that.';
    lines.push(...wrap(text, options.columns, '  '));
  }
  return lines;
}

/** Whose signatures the node that answers takes; its peer says its own. */
export function trustLines({ trust, self }: PairStatus, { columns }: RenderOptions): string[] {
  if (trust === undefined) return [];
  const { version, threshold, keys, next } = trust;
  const found =
    version === null
      ? 'NO trust root: every bundle is refused'
      : `trust root ${version}, ${threshold} of ${keys} keys must sign`;
  const more = next === null ? '' : `; version ${next} waits for \`tandem commit\``;
  return wrap(`Node ${self}: ${found}${more}`, columns, '  ');
}

/** Each alarm with its code, then where to read on; the sentence itself may name its node. */
function alarmLines({ alarms }: PairStatus, options: RenderOptions): string[] {
  const { columns } = options;
  const lines = alarms.flatMap(({ code, node, message }) => {
    const said = node === null || message.startsWith(`node ${node} `);
    const where = said ? '' : ` node ${node}:`;
    return wrapCommands(`ALARM${where} ${plain(message, options)} (${code})`, columns);
  });
  const codes = [...new Set(alarms.map(({ code }) => code))];
  const more = codes.map((code) => `  tandem explain ${plain(code, options)}`);
  return lines.length === 0
    ? []
    : ['', ...lines, 'What to do:', ...more.map((l) => clip(l, columns))];
}

const REFORM_MARKS: Readonly<Record<ReformItem['state'], Mark>> = {
  ok: 'done',
  waiting: 'now',
  failed: 'failed',
  unknown: 'todo',
};

/**
 * What the pair still waits for. Two versions side by side are on their way to one only while an
 * update runs; a pair that is held in mixed versions stays so, and is highly available.
 */
export function waitsFor({ reform, rollout }: PairStatus): readonly ReformItem[] {
  const updating = rollout !== null && !rollout.ended;
  return reform.filter(({ name, state }) => state !== 'ok' && (name !== 'versions' || updating));
}

/** True when the pair is formed: highly available, and nothing of it is still on its way. */
export function isReady(status: PairStatus): boolean {
  return status.ha.ok && waitsFor(status).length === 0;
}

/** `tandem cluster status`: the reform checklist, alarms, and "ready" or what it waits for. */
export function renderCluster(status: PairStatus, options: RenderOptions): string[] {
  const { columns } = options;
  const waits = waitsFor(status).map((item) => item.name);
  const words =
    waits.length > 0 ? `waiting for: ${waits.join(', ')}` : plain(status.ha.text, options);
  const mixed = status.reform.some(({ name, state }) => name === 'versions' && state !== 'ok');
  const verdict = isReady(status) ? `ready${mixed ? ', in two versions' : ''}` : words;
  const why = isReady(status) || waits.length === 0 ? [] : [plain(status.ha.text, options)];
  return [
    clip(`${status.state} (${stamp(status.at)}), as node ${status.self} sees it`, columns),
    ...status.reform.flatMap((item) => itemLines(item, options)),
    ...alarmLines(status, options),
    ...(status.alarms.length > 0 ? [''] : []),
    ...why.flatMap((text) => wrap(text, columns)),
    ...remedyLines(status, options),
    ...renderReforming(status, options),
    ...updateTime(status, options),
    ...wrap(verdict, columns),
  ];
}

/** Where the text of an item begins. */
const INDENT = ' '.repeat(14);

function itemLines(item: ReformItem, options: RenderOptions): string[] {
  const { columns } = options;
  const { name, state, channels } = item;
  const word = state === 'ok' ? '' : `${state}: `;
  const sync = item.progress == null ? '' : syncWords(item.progress);
  // The channels of the link stand below it, each on a line of its own.
  const text = channels === undefined ? item.text : (item.text.split('; ')[0] ?? '');
  const [first = '', ...more] = wrap(`${word}${plain(text, options)}${sync}`, columns, INDENT);
  const head = `${mark(REFORM_MARKS[state], options)} ${name.padEnd(9)} ${first.trimStart()}`;
  const below = (channels ?? []).flatMap((one) =>
    wrap(channelWords(one, options), columns, INDENT),
  );
  return [clip(head, columns), ...more, ...below];
}

/** `network  up       heard 0.2 s ago`; one that is silent for long is unknown. */
function channelWords(channel: ChannelStatus, options: RenderOptions): string {
  const { name, up, ageMs, error } = channel;
  const word = !up ? 'down' : isFresh(ageMs) ? 'up' : UNKNOWN;
  const age = ageMs === null ? 'never heard' : `heard ${(ageMs / 1000).toFixed(1)} s ago`;
  const why = error === null ? '' : `: ${plain(error.message, options)}`;
  return `${plain(name, options)} ${word}, ${age}${why}`;
}

/** How far the update is that the pair reforms in. */
function updateTime({ rollout }: PairStatus, { columns }: RenderOptions): string[] {
  if (rollout === null || rollout.ended) return [];
  const { elapsedS, estimateS, kind, phase } = rollout;
  const whole = estimateS === null ? 'not known yet' : duration(estimateS);
  const what = kind === 'update' ? 'Update' : 'Rollback';
  const took = `${duration(elapsedS)} elapsed; estimated in all: ${whole}`;
  return wrap(`${what} in phase ${phase}: ${took}`, columns);
}

/** Rate, bytes and time of a sync; its share stands before them. */
function syncWords({ doneBytes, totalBytes, rateBps, etaS }: Progress): string {
  const parts = [`${bytes(doneBytes)} of ${bytes(totalBytes)}`];
  if (rateBps !== undefined) parts.push(`${bytes(rateBps)}/s`);
  if (etaS !== undefined) parts.push(`ETA ${duration(etaS)}`);
  return `, ${parts.join(', ')}`;
}

/** `tandem slots`: every slot of both nodes. */
export function renderSlots(
  slots: Readonly<Record<NodeId, readonly SlotStatus[]>>,
  options: RenderOptions,
): string[] {
  const rows = NODES.flatMap((node) =>
    slots[node].length === 0
      ? [[node, UNKNOWN, '', '', '', '']]
      : slots[node].map((slot) => [
          node,
          slot.class,
          slot.slot,
          slot.state,
          plain(slot.release?.version ?? '-', options),
          slot.default ? 'default' : '',
        ]),
  );
  return table([['NODE', 'CLASS', 'SLOT', 'STATE', 'VERSION', ''], ...rows], options);
}
