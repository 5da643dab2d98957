/**
 * Scenario: the new kernel hangs while it unpacks itself; only the watchdog ends it.
 * Imports the bench.
 */
import { failsOnFirst, QUICK_WATCHDOG, WATCHDOG_FALLBACK } from '../failures.ts';

export default failsOnFirst('kernel-body', 'the new kernel hangs while it unpacks itself', {
  settings: QUICK_WATCHDOG,
  fallback: WATCHDOG_FALLBACK,
});
