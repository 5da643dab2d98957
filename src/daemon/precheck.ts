/**
 * The checks of the pair before an update, as rows with a name, what was found, and a fix. A dry
 * run shows them all; an update, a rollback and a commit refuse with the first one that failed.
 * Always holds: what cannot be found out is `unknown` and never `ok`. Pure; imports core.
 */
import { CODES, type Code } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { peerOf, NODES, type NodeId } from '../core/model.ts';
import type { Estimate, PrecheckReport, PrecheckRow } from '../core/operator.ts';
import type { NodeView, PolicyView } from '../core/policy.ts';
import { me, onTrial, other, peerReport, running, type NodeState } from '../core/state.ts';
import type { ChannelStatus, ValidateReport } from '../core/status.ts';
import { reformItems } from '../updater/reform.ts';
import { remedyOf } from '../updater/remedy.ts';
import type { NodeFacts } from './facts.ts';
import { standsDown } from './operator-rules.ts';

/** Clocks that differ by more than this many seconds make the logs of a pair hard to read. */
const SKEW_S = 5;

/** Facts of both nodes; null where a node does not tell. */
export type PairFacts = Readonly<Record<NodeId, NodeFacts | null>>;

/** A row that holds. */
export function good(name: string, detail: string): PrecheckRow {
  return { name, result: 'ok', code: null, detail, fix: null };
}

/** A row that refuses, or only warns. */
export function bad(
  name: string,
  code: Code,
  detail: string,
  { result = 'failed', fix = CODES[code].next }: BadRow = {},
): PrecheckRow {
  return { name, result, code, detail, fix };
}

/** What a row says that does not hold: whether it refuses, and what to do when that is special. */
interface BadRow {
  readonly result?: 'failed' | 'warning';
  readonly fix?: string;
}

const unknown = (name: string, detail: string, fix: string): PrecheckRow => {
  return { name, result: 'unknown', code: null, detail, fix };
};

/** The pair as it is now: the rows that need nothing but the state of this node. */
export function stateRows(s: NodeState, channels: readonly ChannelStatus[]): PrecheckRow[] {
  return [linkRow(s, channels), standDownRow(s), availableRow(s), bootRow(s)];
}

/** Throws the first row that refuses. */
export function passed(rows: readonly PrecheckRow[]): void {
  const first = rows.find((row) => row.result === 'failed');
  if (first === undefined) return;
  throw new UpdateError(first.code ?? 'internal.bug', first.detail);
}

function linkRow(s: NodeState, channels: readonly ChannelStatus[]): PrecheckRow {
  const node = `node ${other(s)}`;
  if (peerReport(s) === null) {
    return bad('link', 'pair.peer_unreachable', `${node} does not answer`);
  }
  const down = channels.find((channel) => !channel.up);
  if (down === undefined) return good('link', `${node} answers`);
  const why = down.error === null ? '' : `: ${down.error.message}`;
  const detail = `${node} answers, but its ${down.name} channel is down${why}`;
  const cable = `Check the ${down.name} channel on both nodes: cable, settings of \`link\`.`;
  const fix = down.error === null ? { fix: cable } : {};
  const code = down.error?.code ?? 'pair.peer_unreachable';
  return bad('link', code, detail, { result: 'warning', ...fix });
}

function standDownRow(s: NodeState): PrecheckRow {
  const name = 'stand-down';
  const peer = peerReport(s);
  const theirs = peer !== null && standsDown({ ...s, record: peer.record });
  const down = standsDown(s) ? me(s) : theirs ? other(s) : null;
  if (down === null) return good(name, 'no node was told to stand down');
  const fix = `On node ${down}: \`tandem stand-down --end\`.`;
  return bad(name, 'pair.stood_down', `node ${down} has stood down by an operator's word`, { fix });
}

function availableRow(s: NodeState): PrecheckRow {
  const name = 'available';
  const waiting = reformItems(s).filter((item) => item.state !== 'ok' && item.name !== 'versions');
  if (waiting.length === 0) return good(name, 'the pair is highly available');
  const detail = waiting.map((item) => `${item.name}: ${item.text}`).join('; ');
  const remedy = remedyOf(s);
  const wait = 'Wait for it: `tandem cluster status --wait-ready`.';
  const fix = remedy === null ? wait : `${remedy.slice(0, 1).toUpperCase()}${remedy.slice(1)}.`;
  return bad(name, 'pair.not_healthy', detail, { fix });
}

function bootRow(s: NodeState): PrecheckRow {
  const name = 'boot';
  const peer = peerReport(s);
  const own = s.world.bootState.trial !== null || onTrial(s) ? me(s) : null;
  const trial = peer?.record.slots.trial != null || peer?.boot.slot !== peer?.record.slots.default;
  const armed = own ?? (peer !== null && trial ? other(s) : null);
  if (armed === null) return good(name, 'no trial is armed on either node');
  const fix = `Wait until node ${armed} has committed or reverted it; see \`tandem slots\`.`;
  return bad(name, 'boot.armed', `a trial of node ${armed} is armed or runs`, { fix });
}

