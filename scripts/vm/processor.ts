/**
 * Processor time of a machine: the measure for what a boot costs on a computer that has other work
 * too. Always holds: only the machine's own process counts, over all of its threads and from its
 * start. Imports the machine's type.
 */
import { readFileSync } from 'node:fs';
import type { Machine } from './machine.ts';

/** Clock ticks of the kernel in a second: proc(5), `utime`. */
const TICKS_PER_S = 100;

/** Seconds of processor time that the machine has used in this boot; it must be on. */
export function processorSeconds(machine: Machine): number {
  const stat = readFileSync(`/proc/${String(machine.pid)}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}
