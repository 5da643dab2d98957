/**
 * The verbs `bundle keygen | make | sign | to-sign | show | verify`: all of them work without a
 * daemon, so the makers and signers of a bundle need nothing but this program. Always holds: with
 * `--json` standard output is one JSON object; progress goes to standard error. The bundle format
 * is loaded when a verb runs. Imports core and the bundle room lazily.
 */
import { dirname, resolve } from 'node:path';
import type { EarlierRelease } from '../bundle/builder.ts';
import type { SigningKey } from '../bundle/keys.ts';
import type { BundleSpec } from '../bundle/spec.ts';
import { EXIT } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { keygen, list, sign, toSign } from './bundle-keys.ts';
import { broughtUpdater } from './bundle-updater.ts';
import { manifestLines, progressPrinter, uninterrupted } from './bundle-view.ts';
import { bytes } from './render.ts';
import { flag, printJson, printLines, text, wholeNumber } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';

async function make(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const { loadSpec } = await import('../bundle/spec.ts');
  const { makeBundle } = await import('../bundle/builder.ts');
  const specPath = args[0] ?? '';
  const out = text(values, 'out') ?? 'update.bin';
  const spec = await loadSpec(specPath);
  const level = wholeNumber(values, 'level', { min: 1, max: 22 });
  const keys = await signingKeys(list(values, 'key'));
  const after = await earlier(list(values, 'after'));
  const base = text(values, 'base');
  const roots = await newRoots(text(values, 'roots'));
  const updater = await broughtUpdater(text(values, 'updater'), io.signal);
  const progress = progressPrinter(io, 'compress');
  const made = await uninterrupted(io, () =>
    makeBundle(spec, imagePaths(spec, specPath, list(values, 'image')), out, {
      ...(level !== undefined && { level }),
      ...(base !== undefined && { base }),
      ...(progress !== undefined && { onProgress: progress.show }),
      signal: io.signal,
      keys,
      after,
      ...(roots !== undefined && { roots }),
      ...(updater !== undefined && { updater }),
    }),
  ).finally(() => progress?.end());
  const manifestPath = text(values, 'manifest');
  if (manifestPath !== undefined) await writeManifest(manifestPath, made.manifestBytes);
  const { bundle, sizeBytes, manifest } = made;
  if (flag(values, 'json')) {
    printJson(io, { file: out, bundle, sizeBytes, signatures: keys.length, manifest });
  } else {
    printLines(io, [
      `made ${out}, ${bytes(sizeBytes)}, ${keys.length} signatures`,
      ...manifestLines(bundle, manifest, io),
    ]);
  }
  return EXIT.done;
}

async function signingKeys(paths: readonly string[]): Promise<readonly SigningKey[]> {
  const { loadSigningKey } = await import('../bundle/keys.ts');
  return await Promise.all(paths.map((path) => loadSigningKey(path)));
}

async function newRoots(path: string | undefined): Promise<Uint8Array | undefined> {
  if (path === undefined) return undefined;
  const { readSmallFile } = await import('../bundle/source.ts');
  const { ROOTS_BYTES_MAX } = await import('../bundle/limits.ts');
  return await readSmallFile(path, ROOTS_BYTES_MAX);
}

/** Manifests of earlier bundles; who signed them does not matter for the order of versions. */
async function earlier(paths: readonly string[]): Promise<readonly EarlierRelease[]> {
  const { inspectBundle } = await import('../bundle/reader.ts');
  const { openFileSource } = await import('../bundle/source.ts');
  return await Promise.all(
    paths.map(async (path) => {
      await using source = await openFileSource(path);
      return (await inspectBundle(source)).manifest;
    }),
  );
}

/** Files of the images: `--image NAME=FILE`, else the spec's `file` beside the spec. */
function imagePaths(
  spec: BundleSpec,
  specPath: string,
  given: readonly string[],
): Readonly<Record<string, string>> {
  const paths = new Map<string, string>();
  for (const { name, file } of spec.images) {
    if (file !== undefined) paths.set(name, resolve(dirname(specPath), file));
  }
  for (const word of given) {
    const at = word.indexOf('=');
    if (at < 1) throw new UpdateError('usage.invalid', `--image ${word}; accepted: NAME=FILE`);
    paths.set(word.slice(0, at), word.slice(at + 1));
  }
  return Object.fromEntries(paths);
}

