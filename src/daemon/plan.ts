/**
 * From a validated bundle, or from what the other slots hold, to the first record of a rollout; and
 * what the policy has to know of the pair. Imports core.
 */
import { KNOWN_FEATURES } from '../bundle/manifest.ts';
import { runningImages, type RunningImages } from '../core/delta.ts';
import { UpdateError } from '../core/errors.ts';
import { schemaAt, sharedLevel } from '../core/levels.ts';
import type { Manifest } from '../core/manifest.ts';
import { NODES, otherSlot, peerOf, type NodeId, type Release, type Sha256 } from '../core/model.ts';
import { planRollout, type NodeView, type PolicyView } from '../core/policy.ts';
import { PROTOCOL } from '../core/records.ts';
import type { Policy, RolloutImage, RolloutNode, RolloutRecord } from '../core/records.ts';
import type { NodeReport } from '../core/report.ts';
import { me, other, peerReport, type NodeState } from '../core/state.ts';
import { reportOf } from '../updater/report.ts';

/** What the policy is told beyond the state of the node. */
export interface Identity {
  readonly product: string;
  readonly hardware: string;
  readonly program: string;
  /** Capacity of this node's slots; both nodes are alike. */
  readonly slotBytes: { readonly system: number; readonly storage: number };
}

/** What policy has to know of the pair, from the newest reports of both nodes. */
export function policyView(
  s: NodeState,
  identity: Identity,
  bundle: { readonly digest: Sha256; readonly bytes: number } | null,
): PolicyView {
  const own = nodeView(reportOf(s, 0), identity);
  const peer = peerReport(s);
  const theirs: NodeView =
    peer === null
      ? { system: null, storage: null, floor: 0, reachable: false }
      : nodeView(peer, identity);
  return {
    product: identity.product,
    hardware: identity.hardware,
    updaterVersion: identity.program,
    protocol: PROTOCOL,
    nodes: me(s) === 'A' ? { A: own, B: theirs } : { A: theirs, B: own },
    requiresKnown: KNOWN_FEATURES,
    bundle: bundle?.digest ?? null,
    bundleBytes: bundle?.bytes ?? null,
  };
}

/** What each node runs, as its seals say; null where a node does not answer. */
export function runningOf(s: NodeState): Readonly<Record<NodeId, RunningImages | null>> {
  const peer = peerReport(s);
  const [own, theirs] = [runningImages(reportOf(s, 0)), peer === null ? null : runningImages(peer)];
  return me(s) === 'A' ? { A: own, B: theirs } : { A: theirs, B: own };
}

function nodeView(report: NodeReport, identity: Identity): NodeView {
  return {
    system: report.system,
    storage: report.storage,
    floor: report.record.releaseFloor,
    reachable: true,
    updater: report.program,
    protocol: report.protocol,
    freeBytes: report.freeBytes,
    featureLevel: report.record.featureLevel,
    storeFormat: report.store.formatLevel ?? null,
    slotBytes: identity.slotBytes,
  };
}

interface Draft {
  readonly id: string;
  readonly at: string;
  readonly policy: Policy;
  readonly estimateS: number | null;
}

/** The holder of the moment, by what both nodes say; the first node of an active-first rollout. */
export function firstNode(s: NodeState, policy: Policy): NodeId {
  const { holder } = s.record.role;
  return policy.order === 'active-first' ? holder : peerOf(holder);
}

/** First record of an update with a bundle that was judged and found good. */
export function updateRecord(
  s: NodeState,
  manifest: Manifest,
  view: PolicyView,
  draft: Draft,
): RolloutRecord {
  const { bundle, bundleBytes } = view;
  if (bundle === null || bundleBytes === null) {
    throw new UpdateError('internal.bug', 'an update needs the identity of its bundle');
  }
  const plan = planRollout(manifest, view);
  const images = manifest.images.map((image): RolloutImage => {
    const { name, class: cls, version, counter, runsWith, formatLevel } = image;
    const base: Release = { product: manifest.product, class: cls, version, counter };
    const release = formatLevel === undefined ? base : { ...base, formatLevel };
    return { name, class: cls, release, runsWith };
  });
  const to = {
    bundle,
    bytes: bundleBytes,
    product: manifest.product,
    version: manifest.version,
    counter: manifest.releaseCounter,
    images,
  };
  const soakS = manifest.health?.soakS ?? draft.policy.soakS;
  const policy = { ...draft.policy, soakS };
  const skips = { A: plan.A.skip, B: plan.B.skip };
  return { ...baseRecord(s, { ...draft, policy }, skips), kind: 'update', to };
}

