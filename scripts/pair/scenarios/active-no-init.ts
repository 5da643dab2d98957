/**
 * Scenario: the new root file system has no init. Imports the bench.
 */
import { failsOnFirst, QUICK_FALLBACK } from '../failures.ts';

export default failsOnFirst('no-init', 'the new root file system has no init', {
  fallback: QUICK_FALLBACK,
});
