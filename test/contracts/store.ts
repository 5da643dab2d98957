/**
 * What every pair of drivers of the port Store must hold: promotion and epochs, acknowledgement on
 * both copies, freeze, going alone, sync, split brain. Imports tap's Test type, core and ports.
 */
import type { Test } from 'tap';
import type { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { Store, StoreStatus } from '../../src/ports.ts';

/** Two stores that are joined by a wire, both running, nothing promoted. */
export interface StoreHarness extends AsyncDisposable {
  store(node: NodeId): Store;
  /** Resolves when the write is acknowledged; rejects with UpdateError. */
  put(node: NodeId, key: string, value: string): Promise<void>;
  /** As `put`; the key is gone. */
  remove(node: NodeId, key: string): Promise<void>;
  get(node: NodeId, key: string): Promise<string | null>;
  /** Joins or cuts the wire. */
  setLink(up: boolean): void;
  /** Ends the storage software as a power cut does, or starts it. */
  setRunning(node: NodeId, up: boolean): Promise<void>;
  /** Cuts the power in the middle of a write that nobody was told of, and starts it again. */
  tear(node: NodeId): Promise<void>;
  until(node: NodeId, good: (status: StoreStatus) => boolean): Promise<StoreStatus>;
}

type Make = (t: Test) => Promise<StoreHarness>;

/** The code of what a promise is rejected with; null when it is not. */
export async function codeOf(promise: Promise<unknown>): Promise<string | null> {
  try {
    await promise;
    return null;
  } catch (error) {
    return (error as UpdateError).code;
  }
}

/** A is primary of epoch 1 and B is level with it. */
export async function level(h: StoreHarness): Promise<void> {
  await h.until('A', (s) => s.connected);
  await h.until('B', (s) => s.connected);
  await h.store('A').promote(1);
  await h.until('A', (s) => s.peer === 'current');
  await h.until('B', (s) => s.local === 'current');
}

/** A goes on without B, which lacks `alone` afterwards. */
export async function writeAlone(h: StoreHarness, node: NodeId, epoch: number): Promise<void> {
  await h.until(node, (s) => s.frozen);
  await h.store(node).goAlone(epoch);
  await h.put(node, 'alone', `by ${node}`);
}

/** Runs the suite as one subtest of `t`. */
export async function storeContract(t: Test, name: string, make: Make): Promise<void> {
  await t.test(`contract of Store: ${name}`, async (t) => {
    await roles(t, make);
    await freezing(t, make);
    await joining(t, make);
  });
}

async function roles(t: Test, make: Make): Promise<void> {
  await t.test('a start is a secondary that takes no writes', async (t) => {
    await using h = await make(t);
    const status = await h.until('A', (s) => s.connected);
    t.match(status, { role: 'secondary', epoch: 0, frozen: false, splitBrain: false, sync: null });
    t.equal(await codeOf(h.put('A', 'key', 'value')), 'store.read_only');
  });

  await t.test('what is acknowledged is on both copies', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.put('A', 'key', 'value');
    t.equal(await h.get('A', 'key'), 'value');
    t.equal(await h.get('B', 'key'), 'value');
    t.equal(await codeOf(h.put('B', 'key', 'other')), 'store.read_only');
    const [a, b] = [h.store('A').status(), h.store('B').status()];
    t.match(a, { role: 'primary', epoch: 1, local: 'current', peer: 'current', frozen: false });
    t.match(b, { role: 'secondary', epoch: 1, local: 'current', peer: 'current' });
    t.same(a.generation, b.generation);
    t.equal(a.generation.base, null);
  });

  await t.test('writes are done in the order in which they were asked for', async (t) => {
    await using h = await make(t);
    await level(h);
    const large = 'x'.repeat(100_000);
    const asked: Promise<void>[] = [];
    for (let n = 0; n < 60; n += 1) {
      asked.push(h.put('A', 'key', `${large}${n}`), h.remove('A', 'key'));
    }
    asked.push(h.put('A', 'other', 'old'), h.put('A', 'other', 'new'));
    await Promise.all(asked);
    for (const node of ['A', 'B'] as const) {
      t.equal(await h.get(node, 'key'), null);
      t.equal(await h.get(node, 'other'), 'new');
    }
  });

  await t.test('promotion is idempotent, and refused below the highest epoch', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.store('A').promote(1);
    t.equal(await codeOf(h.store('B').promote(0)), 'store.fenced');
    t.equal(await codeOf(h.store('B').promote(1)), 'store.fenced', 'of another primary');
    await h.store('A').demote();
    await h.store('A').demote();
    t.equal(h.store('A').status().role, 'secondary');
    await h.store('B').promote(7);
    await h.until('A', (s) => s.epoch === 7);
    t.equal(await codeOf(h.store('A').promote(6)), 'store.fenced');
  });

  await t.test('a handover: the other side accepts writes, the first one none', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.put('A', 'key', 'one');
    await h.store('A').demote();
    await h.store('B').promote(2);
    await h.put('B', 'key', 'two');
    t.equal(await h.get('A', 'key'), 'two');
    t.equal(await codeOf(h.put('A', 'key', 'three')), 'store.read_only');
    t.match(h.store('B').status(), { role: 'primary', peer: 'current', epoch: 2 });
    t.equal(h.store('B').status().lastSync?.sentBytes ?? 0, 0, 'nothing was synced');
  });

  await t.test('a promotion elsewhere ends a primary of a lower epoch', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.store('B').promote(2);
    await h.until('A', (s) => s.role === 'secondary' && s.epoch === 2);
    t.equal(await codeOf(h.put('A', 'key', 'value')), 'store.read_only');
    await h.put('B', 'key', 'value');
    t.equal(await h.get('A', 'key'), 'value');
  });

  await t.test('the epoch survives a restart', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.store('A').promote(5);
    await h.until('B', (s) => s.epoch === 5);
    await h.setRunning('A', false);
    await h.setRunning('B', false);
    await h.setRunning('B', true);
    t.match(h.store('B').status(), { role: 'secondary', epoch: 5 });
    t.equal(await codeOf(h.store('B').promote(4)), 'store.fenced');
  });

  await t.test(
    'a listener hears the newest status; nothing is known of what is down',
    async (t) => {
      await using h = await make(t);
      const heard: StoreStatus[] = [];
      h.store('A').onStatus((status) => heard.push(status));
      await level(h);
      t.same(heard.at(-1), h.store('A').status());
      await h.setRunning('A', false);
      t.match(h.store('A').status(), { role: 'unknown', local: 'unknown', peer: 'unknown' });
      t.equal(heard.at(-1)?.role, 'unknown');
    },
  );
}

