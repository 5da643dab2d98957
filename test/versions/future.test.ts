/**
 * What a release after this one may do without harm: add fields anywhere in what a pair shares, add
 * kinds of messages and requests, and codes. And what it may not do unasked, with the refusal that
 * follows. The recording of the pinned release is the base, so nothing depends on what this tree
 * writes. Rules: docs/ARCHITECTURE.md, "Two versions side by side".
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { PROJECT_DIR } from '../../scripts/build.ts';
import { EXIT } from '../../src/core/codes.ts';
import { adviceOf } from '../../src/core/errors.ts';
import { RECORD_SCHEMA, type RolloutRecord } from '../../src/core/records.ts';
import { readPairMessage, readReportHead } from '../../src/core/report.ts';
import { renderHistoryEntry } from '../../src/cli/render-records.ts';
import { openBoot, createBoot } from '../../src/drivers/boot-file.ts';
import { bootStatePath, decodeJson, encodeJson } from '../../src/drivers/boot-loader.ts';
import { openJournal } from '../../src/drivers/journal-file.ts';
import { TwoCopy, readCopies } from '../../src/drivers/two-copy.ts';
import { openDiskFile } from '../../src/drivers/disk-file.ts';
import { StateFile } from '../../images/storage/state.ts';
import { grown, keepGrown, readGrown } from './readers.ts';
import { RECORDED, type Recorded } from './record.ts';
import { loadTree } from './tree.ts';

const { artifacts } = JSON.parse(await readFile(RECORDED, 'utf8')) as Recorded;
const tree = await loadTree(PROJECT_DIR);

t.test('fields that a later release adds are no hindrance anywhere', async (t) => {
  readGrown(t, tree, artifacts);
  await keepGrown(t, tree, artifacts, t.testdir());
});

t.test('the machine carries unknown fields of both records on', async (t) => {
  const { nodeState } = tree.states;
  const clock = { ms: 11_000, at: '2026-01-01T00:00:11.000Z' };
  const rollout = { ...(grown(artifacts.journal.rollout) as RolloutRecord), phase: 'INSTALL1' };
  const s = nodeState('A', { rollout: rollout as RolloutRecord });
  const record = grown(s.record) as typeof s.record;
  const stood = tree.machine.step(
    { ...s, record },
    { type: 'cancel', by: 'x', reason: 'y' },
    clock,
  );
  t.match(stood?.rollout, { later: { since: 9 }, abort: { by: 'x' } });
  const b = nodeState('B', { rollout: null });
  const down = tree.machine.step(
    { ...b, record: grown(b.record) as typeof b.record },
    { type: 'stand-down', on: true },
    clock,
  );
  t.match(down?.record, { later: { since: 9 }, role: { later: { since: 9 } } });
});

t.test('boot state and store keep unknown fields when they change', async (t) => {
  const dir = t.testdir();
  await createBoot(dir, { default: 'A' });
  {
    const file = await openDiskFile(bootStatePath(dir), { maxBytes: 8192 });
    await using copies = new TwoCopy(file, 'boot.io');
    await copies.update(({ value }) => encodeJson({ ...decodeJson(value!.bytes), later: 9 }));
  }
  await using chooser = await openBoot(dir);
  await chooser.arm({ id: 1, slot: 'B', tries: 2 });
  const { value } = readCopies(await readFile(bootStatePath(dir)));
  t.match(decodeJson(value!.bytes), { trial: 'B', later: 9 });

  const store = t.testdir({ store: {} });
  const owner = { node: 'A', pair: 'p' } as const;
  const folder = join(store, 'store');
  const opened = await StateFile.open(folder, owner, async () => true);
  await opened.change({ later: 9 } as object);
  await opened[Symbol.asyncDispose]();
  await using again = await StateFile.open(folder, owner, async () => false);
  await again.change({ epoch: 4 });
  t.match(again.now, { epoch: 4, later: 9 });
});

t.test('words that only a later release knows', async (t) => {
  t.equal(readPairMessage({ type: 'later', id: '1' }), null, 'a kind of message is ignored');
  const advice = adviceOf('later.code');
  t.equal(advice.exit, EXIT.internal);
  t.match(advice.next, /newer program/);
  const { rollout } = artifacts.journal;
  const result = { code: 'later.code', message: 'what a later release found' };
  const shown = renderHistoryEntry({ ...rollout, result } as unknown as RolloutRecord, {
    columns: 80,
    unicode: false,
  });
  t.match(shown.join('\n'), /what a later release found \(later\.code\)/);
});

t.test('a higher schema is left alone, and another protocol is named', async (t) => {
  const { rollout } = artifacts.journal;
  const newer = { ...rollout, schema: RECORD_SCHEMA + 1 };
  t.equal(readPairMessage({ type: 'rollout', record: newer }), null);
  await using journal = await openJournal(t.testdir(), { fileBytes: 32 * 1024 });
  await journal.append({ kind: 'rollout', record: newer });
  await t.rejects(journal.read(), { code: 'state.newer_schema' });
  const report = { node: 'B', pair: 'pair-1', program: '9.0.0', protocol: [8, 9] };
  t.equal(readPairMessage({ type: 'report', report }), null, 'the rest of it may be anything');
  t.strictSame(readReportHead({ type: 'report', report }), report, 'but its head is read');
  for (const wrong of [null, 1, {}, { type: 'report' }, { type: 'rollout', report }]) {
    t.equal(readReportHead(wrong), null);
  }
  t.equal(readReportHead({ type: 'report', report: { ...report, protocol: [9, 8] } }), null);
});
