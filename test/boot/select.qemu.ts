/**
 * The boot selection under QEMU: committed slots, trials and their tries, slots that cannot be
 * loaded, and the seals. `npm run test:boot` runs it. Imports tap and the table.
 */
import t from 'tap';
import { runCases } from './run-cases.ts';
import { COMMITTED, SEALS, TRIALS } from './select-cases.ts';

await runCases(t, [...COMMITTED, ...TRIALS, ...SEALS]);
