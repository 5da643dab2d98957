/**
 * Scenario: both cables between the nodes are cut in the middle of an update, in a phase and at a
 * moment that the seed draws. Imports the bench.
 */
import { linkLostInUpdate } from '../power-cuts.ts';

export default linkLostInUpdate();
