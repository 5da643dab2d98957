/**
 * Finds in a timeline the writes that decide what boots, and from them the stretches of an update:
 * writing slots, arming, the boot of the trial, commit. Always holds: a write is recognised by its
 * place on the disk and its content, by the product's own decoders. Imports core, drivers, the
 * layout's names, timeline and view.
 */
import type { BootState } from '../../src/core/boot.ts';
import { SLOT_CLASSES } from '../../src/core/model.ts';
import {
  decodeGrubCounter,
  decodeGrubState,
  GRUB_SECTOR_BYTES,
} from '../../src/drivers/boot-grub-env.ts';
import { SEAL_BLOCK_BYTES } from '../../src/drivers/seal-block.ts';
import { slotPartitionName } from '../appliance/layout.ts';
import type { GptPartition } from './gpt.ts';
import type { TimelineEntry } from './timeline.ts';
import type { DiskView } from './view.ts';

/** The stretches of an update that are cut. */
export const CUT_KINDS = ['slot', 'arming', 'boot', 'commit'] as const;
/** Name of a stretch. */
export type CutKind = (typeof CUT_KINDS)[number];

/** A write that decides something. */
export interface Mark {
  readonly entry: number;
  readonly what: 'state' | 'seal' | 'counter';
  /** The boot state that was written; null = another write. */
  readonly state: BootState | null;
}

/** Entries from `from` up to `to`, the last one not included. */
export interface Stretch {
  readonly kind: CutKind;
  readonly from: number;
  readonly to: number;
}

/** Entries before and behind a decisive write that still belong to it. */
const AROUND = 60;

/** Reads data of an entry of the timeline. */
export type ReadEntry = (entry: TimelineEntry, sizeBytes: number) => Uint8Array;

/** Reads from the logs of the boots, in their order. */
export function entryReader(logs: readonly DiskView[]): ReadEntry {
  return (entry, sizeBytes) => {
    const log = logs[entry.boot];
    if (log === undefined) throw new RangeError(`no log of boot ${entry.boot}`);
    return log.read(entry.dataOffset, Math.min(sizeBytes, entry.sizeBytes));
  };
}

/** The decisive writes in their order. */
export function findMarks(
  entries: readonly TimelineEntry[],
  partitions: readonly GptPartition[],
  read: ReadEntry,
): readonly Mark[] {
  const seals = SLOT_CLASSES.flatMap((cls) => [
    slotPartitionName(cls, 'A'),
    slotPartitionName(cls, 'B'),
  ]);
  return entries.flatMap((entry, index): readonly Mark[] => {
    if (entry.kind !== 'write') return [];
    const { offsetBytes, sizeBytes } = entry;
    const place = partitions.find(
      ({ startBytes, sizeBytes: all }) =>
        offsetBytes >= startBytes && offsetBytes < startBytes + all,
    );
    if (place === undefined) return [];
    if (place.name === 'tandem-state') {
      const state = decodeGrubState(read(entry, GRUB_SECTOR_BYTES));
      return [{ entry: index, what: 'state', state }];
    }
    const end = place.startBytes + place.sizeBytes;
    if (seals.some((name) => name === place.name)) {
      const isSeal = offsetBytes + sizeBytes > end - SEAL_BLOCK_BYTES;
      return isSeal ? [{ entry: index, what: 'seal', state: null }] : [];
    }
    const isCounter =
      place.name === 'tandem-boot' && decodeGrubCounter(read(entry, GRUB_SECTOR_BYTES)) !== null;
    return isCounter ? [{ entry: index, what: 'counter', state: null }] : [];
  });
}

/**
 * The stretches of every update in a timeline: from the first change of a slot to the arming, from
 * there to the end of that boot, the boots until the verdict, and what is around the verdict.
 */
export function findStretches(
  entries: readonly TimelineEntry[],
  marks: readonly Mark[],
): readonly Stretch[] {
  const found: Stretch[] = [];
  const clip = (index: number): number => Math.min(Math.max(index, 0), entries.length);
  let slotFrom: number | null = null;
  let trial: { readonly bootFrom: number } | null = null;
  for (const { entry, what, state } of marks) {
    if (what === 'seal' && trial === null) slotFrom ??= entry;
    if (what !== 'state' || state === null) continue;
    const boot = entries[entry]?.boot ?? 0;
    if (state.trial !== null && trial === null) {
      const next = entries.findIndex((one) => one.boot > boot);
      const bootFrom = next < 0 ? entries.length : next;
      if (slotFrom !== null) found.push({ kind: 'slot', from: clip(slotFrom - 5), to: entry });
      found.push({ kind: 'arming', from: clip(entry - AROUND), to: bootFrom });
      trial = { bootFrom };
    } else if (state.trial === null && trial !== null) {
      found.push({ kind: 'boot', from: trial.bootFrom, to: entry });
      found.push({ kind: 'commit', from: clip(entry - AROUND), to: clip(entry + AROUND * 2) });
      trial = null;
      slotFrom = null;
    }
  }
  return found;
}
