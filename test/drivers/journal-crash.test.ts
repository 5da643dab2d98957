/**
 * Power cuts and disk faults of the journal on a simulated disk: at every write and sync, with
 * every subset of the unsynced sectors, again during the recovery, and with failing writes and
 * syncs. Always expected: what was acknowledged is read back, what was not is there whole or not at
 * all, and nothing that was dropped comes back. May import tap, core and the drivers under test.
 */
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import { FileJournal } from '../../src/drivers/journal-file.ts';
import type { JournalContent, JournalRecord } from '../../src/ports.ts';
import { nodeRecord, rolloutRecord } from '../contracts/journal.ts';
import { FakeDisk, KEPT, LOST, PowerCut, type Choose } from '../memory/disk.ts';

/** Small files, so that the script below needs several compactions. */
const FILE_BYTES = 5 * 1024;

/** Records of one to four sectors; the first ones start the journal. */
const SCRIPT: readonly JournalRecord[] = [
  nodeRecord(1),
  rolloutRecord(1),
  nodeRecord(2, 700),
  nodeRecord(3),
  rolloutRecord(2, 300),
  nodeRecord(4, 400),
  nodeRecord(5),
  rolloutRecord(3),
  nodeRecord(6, 900),
  nodeRecord(7),
];

const journalOn = (disk: FakeDisk): FileJournal =>
  new FileJournal([disk.file('journal.0', FILE_BYTES), disk.file('journal.1', FILE_BYTES)]);

/** Appends until it ends or the power is cut; returns how many were acknowledged. */
async function run(journal: FileJournal, records: readonly JournalRecord[]): Promise<number> {
  let acknowledged = 0;
  try {
    for (const record of records) {
      await journal.append(record);
      acknowledged += 1;
    }
  } catch (error) {
    if (!(error instanceof PowerCut)) throw error;
  }
  return acknowledged;
}

/** The state after these records, as text. */
function stateOf(records: readonly JournalRecord[]): string {
  const node = records.findLast((entry) => entry.kind === 'node')?.record ?? null;
  const rollout = records.findLast((entry) => entry.kind === 'rollout')?.record ?? null;
  return JSON.stringify({ node, rollout });
}

const foundIn = ({ node, rollout }: JournalContent): string => JSON.stringify({ node, rollout });

/** The first `count` records, or those and the next one: what may be found after a cut. */
const accepted = (count: number): readonly string[] => [
  stateOf(SCRIPT.slice(0, count)),
  stateOf(SCRIPT.slice(0, count + 1)),
];

/** Every choice for this many sectors of two versions each. */
function* subsets(sectors: number): Generator<Choose> {
  for (let mask = 0; mask < 2 ** sectors; mask += 1) {
    yield (sector, position) => ((mask >> position) & 1 ? sector.versions.length - 1 : 0);
  }
}

/** The disk after the script was cut at operation `at`; null when the script ended before. */
async function cutAt(at: number): Promise<{ disk: FakeDisk; acknowledged: number } | null> {
  const disk = new FakeDisk({ seed: at });
  disk.cutAt(at);
  const acknowledged = await run(journalOn(disk), SCRIPT);
  return disk.off ? { disk, acknowledged } : null;
}

t.test('a cut at every operation, every subset of unsynced sectors', async (t) => {
  let runs = 0;
  let torn = 0;
  let surfaced = 0;
  let at = 1;
  for (; ; at += 1) {
    const cut = await cutAt(at);
    if (cut === null) break;
    const { acknowledged } = cut;
    const where = cut.disk.trace.at(-1)!;
    for (const choose of subsets(cut.disk.pending().length)) {
      const disk = cut.disk.clone();
      disk.powerOn(choose);
      const journal = journalOn(disk);
      const content = await journal.read();
      const found = foundIn(content);
      runs += 1;
      if (content.torn) torn += 1;
      if (found === accepted(acknowledged)[1]) surfaced += 1;
      if (!accepted(acknowledged).includes(found)) t.fail(`${where}: ${found}`);
      await journal.append(nodeRecord(99, 600));
      t.equal((await journalOn(disk).read()).node?.lastTrialId, 99, where);
    }
  }
  t.ok(at > 2 * SCRIPT.length + 6, `${at - 1} operations, so there were compactions`);
  t.ok(runs > 100, `${runs} runs`);
  t.ok(torn > 10 && surfaced > 10, `${torn} torn tails, ${surfaced} records surfaced`);
});

