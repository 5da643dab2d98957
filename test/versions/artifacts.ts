/**
 * Everything that a release leaves where another one has to read it: messages of the pair, records,
 * boot files, seals, the store and its channel, a bundle, what clients are told. Always holds: the
 * modules of the given tree write it, by the ways that the product takes; it is plain JSON, so that
 * it can be kept beside a test. Imports a bundle's words, the bench's types and Node.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { bundleSpec } from '../../scripts/image/bundle-spec.ts';
import type { Position } from '../../images/storage/record.ts';
import type { Hello, Message } from '../../images/storage/wire.ts';
import type { BootCounter, BootState } from '../../src/core/boot.ts';
import type { SlotSeal } from '../../src/core/model.ts';
import type { NodeRecord, NodeUpdate, RolloutRecord } from '../../src/core/records.ts';
import type { PairMessage } from '../../src/core/report.ts';
import type { PairStatus } from '../../src/core/status.ts';
import type { Tree } from './tree.ts';

/** Bytes of a file, deflated, in base64: mostly zeros otherwise. */
export type Packed = string;
export const packed = (bytes: Uint8Array): Packed => deflateRawSync(bytes).toString('base64');
export const unpacked = (text: Packed): Buffer => inflateRawSync(Buffer.from(text, 'base64'));

/** What one release wrote. */
export interface Artifacts {
  readonly messages: readonly PairMessage[];
  /** The first message, as it goes over the network and over a serial line. */
  readonly link: Packed;
  readonly serial: Packed;
  /** SHA-256 of what both ends of a serial line know beforehand. */
  readonly dictionary: string;
  readonly journal: {
    readonly files: readonly [Packed, Packed];
    readonly node: NodeRecord;
    readonly rollout: RolloutRecord;
  };
  readonly boot: readonly BootArtifact[];
  readonly seal: { readonly file: Packed; readonly seal: SlotSeal };
  readonly store: {
    readonly state: Packed;
    readonly segments: Readonly<Record<string, Packed>>;
    readonly objects: Readonly<Record<string, string | null>>;
    /** The last write, and how many there were. */
    readonly position: Position;
    readonly frames: readonly { readonly head: Hello | Message; readonly bytes: Packed }[];
  };
  readonly bundle: { readonly file: Packed; readonly root: string; readonly id: string };
  readonly statuses: readonly PairStatus[];
}

/** The boot chooser after one of its changes. */
export interface BootArtifact {
  readonly after: string;
  readonly files: Readonly<Record<'state' | 'counter', Packed>>;
  readonly state: BootState;
  readonly counter: BootCounter;
}

const UPDATES: readonly NodeUpdate['state'][] = [
  'idle',
  'installing',
  'installed',
  'arming',
  'rebooting',
  'trial',
  'healthy',
  'committing',
  'committed',
  'reverting',
  'reverted',
  'failed',
];

/** Reports of both nodes in every state of an update, and all other kinds of message. */
function messagesOf(tree: Tree): PairMessage[] {
  const { nodeState, rolloutRecord, updateOf } = tree.states;
  const rollout = rolloutRecord({ phase: 'INSTALL1' });
  const reports = UPDATES.map((word, at): PairMessage => {
    const node = at % 2 === 0 ? 'A' : 'B';
    const standDown = word === 'idle' ? null : { rollout: rollout.id, epoch: 1 };
    const s = nodeState(node, { rollout, record: { update: updateOf(word), standDown } });
    return { type: 'report', report: tree.updaterReport.reportOf(s, at + 1) };
  });
  const records = tree.records.PHASES.map((phase, at): PairMessage => {
    return { type: 'rollout', record: rolloutRecord({ phase, writer: { epoch: 2, seq: at + 1 } }) };
  });
  const event = { v: 1, seq: 1, ts: rollout.startedAt, job: rollout.id, node: 'A', state: 'phase' };
  const error = { code: 'pair.not_healthy', message: 'the pair is not highly available' };
  return [
    ...reports,
    ...records,
    { type: 'event', id: '1', event: { ...event, phase: 'STAGE', msg: 'staging' } },
    { type: 'request', id: 'r1', request: { do: 'start', record: rollout } },
    { type: 'request', id: 'r2', request: { do: 'cancel', by: 'operator', reason: 'test' } },
    { type: 'answer', id: 'r1', answer: {} },
    { type: 'answer', id: 'r2', answer: { error } },
  ];
}

