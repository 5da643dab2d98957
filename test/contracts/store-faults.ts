/**
 * What every pair of drivers of the port Store must hold when something goes wrong at the worst
 * moment: writes under way when the peer is lost, words of a wrong epoch, copies that lag, starts
 * after a torn write, a full disk. Imports tap's Test type and the contract's harness.
 */
import type { Test } from 'tap';
import type { NodeId } from '../../src/core/model.ts';
import type { StoreStatus } from '../../src/ports.ts';
import { codeOf, level, writeAlone, type StoreHarness } from './store.ts';

type Make = (t: Test) => Promise<StoreHarness>;

/** A harness whose disks can be filled up. */
export interface DiskHarness extends StoreHarness {
  /** Leaves no byte free on the disk of a node, or gives all of it back. */
  setFull(node: NodeId, full: boolean): Promise<void>;
}

/** Runs the suite as one subtest of `t`. */
export async function storeFaults(t: Test, name: string, make: Make): Promise<void> {
  await t.test(`faults of Store: ${name}`, async (t) => {
    await freezes(t, make);
    await epochs(t, make);
    await starts(t, make);
  });
}

/** Many writes begin at once; returns which were acknowledged so far. */
function burst(h: StoreHarness, node: NodeId, count: number) {
  const acknowledged = new Set<string>();
  const ends = Array.from({ length: count }, async (_, n) => {
    const key = `burst-${n}`;
    const code = await codeOf(h.put(node, key, `value ${n}`));
    if (code === null) acknowledged.add(key);
    return code;
  });
  return { acknowledged, all: Promise.all(ends) };
}

async function freezes(t: Test, make: Make): Promise<void> {
  await t.test(
    'writes under way when the peer is lost: what is acknowledged is there',
    async (t) => {
      await using h = await make(t);
      await level(h);
      const { acknowledged, all } = burst(h, 'A', 200);
      await h.setRunning('B', false);
      await h.until('A', (s) => s.frozen);
      const before = acknowledged.size;
      // Each of these is a whole round through the store.
      for (let n = 0; n < 10; n += 1) t.equal(await h.get('A', 'none'), null);
      t.equal(acknowledged.size, before, 'none is acknowledged while it is frozen');
      const kept = new Set(acknowledged);
      await h.setRunning('B', true);
      await h.until('A', (s) => s.peer === 'current');
      t.same(new Set(await all), new Set([null]), 'the others hold once the peer is back');
      for (const key of [...kept, 'burst-0', 'burst-199']) {
        t.equal(await h.get('B', key), await h.get('A', key));
        t.not(await h.get('B', key), null);
      }
    },
  );

  await t.test('acknowledged before the loss means: on the copy that is left', async (t) => {
    await using h = await make(t);
    await level(h);
    const { acknowledged, all } = burst(h, 'A', 200);
    await h.put('A', 'first', 'value');
    await h.setRunning('A', false);
    const codes = new Set(await all);
    for (const code of codes) {
      t.ok([null, 'store.unreachable', 'store.unacknowledged'].includes(code), String(code));
    }
    await h.until('B', (s) => !s.connected);
    await h.store('B').promote(2);
    t.equal(await h.get('B', 'first'), 'value');
    let lost = 0;
    for (const key of acknowledged) if ((await h.get('B', key)) === null) lost += 1;
    t.equal(lost, 0);
  });
}

async function epochs(t: Test, make: Make): Promise<void> {
  await t.test('going alone needs the very epoch, and a primary', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.store('A').promote(5);
    await h.until('B', (s) => s.epoch === 5);
    h.setLink(false);
    await h.until('A', (s) => s.frozen);
    const put = h.put('A', 'key', 'value');
    for (const epoch of [0, 1, 4, 6]) {
      t.equal(await codeOf(h.store('A').goAlone(epoch)), 'store.fenced', `epoch ${epoch}`);
    }
    t.equal(await codeOf(h.store('B').goAlone(5)), 'store.fenced', 'of a secondary');
    t.equal(h.store('A').status().frozen, true);
    t.equal(await h.get('A', 'key'), null);
    await h.store('A').goAlone(5);
    await put;
    await h.store('A').promote(6);
    t.equal(
      (await h.until('A', (s) => s.epoch === 6)).frozen,
      true,
      'the word ends with its epoch',
    );
  });

  await t.test('an epoch that was only heard of is as durable', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.setRunning('B', false);
    await h.until('A', (s) => s.frozen);
    await h.store('A').promote(7);
    await h.store('A').demote();
    await h.setRunning('B', true);
    await h.until('B', (s) => s.epoch === 7);
    await h.setRunning('A', false);
    await h.setRunning('B', false);
    await h.setRunning('B', true);
    t.equal((await h.until('B', (s) => s.role !== 'unknown')).epoch, 7);
    t.equal(await codeOf(h.store('B').promote(6)), 'store.fenced');
  });
}

async function starts(t: Test, make: Make): Promise<void> {
  await t.test('a copy that lags refuses over restarts, and alone', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.setRunning('B', false);
    await writeAlone(h, 'A', 1);
    await h.store('A').demote();
    await h.setRunning('B', true);
    await h.until('B', (s) => s.local === 'stale');
    await h.setRunning('A', false);
    await h.setRunning('B', false);
    await h.setRunning('B', true);
    const status = await h.until('B', (s) => s.role !== 'unknown');
    t.match(status, { local: 'stale', role: 'secondary' } satisfies Partial<StoreStatus>);
    for (const epoch of [2, 99]) {
      t.equal(await codeOf(h.store('B').promote(epoch)), 'store.stale');
    }
    t.equal(await codeOf(h.put('B', 'key', 'value')), 'store.read_only');
  });

  await t.test('a write that a power cut tore off costs itself alone', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.put('A', 'key', 'acknowledged');
    for (const node of ['A', 'B'] as const) await h.tear(node);
    await h.until('A', (s) => s.connected);
    await h.store('A').promote(1);
    await h.until('A', (s) => s.peer === 'current');
    t.equal(await h.get('A', 'key'), 'acknowledged');
    t.equal(await h.get('B', 'key'), 'acknowledged');
    await h.put('A', 'next', 'goes on');
    t.equal(await h.get('B', 'next'), 'goes on');
  });
}

/** What `fullDisk` finds on each driver, whichever node's disk is full. */
export const FULL_DISK = {
  code: 'store.full',
  deleted: true,
  status: { role: 'primary', connected: true, peer: 'current', frozen: false },
  kept: ['before', 'before'],
  later: ['room', 'room'],
};

/** No byte is free on the disk of one node: writes are refused, and the pair stays level. */
export async function fullDisk(h: DiskHarness, node: NodeId): Promise<typeof FULL_DISK> {
  await level(h);
  await h.put('A', 'key', 'before');
  await h.put('A', 'other', 'before');
  await h.setFull(node, true);
  await h.until(node, (s) => s.full === true);
  let code: string | null = null;
  while (code === null) code = await codeOf(h.put('A', 'more', 'x'));
  const deleted = (await codeOf(h.remove('A', 'other'))) === null;
  const { role, connected, peer, frozen } = h.store('A').status();
  const kept = [await h.get('A', 'key'), await h.get('B', 'key')].map(String);
  await h.setFull(node, false);
  await h.until(node, (s) => s.full !== true);
  while ((await codeOf(h.put('A', 'key', 'room'))) !== null);
  const later = [await h.get('A', 'key'), await h.get('B', 'key')].map(String);
  return { code, deleted, status: { role, connected, peer, frozen }, kept, later };
}