t.test('a second cut during the recovery or the next append', async (t) => {
  const choices = [LOST, KEPT, 11, 12, 13, 14] as const;
  let runs = 0;
  for (let at = 1; ; at += 1) {
    const cut = await cutAt(at);
    if (cut === null) break;
    for (const first of choices) {
      const once = cut.disk.clone();
      once.powerOn(first);
      const found = foundIn(await journalOn(once.clone()).read());
      for (let again = 1; ; again += 1) {
        let ended = false;
        for (const second of choices) {
          const disk = once.clone();
          disk.cutAt(again);
          const next = nodeRecord(50, 1000);
          ended = (await run(journalOn(disk), [next])) === 1;
          disk.powerOff();
          disk.powerOn(second);
          const content = await journalOn(disk).read();
          const after = JSON.stringify({ ...JSON.parse(found), node: next.record });
          const good = ended ? [after] : [found, after];
          runs += 1;
          if (!good.includes(foundIn(content))) {
            t.fail(`cut at ${at}, then at ${again}`, { trace: disk.trace, found: content.node });
          }
        }
        if (ended) break;
      }
    }
  }
  t.ok(runs > 1000, `${runs} runs`);
});

t.test('a torn record is not completed by a later torn write of the same content', async (t) => {
  const disk = new FakeDisk();
  const first = journalOn(disk);
  await first.append(nodeRecord(1));
  disk.cutAt(1);
  await t.rejects(first.append(nodeRecord(2, 900)), PowerCut);
  // All of record 2 arrived but its second sector, which is all padding.
  disk.powerOn((_, position) => (position === 1 ? 0 : 1));
  const second = journalOn(disk);
  t.match(await second.read(), { torn: true, node: { lastTrialId: 1 } });
  disk.cutAt(1);
  await t.rejects(second.append(nodeRecord(3, 900)), PowerCut);
  // Of record 3 just the second sector arrived, which is the same.
  disk.powerOn((_, position) => (position === 1 ? 1 : 0));
  t.match(await journalOn(disk).read(), { torn: false, node: { lastTrialId: 1 } });
});

t.test('a killed program: what is read is durable before anyone acts on it', async (t) => {
  for (let at = 1; ; at += 1) {
    const cut = await cutAt(at);
    if (cut === null) break;
    // The kernel lives on and holds everything that was written.
    cut.disk.powerOn(KEPT);
    const disk = new FakeDisk({ seed: at });
    const journal = journalOn(disk);
    await run(journal, SCRIPT.slice(0, cut.acknowledged));
    const interrupted = SCRIPT[cut.acknowledged]!;
    // Written and not synced: the sync fails, and the program is restarted.
    disk.failAt(2);
    await t.rejects(journal.append(interrupted), { code: 'state.io' });
    const seen = foundIn(await journalOn(disk).read());
    disk.powerOff();
    disk.powerOn(LOST);
    t.equal(foundIn(await journalOn(disk).read()), seen, `cut at ${at}`);
  }
});

t.test('a failing write or sync at every operation: state.io, and nothing is lost', async (t) => {
  let failures = 0;
  for (let at = 1; at <= 30; at += 1) {
    for (const seed of [1, 2, 3]) {
      const disk = new FakeDisk({ seed: at * 10 + seed });
      const journal = journalOn(disk);
      disk.failAt(at);
      const good: JournalRecord[] = [];
      let failed: JournalRecord | null = null;
      for (const record of SCRIPT) {
        try {
          await journal.append(record);
          good.push(record);
        } catch (error) {
          if (!(error instanceof UpdateError) || error.code !== 'state.io') throw error;
          failures += 1;
          failed = record;
          // Whether it is there is decided by the next look, once and for all.
          const found = foundIn(await journal.read());
          const there = found === stateOf([...good, record]);
          if (!there && found !== stateOf(good)) t.fail(`failed at ${at}`, { found });
          if (there) good.push(record);
        }
      }
      disk.powerOff();
      disk.powerOn(LOST);
      t.equal(foundIn(await journalOn(disk).read()), stateOf(good), `${failed?.kind} at ${at}`);
    }
  }
  t.ok(failures > 60, `${failures} failures`);
});
