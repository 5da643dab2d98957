/**
 * The store of two real storage processes when something goes wrong at the worst moment: the second
 * half of the contract of the port. Imports tap and the harness.
 */
import t from 'tap';
import type { Test } from 'tap';
import type { StoreHarness } from '../contracts/store.ts';
import { storeFaults } from '../contracts/store-faults.ts';
import { harnessOf, makeImageDir, makeStoragePair } from './pair.ts';

// The machine may be busy with other work.
t.setTimeout(120_000);
const root = t.testdir();
const image = await makeImageDir(`${root}/image`);
let pairs = 0;

async function make(_t: Test): Promise<StoreHarness> {
  pairs += 1;
  const pair = await makeStoragePair(`${root}/${pairs}`, image);
  await Promise.all([pair.a.start(), pair.b.start()]);
  return harnessOf(pair);
}

await storeFaults(t, 'two storage processes', make);
