/**
 * Scenario: the new service ends as soon as it starts. Imports the bench.
 */
import { failsOnFirst } from '../failures.ts';

export default failsOnFirst('crash', 'the new service ends as soon as it starts');
