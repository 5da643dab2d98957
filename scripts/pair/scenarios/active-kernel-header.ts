/**
 * Scenario: the boot loader refuses the new kernel. Imports the bench.
 */
import { failsOnFirst, QUICK_FALLBACK } from '../failures.ts';

export default failsOnFirst('kernel-header', 'the boot loader refuses the new kernel', {
  fallback: QUICK_FALLBACK,
});
