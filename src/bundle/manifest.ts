/**
 * `manifest.json`: its schema, its inner consistency, and its canonical text, docs/bundle.md B4.
 * Always holds: a manifest that was parsed here can be believed to be consistent, and no more; only
 * the reader, which has judged its signature before, may call it verified. Imports core.
 */
import { UpdateError } from '../core/errors.ts';
import { MANIFEST_FORMAT } from '../core/manifest.ts';
import type { Manifest, ManifestBase, ManifestImage } from '../core/manifest.ts';
import type { ManifestRoot, ManifestUpdater } from '../core/manifest.ts';
import { compareVersions, parseRange, parseVersion } from '../core/version.ts';
import { SEGMENT_BYTES, SEGMENTS_MAX } from './delta.ts';
import { parseStrictJson, type JsonRole } from './json.ts';
import { indexBytes } from './index-codec.ts';
import { MANIFEST_BYTES_MAX } from './limits.ts';
import { manifestSchema } from './manifest-schema.ts';
import { quoted } from './quote.ts';
import { checkOf } from './schema.ts';

/** Entry of `requires` in a bundle that brings new trust roots (B3.14). */
export const ROOT_FEATURE = 'root';
/** Entry of `requires` in a bundle with delta images (B4.4). */
export const DELTA_FEATURE = 'delta';
/** Entry of `requires` in a bundle that brings an updater (B4.10). */
export const UPDATER_FEATURE = 'updater';
/** Entries of `requires` that this program knows. */
export const KNOWN_FEATURES: readonly string[] = [DELTA_FEATURE, ROOT_FEATURE, UPDATER_FEATURE];

const ROLE: JsonRole = { code: 'bundle.invalid_manifest', what: 'the manifest' };
const checkSchema = checkOf(manifestSchema);

/** What every format of the manifest has, so that a later one is refused by its own name. */
export const headSchema = {
  type: 'object',
  required: ['format'],
  properties: {
    format: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    requires: { type: 'array', maxItems: 64, items: { type: 'string', maxLength: 64 } },
  },
} as const;

const checkHead = checkOf(headSchema);

/**
 * Manifest from its bytes (B4.2): strict JSON, format, features, schema, consistency, in this
 * order. Throws `bundle.unknown_format`, `bundle.delta_unsupported` or `bundle.invalid_manifest`.
 */
export function parseManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > MANIFEST_BYTES_MAX) {
    throw invalid(`has ${bytes.length} bytes, expected at most ${MANIFEST_BYTES_MAX}`);
  }
  const value = parseStrictJson(bytes, ROLE);
  const head = checkHead(value, ROLE);
  if (head.format !== MANIFEST_FORMAT) {
    throw new UpdateError(
      'bundle.unknown_format',
      `the manifest has format ${head.format}, this program reads format ${MANIFEST_FORMAT}`,
      { detail: { found: head.format, expected: MANIFEST_FORMAT } },
    );
  }
  checkFeatures(head.requires ?? []);
  const manifest = checkSchema(value, ROLE) as unknown as Manifest;
  checkDecided(manifest);
  for (const image of manifest.images) checkSizes(image);
  checkBases(manifest);
  // A reader that does not know new trust roots must have been told.
  const named = manifest.requires.includes(ROOT_FEATURE);
  if (named !== (manifest.root !== undefined)) {
    throw invalid(named ? 'requires root and has none' : 'has a root without requiring it');
  }
  checkBrings(manifest);
  return manifest;
}

/** B4.10: the same for an updater. */
function checkBrings({ requires, updater }: Manifest): void {
  const named = requires.includes(UPDATER_FEATURE);
  if (named !== (updater !== undefined)) {
    throw invalid(named ? 'requires updater and has none' : 'has an updater without requiring it');
  }
  if (updater !== undefined) parseVersion(updater.version);
}

/** B4.4: what a reader does not know it must not guess. */
function checkFeatures(requires: readonly string[]): void {
  const unknown = requires.filter((name) => !KNOWN_FEATURES.includes(name));
  const first = unknown[0];
  if (first === undefined) return;
  const detail = { found: unknown.map((name) => name.slice(0, 64)), expected: KNOWN_FEATURES };
  if (unknown.every((name) => name.startsWith(DELTA_FEATURE))) {
    throw new UpdateError(
      'bundle.delta_unsupported',
      `the bundle requires ${quoted(first)}, a kind of delta that this program cannot apply`,
      { detail },
    );
  }
  throw new UpdateError(
    'bundle.unknown_format',
    `the bundle requires ${quoted(first)}, which this program does not know`,
    { detail },
  );
}

/** What people decide about an image. */
export type ImageSpec = Pick<
  ManifestImage,
  'name' | 'class' | 'version' | 'counter' | 'runsWith' | 'formatLevel'
>;

/** What people decide about a bundle; the rest of a manifest is computed. */
export type DecidedManifest = Pick<
  Manifest,
  | 'product'
  | 'hardware'
  | 'version'
  | 'releaseCounter'
  | 'from'
  | 'blocked'
  | 'minUpdater'
  | 'pair'
  | 'health'
  | 'notes'
  | 'created'
> & { readonly images: readonly ImageSpec[] };

