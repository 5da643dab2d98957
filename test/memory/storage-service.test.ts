/**
 * The storage software and the service address in memory against their contracts. Imports tap and
 * the drivers in memory.
 */
import t from 'tap';
import type { Release } from '../../src/core/model.ts';
import { serviceAddressContract } from '../contracts/service-address.ts';
import { storageSoftwareContract } from '../contracts/storage-software.ts';
import { MemoryServiceNetwork } from './service-address.ts';
import { MemoryStorageSoftware } from './storage-software.ts';
import { MemoryStorePair } from './store.ts';

const release = (version: string): Release => ({
  product: 'sample',
  class: 'storage',
  version,
  counter: 1,
  formatLevel: 1,
});

await storageSoftwareContract(t, 'memory', async (_t, slotB) => {
  const good = { release: release('2.0.0') };
  const images = {
    good,
    unhealthy: { ...good, unhealthy: 'bad on purpose' },
    broken: { ...good, broken: 'broken on purpose' },
    empty: null,
  };
  const software = new MemoryStorageSoftware({
    A: { release: release('1.0.0') },
    B: images[slotB],
  });
  return { software, crash: async () => software.crash('it was ended by SIGKILL') };
});

await serviceAddressContract(t, 'memory', async () => {
  const network = new MemoryServiceNetwork();
  return {
    address: (node) => network.address(node),
    whoServes: async () => network.server(),
    breakSelfTest: async (node) => void network.failing.set(node, 'broken on purpose'),
  };
});

t.test('the network remembers when two nodes held the address', async (t) => {
  const network = new MemoryServiceNetwork();
  const signal = new AbortController().signal;
  await network.address('A').acquire(1, signal);
  network.address('A').powerCut();
  await network.address('B').acquire(2, signal);
  t.equal(network.mostHolders, 1);
  await network.address('A').acquire(1, signal);
  t.equal(network.mostHolders, 2);
  t.equal(network.server(), null);
});

t.test('a store follows its software', async (t) => {
  const pair = new MemoryStorePair({ auto: true });
  const images = { A: { release: release('1.0.0') }, B: null };
  pair.setRunning('A', false);
  const software = new MemoryStorageSoftware(images, (up) => pair.setRunning('A', up));
  t.equal(pair.store('A').status().role, 'unknown');
  await software.start('A', new AbortController().signal);
  t.equal(pair.store('A').status().role, 'secondary');
  software.crash('gone');
  t.equal(pair.store('A').status().role, 'unknown');
  t.equal(software.starts, 1);
});