async function journalOf(tree: Tree, dir: string): Promise<Artifacts['journal']> {
  const { nodeRecord, rolloutRecord, updateOf } = tree.states;
  const node = nodeRecord('A', { update: updateOf('trial'), lastTrialId: 7 });
  const rollout = rolloutRecord({ phase: 'TRIAL1' });
  {
    // So small that records of the first generation lie in one file, the snapshots in the other.
    await using journal = await tree.journal.openJournal(dir, { fileBytes: 16 * 1024 });
    for (let at = 0; at < 12; at += 1) {
      await journal.append({ kind: 'node', record: { ...node, lastTrialId: at } });
    }
    await journal.append({ kind: 'rollout', record: rollout });
    await journal.append({ kind: 'node', record: node });
  }
  const file = async (name: string): Promise<Packed> => packed(await readFile(join(dir, name)));
  return { files: [await file('journal.0'), await file('journal.1')], node, rollout };
}

async function bootOf(tree: Tree, dir: string): Promise<BootArtifact[]> {
  const found: BootArtifact[] = [];
  const { createBoot, openBoot } = tree.bootFile;
  const { bootCounterPath, bootStatePath, saveCounter } = tree.bootLoader;
  await createBoot(dir, { default: 'A' });
  const note = async (after: string, change: () => Promise<void>): Promise<void> => {
    await change();
    await using chooser = await openBoot(dir);
    const { state, counter } = await chooser.read();
    const files = {
      state: packed(await readFile(bootStatePath(dir))),
      counter: packed(await readFile(bootCounterPath(dir))),
    };
    found.push({ after, files, state, counter });
  };
  const change = (work: (chooser: Awaited<ReturnType<typeof openBoot>>) => Promise<void>) => {
    return async (): Promise<void> => {
      await using chooser = await openBoot(dir);
      await work(chooser);
    };
  };
  await note('factory', async () => undefined);
  await note(
    'arm',
    change(async (c) => c.arm({ id: 1, slot: 'B', tries: 2 })),
  );
  await note('boot', async () => saveCounter(dir, { trialId: 1, used: 1 }));
  await note(
    'commit',
    change(async (c) => c.commit(1)),
  );
  await note(
    'close',
    change(async (c) => c.setOtherOk(false)),
  );
  await note(
    'arm again',
    change(async (c) => c.arm({ id: 2, slot: 'A', tries: 2 })),
  );
  await note(
    'revert',
    change(async (c) => c.revert(2)),
  );
  return found;
}

async function sealOf(tree: Tree, dir: string): Promise<Artifacts['seal']> {
  await tree.slots.createSlots(dir, { system: 4096, storage: 4096 });
  const slots = await tree.slots.openSlots(dir);
  await slots.seal('system', 'A', { ...tree.states.sealOf('system', 2), committed: 3 });
  const { seal } = await slots.info('system', 'A');
  if (seal === null) throw new Error('the seal was not written');
  return { file: packed(await readFile(join(dir, 'system-A.img.seal'))), seal };
}

const RUN = '00112233aabbccdd';
const GENERATION = { current: 'aa11', base: null, history: ['9900'] } as const;

/** One message of each kind between two storage processes. */
const STORE_HEADS: readonly (Hello | Message)[] = [
  {
    t: 'hello',
    protocol: [1, 1],
    node: 'A',
    pair: 'pair-1',
    epoch: 3,
    role: 'primary',
    generation: GENERATION,
    formatMax: 2,
  },
  { t: 'ping' },
  { t: 'lead', epoch: 3, generation: GENERATION },
  {
    t: 'follow',
    epoch: 3,
    generation: GENERATION,
    stale: false,
    position: { run: RUN, version: 4 },
  },
  { t: 'refuse', epoch: 4 },
  { t: 'resign', committed: 4, position: { run: RUN, version: 4 } },
  { t: 'write', epoch: 3, run: RUN, version: 5, committed: 4, key: 'a', delete: false },
  { t: 'ack', run: RUN, version: 5 },
  { t: 'offer', mode: 'delta', since: 3, items: [['a', null]], last: true },
  { t: 'want', items: [['a', null]], last: true },
  { t: 'begin', totalBytes: 5, objects: 1 },
  { t: 'item', key: 'a', run: RUN, version: 5, delete: false },
  { t: 'got', bytes: 5 },
  {
    t: 'end',
    generation: GENERATION,
    position: { run: RUN, version: 5 },
    committed: 5,
    sentBytes: 5,
  },
  { t: 'done' },
  { t: 'format', level: 2 },
  { t: 'formatDone', level: 2 },
];

