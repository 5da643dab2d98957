/**
 * The modules of one source tree that write or read what two releases share: this tree's, or that
 * of the release before it. Always holds: every module comes from the tree that was asked for.
 * Imports only types.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The parts of a tree that artifacts are written and read with. */
export interface Tree {
  readonly states: typeof import('../core/states.ts');
  readonly records: typeof import('../../src/core/records.ts');
  readonly message: typeof import('../../src/core/report.ts');
  readonly machine: typeof import('../../src/core/machine.ts');
  readonly updaterReport: typeof import('../../src/updater/report.ts');
  readonly updaterStatus: typeof import('../../src/updater/status.ts');
  readonly renderStatus: typeof import('../../src/cli/render-status.ts');
  readonly frames: typeof import('../../src/drivers/frames.ts');
  readonly serial: typeof import('../../src/drivers/serial-messages.ts');
  readonly dictionary: typeof import('../../src/drivers/serial-dictionary.ts');
  readonly journal: typeof import('../../src/drivers/journal-file.ts');
  readonly bootFile: typeof import('../../src/drivers/boot-file.ts');
  readonly bootLoader: typeof import('../../src/drivers/boot-loader.ts');
  readonly slots: typeof import('../../src/drivers/slots-file.ts');
  readonly wire: typeof import('../../images/storage/wire.ts');
  readonly limits: typeof import('../../images/storage/limits.ts');
  readonly hello: typeof import('../../images/storage/hello.ts');
  readonly objects: typeof import('../../images/storage/objects.ts');
  readonly storeRecord: typeof import('../../images/storage/record.ts');
  readonly storeState: typeof import('../../images/storage/state.ts');
  readonly builder: typeof import('../../src/bundle/builder.ts');
  readonly keys: typeof import('../../src/bundle/keys.ts');
  readonly trust: typeof import('../../src/bundle/trust.ts');
  readonly verify: typeof import('../../src/bundle/verify.ts');
  readonly source: typeof import('../../src/bundle/source.ts');
}

const PATHS: Readonly<Record<keyof Tree, string>> = {
  states: 'test/core/states.ts',
  records: 'src/core/records.ts',
  message: 'src/core/report.ts',
  machine: 'src/core/machine.ts',
  updaterReport: 'src/updater/report.ts',
  updaterStatus: 'src/updater/status.ts',
  renderStatus: 'src/cli/render-status.ts',
  frames: 'src/drivers/frames.ts',
  serial: 'src/drivers/serial-messages.ts',
  dictionary: 'src/drivers/serial-dictionary.ts',
  journal: 'src/drivers/journal-file.ts',
  bootFile: 'src/drivers/boot-file.ts',
  bootLoader: 'src/drivers/boot-loader.ts',
  slots: 'src/drivers/slots-file.ts',
  wire: 'images/storage/wire.ts',
  limits: 'images/storage/limits.ts',
  hello: 'images/storage/hello.ts',
  objects: 'images/storage/objects.ts',
  storeRecord: 'images/storage/record.ts',
  storeState: 'images/storage/state.ts',
  builder: 'src/bundle/builder.ts',
  keys: 'src/bundle/keys.ts',
  trust: 'src/bundle/trust.ts',
  verify: 'src/bundle/verify.ts',
  source: 'src/bundle/source.ts',
};

/** The modules of the tree at `dir`. */
export async function loadTree(dir: string): Promise<Tree> {
  const loaded: Record<string, unknown> = {};
  for (const [name, path] of Object.entries(PATHS)) {
    loaded[name] = await import(pathToFileURL(join(dir, path)).href);
  }
  return loaded as unknown as Tree;
}
