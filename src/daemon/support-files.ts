/**
 * What lies in files of a node and belongs into a support archive: journal, logs, boot chooser,
 * seals, listings. Always holds: keys, pairing codes, the records of clients and what is in slots
 * and bundles are never read; a file is read only up to its limit, from the end where the end
 * matters. Imports core and the drivers that read these files.
 */
import { constants } from 'node:fs';
import { open, readdir, readFile, stat, statfs } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { RELEASE_FILE, SLOT_CLASSES, type Slot } from '../core/model.ts';
import { bootCounterPath, bootStatePath, readBootFiles } from '../drivers/boot-loader.ts';
import { inspectJournal } from '../drivers/journal-file.ts';
import { openSlots } from '../drivers/slots-file.ts';
import { grubBoot, grubState, partitionSeals } from './support-disk.ts';
import type { SupportPlaces } from './support-request.ts';
import { scrub, scrubbedJson } from './support-scrub.ts';

/** A file of the archive as it was read. */
export interface Taken {
  readonly path: string;
  readonly from: string;
  readonly content: Uint8Array;
  /** Bytes at its head that were not read. */
  readonly cutBytes?: number;
}

/** Something to be read; what hangs or fails costs itself alone. */
export interface Source {
  /** Where it would stand in the archive. */
  readonly path: string;
  /** What a read that hangs would hang in; null = nothing that others need. */
  readonly disk: string | null;
  readonly take: (signal: AbortSignal) => Promise<readonly Taken[]>;
}

/** Largest raw file of journal, boot chooser and trust root. */
const RAW_BYTES_MAX = 16 * 1024 * 1024;
/** Files of a listing, and logs that are taken. */
const LISTED_MAX = 4000;
const LOGS_MAX = 64;
const TEXT_BYTES_MAX = 256 * 1024;

/** An object as the text of a file. */
export function jsonText(value: unknown): Buffer {
  return Buffer.from(scrubbedJson(value));
}

/** Everything in files, in the order of how much it helps. */
export function fileSources(places: SupportPlaces, logBytes: number): readonly Source[] {
  const { stateDir, rootDir, trustRoot } = places;
  const depot = join(stateDir, 'depot');
  const support = join(stateDir, 'support');
  return [
    value('journal/records.json', stateDir, 'decoded', () => journalRecords(stateDir)),
    raw('journal/journal.0', join(stateDir, 'journal.0')),
    raw('journal/journal.1', join(stateDir, 'journal.1')),
    ...bootSources(places),
    sealSource(places),
    textFile('versions/release', join(rootDir, RELEASE_FILE)),
    value('versions/users.json', stateDir, 'names and roles', () => users(stateDir)),
    textFile('versions/settings.json', join(stateDir, 'settings.json')),
    textFile('versions/trust-root.json', trustRoot),
    ...waitingSources(stateDir),
    list('files/state.json', stateDir),
    list('files/depot.json', depot),
    list('files/support.json', support),
    ...folderSources(places),
    value('files/free.json', stateDir, `statfs of ${stateDir}`, () => statfs(stateDir)),
    logs(join(stateDir, 'logs'), logBytes),
  ];
}

/** Updates that are scheduled or prepared, as this node keeps them. */
function waitingSources(stateDir: string): readonly Source[] {
  const from = (file: string): readonly [path: string, file: string] => [
    `waiting/${basename(file)}`,
    join(stateDir, file),
  ];
  return [
    jsonFile(...from('schedules.json')),
    // One that could not be read was put aside; whatever it is, it is no JSON of ours.
    textFile(...from('schedules.json.damaged')),
    jsonFile(...from('prepare/preparation.json')),
    jsonFile(...from('prepare/plan.json')),
  ];
}

/** The boot chooser, decoded and as it is; partitions are on the disk of the system. */
function bootSources({ bootDir, rootDir, partitions }: SupportPlaces): readonly Source[] {
  if (partitions === undefined || partitions.counter === null) {
    return [
      value('boot/boot.json', bootDir, 'decoded', () => readBootFiles(bootDir)),
      raw('boot/state', bootStatePath(bootDir)),
      raw('boot/counter', bootCounterPath(bootDir)),
    ];
  }
  const { disk, counter } = partitions;
  const path = 'boot/state';
  const from = 'the boot state of GRUB';
  return [
    value('boot/boot.json', rootDir, 'decoded', () => grubBoot(partitions)),
    { path, disk: rootDir, take: async () => [{ path, from, content: await grubState(disk) }] },
    raw('boot/counter', counter),
  ];
}

function sealSource({ slotsDir, rootDir, partitions }: SupportPlaces): Source {
  return partitions === undefined
    ? value('slots/seals.json', slotsDir, 'decoded seals', () => seals(slotsDir))
    : value('slots/seals.json', rootDir, 'decoded seals', () => partitionSeals(partitions));
}

function list(path: string, dir: string): Source {
  return value(path, dir, `listing of ${dir}`, () => listing(dir));
}

/** What there is of slots and boot chooser as folders. */
function folderSources({ bootDir, slotsDir, partitions }: SupportPlaces): readonly Source[] {
  const boot = partitions === undefined || partitions.counter === null;
  return [
    ...(partitions === undefined ? [list('files/slots.json', slotsDir)] : []),
    ...(boot ? [list('files/boot.json', bootDir)] : []),
  ];
}

