/**
 * The plan of a prepared install: what goes into which slots of which node, with digests, options
 * and times, as it lies on the disk of both nodes. Always holds: it says all that an install needs
 * to know of the bundle, so that nothing has to be asked for then; whether it still fits is judged
 * by comparing it with a plan that is made anew. Pure; imports only core.
 */
import type { Manifest } from './manifest.ts';
import { NODES, SLOT_CLASSES, type NodeId, type Sha256, type SlotClass } from './model.ts';
import { planRollout, type PolicyView } from './policy.ts';
import type { Order } from './records.ts';

/** Options of an install that are frozen with its plan. */
export interface PrepareOptions {
  readonly order: Order;
  readonly onSecondFailure: 'hold' | 'rollback';
}

/** One image that a node will write. */
export interface PlannedImage {
  readonly name: string;
  readonly class: SlotClass;
  readonly version: string;
  readonly counter: number;
  readonly rawBytes: number;
  readonly rawSha256: Sha256;
  readonly imageId: Sha256;
}

/** What an install does on one node. */
export interface PlannedNode {
  /** Versions that the node runs, by class; null = not known. */
  readonly from: Readonly<Record<SlotClass, { version: string; counter: number } | null>>;
  /** Nothing lags: the node is left alone. */
  readonly skip: boolean;
  readonly images: readonly PlannedImage[];
}

/** The plan. Its identity is the SHA-256 of its JSON text as it is written. */
export interface PreparedPlan {
  readonly v: 1;
  readonly id: string;
  readonly bundle: Sha256;
  readonly bytes: number;
  readonly product: string;
  readonly version: string;
  readonly counter: number;
  readonly options: PrepareOptions;
  readonly nodes: Readonly<Record<NodeId, PlannedNode>>;
  /** Seconds that an install is expected to take. */
  readonly estimateS: number | null;
  /** Wall-clock time at which it was made, for people. */
  readonly madeAt: string;
}

/** What a plan is made for. */
export interface PlanDraft {
  readonly id: string;
  readonly bundle: Sha256;
  readonly bytes: number;
  readonly options: PrepareOptions;
  readonly estimateS: number | null;
  readonly at: string;
}

/** The plan of a bundle that was judged and found good for this pair. */
export function makePlan(manifest: Manifest, view: PolicyView, draft: PlanDraft): PreparedPlan {
  const { id, bundle, bytes, options, estimateS, at: madeAt } = draft;
  const { product, version, releaseCounter: counter } = manifest;
  const plan = planRollout(manifest, view);
  const planned = (node: NodeId): PlannedNode => {
    const from = Object.fromEntries(
      SLOT_CLASSES.map((cls) => {
        const release = view.nodes[node][cls];
        const known = release && { version: release.version, counter: release.counter };
        return [cls, known];
      }),
    ) as PlannedNode['from'];
    const { skip, targets } = plan[node];
    const images = targets.map((image): PlannedImage => ({
      name: image.name,
      class: image.class,
      version: image.version,
      counter: image.counter,
      rawBytes: image.rawBytes,
      rawSha256: image.rawSha256,
      imageId: image.imageId,
    }));
    return { from, skip, images };
  };
  const nodes = { A: planned('A'), B: planned('B') };
  const head = { v: 1, id, bundle, bytes, product, version, counter } as const;
  return { ...head, options, nodes, estimateS, madeAt };
}

/**
 * Why a plan does not fit the pair any more, by the plan that would be made now; null when it does.
 * Only what the nodes run and what would be written counts.
 */
export function planMismatch(frozen: PreparedPlan, now: PreparedPlan): string | null {
  for (const node of NODES) {
    const [then, today] = [frozen.nodes[node], now.nodes[node]];
    const left = leftVersion(node, then, today.from);
    if (left !== null) return left;
    const ids = (images: readonly PlannedImage[]): string =>
      images.map(({ imageId }) => imageId).join(' ');
    if (then.skip !== today.skip || ids(then.images) !== ids(today.images)) {
      return `what is to be written on node ${node} is not what was planned`;
    }
  }
  return null;
}

/**
 * Why a prepared update does not fit nodes that run this: it is below the floor, or its plan was
 * made for something else. Needs no bundle. Null when nothing says so.
 */
export function misfit(
  order: { readonly counter: number; readonly plan: { readonly content: PreparedPlan } | null },
  { nodes }: Pick<PolicyView, 'nodes'>,
): string | null {
  const floor = Math.max(...NODES.map((node) => nodes[node].floor));
  if (order.counter < floor) {
    return `it is release ${order.counter}, the lowest one that may still be installed is ${floor}`;
  }
  const plan = order.plan?.content;
  const left = NODES.map((node) => {
    const { system, storage } = nodes[node];
    // What a node that has just started has not said yet is no news.
    const known = system !== null && storage !== null;
    return plan && known ? leftVersion(node, plan.nodes[node], { system, storage }) : null;
  });
  return left.find((why) => typeof why === 'string') ?? null;
}

/** What of a node is not what the plan was made for. */
function leftVersion(
  node: NodeId,
  planned: PlannedNode,
  runs: Readonly<Record<SlotClass, { readonly version: string; readonly counter: number } | null>>,
): string | null {
  for (const cls of SLOT_CLASSES) {
    const [then, found] = [planned.from[cls], runs[cls]];
    if (then?.counter === found?.counter) continue;
    const was = then?.version ?? 'an unknown version';
    const is = found?.version ?? 'an unknown version';
    return `the ${cls} of node ${node} was ${was} when the plan was made and is ${is} now`;
  }
  return null;
}
