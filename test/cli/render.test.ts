/**
 * The views: widths, ASCII, hostile text, unknown facts, and the marks of every phase.
 */
import t from 'tap';
import { renderEvent, renderHistoryEntry, renderJob } from '../../src/cli/render-records.ts';
import { phaseWords, renderRollout } from '../../src/cli/render-rollout.ts';
import { renderCluster, renderSlots, renderStatus } from '../../src/cli/render-status.ts';
import { trustLines } from '../../src/cli/render-status.ts';
import type { PairStatus } from '../../src/core/status.ts';
import * as pieces from '../../src/cli/render.ts';
import { END_PHASES, PHASES, type Phase, type StepLog } from '../../src/core/records.ts';
import type { RolloutStatus } from '../../src/core/status.ts';
import { AT, FakeBackend, jobStatus, nodeStatus, pairStatus } from '../memory/backend.ts';
import { rolloutRecord, rolloutStatus } from '../memory/backend.ts';

const ASCII = { columns: 80, unicode: false };
const WIDE = { columns: 120, unicode: true };

const done = (doneBytes: number, totalBytes: number): number | null =>
  pieces.percent({ doneBytes, totalBytes });

/** The picture of a rollout without its times. */
function picture(changes: Partial<RolloutStatus>, options = ASCII): string {
  return renderRollout(pairStatus({ rollout: rolloutStatus(changes) }), options).join('\n');
}

