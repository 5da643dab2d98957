/**
 * What the data partition of a cut disk holds once its file system's own journal was replayed, as
 * the kernel does it at the next mount: the node's journal and the store. Always holds: it works on
 * a copy; what e2fsck may not mend without being asked is damage. Imports core, drivers, the
 * storage software's readers and the tools.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeRecord } from '../../images/storage/record.ts';
import { scanSegment } from '../../images/storage/scan.ts';
import { isBlank, SECTOR_BYTES } from '../../src/core/frame.ts';
import { replayJournal, type JournalEntry } from '../../src/core/journal.ts';
import type { NodeRecord, RolloutRecord } from '../../src/core/records.ts';
import { asUpdateError } from '../../src/core/errors.ts';
import { readCopies } from '../../src/drivers/two-copy.ts';
import { runTool } from '../image/tools.ts';

/** Where the service keeps its state on the data partition. */
const STATE_DIR = '/tandem';

/** The journal of a node. */
export interface JournalFacts {
  /** Number of the newest record; 0 = nothing was ever written. */
  readonly seq: number;
  /** A record at the end was dropped that was never acknowledged. */
  readonly torn: boolean;
  readonly node: NodeRecord | null;
  readonly rollout: RolloutRecord | null;
  /** What cannot be read, a clause; null = everything can. */
  readonly problem: string | null;
}

/** An object of the store as it was last written. */
export interface StoredObject {
  /** SHA-256 of its value; empty = it was deleted. */
  readonly hash: string;
  readonly version: number;
}

/** A copy of the store. */
export interface StoreFacts {
  /** Highest epoch that it has seen; 0 = there is no store yet. */
  readonly epoch: number;
  readonly objects: ReadonlyMap<string, StoredObject>;
  readonly problem: string | null;
}

/** What a data partition holds. */
export interface DataFacts {
  /** What the file system needs a person for; null = it mends itself. */
  readonly problem: string | null;
  readonly journal: JournalFacts;
  readonly store: StoreFacts;
}

/**
 * Replays the file system's journal in the image file, which is changed by that, and reads it.
 * `work` is a folder that is made anew. Throws `tool.missing`.
 */
export async function readData(image: string, work: string): Promise<DataFacts> {
  const problem = await mend(image);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  const commands = join(work, 'commands');
  const lines = [
    ...['journal.0', 'journal.1'].map((name) => `dump ${STATE_DIR}/${name} ${name}`),
    `dump ${STATE_DIR}/store/state state`,
    `rdump ${STATE_DIR}/store/log .`,
  ];
  await writeFile(commands, `${lines.join('\n')}\n`);
  // What is not there yet is told on the error output, and is no file afterwards.
  await runTool('debugfs', ['-f', commands, image], { cwd: work });
  return { problem, journal: await journalIn(work), store: await storeIn(work) };
}

/** Exit status of e2fsck when not even the superblock can be read. Source: e2fsck(8). */
const NO_SUPERBLOCK = 'status 8';

/**
 * What the system does with a data partition that it cannot mount (images/appliance, `rc`): a check
 * that mends what is safe, and one that takes a copy of the superblock when that was torn. Whoever
 * mends something says so with the status, and finds nothing when asked again.
 */
async function mend(image: string): Promise<string | null> {
  let problem = await complaint(image, '-p');
  if (problem?.includes(NO_SUPERBLOCK) === true) await complaint(image, '-y');
  if (problem !== null) problem = await complaint(image, '-p');
  return problem;
}

/** What a check has to say; null = nothing. Throws `tool.missing`. */
async function complaint(image: string, mode: '-p' | '-y'): Promise<string | null> {
  try {
    await runTool('e2fsck', ['-f', mode, image]);
    return null;
  } catch (error) {
    const failed = asUpdateError(error);
    if (failed.code !== 'tool.failed') throw failed;
    return failed.message;
  }
}

async function journalIn(work: string): Promise<JournalFacts> {
  const files = [await sectorsOf(work, 'journal.0'), await sectorsOf(work, 'journal.1')] as const;
  const none = { seq: 0, torn: false, node: null, rollout: null };
  // As the driver has it: a file that is missing is no loss while nothing was ever written.
  if (isBlank(files[0]) && isBlank(files[1])) return { ...none, problem: null };
  const { cursor, torn, damage, newerSchema } = replayJournal(files);
  const last = (kind: string): JournalEntry['record'] | null =>
    cursor.last.find((entry) => entry.kind === kind)?.record ?? null;
  const { seq } = cursor;
  const node = last('node') as NodeRecord | null;
  const rollout = last('rollout') as RolloutRecord | null;
  const place = damage === null ? '' : `journal.${damage.file} at byte ${damage.offset}`;
  const newer = newerSchema === null ? null : `schema ${newerSchema}`;
  return { seq, torn, node, rollout, problem: damage ? `${damage.found} in ${place}` : newer };
}

/** Whole sectors of a file; nothing when it is not there. */
async function sectorsOf(work: string, name: string): Promise<Uint8Array> {
  const bytes = await readFile(join(work, name)).catch(() => Buffer.alloc(0));
  return bytes.subarray(0, bytes.length - (bytes.length % SECTOR_BYTES));
}

async function storeIn(work: string): Promise<StoreFacts> {
  const { objects, problem } = await logIn(join(work, 'log'));
  const state = await readFile(join(work, 'state')).catch(() => null);
  const value = state === null ? null : readCopies(state).value;
  if (value !== null) {
    const { epoch } = JSON.parse(Buffer.from(value.bytes).toString('utf8')) as { epoch: number };
    return { epoch, objects, problem };
  }
  const lost = objects.size > 0 ? 'its state is missing or damaged, and there are objects' : null;
  return { epoch: 0, objects, problem: problem ?? lost };
}

async function logIn(dir: string): Promise<Pick<StoreFacts, 'objects' | 'problem'>> {
  const found = await readdir(dir).catch((): readonly string[] => []);
  const names = found.filter((name) => /^\d{8}\.seg$/.test(name)).toSorted();
  const objects = new Map<string, StoredObject>();
  let problem: string | null = null;
  for (const name of names) {
    const bytes = await readFile(join(dir, name));
    const { damagedAt } = scanSegment(bytes, name === names.at(-1), (record, offset) => {
      const { kind, key, version, hash } = record;
      if (kind === 'mark' || (objects.get(key)?.version ?? -1) > version) return;
      objects.set(key, { hash, version });
      if (kind === 'put') problem ??= valueProblem(bytes, offset, `${name} at byte ${offset}`);
    });
    if (damagedAt !== null) problem ??= `damage in ${name} at byte ${damagedAt}`;
  }
  return { objects, problem };
}

function valueProblem(bytes: Buffer, offset: number, place: string): string | null {
  try {
    decodeRecord(bytes, offset)?.value();
    return null;
  } catch {
    return `a value that does not fit its hash in ${place}`;
  }
}
