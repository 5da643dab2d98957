/**
 * Scenario: init of the new system starts and nothing after it; only the watchdog ends it.
 * Imports the bench.
 */
import { failsOnFirst, QUICK_WATCHDOG, WATCHDOG_FALLBACK } from '../failures.ts';

export default failsOnFirst('init-hangs', 'init of the new system starts and nothing after it', {
  settings: QUICK_WATCHDOG,
  fallback: WATCHDOG_FALLBACK,
});
