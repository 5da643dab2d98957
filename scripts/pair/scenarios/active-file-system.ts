/**
 * Scenario: the boot loader finds no file system in the new slot. Imports the bench.
 */
import { failsOnFirst, QUICK_FALLBACK } from '../failures.ts';

export default failsOnFirst('file-system', 'the boot loader finds no file system in the new slot', {
  fallback: QUICK_FALLBACK,
});
