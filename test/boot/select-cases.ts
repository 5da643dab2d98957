/**
 * The table of power-ons: what lies on the disk, and what must boot, in words. Each row is carried
 * out by GRUB under QEMU and by the pure rules of core (run-cases.ts). Imports the disk under
 * test and the formats.
 */
import type { BootState } from '../../src/core/boot.ts';
import type { Slot } from '../../src/core/model.ts';
import { encodeGrubState, encodeSealMark } from '../../src/drivers/boot-grub-env.ts';
import type { BootDisk, SlotContent } from './boot-disk.ts';

/** One row. */
export interface SelectCase {
  readonly name: string;
  /** Default: both good. */
  readonly slots?: Readonly<Partial<Record<Slot, SlotContent>>>;
  readonly prepare: (disk: BootDisk) => Promise<void>;
  /** The FAT is damaged around the counter's file. */
  readonly counterLost?: boolean;
  /** The disk takes no write. */
  readonly readOnly?: boolean;
  /** What each power-on boots: slot, reason, attempt; `reset` = nothing. */
  readonly boots: readonly string[];
}

/** Both copies, the second one newer, as two writes of the driver leave them. */
export const A: BootState = {
  seq: 4,
  default: 'A',
  trial: null,
  trialId: 6,
  tries: 2,
  otherOk: false,
};
export const B: BootState = { ...A, default: 'B' };
export const ARMED: BootState = { ...A, seq: 5, trial: 'B', trialId: 7 };
const FIRST = 0;
const SECOND = 4096;

const bytes = (copy: BootState | Uint8Array): Uint8Array =>
  copy instanceof Uint8Array ? copy : encodeGrubState(copy);

/** Writes copies of the state; bytes are taken as they are. */
export async function setState(
  disk: BootDisk,
  first: BootState | Uint8Array,
  second: BootState | Uint8Array,
): Promise<void> {
  await disk.write('tandem-state', FIRST, bytes(first));
  await disk.write('tandem-state', SECOND, bytes(second));
}

const zeros = (length: number): Uint8Array => new Uint8Array(length);
const LOST = zeros(1024);

/** A block of GRUB with this text and nothing else. */
export function grubBlock(text: string, sizeBytes = 1024): Uint8Array {
  return new TextEncoder().encode(`# GRUB Environment Block\n${text}`.padEnd(sizeBytes, '#'));
}

const state = (first: BootState | Uint8Array, second: BootState | Uint8Array) => {
  return (disk: BootDisk): Promise<void> => setState(disk, first, second);
};

const armed = (more: (disk: BootDisk) => Promise<void> = () => Promise.resolve()) => {
  return async (disk: BootDisk): Promise<void> => {
    await setState(disk, ARMED, A);
    await disk.setCounter({ trialId: 6, used: 2 });
    await more(disk);
  };
};

const BOTH = { ...A, otherOk: true };
const ARMED_BOTH = { ...ARMED, otherOk: true };

/** No trial is armed. */
export const COMMITTED: readonly SelectCase[] = [
  { name: 'slot A committed', prepare: state(A, A), boots: Array(3).fill('A default 0') },
  {
    name: 'slot B committed',
    prepare: state(B, { ...B, seq: 5 }),
    boots: Array(3).fill('B default 0'),
  },
  {
    name: 'committed, and the counter is junk',
    prepare: async (disk) => {
      await setState(disk, A, B);
      await disk.setCounterSector(new Uint8Array(512).fill(0x5a));
    },
    boots: ['A default 0'],
  },
  {
    name: 'committed, on a disk that takes no write',
    prepare: state(B, B),
    readOnly: true,
    boots: ['B default 0'],
  },
  {
    name: 'committed slot cannot be loaded, the other one is not allowed',
    prepare: state(A, A),
    slots: { A: 'no-kernel' },
    boots: ['reset'],
  },
  {
    name: 'committed slot cannot be loaded, the other one is allowed',
    prepare: state(BOTH, BOTH),
    slots: { A: 'no-kernel' },
    boots: ['B fallback 0', 'B fallback 0'],
  },
  {
    name: 'committed slot B without a file system, the other one is allowed',
    prepare: state({ ...BOTH, default: 'B' }, LOST),
    slots: { B: 'no-file-system' },
    boots: ['A fallback 0'],
  },
  {
    name: 'no slot can be loaded',
    prepare: state(BOTH, BOTH),
    slots: { A: 'bad-header', B: 'no-kernel' },
    boots: ['reset'],
  },
];

