/**
 * Signatures on their way into a bundle, docs/bundle.md B7.6 and B7.7: made here with keys at hand,
 * or made elsewhere over `manifest.json` alone and attached. Always holds: what is signed was
 * parsed and its structure checked before; the bundle is replaced by a complete copy, and nothing
 * but the 16 KiB of `manifest.sig` differs. Imports core.
 */
import { hash } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, open } from 'node:fs/promises';
import { UpdateError } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';
import { attachedEntries } from './attach.ts';
import { parseStrictJson } from './json.ts';
import type { SigningKey } from './keys.ts';
import { KEY_FILE_BYTES_MAX, MANIFEST_BYTES_MAX, SIGNATURE_BYTES } from './limits.ts';
import { parseManifest } from './manifest.ts';
import { inspectBundle, inspectImages, type UntrustedBundle } from './reader.ts';
import { replaceFile, writeAll } from './replace-file.ts';
import {
  bundleId,
  encodeSignatures,
  listText,
  preAuthEncoding,
  signManifest,
  type Payload,
  type SignatureEntry,
  type SignatureList,
} from './signature.ts';
import { fileSource, openFileSource, readSmallFile, type ByteSource } from './source.ts';
import { parseTrustRoot, type TrustRoot } from './trust.ts';

/** A bundle after signatures were added. */
export interface SignedBundle {
  readonly bundle: Sha256;
  /** Key ids of all signatures that the bundle now has. */
  readonly keyids: readonly string[];
}

/**
 * Adds a signature of each key to the bundle at `path`; one of the same key is replaced. Throws
 * `bundle.*` when the file is not a whole bundle, `file.*` when it cannot be written.
 */
export async function signBundle(path: string, keys: readonly SigningKey[]): Promise<SignedBundle> {
  return await addSignatures(path, (found) =>
    keys.map((key) => signManifest(found.manifestBytes, key)),
  );
}

/**
 * Adds the signatures of detached files (B7.7) to the bundle at `path`. With a trust root a
 * signature of a key that it names must be good; one of minisign or openssl needs it, because it
 * does not name its key in full. Throws `bundle.invalid_input` for a file that does not belong to
 * this bundle, `trust.untrusted` for a bad signature.
 */
export async function attachSignatures(
  path: string,
  files: readonly string[],
  root?: TrustRoot,
): Promise<SignedBundle> {
  return await addSignatures(path, async (found) => {
    const added: SignatureEntry[] = [];
    for (const file of files) {
      const bytes = await readSmallFile(file, Math.max(KEY_FILE_BYTES_MAX, SIGNATURE_BYTES));
      added.push(...attachedEntries({ file, bytes }, found.manifestBytes, 'manifest', root));
    }
    return added;
  });
}

/** What a signer who has the manifest alone gives back. */
export interface DetachedSignatures {
  readonly bundle: Sha256;
  readonly manifest: Manifest;
  /** Content of the detached signature file (B3.5), with a line feed. */
  readonly text: string;
}

/** Signs a manifest file that travelled alone (B7.7). Throws what `parseManifest` throws. */
export async function signManifestFile(
  path: string,
  keys: readonly SigningKey[],
): Promise<DetachedSignatures> {
  const bytes = await readSmallFile(path, MANIFEST_BYTES_MAX);
  const manifest = parseManifest(bytes);
  const bundle = bundleId(bytes);
  const signatures = keys.map((key) => signManifest(bytes, key));
  return { bundle, manifest, text: `${listText({ manifest: bundle, signatures })}\n` };
}

/** What a key of scheme `ed25519` signs elsewhere (B3.7, B3.12). */
export interface BytesToSign {
  readonly payload: Payload;
  /** Of the manifest or the root. */
  readonly sha256: string;
  /** With the text before them. */
  readonly bytes: Uint8Array;
}

/**
 * The bytes to sign for a bundle, a manifest file or a trust root file; each is checked as before
 * any signature. Throws `bundle.*`, `trust.no_root`, `file.*`.
 */
export async function bytesToSign(path: string): Promise<BytesToSign> {
  await using source = await openFileSource(path);
  const start = await source.readAt(0, Math.min(1, source.sizeBytes));
  if (start[0] !== OPENING_BRACE) {
    return framed((await inspectWhole(source)).manifestBytes, 'manifest');
  }
  const bytes = await readSmallFile(path, MANIFEST_BYTES_MAX);
  // No bytes are valid as both (B3.12), so the one field decides which of them is meant.
  const value = parseStrictJson(bytes, { code: 'bundle.invalid_manifest', what: path });
  if (Object.hasOwn(Object(value) as object, 'threshold')) {
    parseTrustRoot(bytes);
    return framed(bytes, 'root');
  }
  parseManifest(bytes);
  return framed(bytes, 'manifest');
}

const OPENING_BRACE = 0x7b;

function framed(bytes: Uint8Array, payload: Payload): BytesToSign {
  return { payload, sha256: hash('sha256', bytes), bytes: preAuthEncoding(bytes, payload) };
}

async function addSignatures(
  path: string,
  make: (found: UntrustedBundle) => readonly SignatureEntry[] | Promise<readonly SignatureEntry[]>,
): Promise<SignedBundle> {
  await using source = await openFileSource(path);
  const found = await inspectWhole(source);
  const added = await make(found);
  const keyids = new Set(added.map((entry) => entry.keyid));
  const kept = found.signatures.signatures.filter((entry) => !keyids.has(entry.keyid));
  const signatures = [...kept, ...added];
  const list: SignatureList = { manifest: found.bundle, signatures };
  const member = encodeSignatures(list);
  await replaceFile(path, async (handle, temporary) => {
    // A copy that shares its blocks where the file system can do that.
    await copyFile(path, temporary, constants.COPYFILE_FICLONE);
    await using copy = await open(temporary, 'r+');
    await writeAll(copy, member, found.layout.signature.dataOffset);
    const again = await inspectWhole(await fileSource(copy));
    if (again.bundle !== found.bundle) {
      throw new UpdateError('bundle.damaged', `${path} was changed while it was signed`);
    }
    await handle.sync();
  });
  return { bundle: found.bundle, keyids: signatures.map((entry) => entry.keyid) };
}

/** A signature under half a bundle would look like a promise; so the structure comes first. */
async function inspectWhole(source: ByteSource): Promise<UntrustedBundle> {
  const found = await inspectBundle(source);
  await inspectImages(source, found.layout);
  return found;
}
