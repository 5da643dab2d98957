/**
 * What every driver of the port Installer must hold, on two nodes so that one can serve and the
 * other one fetch. May import tap, core, ports and the installer's protocol.
 */
import type { Test } from 'tap';
import { UpdateError } from '../../src/core/errors.ts';
import type { Progress, Sha256, SlotClass } from '../../src/core/model.ts';
import type {
  BulkEndpoint,
  InstallResult,
  InstallTarget,
  VerifyResult,
} from '../../src/install/protocol.ts';
import type { Depot, Installer } from '../../src/ports.ts';

/** One node. */
export interface InstallerNode {
  readonly installer: Installer;
  readonly depotDir: string;
  readonly trustRoot: string;
  readonly progressFile: string;
  depot(): Promise<Depot>;
  readonly targets: readonly InstallTarget[];
  /**
   * Image id of what the target slot of a class holds, null when that is no image of the bundle.
   */
  content(cls: SlotClass): Promise<Sha256 | null>;
}

/** Two paired nodes and three files on the first one. */
export interface InstallerHarness {
  readonly a: InstallerNode;
  readonly b: InstallerNode;
  readonly good: string;
  readonly damaged: string;
  readonly bundle: Sha256;
  readonly bytes: number;
  readonly imageIds: Readonly<Record<SlotClass, Sha256>>;
  /** Where A serves, and the same place as B sees it once A listens on `port`. */
  readonly listen: BulkEndpoint;
  from(port: number): BulkEndpoint;
}

const never = new AbortController().signal;

/** Runs the suite as one subtest of `t`. */
export async function installerContract(
  t: Test,
  make: (t: Test) => Promise<InstallerHarness>,
): Promise<void> {
  await t.test('contract of Installer', async (t) => {
    const harness = await make(t);
    const { a, b, good, damaged, bundle, bytes } = harness;
    const { trustRoot, depotDir } = a;

    await t.test('verify says what the bundle is, and what is wrong with it', async (t) => {
      const told: Progress[] = [];
      const result = await a.installer.run<VerifyResult>(
        { do: 'verify', path: good, trustRoot },
        { signal: never, onProgress: (progress) => told.push(progress) },
      );
      t.match(result, { bundle, bytes, manifest: { product: 'tandem-appliance' } });
      t.match(told.at(-1), { doneBytes: bytes, totalBytes: bytes });
      const verify = (path: string): Promise<unknown> =>
        a.installer.run({ do: 'verify', path, trustRoot }, { signal: never });
      await t.rejects(verify(damaged), { name: 'UpdateError', code: 'bundle.damaged' });
      await t.rejects(verify('/nowhere/update.bin'), { code: 'file.not_found' });
      await t.rejects(a.installer.run({ do: 'dance' }, { signal: never }), {
        code: 'usage.invalid',
      });
    });

    await t.test('stage brings a good bundle into the depot, twice as well', async (t) => {
      const stage = (path: string): Promise<VerifyResult> =>
        a.installer.run({ do: 'stage', path, trustRoot, depotDir }, { signal: never });
      await t.rejects(stage(damaged), { code: 'bundle.damaged' });
      t.same(await (await a.depot()).list(), [], 'a damaged one is not staged');
      t.match(await stage(good), { bundle, bytes });
      t.match(await stage(good), { bundle, bytes });
      t.match(await (await a.depot()).list(), [{ bundle, bytes }]);
    });

    await t.test('fetch takes it from the peer that serves it', async (t) => {
      const [entry] = await (await a.depot()).list();
      const listening = Promise.withResolvers<number>();
      const stop = new AbortController();
      const serving = a.installer.run(
        { do: 'serve', path: entry?.path, listen: harness.listen },
        { signal: stop.signal, onListening: listening.resolve },
      );
      const from = harness.from(await listening.promise);
      const request = { do: 'fetch', from, bundle, bytes };
      const local = { trustRoot: b.trustRoot, depotDir: b.depotDir };
      const fetch = (over: object): Promise<VerifyResult> =>
        b.installer.run({ ...request, ...local, ...over }, { signal: never });
      await t.rejects(fetch({ bytes: bytes + 1 }), { code: 'bundle.damaged' });
      t.match(await fetch({}), { bundle, bytes });
      t.match(await (await b.depot()).list(), [{ bundle, bytes }]);
      stop.abort(new UpdateError('job.cancelled', 'served enough'));
      await t.rejects(serving, { code: 'job.cancelled' });
      await (await b.depot()).retain([]);
      await t.rejects(fetch({}), { code: 'pair.peer_unreachable' });
    });

    await t.test('install writes every target, and skips what is there', async (t) => {
      const [entry] = await (await a.depot()).list();
      const { progressFile, targets } = a;
      const request = { do: 'install', path: entry?.path, trustRoot, targets, progressFile };
      const install = (over: object = {}): Promise<InstallResult> =>
        a.installer.run({ ...request, readBack: true, format: false, ...over }, { signal: never });
      const small = targets.map((target) => ({ ...target, sizeBytes: 4096 }));
      await t.rejects(install({ targets: small }), { code: 'space.slot' });
      t.equal(await a.content('system'), null, 'refused before the first write');

      const first = await install();
      t.equal(await a.content('system'), harness.imageIds.system);
      t.equal(await a.content('storage'), harness.imageIds.storage);
      t.same(
        first.images.map((image) => [image.class, image.slot, image.imageId, image.skippedBytes]),
        targets.map((target) => [target.class, target.slot, harness.imageIds[target.class], 0]),
      );
      t.ok(first.images.every((image) => image.writtenBytes === image.rawBytes));
      const second = await install();
      t.ok(second.images.every((image) => image.skippedBytes === image.rawBytes));
      t.ok(second.images.every((image) => image.writtenBytes === 0));
      const third = await install({ format: true });
      t.ok(third.images.every((image) => image.writtenBytes >= image.rawBytes));
    });

    await t.test('an aborted run ends with the reason of the signal', async (t) => {
      const reason = new UpdateError('job.cancelled', 'not wanted');
      const request = { do: 'verify', path: good, trustRoot };
      const early = a.installer.run(request, { signal: AbortSignal.abort(reason) });
      await t.rejects(early, reason);
      const stop = new AbortController();
      const late = a.installer.run(request, { signal: stop.signal });
      stop.abort(reason);
      await t.rejects(late, reason);
    });
  });
}
