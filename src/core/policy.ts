/**
 * May this bundle go on this pair, and what would it change? The checks of `tandem validate`, the
 * same ones before every rollout, as one pure function over the signed manifest and what is known
 * of the pair. Always holds: nothing is guessed (an unknown version is a refusal), order is judged
 * by release counters per node and component and never by version words, and a pair of which only a
 * part lags is not refused. Pure; imports only core.
 */
import { CODES, type Code } from './codes.ts';
import { asUpdateError } from './errors.ts';
import { aboveReach } from './levels.ts';
import { MANIFEST_FORMAT, type Manifest, type ManifestImage } from './manifest.ts';
import { NODES, type NodeId, type Release, type Sha256, type SlotClass } from './model.ts';
import type { ValidateReport } from './status.ts';
import { compareVersions, satisfies } from './version.ts';

/** Room that staging leaves free beside a bundle, so that a full disk never blocks a commit. */
export const DEPOT_MARGIN_BYTES = 64 * 1024 * 1024;

/** What is known of one node; `null` and absent both mean "not known". */
export interface NodeView {
  readonly system: Release | null;
  readonly storage: Release | null;
  /** Lowest release counter that may be installed (raised by FINALIZE). */
  readonly floor: number;
  readonly reachable: boolean;
  /** Version of Tandem on this node; the view's `updaterVersion` when absent. */
  readonly updater?: string | null;
  /** Pair protocols of the program on this node; the view's `protocol` when absent. */
  readonly protocol?: readonly [min: number, max: number] | null;
  /** Bytes that this bundle may take in the depot; what is staged of it already counts as free. */
  readonly freeBytes?: number | null;
  /** Level at which this node writes its records, and the format of its store. */
  readonly featureLevel?: number | null;
  readonly storeFormat?: number | null;
  /** Capacity of a slot of each class. */
  readonly slotBytes?: Readonly<Partial<Record<SlotClass, number | null>>>;
}

/** What the bundle is judged against. */
export interface PolicyView {
  readonly product: string;
  readonly hardware: string;
  readonly updaterVersion: string;
  readonly protocol: readonly [min: number, max: number];
  readonly nodes: Readonly<Record<NodeId, NodeView>>;
  /** Entries of the manifest's `requires` that this program implements. */
  readonly requiresKnown: readonly string[];
  /** Digest of the manifest: the identity of the bundle. */
  readonly bundle: Sha256 | null;
  /** Size of the bundle file; null = not judged. */
  readonly bundleBytes: number | null;
}

/** What a rollout does on one node. */
export interface NodePlan {
  /** Nothing lags: the node is left alone. */
  readonly skip: boolean;
  readonly lagging: readonly SlotClass[];
  /**
   * Images to write. The system image is always among them: the new storage software is proven in
   * a trial, and a trial boots the other system slot.
   */
  readonly targets: readonly ManifestImage[];
  /** The storage software of this plan may run under the system that runs now (rule I7). */
  readonly storageRunsUnderOld: boolean;
}

/** What a rollout does on both nodes. */
export type RolloutPlan = Readonly<Record<NodeId, NodePlan>>;

/** A version, and with which versions of the other class it runs; null = it does not say. */
export interface Side {
  readonly version: string;
  readonly runsWith: string | null;
}

/** Whether every side that says something about the other one allows it (rule I7). */
export function runsTogether(system: Side, storage: Side): boolean {
  const allows = (one: Side, other: Side): boolean =>
    one.runsWith === null || satisfies(other.version, one.runsWith);
  return allows(system, storage) && allows(storage, system);
}

/** Result of a check: a sentence of what was found, with a code when it failed. */
interface Finding {
  readonly code?: Code;
  readonly detail: string;
}

interface Subject {
  readonly manifest: Manifest;
  readonly view: PolicyView;
}

const imageOf = (manifest: Manifest, cls: SlotClass): ManifestImage | undefined =>
  manifest.images.find((image) => image.class === cls);

const named = (node: NodeId, cls: SlotClass, release: Release): string =>
  `${node}/${cls} is ${release.version} (release ${release.counter})`;

/** Every image beside what a node has in its place, as far as that is known. */
function pairs({ manifest, view }: Subject) {
  return NODES.flatMap((node) =>
    manifest.images.flatMap((image) => {
      const release = view.nodes[node][image.class];
      return release === null ? [] : [{ node, image, release }];
    }),
  );
}

