/**
 * How a node takes the newer updater that a bundle brings: the program that reads bundles and
 * writes slots. Always holds: it is taken out of a bundle that was verified, tried out before it
 * counts, and given up when its preparation is over. Imports core, bundle, drivers and the
 * protocol.
 */
import { openBundle, readUpdater } from '../bundle/reader.ts';
import { openFileSource } from '../bundle/source.ts';
import { loadTrustRoot } from '../bundle/trust.ts';
import { UpdateError } from '../core/errors.ts';
import type { ManifestUpdater } from '../core/manifest.ts';
import type { Sha256 } from '../core/model.ts';
import { compareVersions } from '../core/version.ts';
import type { UpdaterPrograms } from '../drivers/updater-programs.ts';
import type { VerifyResult } from '../install/protocol.ts';
import type { DepotEntry } from '../ports.ts';

/** How this node takes updaters of bundles. */
export interface PrepareUpdater {
  /** Takes, tries out and switches to it; a sentence of what was done. Throws why it was not. */
  take(entry: DepotEntry, brings: ManifestUpdater, signal: AbortSignal): Promise<string>;
  /** What is wrong with an updater that was taken; null when it is in use or not needed. */
  lacks(brings: ManifestUpdater): string | null;
  /** The updater of any other bundle is given up; null = of every one. */
  keepFor(bundle: Sha256 | null): Promise<void>;
}

/** Takes updaters into these programs; `own` is the version of the program of this node. */
export function prepareUpdater(
  programs: UpdaterPrograms,
  own: string,
  trustRoot: string,
): PrepareUpdater {
  const needless = ({ version }: ManifestUpdater): boolean => compareVersions(version, own) <= 0;
  return {
    take: async (entry, brings, signal) => {
      const { version } = brings;
      if (needless(brings)) return `this node runs ${own}, the bundle brings ${version}`;
      if (programs.chosen()?.sha256 === brings.sha256) return `updater ${version} is in use`;
      const root = await loadTrustRoot(trustRoot);
      await using source = await openFileSource(entry.path);
      const opened = await openBundle(source, root, signal);
      const bytes = await readUpdater(source, opened, signal);
      if (opened.bundle !== entry.bundle || bytes === null) {
        throw new UpdateError('bundle.damaged', `${entry.path} is not the bundle that it was`);
      }
      const { bundle } = entry;
      const { sha256 } = brings;
      await programs.switchTo({ version, sha256, bundle, bytes }, signal, async (installer) => {
        const request = { do: 'verify', path: entry.path, trustRoot };
        const found = await installer.run<VerifyResult>(request, { signal });
        if (found.bundle === bundle && found.bytes === entry.bytes) return;
        const message = `updater ${version} reads the bundle as ${found.bundle}`;
        throw new UpdateError('updater.unhealthy', message);
      });
      return `updater ${version} reads bundles and writes slots from now on, ${own} did before`;
    },
    lacks: (brings) => {
      if (needless(brings) || programs.chosen()?.sha256 === brings.sha256) return null;
      return `updater ${brings.version} is not in use any more`;
    },
    keepFor: async (bundle) => {
      const chosen = programs.chosen();
      if (chosen !== null && chosen.bundle !== bundle) await programs.giveUp();
    },
  };
}
