/**
 * Scenario: init of the new system starts and nothing after it. Imports the bench.
 */
import { failsOnFirst } from '../failures.ts';

export default failsOnFirst('init-hangs', 'init of the new system starts and nothing after it');
