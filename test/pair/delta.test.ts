/**
 * A delta bundle on a real pair: refused where it does not fit, with the node named; stopped before
 * it writes anything wrong where the slot that runs has rotted; and, on the same pair, an update of
 * both nodes from a bundle of a few hundred kilobytes. Only with PAIR_ALL=1 (`npm run
 * test:embedded`).
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openWorkshop, type DemoRelease, type Workshop } from '../../scripts/demo/workshop.ts';
import { makeBundle, type BundleSpec } from '../../src/bundle/builder.ts';
import { UNIT_BYTES } from '../../src/bundle/delta.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import { inspectBundle, inspectImages } from '../../src/bundle/reader.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import { Bench, READY_MS, RELEASES } from './harness.ts';
import { expectEnd, expectFromSlot } from './judge.ts';

t.setTimeout(400_000);
const LEVEL = 3;
const MIB = 1024 * 1024;

/** The demo's workshop with a key of its own, so that it can sign what that one does not make. */
class DeltaWorkshop implements Workshop {
  readonly programs: Workshop['programs'];
  readonly #demo: Workshop;
  readonly #dir: string;
  readonly #key = generateSigningKey();
  #files = 0;

  constructor(demo: Workshop, dir: string) {
    this.#demo = demo;
    this.#dir = dir;
    this.programs = demo.programs;
  }

  async systemImage(release: DemoRelease) {
    return this.#demo.systemImage(release);
  }

  async storageImage(release: DemoRelease) {
    return this.#demo.storageImage(release);
  }

  async bundle(release: DemoRelease, out: string): Promise<void> {
    await this.#make(release, out, null);
  }

  /** A delta of `release` against what `base` brings. */
  async delta(release: DemoRelease, base: DemoRelease, out: string): Promise<void> {
    this.#files += 1;
    const full = join(this.#dir, `base-${String(this.#files)}.bin`);
    await this.#demo.bundle(base, full);
    await this.#make(release, out, full);
  }

  async trustRoot(out: string): Promise<void> {
    const { keyid, public: text } = this.#key;
    await using file = await open(out, 'w');
    const keys = [{ keyid, scheme: 'ed25519', public: text }];
    await file.writeFile(JSON.stringify({ schema: 1, version: 1, threshold: 1, keys }));
  }

  async #make(release: DemoRelease, out: string, base: string | null): Promise<void> {
    this.#files += 1;
    const demo = join(this.#dir, `demo-${String(this.#files)}.bin`);
    await this.#demo.bundle(release, demo);
    await using source = await openFileSource(demo);
    // The releases update from lower versions only, a foreign base is none of them.
    const spec = { ...decidedOf((await inspectBundle(source)).manifest), from: '>=1.0.0' };
    const images = {
      system: (await this.systemImage(release)).file,
      storage: (await this.storageImage(release)).file,
    };
    const more = base === null ? {} : { base };
    await makeBundle(spec, images, out, { level: LEVEL, keys: [this.#key], ...more });
  }
}

/** What people decided about a bundle that is there. */
function decidedOf({
  format: _format,
  requires: _requires,
  images,
  ...rest
}: Manifest): BundleSpec {
  return {
    ...rest,
    images: images.map(({ name, class: cls, version, counter, runsWith, formatLevel }) => ({
      name,
      class: cls,
      version,
      counter,
      runsWith,
      ...(formatLevel !== undefined && { formatLevel }),
    })),
  };
}

/** Bytes of the base that the first chunk of the system image that needs any is made of. */
async function usedBytes(path: string): Promise<{ readonly at: number; readonly length: number }> {
  await using source = await openFileSource(path);
  const { layout } = await inspectBundle(source);
  const [system] = await inspectImages(source, layout);
  const longest = system!.records
    .flatMap(({ segments }) => segments ?? [])
    .toSorted((a, b) => b.units - a.units)[0]!;
  return { at: longest.startUnit * UNIT_BYTES, length: Math.min(MIB, longest.units * UNIT_BYTES) };
}

/** Turns every bit of a stretch of a file over; twice is as it was. */
async function invert(path: string, at: number, length: number): Promise<void> {
  await using file = await open(path, 'r+');
  const bytes = Buffer.alloc(length);
  await file.read(bytes, 0, length, at);
  for (let i = 0; i < length; i += 1) bytes[i] = bytes[i]! ^ 0xff;
  await file.write(bytes, 0, length, at);
  await file.sync();
}

const plan = { skip: process.env['PAIR_ALL'] === undefined ? 'only with PAIR_ALL=1' : false };

t.test('a delta bundle updates a pair, and only the one that it fits', plan, async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'tandem-delta-'));
  t.teardown(async () => rm(dir, { recursive: true, force: true }));
  const workshop = new DeltaWorkshop(await openWorkshop(), dir);
  const { first, second } = RELEASES;
  const [delta, foreign] = [join(dir, 'delta.bin'), join(dir, 'foreign.bin')];
  await workshop.delta(second, first, delta);
  await workshop.delta(second, second, foreign);
  const bench = await Bench.open(t, { workshop });
  await bench.running.waitAvailable(READY_MS, bench.signal);

  await t.test('made from another release: refused, the node is named', async (t) => {
    const message = /^node A runs system 1\.0\.0 \(image \w+\), the delta is made from 2\.0\.0/;
    const validated = await bench.cli('B', 'validate', foreign, '--json');
    t.match(validated, { exit: 12, json: [{ ok: false, code: 'bundle.wrong_base', message }] });
    t.match(validated.json[0]?.['next'], /full bundle of the same release/);
    const asked = await bench.update('A', foreign, '--json').done;
    t.match(asked, { exit: 12, json: [{ error: { code: 'bundle.wrong_base' } }] });
    t.strictSame(await bench.history('A'), [], 'no rollout began');
  });

  await t.test('it is told as a delta, and of what', async (t) => {
    const validated = await bench.cli('A', 'validate', delta, '--json');
    t.match(validated, { exit: 0, json: [{ ok: true, version: '2.0.0' }] });
    const checks = validated.json[0]?.['checks'] as readonly { name: string; detail: string }[];
    const detail =
      'a delta of system 1.0.0 and storage 1.0.0, which every node to be updated holds';
    t.match(checks.at(-1), { name: 'base', ok: true, detail });
  });

  const slot = join(bench.pair.nodes.A.dir, 'slots/system-A.img');
  const { at, length } = await usedBytes(delta);
  await t.test('a slot that has rotted: nothing is armed, both stay where they are', async (t) => {
    await invert(slot, at, length);
    bench.startClient();
    const failed = await bench.update('A', delta, '--json').done;
    t.equal(failed.exit, 30, failed.stdout + failed.stderr);
    const [rollout] = await bench.history('A');
    t.match(rollout, { phase: 'CANCELLED', result: { code: 'slot.base_damaged' } });
    await expectEnd(t, bench, { A: '1.0.0', B: '1.0.0', phase: 'CANCELLED' });
  });

  await t.test('the same bundle on whole slots updates both', async (t) => {
    await invert(slot, at, length);
    bench.startClient();
    const done = await bench.update('B', delta, '--json').done;
    t.equal(done.exit, 0, done.stdout + done.stderr);
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
    await expectFromSlot(t, bench, 'A', second);
    await expectFromSlot(t, bench, 'B', second);
  });
});
