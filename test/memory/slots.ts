/**
 * The port Slots in memory, with the raw content of each slot, for the simulator and the tests. A
 * `SlotsDisk` outlives a power cut; what it holds is durable when a call returns. Imports core and
 * ports.
 */
import type { Slot, SlotClass, SlotSeal } from '../../src/core/model.ts';
import type { SlotInfo, Slots } from '../../src/ports.ts';

/** Seals and raw content by device path. */
export interface SlotsDisk {
  readonly sizes: Readonly<Record<SlotClass, number>>;
  readonly seals: Map<string, SlotSeal>;
  /** What the installer wrote, as the image id; absent = nothing or half an image. */
  readonly content: Map<string, string>;
}

/** An appliance's empty slots. */
export function makeSlotsDisk(sizes: Readonly<Record<SlotClass, number>>): SlotsDisk {
  return { sizes, seals: new Map(), content: new Map() };
}

const pathOf = (cls: SlotClass, slot: Slot): string => `memory:${cls}-${slot}`;

/** The slots of `disk`. */
export function memorySlots(disk: SlotsDisk): Slots {
  return {
    info(cls, slot): Promise<SlotInfo> {
      const seal = disk.seals.get(pathOf(cls, slot)) ?? null;
      return Promise.resolve({ class: cls, slot, sizeBytes: disk.sizes[cls], seal });
    },
    invalidate(cls, slot) {
      disk.seals.delete(pathOf(cls, slot));
      return Promise.resolve();
    },
    seal(cls, slot, seal) {
      disk.seals.set(pathOf(cls, slot), structuredClone(seal));
      return Promise.resolve();
    },
    device: (cls, slot) => ({ path: pathOf(cls, slot), sizeBytes: disk.sizes[cls] }),
  };
}
