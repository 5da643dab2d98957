/**
 * Support archives of this node: made, kept, listed, read, deleted. Always holds: the daemon itself
 * reads nothing of a disk for an archive, and waits for it in a job that can be cancelled; an
 * archive never takes the space that updates and the store need; at most a few are kept, and the
 * oldest ones go only when a new one is whole. Imports core, ports, the drivers and its own parts.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import { SUPPORT_BYTES_MAX, SUPPORT_ENDING, SUPPORT_KEPT_MAX } from '../core/support.ts';
import type { SupportArchive, SupportView } from '../core/support.ts';
import { makeArchive, streamArchive } from './support-process.ts';
import { SUPPORT_LOG_BYTES, SUPPORT_TIME_MS, type SupportDone } from './support-request.ts';
import type {
  SupportExtra,
  SupportPlaces,
  SupportProgress,
  SupportRequest,
} from './support-request.ts';
import { shownSettings } from './support-scrub.ts';

/** Free space that an archive leaves alone: what a bundle and the store keep for themselves. */
export const RESERVE_BYTES = 96 * 1024 * 1024;
const NAME = /^support-(?:[AB]|unknown)-[\w.-]{1,100}\.tar\.gz$/;

/** A configuration, or its defaults for a node whose own one cannot be read. */
export type SupportConfig = Omit<Config, 'node'> & { readonly node: NodeId | null };

/** Something that is asked for each archive anew; one that hangs or fails is left out. */
export interface LiveSource {
  readonly path: string;
  readonly read: () => unknown;
}

/** How long a live source may take. */
const LIVE_MS = 3000;

/** What the archives of a node are made with. */
export interface SupportParts {
  readonly config: Config;
  readonly program: string;
  /** The program's entry file. */
  readonly entry: string;
  readonly nowMs: () => number;
}

/** Where a node keeps its archives. */
export const supportDir = (stateDir: string): string => join(stateDir, 'support');

/** Id of a job that makes an archive, and its name without the ending: it sorts by time. */
export function supportId(node: NodeId | null, nowMs: number): string {
  const at = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return `support-${node ?? 'unknown'}-${at}-${randomBytes(2).toString('hex')}`;
}

/** The request of an archive of a node, whoever makes it. */
export function supportRequest(
  id: string,
  config: SupportConfig,
  program: string,
  extras: readonly SupportExtra[],
  absent: readonly string[],
): SupportRequest {
  const { node, stateDir, runDir, rootDir, trustRoot } = config;
  const limits = {
    bytesMax: SUPPORT_BYTES_MAX,
    timeMs: SUPPORT_TIME_MS,
    logBytes: SUPPORT_LOG_BYTES,
  };
  const settings = {
    path: 'versions/configuration.json',
    from: 'the configuration, with its defaults and without secrets',
    value: shownSettings(config),
  };
  const places = {
    stateDir,
    runDir,
    rootDir,
    trustRoot,
    bootDir: config.boot.dir,
    slotsDir: config.slots.dir,
    ...partitionsOf(config),
  };
  const head = { v: 1, name: id, node, program, places, limits, absent, out: null } as const;
  return { ...head, extras: [...extras, settings] };
}

/** Where slots are partitions, so is the boot chooser, unless files of a supervisor are. */
function partitionsOf({ slots, boot }: SupportConfig): Pick<SupportPlaces, 'partitions'> {
  if (slots.driver !== 'partition') return {};
  const counter = boot.driver === 'grub' ? boot.counter : null;
  return { partitions: { disk: slots.disk, counter } };
}

/** The archives of one node. */
export class Support {
  readonly #parts: SupportParts;
  readonly #dir: string;

  constructor(parts: SupportParts) {
    this.#parts = parts;
    this.#dir = supportDir(parts.config.stateDir);
  }

