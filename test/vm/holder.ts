/**
 * A harness in a process of its own, to be killed: starts the machine that the file in its argument
 * describes, prints the process id of the emulator, and holds the machine until it ends. Imports
 * the harness and node.
 */
import { readFile } from 'node:fs/promises';
import { setInterval } from 'node:timers/promises';
import { Machine, type MachineSpec } from '../../scripts/vm/machine.ts';

const spec = JSON.parse(await readFile(process.argv[2] ?? '', 'utf8')) as MachineSpec;
await using machine = await Machine.start(spec);
process.stdout.write(`${machine.pid}\n`);
for await (const _ of setInterval(60_000)) if (machine.power === 'off') break;
