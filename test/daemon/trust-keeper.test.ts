/**
 * The trust root of a node over the life of an update that brings a new one: put aside when the
 * node runs it, kept when it is permanent, never after a way back; after a power cut at any write
 * the old root or the new one; a node that lost its root takes nothing. May import tap, core
 * states, crafted bundles and the module under test.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { lstatSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { inspectBundle } from '../../src/bundle/reader.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeRecord, NodeUpdate, RolloutRecord } from '../../src/core/records.ts';
import type { Event, NodeState } from '../../src/core/state.ts';
import { rotationDue, TrustKeeper } from '../../src/daemon/trust-keeper.ts';
import type { DepotEntry } from '../../src/ports.ts';
import { craft } from '../bundle/craft.ts';
import { ceremony, link, rootBytes, rootsJson } from '../bundle/craft-roots.ts';
import { memorySource } from '../bundle/kit.ts';
import { JOB, nodeState, rolloutRecord, targetOf, TRIAL, updateOf } from '../core/states.ts';

const { a, b, d, e, f, old, next } = ceremony();
const [OLD, NEW] = [rootBytes(old), rootBytes(next)];
const images = { system: Buffer.alloc(900, 'system ') };
const roots = rootsJson([link(next, [a, b, d, e])]);
const bytes = craft({ images, keys: [a, b, d, e], roots: { bytes: roots, version: 2 } });
const { bundle, manifest } = await inspectBundle(memorySource(bytes));
const plain = craft({ images, keys: [a, b, d, e], manifest: (m) => (m.notes = 'another') });
const other = await inspectBundle(memorySource(plain));

const CLOSED: Partial<NodeRecord> = { canRollBack: false, releaseFloor: 2 };
const OPEN: Partial<NodeRecord> = { canRollBack: true, releaseFloor: 1 };

/** The node in a phase of the update with this bundle, so many seconds after the start. */
function inPhase(
  phase: RolloutRecord['phase'],
  record: Partial<NodeRecord> = OPEN,
  { of = bundle, second = 0, finalized = false } = {},
): NodeState {
  const to = { ...targetOf('*'), bundle: of };
  const rollout = rolloutRecord({ phase, to, finalized });
  const clock = { ms: 10_000 + 1000 * second, at: '2026-01-01T00:00:00.000Z' };
  return nodeState('A', { rollout, record, world: { clock } });
}

const [DONE, FINAL] = [inPhase('DONE'), inPhase('FINALIZE', CLOSED)];
const ended = (state: NodeUpdate['state'], mode: 'install' | 'return' = 'install'): NodeUpdate =>
  ({ ...updateOf(state), mode }) as NodeUpdate;

t.test('what is due, by the records alone', async (t) => {
  const rows: readonly (readonly [string, NodeState, 'keep' | 'wait' | null])[] = [
    ['no update', nodeState('A'), null],
    ['installing', inPhase('INSTALL1'), null],
    ['on trial', inPhase('TRIAL1', { update: updateOf('trial') }), null],
    ['healthy', inPhase('SYNC1', { update: updateOf('healthy') }), null],
    ['committing', inPhase('COMMIT1', { update: updateOf('committing') }), null],
    ['committed', inPhase('ADMIT1', { update: ended('committed') }), 'wait'],
    ['reverted', inPhase('BACK1', { update: updateOf('reverted') }), null],
    ['committed on the way back', inPhase('BACK1', { update: ended('committed', 'return') }), null],
    ['done', DONE, 'wait'],
    ['done, and closed here by an earlier update', inPhase('DONE', CLOSED), 'wait'],
    ['failed', inPhase('FAILED', { update: updateOf('reverted') }), null],
    ['rolled back', inPhase('ROLLED_BACK', { update: ended('committed', 'return') }), null],
    ['held', inPhase('HOLD_MIXED', { update: ended('committed') }), 'wait'],
    ['held, not updated', inPhase('HOLD_MIXED', { update: updateOf('reverted') }), null],
    ['finalize, not closed here yet', inPhase('FINALIZE'), 'wait'],
    [
      'finalize, the floor is not raised',
      inPhase('FINALIZE', { ...CLOSED, releaseFloor: 1 }),
      'wait',
    ],
    ['finalize, closed here', FINAL, 'keep'],
    ['finalized', inPhase('DONE', CLOSED, { finalized: true }), 'keep'],
  ];
  for (const [name, state, expected] of rows) {
    const due = rotationDue(state);
    t.equal(due === null ? null : due.keep ? 'keep' : 'wait', expected, name);
    if (due !== null) t.equal(due.bundle, bundle);
  }
  const rollback = { ...rolloutRecord({ phase: 'DONE' }), kind: 'rollback' as const };
  t.equal(rotationDue(nodeState('A', { rollout: rollback, record: CLOSED })), null, 'a rollback');
  const strange = { ...JOB, rollout: 'other', trial: TRIAL, state: 'committed' as const };
  t.equal(rotationDue(inPhase('ADMIT1', { update: strange })), null, 'committed by another update');
});