const laggingPairs = (subject: Subject) =>
  pairs(subject).filter(({ image, release }) => release.counter < image.counter);

/** Known nodes that would leave their system version for another one, with that version. */
function leaving({ manifest, view }: Subject) {
  const image = imageOf(manifest, 'system');
  return NODES.flatMap((node) => {
    const { system } = view.nodes[node];
    if (system === null || image === undefined) return [];
    return system.counter < image.counter ? [{ node, system }] : [];
  });
}

function checkFormat({ manifest }: Subject): Finding {
  const detail = `format ${manifest.format}, this program reads ${MANIFEST_FORMAT}`;
  return manifest.format === MANIFEST_FORMAT
    ? { detail }
    : { code: 'bundle.unknown_format', detail };
}

function checkRequires({ manifest, view }: Subject): Finding {
  const unknown = manifest.requires.filter((word) => !view.requiresKnown.includes(word));
  if (unknown.length === 0) return { detail: 'every required feature is known' };
  const known = view.requiresKnown.join(', ') || 'none';
  const detail = `it requires ${unknown.join(', ')}; this program knows ${known}`;
  const delta = unknown.every((word) => word.startsWith('delta'));
  return { code: delta ? 'bundle.delta_unsupported' : 'bundle.unknown_format', detail };
}

function checkImages({ manifest }: Subject): Finding {
  const classes = manifest.images.map((image) => image.class);
  const detail = `images for ${classes.join(' and ') || 'nothing'}`;
  const good = classes.includes('system') && new Set(classes).size === classes.length;
  if (good) return { detail };
  const expected = 'one for system, and at most one for storage';
  return { code: 'bundle.invalid_manifest', detail: `${detail}; expected ${expected}` };
}

function checkProduct({ manifest, view }: Subject): Finding {
  if (manifest.product === view.product) return { detail: `for ${view.product}` };
  const detail = `the bundle is for ${manifest.product}, this appliance is ${view.product}`;
  return { code: 'product.other', detail };
}

function checkHardware({ manifest, view }: Subject): Finding {
  if (manifest.hardware.includes(view.hardware)) return { detail: `for ${view.hardware}` };
  const list = manifest.hardware.join(', ');
  const detail = `the bundle is for ${list}, this appliance is ${view.hardware}`;
  return { code: 'hardware.other', detail };
}

function checkUpdater({ manifest, view }: Subject): Finding {
  for (const node of NODES) {
    const version = view.nodes[node].updater ?? view.updaterVersion;
    if (compareVersions(version, manifest.minUpdater) < 0) {
      const detail = `Tandem on node ${node} is ${version}, needed is ${manifest.minUpdater}`;
      return { code: 'updater.too_old', detail };
    }
  }
  return { detail: `Tandem ${view.updaterVersion}, needed is ${manifest.minUpdater}` };
}

/** Before anything is compared: a version that is not known is never guessed. */
function checkInstalled({ manifest, view }: Subject): Finding {
  const away = NODES.find((node) => !view.nodes[node].reachable);
  if (away !== undefined) {
    const detail = `node ${away} does not answer, so its versions are not known`;
    return { code: 'pair.peer_unreachable', detail };
  }
  for (const node of NODES) {
    const missing = manifest.images.find((image) => view.nodes[node][image.class] === null);
    if (missing !== undefined) {
      const detail = `the ${missing.class} version of node ${node} is not known`;
      return { code: 'pair.not_healthy', detail };
    }
  }
  return { detail: 'the versions of both nodes are known' };
}

function checkNewer(subject: Subject): Finding {
  const lagging = laggingPairs(subject);
  const bundle = `the bundle has release ${subject.manifest.releaseCounter}`;
  if (lagging.length > 0) {
    const list = lagging.map(({ node, image, release }) => named(node, image.class, release));
    return { detail: `${list.join(', ')}; ${bundle}` };
  }
  const list = pairs(subject).map(({ node, image, release }) => named(node, image.class, release));
  const images = subject.manifest.images.map((image) => `${image.class} ${image.version}`);
  const offer = `the bundle has ${images.join(', ')} (release ${subject.manifest.releaseCounter})`;
  return { code: 'version.same_or_newer', detail: `${list.join(', ')}; ${offer}` };
}