async function writeManifest(path: string, content: Uint8Array): Promise<void> {
  const { replaceFile, writeAll } = await import('../bundle/replace-file.ts');
  await replaceFile(path, (handle) => writeAll(handle, content, 0));
}

async function show(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const { inspectBundle } = await import('../bundle/reader.ts');
  const { openFileSource } = await import('../bundle/source.ts');
  const path = args[0] ?? '';
  await using source = await openFileSource(path);
  const found = await uninterrupted(io, () => inspectBundle(source, io.signal));
  const manifestPath = text(values, 'manifest');
  if (manifestPath !== undefined) await writeManifest(manifestPath, found.manifestBytes);
  const { bundle, sizeBytes, expectedBytes, manifest } = found;
  const signatures = found.signatures.signatures.map(({ keyid, scheme }) => ({ keyid, scheme }));
  if (flag(values, 'json')) {
    const view = { trusted: false, bundle, sizeBytes, expectedBytes, signatures, manifest };
    printJson(io, { file: path, ...view });
    return EXIT.done;
  }
  const whole = sizeBytes === expectedBytes ? '' : `, expected ${expectedBytes}: not whole`;
  printLines(io, [
    'NOT VERIFIED: this is what the file says of itself; nobody checked who signed it.',
    'Check it with `tandem bundle verify`.',
    `size        ${sizeBytes} bytes${whole}`,
    ...manifestLines(bundle, manifest, io),
    ...signatures.map(({ keyid, scheme }) => `signed by   ${scheme} ${keyid}, not checked`),
    ...(signatures.length === 0 ? ['signed by   nobody'] : []),
  ]);
  return EXIT.done;
}

async function verify(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const rootPath = text(values, 'root');
  if (rootPath === undefined) {
    throw new UpdateError('usage.invalid', 'bundle verify needs --root FILE, the trust root');
  }
  const { openFileSource } = await import('../bundle/source.ts');
  const { loadTrustRoot } = await import('../bundle/trust.ts');
  const { openBase } = await import('../bundle/delta-base.ts');
  const { verifyBundle } = await import('../bundle/verify.ts');
  const path = args[0] ?? '';
  const root = await loadTrustRoot(rootPath);
  await using source = await openFileSource(path);
  const basePath = text(values, 'base');
  await using base = basePath === undefined ? null : await openBase(basePath, io.signal);
  const progress = progressPrinter(io, 'verify');
  const found = await uninterrupted(io, () =>
    verifyBundle(source, root, {
      ...(progress !== undefined && { onProgress: progress.show }),
      ...(base !== null && { base }),
      signal: io.signal,
    }),
  ).finally(() => progress?.end());
  const { bundle, sizeBytes, manifest, signers } = found;
  const delta = manifest.images.some((image) => image.base !== undefined);
  const complete = !delta || base !== null;
  if (flag(values, 'json')) {
    const judgedBy = { trustRoot: found.root.version, from: root.version };
    const view = { bundle, sizeBytes, signers, ...judgedBy, manifest };
    printJson(io, { file: path, trusted: true, complete, ...view });
    return EXIT.done;
  }
  const brought = found.rotation === null ? '' : ', which it brings itself';
  printLines(io, [
    `verified ${path}: ${signers.length} trusted signatures, ${found.root.threshold} needed; ` +
      `all ${sizeBytes} bytes are as signed`,
    `trust root  version ${found.root.version}${brought}`,
    ...(complete ? [] : ['what the deltas give was not checked: it takes their base, see --base']),
    ...manifestLines(bundle, manifest, io),
    ...signers.map((keyid) => `signed by   ${found.root.keys.get(keyid)?.scheme} ${keyid}`),
  ]);
  return EXIT.done;
}