  /** An id for the next archive. */
  newId(): string {
    return supportId(this.#parts.config.node, this.#parts.nowMs());
  }

  /** Makes and keeps an archive; throws `support.space`, `support.failed`, `state.io`. */
  async make(
    id: string,
    live: readonly LiveSource[],
    onProgress: (progress: SupportProgress) => void,
    signal: AbortSignal,
  ): Promise<SupportDone> {
    const path = join(this.#dir, `${id}${SUPPORT_ENDING}`);
    const request = { ...(await this.#request(id, live)), out: { path, freeBytes: RESERVE_BYTES } };
    const { entry } = this.#parts;
    try {
      const done = await makeArchive(request, { entry, signal, onProgress });
      await this.#trim();
      return done;
    } catch (error) {
      // A process that was ended leaves its half of a file; a dead disk keeps it.
      await inTime(() => rm(`${path}.part`, { force: true })).catch(() => undefined);
      throw error;
    }
  }

  /** Makes an archive of which this node keeps nothing. */
  async stream(
    id: string,
    live: readonly LiveSource[],
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const { entry } = this.#parts;
    return streamArchive(await this.#request(id, live), { entry, signal });
  }

  async view(): Promise<SupportView> {
    const { node } = this.#parts.config;
    const kept = { keptMax: SUPPORT_KEPT_MAX, bytesMax: SUPPORT_BYTES_MAX };
    return { node, dir: this.#dir, ...kept, archives: await this.#archives() };
  }

  /** The bytes of a kept archive. Throws `file.not_found`. */
  async read(name: string): Promise<AsyncIterable<Uint8Array>> {
    const { path } = await this.#find(name);
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    return handle.createReadStream();
  }

  /** Deletes a kept archive. Throws `file.not_found`, `state.io`. */
  async delete(name: string): Promise<SupportArchive> {
    const { path, archive } = await this.#find(name);
    try {
      await rm(path);
    } catch (cause) {
      throw new UpdateError(
        'state.io',
        `${path} cannot be deleted: ${asUpdateError(cause).message}`,
      );
    }
    return archive;
  }

  async #request(id: string, live: readonly LiveSource[]): Promise<SupportRequest> {
    const { config, program } = this.#parts;
    const absent: string[] = [];
    const extras: SupportExtra[] = [];
    for (const { path, read } of live) {
      try {
        extras.push({ path, from: 'the daemon', value: await inTime(read) });
      } catch (error) {
        absent.push(`${path}: ${asUpdateError(error).message}`);
      }
    }
    return supportRequest(id, config, program, extras, absent);
  }

  async #find(name: string): Promise<{ readonly path: string; readonly archive: SupportArchive }> {
    const archive = (await this.#archives()).find((one) => one.name === name);
    if (archive !== undefined) return { path: join(this.#dir, name), archive };
    throw new UpdateError('file.not_found', `there is no support archive ${name.slice(0, 128)}`);
  }

  /** Newest first; a folder that is not there holds none. */
  async #archives(): Promise<readonly SupportArchive[]> {
    const names = await readdir(this.#dir).catch(() => []);
    const found: SupportArchive[] = [];
    for (const name of names.filter((one) => NAME.test(one))) {
      const info = await stat(join(this.#dir, name)).catch(() => null);
      if (info?.isFile() !== true) continue;
      found.push({ name, bytes: info.size, at: info.mtime.toISOString() });
    }
    return found.toSorted((a, b) => b.at.localeCompare(a.at) || b.name.localeCompare(a.name));
  }

  /** The oldest ones go, and what a power cut left half made. */
  async #trim(): Promise<void> {
    const archives = await this.#archives();
    const names = await readdir(this.#dir).catch(() => []);
    const old = archives.slice(SUPPORT_KEPT_MAX).map((one) => one.name);
    const parts = names.filter((name) => name.endsWith('.part'));
    for (const name of [...old, ...parts]) {
      await rm(join(this.#dir, name), { force: true }).catch(() => undefined);
    }
  }
}

/** What a source says, or an error when it says nothing in time. */
async function inTime(read: () => unknown): Promise<unknown> {
  const { promise, reject } = Promise.withResolvers<never>();
  const late = new UpdateError('state.io', `no answer within ${LIVE_MS / 1000} s`);
  const timer = setTimeout(() => reject(late), LIVE_MS);
  try {
    return await Promise.race([Promise.resolve().then(read), promise]);
  } finally {
    clearTimeout(timer);
  }
}
