/**
 * Scenario: the boot loader refuses the new kernel. Imports the bench.
 */
import { failsOnFirst } from '../failures.ts';

export default failsOnFirst('kernel-header', 'the boot loader refuses the new kernel');
