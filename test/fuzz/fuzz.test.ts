/**
 * Runs test/fuzz/short.ts in a Node that counts steps rightly (test/fuzz/meter.ts). Always holds:
 * its output and its end are this file's. Imports node: and the flags.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { COUNTING_FLAGS } from './meter.ts';

const args = [...COUNTING_FLAGS, join(import.meta.dirname, 'short.ts')];
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
process.exitCode = status ?? 1;
