/**
 * The verbs `trust make | sign | show | verify`: the next trust root of the nodes, from its first
 * draft to the file that a bundle brings. All of them work without a daemon. Always holds: nothing
 * is signed that a node could not use, and `show` calls what it shows not verified. Imports core
 * and the bundle room lazily.
 */
import type { RootFile, RootKey } from '../bundle/trust.ts';
import { EXIT } from '../core/codes.ts';
import { UpdateError } from '../core/errors.ts';
import { list } from './bundle-keys.ts';
import { flag, printJson, printLines, text, wholeNumber } from './values.ts';
import type { CliIo, Verb, VerbValues } from './verb.ts';

const THRESHOLD_MAX = 64;

function usage(message: string): UpdateError {
  return new UpdateError('usage.invalid', message);
}

function needed(values: VerbValues, name: string, what: string): string {
  const value = text(values, name);
  if (value === undefined) throw usage(`--${name} FILE is needed: ${what}`);
  return value;
}

/** One line about a root, one about each of its keys. */
function rootLines({ version, threshold, keys }: RootFile): readonly string[] {
  const usable = keys.filter((key) => key.revoked !== true).length;
  return [
    `trust root  version ${version}: ${threshold} of ${usable} keys must sign`,
    ...keys.map(({ keyid, scheme, name = '', namespace, revoked }) => {
      const where = namespace === undefined ? '' : ` namespace ${namespace}`;
      return `  ${revoked === true ? 'REVOKED ' : ''}${scheme} ${keyid} ${name}${where}`.trimEnd();
    }),
  ];
}

async function make(_args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const out = needed(values, 'out', 'the root to make');
  const threshold = wholeNumber(values, 'threshold', { min: 1, max: THRESHOLD_MAX });
  const { nextRootFile, rootKeyFromFile, writeRoot } = await import('../bundle/root-file.ts');
  const { parseRootFile } = await import('../bundle/trust.ts');
  const { readSmallFile } = await import('../bundle/source.ts');
  const { ROOT_BYTES_MAX } = await import('../bundle/limits.ts');
  const from = text(values, 'from');
  const old = from && parseRootFile(await readSmallFile(from, ROOT_BYTES_MAX));
  const add: RootKey[] = [];
  for (const word of list(values, 'add')) {
    const at = word.indexOf('=');
    if (at < 1) throw usage(`--add ${word}; accepted: NAME=FILE`);
    const [name, file] = [word.slice(0, at), word.slice(at + 1)];
    add.push(await rootKeyFromFile(file, name, text(values, 'namespace')));
  }
  const [revoke, remove] = [list(values, 'revoke'), list(values, 'remove')];
  const change = { add, revoke, remove, ...(threshold !== undefined && { threshold }) };
  const root = nextRootFile(old || undefined, change);
  await writeRoot(out, root);
  if (flag(values, 'json')) printJson(io, { file: out, root });
  else printLines(io, [`made ${out}`, ...rootLines(root)]);
  return EXIT.done;
}

async function sign(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const roots = needed(values, 'roots', 'the roots.json that the signatures go into');
  const [keyPaths, attach] = [list(values, 'key'), list(values, 'attach')];
  if (keyPaths.length + attach.length === 0) {
    throw usage('trust sign needs --key FILE or --attach FILE');
  }
  const { loadSigningKey } = await import('../bundle/keys.ts');
  const { signRoot } = await import('../bundle/root-sign.ts');
  const { loadTrustRoot } = await import('../bundle/trust.ts');
  const keys = await Promise.all(keyPaths.map((path) => loadSigningKey(path)));
  const oldPath = text(values, 'old');
  const old = oldPath === undefined ? undefined : await loadTrustRoot(oldPath);
  const signers = { keys, attach, ...(old !== undefined && { old }) };
  const { version, signatures } = await signRoot(args[0] ?? '', roots, signers);
  const keyids = signatures.map(({ keyid }) => keyid);
  if (flag(values, 'json')) printJson(io, { file: roots, version, keyids });
  else {
    printLines(io, [
      `signed trust root ${version} into ${roots}; it has the signatures of:`,
      ...keyids.map((keyid) => `  ${keyid}`),
    ]);
  }
  return EXIT.done;
}

async function show(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const path = args[0] ?? '';
  const { loadRoots } = await import('../bundle/root-sign.ts');
  const { parseRootFile } = await import('../bundle/trust.ts');
  const plain = await plainRoot(path);
  const links = plain === null ? await loadRoots(path) : [];
  const found = links.map(({ root, signatures }) => ({
    root: parseRootFile(root),
    signatures: signatures.map(({ keyid, scheme }) => ({ keyid, scheme })),
  }));
  if (flag(values, 'json')) {
    const roots = plain === null ? found : [{ root: plain, signatures: [] }];
    printJson(io, { file: path, trusted: false, roots });
    return EXIT.done;
  }
  printLines(io, [
    ...(plain === null ? [] : rootLines(plain)),
    ...(plain === null && found.length === 0 ? [`${path} brings no new trust root`] : []),
    ...(found.length > 0 ? ['NOT VERIFIED: check it with `tandem trust verify`.'] : []),
    ...found.flatMap(({ root, signatures }) => [
      ...rootLines(root),
      ...signatures.map(({ keyid, scheme }) => `  signed by ${scheme} ${keyid}, not checked`),
    ]),
  ]);
  return EXIT.done;
}

