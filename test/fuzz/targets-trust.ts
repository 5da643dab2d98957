/**
 * Fuzz targets of trust: lists of signatures of every scheme, trust roots, and lists of new roots.
 * Always holds: a key counts only for a signature that it really made; a root is followed only by
 * bytes that enough keys really signed. Imports the second makers and the bundle room.
 */
import { decodeRoots, followRoots } from '../../src/bundle/rotation.ts';
import { countSigners, decodeSignatures, verifySignatures } from '../../src/bundle/signature.ts';
import type { SignatureEntry, SignatureList } from '../../src/bundle/signature.ts';
import { parseTrustRoot } from '../../src/bundle/trust.ts';
import { dsse, listMember, sha256, type ListEntry } from '../bundle/craft.ts';
import { link, rootBytes, rootsJson, type Link, type RootWords } from '../bundle/craft-roots.ts';
import { minisignEntry, minisignPublic, sshEntry, sshPublic } from '../bundle/foreign-signers.ts';
import { skEntry, skRootKey } from '../bundle/foreign-signers.ts';
import { ending, promise, type Subject, type Target } from './engine.ts';
import { fixedKey } from './keys.ts';
import { bentJson, bentValue, mutated } from './mutate.ts';
import type { Random } from './random.ts';

const [A, B, C, D, E, F] = [1, 2, 3, 4, 5, 6].map(fixedKey) as unknown as Six;
type Six = readonly [Key, Key, Key, Key, Key, Key];
type Key = ReturnType<typeof fixedKey>;

/** A root with a key of each scheme; one is revoked. */
const ROOT_FILE = {
  schema: 1,
  version: 1,
  threshold: 2,
  keys: [
    { keyid: A.keyid, scheme: 'ed25519', public: A.der.toString('base64') },
    { keyid: B.keyid, scheme: 'sshsig', public: sshPublic(B), namespace: 'update@example' },
    skRootKey(C),
    { keyid: D.keyid, scheme: 'minisign', public: minisignPublic(D) },
    { keyid: E.keyid, scheme: 'ed25519', public: E.der.toString('base64'), revoked: true },
    { keyid: F.keyid, scheme: 'ed25519', public: F.der.toString('base64') },
  ],
};
const ROOT = parseTrustRoot(Buffer.from(JSON.stringify(ROOT_FILE)));
const MESSAGE = Buffer.from('{"format":1,"product":"the bytes that are signed"}\n');
/** Good ones; of the last two no one counts: a revoked key, a key that nobody named. */
const ENTRIES: readonly ListEntry[] = [
  dsse(MESSAGE, A),
  sshEntry(MESSAGE, B),
  skEntry(MESSAGE, C, {}),
  minisignEntry(MESSAGE, D),
  minisignEntry(MESSAGE, D, 'Ed'),
  dsse(MESSAGE, F),
  dsse(MESSAGE, E),
  dsse(MESSAGE, fixedKey(7)),
];
const print = ({ keyid, scheme, sig }: SignatureEntry): string => `${keyid} ${scheme} ${sig}`;
const REAL = new Set(ENTRIES.map(print));
const NEVER: readonly string[] = [E.keyid, fixedKey(7).keyid];

const signature: Target = {
  name: 'signature',
  reads: 'lists of signatures of every scheme',
  limits: { steps: { base: 30_000, perByte: 40 }, buffers: { base: 300_000, perByte: 40 } },
  open: () => Promise.resolve({ make: signatureTrial }),
};

/** Some good entries, in which words, base64 or the bytes behind it are others. */
function bentEntries(random: Random): SignatureEntry[] {
  const count = random.below(7);
  const picked = Array.from({ length: count }, () => random.pick(ENTRIES));
  return picked.map((entry): SignatureEntry => {
    switch (random.below(6)) {
      case 0:
        return {
          ...entry,
          sig: mutated(random, Buffer.from(entry.sig, 'base64')).toString('base64'),
        };
      case 1:
        return { ...entry, keyid: random.pick(ENTRIES).keyid };
      case 2:
        return { ...entry, scheme: random.pick([...ENTRIES.map(({ scheme }) => scheme), 'rsa']) };
      case 3:
        return { ...entry, sig: random.pick(ENTRIES).sig };
      default:
        return entry;
    }
  });
}

