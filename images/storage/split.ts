/**
 * A split brain: what an operator has to know, and what happens when one of the copies gives way.
 * Always holds: nothing is guessed, and nothing is written before an operator has named the copy
 * that is kept; what only the other one has is in a synced file on its node before that copy counts
 * as holding nothing; until then a power cut leaves the split as it was. Imports core, compare,
 * objects, state and the session.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm, statfs, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { SavedRecords, SplitSide, SplitView, StoreDifference } from '../../src/core/store.ts';
import { syncDirectory } from '../../src/drivers/fs-atomic.ts';
import { Comparison, type Difference } from './compare.ts';
import { DIFFERENCES_MAX, RESERVE_BYTES } from './limits.ts';
import type { Objects } from './objects.ts';
import type { Replica } from './replica.ts';
import { ioFailure } from './segments.ts';
import type { Session } from './session.ts';
import { toldDifference } from './verify.ts';
import type { Question } from './wire.ts';

/** Lines are written in pieces of about so many bytes. */
const PIECE_BYTES = 1024 * 1024;
/** What a line costs besides key and value. */
const LINE_BYTES = 160;

/** What one side says of its copy. */
interface Facts {
  readonly epoch: number;
  readonly aloneSince: string | null;
  readonly records: number;
  readonly bytes: number;
}

/** What is known of this copy as a whole. */
export function factsOf({ state, objects }: Replica): Facts {
  const { epoch, aloneSince = null } = state.now;
  return { epoch, aloneSince, records: objects.size, bytes: objects.valueBytes };
}

/** The connection on which the other copy can be asked; throws when there is no split, or none. */
export function splitSession(replica: Replica): Session {
  const { session, splitBrain } = replica;
  if (session?.split === true) return session;
  if (session?.met === true || splitBrain === null) {
    throw new UpdateError('store.not_split', 'the two copies are not known to be split');
  }
  throw new UpdateError('pair.peer_unreachable', 'the storage of the other node does not answer');
}

/** Walks over all that differs, by what the indexes of both sides say. */
async function walk(
  replica: Replica,
  session: Session,
  onDifference: (difference: Difference) => void,
): Promise<void> {
  const comparison = new Comparison({
    objects: replica.objects,
    ask: (question) => session.talk.ask(question),
    content: false,
    rateBps: Infinity,
    isOpen: () => false,
    check: () => undefined,
    onProgress: () => undefined,
    onDifference,
  });
  await comparison.run();
}

const add = (sum: { records: number; bytes: number }, bytes: number): void => {
  sum.records += 1;
  sum.bytes += bytes;
};

/** Both copies beside each other. Throws `store.not_split` or `pair.peer_unreachable`. */
export async function splitView(replica: Replica): Promise<SplitView> {
  const session = splitSession(replica);
  const { node } = replica.state.now;
  const theirs = await session.talk.ask<Facts>({ do: 'facts' });
  const only = { mine: { records: 0, bytes: 0 }, theirs: { records: 0, bytes: 0 } };
  const other = { mine: { records: 0, bytes: 0 }, theirs: { records: 0, bytes: 0 } };
  const keys: StoreDifference[] = [];
  await walk(replica, session, (difference) => {
    const { mine, theirs: peer } = difference;
    if (keys.length < DIFFERENCES_MAX) keys.push(toldDifference(node, difference));
    if (peer[1] === null) add(only.mine, mine[2]);
    else if (mine[1] === null) add(only.theirs, peer[2]);
    else {
      add(other.mine, mine[2]);
      add(other.theirs, peer[2]);
    }
  });
  const side = (facts: Facts, of: 'mine' | 'theirs'): SplitSide => ({
    epoch: facts.epoch,
    aloneSince: facts.aloneSince,
    all: { records: facts.records, bytes: facts.bytes },
    only: only[of],
    other: other[of],
  });
  const [own, peer] = [side(factsOf(replica), 'mine'), side(theirs, 'theirs')];
  return node === 'A' ? { A: own, B: peer, keys } : { A: peer, B: own, keys };
}