/** B4.5: what was decided must agree with itself. Throws `bundle.invalid_manifest`. */
export function checkDecided(manifest: DecidedManifest): void {
  parseVersion(manifest.version);
  parseVersion(manifest.minUpdater);
  parseRange(manifest.from);
  parseRange(manifest.pair.sideBySide);
  for (const version of manifest.blocked) parseVersion(version);
  const [min, max] = manifest.pair.protocol;
  if (min > max) throw invalid(`has the pair protocols ${min} to ${max}`);
  const { images } = manifest;
  const names = new Set(images.map((image) => image.name));
  if (names.size !== images.length) throw invalid('names two images alike');
  const systems = images.filter((image) => image.class === 'system');
  const storages = images.filter((image) => image.class === 'storage');
  if (systems.length !== 1) throw invalid(`has ${systems.length} system images, expected 1`);
  if (storages.length > 1) throw invalid(`has ${storages.length} storage images, expected 0 or 1`);
  for (const image of images) {
    parseVersion(image.version);
    parseRange(image.runsWith);
    if ((image.formatLevel !== undefined) !== (image.class === 'storage')) {
      throw invalidImage(image, 'formatLevel belongs to storage images, and to each of them');
    }
  }
  // The system image and the release share one sequence of versions (B4.6).
  const release = { version: manifest.version, counter: manifest.releaseCounter };
  for (const system of systems) {
    const why = orderDisagreement(release, system);
    if (why !== undefined) throw invalid(`and its system image disagree: ${why}`);
  }
}

/** B4.5: sizes that must agree with each other. */
function checkSizes(image: ManifestImage): void {
  if ((image.chunkBytes & (image.chunkBytes - 1)) !== 0) {
    throw invalidImage(image, `chunks of ${image.chunkBytes} bytes, expected a power of two`);
  }
  const chunks = Math.ceil(image.rawBytes / image.chunkBytes);
  if (image.chunks !== chunks) {
    throw invalidImage(image, `${image.chunks} chunks, expected ${chunks}`);
  }
  const expected = indexBytes(chunks);
  const segments = (image.indexBytes - expected) / SEGMENT_BYTES;
  const most = image.base === undefined ? 0 : chunks * SEGMENTS_MAX;
  if (!(Number.isInteger(segments) && segments >= 0 && segments <= most)) {
    const up = most === 0 ? '' : ` and ${SEGMENT_BYTES} for each of at most ${most} segments`;
    throw invalidImage(image, `an index of ${image.indexBytes} bytes, expected ${expected}${up}`);
  }
}

/** B4.5: the feature is named exactly when an image needs it, and a base is no later release. */
function checkBases({ requires, images }: Manifest): void {
  const deltas = images.filter((image) => image.base !== undefined);
  if (requires.includes(DELTA_FEATURE) !== deltas.length > 0) {
    throw invalid(`requires ${requires.join(', ') || 'nothing'} and has ${deltas.length} deltas`);
  }
  for (const { base, ...image } of deltas) {
    if (base === undefined) continue;
    const why = orderDisagreement(image, base);
    if (why !== undefined) throw invalidImage(image, `it and its base disagree: ${why}`);
    if (base.counter > image.counter) throw invalidImage(image, 'its base is a later release');
  }
}

function invalidImage(image: Pick<ManifestImage, 'name'>, why: string): UpdateError {
  return invalid(`says of image ${image.name}: ${why}`);
}

/** A version with the counter that orders it. */
export interface OrderPoint {
  readonly version: string;
  readonly counter: number;
}

/**
 * Undefined when the semver order of two points of one sequence is the order of their counters
 * (B4.6), otherwise a sentence.
 */
export function orderDisagreement(a: OrderPoint, b: OrderPoint): string | undefined {
  const byVersion = compareVersions(a.version, b.version);
  if (byVersion === Math.sign(a.counter - b.counter)) return undefined;
  return `version ${a.version} has counter ${a.counter}, version ${b.version} has ${b.counter}`;
}

/** Canonical text of a manifest (B4.7): what the builder writes. */
export function manifestText(manifest: Manifest): string {
  const { pair, health } = manifest;
  const ordered = {
    format: manifest.format,
    product: manifest.product,
    hardware: manifest.hardware,
    version: manifest.version,
    releaseCounter: manifest.releaseCounter,
    from: manifest.from,
    blocked: manifest.blocked,
    minUpdater: manifest.minUpdater,
    pair: { protocol: pair.protocol, sideBySide: pair.sideBySide },
    requires: manifest.requires,
    ...(manifest.root !== undefined && { root: orderedRoot(manifest.root) }),
    ...(manifest.updater !== undefined && { updater: orderedUpdater(manifest.updater) }),
    images: manifest.images.map(orderedImage),
    ...(health !== undefined && { health }),
    ...(manifest.notes !== undefined && { notes: manifest.notes }),
    ...(manifest.created !== undefined && { created: manifest.created }),
  };
  return `${JSON.stringify(ordered, undefined, 2)}\n`;
}

function orderedRoot({ version, sizeBytes, sha256 }: ManifestRoot): ManifestRoot {
  return { version, sizeBytes, sha256 };
}

function orderedUpdater({ version, sizeBytes, sha256 }: ManifestUpdater): ManifestUpdater {
  return { version, sizeBytes, sha256 };
}

function orderedImage(image: ManifestImage): ManifestImage {
  return {
    name: image.name,
    class: image.class,
    version: image.version,
    counter: image.counter,
    rawBytes: image.rawBytes,
    chunkBytes: image.chunkBytes,
    chunks: image.chunks,
    compressedBytes: image.compressedBytes,
    indexBytes: image.indexBytes,
    indexSha256: image.indexSha256,
    rawSha256: image.rawSha256,
    imageId: image.imageId,
    runsWith: image.runsWith,
    ...(image.formatLevel !== undefined && { formatLevel: image.formatLevel }),
    ...(image.base !== undefined && { base: orderedBase(image.base) }),
  };
}

function orderedBase(base: ManifestBase): ManifestBase {
  const { version, counter, rawBytes, rawSha256, imageId } = base;
  return { version, counter, rawBytes, rawSha256, imageId };
}

function invalid(why: string): UpdateError {
  return new UpdateError('bundle.invalid_manifest', `the manifest ${why}`, {
    detail: { found: why },
  });
}