/** A trial is armed. */
export const TRIALS: readonly SelectCase[] = [
  {
    name: 'a trial with two tries',
    prepare: armed(),
    boots: ['B trial 1', 'B trial 2', 'A attempts-used 0', 'A attempts-used 0'],
  },
  {
    name: 'a trial of slot A with nine tries',
    prepare: state({ ...ARMED, default: 'B', trial: 'A', tries: 9 }, B),
    boots: [
      ...Array.from({ length: 9 }, (_, i) => `A trial ${String(i + 1)}`),
      'B attempts-used 0',
    ],
  },
  {
    name: 'a counter of this trial goes on',
    prepare: armed((disk) => disk.setCounter({ trialId: 7, used: 1 })),
    boots: ['B trial 2', 'A attempts-used 0'],
  },
  {
    name: 'a stale counter of a later number means nothing',
    prepare: armed((disk) => disk.setCounter({ trialId: 70, used: 9 })),
    boots: ['B trial 1'],
  },
  {
    name: 'the highest numbers',
    prepare: state(
      { ...ARMED, seq: 999_999_999, trialId: 999_999_999 },
      { ...B, seq: 999_999_998 },
    ),
    boots: ['B trial 1', 'B trial 2', 'A attempts-used 0'],
  },
  {
    name: 'a trial with no tries',
    prepare: state({ ...ARMED, tries: 0 }, A),
    boots: ['A attempts-used 0'],
  },
  {
    name: 'a trial on a disk that takes no write',
    prepare: armed(),
    readOnly: true,
    boots: ['A fallback 0', 'A fallback 0'],
  },
  ...(['no-kernel', 'no-initrd', 'bad-header', 'short-kernel', 'no-file-system'] as const).map(
    (content): SelectCase => ({
      name: `a trial that cannot be loaded (${content}) spends its tries`,
      prepare: armed(),
      slots: { B: content },
      boots: ['A fallback 0', 'A attempts-used 0'],
    }),
  ),
  {
    name: 'neither trial nor default can be loaded',
    prepare: state(ARMED_BOTH, A),
    slots: { A: 'no-kernel', B: 'no-kernel' },
    boots: ['reset'],
  },
  {
    name: 'a trial that cannot be loaded never comes back by the way to the other slot',
    prepare: state(ARMED_BOTH, A),
    slots: { A: 'no-kernel', B: 'no-initrd' },
    boots: ['reset'],
  },
  {
    name: 'tries used up, the default slot cannot be loaded, the other one is allowed',
    prepare: async (disk) => {
      await setState(disk, ARMED_BOTH, A);
      await disk.setCounter({ trialId: 7, used: 2 });
    },
    slots: { A: 'no-kernel' },
    boots: ['B fallback 0'],
  },
  {
    name: 'the counter is lost, the default slot cannot be loaded, the other one is allowed',
    prepare: async (disk) => {
      await setState(disk, ARMED_BOTH, A);
      await disk.setCounterSector(zeros(512));
    },
    slots: { A: 'no-kernel' },
    boots: ['B fallback 0'],
  },
];

