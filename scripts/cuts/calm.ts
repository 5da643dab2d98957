/**
 * Takes the bite out of the watchdog of an emulated machine. It counts real seconds, and a computer
 * that does other work beside may need more of them for a boot than hardware ever would; a reset
 * by it would be the computer's and not the appliance's. Always holds: the guest sees its watchdog
 * as ever. Imports core and the machine.
 */
import type { NodeId } from '../../src/core/model.ts';
import type { Machine } from '../vm/machine.ts';

/** Does it once for each boot; `done` remembers for which. To be called again and again. */
export async function calmWatchdog(
  machine: Machine,
  node: NodeId,
  done: Map<NodeId, number>,
): Promise<void> {
  const { boots } = machine;
  if (machine.power === 'off' || done.get(node) === boots) return;
  try {
    await machine.qmp('watchdog-set-action', { action: 'none' });
    done.set(node, boots);
  } catch {
    // It went off in between; the next boot is another one.
  }
}