function signatureTrial(random: Random): ReturnType<Subject['make']> {
  const list: SignatureList = { manifest: sha256(MESSAGE), signatures: bentEntries(random) };
  const text = random.oneIn(3) ? bentJson(random, list) : Buffer.from(JSON.stringify(list));
  const good = text.length < 16_000 ? listMember(text.toString('latin1')) : text;
  const member = random.oneIn(6) ? mutated(random, good) : good;
  return {
    sizeBytes: member.length,
    judge: () =>
      ending(() => {
        const { signatures, manifest } = decodeSignatures(member);
        promise(signatures.length <= 16, 'more than 16 signatures');
        const { signers, reasons } = countSigners(MESSAGE, signatures, ROOT);
        for (const signer of signers) {
          const real = signatures.some((one) => one.keyid === signer && REAL.has(print(one)));
          promise(real && !NEVER.includes(signer), `${signer} never made this signature`);
        }
        promise(new Set(signers).size === signers.length, 'a key counted twice');
        promise(
          signers.length + reasons.length <= signatures.length,
          'counted more than there are',
        );
        verifySignatures(MESSAGE, { manifest, signatures }, ROOT);
        promise(signers.length >= ROOT.threshold, 'too few signatures were enough');
      }),
  };
}

const root: Target = {
  name: 'root',
  reads: 'root.json, the keys that a node trusts',
  limits: { steps: { base: 30_000, perByte: 200 }, buffers: { base: 300_000, perByte: 40 } },
  open: () =>
    Promise.resolve({
      make: (random) => {
        const text = bentJson(random, ROOT_FILE, random.pick([0, 2]));
        return { sizeBytes: text.length, judge: () => ending(() => checkRoot(text)) };
      },
    }),
};

function checkRoot(text: Buffer): void {
  const { keys, threshold, revoked } = parseTrustRoot(text);
  promise(threshold >= 1 && keys.size >= threshold, 'a threshold that is none');
  for (const [keyid] of keys) promise(!revoked.has(keyid), 'a revoked key counts');
}

const WORDS: readonly RootWords[] = [
  { version: 1, keys: [A, B, C], threshold: 2 },
  { version: 2, keys: [B, C, D], threshold: 2 },
  { version: 3, keys: [D, E, F], threshold: 2, revoked: [A] },
];
const LINKS: readonly Link[] = [
  link(WORDS[0]!, [A, B]),
  link(WORDS[1]!, [B, C]),
  link(WORDS[2]!, [C, D, E]),
];
/** Wrong ones: too few old keys, too few new ones, other bytes under good signatures. */
const THIEVES: readonly Link[] = [
  link(WORDS[1]!, [B, D]),
  link({ ...WORDS[1]!, keys: [F, fixedKey(7)] }, [F, fixedKey(7)]),
  { ...LINKS[1]!, root: rootBytes({ ...WORDS[1]!, keys: [F], threshold: 1 }) },
  link(WORDS[2]!, [D, E, F].slice(1)),
];
const OLD = parseTrustRoot(LINKS[0]!.root);
const REAL_ROOTS = new Set(LINKS.map(({ root: bytes }) => sha256(bytes)));

const roots: Target = {
  name: 'roots',
  reads: 'roots.json, new keys on their way to a node',
  limits: { steps: { base: 60_000, perByte: 60 }, buffers: { base: 900_000, perByte: 60 } },
  open: () => Promise.resolve({ make: rootsTrial }),
};

function bentLinks(random: Random): Link[] {
  const count = 1 + random.below(4);
  const pool = [...LINKS, ...THIEVES];
  const links = Array.from({ length: count }, (_, i) =>
    random.oneIn(3) ? random.pick(pool) : (LINKS[i] ?? random.pick(LINKS)),
  );
  return links.map((one) => {
    if (random.oneIn(8)) return { ...one, signatures: random.pick(pool).signatures };
    if (random.oneIn(8)) return { ...one, version: Math.abs(random.edge()) % 2 ** 53 };
    return random.oneIn(8) ? { ...one, root: mutated(random, one.root) } : one;
  });
}

function rootsTrial(random: Random): ReturnType<Subject['make']> {
  const bend = (list: string): string =>
    random.oneIn(4) ? (JSON.stringify(bentValue(random, JSON.parse(list))) ?? '') : list;
  const whole = rootsJson(bentLinks(random), bend);
  const bytes = random.oneIn(5) ? mutated(random, whole) : whole;
  return {
    sizeBytes: bytes.length,
    judge: () =>
      ending(() => {
        const links = decodeRoots(bytes);
        promise(links.length >= 1 && links.length <= 16, `${links.length} roots`);
        const { root: found, bytes: kept } = followRoots(OLD, links);
        promise(found.version >= OLD.version, 'a version that goes back');
        promise((kept === null) === (found.version === OLD.version), 'kept what is not newer');
        if (kept !== null) promise(REAL_ROOTS.has(sha256(kept)), 'a root that nobody signed');
      }),
  };
}

/** All of them. */
export const TRUST_TARGETS: readonly Target[] = [signature, root, roots];
