/**
 * The installer as a child process: its contract beside the memory driver, then crash, nonsense,
 * abort, and a daemon that vanishes. May import tap, node: and src.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { bundleEntry, PROJECT_DIR } from '../../scripts/build.ts';
import { loadTrustRoot } from '../../src/bundle/trust.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { Sha256, SlotClass } from '../../src/core/model.ts';
import { processInstaller } from '../../src/drivers/installer-process.ts';
import { depotFor } from '../../src/install/fill.ts';
import {
  installerContract,
  type InstallerHarness,
  type InstallerNode,
} from '../contracts/installer.ts';
import { makePair } from '../install/pair.ts';
import { ENTRY, flipBit, makeSample, type Sample } from '../install/sample.ts';
import { makeDepotDisk, memoryDepot } from '../memory/depot.ts';
import { memoryInstaller, type InstallerWorld, type MemoryBundle } from '../memory/installer.ts';
import { makeSlotsDisk, memorySlots } from '../memory/slots.ts';

const never = new AbortController().signal;

function idsOf(sample: Sample): Record<SlotClass, Sha256> {
  const idOf = (cls: SlotClass): Sha256 =>
    sample.made.manifest.images.find((image) => image.class === cls)?.imageId as Sha256;
  return { system: idOf('system'), storage: idOf('storage') };
}

async function makeProcesses(t: Test): Promise<InstallerHarness> {
  const dir = t.testdir();
  const sample = await makeSample(join(dir, 'files'));
  // The program as it ships: one file, from which the worker thread starts too.
  const entry = join(dir, 'tandem.mjs');
  await bundleEntry(join(PROJECT_DIR, 'src/main.ts'), entry);
  const keys = await makePair(join(dir, 'keys'));
  const damaged = join(dir, 'damaged.bin');
  await copyFile(sample.bundlePath, damaged);
  const first = (await sample.open()).images[0];
  await flipBit(damaged, (first?.dataOffset ?? 0) + 1000);
  const root = await loadTrustRoot(sample.rootPath);
  const node = async (name: string): Promise<InstallerNode> => {
    await mkdir(join(dir, name));
    const depotDir = join(dir, name, 'depot');
    return {
      installer: processInstaller({ entry, logFile: join(dir, `${name}.log`) }),
      depotDir,
      trustRoot: sample.rootPath,
      progressFile: join(dir, name, 'progress'),
      depot: () => depotFor(depotDir, root),
      targets: sample.request().targets,
      content: async (cls) => {
        const found = (await sample.slot(cls)).subarray(0, sample.raw[cls].length);
        return found.equals(sample.raw[cls]) ? idsOf(sample)[cls] : null;
      },
    };
  };
  return {
    a: await node('a'),
    b: await node('b'),
    good: sample.bundlePath,
    damaged,
    bundle: sample.made.bundle,
    bytes: sample.made.sizeBytes,
    imageIds: idsOf(sample),
    listen: { host: '127.0.0.1', port: 0, keysDir: keys.a },
    from: (port) => ({ host: '127.0.0.1', port, keysDir: keys.b }),
  };
}

async function makeMemory(t: Test): Promise<InstallerHarness> {
  const sample = await makeSample(t.testdir());
  const { bundle, sizeBytes: bytes, manifest } = sample.made;
  const good: MemoryBundle = { bundle, bytes, manifest };
  const fault = new UpdateError('bundle.damaged', 'a bit is flipped');
  const bulk = new Map<string, MemoryBundle>();
  const node = (): InstallerNode => {
    const slots = makeSlotsDisk({ system: 2 ** 22, storage: 2 ** 18 });
    const world: InstallerWorld = {
      files: new Map([
        ['good', good],
        ['damaged', { ...good, fault }],
      ]),
      depot: makeDepotDisk(2 ** 30),
      slots,
      bulk,
    };
    const targets = (['system', 'storage'] as const).map((cls) => {
      const { path: device, sizeBytes } = memorySlots(slots).device(cls, 'B');
      return { image: cls, class: cls, slot: 'B' as const, device, sizeBytes };
    });
    return {
      installer: memoryInstaller(world),
      depotDir: 'depot',
      trustRoot: 'root.json',
      progressFile: 'progress',
      depot: () => Promise.resolve(memoryDepot(world.depot)),
      targets,
      content: (cls) =>
        Promise.resolve((slots.content.get(`memory:${cls}-B`) as Sha256 | undefined) ?? null),
    };
  };
  const listen = { host: 'a', port: 7, keysDir: 'keys' };
  const imageIds = idsOf(sample);
  const files = { good: 'good', damaged: 'damaged' };
  return { a: node(), b: node(), ...files, bundle, bytes, imageIds, listen, from: () => listen };
}

t.test('process', (t) => installerContract(t, makeProcesses));
t.test('memory', (t) => installerContract(t, makeMemory));

/** An installer whose program is this script. */
function scripted(t: Test, script: string): ReturnType<typeof processInstaller> {
  const dir = t.testdir({ 'program.mjs': script });
  const options = { entry: join(dir, 'program.mjs'), args: [], graceMs: 200 };
  return processInstaller({ ...options, logFile: join(dir, 'log') });
}

