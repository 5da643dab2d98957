/**
 * A console at work before a daemon in memory: each change becomes the request that the command
 * line would send, a daemon that goes away is noticed and found again, bundles are found.
 */
import t from 'tap';
import { bundleFiles, earlierBundles } from '../../console/bundles.ts';
import type { Key } from '../../console/keys.ts';
import { Session } from '../../console/session.ts';
import type { State } from '../../console/state.ts';
import { ControlClient } from '../../src/control/client.ts';
import { UpdateError } from '../../src/core/errors.ts';
import { parseSha256 } from '../../src/core/model.ts';
import type { PairStatus } from '../../src/core/status.ts';
import { openBench, until, type Bench } from '../control/harness.ts';
import { nodeStatus, pairStatus, rolloutRecord, rolloutStatus } from '../memory/backend.ts';
import { keyOf, WORLDS } from './worlds.ts';

/** A session that is led by keys. */
class Shift implements AsyncDisposable {
  readonly bench: Bench;
  readonly session: Session;
  left = false;

  private constructor(bench: Bench, bundleRoots: readonly string[], readonly: boolean) {
    this.bench = bench;
    this.session = new Session({
      client: new ControlClient(bench.socketPath, { caller: 'tech' }),
      readonly,
      bundleRoots,
      onChange: () => {},
      onLeave: () => {
        this.left = true;
      },
      onRedraw: () => {},
    });
  }

  static async begin(world: PairStatus, roots: readonly string[] = [], readonly = false) {
    const bench = await openBench();
    bench.backend.pair = world;
    const shift = new Shift(bench, roots, readonly);
    shift.session.start();
    await shift.until((state) => state.facts.status !== null);
    return shift;
  }

  async until(wanted: (state: State) => boolean): Promise<void> {
    await until(() => wanted(this.session.state));
  }

  press(...keys: readonly (string | Key)[]): void {
    for (const key of keys) this.session.press(typeof key === 'string' ? keyOf(key) : key, 19);
  }

  /** Fills the form that is open, and sends it. */
  confirm(word: string): void {
    this.press({ paste: word }, 'enter', { paste: 'it hums' }, 'enter');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session[Symbol.asyncDispose]();
    await this.bench[Symbol.asyncDispose]();
  }
}

const paused = pairStatus({
  ...WORLDS.installing,
  rollout: rolloutStatus({ paused: { by: 'tech', at: '', restsAfter: 'STAGE' } }),
});
const stood = pairStatus({
  self: 'B',
  nodes: {
    A: nodeStatus('A'),
    B: nodeStatus('B', { standDown: true, standDownFor: 'operator' }),
  },
});
const standby = pairStatus({ self: 'B' });
const reason = 'it hums';

t.test('each change is the request of the command line', async (t) => {
  const cases: readonly (readonly [PairStatus, string, string, string, unknown])[] = [
    [WORLDS.updated, 'sb', '1.0.0', 'start', { kind: 'rollback', reason }],
    [WORLDS.updated, 'sm', '2.0.0', 'start', { kind: 'commit', reason }],
    [WORLDS.installing, 'up', 'yes', 'act', { act: 'pause', reason }],
    [paused, 'ug', 'yes', 'act', { act: 'resume', reason }],
    [WORLDS.installing, 'ux', 'cancel', 'cancel', 'r1'],
    [WORLDS.well, 'rx', 'node B', 'act', { act: 'switchover', reason }],
    [standby, 'rd', 'node B', 'act', { act: 'stand-down', on: true, reason }],
    [stood, 'rd', 'yes', 'act', { act: 'stand-down', on: false, reason }],
    [WORLDS.asking, 'tn', 'now', 'answer', { id: 's1a2b3c4d', answer: 'now', reason }],
    [WORLDS.asking, 'tx', 'cancel', 'answer', { answer: 'cancel', reason }],
    [WORLDS.asking, 't2d', '', 'answer', { id: 's2', answer: 'defer', minutes: 60, reason }],
    [WORLDS.frozen, 'rt', 'B is off', 'act', { act: 'takeover', peer: 'B', reason }],
  ];
  for (const [world, letters, word, what, value] of cases) {
    await using shift = await Shift.begin(world);
    shift.bench.backend.put({ id: 'r1' });
    shift.bench.backend.automated = world.automation ?? shift.bench.backend.automated;
    shift.press(...letters.split(''));
    await shift.until(({ dialog }) => dialog?.kind === 'form');
    shift.confirm(word);
    await shift.until(({ flash }) => flash !== null);
    const asked = shift.bench.backend.asked.filter((one) => one.what === what);
    t.match(asked, [{ what, value, by: 'tech' }], letters);
    if (what === 'cancel') t.equal(asked[0]?.reason, reason);
  }
});

