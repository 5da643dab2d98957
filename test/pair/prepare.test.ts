/**
 * A prepared update on a real pair: a bundle that brings a newer updater, a node that loses its
 * power while it is prepared, the gates with their exit statuses, and an install after the bundle
 * file is gone. Only with PAIR_ALL=1 (`npm run test:embedded`).
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { openWorkshop, type DemoRelease, type Workshop } from '../../scripts/demo/workshop.ts';
import { makeBundle, type BundleSpec } from '../../src/bundle/builder.ts';
import { generateSigningKey } from '../../src/bundle/keys.ts';
import { inspectBundle } from '../../src/bundle/reader.ts';
import { openFileSource } from '../../src/bundle/source.ts';
import { ControlClient } from '../../src/control/client.ts';
import type { Manifest } from '../../src/core/manifest.ts';
import type { NodeId } from '../../src/core/model.ts';
import type { PrepareView } from '../../src/core/prepare-view.ts';
import { Bench, READY_MS, RELEASES } from './harness.ts';
import { expectEnd } from './judge.ts';

t.setTimeout(600_000);
const UPDATER = '9.9.9';

/** The demo's workshop with a key of its own, whose bundles bring an updater. */
class UpdaterWorkshop implements Workshop {
  readonly programs: Workshop['programs'];
  readonly #demo: Workshop;
  readonly #key = generateSigningKey();

  constructor(demo: Workshop) {
    this.#demo = demo;
    this.programs = demo.programs;
  }

  async systemImage(release: DemoRelease) {
    return this.#demo.systemImage(release);
  }

  async storageImage(release: DemoRelease) {
    return this.#demo.storageImage(release);
  }

  async trustRoot(out: string): Promise<void> {
    const { keyid, public: text } = this.#key;
    const keys = [{ keyid, scheme: 'ed25519', public: text }];
    await writeFile(out, JSON.stringify({ schema: 1, version: 1, threshold: 1, keys }));
  }

  async bundle(release: DemoRelease, out: string): Promise<void> {
    await this.#demo.bundle(release, `${out}.demo`);
    await using source = await openFileSource(`${out}.demo`);
    const spec = decidedOf((await inspectBundle(source)).manifest);
    const images = {
      system: (await this.systemImage(release)).file,
      storage: (await this.storageImage(release)).file,
    };
    const bytes = Buffer.from(updaterOf(this.programs.tandem));
    await makeBundle(spec, images, out, {
      level: 3,
      keys: [this.#key],
      updater: { version: UPDATER, bytes },
    });
    await rm(`${out}.demo`);
  }
}

/** This very program under another version; it writes down that it was at work. */
function updaterOf(program: string): string {
  const url = JSON.stringify(pathToFileURL(program).href);
  return `import { appendFileSync } from 'node:fs';
if (process.argv.includes('--version')) console.log('${UPDATER}');
else {
  appendFileSync(process.argv[1] + '.runs', 'x');
  await import(${url});
}
`;
}

/** What people decide of a manifest. */
function decidedOf({ images, requires: _requires, format: _format, ...decided }: Manifest) {
  return {
    ...decided,
    images: images.map(({ name, class: cls, version, counter, runsWith, formatLevel }) => {
      const image = { name, class: cls, version, counter, runsWith };
      return formatLevel === undefined ? image : { ...image, formatLevel };
    }),
  } satisfies BundleSpec;
}

/** The view of a node as soon as it is so; null = the daemon does not answer. */
async function until(
  bench: Bench,
  node: NodeId,
  what: (view: PrepareView) => boolean,
): Promise<PrepareView> {
  const client = new ControlClient(bench.pair.nodes[node].controlSocket);
  for (;;) {
    bench.signal.throwIfAborted();
    const view = await client.prepared(bench.signal).catch(() => null);
    if (view !== null && what(view)) return view;
    await sleep(100, undefined, { signal: bench.signal });
  }
}

t.test(
  'a prepared update',
  { skip: process.env['PAIR_ALL'] === undefined && 'PAIR_ALL=1' },
  async (t) => {
    const workshop = new UpdaterWorkshop(await openWorkshop());
    const bench = await Bench.open(t, { workshop });
    const file = await bench.bundle(RELEASES.second);
    await bench.running.waitAvailable(READY_MS, bench.signal);
    bench.startClient();

    const asked = await bench.cli('A', 'prepare', file, '--detach', '--reason', 'friday');
    t.equal(asked.exit, 0, asked.stderr);
    const id = asked.stdout.trim();
    await until(bench, 'A', ({ preparation }) => {
      return preparation?.nodes.B.stages.checks.state === 'done';
    });
    await bench.power('B', 'reset');
    const early = await bench.update('A', id, '--json').done;
    t.match(early, { exit: 23 }, 'not before both nodes have it');
    const waited = bench.start('A', 'job', 'wait', id, '--json', '--timeout', '300');
    t.equal((await waited.done).exit, 0, 'a node that lost its power goes on where it was');
    const { preparation } = await until(bench, 'B', ({ refusal }) => {
      return refusal?.code === 'prepare.not_authorized';
    });
    t.equal(preparation?.order.updater, UPDATER);
    await bench.running.waitAvailable(READY_MS, bench.signal);
    await rm(file);

    t.equal((await bench.update('B', id).done).exit, 22);
    const authorized = await bench.cli('B', 'prepare', 'authorize', id, '--reason', 'agreed');
    t.equal(authorized.exit, 0, authorized.stderr);
    t.equal((await bench.update('A', id).done).exit, 22, 'nobody has settled it');
    t.equal((await bench.cli('A', 'prepare', 'configure')).exit, 0);
    t.match(await bench.cli('B', 'prepare', 'status', '--ready'), { exit: 0 });
    const runs = async (): Promise<number> => {
      const sha256 = preparation!.order.plan === null ? '' : await updaterDigest(bench);
      const path = join(bench.pair.nodes.A.stateDir, 'updater', `${sha256}.mjs.runs`);
      return (await readFile(path, 'utf8')).length;
    };
    const before = await runs();
    t.ok(before > 0, 'the newer updater was tried out');
    const installed = bench.update('A', id, '--json');
    await bench.during(installed, bench.watch.phase('DRAIN1'));
    t.ok((await runs()) > before, 'and has written the slots');
    t.match(await installed.done, { exit: 0 });
    await expectEnd(t, bench, { A: '2.0.0', B: '2.0.0', phase: 'DONE' });
    await until(bench, 'B', (view) => view.preparation?.order.ended?.why === 'installed');
  },
);

/** Digest of the updater that node A has chosen. */
async function updaterDigest(bench: Bench): Promise<string> {
  const path = join(bench.pair.nodes.A.stateDir, 'updater', 'choice.json');
  return (JSON.parse(await readFile(path, 'utf8')) as { sha256: string }).sha256;
}