function value(path: string, disk: string, from: string, make: () => Promise<unknown>): Source {
  return {
    path,
    disk,
    take: async () => [{ path, from, content: jsonText(await make()) }],
  };
}

/** As it is: what decides is the bytes. Nothing that is read so holds a secret. */
function raw(path: string, file: string): Source {
  return {
    path,
    disk: file,
    take: async () => [{ path, from: file, ...(await readEnd(file, RAW_BYTES_MAX)) }],
  };
}

function textFile(path: string, file: string): Source {
  return {
    path,
    disk: file,
    take: async () => {
      const { content, cutBytes } = await readEnd(file, TEXT_BYTES_MAX);
      const text = scrub(Buffer.from(content).toString('utf8'));
      return [{ path, from: file, content: Buffer.from(text), cutBytes }];
    },
  };
}

/** A JSON file, so that it stays one without its secrets; one that is damaged is taken as text. */
function jsonFile(path: string, file: string): Source {
  const text = textFile(path, file);
  return {
    ...text,
    take: async (signal) => {
      const { content, cutBytes } = await readEnd(file, TEXT_BYTES_MAX);
      try {
        const found: unknown = JSON.parse(content.toString('utf8'));
        return [{ path, from: file, content: jsonText(found), cutBytes }];
      } catch {
        return text.take(signal);
      }
    },
  };
}

/** Every log of the folder, the newest bytes of each. */
function logs(dir: string, logBytes: number): Source {
  return {
    path: 'logs/',
    disk: dir,
    take: async () => {
      const names = (await readdir(dir)).filter((name) => /^[\w.-]{1,48}$/.test(name)).toSorted();
      const taken: Taken[] = [];
      for (const name of names.slice(0, LOGS_MAX)) {
        const file = join(dir, name);
        if (!(await stat(file)).isFile()) continue;
        const { content, cutBytes } = await readEnd(file, logBytes);
        const text = scrub(Buffer.from(content).toString('utf8'));
        taken.push({ path: `logs/${name}`, from: file, content: Buffer.from(text), cutBytes });
      }
      return taken;
    },
  };
}

/** The last bytes of a file; also of one in /proc, which has no size. */
export async function readEnd(
  file: string,
  bytesMax: number,
): Promise<{ readonly content: Buffer; readonly cutBytes: number }> {
  await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const { size } = await handle.stat();
  const cutBytes = Math.max(0, size - bytesMax);
  const chunks: Buffer[] = [];
  for (let at = cutBytes, left = bytesMax; left > 0;) {
    const chunk = Buffer.alloc(Math.min(left, 64 * 1024));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) break;
    chunks.push(chunk.subarray(0, bytesRead));
    at += bytesRead;
    left -= bytesRead;
  }
  return { content: Buffer.concat(chunks), cutBytes };
}

/** Every record that can be read, and what is wrong with the others. */
async function journalRecords(stateDir: string): Promise<unknown> {
  const { entries, torn, damage, newerSchema, cursor } = await inspectJournal(stateDir);
  const records = entries.map(({ seq, kind, record }) => ({ seq, kind, record }));
  return { generation: cursor.generation, torn, damage, newerSchema, records };
}

async function seals(slotsDir: string): Promise<unknown> {
  const slots = await openSlots(slotsDir);
  const found: unknown[] = [];
  for (const cls of SLOT_CLASSES) {
    for (const slot of ['A', 'B'] as const satisfies readonly Slot[]) {
      found.push(await slots.info(cls, slot));
    }
  }
  return found;
}

/** Names, roles and whether somebody may log in: nothing that a password could be tried on. */
async function users(stateDir: string): Promise<unknown> {
  const text = await readFile(join(stateDir, 'users.json'), 'utf8');
  const { users: found } = JSON.parse(text) as { readonly users?: unknown };
  const list = Array.isArray(found) ? found : Object.entries(Object(found)).map(named);
  return list.map((one: unknown) => {
    const { name, role } = Object(one) as { readonly name?: unknown; readonly role?: unknown };
    return { name: word(name), role: word(role) };
  });
}

const named = ([name, user]: [string, unknown]): unknown => ({ ...Object(user), name });
const word = (text: unknown): string | null => (typeof text === 'string' ? text : null);

/** Names, sizes, times and rights of what lies below a folder, without any content. */
async function listing(dir: string): Promise<unknown> {
  const found: unknown[] = [];
  const folders = [''];
  for (let folder = folders.shift(); folder !== undefined; folder = folders.shift()) {
    for (const entry of await readdir(join(dir, folder), { withFileTypes: true })) {
      if (found.length >= LISTED_MAX) return { dir, cut: true, found };
      const path = join(folder, entry.name);
      const { size, blocks, mode, uid, gid, mtime } = await stat(join(dir, path)).catch(() => GONE);
      const rights = (mode & 0o7777).toString(8);
      found.push({ path, size, used: blocks * 512, rights, uid, gid, mtime });
      // A folder of a folder's own slots or archives has a listing of its own.
      if (entry.isDirectory() && !OWN.has(basename(path))) folders.push(path);
    }
  }
  return { dir, cut: false, found };
}

const OWN: ReadonlySet<string> = new Set(['depot', 'support', 'slots', 'boot']);
/** Of a name that points nowhere, or went away meanwhile. */
const GONE = { size: 0, blocks: 0, mode: 0, uid: -1, gid: -1, mtime: null };
