/**
 * The port Depot in memory. A bundle file is its identity: whole or not. `DepotDisk` outlives a
 * power cut. Imports core and ports.
 */
import { UpdateError } from '../../src/core/errors.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import type { Sha256 } from '../../src/core/model.ts';
import type { Depot, DepotEntry } from '../../src/ports.ts';

/** Room that a reservation needs beside the bundle, as the real depot has it. */
const RESERVE_BYTES = 64 * 1024 * 1024;

/** A file that was reserved or admitted; `holds` is the bundle that it wholly contains. */
export interface MemoryFile {
  readonly bytes: number;
  holds: { readonly bundle: Sha256; readonly manifest: Manifest } | null;
}

/** Files by path, in the order of their making. */
export interface DepotDisk {
  capacityBytes: number;
  readonly files: Map<string, MemoryFile>;
}

/** An empty depot of that capacity. */
export function makeDepotDisk(capacityBytes: number): DepotDisk {
  return { capacityBytes, files: new Map() };
}

const partial = (bundle: Sha256): string => `memory:${bundle}.part`;
const final = (bundle: Sha256): string => `memory:${bundle}.bin`;

function entryOf(path: string, file: MemoryFile): DepotEntry[] {
  return path.endsWith('.bin') && file.holds ? [{ path, bytes: file.bytes, ...file.holds }] : [];
}

/** The depot on `disk`. */
export function memoryDepot(disk: DepotDisk): Depot {
  const remove = (gone: (path: string) => boolean): void => {
    for (const path of disk.files.keys()) if (gone(path)) disk.files.delete(path);
  };
  return {
    list: () => Promise.resolve([...disk.files].flatMap(([path, file]) => entryOf(path, file))),
    async reserve(bundle, bytes) {
      if (disk.files.get(final(bundle))?.bytes === bytes) return final(bundle);
      const path = partial(bundle);
      remove((other) => other.endsWith('.part') && other !== path);
      const used = [...disk.files.values()].reduce((sum, file) => sum + file.bytes, 0);
      const needed = (disk.files.has(path) ? 0 : bytes) + RESERVE_BYTES;
      const missingBytes = used + needed - disk.capacityBytes;
      if (missingBytes > 0) {
        throw new UpdateError('space.depot', `${missingBytes} bytes are missing`, {
          detail: { missingBytes },
        });
      }
      if (!disk.files.has(path)) disk.files.set(path, { bytes, holds: null });
      return await Promise.resolve(path);
    },
    async admit(bundle) {
      const filled = disk.files.get(partial(bundle));
      if (filled) {
        if (filled.holds?.bundle !== bundle) {
          throw new UpdateError('bundle.damaged', `${partial(bundle)} is not that bundle`);
        }
        disk.files.delete(partial(bundle));
        disk.files.delete(final(bundle));
        disk.files.set(final(bundle), filled);
      }
      const path = final(bundle);
      const file = disk.files.get(path);
      const entry = file === undefined ? undefined : entryOf(path, file)[0];
      if (!entry) throw new UpdateError('file.not_found', `no bundle ${bundle}`);
      return await Promise.resolve(entry);
    },
    retain(bundles) {
      const kept = new Set(bundles.flatMap((bundle) => [partial(bundle), final(bundle)]));
      remove((path) => !kept.has(path));
      return Promise.resolve();
    },
  };
}