/** No rollout and no other job may be going on. */
export function idleRow(s: NodeState, job: string | null): PrecheckRow {
  const name = 'idle';
  const { rollout } = s;
  const id = running(rollout) ? rollout.id : job;
  if (id === null) return good(name, 'no update is running');
  const paused = running(rollout) && (rollout.paused ?? null) !== null;
  const act = paused ? 'Let it go on: `tandem job resume`' : 'Wait: `tandem job wait --follow`';
  const fix = `${act}. Or turn it back: \`tandem job cancel ${id}\`.`;
  return bad(name, 'job.busy', `${id} is running${paused ? ', paused' : ''}`, { fix });
}

/** The checks of the bundle as rows; room that is not known is not called enough. */
export function bundleRows(report: ValidateReport, view: PolicyView | null): PrecheckRow[] {
  return report.checks.map(({ name, ok, code, detail }) => {
    if (!ok) return bad(name, code ?? 'internal.bug', detail);
    const blind = NODES.filter((node) => (view?.nodes[node].freeBytes ?? null) === null);
    if (name !== 'depot' || blind.length === 0) return good(name, detail);
    const where = `node ${blind.join(' and ')}`;
    const fix = `Check the data partition of ${where}; without room the copy ends by itself.`;
    return unknown(name, `the free space of ${where} is not known`, fix);
  });
}

/** The view of the policy with what the nodes tell of their space. */
export function withFacts(view: PolicyView, facts: PairFacts): PolicyView {
  const node = (id: NodeId): NodeView => {
    const told = facts[id];
    const before = view.nodes[id];
    if (told === null) return before;
    const { freeBytes } = told;
    return { ...before, freeBytes, slotBytes: told.slotBytes ?? before.slotBytes ?? {} };
  };
  return { ...view, nodes: { A: node('A'), B: node('B') } };
}

/** What only the nodes themselves can tell. */
export function factRows(facts: PairFacts): PrecheckRow[] {
  return [fencerRow(facts), clockRow(facts)];
}

function fencerRow(facts: PairFacts): PrecheckRow {
  const name = 'fencer';
  for (const node of NODES) {
    const fencer = facts[node]?.fencer;
    const { error = null } = fencer ?? {};
    if (error !== null) return bad(name, error.code, `fencer of node ${node}: ${error.message}`);
  }
  const silent = NODES.find((node) => facts[node] === null);
  if (silent !== undefined) {
    return unknown(name, `node ${silent} does not tell of its fencer`, onNode(silent));
  }
  const [a, b] = NODES.map((node) => facts[node]?.fencer);
  if (a?.policy !== b?.policy) {
    const detail = `policy ${a?.policy} on node A, ${b?.policy} on node B`;
    const fix = 'Set `fence.policy` to the same word on both nodes, start both daemons again.';
    return bad(name, 'config.invalid', detail, { result: 'warning', fix });
  }
  if (a?.policy === 'fence') return good(name, 'the self-tests of both fencers passed');
  return good(name, 'policy manual: no fencer is used, a person decides about a takeover');
}

/** A node that is away, or whose older program does not tell. */
const onNode = (node: NodeId): string =>
  `Look on node ${node} itself: \`tandem status\`; an older program does not tell this.`;

function clockRow({ A, B }: PairFacts): PrecheckRow {
  const name = 'clock';
  if (A === null || B === null) {
    const silent = A === null ? 'A' : 'B';
    return unknown(name, `node ${silent} does not tell its time`, onNode(silent));
  }
  const skewS = Math.round(Math.abs(A.nowMs - B.nowMs) / 100) / 10;
  const detail = `the clocks of the two nodes differ by ${skewS} s`;
  if (skewS <= SKEW_S) return good(name, detail);
  return bad(name, 'pair.clock_skew', detail, { result: 'warning' });
}

/** How long it will take, as a row that never refuses. */
export function estimateRow(estimate: Estimate | null): PrecheckRow {
  if (estimate === null) {
    const fix = 'Correct what failed above; then the estimate is known.';
    return unknown('estimate', 'not known while the bundle is refused', fix);
  }
  return good('estimate', `about ${estimate.totalS} s, by ${estimate.text}`);
}

/** The whole report; the first row that failed decides code, message and next action. */
export function reportOfRows(
  checks: readonly PrecheckRow[],
  bundle: Pick<PrecheckReport, 'bundle' | 'version' | 'estimate'>,
): PrecheckReport {
  const first = checks.find((row) => row.result === 'failed');
  const code = first?.code ?? null;
  return {
    ok: first === undefined,
    ...bundle,
    checks,
    code,
    message: first?.detail ?? 'every check passed; nothing was changed',
    next: first?.fix ?? null,
  };
}

/** Facts by node, as this one has its own and those of its peer. */
export function pairFacts(node: NodeId, own: NodeFacts, peer: NodeFacts | null): PairFacts {
  const facts: Record<NodeId, NodeFacts | null> = { A: null, B: null };
  facts[node] = own;
  facts[peerOf(node)] = peer;
  return facts;
}