t.test('what the daemon refuses is told with its next action', async (t) => {
  await using shift = await Shift.begin(WORLDS.well);
  shift.bench.backend.refusal = new UpdateError('switchover.refused', 'node B is not admitted');
  shift.press('r', 'x');
  shift.confirm('node b');
  await shift.until(({ dialog }) => dialog?.kind === 'note');
  t.match(shift.session.state.dialog, { title: 'Refused', lines: ['node B is not admitted'] });
});

t.test('a read-only console asks for nothing', async (t) => {
  await using shift = await Shift.begin(WORLDS.updated, [], true);
  shift.press('s', 'b');
  t.match(shift.session.state.flash, { text: /this console is read-only/ });
  t.equal(shift.session.state.dialog, null);
});

t.test('a daemon that restarts is found again, and no event is lost or told twice', async (t) => {
  await using shift = await Shift.begin(WORLDS.well);
  const { backend } = shift.bench;
  for (let count = 0; count < 5; count += 1) backend.emit();
  await shift.until(({ facts }) => facts.events.length === 5);
  await shift.bench.stop();
  await shift.until(({ facts }) => facts.lost !== null);
  t.equal(shift.session.state.facts.lost?.code, 'daemon.unreachable');
  backend.emit({}, true);
  await shift.bench.start();
  await shift.until(({ facts }) => facts.lost === null && facts.events.length === 6);
  const numbers = shift.session.state.facts.events.map(({ seq }) => seq);
  t.strictSame(numbers, [1, 2, 3, 4, 5, 6]);
});

t.test('bundles on media and of earlier updates', async (t) => {
  const folder = t.testdir({
    usb: { 'b.bin': '12', 'a.bin': '1', 'notes.txt': '', deep: { er: { est: { 'x.bin': '' } } } },
    state: { depot: { [`${'a'.repeat(64)}.bin`]: '1' } },
  });
  const files = await bundleFiles([`${folder}/none`, folder]);
  t.strictSame(
    files.map(({ name, note }) => [name.slice(folder.length), note]),
    [
      ['/usb/a.bin', '1 B'],
      ['/usb/b.bin', '2 B'],
    ],
  );
  const other = parseSha256('b'.repeat(64));
  const { to } = rolloutRecord();
  const earlier = earlierBundles([
    rolloutRecord(),
    rolloutRecord({ kind: 'rollback', to: { ...to, bundle: other } }),
    rolloutRecord({ id: 'r0' }),
  ]);
  t.strictSame(
    earlier.map(({ source }) => source),
    [{ bundle: 'a'.repeat(64) }],
  );
  await using shift = await Shift.begin(WORLDS.well, [folder]);
  shift.press('u');
  await shift.until(({ bundles }) => bundles !== null);
  shift.press('2', 'enter');
  await shift.until(({ checks }) => checks !== null);
  const [asked] = shift.bench.backend.asked;
  t.strictSame(asked?.value, { path: `${folder}/usb/b.bin` });
});

t.test('leaving', async (t) => {
  await using shift = await Shift.begin(WORLDS.well);
  shift.press('interrupt', 'n', 'interrupt', 'y');
  await until(() => shift.left);
  t.ok(shift.left);
});