/** A node with a folder of its own. */
function bench(dir: string, root: Buffer | null = OLD) {
  const at = (name: string): string => `${dir}/${name}`;
  mkdirSync(at('trust'), { recursive: true });
  if (root !== null) writeFileSync(at('trust/root.json'), root);
  writeFileSync(at('update.bin'), bytes);
  writeFileSync(at('plain.bin'), plain);
  const entry = (of: typeof other, name: string): DepotEntry => ({
    bundle: of.bundle,
    path: at(name),
    bytes: of.sizeBytes,
    manifest: of.manifest,
  });
  const first = entry({ ...other, bundle, manifest, sizeBytes: bytes.length }, 'update.bin');
  const depot = { entries: [first, entry(other, 'plain.bin')] };
  const events: string[] = [];
  const alarms = new Map<string, string>();
  const open = () =>
    TrustKeeper.open({
      trustRoot: at('trust/root.json'),
      waitingDir: at('trust'),
      depot: { list: () => Promise.resolve(depot.entries) },
      events: { emit: ({ msg }) => void events.push(msg) as never },
      dispatch: (event: Event) => {
        if (event.type !== 'trouble') throw new UpdateError('internal.bug', event.type);
        if (event.reason === null) alarms.delete(event.effect);
        else alarms.set(event.effect, event.reason.code);
        return Promise.resolve(true);
      },
      log: () => undefined,
    });
  const root_ = (): Buffer => readFileSync(at('trust/root.json'));
  return { at, open, depot, events, alarms, root: root_, files: () => readdirSync(at('trust')) };
}

/** Shows the keeper these states, one after the other. */
async function shown(keeper: TrustKeeper, ...states: NodeState[]): Promise<void> {
  for (const state of states) {
    keeper.look(state);
    await keeper[Symbol.asyncDispose]();
  }
}

t.test('put aside when the node runs it, kept when it is permanent', async (t) => {
  const h = bench(t.testdir({}));
  const keeper = await h.open();
  t.match(keeper.status(), { version: 1, threshold: 2, keys: 3, revoked: 0, next: null });
  await shown(keeper, inPhase('TRIAL1'), DONE);
  t.ok(h.root().equals(OLD), 'nothing is kept before');
  t.match(h.files(), ['next-' + bundle + '.json', 'root.json']);
  t.match(keeper.status(), { version: 1, next: 2 });
  await shown(keeper, inPhase('FINALIZE'), FINAL);
  t.ok(h.root().equals(NEW), 'the exact bytes that were signed');
  t.strictSame(h.files(), ['root.json']);
  t.match(keeper.status(), { version: 2, threshold: 2, keys: 3, next: null });
  t.strictSame(h.events, ['trust root 2 is in force, 1 was before']);
  t.equal(lstatSync(h.at('trust/root.json')).mode & 0o777, 0o644, 'readable as before');
  await shown(keeper, FINAL, inPhase('DONE', CLOSED, { finalized: true, second: 90 }));
  t.equal(h.events.length, 1, 'once');
  t.equal(h.alarms.size, 0);
});

t.test('a way back keeps the old root, and no later update brings it in', async (t) => {
  const h = bench(t.testdir({}));
  const keeper = await h.open();
  const back = inPhase('ROLLED_BACK', { ...OPEN, update: ended('committed', 'return') });
  await shown(keeper, DONE, back);
  t.ok(h.root().equals(OLD));
  const later = (phase: 'DONE' | 'FINALIZE', record: Partial<NodeRecord>): NodeState =>
    inPhase(phase, record, { of: other.bundle });
  await shown(keeper, later('DONE', OPEN), later('FINALIZE', { ...CLOSED, releaseFloor: 30 }));
  t.ok(h.root().equals(OLD), 'the floor is above it, and still');
  t.strictSame(h.events, []);
  await shown(keeper, DONE, FINAL);
  t.ok(h.root().equals(NEW), 'the same bundle once more, and now for good');
});

t.test('a daemon that starts after the commit does what is due', async (t) => {
  const h = bench(t.testdir({}));
  await shown(await h.open(), inPhase('DONE', CLOSED, { finalized: true }));
  t.ok(h.root().equals(NEW), 'from the bundle');
  const lost = bench(t.testdir({}));
  await shown(await lost.open(), DONE);
  lost.depot.entries.length = 0;
  await shown(await lost.open(), FINAL);
  t.ok(lost.root().equals(NEW), 'from what was put aside: the depot has lost the bundle');
  const gone = bench(t.testdir({}));
  gone.depot.entries.length = 0;
  await shown(await gone.open(), FINAL);
  t.ok(gone.root().equals(OLD), 'from nowhere: the next bundle brings it');
  t.equal(gone.alarms.size, 0);
});

