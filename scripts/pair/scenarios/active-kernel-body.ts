/**
 * Scenario: the new kernel hangs while it unpacks itself. Imports the bench.
 */
import { failsOnFirst } from '../failures.ts';

export default failsOnFirst('kernel-body', 'the new kernel hangs while it unpacks itself');