async function storeOf(tree: Tree, dir: string): Promise<Artifacts['store']> {
  const log = join(dir, 'log');
  await mkdir(log, { recursive: true });
  const owner = { node: 'A', pair: 'pair-1' } as const;
  {
    await using state = await tree.storeState.StateFile.open(dir, owner, async () => true);
    await state.change({ epoch: 3, generation: GENERATION, formatLevel: 2 });
  }
  const values = { a: 'first', b: 'b'.repeat(600), c: null } as const;
  let version = 0;
  for (const formatLevel of [1, 2]) {
    await using objects = await tree.objects.Objects.open({
      dir: log,
      formatLevel: () => formatLevel,
    });
    for (const [key, text] of [['c', 'gone soon'] as const, ...Object.entries(values)]) {
      const value = text === null ? null : Buffer.from(text);
      const hash = value === null ? null : tree.storeRecord.hashOf(value);
      version += 1;
      const change = { key, value, hash, version, run: RUN, copy: false };
      objects.show(await objects.append(change));
    }
  }
  const segments: Record<string, Packed> = {};
  for (const name of await readdir(log)) segments[name] = packed(await readFile(join(log, name)));
  // The hello says what this tree's storage software speaks, the others are of protocol 1.
  const { PROTOCOL: protocol } = tree.limits;
  const frames = STORE_HEADS.map((plain) => {
    const head = plain.t === 'hello' ? { ...plain, protocol } : plain;
    const body = head.t === 'write' || head.t === 'item' ? Buffer.from('first') : null;
    return { head, bytes: packed(Buffer.concat(tree.wire.encodeFrame(head, body))) };
  });
  const position = { run: RUN, version };
  const state = packed(await readFile(join(dir, 'state')));
  return { state, segments, objects: values, position, frames };
}

async function bundleOf(tree: Tree, dir: string): Promise<Artifacts['bundle']> {
  const images = { system: join(dir, 'system.img'), storage: join(dir, 'storage.img') };
  for (const [name, path] of Object.entries(images)) await writeFile(path, name.repeat(2000));
  const out = join(dir, 'update.bin');
  const release = { version: '2.0.0', counter: 2, from: '>=1.0.0', storageRunsWith: '>=1.0.0' };
  const spec = bundleSpec({ ...release, product: 'appliance', hardware: 'bench' });
  const { bundle } = await tree.builder.makeBundle(spec, images, out);
  const key = tree.keys.generateSigningKey();
  await tree.builder.signBundle(out, [key]);
  const keys = [{ keyid: key.keyid, scheme: 'ed25519', public: key.public }];
  const root = JSON.stringify({ schema: 1, version: 1, threshold: 1, keys });
  return { file: packed(await readFile(out)), root, id: bundle };
}

/** SHA-256 of the dictionary of the serial line. */
export function dictionaryOf(tree: Tree): string {
  return createHash('sha256').update(tree.dictionary.SERIAL_DICTIONARY).digest('hex');
}

/** Everything that `tree` writes; `dir` is a folder for it that is empty and is left empty. */
export async function artifactsOf(tree: Tree, dir: string): Promise<Artifacts> {
  const folder = async (name: string): Promise<string> => {
    const path = join(dir, name);
    await mkdir(path, { recursive: true });
    return path;
  };
  const messages = messagesOf(tree);
  const [first] = messages;
  const { nodeState, rolloutRecord } = tree.states;
  const statuses = [null, rolloutRecord({ phase: 'ADMIT1' })].map((rollout) => {
    const s = nodeState('A', { rollout });
    return tree.updaterStatus.pairStatus(s, null, s.world.clock.ms, s.world.clock.at);
  });
  try {
    return {
      messages,
      link: packed(tree.frames.encodeFrame(first!)),
      serial: packed(tree.serial.packMessage(JSON.stringify(first))),
      dictionary: dictionaryOf(tree),
      journal: await journalOf(tree, await folder('journal')),
      boot: await bootOf(tree, join(dir, 'boot')),
      seal: await sealOf(tree, await folder('slots')),
      store: await storeOf(tree, await folder('store')),
      bundle: await bundleOf(tree, await folder('bundle')),
      statuses,
    };
  } finally {
    for (const name of await readdir(dir)) await rm(join(dir, name), { recursive: true });
  }
}
