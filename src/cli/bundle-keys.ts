/**
 * `bundle keygen`, `bundle sign` and `bundle to-sign`: who may sign, and who did. Always holds: a
 * private key is never printed and never replaced; a signature is only made over a manifest that
 * was parsed. Imports core and the bundle room lazily.
 */
import { EXIT } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { manifestLines } from './bundle-view.ts';
import { flag, printJson, printLines, text, wholeNumber } from './values.ts';
import type { CliIo, VerbValues } from './verb.ts';

const THRESHOLD_MAX = 64;

/** All values of an option that may be given more than once. */
export function list(values: VerbValues, name: string): readonly string[] {
  const value = values[name];
  if (Array.isArray(value)) return value as readonly string[];
  return typeof value === 'string' ? [value] : [];
}

function usage(message: string): UpdateError {
  return new UpdateError('usage.invalid', message);
}

/** Makes a key pair, or takes in a public key; extends a trust root with it. */
export async function keygen(
  _args: readonly string[],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const name = text(values, 'name') ?? 'release';
  const threshold = wholeNumber(values, 'threshold', { min: 1, max: THRESHOLD_MAX });
  const rootPath = text(values, 'root');
  const publicPath = text(values, 'public');
  const dir = text(values, 'out');
  if (threshold !== undefined && rootPath === undefined) throw usage('--threshold needs --root');
  if ((dir === undefined) === (publicPath === undefined)) {
    throw usage('bundle keygen needs --out DIR for a new key, or --public FILE for a key you have');
  }
  if (publicPath !== undefined && rootPath === undefined) {
    throw usage('--public needs --root, the trust root to extend');
  }
  const { planRoot, rootKeyFromFile, rootKeyOf, writeRoot } =
    await import('../bundle/root-file.ts');
  const { generateSigningKey, writeSigningKey } = await import('../bundle/keys.ts');
  const key = generateSigningKey();
  const entry =
    publicPath === undefined
      ? rootKeyOf(key, name)
      : await rootKeyFromFile(publicPath, name, text(values, 'namespace'));
  // The root is judged before the key files are made: a refusal leaves nothing behind.
  const root = rootPath === undefined ? null : await planRoot(rootPath, entry, threshold);
  const made = dir === undefined ? undefined : await writeSigningKey(dir, name, key);
  const files = made === undefined ? [] : [made.keyPath, made.publicPath];
  if (rootPath !== undefined && root !== null) await writeRoot(rootPath, root);
  const { keyid, scheme } = entry;
  if (flag(values, 'json')) {
    const summary = root && {
      file: rootPath,
      version: root.version,
      threshold: root.threshold,
      keys: root.keys.length,
    };
    printJson(io, { keyid, scheme, files, root: summary });
    return EXIT.done;
  }
  const lines = [`key id      ${keyid} (${scheme})`];
  const [keyPath, pubPath] = files;
  if (keyPath !== undefined) lines.push(`private key ${keyPath} (keep it secret and offline)`);
  if (pubPath !== undefined) lines.push(`public key  ${pubPath}`);
  if (root !== null) {
    lines.push(
      `trust root  ${rootPath}: version ${root.version}, ${root.threshold} of ` +
        `${root.keys.length} keys must sign`,
    );
  }
  printLines(io, lines);
  return EXIT.done;
}

/** Signs a bundle or a manifest, and attaches signatures that were made elsewhere. */
export async function sign(
  args: readonly string[],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const keyPaths = list(values, 'key');
  const attach = list(values, 'attach');
  const manifest = text(values, 'manifest');
  const path = args[0];
  if ((path === undefined) === (manifest === undefined)) {
    throw usage('bundle sign needs a bundle, or --manifest FILE with --out FILE');
  }
  const { loadSigningKey } = await import('../bundle/keys.ts');
  const keys = await Promise.all(keyPaths.map((key) => loadSigningKey(key)));
  if (manifest !== undefined) return await signManifest(manifest, keys, values, io);
  if (keys.length === 0 && attach.length === 0) {
    throw usage('bundle sign needs --key FILE or --attach FILE');
  }
  if (text(values, 'out') !== undefined) throw usage('--out belongs to --manifest');
  const { attachSignatures, signBundle } = await import('../bundle/sign.ts');
  const { loadTrustRoot } = await import('../bundle/trust.ts');
  const rootPath = text(values, 'root');
  const root = rootPath === undefined ? undefined : await loadTrustRoot(rootPath);
  const file = path ?? '';
  let signed = keys.length > 0 ? await signBundle(file, keys) : undefined;
  if (attach.length > 0) signed = await attachSignatures(file, attach, root);
  const { bundle, keyids } = signed ?? { bundle: '', keyids: [] };
  if (flag(values, 'json')) printJson(io, { file, bundle, keyids });
  else {
    printLines(io, [
      `signed ${file}, bundle ${bundle}; it has the signatures of:`,
      ...keyids.map((keyid) => `  ${keyid}`),
    ]);
  }
  return EXIT.done;
}

async function signManifest(
  path: string,
  keys: Parameters<typeof import('../bundle/sign.ts').signManifestFile>[1],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const out = text(values, 'out');
  if (keys.length === 0 || out === undefined || list(values, 'attach').length > 0) {
    throw usage('--manifest FILE goes with --key FILE and --out FILE, and with nothing else');
  }
  const { signManifestFile } = await import('../bundle/sign.ts');
  const { replaceFile, writeAll } = await import('../bundle/replace-file.ts');
  const signed = await signManifestFile(path, keys);
  await replaceFile(out, (handle) => writeAll(handle, Buffer.from(signed.text), 0));
  const { bundle, manifest } = signed;
  const keyids = keys.map((key) => key.keyid);
  if (flag(values, 'json')) printJson(io, { file: out, bundle, keyids, manifest });
  else {
    printLines(io, [
      `signed the manifest of this bundle into ${out}:`,
      ...manifestLines(bundle, manifest, io),
      ...keyids.map((keyid) => `signed by   ed25519 ${keyid}`),
    ]);
  }
  return EXIT.done;
}

/** Writes what a key in a token or a vault signs, for tools that sign bare bytes (openssl). */
export async function toSign(
  args: readonly string[],
  values: VerbValues,
  io: CliIo,
): Promise<number> {
  const out = text(values, 'out');
  if (out === undefined) throw usage('bundle to-sign needs --out FILE');
  const { bytesToSign } = await import('../bundle/sign.ts');
  const { replaceFile, writeAll } = await import('../bundle/replace-file.ts');
  const file = args[0] ?? '';
  const { payload, sha256, bytes } = await bytesToSign(file);
  await replaceFile(out, (handle) => writeAll(handle, bytes, 0));
  if (flag(values, 'json')) printJson(io, { file, payload, sha256, out, sizeBytes: bytes.length });
  else {
    const what = payload === 'root' ? 'trust root' : 'manifest';
    printLines(io, [
      `wrote ${out}: ${bytes.length} bytes to sign for the ${what} ${sha256}`,
      `sign with   openssl pkeyutl -sign -rawin -inkey KEY -in ${out} -out SIG`,
      `then        tandem ${payload === 'root' ? 'trust' : 'bundle'} sign ... --attach SIG`,
    ]);
  }
  return EXIT.done;
}
