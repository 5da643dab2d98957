/**
 * Everything that reads what strangers write, as fuzz targets. Always holds: each name is there
 * once. Imports the targets of each kind.
 */
import type { Target } from './engine.ts';
import { BUNDLE_TARGETS } from './targets-bundle.ts';
import { STATE_TARGETS } from './targets-state.ts';
import { TRUST_TARGETS } from './targets-trust.ts';
import { WIRE_TARGETS } from './targets-wire.ts';

/** All targets, in the order in which they run. */
export const TARGETS: readonly Target[] = [
  ...BUNDLE_TARGETS,
  ...TRUST_TARGETS,
  ...STATE_TARGETS,
  ...WIRE_TARGETS,
];
