/**
 * The store in memory: its contract, and that a search can stop between any two steps. Imports tap
 * and the drivers in memory.
 */
import t from 'tap';
import type { Test } from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import type { NodeId } from '../../src/core/model.ts';
import { storeContract } from '../contracts/store.ts';
import { FULL_DISK, fullDisk, storeFaults, type DiskHarness } from '../contracts/store-faults.ts';
import { MemoryStorePair } from './store.ts';

async function make(_t: Test): Promise<DiskHarness> {
  const pair = new MemoryStorePair({ auto: true });
  const put = async (node: NodeId, key: string, value: string | null): Promise<void> => {
    const write = pair.put(node, key, value);
    // One turn per look: whatever ends the write happens in a later call of the test.
    while (write.state === 'waiting') await new Promise((resolve) => setImmediate(resolve));
    if (write.state === 'failed') throw new UpdateError('store.unacknowledged', 'given up');
  };
  return {
    store: (node) => pair.store(node),
    put,
    remove: (node, key) => put(node, key, null),
    tear: async (node) => {
      pair.setRunning(node, false);
      pair.setRunning(node, true);
    },
    setFull: async (node, full) => pair.setFull(node, full),
    get: async (node, key) => pair.contents(node).get(key) ?? null,
    setLink: (up) => pair.setLink(up),
    setRunning: async (node, up) => pair.setRunning(node, up),
    until: async (node, good) => {
      const status = pair.store(node).status();
      if (!good(status)) throw new Error(`it never comes: ${JSON.stringify(status)}`);
      return status;
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

await storeContract(t, 'memory', make);
await storeFaults(t, 'memory', make);

t.test('a full disk on either node', async (t) => {
  for (const node of ['A', 'B'] as const) {
    await using h = await make(t);
    t.strictSame(await fullDisk(h, node), FULL_DISK, node);
  }
});

t.test('one step replicates one write, then acknowledges it', async (t) => {
  const pair = new MemoryStorePair();
  await pair.store('A').promote(1);
  while (pair.step());
  const write = pair.put('A', 'key', 'value');
  t.equal(write.state, 'waiting');
  t.equal(pair.step(), true);
  t.equal(write.state, 'acknowledged');
  t.same([...pair.acknowledged], [['key', 'value']]);
  t.same(pair.lost('B'), []);
});

t.test('a sync stops between any two objects and goes on', async (t) => {
  const pair = new MemoryStorePair();
  await pair.store('A').promote(1);
  while (pair.step());
  pair.setRunning('B', false);
  await pair.store('A').goAlone(1);
  for (const key of ['a', 'b', 'c']) pair.put('A', key, 'value');
  while (pair.step());
  pair.setRunning('B', true);
  t.same(pair.lost('B').length, 3);
  pair.step();
  pair.setRunning('B', false);
  pair.setRunning('B', true);
  t.equal(pair.store('B').status().local, 'stale');
  t.same(pair.lost('B').length, 2);
  while (pair.step());
  t.equal(pair.store('B').status().local, 'current');
  t.same(pair.lost('B'), []);
});

t.test('a write that was given up may hold or not, an acknowledged one must', async (t) => {
  const pair = new MemoryStorePair({ auto: true });
  await pair.store('A').promote(1);
  pair.put('A', 'key', 'one');
  pair.setLink(false);
  const write = pair.put('A', 'key', 'two');
  pair.setRunning('A', false);
  t.equal(write.state, 'failed');
  t.same([pair.lost('A'), pair.lost('B')], [[], []]);
  t.same([...pair.acknowledged], [['key', 'one']]);
});