/** The copy that is not `keep` gives way, here or there; resolves when that is durable. */
export async function resolveSplit(
  replica: Replica,
  keep: NodeId,
  why: { readonly by: string; readonly reason: string },
): Promise<SavedRecords> {
  const session = splitSession(replica);
  const question = { do: 'yield', ...why } as const;
  const here = keep !== replica.state.now.node;
  const saved = here
    ? await yieldCopy(replica, session, question)
    : await session.talk.ask<SavedRecords>(question);
  session.connection.close(new UpdateError('pair.peer_unreachable', 'the copies meet anew'));
  return saved;
}

/** This copy gives way: what only it has is saved, then it counts as holding nothing. */
export async function yieldCopy(
  replica: Replica,
  session: Session,
  why: Extract<Question, { do: 'yield' }>,
): Promise<SavedRecords> {
  if (splitSession(replica) !== session) {
    throw new UpdateError('store.not_split', 'the copies have met anew meanwhile');
  }
  const { node } = replica.state.now;
  await replica.stopWrites('an operator gave up this copy');
  const keys: string[] = [];
  const sum = { records: 0, bytes: 0 };
  await walk(replica, session, ({ key, mine }) => {
    // A deletion that only this copy has is a change that would be lost, too.
    if (mine[1] === null && replica.objects.entry(key) === null) return;
    keys.push(key);
    add(sum, mine[2]);
  });
  const { objects, state } = replica;
  const { pair, generation, epoch } = state.now;
  const { by, reason } = why;
  const head = { node, pair, epoch, generation, by, reason };
  const folder = join(dirname(objects.dir), 'saved');
  const file = await saveRecords({ objects, keys, bytes: sum.bytes, folder, head });
  await replica.giveWay();
  return { node, file, ...sum };
}

/** Records that are to be saved. */
export interface SaveSpec {
  readonly objects: Objects;
  readonly keys: readonly string[];
  /** Bytes of their values. */
  readonly bytes: number;
  /** Folder of the file, on the data partition. */
  readonly folder: string;
  /** What the first line of the file says beside date and number. */
  readonly head: { readonly node: NodeId; readonly by: string; readonly reason: string };
}

/**
 * Writes the records to a new file, synced; one that fails leaves nothing behind. Returns its path,
 * null without a record. Throws `store.full` with the missing bytes, `store.io`, `store.corrupt`.
 */
export async function saveRecords(spec: SaveSpec): Promise<string | null> {
  const { keys, bytes, folder, head } = spec;
  if (keys.length === 0) return null;
  const at = new Date().toISOString();
  const stamp = at.replace(/\.\d+Z$/, 'Z').replaceAll(/[-:]/g, '');
  const name = `split-${head.node}-${stamp}-${randomBytes(2).toString('hex')}.ndjson`;
  const path = join(folder, name);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await needRoomFor(folder, Math.ceil((bytes * 4) / 3) + keys.length * LINE_BYTES * 2);
    const first = { v: 1, at, ...head, records: keys.length };
    const part = `${path}.part`;
    try {
      await using out = await open(part, 'wx', 0o600);
      await writeRecords(spec, out, `${JSON.stringify(first)}\n`);
      await out.sync();
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
    await rename(part, path);
    await syncDirectory(folder);
    await syncDirectory(dirname(folder));
    return path;
  } catch (error) {
    throw ioFailure(error);
  }
}

async function writeRecords(
  { objects, keys }: SaveSpec,
  out: FileHandle,
  head: string,
): Promise<void> {
  let text = head;
  for (const key of keys) {
    const entry = objects.entry(key);
    const value = await objects.get(key);
    const { version = 0 } = entry ?? {};
    const line =
      value === null
        ? { key, version, deleted: true }
        : { key, version, sha256: entry?.hash, value: value.toString('base64') };
    text += `${JSON.stringify(line)}\n`;
    if (text.length < PIECE_BYTES) continue;
    await out.writeFile(text);
    text = '';
  }
  await out.writeFile(text);
}

async function needRoomFor(dir: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  const missingBytes = bytes + RESERVE_BYTES - bavail * bsize;
  if (missingBytes <= 0) return;
  throw new UpdateError(
    'store.full',
    `${missingBytes} bytes are missing on the data partition to save what only this copy has; ` +
      'nothing was changed',
    { detail: { missingBytes } },
  );
}
