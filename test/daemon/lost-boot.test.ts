/**
 * What a daemon does at its start with a lost boot state: made again only after a boot that the
 * seals may have decided, with the highest number of a trial, and told. May import tap, the module
 * under test and memory drivers.
 */
import t from 'tap';
import { CODES } from '../../src/core/codes.ts';
import type { BootInfo } from '../../src/core/boot.ts';
import { mendLostBoot } from '../../src/daemon/lost-boot.ts';
import type { NewEvent } from '../../src/updater/events.ts';
import { sealOf } from '../core/states.ts';
import { MemoryHost } from '../memory/host.ts';
import { makeSlotsDisk, memorySlots } from '../memory/slots.ts';

interface Given {
  readonly boot?: Partial<BootInfo>;
  /** Commits that the seals of A and B tell of; undefined = no seal. */
  readonly marks?: readonly [number | null | undefined, number | null | undefined];
  readonly lastTrialId?: number;
  readonly lost?: boolean;
}

async function mend(given: Given) {
  const asked: object[] = [];
  const events: NewEvent[] = [];
  const lines: string[] = [];
  const disk = makeSlotsDisk({ system: 1000, storage: 1000 });
  for (const [i, committed] of (given.marks ?? [0, 4]).entries()) {
    if (committed === undefined) continue;
    disk.seals.set(`memory:system-${'AB'[i]}`, { ...sealOf('system', 2), committed });
  }
  const boot: BootInfo = { bootId: 'A9', slot: 'B', reason: 'fallback', attempt: 0 };
  const alarm = await mendLostBoot({
    host: new MemoryHost({ ...boot, ...given.boot }),
    slots: memorySlots(disk),
    lastTrialId: given.lastTrialId ?? 0,
    recreate: async (remains) => {
      asked.push(remains);
      return Promise.resolve(given.lost ?? true);
    },
    events: {
      emit: (event) => {
        events.push(event);
        return { v: 1, seq: 1, ts: '', pct: null, eta_s: null, node: 'A', code: null, ...event };
      },
    },
    log: (line) => void lines.push(line),
  });
  return { alarm, asked, events, lines };
}

t.test('a lost state: made again with the highest number, told three times', async (t) => {
  const { alarm, asked, events, lines } = await mend({ lastTrialId: 5 });
  t.strictSame(asked, [{ slot: 'B', trialId: 5 }]);
  t.match(alarm, { code: 'boot.lost', message: /slot B, which was committed last/ });
  t.match(events, [{ code: 'boot.lost', msg: alarm?.message, job: null }]);
  t.strictSame(lines, [`boot.lost: ${alarm?.message}`]);
  t.ok(CODES['boot.lost'].next);
});

t.test('numbers in the seals count, too; no seal and no commit count as 0', async (t) => {
  t.strictSame((await mend({ marks: [8, 4], lastTrialId: 5 })).asked, [{ slot: 'B', trialId: 8 }]);
  t.strictSame((await mend({ marks: [null, 6] })).asked, [{ slot: 'B', trialId: 6 }]);
  const one = await mend({ boot: { slot: 'A' }, marks: [0, undefined] });
  t.strictSame(one.asked, [{ slot: 'A', trialId: 0 }]);
});

t.test('a state that can be read is no news', async (t) => {
  const { alarm, asked, events, lines } = await mend({ lost: false });
  t.equal(asked.length, 1);
  t.strictSame([alarm, events, lines], [null, [], []]);
});

t.test('after any other boot the state is left as it is', async (t) => {
  for (const reason of ['default', 'trial', 'attempts-used'] as const) {
    const { alarm, asked } = await mend({ boot: { reason } });
    t.strictSame([alarm, asked], [null, []], reason);
  }
});