const goodCounter = 'tid=7\nn=1\nok=7.1\n';
/** A trial is armed, and its counter is damaged or odd. */
export const COUNTERS: readonly SelectCase[] = [
  ...(
    [
      ['zeros', zeros(512), 'A fallback 0'],
      ['rot', new Uint8Array(512).fill(0xff), 'A fallback 0'],
      ['as it should be', grubBlock(goodCounter, 512), 'B trial 2'],
      ['one digit changed', grubBlock('tid=7\nn=0\nok=7.1\n', 512), 'A fallback 0'],
      ['torn', grubBlock('tid=7\nn=1\nok=7', 512), 'A fallback 0'],
      ['a letter', grubBlock('tid=7\nn=x\nok=7.x\n', 512), 'A fallback 0'],
      ['two digits', grubBlock('tid=7\nn=10\nok=7.10\n', 512), 'A fallback 0'],
      ['an empty number', grubBlock('tid=7\nn=\nok=7.\n', 512), 'A fallback 0'],
      ['a pattern', grubBlock('tid=*\nn=1\nok=*.1\n', 512), 'A fallback 0'],
      ['junk behind it', grubBlock(`${goodCounter}n=0\n`, 512), 'A fallback 0'],
      ['junk before it', grubBlock(`n=0\n${goodCounter}`, 512), 'A fallback 0'],
      ['another signature', Buffer.from(goodCounter.padEnd(512, '#')), 'A fallback 0'],
    ] as const
  ).map(([name, sector, boots]): SelectCase => ({
    name: `a counter: ${name}`,
    prepare: armed((disk) => disk.setCounterSector(sector)),
    boots: [boots],
  })),
  ...(
    [
      ['the FAT without its first sector', 0, 512],
      ['the FAT without its directory', 'directory', 32 * 512],
      ['the whole FAT zeroed', 0, 4 * 1024 * 1024],
    ] as const
  ).map(([name, from, length]): SelectCase => ({
    name,
    prepare: armed(async (disk) => {
      const at = from === 'directory' ? await disk.directoryOffset() : from;
      await disk.write('tandem-boot', at, zeros(length));
    }),
    counterLost: true,
    boots: ['A fallback 0', 'A fallback 0'],
  })),
];

/** Which of the two copies counts. */
export const COPIES: readonly SelectCase[] = [
  {
    name: 'the first copy is newer',
    prepare: state({ ...A, seq: 10 }, { ...B, seq: 9 }),
    boots: ['A default 0'],
  },
  {
    name: 'the second copy is newer',
    prepare: state({ ...A, seq: 9 }, { ...B, seq: 10 }),
    boots: ['B default 0'],
  },
  { name: 'two copies with one number', prepare: state(A, B), boots: ['A default 0'] },
  { name: 'the first copy is lost', prepare: state(LOST, B), boots: ['B default 0'] },
  { name: 'the second copy is lost', prepare: state(B, LOST), boots: ['B default 0'] },
];

const fields = 'seq=9\nact=A\ntrial=none\nid=1\nmax=0\nother_ok=0\n';
/** First copies that count (slot A) or do not (slot B, the second copy). */
export const JUNK: readonly SelectCase[] = (
  [
    ['as it should be', `${fields}end=9.A.none.1.0.0\n`, 'A'],
    ['escaped', `${fields}end=9.\\A.none.1.0.0\n`, 'A'],
    ['junk before it', `act=B\nx\n=1\n${fields}end=9.A.none.1.0.0\n`, 'A'],
    ['a comment between', `# act=B\n${fields}#\nend=9.A.none.1.0.0\n`, 'A'],
    ['a zero byte behind a value', `${fields}end=9.A.none.1.0.0\0x\n`, 'A'],
    ['a name over two lines', `${fields}junk\nend=9.A.none.1.0.0\n`, 'B'],
    ['a second value of a field', `${fields}end=9.A.none.1.0.0\nact=B\n`, 'B'],
    ['no end of line', `${fields}end=9.A.none.1.0.0`, 'B'],
    ['no end', fields, 'B'],
    ['another end', `${fields}end=9.A.none.1.0.1\n`, 'B'],
    ['number 0', fields.replace('9', '0').concat('end=0.A.none.1.0.0\n'), 'B'],
    ['a leading zero', fields.replace('9', '09').concat('end=09.A.none.1.0.0\n'), 'B'],
    [
      'a number too long',
      fields.replace('9', '9'.repeat(10)).concat(`end=${'9'.repeat(10)}.A.none.1.0.0\n`),
      'B',
    ],
    ['a slot C', fields.replace('A', 'C').concat('end=9.C.none.1.0.0\n'), 'B'],
    ['a trial of the default slot', fields.replace('none', 'A').concat('end=9.A.A.1.0.0\n'), 'B'],
    ['an empty slot', fields.replace('A', '').concat('end=9..none.1.0.0\n'), 'B'],
  ] as const
).map(([name, text, slot]) => ({
  name: `a copy of the state: ${name}`,
  prepare: state(grubBlock(text), { ...B, seq: 3 }),
  boots: [`${slot} default 0`],
}));

