/**
 * A second maker of bundles for the tests, written from docs/bundle.md alone: it shares no code
 * with src, and every step can be bent, so it also makes what the real maker refuses. Always holds:
 * the same options give the same bytes. Imports nothing of the program.
 */
import { createPublicKey, generateKeyPairSync, hash, sign, type KeyObject } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';

/** Chunk size of crafted images: the smallest one that the format allows. */
export const CHUNK = 65_536;

export const sha256 = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');

/** An Ed25519 key with the names that it has in a root and in a signature list. */
export interface TestKey {
  readonly keyid: string;
  readonly private: KeyObject;
  readonly der: Buffer;
}

export function testKey(): TestKey {
  const pair = generateKeyPairSync('ed25519');
  const der = createPublicKey(pair.privateKey).export({ type: 'spki', format: 'der' });
  return { keyid: sha256(der), private: pair.privateKey, der };
}

export interface ListEntry {
  readonly keyid: string;
  readonly scheme: string;
  readonly sig: string;
}

/** Signature with scheme `ed25519` (B3.7). */
export function dsse(manifest: Uint8Array, key: TestKey): ListEntry {
  const type = 'application/vnd.tandem.manifest.v1+json';
  const text = Buffer.from(`DSSEv1 39 ${type} ${manifest.length} `);
  const sig = sign(null, Buffer.concat([text, manifest]), key.private).toString('base64');
  return { keyid: key.keyid, scheme: 'ed25519', sig };
}

/** `root.json` for these keys. */
export function rootOf(keys: readonly TestKey[], threshold = 1): object {
  const entries = keys.map(({ keyid, der }) => ({
    keyid,
    scheme: 'ed25519',
    public: der.toString('base64'),
  }));
  return { schema: 1, version: 1, threshold, keys: entries };
}

/** Header of a member (B2.2); fields may be set to other bytes. */
export function header(name: string, size: number, fields: Record<number, string> = {}): Buffer {
  const block = Buffer.alloc(512);
  const put = (at: number, text: string): void => void block.write(text, at, 'latin1');
  put(0, name);
  put(100, '0000644\0');
  put(108, '0000000\0');
  put(116, '0000000\0');
  put(124, `${size.toString(8).padStart(11, '0').slice(-11)}\0`);
  put(136, '00000000000\0');
  put(156, '0');
  put(257, 'ustar\u000000');
  put(329, '0000000\0');
  put(337, '0000000\0');
  for (const [at, text] of Object.entries(fields)) put(Number(at), text);
  return reseal(block);
}

