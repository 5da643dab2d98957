/**
 * A second maker of trust roots and of `roots.json` for the tests, written from docs/bundle.md
 * alone. Imports nothing of the program.
 */
import { hash, sign } from 'node:crypto';
import { testKey, type ListEntry, type TestKey } from './craft.ts';

/** Signature of a root with scheme `ed25519` (B3.12), or of other bytes that are called so. */
export function dsseRoot(root: Uint8Array, key: TestKey): ListEntry {
  const text = Buffer.from(`DSSEv1 35 application/vnd.tandem.root.v1+json ${root.length} `);
  const sig = sign(null, Buffer.concat([text, root]), key.private).toString('base64');
  return { keyid: key.keyid, scheme: 'ed25519', sig };
}

export interface RootWords {
  readonly version: number;
  readonly keys: readonly TestKey[];
  readonly threshold?: number;
  readonly revoked?: readonly TestKey[];
  /** Any other field. */
  readonly more?: object;
}

const entry = ({ keyid, der }: TestKey) => ({
  keyid,
  scheme: 'ed25519',
  public: der.toString('base64'),
});

/** Bytes of a `root.json` (B3.4). */
export function rootBytes({ version, keys, threshold = 1, revoked = [], more }: RootWords): Buffer {
  const list = [
    ...keys.map(entry),
    ...revoked.map((key) => Object.assign(entry(key), { revoked: true })),
  ];
  return Buffer.from(JSON.stringify({ schema: 1, version, threshold, keys: list, ...more }));
}

export interface Link {
  readonly version: number;
  readonly root: Buffer;
  readonly signatures: readonly ListEntry[];
}

/** A root with the signatures of these keys, under the version that it says. */
export function link(words: RootWords, by: readonly TestKey[]): Link {
  const root = rootBytes(words);
  return { version: words.version, root, signatures: by.map((key) => dsseRoot(root, key)) };
}

/** The bytes of `roots.json` (B3.11); `bend` changes the text of its list before its digest. */
export function rootsJson(
  links: readonly Link[],
  bend: (list: string) => string = (text) => text,
): Buffer {
  const roots = links.map(({ version, root, signatures }) => ({
    version,
    root: root.toString('base64'),
    signatures,
  }));
  const text = bend(JSON.stringify(roots));
  return Buffer.from(`{"sha256":"${hash('sha256', text)}","roots":${text}}\n`);
}

/** Three old keys of which two must sign, and three new ones. */
export function ceremony() {
  const [a, b, c] = [testKey(), testKey(), testKey()] as const;
  const [d, e, f] = [testKey(), testKey(), testKey()] as const;
  const old: RootWords = { version: 1, keys: [a, b, c], threshold: 2 };
  const next: RootWords = { version: 2, keys: [d, e, f], threshold: 2 };
  return { a, b, c, d, e, f, old, next };
}
