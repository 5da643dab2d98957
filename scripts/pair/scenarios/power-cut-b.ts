/**
 * Scenario: the power of node B is cut in the middle of an update, in a phase and at a moment
 * that the seed draws. Imports the bench.
 */
import { cutInUpdate } from '../power-cuts.ts';

export default cutInUpdate('B');
