/**
 * The store of two real storage processes against the contract of the port. Imports tap and the
 * harness.
 */
import t from 'tap';
import type { Test } from 'tap';
import { storeContract, type StoreHarness } from '../contracts/store.ts';
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

await storeContract(t, 'two storage processes', make);
