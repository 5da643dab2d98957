/**
 * The real installer process is killed (SIGKILL) at a seeded sample of its writes, syncs and reads;
 * the next one must end with the right content, and redo at most the window of the progress record.
 * `SEED=n` takes another sample. May import tap, node: and src.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { InstallRequest } from '../../src/install/pipeline.ts';
import type { InstallerReply, InstallResult } from '../../src/install/protocol.ts';
import { WINDOW_BYTES } from '../../src/install/recorder.ts';
import { ENTRY, makeSample, MIB, type Sample } from './sample.ts';

const SEED = Number(process.env['SEED'] ?? 1);
const IMAGE_BYTES = 52 * MIB;
const CHUNKS = IMAGE_BYTES / MIB;

/** Numbers from 0 to below 1, the same for the same seed (Numerical Recipes' generator). */
function* random(seed: number): Generator<number, never> {
  for (let state = seed >>> 0; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

/** Runs the installer; null when it was killed. */
async function run(request: InstallRequest, killAt = ''): Promise<InstallResult | null> {
  const preload = join(import.meta.dirname, '../../test/install/kill-at.ts');
  const child = spawn(process.execPath, ['--import', preload, ENTRY], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, KILL_AT: killAt },
  });
  const closed = once(child, 'close');
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${JSON.stringify(request)}\n`);
  let out = '';
  for await (const data of child.stdout) out += String(data);
  const [, signal] = (await closed) as [number | null, NodeJS.Signals | null];
  if (signal === 'SIGKILL') return null;
  const last = JSON.parse(out.trim().split('\n').at(-1) ?? '') as InstallerReply;
  if (last.type !== 'done') throw new Error(out);
  return last.result as InstallResult;
}

/** Bytes of the image that are in the slot, chunk by chunk. */
async function present(sample: Sample): Promise<number> {
  const slot = await sample.slot('system');
  let bytes = 0;
  for (let at = 0; at < IMAGE_BYTES; at += MIB) {
    if (slot.subarray(at, at + MIB).equals(sample.raw.system.subarray(at, at + MIB))) bytes += MIB;
  }
  return bytes;
}

/** The sample of places: early, in the middle and late, whole calls and torn ones. */
function places(): string[] {
  const numbers = random(SEED);
  const upTo = (n: number): number => 1 + Math.floor(numbers.next().value * n);
  // Both threads count for themselves, so a thread makes about half of the writes.
  return [
    `write:${upTo(4)}`,
    `write:${16 + upTo(6)}:half`,
    `fdatasync:${1 + upTo(2)}`,
    `readSync:${upTo(CHUNKS / 3)}`,
    `read:${upTo(CHUNKS / 4)}`,
  ];
}

t.test(`killed anywhere, the next run ends right (seed ${SEED})`, async (t) => {
  const options = { systemBytes: IMAGE_BYTES, slotBytes: IMAGE_BYTES + MIB, chunkBytes: MIB };
  const sample = await makeSample(t.testdir(), options);
  const targets = sample.request().targets.slice(0, 1);
  const request = sample.request({ targets });
  const device = targets[0]?.device ?? '';
  const before = Buffer.alloc(IMAGE_BYTES + MIB, 0xee);
  let killed = 0;
  for (const place of places()) {
    await writeFile(device, before);
    await writeFile(request.progressFile, Buffer.alloc(8192));
    if ((await run(request, place)) === null) killed += 1;
    const there = await present(sample);
    const result = await run(request);
    const image = result?.images[0];
    t.ok((await readFile(device)).subarray(0, IMAGE_BYTES).equals(sample.raw.system), place);
    const resumed = image?.resumedBytes ?? 0;
    const redone = there - resumed;
    t.ok(redone <= WINDOW_BYTES, `${place}: ${there / MIB} MiB there, ${redone / MIB} redone`);
    t.equal((image?.writtenBytes ?? 0) + resumed + (image?.skippedBytes ?? 0), IMAGE_BYTES);
  }
  t.ok(killed >= 4, `${killed} of the runs were killed`);
});

t.test('killed again and again it still gets there', async (t) => {
  const options = { systemBytes: 20 * MIB, slotBytes: 20 * MIB, chunkBytes: MIB };
  const sample = await makeSample(t.testdir(), options);
  await writeFile(sample.slots.device('system', 'B').path, Buffer.alloc(20 * MIB, 0xee));
  const numbers = random(SEED + 1);
  for (let i = 0; i < 3; i += 1) {
    const nth = 1 + Math.floor(numbers.next().value * 8);
    await run(sample.request(), `write:${nth}:half`);
  }
  t.ok(await run(sample.request()));
  const { raw } = sample;
  t.ok((await sample.slot('system')).equals(raw.system));
  t.ok((await sample.slot('storage')).subarray(0, raw.storage.length).equals(raw.storage));
});
