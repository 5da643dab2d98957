/**
 * Scenario: the health check of the new system fails. Imports the bench.
 */
import { failsOnFirst } from '../failures.ts';

export default failsOnFirst('unhealthy', 'the health check of the new system fails');