function checkNoDowngrade(subject: Subject): Finding {
  const down = pairs(subject).find(({ image, release }) => release.counter > image.counter);
  if (down === undefined) return { detail: 'no component would go back' };
  const { node, image, release } = down;
  const offer = `the bundle has ${image.version} (release ${image.counter})`;
  const detail = `${named(node, image.class, release)} and ${offer}, which is older`;
  return { code: 'version.downgrade', detail };
}

function checkPath(subject: Subject): Finding {
  const { from } = subject.manifest;
  const off = leaving(subject).find(({ system }) => !satisfies(system.version, from));
  if (off === undefined) return { detail: `updates from ${from}` };
  const detail = `node ${off.node} has ${off.system.version}; the bundle updates from ${from}`;
  return { code: 'version.no_path', detail };
}

function checkBlocked(subject: Subject): Finding {
  const { blocked } = subject.manifest;
  const hit = leaving(subject).find(({ system }) =>
    blocked.some((version) => compareVersions(version, system.version) === 0),
  );
  if (hit === undefined) return { detail: 'the installed versions are not blocked' };
  const detail = `node ${hit.node} has ${hit.system.version}; blocked are ${blocked.join(', ')}`;
  return { code: 'version.blocked', detail };
}

/** In the mixed window one node runs the new system beside the old one of its peer. */
function checkSideBySide(subject: Subject): Finding {
  const { manifest, view } = subject;
  const { sideBySide, protocol } = manifest.pair;
  for (const { node, system } of leaving(subject)) {
    if (!satisfies(system.version, sideBySide)) {
      const found = `node ${node} has ${system.version}`;
      const detail = `${found}; ${manifest.version} runs beside ${sideBySide}`;
      return { code: 'version.incompatible', detail };
    }
    const own = view.nodes[node].protocol ?? view.protocol;
    if (own[1] < protocol[0] || protocol[1] < own[0]) {
      const found = `node ${node} speaks pair protocol ${own.join('-')}`;
      const detail = `${found}; ${manifest.version} speaks ${protocol.join('-')}`;
      return { code: 'version.incompatible', detail };
    }
  }
  return { detail: `runs beside ${sideBySide}, pair protocol ${protocol.join('-')}` };
}

/**
 * A component as the bundle leaves it on a node: the image, unless the node has a newer one or the
 * bundle has none. Of an installed component only the version counts: the newer bundle knows more
 * of the combination than the older one could.
 */
function sideAfter({ manifest, view }: Subject, node: NodeId, cls: SlotClass): Side | null {
  const image = imageOf(manifest, cls);
  const release = view.nodes[node][cls];
  if (image !== undefined && (release === null || release.counter <= image.counter)) return image;
  return release === null ? null : { version: release.version, runsWith: null };
}

function checkCombination(subject: Subject): Finding {
  for (const node of NODES) {
    const system = sideAfter(subject, node, 'system');
    const storage = sideAfter(subject, node, 'storage');
    if (system === null || storage === null || runsTogether(system, storage)) continue;
    const says = [system, storage].map((side) => side.runsWith ?? '*');
    const detail =
      `system ${system.version} (with storage ${says[0]}) and storage ${storage.version} ` +
      `(under system ${says[1]}) would run together on node ${node}`;
    return { code: 'version.incompatible', detail };
  }
  const unreadable = aboveReach(subject.manifest, subject.view.nodes);
  if (unreadable !== null) return { code: 'version.incompatible', detail: unreadable };
  return { detail: 'system and storage run together on both nodes' };
}

function checkFloor({ manifest, view }: Subject): Finding {
  const floors = NODES.map((node) => view.nodes[node].floor);
  const detail = `release ${manifest.releaseCounter}, the lowest allowed is ${Math.max(...floors)}`;
  return manifest.releaseCounter >= Math.max(...floors)
    ? { detail }
    : { code: 'version.downgrade', detail };
}