/** The header with a right checksum. */
export function reseal(block: Buffer): Buffer {
  block.write('        ', 148, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

const pad = (bytes: Uint8Array): Buffer => Buffer.alloc((512 - (bytes.length % 512)) % 512);

export interface CraftedMember {
  name: string;
  data: Buffer;
  header?: Buffer;
}

/** An archive of these members (B2.1), with the end that is given. */
export function archive(
  members: readonly CraftedMember[],
  end: Buffer = Buffer.alloc(1024),
): Buffer {
  const parts = members.flatMap((member) => [
    member.header ?? header(member.name, member.data.length),
    member.data,
    pad(member.data),
  ]);
  return Buffer.concat([...parts, end]);
}

/** The 16 KiB of `manifest.sig` (B3.6). */
export function listMember(text: string): Buffer {
  const member = Buffer.alloc(16_384, ' ');
  member.write(text, 0);
  member.write('\n', 16_383);
  return member;
}

/** A record before it is encoded. */
export interface CraftedRecord {
  kind: number;
  frame: Buffer;
  rawBytes: number;
  rawSha256: string;
}

function blockFrame(raw: Buffer, rle: boolean): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(raw.length);
  const parts: Buffer[] = [Buffer.from('28b52ffda0', 'hex'), size];
  for (let at = 0; at < raw.length; at += 131_072) {
    const piece = raw.subarray(at, at + 131_072);
    const last = at + piece.length === raw.length ? 1 : 0;
    const head = Buffer.alloc(3);
    head.writeUIntLE(last + (rle ? 2 : 0) + 8 * piece.length, 0, 3);
    parts.push(head, rle ? Buffer.alloc(1) : piece);
  }
  return Buffer.concat(parts);
}

/** Record of a chunk (B6.6). */
export function craftChunk(raw: Buffer): CraftedRecord {
  const base = { rawBytes: raw.length, rawSha256: sha256(raw) };
  if (raw.every((byte) => byte === 0)) return { ...base, kind: 0, frame: blockFrame(raw, true) };
  const packed = zstdCompressSync(raw);
  if (packed.length < raw.length) return { ...base, kind: 1, frame: packed };
  return { ...base, kind: 2, frame: blockFrame(raw, false) };
}

/** Index (B5.3, B5.4). */
export function craftIndex(records: readonly CraftedRecord[], chunkBytes: number): Buffer {
  const head = Buffer.alloc(32);
  head.write('TDMINDEX');
  [1, 88, records.length, 0, chunkBytes, 0].forEach((n, i) => head.writeUInt32LE(n, 8 + 4 * i));
  let offset = 0;
  const rows = records.map(({ kind, frame, rawBytes, rawSha256 }) => {
    const row = Buffer.alloc(88);
    row[0] = kind;
    row.writeUInt32LE(frame.length, 4);
    row.writeBigUInt64LE(BigInt(offset), 8);
    row.writeUInt32LE(rawBytes, 16);
    row.write(sha256(frame), 24, 'hex');
    row.write(rawSha256, 56, 'hex');
    offset += frame.length;
    return row;
  });
  return Buffer.concat([head, ...rows]);
}

/** Image id (B5.6). */
export function craftImageId(rawBytes: number, chunkBytes: number, digests: string[]): string {
  const head = Buffer.alloc(20);
  head.write('TDMIMAGE');
  head.writeBigUInt64LE(BigInt(rawBytes), 8);
  head.writeUInt32LE(chunkBytes, 16);
  return sha256(Buffer.concat([head, Buffer.from(digests.join(''), 'hex')]));
}

export interface CraftOptions {
  readonly images?: Readonly<Record<string, Buffer>>;
  readonly chunkBytes?: number;
  /** Bends the records of an image before its index is made. */
  readonly records?: (records: CraftedRecord[], name: string) => void;
  /** Bends the index before its digest goes into the manifest. */
  readonly index?: (index: Buffer, name: string) => Buffer;
  /** Bends the manifest before it becomes text. */
  readonly manifest?: (manifest: any) => void; // oxlint-disable-line typescript/no-explicit-any
  /** Bends the text of the manifest before it is signed. */
  readonly text?: (text: string) => string;
  readonly keys?: readonly TestKey[];
  /** Content of `roots.json` (B3.11), and the version that the manifest gives it. */
  readonly roots?: { readonly bytes: Buffer; readonly version: number };
  /** Content of `updater.mjs` (B4.10), and the version that the manifest gives it. */
  readonly updater?: { readonly bytes: Buffer; readonly version: string };
  /** Makes the text of the list instead of signing with `keys`. */
  readonly list?: (manifest: Buffer) => string;
  /** Bends the members before they are put together. */
  readonly members?: (members: CraftedMember[]) => CraftedMember[];
  readonly end?: Buffer;
}

/** Raw images that have every kind of chunk: zeros, compressible, incompressible, a short tail. */
export function sampleImages(): Record<string, Buffer> {
  const noise = Buffer.alloc(CHUNK);
  let digest = hash('sha512', 'noise', 'buffer');
  for (let at = 0; at < CHUNK; at += 64) {
    digest.copy(noise, at);
    digest = hash('sha512', digest, 'buffer');
  }
  const text = Buffer.alloc(CHUNK, 'the quick brown fox ');
  return {
    system: Buffer.concat([text, Buffer.alloc(CHUNK), noise, Buffer.from('the tail')]),
    storage: Buffer.concat([Buffer.alloc(1000, 'storage software '), Buffer.alloc(24)]),
  };
}

/** A bundle as the format says, bent where the options say. */
export function craft(options: CraftOptions = {}): Buffer {
  const chunkBytes = options.chunkBytes ?? CHUNK;
  const indexes: CraftedMember[] = [];
  const images: CraftedMember[] = [];
  const described = Object.entries(options.images ?? sampleImages()).map(([name, raw]) => {
    const records: CraftedRecord[] = [];
    for (let at = 0; at < raw.length; at += chunkBytes) {
      records.push(craftChunk(raw.subarray(at, at + chunkBytes)));
    }
    const digests = records.map((record) => record.rawSha256);
    options.records?.(records, name);
    const plain = craftIndex(records, chunkBytes);
    const index = options.index?.(plain, name) ?? plain;
    const frames = Buffer.concat(records.map((record) => record.frame));
    indexes.push({ name: `index/${name}.idx`, data: index });
    images.push({ name: `image/${name}.zst`, data: frames });
    const system = name === 'system';
    return {
      name,
      class: system ? 'system' : 'storage',
      version: system ? '2.0.0' : '1.4.0',
      counter: system ? 20 : 14,
      rawBytes: raw.length,
      chunkBytes,
      chunks: digests.length,
      compressedBytes: frames.length,
      indexBytes: index.length,
      indexSha256: sha256(index),
      rawSha256: sha256(raw),
      imageId: craftImageId(raw.length, chunkBytes, digests),
      runsWith: system ? '>=1.4.0' : '>=1.0.0 <3.0.0',
      ...(system ? {} : { formatLevel: 3 }),
    };
  });
  const manifest = {
    format: 1,
    product: 'tandem-test',
    hardware: ['bench-1', 'bench-2'],
    version: '2.0.0',
    releaseCounter: 20,
    from: '>=1.0.0 <2.0.0 || 2.0.0-rc.1',
    blocked: ['1.3.7'],
    minUpdater: '0.1.0',
    pair: { protocol: [1, 2], sideBySide: '>=1.0.0' },
    requires: [],
    images: described,
    notes: 'first line\nsecond line',
  };
  const { roots, updater } = options;
  const brings = { root: roots, updater };
  for (const feature of ['root', 'updater'] as const) {
    const { [feature]: member } = brings;
    if (member === undefined) continue;
    const { bytes, version } = member;
    const described = { version, sizeBytes: bytes.length, sha256: sha256(bytes) };
    Object.assign(manifest, { requires: [...manifest.requires, feature], [feature]: described });
  }
  options.manifest?.(manifest);
  const plainText = `${JSON.stringify(manifest, undefined, 2)}\n`;
  const bytes = Buffer.from(options.text?.(plainText) ?? plainText);
  const list =
    options.list?.(bytes) ??
    JSON.stringify({
      manifest: sha256(bytes),
      signatures: (options.keys ?? []).map((key) => dsse(bytes, key)),
    });
  const members: CraftedMember[] = [
    { name: 'manifest.json', data: bytes },
    { name: 'manifest.sig', data: listMember(list) },
    ...(roots === undefined ? [] : [{ name: 'roots.json', data: roots.bytes }]),
    ...(updater === undefined ? [] : [{ name: 'updater.mjs', data: updater.bytes }]),
    ...indexes,
    ...images,
  ];
  return archive(options.members?.(members) ?? members, options.end);
}
