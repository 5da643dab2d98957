/**
 * What the demo shows: the update that succeeds, and each failure of the table in
 * docs/ARCHITECTURE.md, as rows of one table. Always holds: a row says beforehand how its run must
 * end, so the demo judges itself. Imports core.
 */
import { EXIT } from '../../src/core/codes.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { DemoRelease } from './workshop.ts';

/** Versions of the two components that a node runs at the end. */
export interface EndVersions {
  readonly system: string;
  readonly storage: string;
}

/** One row: the bundle, and how the run must end. */
export interface Scenario {
  /** The word after `--fail`; `none` for the update that succeeds. */
  readonly name: string;
  /** What is shown, one sentence. */
  readonly title: string;
  readonly release: DemoRelease;
  /** What happens to the bundle after it was made. */
  readonly spoil: 'none' | 'damage' | 'foreign-key';
  /** Exit status of the update command, and of the demo. */
  readonly exit: number;
  /** True when nothing may be written and no node may reboot. */
  readonly refused: boolean;
  readonly ends: Readonly<Record<NodeId, EndVersions>>;
}

/** What the factory installs. */
export const FIRST: DemoRelease = {
  version: '1.0.0',
  counter: 1,
  from: '>=0.9.0 <1.0.0',
  storageRunsWith: '>=1.0.0',
};

const SECOND: DemoRelease = {
  version: '2.0.0',
  counter: 2,
  from: '>=1.0.0 <2.0.0',
  storageRunsWith: '>=1.0.0',
};

const at = (system: string, storage = system): EndVersions => ({ system, storage });
const OLD = { A: at('1.0.0'), B: at('1.0.0') };
const NEW = { A: at('2.0.0'), B: at('2.0.0') };

/** The rows, in the order in which help shows them. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'none',
    title: 'One bundle updates the pair from 1.0.0 to 2.0.0 while a client keeps using it.',
    release: SECOND,
    spoil: 'none',
    exit: EXIT.done,
    refused: false,
    ends: NEW,
  },
  {
    name: 'damaged',
    title: 'One bit of the bundle is flipped: refused, nothing is written.',
    release: SECOND,
    spoil: 'damage',
    exit: EXIT.bundleDamaged,
    refused: true,
    ends: OLD,
  },
  {
    name: 'same-version',
    title: 'The bundle holds the version that both nodes run already: refused.',
    release: { ...FIRST, from: '>=0.9.0 <2.0.0' },
    spoil: 'none',
    exit: EXIT.sameOrNewer,
    refused: true,
    ends: OLD,
  },
  {
    name: 'no-path',
    title: 'Release 3.0.0 updates from 2.x only, the pair runs 1.0.0: refused.',
    release: { version: '3.0.0', counter: 3, from: '>=2.0.0 <3.0.0', storageRunsWith: '>=2.0.0' },
    spoil: 'none',
    exit: EXIT.noPath,
    refused: true,
    ends: OLD,
  },
  {
    name: 'untrusted',
    title: 'The bundle is signed by a key that the trust root does not name: refused.',
    release: SECOND,
    spoil: 'foreign-key',
    exit: EXIT.untrusted,
    refused: true,
    ends: OLD,
  },
  {
    name: 'active',
    title: 'The new system crashes at start: the boot loader falls back, the pair stays at 1.0.0.',
    release: { ...SECOND, system: 'crash', storageRunsWith: '>=2.0.0' },
    spoil: 'none',
    exit: EXIT.activeFailed,
    refused: false,
    ends: OLD,
  },
  {
    name: 'storage',
    title: 'The new storage software is not healthy: system and storage go back to 1.0.0.',
    release: { ...SECOND, storage: 'unhealthy' },
    spoil: 'none',
    exit: EXIT.storageFailed,
    refused: false,
    ends: OLD,
  },
  {
    name: 'active-storage-kept',
    title:
      'The new system is not healthy, its storage software is: that one is kept, the manifest' +
      ' allows it under 1.0.0.',
    release: { ...SECOND, system: 'unhealthy' },
    spoil: 'none',
    exit: EXIT.activeFailed,
    refused: false,
    ends: { A: at('1.0.0', '2.0.0'), B: at('1.0.0') },
  },
  {
    name: 'standby',
    title: 'The new system fails on node B alone: B goes back by itself and is tried once more.',
    release: { ...SECOND, system: 'unhealthy-on-B', storageRunsWith: '>=2.0.0' },
    spoil: 'none',
    exit: EXIT.standbyFailed,
    refused: false,
    ends: { A: at('2.0.0'), B: at('1.0.0') },
  },
];

/** The row of a word after `--fail`, or undefined. */
export function scenarioOf(name: string): Scenario | undefined {
  return SCENARIOS.find((row) => row.name === name);
}
