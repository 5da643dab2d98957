/**
 * The store of two real storage processes against the contract of the port. Imports tap and the
 * harness.
 */
import t from 'tap';
import type { Test } from 'tap';
import { storeContract, type StoreHarness } from '../contracts/store.ts';
import { makeImageDir, makeStoragePair } from './pair.ts';

const root = t.testdir();
const image = await makeImageDir(`${root}/image`);
let pairs = 0;

async function make(_t: Test): Promise<StoreHarness> {
  pairs += 1;
  const pair = await makeStoragePair(`${root}/${pairs}`, image);
  const of = { A: pair.a, B: pair.b };
  await Promise.all([pair.a.start(), pair.b.start()]);
  return {
    store: (node) => of[node].store,
    put: (node, key, value) => of[node].put(key, value),
    get: (node, key) => of[node].get(key),
    setLink: (up) => (up ? pair.wire.heal() : pair.wire.cut()),
    setRunning: (node, up) => (up ? of[node].start() : of[node].kill()),
    until: (node, good) => of[node].until(good),
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
}

await storeContract(t, 'two storage processes', make);
