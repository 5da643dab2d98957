/**
 * May a delta bundle go on this pair? It fits one image alone, so what each node runs is compared
 * with it by image id, not by version. Always holds: what a node does not tell is a refusal, and
 * only images that a node would write are looked at. Pure; imports only core.
 */
import { CODES, type Code } from './codes.ts';
import type { Manifest, ManifestBase } from './manifest.ts';
import { NODES, type NodeId, type Sha256, type SlotClass } from './model.ts';
import { planRollout, type PolicyView } from './policy.ts';
import type { NodeReport } from './report.ts';
import type { ValidateReport } from './status.ts';

/** What the slots hold that a node runs, as their seals say; null = not sealed, or not known. */
export type RunningImages = Readonly<
  Record<SlotClass, { readonly version: string; readonly imageId: Sha256 } | null>
>;

/** Name of the check, part of the interface (`validate --json`). */
export const BASE_CHECK = 'base';

/** Digits of an image id that people compare. */
const SHORT = 12;

/** The images that a node runs, from its own report. */
export function runningImages({ seals, boot, record }: NodeReport): RunningImages {
  const at = (cls: SlotClass): RunningImages[SlotClass] => {
    const seal = seals[cls][cls === 'system' ? boot.slot : record.storage.current];
    return seal === null ? null : { version: seal.release.version, imageId: seal.imageId };
  };
  return { system: at('system'), storage: at('storage') };
}

/**
 * The report with one more check behind the others, `base`, when the bundle has delta images: which
 * node holds another base than they need. A bundle that is complete in itself is not asked. Never
 * throws.
 */
export function judgeDelta(
  report: ValidateReport,
  manifest: Manifest,
  view: PolicyView,
  running: Readonly<Record<NodeId, RunningImages | null>>,
): ValidateReport {
  const deltas = manifest.images.filter((image) => image.base !== undefined);
  if (deltas.length === 0 || !report.checks.some(({ name }) => name === 'requires')) return report;
  const found = firstFault(manifest, view, running);
  const of = deltas.map(({ class: cls, base }) => `${cls} ${base?.version}`).join(' and ');
  const code = found?.code ?? null;
  const detail = found?.detail ?? `a delta of ${of}, which every node to be updated holds`;
  const checks = [...report.checks, { name: BASE_CHECK, ok: code === null, code, detail }];
  if (code === null || !report.ok) return { ...report, checks };
  return { ...report, ok: false, checks, code, message: detail, next: CODES[code].next };
}

function firstFault(
  manifest: Manifest,
  view: PolicyView,
  running: Readonly<Record<NodeId, RunningImages | null>>,
): { readonly code: Code; readonly detail: string } | null {
  const plan = planRollout(manifest, view);
  for (const node of NODES) {
    for (const { class: cls, base } of plan[node].targets) {
      if (base === undefined) continue;
      const holds = running[node];
      if (holds === null) {
        const detail = `node ${node} does not answer, so what it holds is not known`;
        return { code: 'pair.peer_unreachable', detail };
      }
      if (holds[cls]?.imageId === base.imageId) continue;
      return { code: 'bundle.wrong_base', detail: differs(node, cls, holds[cls], base) };
    }
  }
  return null;
}

const id = (imageId: Sha256): string => `image ${imageId.slice(0, SHORT)}`;

/** Two images of one version may differ, so the ids are told as well. */
function differs(
  node: NodeId,
  cls: SlotClass,
  found: RunningImages[SlotClass],
  base: ManifestBase,
): string {
  const holds = found === null ? 'no sealed image' : `${found.version} (${id(found.imageId)})`;
  const needs = `${base.version} (${id(base.imageId)})`;
  return `node ${node} runs ${cls} ${holds}, the delta is made from ${needs}`;
}