t.test('a power cut at any write: the old root or the new one, then the new one', async (t) => {
  const half = NEW.subarray(0, 100);
  const cuts: readonly (readonly [string, (h: ReturnType<typeof bench>) => void])[] = [
    ['before anything', () => undefined],
    ['what is put aside, half', (h) => writeFileSync(h.at(`trust/.next-${bundle}.json.tmp`), half)],
    ['put aside', (h) => writeFileSync(h.at(`trust/next-${bundle}.json`), roots)],
    ['put aside, and rotten', (h) => writeFileSync(h.at(`trust/next-${bundle}.json`), half)],
    ['the root, half', (h) => writeFileSync(h.at('trust/.root.json.tmp'), half)],
    ['the root, not renamed', (h) => writeFileSync(h.at('trust/.root.json.tmp'), NEW)],
    [
      'the root renamed, what was put aside is there',
      (h) => {
        writeFileSync(h.at(`trust/next-${bundle}.json`), roots);
        writeFileSync(h.at('trust/.root.json.tmp'), NEW);
        renameSync(h.at('trust/.root.json.tmp'), h.at('trust/root.json'));
      },
    ],
  ];
  for (const [name, cut] of cuts) {
    const h = bench(t.testdir({}));
    cut(h);
    const before = h.root();
    const keeper = await h.open();
    t.ok(before.equals(OLD) || before.equals(NEW), `${name}: one of them`);
    t.ok(h.root().equals(before), `${name}: a start alone changes nothing`);
    t.equal(keeper.status().version, before.equals(OLD) ? 1 : 2);
    await shown(keeper, FINAL);
    t.ok(h.root().equals(NEW), name);
    t.strictSame(
      h.files().filter((file) => file.startsWith('next-')),
      [],
      name,
    );
    t.equal(h.alarms.size, 0);
  }
});

t.test('what lies on the disk is judged anew', async (t) => {
  const h = bench(t.testdir({}));
  const evil = rootsJson([link({ version: 2, keys: [f] }, [a, f])]);
  writeFileSync(h.at(`trust/next-${bundle}.json`), evil);
  await shown(await h.open(), FINAL);
  t.ok(h.root().equals(OLD), 'one old key is not enough');
  t.strictSame([...h.alarms], [['new trust root', 'trust.not_kept']]);
});

t.test('a root that cannot be written is an alarm, and tried again', async (t) => {
  const h = bench(t.testdir({}));
  const keeper = await h.open();
  mkdirSync(h.at('trust/.root.json.tmp/x'), { recursive: true });
  await shown(keeper, DONE, FINAL);
  t.ok(h.root().equals(OLD));
  t.strictSame([...h.alarms], [['new trust root', 'trust.not_kept']]);
  rmSync(h.at('trust/.root.json.tmp'), { recursive: true });
  await shown(keeper, inPhase('FINALIZE', CLOSED, { second: 30 }));
  t.ok(h.root().equals(OLD), 'not at once');
  await shown(keeper, inPhase('FINALIZE', CLOSED, { second: 61 }));
  t.ok(h.root().equals(NEW));
  t.equal(h.alarms.size, 0);
});

t.test('a node that lost its root takes nothing, and says so', async (t) => {
  const h = bench(t.testdir({}), null);
  const keeper = await h.open();
  t.match(keeper.status(), { version: null, keys: null, next: null });
  await shown(keeper, nodeState('A'));
  t.strictSame([...h.alarms], [['trust root', 'trust.no_root']]);
  await shown(keeper, inPhase('FINALIZE', CLOSED, { second: 10 }));
  t.notOk(existsSync(h.at('trust/root.json')), 'a new root is no way out: nobody vouches for it');
  t.equal(h.alarms.get('new trust root'), 'trust.not_kept');
  writeFileSync(h.at('trust/root.json'), OLD);
  await shown(keeper, inPhase('FINALIZE', CLOSED, { second: 100 }));
  t.ok(h.root().equals(NEW), 'put back by hand: from there it goes on');
  t.equal(h.alarms.size, 0);
  writeFileSync(h.at('trust/root.json'), '{}');
  await shown(keeper, inPhase('DONE', CLOSED, { finalized: true, second: 200 }));
  t.equal(keeper.status().version, null, 'damaged is lost');
});

t.test('a link stays one', async (t) => {
  const h = bench(t.testdir({}));
  renameSync(h.at('trust/root.json'), h.at('elsewhere.json'));
  symlinkSync(h.at('elsewhere.json'), h.at('trust/root.json'));
  await shown(await h.open(), FINAL);
  t.ok(lstatSync(h.at('trust/root.json')).isSymbolicLink());
  t.ok(readFileSync(h.at('elsewhere.json')).equals(NEW));
});

t.test('few of them wait', async (t) => {
  const h = bench(t.testdir({}));
  for (const digit of '0123456') {
    writeFileSync(h.at(`trust/next-${digit.repeat(64)}.json`), roots);
  }
  await shown(await h.open(), DONE);
  t.equal(h.files().length, 5, 'four, and the root');
  t.ok(h.files().includes(`next-${bundle}.json`), 'the newest is one of them');
});