/** The file as a root.json; null when it is something else. */
async function plainRoot(path: string): Promise<RootFile | null> {
  const { parseRootFile } = await import('../bundle/trust.ts');
  const { openFileSource } = await import('../bundle/source.ts');
  const { ROOT_BYTES_MAX } = await import('../bundle/limits.ts');
  await using source = await openFileSource(path);
  const sizeBytes = Math.min(source.sizeBytes, ROOT_BYTES_MAX);
  const bytes = await source.readAt(0, sizeBytes);
  const whole = bytes[0] === 0x7b && sizeBytes === source.sizeBytes;
  if (!whole || !Buffer.from(bytes).includes('"keys"')) return null;
  return parseRootFile(bytes);
}

async function verify(args: readonly string[], values: VerbValues, io: CliIo): Promise<number> {
  const path = args[0] ?? '';
  const { loadRoots } = await import('../bundle/root-sign.ts');
  const { followRoots } = await import('../bundle/rotation.ts');
  const { loadTrustRoot, parseRootFile } = await import('../bundle/trust.ts');
  const from = await loadTrustRoot(needed(values, 'root', 'the trust root of the nodes'));
  const { root, bytes } = followRoots(from, await loadRoots(path));
  const out = text(values, 'out');
  if (out !== undefined && bytes !== null) {
    const { replaceFile, writeAll } = await import('../bundle/replace-file.ts');
    await replaceFile(out, (handle) => writeAll(handle, bytes, 0));
  }
  const written = out !== undefined && bytes !== null ? out : null;
  if (flag(values, 'json')) {
    printJson(io, { file: path, from: from.version, version: root.version, written });
    return EXIT.done;
  }
  const way = `${path} leads from trust root ${from.version} to ${root.version}`;
  printLines(io, [
    bytes === null ? `${path} brings nothing newer than trust root ${from.version}` : way,
    ...(bytes === null ? [] : rootLines(parseRootFile(bytes))),
    ...(written === null ? [] : [`written to ${written}`]),
  ]);
  return EXIT.done;
}

/** The verbs of trust roots. */
export const trustVerbs: readonly Verb[] = [
  {
    name: 'trust make',
    args: '',
    minArgs: 0,
    maxArgs: 0,
    summary: 'Make a trust root, or the next version of one: keys added, revoked, removed.',
    example:
      'tandem trust make --from root.json --revoke 3f9a01c2 --add new=new.pub --out next.json',
    options: {
      out: { type: 'string', value: 'FILE', help: 'Root to make; needed.' },
      from: { type: 'string', value: 'FILE', help: 'Root to go on from; its version grows by 1.' },
      add: {
        type: 'string',
        multiple: true,
        value: 'NAME=FILE',
        help: 'Public key to add: PEM, of ssh-keygen or of minisign.',
      },
      namespace: { type: 'string', value: 'WORD', help: 'Namespace of signatures of SSH keys.' },
      revoke: {
        type: 'string',
        multiple: true,
        value: 'KEYID',
        help: 'Key that counts no more; 8 digits or more. It stays in the file and is named.',
      },
      remove: { type: 'string', multiple: true, value: 'KEYID', help: 'Key that leaves the file.' },
      threshold: { type: 'string', value: 'N', help: 'Signatures that are needed from then on.' },
    },
    run: make,
  },
  {
    name: 'trust sign',
    args: 'ROOT',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Sign a new trust root: with enough of the old and enough of the new keys.',
    example: 'tandem trust sign next.json --roots roots.json --key keys/release.key',
    options: {
      roots: { type: 'string', value: 'FILE', help: 'roots.json to make or to add to; needed.' },
      key: { type: 'string', multiple: true, value: 'FILE', help: 'Private key to sign with.' },
      attach: {
        type: 'string',
        multiple: true,
        value: 'FILE',
        help: 'Put in a signature of ROOT by ssh-keygen, minisign or openssl.',
      },
      old: { type: 'string', value: 'FILE', help: 'Root before, to check what is attached.' },
    },
    run: sign,
  },
  {
    name: 'trust show',
    args: 'FILE',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Show a root.json, a roots.json, or what a bundle brings, without checking it.',
    example: 'tandem trust show update.bin',
    options: {},
    run: show,
  },
  {
    name: 'trust verify',
    args: 'FILE',
    minArgs: 1,
    maxArgs: 1,
    summary: 'Check the new trust roots of a roots.json or a bundle, as a node does.',
    example: 'tandem trust verify roots.json --root root.json',
    options: {
      root: { type: 'string', value: 'FILE', help: 'Trust root of the nodes (root.json); needed.' },
      out: { type: 'string', value: 'FILE', help: 'Write the newest root.json here.' },
    },
    run: verify,
  },
];