t.test('a process that dies is installer.crashed with its last words', async (t) => {
  const crash = (script: string): Promise<unknown> =>
    scripted(t, script)
      .run({}, { signal: never })
      .catch((error: unknown) => error);
  const died = await crash('console.error("last words"); process.exit(3)');
  t.match(died, {
    name: 'UpdateError',
    code: 'installer.crashed',
    message: /status 3: last words/,
  });
  t.match(await crash('process.kill(process.pid, "SIGKILL")'), {
    code: 'installer.crashed',
    message: /SIGKILL/,
  });
  t.match(await crash(''), { code: 'installer.crashed', message: /status 0/ });
  t.match(await crash('console.log("hello"); setInterval(() => {}, 1e6)'), {
    code: 'installer.crashed',
  });
  const flood = 'const say = () => process.stdout.write("x".repeat(1 << 20), say); say();';
  t.match(await crash(flood), { code: 'installer.crashed' });
});

t.test('replies that come in pieces, and a code of a later program', async (t) => {
  const installer = scripted(
    t,
    `const say = (text) => new Promise((done) => process.stdout.write(text, done));
     await say('{"type":"progress","doneBytes":1,');
     await new Promise((done) => setTimeout(done, 20));
     await say('"totalBytes":2}\\n{"type":"listening","port":7}\\n{"type":"failed","error":');
     await say('{"code":"later.code","message":"text","next":"?"}}\\n');`,
  );
  const heard: unknown[] = [];
  const options = {
    signal: never,
    onProgress: (progress: unknown) => heard.push(progress),
    onListening: (port: number) => heard.push(port),
  };
  await t.rejects(installer.run({}, options), { code: 'internal.bug', message: /later\.code/ });
  t.same(heard, [{ doneBytes: 1, totalBytes: 2 }, 7]);
});

t.test('one that does not listen to SIGTERM is killed', async (t) => {
  const installer = scripted(
    t,
    `process.on('SIGTERM', () => {}); setInterval(() => {}, 1e6);
     console.log('{"type":"listening","port":' + process.pid + '}');`,
  );
  const stop = new AbortController();
  const pid = Promise.withResolvers<number>();
  const run = installer.run({}, { signal: stop.signal, onListening: pid.resolve });
  const running = await pid.promise;
  t.equal(getPriority(running), 10, 'it has a lower priority');
  stop.abort(new UpdateError('job.cancelled', 'not wanted'));
  await t.rejects(run, { code: 'job.cancelled' });
  t.throws(() => process.kill(running, 0), { code: 'ESRCH' }, 'it is gone when run returns');
});

t.test('it ends when the daemon that started it is gone', async (t) => {
  const sample = await makeSample(t.testdir());
  const keys = await makePair(join(sample.dir, 'keys'));
  const child = spawn(process.execPath, [ENTRY], { stdio: ['pipe', 'pipe', 'inherit'] });
  const listen = { host: '127.0.0.1', port: 0, keysDir: keys.a };
  child.stdin.write(`${JSON.stringify({ do: 'serve', path: sample.bundlePath, listen })}\n`);
  const [first] = (await once(child.stdout, 'data')) as [Buffer];
  t.match(first.toString(), /"type":"listening"/);
  const closed = once(child, 'close');
  child.stdin.destroy();
  t.same(await closed, [0, null]);
});