/** The verbs of bundles. */
export const bundleVerbs: readonly Verb[] = [
  {
    name: 'bundle keygen',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Make a signing key, or take in a public key, and add it to a trust root.',
    example: 'tandem bundle keygen --out keys --name release --root root.json',
    options: {
      out: { type: 'string', value: 'DIR', help: 'Folder for NAME.key (mode 0600) and NAME.pub.' },
      name: { type: 'string', value: 'NAME', help: 'Name of the key; default release.' },
      public: {
        type: 'string',
        value: 'FILE',
        help: 'Make no key: add this public key (PEM, ssh-ed25519 or minisign) to --root.',
      },
      namespace: { type: 'string', value: 'WORD', help: 'Namespace of signatures of an SSH key.' },
      root: { type: 'string', value: 'FILE', help: 'Trust root to make or to extend.' },
      threshold: {
        type: 'string',
        value: 'N',
        help: 'Signatures that the root asks for; default 1 in a new root.',
      },
    },
    run: keygen,
  },
  {
    name: 'bundle make',
    args: 'SPEC',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Make update.bin from a spec (JSON with comments) and raw image files.',
    example: 'tandem bundle make spec.jsonc --image system=system.img --out update.bin',
    options: {
      out: { type: 'string', value: 'FILE', help: 'Bundle to make; default update.bin.' },
      image: {
        type: 'string',
        multiple: true,
        value: 'NAME=FILE',
        help: 'File of an image; default what the spec says, relative to the spec.',
      },
      base: {
        type: 'string',
        value: 'BUNDLE',
        help: 'Full bundle of the release before: make a delta that updates from exactly it.',
      },
      level: { type: 'string', value: 'N', help: 'zstd level, 1 to 22; default 9, delta 19.' },
      key: { type: 'string', multiple: true, value: 'FILE', help: 'Sign at once with this key.' },
      after: {
        type: 'string',
        multiple: true,
        value: 'BUNDLE',
        help: 'Earlier release; versions and counters must grow together.',
      },
      manifest: { type: 'string', value: 'FILE', help: 'Write manifest.json here too.' },
      roots: {
        type: 'string',
        value: 'FILE',
        help: 'New trust roots that the bundle brings (roots.json of trust sign).',
      },
      updater: {
        type: 'string',
        value: 'FILE',
        help: 'Newer updater that the bundle brings: the program in one file (tandem.mjs).',
      },
    },
    run: make,
  },
  {
    name: 'bundle sign',
    args: '[BUNDLE]',
    minArgs: 0,
    maxArgs: 1,
    summary: 'Add signatures to a bundle, or sign a manifest that travelled alone.',
    example: 'tandem bundle sign update.bin --key keys/release.key',
    options: {
      key: { type: 'string', multiple: true, value: 'FILE', help: 'Private key to sign with.' },
      attach: {
        type: 'string',
        multiple: true,
        value: 'FILE',
        help: 'Put in a signature of bundle sign, ssh-keygen, minisign or openssl.',
      },
      manifest: {
        type: 'string',
        value: 'FILE',
        help: 'Sign this manifest.json instead of a bundle; the result goes to --out.',
      },
      out: { type: 'string', value: 'FILE', help: 'Detached signature file to write.' },
      root: { type: 'string', value: 'FILE', help: 'Trust root, to check what is attached.' },
    },
    run: sign,
  },
  {
    name: 'bundle to-sign',
    args: 'FILE',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Write the bytes that a key elsewhere signs: of a bundle, manifest or root.',
    example: 'tandem bundle to-sign update.bin --out to-sign',
    options: { out: { type: 'string', value: 'FILE', help: 'Where the bytes go; needed.' } },
    run: toSign,
  },
  {
    name: 'bundle show',
    args: 'BUNDLE',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Show what a bundle says of itself, without checking who signed it.',
    example: 'tandem bundle show update.bin',
    options: {
      manifest: { type: 'string', value: 'FILE', help: 'Write the exact manifest.json here.' },
    },
    run: show,
  },
  {
    name: 'bundle verify',
    args: 'BUNDLE',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Check the signatures and every byte of a bundle.',
    example: 'tandem bundle verify update.bin --root root.json',
    options: {
      root: { type: 'string', value: 'FILE', help: 'Trust root (root.json); needed.' },
      base: {
        type: 'string',
        value: 'BUNDLE',
        help: 'Full bundle that deltas are made from, to check what they give too.',
      },
    },
    run: verify,
  },
];
