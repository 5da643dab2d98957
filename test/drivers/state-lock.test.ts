/**
 * The lock on a state directory, between real processes, and a journal whose writer is killed. May
 * import tap, node: and the drivers under test.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, symlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import t, { type Test } from 'tap';
import { openJournal } from '../../src/drivers/journal-file.ts';
import {
  awaitStateUnlocked,
  lockState,
  stateLockHolder,
  stateLockName,
} from '../../src/drivers/state-lock.ts';

const PROGRAM = join(import.meta.dirname, 'state-holder.ts');
const never = new AbortController().signal;

interface Holder {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly lines: Interface;
  /** The next line that it prints. */
  readonly line: () => Promise<string>;
}

/** Starts the program in a process of its own. */
function start(t: Test, dir: string, what: 'hold' | 'append'): Holder {
  const child = spawn(process.execPath, [PROGRAM, dir, what], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout);
  const next = lines[Symbol.asyncIterator]();
  return { child, lines, line: async () => String((await next.next()).value) };
}

async function kill({ child }: Holder): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

t.test('two processes on one state directory', async (t) => {
  const dir = t.testdir({ state: {} });
  const state = join(dir, 'state');
  const first = start(t, state, 'hold');
  t.equal(await first.line(), 'held');
  await symlink('state', join(dir, 'alias'));
  t.equal(await start(t, join(dir, 'alias'), 'hold').line(), 'state.locked', 'by another path');
  await t.rejects(lockState(state), {
    code: 'state.locked',
    exit: 2,
    detail: { pid: first.child.pid },
  });
  t.equal(await stateLockHolder(state), first.child.pid);
  await mkdir(join(dir, 'other'));
  {
    await using held = new AsyncDisposableStack();
    held.use(await lockState(join(dir, 'other')));
    t.equal(await stateLockHolder(join(dir, 'other')), process.pid, 'another directory is free');
  }
  t.equal(await stateLockHolder(join(dir, 'other')), null);
  const falls = awaitStateUnlocked(state, never);
  await kill(first);
  await falls;
  t.equal(await stateLockHolder(state), null);
  await using held = new AsyncDisposableStack();
  held.use(await lockState(state));
  t.equal(await stateLockHolder(state), process.pid, 'a killed holder leaves nothing behind');
});

t.test('a lock that is given back', async (t) => {
  const dir = t.testdir();
  const lock = await lockState(dir);
  const falls = awaitStateUnlocked(dir, never);
  const waiter = connect({ path: await stateLockName(dir) });
  await once(waiter, 'connect');
  const closed = new Promise((resolve) => void waiter.once('close', resolve));
  waiter.on('error', () => undefined).resume();
  await lock[Symbol.asyncDispose]();
  await lock[Symbol.asyncDispose]();
  await Promise.all([falls, closed]);
  await awaitStateUnlocked(dir, never);
  await (await lockState(dir))[Symbol.asyncDispose]();
});

t.test('waiting for a lock can be given up; no directory is no lock', async (t) => {
  const dir = t.testdir();
  await using held = new AsyncDisposableStack();
  held.use(await lockState(dir));
  const abort = new AbortController();
  const waits = awaitStateUnlocked(dir, abort.signal);
  const reason = new Error('no patience');
  setImmediate(() => abort.abort(reason));
  await t.rejects(waits, reason);
  await t.rejects(awaitStateUnlocked(dir, abort.signal), reason);
  await t.rejects(lockState(join(dir, 'none')), { code: 'file.not_found' });
});

t.test('a writer that is killed: every acknowledged record is there', async (t) => {
  const dir = t.testdir();
  let acknowledged = 0;
  for (const atLeast of [1, 40, 7, 25]) {
    const writer = start(t, dir, 'append');
    t.equal(await writer.line(), 'held');
    const goal = acknowledged + atLeast;
    const killed = once(writer.child, 'exit');
    for (;;) {
      const line = await writer.line();
      if (line === 'undefined') break;
      if (Number(line) !== acknowledged + 1 && Number(line) !== acknowledged + 2) {
        t.fail(`${line} follows ${acknowledged}`);
      }
      acknowledged = Number(line);
      // Lines that were written before the kill are still read.
      if (acknowledged === goal) writer.child.kill('SIGKILL');
    }
    await killed;
    await awaitStateUnlocked(dir, never);
    const journal = await openJournal(dir);
    const { node, records } = await journal.read();
    await journal[Symbol.asyncDispose]();
    const last = node?.lastTrialId ?? 0;
    t.ok(last === acknowledged || last === acknowledged + 1, `${last} after ${acknowledged}`);
    const numbers = records.map((entry) => entry.kind === 'node' && entry.record.lastTrialId);
    t.same(
      numbers,
      numbers.map((_, index) => last - numbers.length + 1 + index),
      'no gap',
    );
    acknowledged = last;
  }
});
