/**
 * Making `roots.json`, docs/bundle.md B7.8: a new trust root with the signatures of the old and of
 * the new keys, one after the other on the machines where the keys are. Always holds: what is
 * signed is a root that nodes can use, under the version that its bytes say; a root that is there
 * already is never exchanged, only signed by more keys. Imports core.
 */
import { UpdateError } from '../core/errors.ts';
import { attachedEntries } from './attach.ts';
import type { SigningKey } from './keys.ts';
import { KEY_FILE_BYTES_MAX, ROOT_BYTES_MAX, ROOTS_BYTES_MAX, SIGNATURE_BYTES } from './limits.ts';
import { inspectBundle } from './reader.ts';
import { replaceFile, writeAll } from './replace-file.ts';
import { decodeRoots, encodeRoots, type RootLink } from './rotation.ts';
import { signBytes, type SignatureEntry } from './signature.ts';
import { fileExists, openFileSource, readSmallFile } from './source.ts';
import { parseTrustRoot, type TrustRoot } from './trust.ts';

/** Who signs a new trust root. */
export interface RootSigners {
  readonly keys: readonly SigningKey[];
  /** Files of signatures that were made elsewhere. */
  readonly attach: readonly string[];
  /** The root before, which knows the old keys; needed for files that do not name their key. */
  readonly old?: TrustRoot;
}

/**
 * Adds signatures of the root at `rootPath` to the `roots.json` at `rootsPath`, which is made where
 * there is none. Returns the new link. Throws `trust.no_root` when it is no root, `usage.invalid`
 * when its version has no place there, `bundle.invalid_input` and `trust.untrusted` as
 * `attachedEntries` does.
 */
export async function signRoot(
  rootPath: string,
  rootsPath: string,
  signers: RootSigners,
): Promise<RootLink> {
  const root = await readSmallFile(rootPath, ROOT_BYTES_MAX);
  const parsed = parseTrustRoot(root);
  const links = (await fileExists(rootsPath)) ? await loadRoots(rootsPath) : [];
  const there = links.find(({ version }) => version === parsed.version);
  const last = links.at(-1)?.version;
  if (there !== undefined && !Buffer.from(there.root).equals(root)) {
    throw usage(`${rootsPath} has another root of version ${parsed.version} already`);
  }
  if (there === undefined && last !== undefined && parsed.version !== last + 1) {
    throw usage(`${rootPath} has version ${parsed.version}, expected ${last + 1}: the next one`);
  }
  const added = [
    ...signers.keys.map((key) => signBytes(root, key, 'root')),
    ...(await attached(signers, root, parsed)),
  ];
  const names = new Set(added.map(({ keyid }) => keyid));
  const kept = (there?.signatures ?? []).filter(({ keyid }) => !names.has(keyid));
  const link: RootLink = { version: parsed.version, root, signatures: [...kept, ...added] };
  const others = links.filter(({ version }) => version !== link.version);
  const all = [...others, link].toSorted((a, b) => a.version - b.version);
  const bytes = encodeRoots(all);
  await replaceFile(rootsPath, (handle) => writeAll(handle, bytes, 0));
  return link;
}

async function attached(
  { attach, old }: RootSigners,
  root: Uint8Array,
  own: TrustRoot,
): Promise<readonly SignatureEntry[]> {
  // Keys of either root may have signed; what both have, both bind alike or it counts for neither.
  const both: TrustRoot = { ...own, keys: new Map([...(old?.keys ?? []), ...own.keys]) };
  const entries: SignatureEntry[] = [];
  for (const file of attach) {
    const bytes = await readSmallFile(file, Math.max(KEY_FILE_BYTES_MAX, SIGNATURE_BYTES));
    entries.push(...attachedEntries({ file, bytes }, root, 'root', both));
  }
  return entries;
}

/** The new roots of a `roots.json`, or of a bundle; not judged. Throws `file.*`, `bundle.*`. */
export async function loadRoots(path: string): Promise<readonly RootLink[]> {
  await using source = await openFileSource(path);
  const start = await source.readAt(0, Math.min(1, source.sizeBytes));
  if (start[0] !== 0x7b) return (await inspectBundle(source)).roots;
  return decodeRoots(await readSmallFile(path, ROOTS_BYTES_MAX));
}

function usage(message: string): UpdateError {
  return new UpdateError('usage.invalid', message);
}
