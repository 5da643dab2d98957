/**
 * What every driver of the port Depot must hold. May import tap, core and ports.
 */
import type { Test } from 'tap';
import { parseSha256, type Sha256 } from '../../src/core/model.ts';
import type { Depot } from '../../src/ports.ts';

/** An empty depot on a disk with room, and the world around it. */
export interface DepotHarness {
  readonly depot: Depot;
  /** Bytes of the sample bundle `n`, and its digest. */
  readonly sample: (n: number) => { readonly bundle: Sha256; readonly bytes: number };
  /** Fills the reserved `path` with the whole sample `n`. */
  fill(n: number, path: string): Promise<void>;
  /** Fills the reserved `path` with something that is not the sample. */
  spoil(n: number, path: string): Promise<void>;
  /** The same depot on a disk that is too small for any reservation. */
  full(): Promise<Depot>;
  /** The depot as after a restart. */
  reopen(): Promise<Depot>;
}

async function stage(harness: DepotHarness, n: number): Promise<Sha256> {
  const { bundle, bytes } = harness.sample(n);
  await harness.fill(n, await harness.depot.reserve(bundle, bytes));
  await harness.depot.admit(bundle);
  return bundle;
}

const names = async (depot: Depot): Promise<Sha256[]> =>
  (await depot.list()).map((entry) => entry.bundle);

/** Runs the suite as one subtest of `t`. */
export async function depotContract(
  t: Test,
  make: (t: Test) => Promise<DepotHarness>,
): Promise<void> {
  await t.test('contract of Depot', async (t) => {
    await t.test('reserve, fill, admit: an entry with its manifest', async (t) => {
      const harness = await make(t);
      const { bundle, bytes } = harness.sample(1);
      t.same(await harness.depot.list(), []);
      const path = await harness.depot.reserve(bundle, bytes);
      t.same(await harness.depot.list(), [], 'a reservation is not an entry');
      await harness.fill(1, path);
      const entry = await harness.depot.admit(bundle);
      t.match(entry, { bundle, bytes, manifest: { releaseCounter: 1 } });
      t.same(await (await harness.reopen()).list(), [entry]);
      t.same(await harness.depot.admit(bundle), entry, 'again');
    });

    await t.test('reserve again keeps the partial file', async (t) => {
      const harness = await make(t);
      const { bundle, bytes } = harness.sample(1);
      const path = await harness.depot.reserve(bundle, bytes);
      await harness.fill(1, path);
      t.equal(await (await harness.reopen()).reserve(bundle, bytes), path);
      t.equal((await harness.depot.admit(bundle)).bytes, bytes);
    });

    await t.test('a reservation for what is there already takes nothing', async (t) => {
      const harness = await make(t);
      const bundle = await stage(harness, 1);
      const [entry] = await harness.depot.list();
      t.equal(await harness.depot.reserve(bundle, harness.sample(1).bytes), entry?.path);
      const full = await harness.full();
      t.equal(await full.reserve(bundle, harness.sample(1).bytes), entry?.path);
      t.same(await (await harness.reopen()).list(), [entry]);
    });

    await t.test('no room: space.depot with the missing bytes, entries stay', async (t) => {
      const harness = await make(t);
      const kept = await stage(harness, 1);
      const { bundle, bytes } = harness.sample(2);
      const full = await harness.full();
      await t.rejects(full.reserve(bundle, bytes), { code: 'space.depot' });
      const missing = await full.reserve(bundle, bytes).catch((error: unknown) => error);
      const detail = (missing as { detail: { missingBytes: number } }).detail;
      t.ok(detail.missingBytes > 0, `missing ${detail.missingBytes}`);
      t.same(await names(await harness.reopen()), [kept]);
    });

    await t.test('what is not the bundle is not admitted', async (t) => {
      const harness = await make(t);
      const { bundle, bytes } = harness.sample(1);
      await harness.spoil(1, await harness.depot.reserve(bundle, bytes));
      await t.rejects(harness.depot.admit(bundle), { code: /^bundle\./ });
      t.same(await harness.depot.list(), []);
      const never = parseSha256('0'.repeat(64));
      await t.rejects(harness.depot.admit(never), { code: 'file.not_found' });
    });

    await t.test('retain keeps what is named, oldest first in the list', async (t) => {
      const harness = await make(t);
      const first = await stage(harness, 1);
      const second = await stage(harness, 2);
      const third = await stage(harness, 3);
      t.same(await names(harness.depot), [first, second, third]);
      await harness.depot.retain([second, third]);
      t.same(await names(await harness.reopen()), [second, third]);
      await harness.depot.retain([]);
      t.same(await names(harness.depot), []);
    });
  });
}