async function freezing(t: Test, make: Make): Promise<void> {
  await t.test('a lost peer freezes writes until it is back', async (t) => {
    await using h = await make(t);
    await level(h);
    h.setLink(false);
    await h.until('A', (s) => s.frozen);
    let acknowledged = false;
    const put = h.put('A', 'key', 'value').then(() => (acknowledged = true));
    t.match(h.store('A').status(), { role: 'primary', connected: false, peer: 'unknown' });
    t.equal(acknowledged, false);
    t.equal(await h.get('A', 'key'), null, 'what is not acknowledged is not shown');
    h.setLink(true);
    await put;
    t.equal(await h.get('B', 'key'), 'value');
    t.equal((await h.until('A', (s) => s.peer === 'current')).frozen, false);
  });

  await t.test('goAlone lets waiting writes go on, under a new generation', async (t) => {
    await using h = await make(t);
    await level(h);
    const before = h.store('A').status().generation;
    await h.setRunning('B', false);
    await h.until('A', (s) => s.frozen);
    const put = h.put('A', 'key', 'value');
    t.equal(await codeOf(h.store('A').goAlone(0)), 'store.fenced', 'of another epoch');
    await h.store('A').goAlone(1);
    await put;
    const status = await h.until('A', (s) => s.generation.base !== null);
    t.match(status, { frozen: false, peer: 'stale', local: 'current' });
    t.equal(status.generation.base, before.current);
    t.not(status.generation.current, before.current);
  });

  await t.test('goAlone while the peer is current does not outlast it', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.store('A').goAlone(1);
    h.setLink(false);
    t.equal((await h.until('A', (s) => !s.connected)).frozen, true);
  });

  await t.test('once the peer is current again its loss freezes again', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.setRunning('B', false);
    await writeAlone(h, 'A', 1);
    await h.setRunning('B', true);
    await h.until('A', (s) => s.peer === 'current');
    h.setLink(false);
    t.equal((await h.until('A', (s) => !s.connected)).frozen, true);
  });

  await t.test('a promotion without the peer is frozen; a demotion gives waiting up', async (t) => {
    await using h = await make(t);
    await level(h);
    h.setLink(false);
    await h.until('B', (s) => !s.connected);
    await h.store('B').promote(2);
    t.match(h.store('B').status(), { role: 'primary', frozen: true, peer: 'unknown' });
    const put = codeOf(h.put('B', 'key', 'value'));
    // Answered after the write was taken.
    t.equal(await h.get('B', 'key'), null);
    await h.store('B').demote();
    t.equal(await put, 'store.unacknowledged');
    t.match(h.store('B').status(), { role: 'secondary', frozen: false });
  });

  await t.test('a primary that stays it in a new epoch keeps its waiting writes', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.setRunning('B', false);
    await h.until('A', (s) => s.frozen);
    const put = h.put('A', 'key', 'value');
    await h.store('A').promote(2);
    t.match(h.store('A').status(), { frozen: true, epoch: 2 });
    await h.store('A').goAlone(2);
    await put;
    t.equal(await h.get('A', 'key'), 'value');
  });
}