/** First record of a rollback: each node that can goes back to what its other slots hold. */
export function rollbackRecord(s: NodeState, draft: Draft): RolloutRecord {
  const peer = peerReport(s);
  if (peer === null) {
    throw new UpdateError('pair.peer_unreachable', `node ${other(s)} does not answer`);
  }
  const reports = { [me(s)]: reportOf(s, 0), [other(s)]: peer } as Record<NodeId, NodeReport>;
  const able = NODES.filter((node) => reports[node].record.canRollBack);
  const [one] = able;
  if (one === undefined || s.rollout === null) {
    const message = 'neither node has a version in its other slots that it may go back to';
    throw new UpdateError('rollback.unavailable', message);
  }
  const { record, seals } = reports[one];
  const old = seals.system[otherSlot(record.slots.default)]?.release;
  if (old === undefined) {
    const message = `the other system slot of node ${one} holds no whole image`;
    throw new UpdateError('rollback.unavailable', message);
  }
  // Two nodes that were updated from different versions go back to different versions.
  const olds = able.map((node) => {
    const { record: theirs, seals: held } = reports[node];
    return [node, held.system[otherSlot(theirs.slots.default)]?.release.version ?? null] as const;
  });
  const same = olds.every(([, version]) => version === old.version);
  const each = olds.map(([node, version]) => `${version ?? 'nothing'} (${node})`);
  const version = same ? old.version : each.join(', ');
  const to = { ...s.rollout.to, version, counter: old.counter, images: [] };
  const skips = { A: !able.includes('A'), B: !able.includes('B') };
  // A node that is left alone must be there already, or the pair would end in two versions.
  const stuck = NODES.find((node) => skips[node] && reports[node].system?.counter !== old.counter);
  if (stuck !== undefined) {
    const now = reports[stuck].system?.version ?? 'an unknown version';
    const message = `node ${stuck} runs ${now} and has no ${old.version} to go back to`;
    throw new UpdateError('rollback.unavailable', message);
  }
  return { ...baseRecord(s, draft, skips), kind: 'rollback', to };
}

/**
 * The first record of a commit when the newest rollout is not the update that is committed: that
 * one is taken up again where its commit begins. So it is after a rollback that was turned back, or
 * a later update that came to nothing. Null when both nodes do not surely run what it brought.
 */
export function commitRecord(
  s: NodeState,
  past: readonly RolloutRecord[],
  at: string,
): RolloutRecord | null {
  const running = [s.world.system, peerReport(s)?.system ?? null];
  const runs = ({ to }: RolloutRecord): boolean => {
    const brought = to.images.find((image) => image.class === 'system')?.release;
    return brought !== undefined && running.every((one) => one?.counter === brought.counter);
  };
  // One that was held is open too, once a node that was replaced runs what it brought.
  const last = past.find((one) => {
    const held = one.phase === 'HOLD_MIXED' && runs(one);
    return one.kind === 'update' && (one.phase === 'DONE' || held);
  });
  if (last === undefined || last.finalized || !runs(last)) return null;
  return { ...last, phase: 'FINALIZE', phaseAt: at };
}

function baseRecord(
  s: NodeState,
  draft: Draft,
  skips: Readonly<Record<NodeId, boolean>>,
): Omit<RolloutRecord, 'kind' | 'to'> {
  const report = { [me(s)]: reportOf(s, 0), [other(s)]: peerReport(s) };
  const node = (id: NodeId): RolloutNode => {
    const from = { system: report[id]?.system ?? null, storage: report[id]?.storage ?? null };
    const text = skips[id] ? 'checked: nothing to do on this node' : 'checked';
    const log = [{ at: draft.at, phase: 'PRECHECK' as const, text }];
    return { from, skip: skips[id], attempts: 0, log };
  };
  return {
    schema: schemaAt(sharedLevel(s.record, peerReport(s)?.record ?? null)),
    id: draft.id,
    first: firstNode(s, draft.policy),
    policy: draft.policy,
    writer: { epoch: s.record.role.epoch, seq: 0 },
    phase: 'STAGE',
    nodes: { A: node('A'), B: node('B') },
    soak: null,
    abort: null,
    result: null,
    startedAt: draft.at,
    phaseAt: draft.at,
    estimateS: draft.estimateS,
    finalized: false,
  };
}
