/**
 * Asks the emulated network card itself whether it has a carrier, for tests with a guest that has
 * no network. Imports the harness.
 */
import type { Machine } from '../../scripts/vm/machine.ts';

/**
 * The carrier of the first network card as the guest would read it: bit 0 of the status in the
 * device's configuration (Virtio 1.1, 5.1.4), behind 20 bytes of legacy header and 6 of MAC.
 */
export async function carrier(machine: Machine): Promise<number> {
  const ask = (line: string): Promise<unknown> =>
    machine.qmp('human-monitor-command', { 'command-line': line });
  const devices = String(await ask('info pci'));
  const base = /Ethernet controller.*?BAR0: I\/O at (0x[0-9a-f]+)/s.exec(devices)?.[1];
  const found = String(await ask(`i /b ${Number(base) + 26}`));
  return Number(/= (0x[0-9a-f]+)/.exec(found)?.[1]) & 1;
}
