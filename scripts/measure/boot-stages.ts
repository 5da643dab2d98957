/**
 * The stages of an appliance's start, each with the words on the serial line that end it. Always
 * holds: a stage begins where the one before it ends; what the measuring shell does meanwhile is
 * little. Imports the machines.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { Machine } from '../vm/machine.ts';
import { processorSeconds } from '../vm/processor.ts';

/** What a stage took. */
export interface Stage {
  readonly processorS: number;
  readonly wallS: number;
}

interface StageEnd {
  readonly name: string;
  readonly ends: RegExp;
  /** What is typed to get there; null = it comes by itself. */
  readonly typed: string | null;
}

/** The service answers on this socket. */
const SOCKET = '/run/tandem/control.sock';
const WAIT = { timeoutMs: 600_000 };

/** All of them, from power-on to the answer. Words that are typed are in two pieces in the echo. */
export const STAGES: readonly StageEnd[] = [
  { name: 'firmware, boot loader chooses', ends: /Tandem: slot \w/, typed: null },
  {
    name: 'kernel is read and unpacked',
    ends: /Linux version/,
    typed: null,
  },
  { name: 'kernel, initramfs begins', ends: /watchdog armed/, typed: null },
  { name: 'slot, data partition, network', ends: /is up\r?\n/, typed: null },
  {
    name: 'shell of root',
    ends: /root@node-a:\S*# /,
    typed: null,
  },
  {
    name: 'service answers on its socket',
    ends: /it-is-there/,
    typed: `until [ -S ${SOCKET} ]; do usleep 100000; done; echo it-is-"there"\n`,
  },
  {
    name: '`tandem status`',
    ends: /it-was-told/,
    typed: 'tandem status >/run/status && echo it-was-"told"\n',
  },
];

/** How long a machine is left alone after its boot, so that what is written is on the disk. */
const SETTLE_MS = 3000;

/** Switches a machine with this disk on, and off again when it has answered. */
export async function bootOnce(dir: string, disk: string): Promise<readonly Stage[]> {
  const cable = { local: join(dir, 'here'), remote: join(dir, 'there') };
  await using machine = await Machine.start({
    name: 'node-a',
    dir: join(dir, 'vm'),
    disk: { path: disk, format: 'raw' },
    nics: [{ kind: 'link', name: 'pair', mac: '52:54:00:00:00:0a', ...cable }],
  });
  const stages: Stage[] = [];
  let [processorS, wallMs] = [0, performance.now()];
  for (const { ends, typed } of STAGES) {
    if (typed !== null) await machine.serial.write(typed);
    await machine.serial.waitFor(ends, WAIT);
    const now = { processorS: processorSeconds(machine), wallMs: performance.now() };
    stages.push({
      processorS: now.processorS - processorS,
      wallS: (now.wallMs - wallMs) / 1000,
    });
    [processorS, wallMs] = [now.processorS, now.wallMs];
  }
  await machine.serial.write('sync\n');
  await sleep(SETTLE_MS);
  return stages;
}
