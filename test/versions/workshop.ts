/**
 * A factory for two releases side by side: images with the program of this tree, and images with
 * that of another one, the release before unless it is told, which that one's own scripts make.
 * Always holds: bundles are made by this tree and signed by a key of the run that is never on disk;
 * what a release runs is in its row, nothing is guessed from its version. Imports core, bundle and
 * the scripts.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FactoryImage } from '../../scripts/appliance.ts';
import type { DemoRelease, Workshop } from '../../scripts/demo/workshop.ts';
import { HARDWARE, openWorkshop, PRODUCT } from '../../scripts/demo/workshop.ts';
import { bundleSpec } from '../../scripts/image/bundle-spec.ts';
import { trustRootOf } from '../../scripts/image/trust-root.ts';
import { makeStorageImage } from '../../scripts/make-image.ts';
import { openPrevious, type BuiltRelease } from '../../scripts/previous.ts';
import { makeBundle, signBundle } from '../../src/bundle/builder.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import type { Release } from '../../src/core/model.ts';

/** Fast; the bundle lives for a minute. */
const LEVEL = 3;

/** A release with the program that its images hold. */
export interface VersionRelease extends DemoRelease {
  /** This tree, or the other one of the workshop. */
  readonly program: 'present' | 'other';
  /** Highest format that its storage software writes. */
  readonly formatLevel: number;
  /** Highest pair protocol and level of its program. */
  readonly reach: number;
}

/** A row with what all of them share. */
export function releaseOf(
  version: string,
  counter: number,
  program: VersionRelease['program'],
  formatLevel = 1,
  reach = 1,
): VersionRelease {
  const words = { from: '>=1.0.0', storageRunsWith: '>=1.0.0' };
  return { version, counter, program, formatLevel, reach, ...words };
}

/** The factory; `present` and `other` are its two sources of programs. */
export class TwoReleases implements Workshop {
  readonly present: Workshop;
  readonly other: BuiltRelease;
  readonly #dir: string;
  readonly #key = generateSigningKey();

  private constructor(present: Workshop, other: BuiltRelease, dir: string) {
    this.present = present;
    this.other = other;
    this.#dir = dir;
  }

  /** Builds this tree; `dir` takes what is made for this run. */
  static async open(dir: string, other?: BuiltRelease): Promise<TwoReleases> {
    await mkdir(dir, { recursive: true });
    return new TwoReleases(await openWorkshop(), other ?? (await openPrevious()), dir);
  }

  get programs(): Workshop['programs'] {
    return this.present.programs;
  }

  async systemImage(release: DemoRelease): Promise<FactoryImage> {
    const { version, counter, program } = rowOf(release);
    if (program === 'present') {
      // The cache of the demo knows an image by its version, so the counter must go with it.
      return this.present.systemImage({ ...release, version, counter });
    }
    const words: Release = { product: PRODUCT, class: 'system', version, counter };
    const file = await this.other.image({ class: 'system', product: PRODUCT, version, counter });
    return { file, release: words, runsWith: '>=1.0.0' };
  }

  async storageImage(release: DemoRelease): Promise<FactoryImage> {
    const { version, counter, program, formatLevel, storageRunsWith: runsWith } = rowOf(release);
    const spec = { product: PRODUCT, version, counter };
    const words: Release = { ...spec, class: 'storage', formatLevel };
    if (program === 'other') {
      if (formatLevel !== 1) throw new Error('the other release is made with format level 1');
      const file = await this.other.image({ class: 'storage', ...spec });
      return { file, release: words, runsWith };
    }
    const out = join(this.#dir, `storage-${version}-${String(counter)}.img`);
    await makeStorageImage({ ...spec, out, programs: this.programs, formatLevel });
    return { file: out, release: words, runsWith };
  }

  async bundle(release: DemoRelease, out: string): Promise<void> {
    const row = rowOf(release);
    const images = {
      system: (await this.systemImage(release)).file,
      storage: (await this.storageImage(release)).file,
    };
    const notes = `Release ${row.version} with the ${row.program} program.`;
    const spec = bundleSpec({ ...row, product: PRODUCT, hardware: HARDWARE, notes });
    await makeBundle(spec, images, out, { level: LEVEL });
    await signBundle(out, [this.#key]);
  }

  async trustRoot(out: string): Promise<void> {
    const root = trustRootOf(this.#key, 'versions');
    await writeFile(out, `${JSON.stringify(root, null, 2)}\n`);
  }
}

function rowOf(release: DemoRelease): VersionRelease {
  if ('program' in release) return release as VersionRelease;
  throw new Error(`release ${release.version} does not say which program it runs`);
}