const lost = (A: number | null, B: number | null) => {
  return async (disk: BootDisk): Promise<void> => {
    await setState(disk, LOST, LOST);
    await disk.setMarks({ A, B });
  };
};

/** No copy of the state is left. */
export const SEALS: readonly SelectCase[] = [
  {
    name: 'both copies lost, only A was committed',
    prepare: lost(0, null),
    boots: ['A fallback 0'],
  },
  {
    name: 'both copies lost, only B was committed',
    prepare: lost(null, 0),
    boots: ['B fallback 0'],
  },
  { name: 'both copies lost, A was committed last', prepare: lost(12, 9), boots: ['A fallback 0'] },
  { name: 'both copies lost, B was committed last', prepare: lost(9, 12), boots: ['B fallback 0'] },
  { name: 'both copies lost, two equal marks', prepare: lost(4, 4), boots: ['A fallback 0'] },
  { name: 'both copies lost, nothing was committed', prepare: lost(null, null), boots: ['reset'] },
  {
    name: 'both copies lost, the committed slot cannot be loaded',
    prepare: lost(3, 5),
    slots: { B: 'no-kernel' },
    boots: ['reset'],
  },
  {
    name: 'both copies lost, a mark is torn',
    prepare: async (disk) => {
      await lost(3, 5)(disk);
      const torn = encodeSealMark(57).slice();
      torn.set(encodeSealMark(58).subarray(0, 40));
      await disk.setMark('B', torn);
    },
    boots: ['A fallback 0'],
  },
  {
    name: 'both copies lost, the FAT too',
    prepare: async (disk) => {
      await lost(3, 5)(disk);
      await disk.write('tandem-boot', 0, zeros(4 * 1024 * 1024));
    },
    counterLost: true,
    boots: ['B fallback 0'],
  },
];

/** Bytes of a write at which the power is cut: around each field's end, and between. */
const CUTS = [0, 25, 29, 30, 31, 37, 38, 44, 45, 48, 54, 61, 67, 73, 80, 86, 87, 512];
/** A write of the state that a power cut tore. */
export const TORN: readonly SelectCase[] = CUTS.map((cut) => {
  const before: BootState = { ...B, seq: 9, trialId: 9 };
  const now: BootState = { ...B, seq: 10, trialId: 10 };
  const next: BootState = { ...ARMED, seq: 11, trialId: 11, default: 'A', trial: 'B' };
  const torn = encodeGrubState(before).slice();
  torn.set(encodeGrubState(next).subarray(0, cut));
  const whole = cut >= 87;
  return {
    name: `power cut at byte ${String(cut)} of a write`,
    prepare: async (disk) => {
      await setState(disk, torn, now);
      await disk.setCounter({ trialId: 10, used: 1 });
    },
    boots: [whole ? 'B trial 1' : 'B default 0'],
  };
});