t.test('numbers in words', async (t) => {
  t.same([7, 65, 3723, -1, 59.6].map(pieces.duration), ['0:07', '1:05', '1:02:03', '0:00', '1:00']);
  const sizes = [0, 1023, 1024, 1536, 117_440_512, 1024 ** 4 * 3];
  t.same(sizes.map(pieces.bytes), ['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '112 MiB', '3.0 TiB']);
  t.same([done(0, 0), done(999, 1000), done(1000, 1000), done(5, 3)], [null, 99, 100, 100]);
  t.equal(pieces.bar(50, 12, ASCII), '[#####-----]');
  t.equal(pieces.bar(100, 4, WIDE), '[██]');
  t.equal(pieces.progressWords({ doneBytes: 5, totalBytes: 0 }), '5 B');
  t.match(pieces.stamp(AT), /^2026-11-2[12] \d\d:\d5:48$/);
  t.equal(pieces.stamp('soon'), 'soon');
  t.same(pieces.wrap('aa bb cccccccccccc', 10), ['aa bb', 'cccccccccc', 'cc']);
  t.equal(pieces.clip('abcdef', 4), 'abc~');
});

t.test('text from outside cannot steer the terminal', async (t) => {
  const evil = 'a\x1b[2J\x9b1m\r\n\u202eb\u2028ü';
  t.equal(pieces.plain(evil, ASCII), 'a [2J 1m   b ?');
  t.equal(pieces.plain(evil, WIDE), 'a [2J 1m   b ü');
  const backend = new FakeBackend();
  const event = backend.emit({ msg: evil, pct: 3.9 });
  const status = pairStatus({
    pair: evil,
    ha: { ok: false, text: evil },
    rollout: rolloutStatus({ version: evil, result: { code: 'health.check', message: evil } }),
    alarms: [{ code: 'pair.peer_unreachable', node: 'B', message: evil }],
    reform: [{ name: 'link', state: 'failed', text: evil }],
  });
  const lines = [
    ...renderStatus(status, ASCII),
    ...renderCluster(status, ASCII),
    ...renderRollout(status, ASCII),
    ...renderJob(jobStatus({ message: evil, state: 'failed' }), ASCII),
    renderEvent(event, 'update', ASCII),
    ...renderHistoryEntry(
      rolloutRecord({ result: { code: 'health.check', message: evil } }),
      ASCII,
    ),
  ];
  for (const line of lines) t.match(line, /^[\x20-\x7e]*$/);
  t.match(lines.join('\n'), 'Update in progress (node A: ');
  t.match(lines.join('\n'), ', 3 % - ');
});

t.test('what the last column of a list has no room for stands below, whole', async (t) => {
  const id = 'a'.repeat(64);
  const rows = [
    ['JOB', 'STATE', 'MESSAGE'],
    ['update-1', 'done', 'short'],
    ['update-2', 'failed', `bundle ${id} is not there`],
  ];
  t.strictSame(pieces.listing(rows, { ...ASCII, columns: 80 }), [
    'JOB       STATE   MESSAGE',
    'update-1  done    short',
    'update-2  failed',
    `    bundle ${id} is`,
    '    not there',
  ]);
  const lines = pieces.listing([['a', id]], { ...ASCII, columns: 40 }, { head: false });
  t.equal(lines.join('').replaceAll(' ', ''), `a${id}`);
});

t.test('after an update there is a way back, after the way back there is none', async (t) => {
  const rollout = { phase: 'DONE', finalized: false } as const;
  const shown = (kind: 'update' | 'rollback'): string =>
    renderStatus(pairStatus({ rollout: rolloutStatus({ ...rollout, kind }) }), ASCII).join(' ');
  t.match(shown('update'), /old version is kept/);
  t.notMatch(shown('rollback'), /old version is kept/);
  const long = rolloutStatus({ phase: 'DRAIN1', version: '2.0.0-a-version-with-a-long-name' });
  for (const view of [renderStatus, renderRollout]) {
    const lines = view(pairStatus({ rollout: long }), { ...ASCII, columns: 60 }).join(' ');
    t.match(lines, /with-a-long-name in progress .* \d\d:\d\d:\d\d\)/, 'with its time, whole');
  }
});

t.test('every view keeps within the width', async (t) => {
  const long = 'word '.repeat(60);
  const status = pairStatus({
    ha: { ok: false, text: long },
    rollout: rolloutStatus({ result: { code: 'active.failed', message: long } }),
    alarms: [{ code: 'pair.peer_unreachable', node: null, message: long }],
    reform: [{ name: 'storage', state: 'waiting', text: long }],
  });
  for (const columns of [40, 60, 80, 132]) {
    const options = { columns, unicode: false };
    const lines = [
      ...renderStatus(status, options),
      ...renderCluster(status, options),
      ...renderRollout(status, options),
      ...renderSlots(await new FakeBackend().slots(), options),
      ...renderJob(jobStatus({ message: long }), options),
    ];
    for (const line of lines) t.ok(line.length <= columns, `${columns}: ${line}`);
  }
});

t.test('what is old or was never heard is UNKNOWN, not its last good value', async (t) => {
  const known = nodeStatus('B', { role: 'standby' });
  for (const [ageMs, words] of [
    [14_200, 'last heard 14 s ago'],
    [null, 'never heard'],
  ] as const) {
    const B = { ...known, known: false, ageMs, system: { ...known.system!, version: '9.9.9' } };
    const text = renderStatus(pairStatus({ nodes: { A: nodeStatus('A'), B } }), ASCII).join('\n');
    t.match(text, words);
    t.notMatch(text, '9.9.9');
    t.notMatch(text, 'standby');
    t.match(text, /^system +1\.0\.0 +UNKNOWN$/m);
    t.match(text, /^update +idle +UNKNOWN$/m);
  }
  const empty = nodeStatus('A', { system: null, boot: null, store: null, slots: [] });
  const text = renderStatus(pairStatus({ nodes: { A: empty, B: known } }), ASCII).join('\n');
  t.match(text, /^system +UNKNOWN +1\.0\.0$/m);
  t.match(renderSlots({ A: [], B: [] }, ASCII).join('\n'), /^A +UNKNOWN\nB +UNKNOWN$/m);
});

t.test('the trust root of the node that answers', async (t) => {
  const root = { version: 3, threshold: 2, keys: 4, revoked: 1, next: null };
  const none = { version: null, threshold: null, keys: null, revoked: null, next: null };
  const line = (trust: NonNullable<PairStatus['trust']>): string =>
    trustLines({ ...pairStatus(), trust }, ASCII)
      .join(' ')
      .replace(/ +/g, ' ')
      .trim();
  t.equal(line(root), 'Node A: trust root 3, 2 of 4 keys must sign');
  t.match(line({ ...root, next: 4 }), /; version 4 waits for `tandem commit`$/);
  t.equal(line(none), 'Node A: NO trust root: every bundle is refused');
  t.strictSame(trustLines(pairStatus(), ASCII), [], 'a daemon that does not say');
  const text = renderStatus({ ...pairStatus(), trust: root }, ASCII).join('\n');
  t.match(text, /program.*\n {2}Node A: trust root 3/);
});

t.test('both nodes in the middle of an update', async (t) => {
  const lines = picture({ phase: 'TRIAL1' }).split('\n');
  t.match(lines[0], /^Update to 2\.0\.0 in progress \(node A is on trial - \d{4}-/);
  t.equal(lines[1], '  1:12 elapsed of about 4:00, driven by node B, job r1');
  const [left, right] = [0, 41].map((from) =>
    lines.map((line) => line.slice(from, from + 39).trim()),
  );
  t.same(left!.slice(3, 14), [
    'Node A (first): active, serving, 1.0.0',
    '[x] bundle staged',
    '[x] images installed and read back',
    '[x] service handed over',
    '[x] stood down',
    '[x] restarted into the trial',
    '[>] trial healthy',
    '[ ] storage in sync',
    '[ ] committed',
    '[ ] admitted',
    '[ ] serves again and was watched',
  ]);
  t.same(right!.slice(3, 6), [
    'Node B (second): standby, 1.0.0',
    '[x] bundle staged',
    '[ ] images installed and read back',
  ]);
  t.equal(lines.at(-1), 'Next: storage of node A is synced. The job can be cancelled now.');
});

const log = (...phases: Phase[]): readonly StepLog[] =>
  phases.map((phase, index) => ({ at: `2026-11-21T11:00:0${index}.000Z`, phase, text: phase }));

t.test('the ways back show where it failed and what runs', async (t) => {
  const failed = picture({
    phase: 'FAILED',
    ended: true,
    result: { code: 'active.failed', message: 'health check x failed' },
    logs: { A: log('INSTALL1', 'DRAIN1', 'ACT1', 'TRIAL1', 'BACK1'), B: log('STAGE') },
  });
  t.match(failed, '[!] trial healthy');
  t.match(failed, '[x] restarted into the trial');
  t.match(failed, '[x] runs its old version again');
  t.match(failed, 'Ended: health check x failed (active.failed)');
  t.notMatch(failed, '[>]');
  const back2 = picture({
    phase: 'BACK2',
    logs: { A: log('HAND1'), B: log('INSTALL2', 'TRIAL2') },
  });
  t.match(back2, '[!] trial healthy');
  t.match(back2, '[>] returns to its old version');
  const again = picture({
    phase: 'INSTALL2',
    logs: { A: [], B: log('TRIAL2', 'BACK2', 'INSTALL2') },
  });
  t.notMatch(again, '[!]');
  t.match(again, /\[>\] images installed/);
  t.match(again, 'Attempt 2 on node B, after: ');
  t.notMatch(picture({ phase: 'INSTALL2' }), 'Attempt');
  const returning = picture({ phase: 'RB_ACT', logs: { A: log('HAND1'), B: log('TRIAL2') } });
  t.match(returning, /\[>\] restarted into the old version/);
  t.match(returning, '[x] stood down');
  const cancelled = picture({
    phase: 'CANCELLED',
    ended: true,
    result: { code: 'job.cancelled', message: 'cancelled' },
    logs: { A: log('INSTALL1'), B: [] },
  });
  t.match(cancelled, '[-] images installed and read back');
});

t.test('every phase has words, and an end never shows a step in work', async (t) => {
  for (const phase of PHASES) {
    const height = picture({ phase }).split('\n').length;
    t.ok(height <= 22, `${phase} fits a terminal of 24 lines with the hint: ${height}`);
    t.notMatch(phaseWords(phase, { kind: 'update', first: 'A' }), '%', phase);
    const ended = END_PHASES.has(phase);
    const text = picture({ phase, ended, logs: { A: log('INSTALL1'), B: [] } });
    if (ended) t.notMatch(text, '[>]', phase);
    const end = phase === 'DONE' || phase === 'FINALIZE';
    if (end) t.notMatch(text, /\[[ !]\]/, phase);
  }
  t.match(phaseWords('INSTALL2', { kind: 'update', first: 'A' }), 'node B is installed');
  t.match(phaseWords('INSTALL2', { kind: 'rollback', first: 'A' }), 'images of node B are checked');
  t.match(phaseWords('TRIAL1', { kind: 'update', first: 'B' }), 'node B');
  t.match(phaseWords('RB_ACT', { kind: 'update', first: 'A' }), 'node A');
  const skipped = picture({ phase: 'INSTALL2', skipped: ['A'] });
  t.match(skipped, '[x] up to date before, left alone');
  t.match(picture({ phase: 'INSTALL1', kind: 'rollback' }), '[>] old images checked');
  t.match(picture({}, WIDE), '[▸] trial healthy');
});
