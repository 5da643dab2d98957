/**
 * The last moment before a node is switched: files, windows and hooks that hold it up, and what
 * does not. Virtual time. Imports the updater.
 */
import t from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import type { RolloutOptions } from '../../src/core/records.ts';
import type { Event, NodeState } from '../../src/core/state.ts';
import { readWindow } from '../../src/core/window.ts';
import { passGate, windowReason } from '../../src/updater/switch-gate.ts';
import { nodeState, rolloutRecord } from '../core/states.ts';
import { MemoryHooks, type MemoryHook } from '../memory/hooks.ts';

const at = (text: string): number => Date.parse(text);
const SUNDAY = [readWindow('Sun 01:00-05:00', 'UTC')!];
const NEVER = new AbortController().signal;
const JOB = {
  rollout: 'update-1',
  bundle: rolloutRecord().to.bundle,
  attempt: 1,
  mode: 'install',
  targets: [],
  storageRunsUnderOld: false,
} as const;

interface Case {
  readonly nowMs?: number;
  readonly windows?: typeof SUNDAY;
  /** The file that lies there, by the milliseconds that have passed. */
  readonly file?: (ms: number) => string | null;
  readonly hooks?: readonly MemoryHook[];
  readonly mode?: 'install' | 'return';
  readonly options?: RolloutOptions;
  readonly node?: 'A' | 'B';
  readonly laterH?: number;
  readonly abortMs?: number;
}

/** Passes the gate; returns how long it took and what was told meanwhile. */
async function pass(one: Case) {
  let ms = 0;
  const abort = new AbortController();
  const told: (string | null)[] = [];
  const hooks = new MemoryHooks(one.hooks ?? []);
  const options = one.options === undefined ? {} : { options: one.options };
  const rollout = rolloutRecord({ id: 'update-1', first: 'A', ...options });
  const state: NodeState = { ...nodeState(one.node ?? 'A'), rollout };
  const parts = {
    hooks,
    host: { monotonicMs: () => ms, nowMs: () => (one.nowMs ?? at('2026-11-22T02:00Z')) + ms },
    pause: (pauseMs: number): Promise<void> => {
      ms += pauseMs;
      if (one.abortMs !== undefined && ms >= one.abortMs) abort.abort(new Error('taken back'));
      return Promise.resolve();
    },
    automation: {
      windows: one.windows ?? [],
      laterH: one.laterH ?? 24,
      inhibitor: { inhibited: () => Promise.resolve(one.file?.(ms) ?? null) },
    },
  };
  const dispatch = (event: Event): Promise<boolean> => {
    if (event.type === 'trouble') told.push(event.reason?.message ?? null);
    return Promise.resolve(true);
  };
  const job = { ...JOB, mode: one.mode ?? 'install' };
  const signal = one.abortMs === undefined ? NEVER : abort.signal;
  let error: unknown = null;
  try {
    await passGate(parts, job, () => state, dispatch, signal);
  } catch (cause) {
    error = cause;
  }
  return { ms, told, asked: hooks.calls, error };
}

const hook = (answer: MemoryHook['answer']): readonly MemoryHook[] => [
  { point: 'pre-switch', name: '10-users', answer },
];

t.test('nothing holds it up', async (t) => {
  t.strictSame(await pass({ hooks: hook(() => 'good') }), {
    ms: 0,
    told: [],
    asked: ['pre-switch/10-users'],
    error: null,
  });
});

t.test('a file, until it is gone; it is told once, and that it is over', async (t) => {
  const { ms, told } = await pass({ file: (past) => (past < 60_000 ? '/x stops updates' : null) });
  t.equal(ms, 60_000);
  t.strictSame(told, ['node A: /x stops updates', null]);
});

t.test('a window: the first node waits for it, the second one does not', async (t) => {
  const closed = { windows: SUNDAY, nowMs: at('2026-11-22T00:50Z') };
  const first = await pass(closed);
  t.equal(first.ms, 600_000);
  t.match(first.told, [/^no maintenance window is open/, null]);
  t.equal((await pass({ ...closed, node: 'B' })).ms, 0);
  t.equal((await pass({ ...closed, options: { ignoreWindow: true } })).ms, 0);
  const clock = await pass({ windows: SUNDAY, nowMs: at('1970-01-01T02:00Z'), abortMs: 20_000 });
  t.match(clock.told, [/the clock of this node is not set/, null]);
});

t.test('a way back is held up by nothing', async (t) => {
  const { ms, asked } = await pass({
    mode: 'return',
    windows: SUNDAY,
    nowMs: at('2026-11-23T00:50Z'),
    file: () => 'x',
    hooks: hook(() => ({ veto: 'no' })),
  });
  t.strictSame([ms, asked], [0, []]);
});

t.test('a hook: later, then good; a veto; later for too long', async (t) => {
  let asked = 0;
  const later = await pass({ hooks: hook(() => (++asked < 4 ? 'retry' : 'good')) });
  t.equal(later.error, null);
  t.equal(later.ms, 90_000);
  t.match(later.told[0], /10-users asks to be asked later \(asked once\)/);
  t.match(later.told[2], /10-users asks to be asked later \(asked 3 times\)/);
  t.equal(later.told.at(-1), null);
  const veto = await pass({ hooks: hook(() => ({ veto: 'users are there' })) });
  t.match(veto.error, { code: 'hook.veto', message: /10-users: users are there/ });
  const long = await pass({ laterH: 1, hooks: hook(() => 'retry') });
  t.ok(long.error instanceof UpdateError);
  t.match(long.error, {
    code: 'hook.veto',
    message: /\(asked 121 times, for 1 hour in all, which/,
  });
});

t.test('a window that closed while a hook took its time', async (t) => {
  let past = 0;
  const { ms, asked } = await pass({
    file: () => (past === 1 ? '/y stops updates' : null),
    hooks: hook(() => {
      past++;
      return 'good';
    }),
    abortMs: 50_000,
  });
  t.ok(ms >= 50_000, 'the file came while the hook ran, and stays');
  t.equal(asked.length, 1);
});

t.test('an abort ends the wait, and nothing stays told', async (t) => {
  const { error, told } = await pass({ file: () => 'x', abortMs: 30_000 });
  t.match(error, { message: 'taken back' });
  t.equal(told.at(-1), null);
});

t.test('by the clock and the windows alone', async (t) => {
  t.equal(windowReason([], 0), null);
  t.equal(windowReason(SUNDAY, at('2026-11-22T02:00Z')), null);
  t.equal(windowReason(SUNDAY, at('2026-11-23T02:00Z'))?.code, 'window.closed');
  t.equal(windowReason(SUNDAY, at('1970-01-04T02:00Z'))?.code, 'clock.wrong');
});
