/**
 * Scenario: the new kernel hangs while it unpacks itself; only the watchdog ends it.
 * Imports the bench.
 */
import { failsOnFirst, QUICK_WATCHDOG } from '../failures.ts';

export default failsOnFirst(
  'kernel-body',
  'the new kernel hangs while it unpacks itself',
  QUICK_WATCHDOG,
);