function checkSlots(subject: Subject): Finding {
  const plan = planRollout(subject.manifest, subject.view);
  for (const node of NODES) {
    for (const image of plan[node].targets) {
      const capacity = subject.view.nodes[node].slotBytes?.[image.class] ?? null;
      if (capacity !== null && image.rawBytes > capacity) {
        const found = `the ${image.class} image has ${image.rawBytes} bytes`;
        const detail = `${found}, the slots of node ${node} have ${capacity}`;
        return { code: 'space.slot', detail };
      }
    }
  }
  return { detail: 'the images fit the slots' };
}

function checkDepot({ view }: Subject): Finding {
  if (view.bundleBytes === null) return { detail: 'the size of the bundle is not judged' };
  const needed = view.bundleBytes + DEPOT_MARGIN_BYTES;
  for (const node of NODES) {
    const free = view.nodes[node].freeBytes ?? null;
    if (free !== null && free < needed) {
      const missing = `${needed - free} bytes are missing on node ${node}`;
      return { code: 'space.depot', detail: `${missing}: needed ${needed}, free ${free}` };
    }
  }
  const blind = NODES.filter((node) => (view.nodes[node].freeBytes ?? null) === null);
  return blind.length === 0
    ? { detail: `${needed} bytes are free for the bundle` }
    : { detail: `the free space of node ${blind.join(' and ')} is not known` };
}

/** In the order in which they decide; the name is part of the interface (`validate --json`). */
const CHECKS: readonly (readonly [name: string, check: (subject: Subject) => Finding])[] = [
  ['format', checkFormat],
  ['requires', checkRequires],
  ['images', checkImages],
  ['product', checkProduct],
  ['hardware', checkHardware],
  ['updater', checkUpdater],
  ['installed', checkInstalled],
  ['newer', checkNewer],
  ['no-downgrade', checkNoDowngrade],
  ['path', checkPath],
  ['blocked', checkBlocked],
  ['side-by-side', checkSideBySide],
  ['combination', checkCombination],
  ['floor', checkFloor],
  ['slots', checkSlots],
  ['depot', checkDepot],
];

function find(check: (subject: Subject) => Finding, subject: Subject): Finding {
  try {
    return check(subject);
  } catch (error) {
    // A range or version word that cannot be read: the bundle cannot be judged, so it is refused.
    const { code, message } = asUpdateError(error);
    return { code, detail: message };
  }
}

/**
 * Every check of a bundle against a pair, in order; the first one that fails decides code, message
 * and next action. In a manifest of an unknown format nothing else is read. Never throws.
 */
export function judgeBundle(manifest: Manifest, view: PolicyView): ValidateReport {
  const subject = { manifest, view };
  const readable = manifest.format === MANIFEST_FORMAT;
  const checks = CHECKS.slice(0, readable ? CHECKS.length : 1).map(([name, check]) => {
    const { code = null, detail } = find(check, subject);
    return { name, ok: code === null, code, detail };
  });
  const failed = checks.find((check) => !check.ok);
  const lagging = readable
    ? laggingPairs(subject).map(({ node, image }) => `${node}/${image.class}`)
    : [];
  const code = failed?.code ?? null;
  return {
    ok: failed === undefined,
    bundle: view.bundle,
    product: readable ? manifest.product : null,
    version: readable ? manifest.version : null,
    lagging,
    checks,
    code,
    message: failed?.detail ?? `${manifest.version} can be installed on ${lagging.join(', ')}`,
    next: code === null ? null : CODES[code].next,
  };
}

/**
 * What a rollout of this bundle does on each node. Meant for a bundle that `judgeBundle` accepts;
 * a component whose version is not known counts as lagging.
 */
export function planRollout(manifest: Manifest, view: PolicyView): RolloutPlan {
  const plan = (node: NodeId): NodePlan => {
    const now = view.nodes[node];
    const lags = manifest.images.filter(
      (image) => (now[image.class]?.counter ?? -1) < image.counter,
    );
    const targets = manifest.images.filter(
      (image) => lags.length > 0 && (image.class === 'system' || lags.includes(image)),
    );
    const storage = targets.find((image) => image.class === 'storage');
    const old = now.system === null ? null : { version: now.system.version, runsWith: null };
    return {
      skip: lags.length === 0,
      lagging: lags.map((image) => image.class),
      targets,
      storageRunsUnderOld: storage !== undefined && old !== null && runsTogether(old, storage),
    };
  };
  return { A: plan('A'), B: plan('B') };
}
