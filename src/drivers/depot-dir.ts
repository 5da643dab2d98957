/**
 * The depot as a directory on the data partition: `<digest>.bin` for each verified bundle,
 * `<digest>.part` for the one that arrives, `reserve.pad` for the 64 MiB that must stay free while
 * it does. Always holds: a reservation is allocated blocks, made before the first byte is
 * transferred, so a full disk is found before and never during; at most one partial file exists; a
 * `.bin` appears only by a rename of a file that was synced and whose head was verified. Imports
 * core, ports, node: and the preallocator.
 */
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UpdateError } from '../core/errors.ts';
import type { Manifest } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';
import type { Depot, DepotEntry } from '../ports.ts';
import { syncDirectory } from './fs-atomic.ts';
import { preallocate } from './preallocate.ts';

/** Room that staging leaves to logs and records of the data partition, in bytes. */
export const RESERVE_BYTES = 64 * 1024 * 1024;
const PAD_FILE = 'reserve.pad';
const ENTRY = /^([0-9a-f]{64})\.bin$/;
const PARTIAL = /^([0-9a-f]{64})\.part$/;

/**
 * Reads the verified head of a bundle file: its digest and manifest. Drivers know nothing of the
 * format, so the composition root hands in the reader. Throws when the file is not a whole,
 * trusted bundle.
 */
export type ReadHead = (
  path: string,
) => Promise<{ readonly bundle: Sha256; readonly manifest: Manifest }>;

/** Opens (and makes, if need be) the depot in `dir`. */
export async function openDepot(dir: string, readHead: ReadHead): Promise<Depot> {
  return await guarded(dir, async () => {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    return new DirectoryDepot(dir, readHead);
  });
}

class DirectoryDepot implements Depot {
  readonly #dir: string;
  readonly #readHead: ReadHead;

  constructor(dir: string, readHead: ReadHead) {
    this.#dir = dir;
    this.#readHead = readHead;
  }

  /** Entries whose head verifies, oldest first; one that no longer does is not an entry. */
  async list(): Promise<readonly DepotEntry[]> {
    return await guarded(this.#dir, async () => {
      const found: { readonly entry: DepotEntry; readonly changedMs: number }[] = [];
      for (const name of await readdir(this.#dir)) {
        const bundle = ENTRY.exec(name)?.[1] as Sha256 | undefined;
        if (bundle === undefined) continue;
        const entry = await this.#entry(bundle).catch(() => null);
        if (entry) found.push({ entry, changedMs: (await stat(entry.path)).ctimeMs });
      }
      return found.toSorted((a, b) => a.changedMs - b.changedMs).map((each) => each.entry);
    });
  }

  /** A bundle that is in the depot already has its space: then this is the path of its entry. */
  async reserve(bundle: Sha256, bytes: number): Promise<string> {
    return await guarded(this.#dir, async () => {
      if ((await sizeOrNull(this.#final(bundle))) === bytes) return this.#final(bundle);
      await this.#remove((name) => {
        const partial = PARTIAL.exec(name)?.[1];
        return partial !== undefined && partial !== bundle;
      });
      const path = this.#partial(bundle);
      const isNew = (await sizeOrNull(path)) === null;
      try {
        await preallocate(path, bytes);
        await preallocate(join(this.#dir, PAD_FILE), RESERVE_BYTES);
      } catch (cause) {
        // What was there before may hold a transfer that goes on once there is room.
        await rm(join(this.#dir, PAD_FILE), { force: true });
        if (isNew) await rm(path, { force: true });
        await syncDirectory(this.#dir);
        throw cause;
      }
      return path;
    });
  }

  async admit(bundle: Sha256): Promise<DepotEntry> {
    return await guarded(this.#dir, async () => {
      const path = this.#partial(bundle);
      if ((await sizeOrNull(path)) !== null) {
        const head = await this.#readHead(path);
        if (head.bundle !== bundle) {
          throw new UpdateError('bundle.damaged', `${path} is bundle ${head.bundle}`);
        }
        await using file = await open(path, 'r');
        await file.sync();
        await rename(path, this.#final(bundle));
        await syncDirectory(this.#dir);
      }
      const entry = await this.#entry(bundle);
      await this.#remove((name) => name === PAD_FILE);
      return entry;
    });
  }

  async retain(bundles: readonly Sha256[]): Promise<void> {
    const kept = new Set<string>(bundles);
    await guarded(this.#dir, async () => {
      await this.#remove((name) => {
        const bundle = ENTRY.exec(name)?.[1] ?? PARTIAL.exec(name)?.[1];
        return bundle !== undefined && !kept.has(bundle);
      });
      const names = await readdir(this.#dir);
      if (!names.some((name) => PARTIAL.test(name))) await this.#remove((n) => n === PAD_FILE);
    });
  }

  #partial(bundle: Sha256): string {
    return join(this.#dir, `${bundle}.part`);
  }

  #final(bundle: Sha256): string {
    return join(this.#dir, `${bundle}.bin`);
  }

  async #entry(bundle: Sha256): Promise<DepotEntry> {
    const path = this.#final(bundle);
    const bytes = await sizeOrNull(path);
    if (bytes === null) {
      throw new UpdateError('file.not_found', `the depot ${this.#dir} has no bundle ${bundle}`);
    }
    const head = await this.#readHead(path);
    if (head.bundle !== bundle) {
      throw new UpdateError('bundle.damaged', `${path} is bundle ${head.bundle}`);
    }
    return { bundle, path, bytes, manifest: head.manifest };
  }

  async #remove(gone: (name: string) => boolean): Promise<void> {
    const names = (await readdir(this.#dir)).filter(gone);
    for (const name of names) await rm(join(this.#dir, name), { force: true });
    if (names.length > 0) await syncDirectory(this.#dir);
  }
}

async function sizeOrNull(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw cause;
  }
}

async function guarded<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof UpdateError) throw cause;
    const word = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new UpdateError('file.unreadable', `the depot ${path} cannot be used: ${word}`, {
      cause,
      detail: { path, error: word },
    });
  }
}
