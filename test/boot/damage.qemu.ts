/**
 * The boot selection under QEMU, with damage: the counter, the FAT, both copies of the state, junk
 * in them, and a write of the state that is torn. `npm run test:boot` runs it. Imports tap and the
 * table.
 */
import t from 'tap';
import { runCases } from './run-cases.ts';
import { COPIES, COUNTERS, JUNK, TORN } from './select-cases.ts';

await runCases(t, [...COPIES, ...COUNTERS, ...JUNK, ...TORN]);
