/**
 * The code that is searched: the real core and the real report, loaded as they are, or as a copy in
 * a temporary folder with one rule changed on purpose, to see that the search finds it. Always
 * holds: a change whose text is not found, or is found more than once, is an error. Only tests
 * import it.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = fileURLToPath(new URL('../../src/', import.meta.url));
const REPORT = 'updater/report.ts';

/** One rule of the core broken on purpose. */
export interface Change {
  /** Below src/core. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** What the search needs of the product. */
export interface Core {
  readonly machine: typeof import('../../src/core/machine.ts');
  readonly state: typeof import('../../src/core/state.ts');
  readonly boot: typeof import('../../src/core/boot.ts');
  readonly change: typeof import('../../src/core/boot-change.ts');
  readonly records: typeof import('../../src/core/records.ts');
  readonly report: typeof import('../../src/updater/report.ts');
}

async function load(root: string): Promise<Core> {
  const from = <T>(path: string): Promise<T> =>
    import(pathToFileURL(join(root, path)).href) as Promise<T>;
  return {
    machine: await from('core/machine.ts'),
    state: await from('core/state.ts'),
    boot: await from('core/boot.ts'),
    change: await from('core/boot-change.ts'),
    records: await from('core/records.ts'),
    report: await from(REPORT),
  };
}

/** The core as it is. */
export const realCore = (): Promise<Core> => load(ROOT);

/** The core with changes, copied into `dir`; throws when a change does not fit any more. */
export async function changedCore(dir: string, changes: readonly Change[]): Promise<Core> {
  cpSync(join(ROOT, 'core'), join(dir, 'core'), { recursive: true });
  mkdirSync(join(dir, dirname(REPORT)), { recursive: true });
  cpSync(join(ROOT, REPORT), join(dir, REPORT));
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}\n');
  for (const { file, from, to } of changes) {
    const path = join(dir, 'core', file);
    const text = readFileSync(path, 'utf8');
    const parts = text.split(from);
    if (parts.length !== 2) {
      throw new Error(`${file}: ${parts.length - 1} places with the text that is changed: ${from}`);
    }
    writeFileSync(path, parts.join(to));
  }
  return load(dir);
}