async function joining(t: Test, make: Make): Promise<void> {
  await t.test('a sync sends what differs, and both are level', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.put('A', 'old', 'x'.repeat(1000));
    await h.put('A', 'gone', 'soon');
    await h.setRunning('B', false);
    await writeAlone(h, 'A', 1);
    await h.setRunning('B', true);
    const a = await h.until('A', (s) => s.peer === 'current');
    const b = await h.until('B', (s) => s.local === 'current' && s.generation.base === null);
    t.equal(await h.get('B', 'alone'), 'by A');
    t.match(a.lastSync, { sentBytes: 'by A'.length });
    t.same(a.generation, b.generation);
    t.equal(a.generation.history.length, 1);
    t.equal(a.generation.base, null);
  });

  await t.test('a copy that is known to lag cannot be promoted', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.setRunning('B', false);
    await writeAlone(h, 'A', 1);
    await h.store('A').demote();
    await h.setRunning('B', true);
    await h.until('B', (s) => s.local === 'stale');
    t.equal(await codeOf(h.store('B').promote(2)), 'store.stale');
    await h.store('A').promote(1);
    await h.until('B', (s) => s.local === 'current');
    await h.store('B').promote(2);
    t.equal(await h.get('B', 'alone'), 'by A');
  });

  await t.test('both wrote alone: split brain, and nothing is overwritten', async (t) => {
    await using h = await make(t);
    await level(h);
    h.setLink(false);
    await writeAlone(h, 'A', 1);
    await h.until('B', (s) => !s.connected);
    await h.store('B').promote(2);
    await writeAlone(h, 'B', 2);
    h.setLink(true);
    const a = await h.until('A', (s) => s.splitBrain);
    const b = await h.until('B', (s) => s.splitBrain);
    t.same([a.connected, b.connected], [false, false]);
    t.equal(await h.get('A', 'alone'), 'by A');
    t.equal(await h.get('B', 'alone'), 'by B');
  });

  await t.test('what the old primary never acknowledged does not come back', async (t) => {
    await using h = await make(t);
    await level(h);
    await h.put('A', 'key', 'acknowledged');
    h.setLink(false);
    await h.until('A', (s) => s.frozen);
    const open = codeOf(h.put('A', 'key', 'in doubt'));
    await h.until('B', (s) => !s.connected);
    await h.store('B').promote(2);
    // As many writes as A has in doubt: the same number is not the same content.
    const other = h.put('B', 'other', 'of the new primary');
    h.setLink(true);
    t.equal(await open, 'store.unacknowledged');
    await other;
    await h.until('B', (s) => s.peer === 'current');
    t.equal(await h.get('A', 'key'), 'acknowledged');
    t.equal(await h.get('A', 'other'), 'of the new primary');
    t.equal(h.store('A').status().role, 'secondary');
  });

  await t.test('the format level stays where it is without the peer', async (t) => {
    await using h = await make(t);
    await level(h);
    t.equal(await h.store('A').finalizeFormat(), 1);
    t.equal(await h.store('B').finalizeFormat(), 1);
    h.setLink(false);
    await h.until('A', (s) => !s.connected);
    t.equal(await codeOf(h.store('A').finalizeFormat()), 'pair.not_healthy');
  });
}
